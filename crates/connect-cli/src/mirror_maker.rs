//! Dedicated mode: one herder for each flow of an `mm2.properties` file, in one process.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use config_def::{ConfigTransformer, PropertiesFile, Props, parse_boolean, properties};
use connect_api::BoxFuture;
use connect_metrics::Worker;
use connect_mirror::{
    MirrorMetrics,
    mirror_maker_config::{MirrorConnector, MirrorMakerConfig, SourceAndTarget},
    source::{Pace, rate_limits::RATE_KEYS},
};
use connect_rest::{Flow, Server};
use connect_runtime::{
    Clock, ExactlyOnceSupport, Herder, HerderOptions, WorkerSettings,
    herder::{Assignments, RequestSignature, WorkerClient, WorkerClientError},
};
use kafka_client::{ClientConfig, Dialer};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    environment::{Environment, Settings},
    giving_way, java_options,
    metrics::MetricsPlace,
    plugins::MirrorPlugins,
    shutdown,
};

/// Kafka's exit code when the file is wrong or a cluster is not what it should be.
const EXIT_START_FAILED: u8 = 2;
/// Kafka's exit code when a worker ends by itself.
const EXIT_WORKER_FAILED: u8 = 3;
/// Ours: where what the flows do can be looked at over HTTP. Kafka's dedicated mode has nothing like it.
pub(crate) const REST_LISTENERS: &str = "heliograph.rest.listeners";
/// Ours: whether limits can be changed there.
const REST_LIMITS: &str = "heliograph.rest.limits.enabled";
/// Keys that are for the process, and so for no flow.
const OF_THE_PROCESS: [&str; 7] = [
    REST_LISTENERS,
    REST_LIMITS,
    "heliograph.metrics.listener",
    "heliograph.metrics.max.partitions",
    "heliograph.rest.mask.secrets",
    "heliograph.rest.priority.enabled",
    "rest.extension.classes",
];
/// What a node without internal REST says instead of its URL, as in Kafka.
const NO_URL: &str = "NOTUSED";

/// Mirrors as the settings say until a signal asks for the end. `targets` limits the flows to those towards these clusters.
pub(crate) async fn main(settings: &Settings, targets: &[String]) -> ExitCode {
    info!(version = env!("CARGO_PKG_VERSION"), file = %settings, "heliograph mirror-maker starts");
    let bytes = match settings.of_mirror_maker() {
        Ok(bytes) => bytes,
        Err(error) => return failed(&error, EXIT_START_FAILED),
    };
    let flows = match Flows::read(&bytes, targets).with_context(|| format!("{settings} cannot be used")) {
        Ok(flows) => flows,
        Err(error) => return failed(&error, EXIT_START_FAILED),
    };
    let cancel = CancellationToken::new();
    let stopping = cancel.clone();
    let signals = async {
        match shutdown::requested().await {
            Ok(signal) => info!(signal, "stopping: in-flight batches are finished and offsets committed"),
            Err(error) => error!(%error, "signals cannot be received; stopping"),
        }
        stopping.cancel();
        // A second signal is impatience: the next start repeats what was not committed.
        let _ = shutdown::requested().await;
    };
    let ended = tokio::select! {
        biased;
        ended = flows.run(MirrorMetrics::default(), cancel) => ended,
        () = signals => Err(anyhow!("stopped before everything was finished")),
    };
    match ended {
        Ok(()) => {
            info!("heliograph mirror-maker stopped");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error, EXIT_WORKER_FAILED),
    }
}

fn failed(error: &anyhow::Error, code: u8) -> ExitCode {
    error!("{error:#}");
    ExitCode::from(code)
}

/// Mirrors as the properties say until cancelled. The quickstart's way in.
pub(crate) async fn run(
    properties: &[u8],
    targets: &[String],
    metrics: MirrorMetrics,
    cancel: CancellationToken,
) -> Result<()> {
    Flows::read(properties, targets)?.run(metrics, cancel).await
}

/// What a file makes of flows.
struct Flows {
    config: MirrorMakerConfig,
    pairs: Vec<(SourceAndTarget, WorkerSettings)>,
}

impl Flows {
    fn read(bytes: &[u8], targets: &[String]) -> Result<Self> {
        let file: PropertiesFile = properties::parse(bytes)?;
        let config = MirrorMakerConfig::parse(file.props(), &ConfigTransformer::from_props(&file.props())?)?;
        for key in &config.key_report(&connect_runtime::config::KNOWN_KEYS).keys {
            if let Some(warning) = key.warning().filter(|_| !OF_THE_PROCESS.contains(&&*key.key)) {
                warn!(line = file.line(&key.key).unwrap_or_default(), "{warning}");
            }
        }
        let pairs: Vec<SourceAndTarget> = config
            .cluster_pairs()
            .into_iter()
            .filter(|pair| targets.is_empty() || targets.contains(&pair.target))
            .collect();
        let flows: Vec<String> = config.cluster_pairs().iter().map(ToString::to_string).collect();
        if pairs.is_empty() && !flows.is_empty() {
            bail!(
                "No replication flow to {}: --clusters takes targets of flows, and the file's flows are {}",
                targets.join(", "),
                flows.join(", ")
            );
        }
        if pairs.is_empty() {
            bail!(
                "No source->target replication flows. Enable one with `source->target.enabled = true`; the clusters are {}",
                config.clusters().join(", ")
            );
        }
        for alias in pairs.iter().flat_map(|pair| [&pair.source, &pair.target]) {
            let client = config.client_config(alias).admin;
            if !client.contains_key("bootstrap.servers") {
                bail!("cluster {alias} has no bootstrap servers: set {alias}.bootstrap.servers = host:port");
            }
            ClientConfig::parse(&client).with_context(|| format!("cluster {alias} (properties `{alias}.*`)"))?;
        }
        let mut workers = Vec::new();
        for pair in pairs {
            let settings = WorkerSettings::parse(&config.worker_config(&pair))
                .with_context(|| format!("the worker of {pair} (properties `{}.*` of the file)", pair.target))?;
            warn_of_nodes_that_cannot_speak(&pair, &settings, config.enable_internal_rest());
            workers.push((pair, settings));
        }
        Ok(Self { config, pairs: workers })
    }

    async fn run(self, metrics: MirrorMetrics, cancel: CancellationToken) -> Result<()> {
        let dialer = Dialer::tcp();
        let (props, system) = (self.config.resolved(), java_options::system_properties());
        let metrics_place = MetricsPlace::bind(props, &system).await?;
        let mut workers = Vec::new();
        let server = match self.config.enable_internal_rest() {
            true => Some(Server::bind_internal(props).await?),
            false => None,
        };
        let read_only = read_only(&self.config, &system).await?;
        let limits = self.config.resolved().get(REST_LIMITS);
        let changeable: Vec<&'static str> = match limits.is_some_and(|on| parse_boolean(on)) {
            true => RATE_KEYS.iter().map(|key| key.name).collect(),
            false => Vec::new(),
        };
        let pace = Pace::default();
        let (mut herders, mut flows) = (JoinSet::new(), Vec::new());
        for (pair, settings) in self.pairs {
            let connectors = MirrorConnector::ALL
                .into_iter()
                .map(|connector| {
                    (
                        connector.name().to_owned(),
                        self.config.connector_config(&pair, connector),
                    )
                })
                .collect();
            let plugins = MirrorPlugins::new(dialer.clone(), metrics.clone(), &settings.props)
                .with_context(|| format!("the worker of {pair}"))?
                .at_pace(pace.clone());
            let (worker_id, assignments) = match &server {
                Some(server) => (
                    format!("{}/{pair}", server.worker_id()),
                    Assignments::of_group(
                        server.advertised_url(),
                        Arc::new(server.flow_client(&pair.source, &pair.target)),
                    ),
                ),
                None => (
                    format!("{}/{pair}/{}", host_name(), uuid::Uuid::new_v4()),
                    Assignments::of_group(NO_URL, Arc::new(NoInternalRest)),
                ),
            };
            let (herder, handle) = Herder::new(HerderOptions {
                flow: pair.to_string(),
                worker_id: worker_id.clone(),
                settings,
                connectors,
                plugins: Arc::new(plugins),
                dialer: dialer.clone(),
                clock: Clock::system(),
                assignments,
                logger_levels: None,
            });
            workers.push(Worker {
                flow: pair.to_string(),
                worker_id,
                herder: handle.clone(),
            });
            flows.push(Flow {
                source: pair.source.clone(),
                target: pair.target.clone(),
                herder: handle,
                changeable: changeable.clone(),
            });
            let cancel = cancel.child_token();
            herders.spawn(async move { (pair, herder.run(cancel).await) });
        }
        // It goes with this function: nodes ask each other again.
        let mut rest = JoinSet::new();
        if let Some(server) = read_only {
            let asked = server.asked();
            let serving = server.serve_flows_read_only(flows.clone(), cancel.child_token());
            rest.spawn(giving_way::while_serving(serving, asked, pace.clone()));
        }
        // On a listener of its own only: what nodes ask each other is not for everybody.
        drop(metrics_place.serve(workers, metrics, pace, dialer, &mut rest, cancel.child_token()));
        if let Some(server) = server {
            rest.spawn(server.serve_flows(flows, cancel.child_token()));
        }
        let mut first_failure = None;
        while let Some(ended) = herders.join_next().await {
            let failure = match ended {
                Ok((_, Ok(()))) => continue,
                Ok((pair, Err(error))) => anyhow!(error).context(format!("the worker of {pair} failed")),
                Err(error) => anyhow!(error).context("a worker ended unexpectedly"),
            };
            // As in Kafka, one worker that cannot go on ends the process: whoever watches it starts it again.
            cancel.cancel();
            first_failure.get_or_insert(failure);
        }
        first_failure.map_or(Ok(()), Err)
    }
}

/// Where flows can be looked at, if a file or the environment says so.
async fn read_only(config: &MirrorMakerConfig, system: &Props) -> Result<Option<Server>> {
    let bind = async |listeners: &str| Server::bind_apart(listeners, config.resolved(), system).await;
    if let Some(listeners) = config.resolved().get(REST_LISTENERS) {
        return Ok(Some(bind(listeners).await.context(REST_LISTENERS)?));
    }
    let environment = Environment::of_process();
    let Some(listeners) = environment.rest_listeners() else {
        return Ok(None);
    };
    // It comes with an image, and who runs two of them in one network did not ask for it.
    match bind(listeners).await {
        Ok(server) => Ok(Some(server)),
        Err(error) => {
            warn!(listeners, %error, "a health check will find nothing: set {REST_LISTENERS} or HELIOGRAPH_REST_LISTENERS");
            Ok(None)
        }
    }
}

/// Nodes that cannot speak to each other: only the leader stores the task configs of the connectors that it runs.
struct NoInternalRest;

impl NoInternalRest {
    fn refuse(connector: &str) -> BoxFuture<'_, Result<(), WorkerClientError>> {
        Box::pin(async move {
            Err(WorkerClientError {
                status: None,
                message: format!(
                    "{connector} runs on this node, another node leads, and they cannot speak to each other: set \
                     dedicated.mode.enable.internal.rest = true on all nodes"
                ),
            })
        })
    }
}

impl WorkerClient for NoInternalRest {
    fn put_task_configs<'a>(
        &'a self,
        _leader_url: &'a str,
        connector: &'a str,
        _body: Bytes,
        _signature: Option<RequestSignature>,
    ) -> BoxFuture<'a, Result<(), WorkerClientError>> {
        Self::refuse(connector)
    }

    fn fence_zombies<'a>(
        &'a self,
        _leader_url: &'a str,
        connector: &'a str,
        _signature: Option<RequestSignature>,
    ) -> BoxFuture<'a, Result<(), WorkerClientError>> {
        Self::refuse(connector)
    }
}

/// Only the leader can fence the producers of earlier tasks.
fn warn_of_nodes_that_cannot_speak(pair: &SourceAndTarget, settings: &WorkerSettings, internal_rest: bool) {
    if settings.exactly_once == ExactlyOnceSupport::Enabled && !internal_rest {
        warn!(
            flow = %pair,
            "exactly.once.source.support=enabled: several nodes need dedicated.mode.enable.internal.rest=true"
        );
    }
}

/// The host's name, for the worker's id in the status topic.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_resolved_for_clients_and_stay_in_what_is_stored() {
        let file = b"clusters = A, B\nA.bootstrap.servers = ${env:CARGO_PKG_NAME}:9092\nB.bootstrap.servers = b:9092\n\
            A->B.enabled = true\nconfig.providers = env\n\
            config.providers.env.class = org.apache.kafka.common.config.provider.EnvVarConfigProvider\n";
        let flows = Flows::read(file, &[]).expect("a good file");
        let to_a = flows.pairs.iter().find(|(pair, _)| pair.target == "A");
        let (_, settings) = to_a.expect("heartbeats flow both ways");
        assert_eq!(settings.props["bootstrap.servers"], "connect-cli:9092");
        let stored = flows
            .config
            .connector_config(&SourceAndTarget::new("A", "B"), MirrorConnector::Source);
        assert_eq!(stored["source.cluster.bootstrap.servers"], "${env:CARGO_PKG_NAME}:9092");
        let plugins = MirrorPlugins::new(Dialer::tcp(), MirrorMetrics::default(), &settings.props);
        let resolved = connect_runtime::Plugins::resolve(&plugins.expect("good settings"), stored);
        let resolved = resolved.expect("the environment has it");
        assert_eq!(resolved["source.cluster.bootstrap.servers"], "connect-cli:9092");
    }

    #[test]
    fn a_target_that_no_flow_has_is_named() {
        let file =
            b"clusters = A, B\nA.bootstrap.servers = a:9092\nB.bootstrap.servers = b:9092\nA->B.enabled = true\n\
            emit.heartbeats.enabled = false\n";
        let refused = |targets: &[&str]| {
            let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
            Flows::read(file, &targets).err().map(|error| error.to_string())
        };
        assert_eq!(refused(&[]), None);
        assert_eq!(refused(&["B", "Z"]), None);
        let said = refused(&["Z"]).expect("there is no flow to Z");
        assert!(
            said.contains("No replication flow to Z") && said.contains("A->B"),
            "{said}"
        );
    }
}
