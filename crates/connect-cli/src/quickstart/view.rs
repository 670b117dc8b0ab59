//! The live view: a table that is drawn over itself in a terminal, plain lines elsewhere.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{IsTerminal, Write as _},
};

use connect_mirror::MirrorMetrics;

/// What is shown of one remote topic.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct TopicLine {
    pub(super) records: u64,
    pub(super) lag: i64,
    pub(super) bytes_per_second: f64,
}

/// Sums up the partitions of each remote topic.
pub(super) fn topics(metrics: &MirrorMetrics, now_ms: i64) -> BTreeMap<String, TopicLine> {
    let mut topics: BTreeMap<String, TopicLine> = BTreeMap::new();
    for (key, partition) in metrics.snapshot(now_ms) {
        let line = topics.entry(key.remote.topic.to_string()).or_default();
        line.records += partition.record_count;
        line.lag += partition.lag;
        line.bytes_per_second += partition.byte_rate;
    }
    topics
}

/// Where the view is drawn.
#[derive(Debug)]
pub(super) struct View {
    is_terminal: bool,
    /// Lines of the last drawing, to be drawn over.
    drawn_lines: usize,
}

impl View {
    pub(super) fn on_stdout() -> Self {
        Self {
            is_terminal: std::io::stdout().is_terminal(),
            drawn_lines: 0,
        }
    }

    pub(super) fn draw(&mut self, topics: &BTreeMap<String, TopicLine>) {
        let text = match self.is_terminal {
            true => table(topics),
            false => plain_line(topics),
        };
        let mut output = String::new();
        if self.is_terminal && self.drawn_lines > 0 {
            // Up to the first line of the last table, and clear from there.
            let _ = write!(output, "\x1b[{}A\x1b[J", self.drawn_lines);
        }
        output.push_str(&text);
        self.drawn_lines = text.lines().count();
        // A closed pipe ends the view, not the mirroring.
        let _ = std::io::stdout().write_all(output.as_bytes());
        let _ = std::io::stdout().flush();
    }
}

fn table(topics: &BTreeMap<String, TopicLine>) -> String {
    let mut text = format!(
        "  {:<24} {:>12} {:>10} {:>10}\n",
        "topic on destination", "records", "lag", "MB/s"
    );
    for (topic, line) in topics {
        let megabytes = line.bytes_per_second / 1e6;
        let _ = writeln!(
            text,
            "  {topic:<24} {:>12} {:>10} {megabytes:>10.3}",
            line.records, line.lag
        );
    }
    text
}

fn plain_line(topics: &BTreeMap<String, TopicLine>) -> String {
    let parts: Vec<String> = topics
        .iter()
        .map(|(topic, line)| {
            format!(
                "{topic}: {} records, lag {}, {:.3} MB/s",
                line.records,
                line.lag,
                line.bytes_per_second / 1e6
            )
        })
        .collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!("{}\n", parts.join(" | ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_output_is_one_line_with_every_topic() {
        let line = TopicLine {
            records: 7,
            lag: 2,
            bytes_per_second: 1_500_000.0,
        };
        let topics = [
            ("source.orders".to_owned(), line),
            ("source.payments".to_owned(), TopicLine::default()),
        ];
        assert_eq!(
            plain_line(&topics.into()),
            "source.orders: 7 records, lag 2, 1.500 MB/s | source.payments: 0 records, lag 0, 0.000 MB/s\n"
        );
        assert_eq!(plain_line(&BTreeMap::new()), "");
    }
}
