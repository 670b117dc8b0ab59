use std::fmt::Write;

use serde_json::{Map, Value};

/// One thing that was measured, by its name in the JSON.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) more_is_better: bool,
}

impl Metric {
    pub(crate) const fn less(key: &'static str, title: &'static str) -> Self {
        Self {
            key,
            title,
            more_is_better: false,
        }
    }

    pub(crate) const fn more(key: &'static str, title: &'static str) -> Self {
        Self {
            key,
            title,
            more_is_better: true,
        }
    }
}

/// One run.
#[derive(Debug)]
pub(crate) struct Row {
    peer: String,
    what: String,
    complete: bool,
    values: Map<String, Value>,
}

impl Row {
    /// `what` was measured; rows of the same are compared.
    pub(crate) fn new(peer: &str, what: &str, complete: bool) -> Self {
        Self {
            peer: peer.to_owned(),
            what: what.to_owned(),
            complete,
            values: Map::new(),
        }
    }

    /// With a number, to as many decimals as mean something.
    pub(crate) fn with(mut self, key: &str, value: f64, decimals: u32) -> Self {
        let scale = 10_f64.powi(decimals as i32);
        let rounded = (value * scale).round() / scale;
        let number = if decimals == 0 {
            Value::from(rounded as i64)
        } else {
            Value::from(rounded)
        };
        self.values.insert(key.to_owned(), number);
        self
    }

    /// Whether all that was sent has arrived.
    pub(crate) fn complete(&self) -> bool {
        self.complete
    }

    /// On one line.
    pub(crate) fn json(&self) -> String {
        let mut all = Map::new();
        all.insert("name".to_owned(), self.peer.clone().into());
        all.insert("workload".to_owned(), self.what.clone().into());
        all.insert("complete".to_owned(), self.complete.into());
        all.extend(self.values.clone());
        Value::Object(all).to_string()
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.values.get(key)?.as_f64()
    }
}

/// What both brokers used meanwhile.
pub(crate) const BROKERS_CPU: &str = "brokers_cpu_s_per_GB";

/// How much of its speed each peer keeps over TLS; what the CPU alone would leave of it, since brokers and peer share that;
/// and what would be left if TLS were free to the peer.
pub(crate) fn tls_ratios(rows: &[Row]) -> String {
    let mut text = String::new();
    for (what, peer) in runs(rows) {
        let Some(plain) = peer.strip_suffix("-tls") else {
            continue;
        };
        let of = |peer, key| median(rows, what, peer, key);
        let speeds = of(peer, "MB_per_s").zip(of(plain, "MB_per_s"));
        let costs = of(peer, "cpu_s_per_GB").zip(of(plain, "cpu_s_per_GB"));
        let brokers = of(peer, BROKERS_CPU).zip(of(plain, BROKERS_CPU));
        if let (Some((tls, plain_speed)), Some((tls_cost, plain_cost))) = (speeds, costs) {
            let ratio = tls / plain_speed;
            write!(
                text,
                "{what}: {plain} over TLS has {ratio:.2} of its speed, and {tls_cost} CPU-s per GB instead of {plain_cost}"
            )
            .expect("a string takes everything");
            if let Some((tls_brokers, plain_brokers)) = brokers {
                let before = plain_cost + plain_brokers;
                write!(
                    text,
                    "; the brokers {tls_brokers} instead of {plain_brokers}. By CPU alone it is {:.2}, and were TLS free to {plain} {:.2}",
                    before / (tls_cost + tls_brokers),
                    before / (plain_cost + tls_brokers),
                )
                .expect("a string takes everything");
            }
            text.push('\n');
        }
    }
    text
}

/// Medians, and in brackets by how much the first peer is better than this one.
pub(crate) fn table(metrics: &[Metric], rows: &[Row]) -> String {
    let mut text = format!("\n{:<16} {:<14}", "", "");
    for metric in metrics {
        write!(text, " {:>18}", metric.title).expect("a string takes everything");
    }
    let Some(reference) = rows.first().map(|row| row.peer.as_str()) else {
        return text;
    };
    for (what, peer) in runs(rows) {
        write!(text, "\n{what:<16} {peer:<14}").expect("a string takes everything");
        for metric in metrics {
            let here = median(rows, what, peer, metric.key);
            let cell = here.map_or("-".to_owned(), |value| {
                let there = median(rows, what, reference, metric.key).filter(|_| peer != reference);
                let times = there.and_then(|there| better(metric, there, value));
                times.map_or(format!("{value}        "), |times| {
                    format!("{value} {:>7}", format!("({times:.1}x)"))
                })
            });
            write!(text, " {cell:>18}").expect("a string takes everything");
        }
    }
    write!(text, "\n(in brackets: how many times better {reference} is)").expect("a string takes everything");
    text
}

/// In the order of their first run.
fn runs(rows: &[Row]) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for row in rows {
        let run = (row.what.as_str(), row.peer.as_str());
        if !found.contains(&run) {
            found.push(run);
        }
    }
    found
}

fn median(rows: &[Row], what: &str, peer: &str, key: &str) -> Option<f64> {
    let runs = rows.iter().filter(|row| row.what == what && row.peer == peer);
    let mut values: Vec<f64> = runs.filter_map(|row| row.number(key)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// How many times better `ours` is than `theirs`; unknown if one is nothing.
fn better(metric: &Metric, ours: f64, theirs: f64) -> Option<f64> {
    let times = if metric.more_is_better {
        ours / theirs
    } else {
        theirs / ours
    };
    (times.is_finite() && times > 0.0).then_some(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &[Metric] = &[Metric::less("seconds", "seconds"), Metric::more("speed", "MB/s")];

    fn row(peer: &str, seconds: f64, speed: f64) -> Row {
        Row::new(peer, "w", true)
            .with("seconds", seconds, 2)
            .with("speed", speed, 1)
    }

    #[test]
    fn factors_above_one_mean_that_the_first_is_better() {
        let text = table(METRICS, &[row("us", 0.5, 300.0), row("them", 10.0, 100.0)]);
        let line = text.lines().find(|line| line.contains("them")).expect("a line each");
        assert!(line.contains("10 (20.0x)") || line.contains("(20.0x)"), "{line}");
        assert!(line.contains("(3.0x)"), "{line}");
        let line = text.lines().find(|line| line.contains("us")).expect("a line each");
        assert!(!line.contains('x'), "{line}");
    }

    #[test]
    fn rounds_are_shown_by_their_median() {
        let rows = [row("us", 9.0, 1.0), row("us", 2.0, 2.0), row("us", 1.0, 3.0)];
        assert_eq!(median(&rows, "w", "us", "seconds"), Some(2.0));
        assert_eq!(runs(&rows), [("w", "us")]);
    }

    #[test]
    fn nothing_is_not_infinitely_better() {
        let text = table(METRICS, &[row("us", 0.0, 1.0), row("them", 1.0, 0.0)]);
        assert!(!text.contains("inf") && !text.contains("x)"), "{text}");
    }

    #[test]
    fn what_tls_costs_is_split_between_the_peer_and_the_brokers() {
        let run = |peer, speed, cost, brokers| {
            row(peer, 1.0, 1.0)
                .with("MB_per_s", speed, 1)
                .with("cpu_s_per_GB", cost, 2)
                .with(BROKERS_CPU, brokers, 2)
        };
        let text = tls_ratios(&[run("us", 400.0, 1.0, 3.0), run("us-tls", 200.0, 2.0, 4.0)]);
        let expected = "w: us over TLS has 0.50 of its speed, and 2 CPU-s per GB instead of 1; the brokers 4 instead of 3. \
                        By CPU alone it is 0.67, and were TLS free to us 0.80\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_run_is_one_line_of_json() {
        let json = row("us", 0.123, 5.0).json();
        assert_eq!(
            json,
            r#"{"name":"us","workload":"w","complete":true,"seconds":0.12,"speed":5.0}"#
        );
    }
}
