//! What happens to records that cannot be handled: `errors.*` of the connector.

use std::fmt;

use config_def::{ConfigDef, ConfigErrors, Props};
use connect_api::{ConnectError, SourceOffset, SourcePartition, SourceValue, connector_config::CONNECTOR_KEYS};
use connect_transforms::{Failure, HeaderConverter, TransformationChain};
use kafka_wire::TopicPartition;
use tracing::{error, warn};

use super::ConnectorTaskId;
use crate::metrics::TaskMetrics;

static CONFIG_DEF: ConfigDef = ConfigDef::new(&[CONNECTOR_KEYS]);

/// What is done with records between a task and its producer.
#[derive(Debug)]
pub(crate) struct RecordHandling {
    /// `None`: nothing, and no batch is looked at.
    pub(crate) chain: Option<TransformationChain>,
    pub(crate) errors: ErrorHandling,
}

/// `errors.*` of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ErrorHandling {
    /// `errors.tolerance=all`: skip what cannot be handled.
    pub(crate) tolerate: bool,
    log: bool,
    log_records: bool,
}

impl RecordHandling {
    /// Reads a connector's configuration; every problem of the transformations at once.
    pub(crate) fn parse(connector: &Props, worker: &Props, id: &ConnectorTaskId) -> Result<Self, ConnectError> {
        let unusable = |errors: Box<dyn std::error::Error + Send + Sync>| {
            ConnectError::caused_by(
                format!("the settings of connector {} are not usable", id.connector),
                errors,
            )
        };
        let errors = ErrorHandling::parse(connector, id).map_err(|errors| unusable(errors.into()))?;
        let headers = HeaderConverter::of(connector, worker).map_err(|unknown| unusable(unknown.into()))?;
        let chain = TransformationChain::parse(connector, headers).map_err(|errors| unusable(errors.into()))?;
        Ok(Self { chain, errors })
    }
}

impl ErrorHandling {
    fn parse(connector: &Props, id: &ConnectorTaskId) -> Result<Self, ConfigErrors> {
        // The other keys of the table are somebody else's.
        let own: Props = connector
            .iter()
            .filter(|(key, _)| key.starts_with("errors.") || *key == "name" || *key == "connector.class")
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let values = CONFIG_DEF.parse(&own)?;
        if id.task == 0 && values.long("errors.retry.timeout") != 0 {
            warn!(
                connector = &*id.connector,
                "errors.retry.timeout has no effect: no transformation of this worker fails for a reason that passes, and \
                 what cannot be written for such a reason is tried for ever"
            );
        }
        Ok(Self {
            tolerate: values.string("errors.tolerance") == "all",
            log: values.boolean("errors.log.enable"),
            log_records: values.boolean("errors.log.include.messages"),
        })
    }

    /// Notes records that a transformation failed on. An error if that may not be.
    pub(crate) fn transformation_failed(
        &self,
        id: &ConnectorTaskId,
        failure: &Failure,
        records: &dyn fmt::Display,
        metrics: &TaskMetrics,
    ) -> Result<(), ConnectError> {
        let stage = Stage {
            name: "TRANSFORMATION",
            class: failure.class,
        };
        self.failed(id, &stage, failure, u64::from(failure.count), records, metrics);
        if self.tolerate {
            return Ok(());
        }
        let cause = ConnectError::caused_by(format!("{} failed", failure.class), failure.clone());
        Err(ConnectError::caused_by("Tolerance exceeded in error handler", cause))
    }

    /// Notes records that the target will not take and that are skipped.
    pub(crate) fn produce_failed(
        &self,
        id: &ConnectorTaskId,
        reason: &dyn fmt::Display,
        count: u64,
        records: &dyn fmt::Display,
        metrics: &TaskMetrics,
    ) {
        let stage = Stage {
            name: "KAFKA_PRODUCE",
            class: "org.apache.kafka.connect.runtime.WorkerSourceTask",
        };
        self.failed(id, &stage, reason, count, records, metrics);
    }

    fn failed(
        &self,
        id: &ConnectorTaskId,
        stage: &Stage,
        reason: &dyn fmt::Display,
        count: u64,
        records: &dyn fmt::Display,
        metrics: &TaskMetrics,
    ) {
        metrics.record_errors(count, self.tolerate, self.log);
        if !self.log {
            return;
        }
        let Stage { name, class } = stage;
        let tail = if self.log_records {
            format!(", where source record is = {records}.")
        } else {
            ".".to_owned()
        };
        error!(%reason, records = count, "Error encountered in task {id}. Executing stage '{name}' with class '{class}'{tail}");
    }
}

struct Stage {
    name: &'static str,
    class: &'static str,
}

/// Some records of a batch, for a log line: where they come from and go to. Keys and values are bytes and are not shown.
pub(crate) struct RecordsOf<'a> {
    pub(crate) source_partition: &'a SourcePartition,
    pub(crate) last_offset: SourceOffset,
    pub(crate) target: &'a TopicPartition,
    /// First, counted from 0 in the batch, and count.
    pub(crate) places: (u32, u32),
}

impl fmt::Display for RecordsOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceRecord{sourcePartition={")?;
        for (index, (name, value)) in self.source_partition.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            match value {
                SourceValue::String(text) => write!(f, "{comma}{name}={text}")?,
                SourceValue::Int(number) => write!(f, "{comma}{name}={number}")?,
            }
        }
        let (first, count) = self.places;
        write!(
            f,
            "}}}} of the batch that ends at sourceOffset {}, records {first} to {} of it, for topic='{}', kafkaPartition={}",
            self.last_offset.0,
            first + count.saturating_sub(1),
            self.target.topic,
            self.target.partition
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<RecordHandling, ConnectError> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let mut props: Props = pairs.iter().map(owned).collect();
        props.extend([("name", "c"), ("connector.class", "C")].map(|(key, value)| (key.into(), value.into())));
        RecordHandling::parse(&props, &Props::new(), &ConnectorTaskId::new("c", 0))
    }

    #[test]
    fn nothing_is_tolerated_unless_asked_for() {
        let handling = parse(&[]).expect("defaults");
        assert!(handling.chain.is_none());
        let none = ErrorHandling {
            tolerate: false,
            log: false,
            log_records: false,
        };
        assert_eq!(handling.errors, none);
        let all = parse(&[("errors.tolerance", "all"), ("errors.log.enable", "true")]).expect("good");
        assert_eq!((all.errors.tolerate, all.errors.log), (true, true));
        let error = parse(&[("errors.tolerance", "some")]).expect_err("no such value");
        assert!(
            error
                .chain()
                .contains("errors.tolerance: String must be one of: none, all"),
            "{}",
            error.chain()
        );
        let error = parse(&[("transforms", "a"), ("transforms.a.type", "Cast$Value")]).expect_err("needs structs");
        assert!(
            error.chain().contains("works on records with fields"),
            "{}",
            error.chain()
        );
    }

    #[test]
    fn a_failure_is_counted_and_ends_the_task_unless_tolerated() {
        let failure = Failure {
            class: "T",
            reason: "No group 2".to_owned(),
            first: 0,
            count: 3,
        };
        let (id, metrics) = (ConnectorTaskId::new("c", 0), TaskMetrics::default());
        let strict = parse(&[]).expect("good").errors;
        let error = strict
            .transformation_failed(&id, &failure, &"r", &metrics)
            .expect_err("not tolerated");
        assert_eq!(
            error.chain(),
            "Tolerance exceeded in error handler: T failed: No group 2"
        );
        let counters = metrics.read();
        assert_eq!(
            (counters.record_errors, counters.records_skipped, counters.errors_logged),
            (3, 0, 0)
        );

        let lenient = [("errors.tolerance", "all"), ("errors.log.enable", "true")];
        let lenient = parse(&lenient).expect("good").errors;
        assert!(lenient.transformation_failed(&id, &failure, &"r", &metrics).is_ok());
        let counters = metrics.read();
        assert_eq!(
            (counters.record_errors, counters.records_skipped, counters.errors_logged),
            (6, 3, 1)
        );
    }
}
