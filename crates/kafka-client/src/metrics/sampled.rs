//! Kafka's windowed statistics: two samples of 30 seconds, the older one thrown away when a third begins.

/// The last value and a window of at most a minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// The newest value, 0 before the first.
    pub last: f64,
    /// Smallest in the window, NaN when it is empty.
    pub min: f64,
    /// Largest in the window, NaN when it is empty.
    pub max: f64,
    /// Mean of the window, NaN when it is empty.
    pub avg: f64,
}

const SAMPLES: usize = 2;
const SAMPLE_MS: i64 = 30_000;

#[derive(Clone, Copy, Debug)]
struct Sample {
    started_ms: i64,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Sample {
    fn starting(started_ms: i64) -> Self {
        Self {
            started_ms,
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

/// The samples that are not older than the window, newest last.
#[derive(Debug, Default)]
struct Window(Vec<Sample>);

impl Window {
    fn record(&mut self, now_ms: i64, value: f64) {
        self.purge(now_ms);
        let newest_is_full = self
            .0
            .last()
            .is_none_or(|newest| now_ms - newest.started_ms >= SAMPLE_MS);
        if newest_is_full {
            if self.0.len() == SAMPLES {
                self.0.remove(0);
            }
            self.0.push(Sample::starting(now_ms));
        }
        let newest = self.0.last_mut().expect("a sample was pushed when there was none");
        newest.count += 1;
        newest.sum += value;
        newest.min = newest.min.min(value);
        newest.max = newest.max.max(value);
    }

    fn purge(&mut self, now_ms: i64) {
        self.0
            .retain(|sample| now_ms - sample.started_ms < SAMPLE_MS * SAMPLES as i64);
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|sample| sample.count).sum()
    }

    fn sum(&self) -> f64 {
        self.0.iter().map(|sample| sample.sum).sum()
    }
}

/// Events per second over the window.
#[derive(Debug, Default)]
pub struct SampledRate(Window);

impl SampledRate {
    /// Something happened, `value` times.
    pub fn record(&mut self, now_ms: i64, value: f64) {
        self.0.record(now_ms, value);
    }

    /// As Kafka's `Rate`: a window that has not lasted one full sample yet counts as one.
    pub fn per_second(&mut self, now_ms: i64) -> f64 {
        self.0.purge(now_ms);
        let Some(oldest) = self.0.0.first() else { return 0.0 };
        let elapsed_ms = now_ms - oldest.started_ms;
        let full_samples_missing = (SAMPLES as i64 - 1 - elapsed_ms / SAMPLE_MS).max(0);
        let window_ms = elapsed_ms + full_samples_missing * SAMPLE_MS;
        self.0.sum() / (window_ms as f64 / 1000.0)
    }
}

/// Last, smallest, largest and mean value.
#[derive(Debug, Default)]
pub struct SampledStats {
    last: f64,
    window: Window,
}

impl SampledStats {
    /// A value was seen.
    pub fn record(&mut self, now_ms: i64, value: f64) {
        self.last = value;
        self.window.record(now_ms, value);
    }

    /// What there is at `now_ms`.
    pub fn snapshot(&mut self, now_ms: i64) -> Stats {
        self.window.purge(now_ms);
        if self.window.count() == 0 {
            return Stats {
                last: self.last,
                min: f64::NAN,
                max: f64::NAN,
                avg: f64::NAN,
            };
        }
        let samples = &self.window.0;
        Stats {
            last: self.last,
            min: samples.iter().map(|sample| sample.min).fold(f64::INFINITY, f64::min),
            max: samples
                .iter()
                .map(|sample| sample.max)
                .fold(f64::NEG_INFINITY, f64::max),
            avg: self.window.sum() / self.window.count() as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_young_rate_counts_as_one_full_sample() {
        let mut rate = SampledRate::default();
        rate.record(0, 100.0);
        // Kafka 4.3.1 showed this byte-rate 3 ms after 100 bytes.
        assert_eq!(rate.per_second(3), 3.333_000_033_330_000_3);
    }

    #[test]
    fn values_leave_after_the_window() {
        let mut stats = SampledStats::default();
        stats.record(0, 10.0);
        stats.record(31_000, 20.0);
        assert_eq!(
            stats.snapshot(59_999),
            Stats {
                last: 20.0,
                min: 10.0,
                max: 20.0,
                avg: 15.0
            }
        );
        assert_eq!(
            stats.snapshot(60_000),
            Stats {
                last: 20.0,
                min: 20.0,
                max: 20.0,
                avg: 20.0
            }
        );
        let empty = stats.snapshot(200_000);
        assert!(empty.last == 20.0 && empty.avg.is_nan());
    }
}
