//! What a validation has to know of the worker.

use std::sync::Arc;

use config_def::{ConfigErrors, ConfigTransformer, Props};

use crate::OverridePolicy;

/// How the worker runs, as far as connectors are judged by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerMode {
    /// One of a group.
    Distributed {
        /// `group.id`.
        group_id: String,
        /// Whether `exactly.once.source.support` is `enabled`.
        exactly_once: bool,
    },
    /// Alone.
    Standalone,
}

/// The converters of connectors that name none: classes or aliases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConverters {
    /// `key.converter`.
    pub key: String,
    /// `value.converter`.
    pub value: String,
    /// `header.converter`.
    pub header: String,
}

/// What a validation has to know of the worker.
#[derive(Clone, Debug)]
pub struct ValidationContext {
    /// How the worker runs.
    pub mode: WorkerMode,
    /// Which client settings connectors may override.
    pub override_policy: OverridePolicy,
    /// The worker's converters.
    pub converters: WorkerConverters,
    /// Resolves variables.
    pub transformer: Arc<ConfigTransformer>,
}

impl ValidationContext {
    /// That of a distributed worker with these properties, which have passed the worker's own validation.
    pub fn distributed(worker: &Props, transformer: Arc<ConfigTransformer>) -> Result<Self, ConfigErrors> {
        let enabled = |value: &String| value.trim().eq_ignore_ascii_case("enabled");
        let mode = WorkerMode::Distributed {
            group_id: text(worker, "group.id", ""),
            exactly_once: worker.get("exactly.once.source.support").is_some_and(enabled),
        };
        Self::new(mode, worker, transformer)
    }

    /// That of a standalone worker, likewise.
    pub fn standalone(worker: &Props, transformer: Arc<ConfigTransformer>) -> Result<Self, ConfigErrors> {
        Self::new(WorkerMode::Standalone, worker, transformer)
    }

    fn new(mode: WorkerMode, worker: &Props, transformer: Arc<ConfigTransformer>) -> Result<Self, ConfigErrors> {
        Ok(Self {
            mode,
            override_policy: OverridePolicy::of_worker(worker)?,
            converters: WorkerConverters {
                key: text(worker, "key.converter", ""),
                value: text(worker, "value.converter", ""),
                header: text(
                    worker,
                    "header.converter",
                    "org.apache.kafka.connect.storage.SimpleHeaderConverter",
                ),
            },
            transformer,
        })
    }

    /// Whether the worker's sources write exactly once.
    pub(crate) fn exactly_once(&self) -> bool {
        matches!(self.mode, WorkerMode::Distributed { exactly_once: true, .. })
    }
}

fn text(worker: &Props, key: &str, default: &str) -> String {
    worker.get(key).map_or(default, |value| value.trim()).to_owned()
}
