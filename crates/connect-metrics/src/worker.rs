//! What Kafka Connect's workers show: worker, rebalance, connector, task, source-task and task-error metrics.

use std::sync::Arc;

use connect_runtime::{
    herder::{ConnectorInfo, ConnectorStateInfo},
    metrics::{RebalanceSnapshot, StartupSnapshot, TaskCounters, TaskMetrics, TaskWindows, WorkerMetrics},
    worker::{ConnectorTaskId, State},
};

use crate::exposition::{Family, Labels, Metric, Page, metric};

/// Tasks beyond this many have no series of their own; `heliograph_tasks_omitted` says how many.
const MAX_TASKS: usize = 1000;

/// What there is to know of one worker at one moment.
pub(crate) struct WorkerState {
    /// `A->B` in dedicated mode, where connectors of all flows are named alike; else empty.
    pub(crate) flow: String,
    pub(crate) worker_id: String,
    pub(crate) metrics: Arc<WorkerMetrics>,
    pub(crate) kafka_cluster_id: Option<String>,
    /// Of the whole group, by name; empty while the worker cannot say.
    pub(crate) statuses: Vec<ConnectorStateInfo>,
    pub(crate) connectors: Vec<ConnectorInfo>,
    /// Of this worker.
    pub(crate) tasks: Vec<(ConnectorTaskId, Arc<TaskMetrics>)>,
}

/// One worker.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    connectors: usize,
    tasks: usize,
    connector_starts: StartupSnapshot,
    task_starts: StartupSnapshot,
    rebalances: RebalanceSnapshot,
}

/// Without labels; `flow` in dedicated mode.
pub(crate) const WORKER: &[Metric<Totals>] = &[
    metric(
        "kafka_connect_worker_connector_count",
        |w| w.connectors as f64,
        "Connectors that run here.",
    ),
    metric(
        "kafka_connect_worker_task_count",
        |w| w.tasks as f64,
        "Tasks that run here.",
    ),
    metric(
        "kafka_connect_worker_connector_startup_attempts_total",
        |w| attempts(w.connector_starts),
        "Starts of connectors.",
    ),
    metric(
        "kafka_connect_worker_connector_startup_success_total",
        |w| w.connector_starts.succeeded as f64,
        "Starts of connectors that went well.",
    ),
    metric(
        "kafka_connect_worker_connector_startup_failure_total",
        |w| w.connector_starts.failed as f64,
        "Starts of connectors that failed.",
    ),
    metric(
        "kafka_connect_worker_connector_startup_success_percentage",
        |w| w.connector_starts.share.success,
        "Share of starts of connectors that went well, 0 to 1.",
    ),
    metric(
        "kafka_connect_worker_connector_startup_failure_percentage",
        |w| w.connector_starts.share.failure,
        "Share of starts of connectors that failed, 0 to 1.",
    ),
    metric(
        "kafka_connect_worker_task_startup_attempts_total",
        |w| attempts(w.task_starts),
        "Starts of tasks.",
    ),
    metric(
        "kafka_connect_worker_task_startup_success_total",
        |w| w.task_starts.succeeded as f64,
        "Starts of tasks that went well.",
    ),
    metric(
        "kafka_connect_worker_task_startup_failure_total",
        |w| w.task_starts.failed as f64,
        "Starts of tasks that failed.",
    ),
    metric(
        "kafka_connect_worker_task_startup_success_percentage",
        |w| w.task_starts.share.success,
        "Share of starts of tasks that went well, 0 to 1.",
    ),
    metric(
        "kafka_connect_worker_task_startup_failure_percentage",
        |w| w.task_starts.share.failure,
        "Share of starts of tasks that failed, 0 to 1.",
    ),
    metric(
        "kafka_connect_worker_rebalance_completed_rebalances_total",
        |w| w.rebalances.completed as f64,
        "Rebalances that this worker has seen the end of.",
    ),
    metric(
        "kafka_connect_worker_rebalance_epoch",
        |w| f64::from(w.rebalances.epoch),
        "The group's generation.",
    ),
    metric(
        "kafka_connect_worker_rebalance_rebalancing",
        |w| f64::from(u8::from(w.rebalances.rebalancing)),
        "1 while the group rebalances.",
    ),
    metric(
        "kafka_connect_worker_rebalance_rebalance_avg_time_ms",
        |w| w.rebalances.time_ms.avg,
        "How long rebalances took, mean; NaN without one in the last minute.",
    ),
    metric(
        "kafka_connect_worker_rebalance_rebalance_max_time_ms",
        |w| w.rebalances.time_ms.max,
        "How long rebalances took, largest; NaN without one in the last minute.",
    ),
    metric(
        "kafka_connect_worker_rebalance_time_since_last_rebalance_ms",
        |w| w.rebalances.since_last_ms.map_or(f64::INFINITY, |ms| ms as f64),
        "Since the last rebalance; +Inf before the first.",
    ),
];

/// The words among Kafka's rebalance metrics, as labels: leader_name and connect_protocol.
pub(crate) const REBALANCE_INFO: Family = Family::new(
    "kafka_connect_worker_rebalance_info",
    "Who leads the group, and its protocol; always 1.",
);

/// By connector, for the connectors of this worker.
pub(crate) const CONNECTORS: &[Metric<ConnectorStateInfo>] = &[
    metric(
        "kafka_connect_worker_connector_total_task_count",
        |c| c.tasks.len() as f64,
        "Tasks of a connector, wherever they run.",
    ),
    metric(
        "kafka_connect_worker_connector_running_task_count",
        |c| count(c, State::Running),
        "Tasks of a connector that run.",
    ),
    metric(
        "kafka_connect_worker_connector_paused_task_count",
        |c| count(c, State::Paused),
        "Tasks of a connector that are paused.",
    ),
    metric(
        "kafka_connect_worker_connector_failed_task_count",
        |c| count(c, State::Failed),
        "Tasks of a connector that have failed.",
    ),
    metric(
        "kafka_connect_worker_connector_unassigned_task_count",
        |c| count(c, State::Unassigned),
        "Tasks of a connector that nobody runs.",
    ),
    metric(
        "kafka_connect_worker_connector_restarting_task_count",
        |c| count(c, State::Restarting),
        "Tasks of a connector that are being restarted.",
    ),
    metric(
        "kafka_connect_worker_connector_destroyed_task_count",
        |_| 0.0,
        "Tasks of a connector that are being deleted: what is deleted has no status any more.",
    ),
];

/// The words among Kafka's connector metrics, as labels: connector, connector_class, connector_type, connector_version.
pub(crate) const CONNECTOR_INFO: Family = Family::new(
    "kafka_connect_connector_info",
    "What a connector of this worker is; always 1.",
);
/// By connector and status.
pub(crate) const CONNECTOR_STATE: Family = Family::new(
    "heliograph_connector_state",
    "What a connector of this worker does, in its label; always 1.",
);
/// By connector, task and status, as common exporter rules give it.
pub(crate) const TASK_STATUS: Family = Family::new(
    "kafka_connect_connector_status",
    "What a task of this worker does, in its label; always 1.",
);
pub(crate) const TASKS_OMITTED: Family = Family::new(
    "heliograph_tasks_omitted",
    "Tasks of this worker that are not listed, there being too many.",
);
pub(crate) const WORKER_INFO: Family = Family::new(
    "heliograph_worker_info",
    "Who this worker is: its id, and the id of its group's cluster; always 1.",
);

/// One task.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    counters: TaskCounters,
    windows: TaskWindows,
    now_ms: i64,
}

/// By connector and task, for the tasks of this worker.
pub(crate) const TASKS: &[Metric<Task>] = &[
    metric(
        "kafka_connect_connector_task_batch_size_avg",
        |t| t.windows.batch_size.avg,
        "Records of a poll, mean.",
    ),
    metric(
        "kafka_connect_connector_task_batch_size_max",
        |t| t.windows.batch_size.max,
        "Records of a poll, largest.",
    ),
    metric(
        "kafka_connect_connector_task_offset_commit_avg_time_ms",
        |t| t.windows.commit_time_ms.avg,
        "How long storing offsets took, mean.",
    ),
    metric(
        "kafka_connect_connector_task_offset_commit_max_time_ms",
        |t| t.windows.commit_time_ms.max,
        "How long storing offsets took, largest.",
    ),
    metric(
        "kafka_connect_connector_task_offset_commit_success_percentage",
        |t| t.windows.commit_success.success,
        "Share of offset commits that went well, 0 to 1.",
    ),
    metric(
        "kafka_connect_connector_task_offset_commit_failure_percentage",
        |t| t.windows.commit_success.failure,
        "Share of offset commits that failed, 0 to 1.",
    ),
    metric(
        "kafka_connect_connector_task_running_ratio",
        |t| t.windows.running_ratio,
        "Share of its time that the task has been running.",
    ),
    metric(
        "kafka_connect_connector_task_pause_ratio",
        |t| t.windows.pause_ratio,
        "Share of its time that the task has been paused.",
    ),
    metric(
        "kafka_connect_source_task_transaction_size_avg",
        |t| t.windows.transaction_size.avg,
        "Records of a transaction, mean.",
    ),
    metric(
        "kafka_connect_source_task_transaction_size_max",
        |t| t.windows.transaction_size.max,
        "Records of a transaction, most.",
    ),
    metric(
        "kafka_connect_source_task_transaction_size_min",
        |t| t.windows.transaction_size.min,
        "Records of a transaction, fewest.",
    ),
    metric(
        "kafka_connect_source_task_poll_batch_avg_time_ms",
        |t| t.windows.poll_time_ms.avg,
        "How long the task was waited for, mean.",
    ),
    metric(
        "kafka_connect_source_task_poll_batch_max_time_ms",
        |t| t.windows.poll_time_ms.max,
        "How long the task was waited for, largest.",
    ),
    metric(
        "kafka_connect_source_task_source_record_poll_total",
        |t| t.counters.polled_records as f64,
        "Records that the task gave to the worker.",
    ),
    metric(
        "kafka_connect_source_task_source_record_poll_rate",
        |t| t.windows.poll_rate,
        "Records that the task gave to the worker, per second.",
    ),
    metric(
        "kafka_connect_source_task_source_record_write_total",
        |t| t.counters.written_records as f64,
        "Records that the target acknowledged.",
    ),
    metric(
        "kafka_connect_source_task_source_record_write_rate",
        |t| t.windows.write_rate,
        "Records that the target acknowledged, per second.",
    ),
    metric(
        "kafka_connect_source_task_source_record_active_count",
        |t| t.counters.active_records as f64,
        "Records that wait for their acknowledgement.",
    ),
    metric(
        "kafka_connect_source_task_source_record_active_count_avg",
        |t| t.windows.active.avg,
        "Records that wait for their acknowledgement, mean.",
    ),
    metric(
        "kafka_connect_source_task_source_record_active_count_max",
        |t| t.windows.active.max,
        "Records that wait for their acknowledgement, largest.",
    ),
    metric(
        "kafka_connect_task_error_total_record_errors",
        |t| t.counters.record_errors as f64,
        "Records that failed.",
    ),
    metric(
        "kafka_connect_task_error_total_record_failures",
        |t| t.counters.record_errors as f64,
        "Records that failed.",
    ),
    metric(
        "kafka_connect_task_error_total_records_skipped",
        |t| t.counters.records_skipped as f64,
        "Records that failed and were skipped.",
    ),
    metric(
        "kafka_connect_task_error_total_errors_logged",
        |t| t.counters.errors_logged as f64,
        "Log lines about failed records.",
    ),
    metric(
        "kafka_connect_task_error_last_error_timestamp",
        |t| {
            t.counters
                .since_last_error_ms
                .map_or(0.0, |ago| (t.now_ms - ago) as f64)
        },
        "When a record failed last, in milliseconds since 1970; 0 if never.",
    ),
    metric(
        "heliograph_task_written_bytes_total",
        |t| t.counters.written_bytes as f64,
        "Bytes that the target acknowledged.",
    ),
    metric(
        "heliograph_task_written_batches_total",
        |t| t.counters.written_batches as f64,
        "Batches that the target acknowledged.",
    ),
    metric(
        "heliograph_task_refused_batches_total",
        |t| t.counters.refused_batches as f64,
        "Batches that the target would not take.",
    ),
    metric(
        "heliograph_task_poll_failures_total",
        |t| t.counters.poll_failures as f64,
        "Failures of the task that passed.",
    ),
    metric(
        "heliograph_task_filtered_records_total",
        |t| t.counters.filtered_records as f64,
        "Records that a transformation dropped on purpose.",
    ),
    metric(
        "heliograph_task_commits_total",
        |t| t.counters.commits as f64,
        "Offset commits that stored something.",
    ),
    metric(
        "heliograph_task_commit_failures_total",
        |t| t.counters.commit_failures as f64,
        "Offset commits that failed.",
    ),
    metric(
        "heliograph_task_last_commit_timestamp_seconds",
        |t| match t.counters.last_commit_ms {
            0 => f64::NAN,
            at => at as f64 / 1000.0,
        },
        "When offsets were stored last; NaN if never.",
    ),
];

fn attempts(starts: StartupSnapshot) -> f64 {
    (starts.succeeded + starts.failed) as f64
}

fn count(connector: &ConnectorStateInfo, state: State) -> f64 {
    let tasks = connector.tasks.iter();
    tasks.filter(|(_, task)| task.state == state).count() as f64
}

pub(crate) fn write(page: &mut Page, workers: &[WorkerState], now_ms: i64) {
    let described: Vec<Described> = workers.iter().map(|worker| Described::new(worker, now_ms)).collect();
    let all = |of: fn(&Described) -> &Vec<(Labels, f64)>| {
        described.iter().flat_map(of).map(|(labels, value)| (labels, *value))
    };
    let totals: Vec<_> = described.iter().map(|worker| worker.totals.clone()).collect();
    page.table(WORKER, &totals);
    page.family(&WORKER_INFO, all(|worker| &worker.info));
    page.family(&REBALANCE_INFO, all(|worker| &worker.rebalance_info));
    let connectors: Vec<_> = described.iter().flat_map(|worker| worker.connectors.clone()).collect();
    page.table(CONNECTORS, &connectors);
    page.family(&CONNECTOR_INFO, all(|worker| &worker.connector_info));
    page.family(&CONNECTOR_STATE, all(|worker| &worker.connector_state));
    page.family(&TASK_STATUS, all(|worker| &worker.task_status));
    let tasks: Vec<_> = described.iter().flat_map(|worker| worker.tasks.clone()).collect();
    page.table(TASKS, &tasks);
    page.family(&TASKS_OMITTED, all(|worker| &worker.omitted));
}

/// A worker's samples.
struct Described {
    totals: (Labels, Totals),
    info: Vec<(Labels, f64)>,
    rebalance_info: Vec<(Labels, f64)>,
    connectors: Vec<(Labels, ConnectorStateInfo)>,
    connector_info: Vec<(Labels, f64)>,
    connector_state: Vec<(Labels, f64)>,
    task_status: Vec<(Labels, f64)>,
    tasks: Vec<(Labels, Task)>,
    omitted: Vec<(Labels, f64)>,
}

impl Described {
    fn new(worker: &WorkerState, now_ms: i64) -> Self {
        let own = Labels::new(&[("flow", &worker.flow)]);
        let here = |worker_id: &str, state: State| worker_id == worker.worker_id && state != State::Unassigned;
        let connectors: Vec<&ConnectorStateInfo> = worker
            .statuses
            .iter()
            .filter(|connector| here(&connector.connector.worker_id, connector.connector.state))
            .collect();
        let rebalances = worker.metrics.rebalances();
        let cluster = worker.kafka_cluster_id.as_deref().unwrap_or_default();
        let mut described = Self {
            info: vec![(
                own.with(&[("worker_id", &worker.worker_id), ("kafka_cluster_id", cluster)]),
                1.0,
            )],
            rebalance_info: vec![(
                own.with(&[
                    ("leader_name", &rebalances.leader),
                    ("connect_protocol", &rebalances.protocol),
                ]),
                1.0,
            )],
            connectors: Vec::new(),
            connector_info: Vec::new(),
            connector_state: Vec::new(),
            task_status: Vec::new(),
            tasks: Vec::new(),
            omitted: vec![(own.clone(), worker.tasks.len().saturating_sub(MAX_TASKS) as f64)],
            totals: (
                own.clone(),
                Totals {
                    connectors: connectors.len(),
                    tasks: worker.tasks.len(),
                    connector_starts: worker.metrics.connector_startups(),
                    task_starts: worker.metrics.task_startups(),
                    rebalances,
                },
            ),
        };
        for connector in connectors {
            let labels = own.with(&[("connector", &connector.name)]);
            let info = worker.connectors.iter().find(|info| info.name == connector.name);
            let class = info.and_then(|info| info.config.get("connector.class")?.as_deref());
            let words = [
                ("connector_class", class.unwrap_or_default()),
                ("connector_type", connector.kind.as_str()),
                (
                    "connector_version",
                    connector.connector.version.as_deref().unwrap_or_default(),
                ),
            ];
            described.connector_info.push((labels.with(&words), 1.0));
            let state = format!("{:?}", connector.connector.state).to_lowercase();
            described
                .connector_state
                .push((labels.with(&[("status", &state)]), 1.0));
            described.connectors.push((labels, connector.clone()));
        }
        let statuses = worker.statuses.iter().flat_map(|connector| {
            let tasks = connector
                .tasks
                .iter()
                .filter(|(_, task)| here(&task.worker_id, task.state));
            tasks.map(|(number, task)| (connector.name.as_str(), *number, task.state))
        });
        for (connector, number, state) in statuses.take(MAX_TASKS) {
            let state = format!("{state:?}").to_lowercase();
            let words = [
                ("connector", connector),
                ("task", &*number.to_string()),
                ("status", &state),
            ];
            described.task_status.push((own.with(&words), 1.0));
        }
        for (id, metrics) in worker.tasks.iter().take(MAX_TASKS) {
            let labels = own.with(&[("connector", &id.connector), ("task", &id.task.to_string())]);
            let task = Task {
                counters: metrics.read(),
                windows: metrics.windows(),
                now_ms,
            };
            described.tasks.push((labels, task));
        }
        described
    }
}
