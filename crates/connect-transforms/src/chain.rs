use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use config_def::{ConfigErrors, Props};
use kafka_wire::OutgoingBatch;

use crate::{
    HeaderConverter,
    plan::Plan,
    rebuild::{self, Rebuilt},
    step::{self, Step},
};

/// The transformations of a connector, in their order (Java's class of this name).
#[derive(Debug)]
pub struct TransformationChain {
    steps: Vec<Step>,
    /// What is left to do for batches of a topic.
    plans: Mutex<HashMap<Arc<str>, Arc<Plan>>>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Transformed {
    /// What is to be written: nothing, one batch, or one for each topic that the records went to.
    pub pieces: Vec<Piece>,
    /// Records that a `Filter` dropped.
    pub filtered: u32,
    /// Records that a transformation failed on. They are in no piece.
    pub failures: Vec<Failure>,
    /// The topic of a record may depend on the record, so that neighbours in the source are none in the target.
    pub scatters: bool,
}

/// Records that go to one topic.
#[derive(Debug)]
pub struct Piece {
    /// The topic; the partition stays.
    pub topic: Arc<str>,
    /// The records.
    pub batch: OutgoingBatch,
    /// Which records of the batch they are, in runs of first and count. `None`: all.
    pub records: Option<Vec<(u32, u32)>>,
}

/// A record, or with the topic all of a batch, that a transformation failed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// The transformation's Java class.
    pub class: &'static str,
    /// What went wrong.
    pub reason: String,
    /// The first record, counted from 0 in its batch.
    pub first: u32,
    /// How many records.
    pub count: u32,
}

/// The records of a batch cannot be read, so nothing can be decided about them.
#[derive(Debug, thiserror::Error)]
#[error("the records of a batch for {topic} cannot be read by its transformations")]
pub struct Unreadable {
    topic: Arc<str>,
    #[source]
    source: kafka_wire::Error,
}

impl TransformationChain {
    /// Reads `transforms` and `predicates`; `None` if there is nothing to do. `headers` is what the connector writes
    /// headers with.
    pub fn parse(connector: &Props, headers: HeaderConverter) -> Result<Option<Self>, ConfigErrors> {
        let steps = step::parse(connector, headers)?;
        let chain = Self {
            steps,
            plans: Mutex::default(),
        };
        Ok((!chain.steps.is_empty()).then_some(chain))
    }

    /// Whether batches for `topic` have to be opened, which takes its time.
    pub fn opens_batches_of(&self, topic: &Arc<str>) -> bool {
        matches!(*self.plan(topic), Plan::Rebuild { .. })
    }

    /// Applies the chain to a batch that was made for `topic`. With `give_up`, nothing behind the first failure matters.
    pub fn apply(&self, topic: &Arc<str>, batch: OutgoingBatch, give_up: bool) -> Result<Transformed, Unreadable> {
        let count = batch.record_count().unsigned_abs();
        let mut transformed = Transformed::default();
        match &*self.plan(topic) {
            Plan::Pass { topic } => transformed.pieces.push(Piece {
                topic: topic.clone(),
                batch,
                records: None,
            }),
            Plan::Drop => transformed.filtered = count,
            Plan::Fail { class, reason } => transformed.failures.push(Failure {
                class,
                reason: reason.clone(),
                first: 0,
                count,
            }),
            Plan::Rebuild {
                topic: start,
                steps,
                scatters,
            } => {
                let steps: Vec<&Step> = steps.iter().map(|index| &self.steps[*index]).collect();
                let rebuilt = rebuild::rebuild(&steps, start, batch, give_up);
                let Rebuilt {
                    pieces,
                    filtered,
                    failures,
                } = rebuilt.map_err(|source| Unreadable {
                    topic: topic.clone(),
                    source,
                })?;
                transformed = Transformed {
                    pieces,
                    filtered,
                    failures,
                    scatters: *scatters,
                };
            }
        }
        Ok(transformed)
    }

    fn plan(&self, topic: &Arc<str>) -> Arc<Plan> {
        // A poisoned map still holds good plans: they are inserted whole.
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = plans.get(topic) {
            return plan.clone();
        }
        let plan = Arc::new(Plan::new(&self.steps, topic));
        plans.insert(topic.clone(), plan.clone());
        plan
    }
}

#[cfg(test)]
mod tests {
    use kafka_wire::{BatchBuilder, Compression, INFLATE_CAP_BYTES};

    use super::*;

    const DAY: i64 = 86_400_000;

    fn chain(pairs: &[(&str, &str)]) -> TransformationChain {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let parsed = TransformationChain::parse(&pairs.iter().map(owned).collect(), HeaderConverter::Simple);
        parsed.expect("good settings").expect("it does something")
    }

    /// Timestamp, key, value, headers.
    type Row = (
        i64,
        Option<&'static [u8]>,
        Option<&'static [u8]>,
        Vec<(&'static [u8], Option<&'static [u8]>)>,
    );

    const BINARY: &[u8] = &[0, 255, 128, 10];

    fn rows() -> Vec<Row> {
        vec![
            (
                0,
                Some(b"a"),
                Some(b"first"),
                vec![(b"h", Some(b"1")), (b"x", None), (b"h", Some(b"2"))],
            ),
            (DAY, None, None, vec![]),
            (
                DAY + 1,
                Some(b""),
                Some(b""),
                vec![(b"bin", Some(BINARY)), (BINARY, Some(b"v"))],
            ),
            (2 * DAY, Some(BINARY), Some(b"last"), vec![(b"x", Some(b""))]),
        ]
    }

    fn batch_of(rows: &[Row]) -> OutgoingBatch {
        let mut batch = BatchBuilder::new(Compression::Lz4);
        for (timestamp, key, value, headers) in rows {
            batch.push(*timestamp, *key, *value, headers.iter().copied());
        }
        batch.build()
    }

    /// `topic: rows` of each piece; a row is `timestamp key=value [headers]`.
    fn shown(transformed: &Transformed) -> Vec<String> {
        let bytes = |bytes: Option<&[u8]>| bytes.map_or("null".to_owned(), |bytes| bytes.escape_ascii().to_string());
        let mut shown = Vec::new();
        for piece in &transformed.pieces {
            assert_eq!(piece.batch.compression(), Compression::Lz4, "the codec is kept");
            let records = piece.batch.records(INFLATE_CAP_BYTES).expect("good");
            for record in &records {
                let record = record.expect("good");
                let headers: Vec<String> = record
                    .headers
                    .map(|(key, value)| format!("{}:{}", key.escape_ascii(), bytes(value)))
                    .collect();
                shown.push(format!(
                    "{}@{} {}={} [{}]",
                    piece.topic,
                    record.timestamp / DAY,
                    bytes(record.key),
                    bytes(record.value),
                    headers.join(" ")
                ));
            }
        }
        shown
    }

    fn apply(chain: &TransformationChain, topic: &str) -> Transformed {
        chain.apply(&topic.into(), batch_of(&rows()), false).expect("readable")
    }

    fn is_untouched(piece: &Piece) -> bool {
        piece.batch == batch_of(&rows()) && piece.records.is_none()
    }

    const ROUTER: [(&str, &str); 3] = [
        ("transforms.r.type", "RegexRouter"),
        ("transforms.r.regex", "A\\.(.*)"),
        ("transforms.r.replacement", "$1"),
    ];

    #[test]
    fn what_the_topic_decides_leaves_the_records_alone() {
        let mut settings = vec![
            ("transforms", "r,f"),
            ("transforms.f.type", "Filter"),
            ("transforms.f.predicate", "p"),
            ("predicates", "p"),
            ("predicates.p.type", "TopicNameMatches"),
            ("predicates.p.pattern", "secret.*"),
        ];
        settings.extend(ROUTER);
        let chain = chain(&settings);
        for (topic, expected) in [
            ("A.orders", Some("orders")),
            ("B.orders", Some("B.orders")),
            ("A.secrets", None),
        ] {
            assert!(!chain.opens_batches_of(&topic.into()));
            let transformed = apply(&chain, topic);
            assert_eq!(transformed.pieces.first().map(|piece| &*piece.topic), expected);
            assert!(transformed.pieces.iter().all(is_untouched));
            assert_eq!(transformed.filtered, if expected.is_none() { 4 } else { 0 });
            assert!(!transformed.scatters);
        }
        assert!(
            shown(&apply(&chain, "secret.A")).is_empty(),
            "the name after the router counts"
        );
    }

    #[test]
    fn only_topics_that_a_predicate_picks_are_opened() {
        let chain = chain(&[
            ("transforms", "d"),
            ("transforms.d.type", "DropHeaders"),
            ("transforms.d.headers", "h"),
            ("transforms.d.predicate", "p"),
            ("transforms.d.negate", "true"),
            ("predicates", "p"),
            ("predicates.p.type", "TopicNameMatches"),
            ("predicates.p.pattern", "orders"),
        ]);
        assert!(!chain.opens_batches_of(&"orders".into()));
        assert!(chain.opens_batches_of(&"payments".into()));
        assert!(is_untouched(&apply(&chain, "orders").pieces[0]));
    }

    #[test]
    fn headers_are_dropped_and_the_order_of_the_others_is_kept() {
        let chain = chain(&[
            ("transforms", "d"),
            ("transforms.d.type", "DropHeaders"),
            ("transforms.d.headers", "x, bin"),
        ]);
        let transformed = apply(&chain, "t");
        assert_eq!(
            shown(&transformed),
            [
                "t@0 a=first [h:1 h:2]",
                "t@1 null=null []",
                r"t@1 = [\x00\xff\x80\n:v]",
                r"t@2 \x00\xff\x80\n=last []"
            ]
        );
        assert_eq!(transformed.pieces[0].records, None, "all of them");
    }

    #[test]
    fn a_header_goes_behind_those_that_are_there() {
        let chain = chain(&[
            ("transforms", "i,n"),
            ("transforms.i.type", "InsertHeader"),
            ("transforms.i.header", "h"),
            ("transforms.i.value.literal", "007"),
            ("transforms.n.type", "InsertHeader"),
            ("transforms.n.header", "none"),
            ("transforms.n.value.literal", "null"),
        ]);
        assert_eq!(
            shown(&apply(&chain, "t")),
            [
                "t@0 a=first [h:1 x:null h:2 h:7 none:null]",
                "t@1 null=null [h:7 none:null]",
                r"t@1 = [bin:\x00\xff\x80\n \x00\xff\x80\n:v h:7 none:null]",
                r"t@2 \x00\xff\x80\n=last [x: h:7 none:null]"
            ]
        );
    }

    #[test]
    fn tombstones_and_marked_records_are_filtered() {
        let filter = |predicate: &[(&'static str, &'static str)], negate: &'static str| {
            let mut settings = vec![
                ("transforms", "f"),
                ("transforms.f.type", "Filter"),
                ("transforms.f.predicate", "p"),
                ("transforms.f.negate", negate),
                ("predicates", "p"),
            ];
            settings.extend(predicate);
            apply(&chain(&settings), "t")
        };
        let tombstone = [("predicates.p.type", "RecordIsTombstone")];
        let kept = filter(&tombstone, "false");
        assert_eq!(kept.pieces[0].records, Some(vec![(0, 1), (2, 2)]));
        assert_eq!((kept.filtered, shown(&kept).len()), (1, 3));
        let kept = filter(&tombstone, "true");
        assert_eq!(shown(&kept), ["t@1 null=null []"]);
        let marked = [("predicates.p.type", "HasHeaderKey"), ("predicates.p.name", "x")];
        assert_eq!(filter(&marked, "false").pieces[0].records, Some(vec![(1, 2)]));
        let never = [("predicates.p.type", "HasHeaderKey"), ("predicates.p.name", "nobody")];
        assert!(is_untouched(&filter(&never, "false").pieces[0]), "nothing came of it");
        let none = filter(&never, "true");
        assert!(none.pieces.is_empty() && none.filtered == 4);
    }

    #[test]
    fn a_batch_of_several_days_goes_to_several_topics() {
        let mut settings = vec![
            ("transforms", "t,r,f"),
            ("transforms.t.type", "TimestampRouter"),
            ("transforms.t.topic.format", "A.${topic}-${timestamp}"),
            ("transforms.t.timestamp.format", "dd"),
            ("transforms.f.type", "Filter"),
            ("transforms.f.predicate", "p"),
            ("predicates", "p"),
            ("predicates.p.type", "TopicNameMatches"),
            ("predicates.p.pattern", ".*-03"),
        ];
        settings.extend(ROUTER);
        let transformed = apply(&chain(&settings), "t");
        let topics: Vec<_> = transformed
            .pieces
            .iter()
            .map(|piece| (&*piece.topic, piece.records.clone()))
            .collect();
        assert_eq!(topics, [("t-01", Some(vec![(0, 1)])), ("t-02", Some(vec![(1, 2)]))]);
        assert!(transformed.scatters);
        assert_eq!(transformed.filtered, 1);
    }

    #[test]
    fn a_failure_names_its_record_or_the_whole_batch() {
        let bad = [
            ("transforms.r.type", "RegexRouter"),
            ("transforms.r.regex", ".*"),
            ("transforms.r.replacement", "$1"),
        ];
        let failure = |count, first| Failure {
            class: "org.apache.kafka.connect.transforms.RegexRouter",
            reason: "No group 1".to_owned(),
            first,
            count,
        };
        let mut settings = vec![("transforms", "r")];
        settings.extend(bad);
        let transformed = apply(&chain(&settings), "t");
        assert_eq!(transformed.failures, [failure(4, 0)]);
        assert!(transformed.pieces.is_empty());

        settings.extend([
            ("transforms.r.predicate", "p"),
            ("predicates", "p"),
            ("predicates.p.type", "HasHeaderKey"),
            ("predicates.p.name", "x"),
        ]);
        let chain = chain(&settings);
        let transformed = apply(&chain, "t");
        assert_eq!(transformed.failures, [failure(1, 0), failure(1, 3)]);
        assert_eq!(transformed.pieces[0].records, Some(vec![(1, 2)]));
        let given_up = chain.apply(&"t".into(), batch_of(&rows()), true).expect("readable");
        assert_eq!(given_up.failures, [failure(1, 0)]);
    }

    #[test]
    fn a_record_without_a_timestamp_cannot_be_routed_by_it() {
        let chain = chain(&[("transforms", "t"), ("transforms.t.type", "TimestampRouter")]);
        let batch = batch_of(&[(-1, None, None, vec![])]);
        let transformed = chain.apply(&"t".into(), batch, false).expect("readable");
        assert_eq!(transformed.failures[0].reason, "Timestamp missing on record");
    }

    #[test]
    fn without_transformations_there_is_no_chain() {
        let chain = TransformationChain::parse(&Props::new(), HeaderConverter::ByteArray);
        assert!(chain.expect("good").is_none());
    }
}
