//! `heliograph status`: how far the mirror is, and whether it would do to fail over now.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "standard output is this command's user interface"
)]

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use config_def::properties;
use connect_mirror::operator::{
    Flow, FlowStatus, GroupPlan, PartitionPlan, PartitionStatus, Precision, Step, flow_status,
};
use serde_json::{Value, json};

use crate::operator::{EXIT_NO_ANSWER, EXIT_NOT_READY, FlowArguments, or_dash, table};

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 safe to fail over, 1 not safe, 2 the target does not answer.")]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    common: FlowArguments,
    /// The flow, as in the file; without, all that are enabled.
    #[arg(long, value_name = "SOURCE->TARGET")]
    flow: Option<String>,
    /// The flow is run by connect-distributed with this configuration, on the target, and not by mirror-maker: its topics
    /// tell what the connectors are called.
    #[arg(long, value_name = "worker.properties")]
    worker: Option<PathBuf>,
    /// Records that are not mirrored yet do not speak against failing over while they are no older than this.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    max_lag_seconds: u64,
    /// How long a source that may be down is waited for.
    #[arg(long, default_value_t = 5_000, value_name = "MS")]
    source_timeout_ms: u64,
}

pub(crate) async fn main(arguments: StatusArguments) -> ExitCode {
    match status(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_NOT_READY),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(EXIT_NO_ANSWER)
        }
    }
}

async fn status(arguments: &StatusArguments) -> Result<bool> {
    let source_timeout = Duration::from_millis(arguments.source_timeout_ms).min(arguments.common.timeout());
    let max_lag = Duration::from_secs(arguments.max_lag_seconds);
    let mut all = Vec::new();
    let mut flows = arguments.common.flows(arguments.flow.as_deref())?;
    if let Some(file) = &arguments.worker {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let worker = properties::parse(&bytes)?.props();
        flows = flows.into_iter().map(|flow| flow.on_worker(&worker)).collect();
    }
    for flow in &flows {
        all.push((flow, flow_status(flow, source_timeout, max_lag).await?));
    }
    if arguments.common.json {
        let flows: Vec<Value> = all.iter().map(|(flow, status)| as_json(flow, status)).collect();
        println!("{}", json!({"command": "status", "flows": flows}));
    } else {
        for (flow, status) in &all {
            print!("{}", as_text(flow, status));
        }
    }
    Ok(all.iter().all(|(_, status)| status.objections.is_empty()))
}

fn as_text(flow: &Flow, status: &FlowStatus) -> String {
    let mut text = format!("{}\n", flow.pair());
    let row = |one: &PartitionStatus| {
        let numbers = [
            one.position,
            one.source_end,
            one.lag,
            one.lag_bytes,
            one.lag_seconds,
            one.target_end,
        ];
        let mut row = vec![one.source.to_string()];
        row.extend(numbers.map(or_dash));
        row
    };
    let rows: Vec<Vec<String>> = status.partitions.iter().map(row).collect();
    let heads = [
        "SOURCE",
        "POSITION",
        "END",
        "LAG",
        "LAG-BYTES",
        "LAG-SECONDS",
        "TARGET-END",
    ];
    text.push_str(&table(&heads, &rows));
    let groups = status.groups.groups.iter();
    let rows: Vec<Vec<String>> = groups
        .flat_map(|group| {
            let row = move |one: &PartitionPlan| {
                vec![
                    group.group.to_string(),
                    one.origin.to_string(),
                    one.origin_offset.to_string(),
                    or_dash(one.offset),
                    translation(group, one),
                ]
            };
            group.partitions.iter().map(row)
        })
        .collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(
            &["GROUP", "SOURCE", "OFFSET", "TARGET-OFFSET", "TRANSLATION"],
            &rows,
        ));
    }
    let row = |task: &connect_mirror::operator::TaskStatus| {
        let trace = task.trace.clone().unwrap_or_default();
        vec![task.name.clone(), task.state.clone(), task.worker_id.clone(), trace]
    };
    let rows: Vec<Vec<String>> = status.tasks.iter().map(row).collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(&["TASK", "STATE", "WORKER", "WHY"], &rows));
    }
    text.push('\n');
    text.push_str(&match status.objections.is_empty() {
        true => "safe to fail over: yes\n".to_owned(),
        false => format!("safe to fail over: no, because\n  {}\n", status.objections.join("\n  ")),
    });
    text
}

/// `exact`, `pending`, or why not.
fn translation(group: &GroupPlan, one: &PartitionPlan) -> String {
    match (&group.not_idle, one.step, one.precision) {
        (_, Step::Blocked(why), _) => format!("pending: {why}"),
        (Some(why), ..) => format!("{}; {why}", one.precision),
        (None, _, Precision::Exact) => "exact".to_owned(),
        (None, _, precision) => format!("pending: {precision}"),
    }
}

fn as_json(flow: &Flow, status: &FlowStatus) -> Value {
    let partition = |one: &PartitionStatus| {
        json!({"topic": &*one.source.topic, "partition": one.source.partition, "targetTopic": &*one.target.topic,
            "position": one.position, "sourceEnd": one.source_end, "targetEnd": one.target_end, "lag": one.lag,
            "lagBytes": one.lag_bytes, "lagSeconds": one.lag_seconds})
    };
    let group = |group: &GroupPlan| {
        let partition = |one: &PartitionPlan| {
            json!({"topic": &*one.origin.topic, "partition": one.origin.partition, "offset": one.origin_offset,
                "targetOffset": one.offset, "translation": translation(group, one)})
        };
        let partitions: Vec<Value> = group.partitions.iter().map(partition).collect();
        json!({"group": &*group.group, "ready": group.is_ready(), "partitions": partitions})
    };
    let task = |one: &connect_mirror::operator::TaskStatus| json!({"name": one.name, "state": one.state, "workerId": one.worker_id, "trace": one.trace});
    json!({
        "flow": flow.pair().to_string(), "safe": status.objections.is_empty(), "because": status.objections,
        "partitions": status.partitions.iter().map(partition).collect::<Vec<_>>(),
        "groups": status.groups.groups.iter().map(group).collect::<Vec<_>>(),
        "tasks": status.tasks.iter().map(task).collect::<Vec<_>>(), "notes": status.groups.notes,
    })
}
