//! `heliograph leftovers`: what flows that do not run any more have left on the clusters of a file.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "standard output is this command's user interface"
)]

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use connect_mirror::operator::{Leftover, LeftoverKind, leftovers};
use serde_json::{Value, json};

use crate::operator::{EXIT_NO_ANSWER, EXIT_NOT_READY, FlowArguments, table};

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 nothing is left, 1 something is, 2 a cluster does not answer.")]
pub(crate) struct LeftoversArguments {
    #[command(flatten)]
    common: FlowArguments,
}

/// What is left on a cluster, or why nobody knows.
type OnCluster = (String, Result<Vec<Leftover>, String>);

pub(crate) async fn main(arguments: LeftoversArguments) -> ExitCode {
    let found = match look(&arguments).await {
        Ok(found) => found,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::from(EXIT_NO_ANSWER);
        }
    };
    match arguments.common.json {
        true => println!("{}", as_json(&found)),
        false => print!("{}", as_text(&found)),
    }
    let mut code = ExitCode::SUCCESS;
    for (_, on_cluster) in &found {
        match on_cluster {
            Ok(left) if left.is_empty() => {}
            Ok(_) => code = ExitCode::from(EXIT_NOT_READY),
            Err(_) => return ExitCode::from(EXIT_NO_ANSWER),
        }
    }
    code
}

async fn look(arguments: &LeftoversArguments) -> Result<Vec<OnCluster>> {
    let (mut running, by_target) = arguments.common.flows_by_target()?;
    for flow in by_target.iter().filter_map(|flows| flows.first()) {
        // Who does not answer is spoken of below.
        _ = running.look_elsewhere(flow).await;
    }
    let mut found = Vec::new();
    for flows in by_target {
        let Some(flow) = flows.first() else { continue };
        let left = leftovers(&flows, &running).await;
        let left = left.map_err(|error| format!("{:#}", anyhow::Error::from(error)));
        found.push((flow.pair().target.clone(), left));
    }
    Ok(found)
}

fn kind(kind: LeftoverKind) -> &'static str {
    match kind {
        LeftoverKind::WorkerTopic => "worker topic",
        LeftoverKind::Checkpoints => "checkpoints",
        LeftoverKind::OffsetSyncs => "offset syncs",
        LeftoverKind::Copy => "copy",
        LeftoverKind::Group => "group",
        LeftoverKind::StoredOffset => "stored offset",
    }
}

fn as_text(found: &[OnCluster]) -> String {
    let mut rows = Vec::new();
    let mut notes = String::new();
    for (cluster, left) in found {
        match left {
            Ok(left) => rows.extend(left.iter().map(|one| {
                vec![
                    cluster.clone(),
                    one.flow.to_string(),
                    kind(one.kind).to_owned(),
                    one.name.clone(),
                    one.detail.clone(),
                ]
            })),
            Err(why) => notes.push_str(&format!("note: nothing is known of cluster {cluster}: {why}\n")),
        }
    }
    if rows.is_empty() {
        return format!("nothing is left of flows that do not run\n{notes}");
    }
    let table = table(&["CLUSTER", "FLOW", "WHAT", "NAME", ""], &rows);
    format!(
        "{table}nothing was deleted. Flows of other files are left out only while their workers run. Who does not want a flow \
         back deletes its topics with kafka-topics --delete, and offsets with kafka-consumer-groups --delete-offsets\n{notes}"
    )
}

fn as_json(found: &[OnCluster]) -> Value {
    let one = |one: &Leftover| json!({"flow": one.flow.to_string(), "kind": kind(one.kind), "name": one.name, "detail": one.detail});
    let cluster = |(cluster, left): &OnCluster| match left {
        Ok(left) => json!({"cluster": cluster, "leftovers": left.iter().map(one).collect::<Vec<_>>()}),
        Err(why) => json!({"cluster": cluster, "error": why}),
    };
    json!({"command": "leftovers", "clusters": found.iter().map(cluster).collect::<Vec<_>>()})
}
