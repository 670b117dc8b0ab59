//! Copying gives way to people, unless `heliograph.rest.priority.enabled` says no: while REST is asked again and again, and
//! this process does not get its turn in time, less is copied. Who is asked now and then, as by a monitor, copies as ever.
//!
//! Where a broker, this process and those who ask share a few cores, a backlog keeps all of them waiting for a core, for
//! tens of milliseconds. Whoever clicks notices those; who watches the backlog notices that it takes longer.

use std::{convert::Infallible, sync::Arc, time::Duration};

use connect_mirror::source::Pace;
use connect_rest::Asked;
use tokio::time::{Instant, sleep_until};
use tracing::info;

/// While it is asked: how often it is looked whether the process gets its turn.
const TICK: Duration = Duration::from_millis(5);
/// After which time what was seen is judged.
const WINDOW: Duration = Duration::from_millis(30);

/// From which mean delay of a turn on copying is too fast. A timer alone is a millisecond late.
const LATE: Duration = Duration::from_millis(2);
/// Over how long that mean is taken.
const LATE_OVER: Duration = Duration::from_millis(100);
/// From so many requests a second on someone waits for answers...
const BUSY: f64 = 20.0;
/// ...over so long: ten at once are enough, a monitor's few every now and then are not.
const BUSY_OVER: Duration = Duration::from_millis(500);
/// Over how long it is looked how much is copied.
const COPIED_OVER: Duration = Duration::from_millis(200);

/// Copying never becomes slower than that, in bytes a second...
const FLOOR: f64 = 20e6;
/// ...and never than this part of what it was.
const FLOOR_SHARE: f64 = 0.25;
/// How the pace grows from one judgement to the next while someone asks: tenfold in two minutes, since each time that it has
/// grown too far they wait...
const MORE: f64 = 1.0006;
/// ...and when nobody does any more.
const MORE_UNASKED: f64 = 1.25;
/// A pace that is so many times what is copied is none.
const IDLE: f64 = 2.0;
/// The log says no oftener than this that copying gives way.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// Serves, and has copying give way meanwhile. Without anyone who counts requests it only serves.
pub(crate) async fn while_serving(serving: impl Future<Output = ()>, asked: Option<Arc<Asked>>, pace: Pace) {
    let Some(asked) = asked else {
        return serving.await;
    };
    tokio::select! {
        () = serving => {}
        never = give_way(&asked, &pace) => match never {},
    }
}

async fn give_way(asked: &Asked, pace: &Pace) -> Infallible {
    let mut governor = Governor::default();
    let (mut judged_at, mut times) = (Instant::now(), asked.times());
    let mut said_at: Option<Instant> = None;
    loop {
        if governor.is_at_rest() {
            asked.next().await;
        }
        let (copied, late) = watch(pace).await;
        let passed = judged_at.elapsed();
        let requests = (asked.times() - times) as f64 / passed.as_secs_f64();
        (judged_at, times) = (Instant::now(), asked.times());
        governor.judge(&Seen {
            passed,
            requests,
            copied,
            late,
        });
        pace.set(governor.pace.map(|pace| pace as u64));
        if let Some(pace) = governor.pace
            && said_at.is_none_or(|at| at.elapsed() > SAID_AGAIN_AFTER)
        {
            said_at = Some(Instant::now());
            info!(
                bytes_per_second = pace as u64,
                "copying gives way: REST is asked again and again, and there is too little CPU time for both \
                 (heliograph.rest.priority.enabled)"
            );
        }
    }
}

/// How many bytes a second are copied, and how late this process gets its turn on average.
async fn watch(pace: &Pace) -> (f64, Duration) {
    let (began, bytes) = (Instant::now(), pace.taken_bytes());
    let (mut late, mut ticks) = (Duration::ZERO, 0);
    while began.elapsed() < WINDOW {
        let due = Instant::now() + TICK;
        sleep_until(due).await;
        late += due.elapsed();
        ticks += 1;
    }
    let copied = (pace.taken_bytes() - bytes) as f64 / began.elapsed().as_secs_f64();
    (copied, late / ticks)
}

/// What happened since the last judgement.
struct Seen {
    passed: Duration,
    /// A second.
    requests: f64,
    /// Bytes a second.
    copied: f64,
    late: Duration,
}

/// Decides how much may be copied.
#[derive(Debug, Default)]
struct Governor {
    requests: f64,
    copied: f64,
    late: f64,
    /// Bytes a second; `None`: as many as come.
    pace: Option<f64>,
    floor: f64,
}

impl Governor {
    fn judge(&mut self, seen: &Seen) {
        blend(&mut self.requests, seen.requests, seen.passed, BUSY_OVER);
        blend(&mut self.copied, seen.copied, seen.passed, COPIED_OVER);
        blend(&mut self.late, seen.late.as_secs_f64(), seen.passed, LATE_OVER);
        let is_late = self.late > LATE.as_secs_f64();
        self.pace = match self.pace {
            None if self.is_busy() && is_late => {
                self.floor = FLOOR.max(self.copied * FLOOR_SHARE);
                (self.copied > self.floor).then_some(self.floor)
            }
            None => None,
            // At once as far down as it may go: someone is waiting.
            Some(_) if self.is_busy() && is_late => Some(self.floor),
            // Without a pace all that waits would come at once.
            Some(pace) if self.is_busy() => Some((pace * MORE).min(self.idle_pace())),
            Some(pace) => Some(pace * MORE_UNASKED).filter(|pace| *pace < self.idle_pace()),
        };
    }

    fn idle_pace(&self) -> f64 {
        IDLE * self.copied.max(self.floor)
    }

    fn is_busy(&self) -> bool {
        self.requests > BUSY
    }

    /// Nothing is to be watched until someone asks.
    fn is_at_rest(&self) -> bool {
        self.pace.is_none() && !self.is_busy()
    }
}

/// Moves a mean over the time `over` towards what was seen for the time `passed`.
fn blend(mean: &mut f64, seen: f64, passed: Duration, over: Duration) {
    let weight = 1.0 - (-passed.as_secs_f64() / over.as_secs_f64()).exp();
    *mean += (seen - *mean) * weight;
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: f64 = 200e6;
    const BAD: Duration = Duration::from_millis(12);
    const GOOD: Duration = Duration::from_millis(1);

    /// Judges for some seconds; what may be copied at the end, where at full speed more would be.
    fn judged(governor: &mut Governor, seconds: f64, requests: f64, full: f64, late: Duration) -> Option<f64> {
        for _ in 0..(seconds / WINDOW.as_secs_f64()) as usize {
            let copied = governor.pace.map_or(full, |pace| pace.min(full));
            governor.judge(&Seen {
                passed: WINDOW,
                requests,
                copied,
                late,
            });
        }
        governor.pace
    }

    #[test]
    fn it_gives_way_when_it_is_asked_and_late() {
        let governor = &mut Governor::default();
        assert_eq!(judged(governor, 5.0, 0.0, FULL, BAD), None, "nobody asks");
        assert_eq!(judged(governor, 5.0, 15.0, FULL, BAD), None, "hardly anybody asks");
        let governor = &mut Governor::default();
        assert_eq!(judged(governor, 5.0, 500.0, FULL, GOOD), None, "everybody gets a turn");
        let pace = judged(governor, 0.2, 500.0, FULL, BAD).expect("it gives way soon");
        assert!((FULL * 0.2..FULL * 0.3).contains(&pace), "{pace}");
    }

    #[test]
    fn a_monitor_that_asks_a_few_times_slows_nothing() {
        let governor = &mut Governor::default();
        for _ in 0..20 {
            assert_eq!(
                judged(governor, WINDOW.as_secs_f64(), 5.0 / WINDOW.as_secs_f64(), FULL, BAD),
                None
            );
            assert_eq!(judged(governor, 15.0, 0.0, FULL, BAD), None);
            assert!(governor.is_at_rest());
        }
    }

    #[test]
    fn it_never_starves() {
        let check = |full: f64, lowest: Option<f64>| {
            let governor = &mut Governor::default();
            judged(governor, 30.0, 0.0, full, BAD);
            let pace = judged(governor, 600.0, 500.0, full, BAD);
            assert_eq!(pace.map(f64::round), lowest, "{full}");
        };
        check(FULL, Some(FULL * FLOOR_SHARE));
        check(30e6, Some(FLOOR));
        // That little is in nobody's way.
        check(5e6, None);
    }

    #[test]
    fn it_recovers_slowly_while_it_is_asked_and_at_once_when_it_is_not() {
        let governor = &mut Governor::default();
        let low = judged(governor, 2.0, 500.0, FULL, BAD).expect("it gives way");
        let later = judged(governor, 20.0, 500.0, FULL, GOOD).expect("still asked");
        assert!((low * 1.4..low * 1.6).contains(&later), "{low} {later}");
        assert_eq!(judged(governor, 0.3, 500.0, FULL, BAD), Some(low), "late again");
        let full = judged(governor, 120.0, 500.0, FULL, GOOD).expect("still asked");
        assert!(full > FULL, "{full}");
        assert_eq!(judged(governor, 3.0, 0.0, FULL, GOOD), None);

        judged(governor, 2.0, 500.0, FULL, BAD);
        assert_eq!(judged(governor, 3.0, 0.0, FULL, BAD), None);
        assert!(governor.is_at_rest());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_comes_late_is_seen() {
        let pace = Pace::default();
        assert_eq!(watch(&pace).await, (0.0, Duration::ZERO));
        let busy = async {
            loop {
                tokio::time::advance(BAD).await;
                tokio::task::yield_now().await;
            }
        };
        let late = tokio::select! {
            biased;
            (_, late) = watch(&pace) => late,
            () = busy => unreachable!("it has no end"),
        };
        assert!(late > LATE && late < BAD, "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_copying_there_is_no_pace_and_serving_ends() {
        let (asked, pace) = (Arc::new(Asked::default()), Pace::default());
        let serving = async {
            for _ in 0..100 {
                asked.note();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        while_serving(serving, Some(asked.clone()), pace.clone()).await;
        assert_eq!(pace.bytes_per_second(), None, "nothing is copied");
    }
}
