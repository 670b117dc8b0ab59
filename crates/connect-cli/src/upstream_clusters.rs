//! `heliograph upstream-clusters`: which clusters are mirrored to this one, as Java's `RemoteClusterUtils` and `MirrorClient`
//! tell it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "standard output is this command's user interface"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use crate::{offsets::mirror_client, operator::table};

#[derive(Debug, Args)]
pub(crate) struct UpstreamArguments {
    /// The cluster that has the copies.
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap_server: String,
    /// Also list the topics that were copied straight from this cluster.
    #[arg(long, value_name = "ALIAS")]
    source: Option<String>,
    /// Further settings: of the client (security, …) and of the replication policy.
    #[arg(long, value_name = "FILE")]
    command_config: Option<PathBuf>,
    /// Give up after so many milliseconds.
    #[arg(long, default_value_t = 30_000, value_name = "MS")]
    timeout_ms: u64,
    /// For programs.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn main(arguments: UpstreamArguments) -> ExitCode {
    let timeout = Duration::from_millis(arguments.timeout_ms);
    let found = tokio::time::timeout(timeout, look(&arguments)).await;
    let found = found
        .with_context(|| format!("{} does not answer", arguments.bootstrap_server))
        .flatten();
    match found {
        Ok(found) => {
            print!(
                "{}",
                if arguments.json {
                    as_json(&found)
                } else {
                    as_text(&found)
                }
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What the names of a cluster's topics tell.
#[derive(Debug, Default)]
struct Found {
    /// With the number of mirrors between.
    upstream: BTreeMap<String, usize>,
    heartbeats: BTreeSet<String>,
    checkpoints: BTreeSet<String>,
    copies: BTreeSet<String>,
    /// Of the one source that was asked for.
    copies_of_source: Option<BTreeSet<String>>,
}

async fn look(arguments: &UpstreamArguments) -> Result<Found> {
    let client = mirror_client(
        &arguments.bootstrap_server,
        arguments.source.as_deref(),
        arguments.command_config.as_deref(),
    )?;
    let mut found = Found {
        heartbeats: client.heartbeat_topics().await?,
        checkpoints: client.checkpoint_topics().await?,
        copies: client.remote_topics(None).await?,
        ..Found::default()
    };
    for cluster in client.upstream_clusters().await? {
        if let Some(hops) = client.replication_hops(&cluster).await? {
            found.upstream.insert(cluster, hops);
        }
    }
    if let Some(source) = &arguments.source {
        found.copies_of_source = Some(client.remote_topics(Some(source)).await?);
    }
    Ok(found)
}

fn as_json(found: &Found) -> String {
    let mut all = json!({
        "upstreamClusters": found.upstream, "heartbeatTopics": found.heartbeats,
        "checkpointTopics": found.checkpoints, "remoteTopics": found.copies,
    });
    if let Some(copies) = &found.copies_of_source {
        all["remoteTopicsOfSource"] = json!(copies);
    }
    format!("{all}\n")
}

fn as_text(found: &Found) -> String {
    let mut text = match found.upstream.is_empty() {
        true => "no cluster is known to be mirrored here: there are no heartbeats of others\n".to_owned(),
        false => {
            let row = |(cluster, hops): (&String, &usize)| vec![cluster.clone(), hops.to_string()];
            let rows: Vec<Vec<String>> = found.upstream.iter().map(row).collect();
            table(&["CLUSTER", "HOPS"], &rows)
        }
    };
    let copies = found.copies_of_source.as_ref().unwrap_or(&found.copies);
    for (what, topics) in [
        ("heartbeats", &found.heartbeats),
        ("checkpoints", &found.checkpoints),
        ("copies", copies),
    ] {
        for topic in topics {
            text.push_str(&format!("{what}: {topic}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        Found {
            upstream: [("east".to_owned(), 1), ("north".to_owned(), 2)].into(),
            heartbeats: ["heartbeats".to_owned()].into(),
            checkpoints: ["east.checkpoints.internal".to_owned()].into(),
            copies: ["east.orders".to_owned()].into(),
            copies_of_source: None,
        }
    }

    #[test]
    fn a_table_for_people() {
        let expected = "CLUSTER  HOPS\neast        1\nnorth       2\nheartbeats: heartbeats\n\
                        checkpoints: east.checkpoints.internal\ncopies: east.orders\n";
        assert_eq!(as_text(&found()), expected);
        assert!(as_text(&Found::default()).starts_with("no cluster is known"));
    }

    #[test]
    fn json_for_programs() {
        let said: serde_json::Value = serde_json::from_str(&as_json(&found())).unwrap();
        assert_eq!(said["upstreamClusters"], json!({"east": 1, "north": 2}));
        assert_eq!(said.get("remoteTopicsOfSource"), None);
    }
}
