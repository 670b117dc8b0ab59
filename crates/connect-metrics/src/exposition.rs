//! Prometheus' text format, and OpenMetrics' where it differs.

use std::fmt::Write;

/// Which of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' own, 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The one that the `Accept` header of a request asks for.
    pub(crate) fn accepted(accept: &str) -> Self {
        match accept.contains("application/openmetrics-text") {
            true => Self::OpenMetrics,
            false => Self::Text,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its name ends with `_total`.
    Counter,
    Gauge,
}

/// A name, and what it means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
}

impl Family {
    /// What ends with `_total` is a counter, as everybody expects.
    pub(crate) const fn new(name: &'static str, help: &'static str) -> Self {
        let kind = match name.as_bytes() {
            [.., b'_', b't', b'o', b't', b'a', b'l'] => Kind::Counter,
            _ => Kind::Gauge,
        };
        Self { name, kind, help }
    }
}

/// A family, and how its value is read from a `T`.
pub(crate) struct Metric<T: 'static> {
    pub(crate) family: Family,
    read: fn(&T) -> f64,
}

/// A line of a table of metrics.
pub(crate) const fn metric<T>(name: &'static str, read: fn(&T) -> f64, help: &'static str) -> Metric<T> {
    Metric {
        family: Family::new(name, help),
        read,
    }
}

/// `name="value",…` with the values escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels(String);

impl Labels {
    /// These labels; one with an empty value is one that is not there.
    pub(crate) fn new(labels: &[(&str, &str)]) -> Self {
        Self::default().with(labels)
    }

    pub(crate) fn with(&self, labels: &[(&str, &str)]) -> Self {
        let mut text = self.0.clone();
        for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    character => text.push(character),
                }
            }
            text.push('"');
        }
        Self(text)
    }
}

/// A page of metrics that is being written.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    format: Format,
}

impl Page {
    pub(crate) fn new(format: Format) -> Self {
        let text = String::with_capacity(64 * 1024);
        Self { text, format }
    }

    /// Every metric of a table for each of `subjects`. A family's lines stand together, as the format wants it.
    pub(crate) fn table<T>(&mut self, table: &[Metric<T>], subjects: &[(Labels, T)]) {
        for Metric { family, read } in table {
            self.family(family, subjects.iter().map(|(labels, subject)| (labels, read(subject))));
        }
    }

    /// One family; nothing at all if it has no samples.
    pub(crate) fn family<'a>(&mut self, family: &Family, samples: impl IntoIterator<Item = (&'a Labels, f64)>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let Family { name, kind, help } = family;
        let (kind, described) = match (kind, self.format) {
            // OpenMetrics names the family without the suffix of its samples.
            (Kind::Counter, Format::OpenMetrics) => ("counter", name.strip_suffix("_total").unwrap_or(name)),
            (Kind::Counter, Format::Text) => ("counter", *name),
            (Kind::Gauge, _) => ("gauge", *name),
        };
        self.write(format_args!("# HELP {described} {help}\n# TYPE {described} {kind}\n"));
        for (Labels(labels), value) in samples {
            self.text.push_str(name);
            if !labels.is_empty() {
                self.text.push('{');
                self.text.push_str(labels);
                self.text.push('}');
            }
            self.text.push(' ');
            self.value(value);
            self.text.push('\n');
        }
    }

    fn value(&mut self, value: f64) {
        if value.is_nan() {
            self.text.push_str("NaN");
        } else if value.is_infinite() {
            self.text.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        } else {
            self.write(format_args!("{value}"));
        }
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        let written = self.text.write_fmt(arguments);
        written.expect("a String takes everything");
    }

    pub(crate) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Family = Family::new("seen_total", "What was seen.");
    const WIDTH: Family = Family::new("width", "How wide.");

    fn page(format: Format) -> String {
        let odd = Labels::new(&[("name", "a\"b\\c\nd é"), ("none", "")]);
        let mut page = Page::new(format);
        page.family(&SEEN, [(&odd, 3.0)]);
        let none = Labels::default();
        page.family(&WIDTH, [(&none, f64::NAN), (&none, f64::NEG_INFINITY), (&none, 0.25)]);
        page.family(&Family::new("empty", "Nothing."), []);
        page.finish()
    }

    #[test]
    fn text_is_as_prometheus_reads_it() {
        let expected = "# HELP seen_total What was seen.\n# TYPE seen_total counter\n\
                        seen_total{name=\"a\\\"b\\\\c\\nd é\"} 3\n\
                        # HELP width How wide.\n# TYPE width gauge\nwidth NaN\nwidth -Inf\nwidth 0.25\n";
        assert_eq!(page(Format::Text), expected);
    }

    #[test]
    fn openmetrics_names_counters_without_their_suffix_and_has_an_end() {
        let page = page(Format::OpenMetrics);
        assert!(page.starts_with("# HELP seen What was seen.\n# TYPE seen counter\nseen_total{"));
        assert!(page.ends_with("width 0.25\n# EOF\n"));
    }

    #[test]
    fn the_format_is_the_one_that_is_accepted() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        assert_eq!(Format::accepted("*/*"), Format::Text);
    }
}
