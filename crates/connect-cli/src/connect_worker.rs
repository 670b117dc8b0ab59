//! A Connect worker with its REST API: a member of a group, or standalone.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use config_def::{ConfigTransformer, properties};
use connect_mirror::{MirrorMetrics, source::Pace};
use connect_rest::{Api, Loggers, Server};
use connect_runtime::{Clock, Herder, HerderHandle, HerderOptions, WorkerSettings, herder::Assignments};
use kafka_client::{Admin, Client, ClientConfig, Dialer};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    connector_file::ConnectorFile, environment::Settings, giving_way, java_options, metrics::MetricsPlace,
    plugins::MirrorPlugins, shutdown, worker_keys,
};

/// Kafka's exit code when the worker's main loop ends by itself.
const EXIT_WORKER_FAILED: u8 = 1;
/// Kafka's exit code when the file is wrong, the cluster does not answer, or an address cannot be listened on.
const EXIT_START_FAILED: u8 = 2;
/// Kafka's exit code when the worker cannot be started.
const EXIT_NOT_STARTED: u8 = 3;
/// What the end may take besides `worker.sync.timeout.ms` and `task.shutdown.graceful.timeout.ms`, as in Kafka.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How a worker shares its work.
pub(crate) enum Mode {
    /// With the other workers of its group.
    Distributed,
    /// With nobody; it runs these connectors, and what is created over REST until its end.
    Standalone(Vec<PathBuf>),
}

impl Mode {
    fn command(&self) -> &'static str {
        match self {
            Self::Distributed => "connect-distributed",
            Self::Standalone(_) => "connect-standalone",
        }
    }
}

/// Runs the worker that the settings describe until a signal asks for the end.
pub(crate) async fn main(settings: &Settings, mode: Mode, loggers: Arc<Loggers>) -> ExitCode {
    let command = mode.command();
    info!(version = env!("CARGO_PKG_VERSION"), file = %settings, "heliograph {command} starts");
    let prepared = async {
        let worker = Worker::read(settings, mode).with_context(|| format!("{settings} cannot be used"))?;
        worker.check_cluster().await?;
        let system = java_options::system_properties();
        let server = Server::bind(&worker.settings.props, &system).await?;
        let metrics = MetricsPlace::bind(&worker.settings.props, &system).await?;
        anyhow::Ok((worker, server, metrics))
    };
    let signals = shutdown::requested();
    tokio::pin!(signals);
    let prepared = tokio::select! {
        prepared = prepared => prepared,
        _ = &mut signals => return ExitCode::SUCCESS,
    };
    let (worker, server, metrics) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return failed(&error, EXIT_START_FAILED),
    };
    let patience = worker.patience();
    let running = match worker.start(server, metrics, loggers) {
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
            info!("heliograph {command} stopped");
            ExitCode::SUCCESS
        }
        Err(Ended::Worker(error)) => failed(&error, EXIT_WORKER_FAILED),
        Err(Ended::Connector(error)) => failed(&error, EXIT_NOT_STARTED),
    }
}

fn failed(error: &anyhow::Error, code: u8) -> ExitCode {
    error!("{error:#}");
    ExitCode::from(code)
}

/// A worker that is described, and not started.
struct Worker {
    settings: WorkerSettings,
    /// Of a standalone worker.
    connectors: Option<Vec<ConnectorFile>>,
}

impl Worker {
    fn read(settings: &Settings, mode: Mode) -> Result<Self> {
        let file = properties::parse(&settings.of_worker()?)?;
        // Before anything can be missing: a misspelt key is often the one that is.
        for warning in worker_keys::warnings(&file, &connect_runtime::config::KNOWN_KEYS) {
            warn!("{warning}");
        }
        // Resolved once: connectors' variables are resolved whenever they are used, by providers of the same settings.
        let raw = file.props();
        let props = ConfigTransformer::from_props(&raw)?.transform(&raw)?;
        let (settings, connectors) = match mode {
            Mode::Distributed => (WorkerSettings::parse(&props)?, None),
            Mode::Standalone(files) => {
                let connectors = files
                    .iter()
                    .map(|file| ConnectorFile::read(file))
                    .collect::<Result<_>>()?;
                (WorkerSettings::parse_standalone(&props)?, Some(connectors))
            }
        };
        Ok(Self { settings, connectors })
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

    fn start(self, server: Server, metrics: MetricsPlace, loggers: Arc<Loggers>) -> Result<Running> {
        let Self { settings, connectors } = self;
        let dialer = Dialer::tcp();
        let mirror = MirrorMetrics::default();
        let plugins = match connectors {
            None => MirrorPlugins::new(dialer.clone(), mirror.clone(), &settings.props)?,
            Some(_) => MirrorPlugins::standalone(dialer.clone(), mirror.clone(), &settings.props)?,
        };
        let (asked, pace) = (server.asked(), Pace::default());
        let plugins = Arc::new(plugins.at_pace(pace.clone()));
        let (herder, handle) = Herder::new(HerderOptions {
            flow: settings
                .group
                .as_ref()
                .map_or_else(|| "standalone".to_owned(), |group| group.config.group_id.to_string()),
            worker_id: server.worker_id().to_owned(),
            settings,
            connectors: Vec::new(),
            plugins: plugins.clone(),
            dialer: dialer.clone(),
            clock: Clock::system(),
            assignments: match connectors {
                None => Assignments::of_group(server.advertised_url(), Arc::new(server.client())),
                Some(_) => Assignments::single_node(),
            },
            logger_levels: Some(loggers.clone()),
        });
        let worker_here = connect_metrics::Worker {
            flow: String::new(),
            worker_id: server.worker_id().to_owned(),
            herder: handle.clone(),
        };
        let mut creating = JoinSet::new();
        if let Some(connectors) = connectors {
            creating.spawn(create(handle.clone(), connectors));
        }
        let api = Api::new(handle, plugins.registry(), plugins.validation(), loggers);
        let cancel = CancellationToken::new();
        let (stop_rest, stop_herder) = (cancel.child_token(), CancellationToken::new());
        let (mut rest, mut worker) = (JoinSet::new(), JoinSet::new());
        let more = metrics.serve(
            vec![worker_here],
            mirror,
            pace.clone(),
            dialer,
            &mut rest,
            cancel.child_token(),
        );
        let serving = server.serve(api, more, stop_rest);
        rest.spawn(giving_way::while_serving(serving, asked, pace));
        worker.spawn(herder.run(stop_herder.clone()));
        Ok(Running {
            cancel,
            rest,
            worker,
            creating,
            stop_herder,
        })
    }
}

/// Has the connectors of a standalone worker's files made, one after the other, as over REST.
async fn create(herder: HerderHandle, connectors: Vec<ConnectorFile>) -> Result<()> {
    for ConnectorFile {
        name,
        config,
        initial_state,
    } in connectors
    {
        let created = herder.put_connector(&name, config, initial_state, false).await;
        created.with_context(|| format!("Failed to create connector {name}"))?;
        info!(connector = name, "created connector");
    }
    Ok(())
}

/// A worker at work.
struct Running {
    /// Stops the REST server, and then the herder: requests on their way are still answered.
    cancel: CancellationToken,
    rest: JoinSet<()>,
    worker: JoinSet<Result<(), connect_runtime::herder::Error>>,
    /// Makes the connectors of a standalone worker.
    creating: JoinSet<Result<()>>,
    stop_herder: CancellationToken,
}

/// Why a worker ended by itself.
enum Ended {
    /// A connector of a standalone worker's files cannot be made.
    Connector(anyhow::Error),
    /// The worker itself.
    Worker(anyhow::Error),
}

impl Running {
    async fn end(mut self) -> Result<(), Ended> {
        let mut refused = None;
        loop {
            tokio::select! {
                ended = self.worker.join_next() => {
                    self.rest.shutdown().await;
                    return herder_ended(ended);
                }
                Some(created) = self.creating.join_next() => {
                    let created = created.context("making the connectors ended unexpectedly");
                    if let Err(error) = created.and_then(|created| created) {
                        refused = Some(error);
                        self.cancel.cancel();
                    }
                }
                _ = self.rest.join_next() => break,
            }
        }
        self.stop_herder.cancel();
        let ended = herder_ended(self.worker.join_next().await);
        match refused {
            Some(refused) => Err(Ended::Connector(refused)),
            None => ended,
        }
    }
}

type HerderEnd = Result<Result<(), connect_runtime::herder::Error>, tokio::task::JoinError>;

fn herder_ended(ended: Option<HerderEnd>) -> Result<(), Ended> {
    let ended = ended.context("the herder is gone");
    let ended = ended.and_then(|ended| ended.context("the herder ended unexpectedly"));
    ended
        .and_then(|ended| ended.context("the worker failed"))
        .map_err(Ended::Worker)
}
