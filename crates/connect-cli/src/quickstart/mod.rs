//! `heliograph quickstart`: two Kafkas in this process, sample records, and the mirroring between them, with nothing
//! installed. It runs the same code as `mirror-maker` on a property file, which it prints.

mod sample;
mod verify;
mod view;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use config_def::Props;
use connect_mirror::MirrorMetrics;
use kafka_client::{Client, ClientConfig, ConsumerConfig, Dialer, ProducerConfig};
use kafka_embedded::Cluster;
use tokio_util::sync::CancellationToken;

use self::{sample::Pace, view::View};
use crate::{mirror_maker, shutdown};

const SOURCE_PORT: u16 = 9092;
const DESTINATION_PORT: u16 = 9093;
/// A port that is taken is passed over, this many times.
const PORTS_TO_TRY: u16 = 50;
/// How much the two brokers keep of each partition, so that a quickstart left alone does not fill the memory.
const RETENTION_BYTES: &str = "16777216";
/// `--once` fails when it takes longer.
const ONCE_DEADLINE: Duration = Duration::from_secs(60);
const REDRAW_EVERY: Duration = Duration::from_secs(1);

/// Runs until Ctrl-C, or with `once` to a verified end.
pub(crate) async fn main(once: bool) -> ExitCode {
    match run(once).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("quickstart failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(once: bool) -> Result<()> {
    let source = start_cluster(SOURCE_PORT).await?;
    let destination = start_cluster(DESTINATION_PORT.max(port_of(&source)? + 1)).await?;
    for (topic, partitions) in [sample::ORDERS, sample::PAYMENTS] {
        source.create_topic(topic, partitions, &[("retention.bytes", RETENTION_BYTES)])?;
    }
    let properties = properties(&source.bootstrap_servers(), &destination.bootstrap_servers());
    say(&introduction(&source, &destination, &properties));

    let cancel = CancellationToken::new();
    let metrics = MirrorMetrics::default();
    let mirroring = mirror_maker::run(properties.as_bytes(), &[], metrics.clone(), cancel.child_token());
    let work = async {
        let result = match once {
            true => mirror_once(&source, &destination, &metrics).await,
            false => mirror_and_show(&source, &metrics).await,
        };
        cancel.cancel();
        result
    };
    let (mirrored, worked) = tokio::join!(mirroring, work);
    worked?;
    mirrored.context("mirroring ended badly")?;
    source.shutdown().await;
    destination.shutdown().await;
    Ok(())
}

/// Produces and draws until Ctrl-C.
async fn mirror_and_show(source: &Cluster, metrics: &MirrorMetrics) -> Result<()> {
    let pace = Pace {
        orders_per_round: 100,
        every: Duration::from_millis(500),
        rounds: None,
    };
    let cancel = CancellationToken::new();
    let (client, config) = (
        client(source, "quickstart-producer")?,
        ProducerConfig::parse(&client_props(source))?,
    );
    let producing = sample::produce(client, config, pace, cancel.child_token());
    let showing = async {
        let mut view = View::on_stdout();
        let mut redraw = tokio::time::interval(REDRAW_EVERY);
        let stop = shutdown::requested();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                signal = &mut stop => break signal,
                _ = redraw.tick() => view.draw(&view::topics(metrics, crate::clock::now_ms())),
            }
        }
    };
    let stopping = async {
        let signal = showing.await;
        cancel.cancel();
        signal
    };
    let (produced, signal) = tokio::join!(producing, stopping);
    say(&format!("\n{}: stopping", signal?));
    say(&format!("{} records were produced", produced?));
    Ok(())
}

/// Produces a fixed number of records, waits until they are mirrored, and compares every one.
async fn mirror_once(source: &Cluster, destination: &Cluster, metrics: &MirrorMetrics) -> Result<()> {
    let pace = Pace {
        orders_per_round: 500,
        every: Duration::from_millis(20),
        rounds: Some(20),
    };
    let started = tokio::time::Instant::now();
    let (producer, config) = (
        client(source, "quickstart-producer")?,
        ProducerConfig::parse(&client_props(source))?,
    );
    let records = sample::produce(producer, config, pace, CancellationToken::new()).await?;
    let orders = pace.orders_per_round * pace.rounds.unwrap_or(0);
    let config = ConsumerConfig::parse(&client_props(source))?;
    let (from, to) = (
        client(source, "quickstart-verify")?,
        client(destination, "quickstart-verify")?,
    );
    for ((topic, partitions), expected) in [(sample::ORDERS, orders), (sample::PAYMENTS, records - orders)] {
        let remote = format!("source.{topic}");
        wait_for_topic(&to, &remote, partitions, started + ONCE_DEADLINE).await?;
        let equal = verify::same_records(
            (&from, topic),
            (&to, &remote),
            &config,
            partitions,
            expected,
            ONCE_DEADLINE,
        )
        .await?;
        say(&format!(
            "{topic} -> {remote}: {equal} records, every one equal in key, value, headers, time and order"
        ));
    }
    View::on_stdout().draw(&view::topics(metrics, crate::clock::now_ms()));
    say(&format!(
        "verified: {records} records were mirrored in {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}

async fn wait_for_topic(client: &Client, topic: &str, partitions: i32, deadline: tokio::time::Instant) -> Result<()> {
    let mut poll = tokio::time::interval(Duration::from_millis(50));
    loop {
        poll.tick().await;
        let metadata = client.refresh_metadata(kafka_client::Topics::All).await?;
        if metadata
            .topics
            .get(topic)
            .is_some_and(|topic| topic.partitions.len() == partitions as usize)
        {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            bail!("topic {topic} did not appear on the destination");
        }
    }
}

async fn start_cluster(first_port: u16) -> Result<Cluster> {
    let mut last = None;
    for port in first_port..first_port.saturating_add(PORTS_TO_TRY) {
        match Cluster::builder().host("127.0.0.1").port(port).start().await {
            Ok(cluster) => return Ok(cluster),
            Err(error) => last = Some(error),
        }
    }
    let last = last.context("no ports to try")?;
    Err(last).with_context(|| format!("no port from {first_port} on is free for a Kafka"))
}

fn port_of(cluster: &Cluster) -> Result<u16> {
    let servers = cluster.bootstrap_servers();
    let (_, port) = servers.rsplit_once(':').context("a bootstrap server has a port")?;
    Ok(port.parse()?)
}

fn client_props(cluster: &Cluster) -> Props {
    [("bootstrap.servers".to_owned(), cluster.bootstrap_servers())].into()
}

fn client(cluster: &Cluster, id: &str) -> Result<Client> {
    let mut props = client_props(cluster);
    props.insert("client.id".to_owned(), id.to_owned());
    Ok(Client::new(ClientConfig::parse(&props)?, Dialer::tcp()))
}

fn properties(source: &str, destination: &str) -> String {
    format!(
        "clusters = source, destination
source.bootstrap.servers = {source}
destination.bootstrap.servers = {destination}
source->destination.enabled = true
source->destination.topics = orders|payments
refresh.topics.interval.seconds = 1
emit.checkpoints.interval.seconds = 5
sync.group.offsets.enabled = true
sync.group.offsets.interval.seconds = 5
replication.factor = 1
heartbeats.topic.replication.factor = 1
checkpoints.topic.replication.factor = 1
offset-syncs.topic.replication.factor = 1
offset.storage.replication.factor = 1
status.storage.replication.factor = 1
config.storage.replication.factor = 1
"
    )
}

fn introduction(source: &Cluster, destination: &Cluster, properties: &str) -> String {
    let (source, destination) = (source.bootstrap_servers(), destination.bootstrap_servers());
    let indented: String = properties.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "Two Kafkas run in this process: source on {source}, destination on {destination}.
Orders and payments are produced to source and mirrored to source.orders and source.payments, as this mm2.properties says:

{indented}
Try in another terminal:
    kcat -b {destination} -L
    kcat -b {destination} -C -t source.orders -o beginning -c 5 -K ' => '
    echo 'order-x:{{\"orderId\":\"order-x\"}}' | kcat -b {source} -P -t orders -K :
    kafka-topics.sh --list --bootstrap-server {destination}
    kafka-console-consumer.sh --topic source.payments --bootstrap-server {destination} --from-beginning --max-messages 3
Ctrl-C stops everything; nothing is kept.
"
    )
}

#[allow(clippy::print_stdout, reason = "standard output is this command's user interface")]
fn say(text: &str) {
    println!("{text}");
}
