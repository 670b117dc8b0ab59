//! The signs of life that a member gives while it works.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kafka_protocol::messages::HeartbeatResponse;
use tokio::time::Instant;

use super::coordinator::{Coordinator, Identity};

type Answer = Result<HeartbeatResponse, kafka_client::Error>;

/// After a round the first heartbeat comes this soon, and each waits twice as long as the one before. A round that takes
/// work from somebody is followed by one that gives it to somebody else, and that cannot begin before everybody has
/// heard of it: from the answer to a heartbeat.
const FIRST: Duration = Duration::from_millis(100);

/// Sends a heartbeat at every interval between [`Heartbeats::start`] and [`Heartbeats::stop`], the first few sooner, one
/// at a time.
pub(super) struct Heartbeats {
    interval: Duration,
    session_timeout: Duration,
    /// Until when the coordinator holds on to this member, for all that is known here.
    session_end: Instant,
    beating: Option<Beating>,
}

struct Beating {
    coordinator: Coordinator,
    identity: Identity,
    next_at: Instant,
    pause: Duration,
    last_answer: Instant,
    under_way: Option<UnderWay>,
}

struct UnderWay {
    sent_at: Instant,
    answer: BoxFuture<'static, Answer>,
}

impl Heartbeats {
    pub(super) fn new(interval: Duration, session_timeout: Duration) -> Self {
        Self {
            interval,
            session_timeout,
            session_end: Instant::now() + session_timeout,
            beating: None,
        }
    }

    /// The member has joined a round at `from`.
    pub(super) fn start(&mut self, coordinator: Coordinator, identity: Identity, from: Instant) {
        self.beating = Some(Beating {
            coordinator,
            identity,
            next_at: from + FIRST.min(self.interval),
            pause: FIRST.min(self.interval),
            last_answer: Instant::now(),
            under_way: None,
        });
    }

    /// The coordinator has heard of this member at `at` or later. When its answer came says nothing: a process that was
    /// held for a while finds old ones.
    pub(super) fn confirmed(&mut self, at: Instant) {
        self.session_end = at + self.session_timeout;
    }

    /// Afterwards others may run what runs here.
    pub(super) fn session_end(&self) -> Instant {
        self.session_end
    }

    pub(super) fn stop(&mut self) {
        self.beating = None;
    }

    /// The answer to the next heartbeat. Cancel-safe: one that is under way stays so. Waits for ever while stopped.
    pub(super) async fn next(&mut self) -> Answer {
        let Some(beating) = &mut self.beating else {
            return std::future::pending().await;
        };
        let under_way = match &mut beating.under_way {
            Some(under_way) => under_way,
            none => {
                tokio::time::sleep_until(beating.next_at).await;
                beating.pause = (beating.pause * 2).min(self.interval);
                beating.next_at = Instant::now() + beating.pause;
                let session_end = beating.last_answer + self.session_timeout;
                let left = session_end.saturating_duration_since(Instant::now());
                let (coordinator, identity) = (beating.coordinator.clone(), beating.identity.clone());
                // Without an answer by the end of the session the coordinator is as good as gone.
                let timeout = left.max(self.interval);
                none.insert(UnderWay {
                    sent_at: Instant::now(),
                    answer: async move { coordinator.heartbeat(&identity, timeout).await }.boxed(),
                })
            }
        };
        let answer = (&mut under_way.answer).await;
        let sent_at = under_way.sent_at;
        beating.under_way = None;
        if answer.is_ok() {
            beating.last_answer = Instant::now();
            self.confirmed(sent_at);
        }
        answer
    }
}
