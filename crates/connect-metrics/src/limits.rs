//! Limits of bytes per second, as they stand.

use connect_mirror::{LimitKey, LimitSnapshot};

use crate::{
    exposition::{Labels, Metric, Page, metric},
    mirror::OTHERS,
};

/// Limits that are listed; a configuration has a handful.
const MAX_LIMITS: usize = 200;

/// By source, target, connector, and topics where it is not of the whole flow.
pub(crate) const TABLE: &[Metric<LimitSnapshot>] = &[
    metric(
        "heliograph_limit_bytes_per_second",
        |limit| limit.bytes_per_second as f64,
        "The limit as it is set; of a pattern, for each topic.",
    ),
    metric(
        "heliograph_limit_here_bytes_per_second",
        |limit| limit.here_bytes_per_second,
        "What of the limit is this worker's, by its tasks or partitions; of a pattern, all topics together.",
    ),
    metric(
        "heliograph_limit_waiting",
        |limit| limit.waiting as f64,
        "1 while the limit is what holds the flow back; of a pattern, how many topics it holds back.",
    ),
    metric(
        "heliograph_limit_waited_seconds_total",
        |limit| limit.waited_seconds,
        "Time that the flow waited because of the limit; of a pattern, all topics together.",
    ),
    metric(
        "heliograph_limit_owed_bytes",
        |limit| limit.owed_bytes,
        "Bytes that came beyond the limit, for which the flow waits now.",
    ),
];

pub(crate) fn write(page: &mut Page, limits: Vec<(LimitKey, LimitSnapshot)>) {
    let mut rows: Vec<(Labels, LimitSnapshot)> = Vec::new();
    for (at, (key, limit)) in limits.into_iter().enumerate() {
        if at > MAX_LIMITS {
            let (_, others) = &mut rows[MAX_LIMITS];
            others.bytes_per_second += limit.bytes_per_second;
            others.here_bytes_per_second += limit.here_bytes_per_second;
            others.waiting += limit.waiting;
            others.waited_seconds += limit.waited_seconds;
            others.owed_bytes += limit.owed_bytes;
            continue;
        }
        let labels = match at {
            MAX_LIMITS => Labels::new(&[("topics", OTHERS)]),
            _ => Labels::new(&[
                ("source", &key.source),
                ("target", &key.target),
                ("connector", &key.connector),
                ("topics", limit.topics.as_deref().unwrap_or_default()),
            ]),
        };
        rows.push((labels, limit));
    }
    page.table(TABLE, &rows);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Format;

    fn limit(topics: Option<&str>) -> (LimitKey, LimitSnapshot) {
        let key = LimitKey {
            source: "A".into(),
            target: "B".into(),
            connector: "mirror".into(),
        };
        let snapshot = LimitSnapshot {
            topics: topics.map(Into::into),
            bytes_per_second: 5_000_000,
            here_bytes_per_second: 2_500_000.0,
            waiting: 1,
            waited_seconds: 12.5,
            owed_bytes: 100.0,
        };
        (key, snapshot)
    }

    fn page(limits: Vec<(LimitKey, LimitSnapshot)>) -> String {
        let mut page = Page::new(Format::Text);
        write(&mut page, limits);
        page.finish()
    }

    #[test]
    fn a_limit_of_a_flow_has_no_topics() {
        let page = page(vec![limit(None), limit(Some("pay.*"))]);
        for line in [
            "heliograph_limit_bytes_per_second{source=\"A\",target=\"B\",connector=\"mirror\"} 5000000",
            "heliograph_limit_waiting{source=\"A\",target=\"B\",connector=\"mirror\",topics=\"pay.*\"} 1",
            "heliograph_limit_waited_seconds_total{source=\"A\",target=\"B\",connector=\"mirror\"} 12.5",
        ] {
            assert!(page.lines().any(|written| written == line), "{line} in\n{page}");
        }
    }

    #[test]
    fn without_limits_there_is_nothing_and_too_many_are_added_up() {
        assert_eq!(page(Vec::new()), "");
        let many: Vec<_> = (0..MAX_LIMITS + 50).map(|at| limit(Some(&at.to_string()))).collect();
        let page = page(many);
        assert!(
            page.lines()
                .any(|line| line == "heliograph_limit_waiting{topics=\"(others)\"} 50"),
            "{page}"
        );
    }
}
