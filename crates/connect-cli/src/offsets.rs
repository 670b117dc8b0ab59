//! `heliograph offsets translate`: where consumer groups may go on at the other cluster, by the checkpoints there.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "standard output is this command's user interface"
)]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use clap::Subcommand;
use config_def::{Props, properties};
use connect_mirror::{
    mirror_client::{MirrorClient, TranslatedOffset},
    replication_policy::{DEFAULT_REPLICATION_POLICY, ReplicationPolicy},
};
use kafka_client::{Client, ConsumerConfig, Dialer};
use kafka_wire::TopicPartition;

#[derive(Debug, Subcommand)]
pub(crate) enum OffsetsCommand {
    /// Where groups of another cluster may go on at this one (as Java's RemoteClusterUtils.translateOffsets).
    Translate {
        /// The cluster that has the copies and the checkpoints.
        #[arg(long, value_name = "HOST:PORT")]
        bootstrap_server: String,
        /// The alias of the cluster where the groups are at home.
        #[arg(long, value_name = "ALIAS")]
        source: String,
        /// Only these groups.
        #[arg(long, value_name = "GROUP")]
        group: Vec<String>,
        /// Further settings: of the client (security, …) and of the replication policy.
        #[arg(long, value_name = "FILE")]
        command_config: Option<PathBuf>,
        /// Give up after so many milliseconds.
        #[arg(long, default_value_t = 30_000)]
        timeout_ms: u64,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
}

type Groups = BTreeMap<String, BTreeMap<TopicPartition, TranslatedOffset>>;

pub(crate) async fn main(command: OffsetsCommand) -> ExitCode {
    let OffsetsCommand::Translate {
        bootstrap_server,
        source,
        group,
        command_config,
        timeout_ms,
        json,
    } = command;
    let timeout = Duration::from_millis(timeout_ms);
    match translate(&bootstrap_server, &source, &group, command_config, timeout).await {
        Ok(groups) => {
            print!("{}", if json { as_json(&groups) } else { as_table(&groups) });
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn translate(
    bootstrap_server: &str,
    source: &str,
    groups: &[String],
    command_config: Option<PathBuf>,
    timeout: Duration,
) -> Result<Groups> {
    let client = mirror_client(bootstrap_server, Some(source), command_config.as_deref())?;
    let is_wanted = |found: &str| groups.is_empty() || groups.iter().any(|group| group == found);
    Ok(client.all_translated_offsets(source, timeout, is_wanted).await?)
}

/// A client of the cluster, with the policy that the file names. `source`: whose topics those of the identity policy are.
pub(crate) fn mirror_client(
    bootstrap_server: &str,
    source: Option<&str>,
    command_config: Option<&Path>,
) -> Result<MirrorClient> {
    let mut props = match command_config {
        Some(file) => {
            let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            properties::parse(&text)?.props()
        }
        None => Props::new(),
    };
    props.insert("bootstrap.servers".to_owned(), bootstrap_server.to_owned());
    if let Some(source) = source {
        props
            .entry("source.cluster.alias".to_owned())
            .or_insert_with(|| source.to_owned());
    }
    let class = props
        .get("replication.policy.class")
        .map_or(DEFAULT_REPLICATION_POLICY, String::as_str);
    let policy = ReplicationPolicy::new(class, &props)
        .ok_or_else(|| anyhow!("replication.policy.class {class} is not known"))?;
    let consumer = ConsumerConfig::parse(&props)?;
    let client = Client::new(consumer.client.clone(), Dialer::tcp());
    Ok(MirrorClient::new(client, consumer, policy))
}

fn rows(groups: &Groups) -> impl Iterator<Item = (&String, &TopicPartition, &TranslatedOffset)> {
    groups.iter().flat_map(|(group, offsets)| {
        offsets
            .iter()
            .map(move |(partition, offset)| (group, partition, offset))
    })
}

fn as_table(groups: &Groups) -> String {
    let mut lines = vec![["GROUP", "TOPIC", "PARTITION", "SOURCE-OFFSET", "OFFSET"].map(str::to_owned)];
    for (group, partition, offset) in rows(groups) {
        lines.push([
            group.clone(),
            partition.topic.to_string(),
            partition.partition.to_string(),
            offset.upstream.to_string(),
            offset.downstream.to_string(),
        ]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |cells: &[String; 5]| {
        let [group, topic, rest @ ..] = cells;
        let mut line = format!("{group:<0$}  {topic:<1$}", widths[0], widths[1]);
        for (cell, width) in rest.iter().zip(&widths[2..]) {
            line.push_str(&format!("  {cell:>width$}"));
        }
        line + "\n"
    };
    lines.iter().map(line).collect()
}

fn as_json(groups: &Groups) -> String {
    let row = |(group, partition, offset): (&String, &TopicPartition, &TranslatedOffset)| {
        serde_json::json!({"group": group, "topic": &*partition.topic, "partition": partition.partition,
            "sourceOffset": offset.upstream, "offset": offset.downstream, "metadata": offset.metadata})
    };
    let all: Vec<serde_json::Value> = rows(groups).map(row).collect();
    serde_json::Value::from(all).to_string() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> Groups {
        let offset = TranslatedOffset {
            upstream: 120,
            downstream: 87,
            metadata: "m".to_owned(),
        };
        [(
            "order-processors".to_owned(),
            [(TopicPartition::new("source.orders", 1), offset)].into(),
        )]
        .into()
    }

    #[test]
    fn a_table_for_people() {
        let expected = "GROUP             TOPIC          PARTITION  SOURCE-OFFSET  OFFSET\n\
                        order-processors  source.orders          1            120      87\n";
        assert_eq!(as_table(&groups()), expected);
    }

    #[test]
    fn json_for_programs() {
        let expected = r#"[{"group":"order-processors","metadata":"m","offset":87,"partition":1,"sourceOffset":120,"topic":"source.orders"}]"#;
        let json: serde_json::Value = serde_json::from_str(&as_json(&groups())).unwrap();
        assert_eq!(json, serde_json::from_str::<serde_json::Value>(expected).unwrap());
    }
}
