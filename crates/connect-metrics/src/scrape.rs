use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use connect_mirror::{MirrorMetrics, source::Pace};
use connect_runtime::{Clock, HerderHandle, herder::RequestError};
use futures_util::future::join_all;
use kafka_client::Dialer;
use tokio::{sync::Mutex, time::Instant};

use crate::{
    clients,
    exposition::{Family, Format, Labels, Page},
    limits, mirror, process,
    worker::{self, WorkerState},
};

/// A herder answers in microseconds, unless it starts or its group rebalances: then its statuses are left out.
const HERDER_TIMEOUT: Duration = Duration::from_millis(500);

pub(crate) const BUILD_INFO: Family = Family::new(
    "heliograph_build_info",
    "Which version this is, and which Kafka it stands in for; always 1.",
);
pub(crate) const SCRAPE_SECONDS: Family = Family::new(
    "heliograph_last_scrape_duration_seconds",
    "How long it took to write the page before this one.",
);

/// See [`Pace`].
pub(crate) const PACE: Family = Family::new(
    "heliograph_pace_bytes_per_second",
    "What all tasks may copy together while they give way to REST requests; not there while they do not.",
);

/// Where values come from.
#[derive(Debug)]
pub struct Options {
    /// The workers of this process: several in dedicated mode.
    pub workers: Vec<Worker>,
    /// What the mirror connectors count.
    pub mirror: MirrorMetrics,
    /// What its tasks keep.
    pub pace: Pace,
    /// The way to brokers, which knows all clients.
    pub dialer: Dialer,
    /// For ages.
    pub clock: Clock,
    /// How many partitions have series of their own (`heliograph.metrics.max.partitions`).
    pub max_partitions: usize,
}

/// One worker of the process.
#[derive(Debug)]
pub struct Worker {
    /// `A->B` where the process has a worker for each flow; else empty.
    pub flow: String,
    /// As statuses name it.
    pub worker_id: String,
    /// Asked at each scrape.
    pub herder: HerderHandle,
}

/// What is served at `/metrics`.
#[derive(Debug)]
pub struct Metrics {
    options: Arc<Options>,
    /// How long the last page took. Pages are written one at a time: more readers cost no more of this process.
    last_took: Mutex<Duration>,
}

impl Metrics {
    /// Nothing is read before somebody asks.
    pub fn new(options: Options) -> Self {
        Self {
            options: Arc::new(options),
            last_took: Mutex::new(Duration::ZERO),
        }
    }

    /// `GET /metrics`.
    pub fn router(self) -> Router {
        let metrics = Arc::new(self);
        let answer = move |headers: HeaderMap| {
            let metrics = metrics.clone();
            async move { metrics.answer(&headers).await }
        };
        Router::new().route("/metrics", get(answer))
    }

    async fn answer(&self, headers: &HeaderMap) -> Response {
        let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let format = Format::accepted(accept.unwrap_or_default());
        match self.page(format).await {
            Ok(page) => ([(header::CONTENT_TYPE, format.content_type())], page).into_response(),
            Err(error) => {
                tracing::error!(%error, "metrics cannot be written");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    pub(crate) async fn page(&self, format: Format) -> Result<String, tokio::task::JoinError> {
        let mut last_took = self.last_took.lock().await;
        let workers = join_all(self.options.workers.iter().map(state)).await;
        let (options, took) = (self.options.clone(), *last_took);
        let began = Instant::now();
        // Thousands of partitions take milliseconds to write down, which the threads that carry records do not have.
        let page = tokio::task::spawn_blocking(move || write(&options, &workers, took, format)).await;
        *last_took = began.elapsed();
        page
    }
}

async fn state(worker: &Worker) -> WorkerState {
    let herder = &worker.herder;
    let started = herder.has_started();
    let (statuses, connectors, tasks) = tokio::join!(
        in_time(started, herder.statuses()),
        in_time(started, herder.connector_infos()),
        in_time(started, herder.task_metrics()),
    );
    WorkerState {
        flow: worker.flow.clone(),
        worker_id: worker.worker_id.clone(),
        metrics: herder.metrics(),
        kafka_cluster_id: herder.kafka_cluster_id(),
        statuses,
        connectors,
        tasks,
    }
}

/// The answer, or nothing if there is none in time. Nobody is asked who has not started.
async fn in_time<T>(started: bool, answer: impl Future<Output = Result<Vec<T>, RequestError>>) -> Vec<T> {
    if !started {
        return Vec::new();
    }
    let answer = tokio::time::timeout(HERDER_TIMEOUT, answer).await;
    answer.map_or_else(|_late| Vec::new(), Result::unwrap_or_default)
}

fn write(options: &Options, workers: &[WorkerState], last_took: Duration, format: Format) -> String {
    let now_ms = options.clock.now_ms();
    let mut page = Page::new(format);
    let build = Labels::new(&[
        ("version", env!("CARGO_PKG_VERSION")),
        ("kafka_version", connect_plugins::KAFKA_VERSION),
    ]);
    let (process, pace) = (Labels::default(), options.pace.bytes_per_second());
    page.family(&BUILD_INFO, [(&build, 1.0)]);
    page.family(&SCRAPE_SECONDS, [(&process, last_took.as_secs_f64())]);
    process::write(&mut page);
    worker::write(&mut page, workers, now_ms);
    clients::write(&mut page, &options.dialer, now_ms);
    page.family(&PACE, pace.map(|pace| (&process, pace as f64)));
    limits::write(&mut page, options.mirror.limit_snapshots(Instant::now()));
    mirror::write(&mut page, &options.mirror, now_ms, options.max_partitions);
    page.finish()
}
