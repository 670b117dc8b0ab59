//! From a round's answer to running work: whether to catch up with the config topic, join again, or start.

use std::time::Duration;

use super::event::Round;
use crate::protocol::ConnectProtocol;

/// Whether the config topic is to be read to its end before anything else.
pub(super) fn must_catch_up(round: &Round, own_offset: i64) -> bool {
    let is_behind = own_offset < round.config_offset;
    match round.failed {
        // A leader that fails would fail again.
        true => round.is_leader || is_behind,
        false => is_behind,
    }
}

/// Why nothing may be started and the worker has to join again, once it has caught up.
pub(super) fn why_not_to_start(round: &Round, own_offset: i64, delay_is_over: bool) -> Option<&'static str> {
    if round.failed {
        Some("the leader could not assign")
    } else if delay_is_over {
        Some("the scheduled rebalance is due")
    } else if own_offset != round.config_offset {
        // Behind or past it: what the leader shared out is not what is configured.
        Some("the config topic has moved on")
    } else {
        None
    }
}

/// How long to stay away after the config topic could not be read in time.
#[derive(Clone, Debug)]
pub(super) struct UnsyncBackoff {
    worker_unsync_backoff: Duration,
    max_delay: Duration,
    retries_left: u32,
}

/// What to do before the next attempt to read the config topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StayAway {
    /// Wait, and keep running what runs.
    For(Duration),
    /// The others will soon run what this worker runs: stop everything.
    StopEverything,
}

/// Kafka's `DistributedHerder.BACKOFF_RETRIES`: together they take a fifth of the delay after which work moves.
const RETRIES: u32 = 5;

impl UnsyncBackoff {
    pub(super) fn new(worker_unsync_backoff: Duration, max_delay: Duration) -> Self {
        Self {
            worker_unsync_backoff,
            max_delay,
            retries_left: RETRIES,
        }
    }

    /// Takes note of one more failure.
    pub(super) fn failed(&mut self, protocol: ConnectProtocol) -> StayAway {
        if !protocol.is_incremental() {
            return StayAway::For(self.worker_unsync_backoff);
        }
        if self.retries_left == 0 {
            self.reset();
            return StayAway::StopEverything;
        }
        let pause = self.max_delay / 10 / self.retries_left;
        self.retries_left -= 1;
        StayAway::For(pause)
    }

    /// Takes note of a success.
    pub(super) fn reset(&mut self) {
        self.retries_left = RETRIES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::Work;

    fn round(failed: bool, is_leader: bool, config_offset: i64) -> Round {
        Round {
            generation: 1,
            protocol: ConnectProtocol::Sessioned,
            member_id: "a".into(),
            leader: "a".into(),
            is_leader,
            leader_url: "http://a/".into(),
            config_offset,
            failed,
            delay: None,
            work: Work::new(),
            owners: None,
        }
    }

    #[test]
    fn who_is_behind_catches_up_and_so_does_a_leader_that_failed() {
        for (failed, is_leader, own, expected) in [
            (true, true, 9, true),
            (true, false, 4, true),
            (true, false, 5, false),
            (true, false, 9, false),
            (false, true, 4, true),
            (false, false, 4, true),
            (false, false, 5, false),
            (false, false, 6, false),
        ] {
            let round = round(failed, is_leader, 5);
            assert_eq!(must_catch_up(&round, own), expected, "{failed} {is_leader} {own}");
        }
    }

    #[test]
    fn work_starts_only_at_the_very_offset_of_the_assignment() {
        let starts = |failed, own, due| why_not_to_start(&round(failed, false, 5), own, due).is_none();
        assert!(starts(false, 5, false));
        assert!(!starts(false, 4, false));
        assert!(!starts(false, 6, false));
        assert!(!starts(false, 5, true));
        assert!(!starts(true, 5, false));
    }

    #[test]
    fn staying_away_gets_longer_until_everything_stops() {
        let mut backoff = UnsyncBackoff::new(Duration::from_secs(300), Duration::from_secs(300));
        let mut next = || backoff.failed(ConnectProtocol::Compatible);
        let seconds = |seconds| StayAway::For(Duration::from_secs(seconds));
        for _ in 0..2 {
            assert_eq!(next(), seconds(6));
            assert_eq!(next(), StayAway::For(Duration::from_millis(7_500)));
            assert_eq!(next(), seconds(10));
            assert_eq!(next(), seconds(15));
            assert_eq!(next(), seconds(30));
            assert_eq!(next(), StayAway::StopEverything);
        }
        assert_eq!(backoff.failed(ConnectProtocol::Eager), seconds(300));
        assert_eq!(backoff.failed(ConnectProtocol::Compatible), seconds(6));
        backoff.reset();
        assert_eq!(backoff.failed(ConnectProtocol::Compatible), seconds(6));
    }
}
