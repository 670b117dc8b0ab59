//! A Connect worker: a member of a group, with its REST API.

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use config_def::{ConfigTransformer, properties};
use connect_mirror::MirrorMetrics;
use connect_rest::{Api, Loggers, RestClient, Server};
use connect_runtime::{Clock, Herder, HerderOptions, WorkerSettings, herder::Assignments};
use kafka_client::{Admin, Client, ClientConfig, Dialer};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{plugins::MirrorPlugins, shutdown, worker_keys};

/// Kafka's exit code when the worker's main loop ends by itself.
const EXIT_WORKER_FAILED: u8 = 1;
/// Kafka's exit code when the file is wrong, the cluster does not answer, or an address cannot be listened on.
const EXIT_START_FAILED: u8 = 2;
/// Kafka's exit code when the worker cannot be started.
const EXIT_NOT_STARTED: u8 = 3;
/// What the end may take besides `worker.sync.timeout.ms` and `task.shutdown.graceful.timeout.ms`, as in Kafka.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// Runs the worker that `file` describes until a signal asks for the end.
pub(crate) async fn main(file: &Path, loggers: Arc<Loggers>) -> ExitCode {
    info!(version = env!("CARGO_PKG_VERSION"), file = %file.display(), "heliograph connect-distributed starts");
    let prepared = async {
        let worker = Worker::read(file).with_context(|| format!("{} cannot be used", file.display()))?;
        worker.check_cluster().await?;
        let server = Server::bind(&worker.settings.props).await?;
        anyhow::Ok((worker, server))
    };
    let signals = shutdown::requested();
    tokio::pin!(signals);
    let prepared = tokio::select! {
        prepared = prepared => prepared,
        _ = &mut signals => return ExitCode::SUCCESS,
    };
    let (worker, server) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return failed(&error, EXIT_START_FAILED),
    };
    let patience = worker.patience();
    let running = match worker.start(server, loggers) {
        Ok(running) => running,
        Err(error) => return failed(&error, EXIT_NOT_STARTED),
    };
    let cancel = running.cancel.clone();
    let stopping = async {
        match signals.await {
            Ok(signal) => info!(signal, "stopping: in-flight batches are finished and offsets committed"),
            Err(error) => error!(%error, "signals cannot be received; stopping"),
        }
        cancel.cancel();
        tokio::select! {
            // A second signal is impatience.
            _ = shutdown::requested() => {}
            () = tokio::time::sleep(patience) => {}
        }
        warn!("stopped before everything was finished");
    };
    let ended = tokio::select! {
        biased;
        ended = running.end() => ended,
        () = stopping => Ok(()),
    };
    match ended {
        Ok(()) => {
            info!("heliograph connect-distributed stopped");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error, EXIT_WORKER_FAILED),
    }
}

fn failed(error: &anyhow::Error, code: u8) -> ExitCode {
    error!("{error:#}");
    ExitCode::from(code)
}

/// A worker that is described, and not started.
struct Worker {
    settings: WorkerSettings,
}

impl Worker {
    fn read(path: &Path) -> Result<Self> {
        let file = properties::parse(&std::fs::read(path)?)?;
        // Before anything can be missing: a misspelt key is often the one that is.
        for warning in worker_keys::warnings(&file, &connect_runtime::config::KNOWN_KEYS) {
            warn!("{warning}");
        }
        // Resolved once: connectors' variables are resolved whenever they are used, by providers of the same settings.
        let raw = file.props();
        let settings = WorkerSettings::parse(&ConfigTransformer::from_props(&raw)?.transform(&raw)?)?;
        if !settings.is_exactly_once_disabled() {
            warn!("exactly.once.source.support is not supported yet: records are delivered at least once");
        }
        Ok(Self { settings })
    }

    /// A cluster that does not answer ends the worker at once: whoever watches it starts it again.
    async fn check_cluster(&self) -> Result<()> {
        let client = Client::new(ClientConfig::parse(&self.settings.props)?, Dialer::tcp());
        let described = Admin::new(client).describe_cluster().await;
        described.context(
            "Failed to connect to and describe Kafka cluster. Check worker's broker connection and security properties.",
        )?;
        Ok(())
    }

    /// How long the end may take.
    fn patience(&self) -> Duration {
        let group = self.settings.group.as_ref();
        let sync = group.map_or(Duration::ZERO, |group| group.config.worker_sync_timeout);
        sync + self.settings.task_shutdown_graceful_timeout + STOP_TIMEOUT
    }

    fn start(self, server: Server, loggers: Arc<Loggers>) -> Result<Running> {
        let Self { settings } = self;
        let dialer = Dialer::tcp();
        let plugins = MirrorPlugins::new(dialer.clone(), MirrorMetrics::default(), &settings.props)?;
        let plugins = Arc::new(plugins);
        let (herder, handle) = Herder::new(HerderOptions {
            flow: settings
                .group
                .as_ref()
                .map_or_else(String::new, |group| group.config.group_id.to_string()),
            worker_id: server.worker_id().to_owned(),
            settings,
            connectors: Vec::new(),
            plugins: plugins.clone(),
            dialer,
            clock: Clock::system(),
            assignments: Assignments::of_group(server.advertised_url(), Arc::new(RestClient)),
            logger_levels: Some(loggers.clone()),
        });
        let api = Api::new(handle, plugins.registry(), plugins.validation(), loggers);
        let cancel = CancellationToken::new();
        let (stop_rest, stop_herder) = (cancel.child_token(), CancellationToken::new());
        let (mut rest, mut worker) = (JoinSet::new(), JoinSet::new());
        rest.spawn(server.serve(api, axum::Router::new(), stop_rest));
        worker.spawn(herder.run(stop_herder.clone()));
        Ok(Running {
            cancel,
            rest,
            worker,
            stop_herder,
        })
    }
}

/// A worker at work.
struct Running {
    /// Stops the REST server, and then the herder: requests on their way are still answered.
    cancel: CancellationToken,
    rest: JoinSet<()>,
    worker: JoinSet<Result<(), connect_runtime::herder::Error>>,
    stop_herder: CancellationToken,
}

impl Running {
    async fn end(mut self) -> Result<()> {
        tokio::select! {
            ended = self.worker.join_next() => {
                self.rest.shutdown().await;
                let ended = ended.context("the herder is gone")?;
                return ended.context("the herder ended unexpectedly")?.context("the worker failed");
            }
            _ = self.rest.join_next() => {}
        }
        self.stop_herder.cancel();
        let ended = self.worker.join_next().await.context("the herder is gone")?;
        ended
            .context("the herder ended unexpectedly")?
            .context("the worker failed")
    }
}
