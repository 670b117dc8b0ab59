//! `heliograph failover` and `heliograph switchback`: groups go to the other cluster, and back.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "standard output is this command's user interface"
)]

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use connect_mirror::{
    client_props::Side,
    operator::{Applied, Flow, GroupPlan, PartitionPlan, Plan, Precision, Step, apply, plan_failover, plan_switchback},
};
use serde_json::{Value, json};

use crate::{
    operator::{EXIT_NO_ANSWER, EXIT_NOT_READY, FlowArguments, or_dash, table},
    progress::Progress,
};

#[derive(Debug, Subcommand)]
pub(crate) enum MovingCommand {
    /// Says what apply would do, and writes nothing.
    Plan(MovingArguments),
    /// Commits the translated offsets of groups that nobody uses there. May be repeated.
    Apply {
        #[command(flatten)]
        arguments: MovingArguments,
        /// Also move groups back that are further on there: they read records again.
        #[arg(long)]
        allow_rewind: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct MovingArguments {
    #[command(flatten)]
    common: FlowArguments,
    /// The flow that made the copies, as in the file.
    #[arg(long, value_name = "SOURCE->TARGET")]
    flow: Option<String>,
    /// Only these groups; without, all that the mirror's groups and groups.exclude choose.
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// How long a source that may be down is waited for (failover only).
    #[arg(long, default_value_t = 5_000, value_name = "MS")]
    source_timeout_ms: u64,
}

/// Which way groups go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the source to the target.
    Failover,
    /// From the target to the source.
    Switchback,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Switchback => "switchback",
        }
    }

    fn destination(self) -> Side {
        match self {
            Self::Failover => Side::Target,
            Self::Switchback => Side::Source,
        }
    }
}

pub(crate) async fn main(way: Way, command: MovingCommand) -> ExitCode {
    let (arguments, may_write) = match command {
        MovingCommand::Plan(arguments) => (arguments, None),
        MovingCommand::Apply {
            arguments,
            allow_rewind,
        } => (arguments, Some(allow_rewind)),
    };
    match run(way, &arguments, may_write).await {
        Ok((outcome, text)) => {
            print!("{text}");
            match outcome {
                true => ExitCode::SUCCESS,
                false => ExitCode::from(EXIT_NOT_READY),
            }
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(EXIT_NO_ANSWER)
        }
    }
}

/// Whether all groups are where they should be, or can go there; and what to print.
async fn run(way: Way, arguments: &MovingArguments, may_write: Option<bool>) -> Result<(bool, String)> {
    let flow = arguments.common.flow(arguments.flow.as_deref())?;
    let plan = plan(way, &flow, arguments).await?;
    // A name that was misspelt must not look like success.
    let is_found = |group: &String| plan.groups.iter().any(|plan| *plan.group == **group);
    let all_found = arguments.group.iter().all(is_found);
    let json = arguments.common.json;
    let Some(allow_rewind) = may_write else {
        let is_ready = all_found && plan.groups.iter().all(GroupPlan::is_ready);
        let text = if json {
            plan_json(way, &flow, &plan)
        } else {
            plan_text(way, &flow, &plan)
        };
        return Ok((is_ready, text));
    };
    let notes = plan.notes.clone();
    let (all, mut progress) = (plan.groups.len() as u64, Progress::new());
    let mut looked_at = 0;
    let tell = |done: usize| {
        looked_at = done as u64;
        progress.part(way.name(), "groups", (looked_at, all));
    };
    let applied = apply(&flow, way.destination(), plan, allow_rewind, tell).await;
    let applied = applied.with_context(|| {
        format!("stopped after {looked_at} of {all} groups; what was committed stays, and apply may be repeated")
    })?;
    drop(progress);
    let is_done = all_found && applied.iter().all(|one| one.committed.is_ok() && one.plan.is_ready());
    let text = match json {
        true => applied_json(way, &flow, &applied, &notes),
        false => applied_text(&flow, way, &applied, &notes),
    };
    Ok((is_done, text))
}

async fn plan(way: Way, flow: &Flow, arguments: &MovingArguments) -> Result<Plan> {
    Ok(match way {
        Way::Failover => {
            let source_timeout = Duration::from_millis(arguments.source_timeout_ms).min(arguments.common.timeout());
            plan_failover(flow, &arguments.group, source_timeout).await?
        }
        Way::Switchback => plan_switchback(flow, &arguments.group).await?,
    })
}

const HEADS: [&str; 7] = ["GROUP", "FROM", "OFFSET", "TO", "NOW-AT", "NEW-OFFSET", "WHAT"];

fn rows<'a>(
    groups: impl IntoIterator<Item = &'a GroupPlan>,
    what: impl Fn(&GroupPlan, &PartitionPlan) -> String,
) -> Vec<Vec<String>> {
    let row = |group: &GroupPlan, one: &PartitionPlan| {
        vec![
            group.group.to_string(),
            one.origin.to_string(),
            one.origin_offset.to_string(),
            one.destination.to_string(),
            or_dash(one.committed),
            or_dash(one.offset),
            what(group, one),
        ]
    };
    let all = groups.into_iter().flat_map(|group| {
        let row = &row;
        group.partitions.iter().map(move |one| row(group, one))
    });
    all.collect()
}

fn what(group: &GroupPlan, one: &PartitionPlan) -> String {
    let mut what = match (&group.not_idle, one.step) {
        (_, Step::Blocked(why)) => format!("not ready: {why}"),
        (Some(why), _) => format!("not ready: {why}"),
        (None, Step::Commit) => format!("move ({})", one.precision),
        (None, Step::Nothing) => "is there".to_owned(),
        (None, Step::Rewind) => "is further on: stays (or --allow-rewind)".to_owned(),
    };
    if one.left_behind > 0 {
        what.push_str(&format!(
            "; leaves up to {} unread records that are only here",
            one.left_behind
        ));
    }
    what
}

fn notes_text(notes: &[String]) -> String {
    notes.iter().map(|note| format!("note: {note}\n")).collect()
}

fn plan_text(way: Way, flow: &Flow, plan: &Plan) -> String {
    let mut text = String::new();
    if plan.groups.is_empty() {
        text.push_str(&format!("{} of {}: no groups\n", way.name(), flow.pair()));
    } else {
        text.push_str(&table(&HEADS, &rows(&plan.groups, what)));
        let ready = plan.groups.iter().filter(|group| group.is_ready()).count();
        text.push_str(&format!(
            "{} of {}: {ready} of {} groups are ready; nothing was written (apply does it)\n",
            way.name(),
            flow.pair(),
            plan.groups.len()
        ));
    }
    text + &notes_text(&plan.notes)
}

fn applied_text(flow: &Flow, way: Way, applied: &[Applied], notes: &[String]) -> String {
    let outcome = |group: &GroupPlan, one: &PartitionPlan| {
        let found = applied.iter().find(|applied| applied.plan.group == group.group);
        match found.map(|applied| &applied.committed) {
            Some(Ok(written)) if written.contains(&one.destination) => format!("moved ({})", one.precision),
            Some(Err(why)) => format!("not moved: {why}"),
            _ => what(group, one),
        }
    };
    let mut text = String::new();
    if !applied.is_empty() {
        text.push_str(&table(&HEADS, &rows(applied.iter().map(|one| &one.plan), outcome)));
    }
    let moved = applied
        .iter()
        .filter_map(|one| one.committed.as_ref().ok())
        .map(Vec::len)
        .sum::<usize>();
    let left = applied
        .iter()
        .filter(|one| one.committed.is_err() || !one.plan.is_ready())
        .count();
    text.push_str(&format!(
        "{} of {}: {} groups, {moved} offsets committed, {left} groups not ready\n",
        way.name(),
        flow.pair(),
        applied.len()
    ));
    text + &notes_text(notes)
}

fn partition_json(one: &PartitionPlan) -> Value {
    let (step, why) = match one.step {
        Step::Commit => ("commit", None),
        Step::Nothing => ("nothing", None),
        Step::Rewind => ("rewind", None),
        Step::Blocked(why) => ("blocked", Some(why.to_string())),
    };
    let (translation, behind) = match one.precision {
        Precision::Exact => ("exact", Some(0)),
        Precision::Behind(records) => ("behind", Some(records)),
        Precision::Unknown => ("notAhead", None),
    };
    json!({
        "from": {"topic": &*one.origin.topic, "partition": one.origin.partition, "offset": one.origin_offset},
        "to": {"topic": &*one.destination.topic, "partition": one.destination.partition, "offset": one.offset,
               "committed": one.committed},
        "step": step, "why": why, "translation": translation, "behindAtMost": behind, "leftBehind": one.left_behind,
        "metadata": one.metadata,
    })
}

fn group_json(group: &GroupPlan) -> Value {
    let partitions: Vec<Value> = group.partitions.iter().map(partition_json).collect();
    json!({"group": &*group.group, "ready": group.is_ready(), "notIdle": group.not_idle, "partitions": partitions})
}

fn plan_json(way: Way, flow: &Flow, plan: &Plan) -> String {
    let groups: Vec<Value> = plan.groups.iter().map(group_json).collect();
    let all = json!({"command": way.name(), "flow": flow.pair().to_string(), "dryRun": true, "groups": groups,
        "notes": plan.notes});
    format!("{all}\n")
}

fn applied_json(way: Way, flow: &Flow, applied: &[Applied], notes: &[String]) -> String {
    let group = |one: &Applied| {
        let mut group = group_json(&one.plan);
        let committed = |written: &Vec<kafka_wire::TopicPartition>| -> Vec<String> {
            written.iter().map(ToString::to_string).collect()
        };
        group["committed"] = json!(one.committed.as_ref().ok().map(committed));
        group["error"] = json!(one.committed.as_ref().err());
        group
    };
    let groups: Vec<Value> = applied.iter().map(group).collect();
    let all = json!({"command": way.name(), "flow": flow.pair().to_string(), "dryRun": false, "groups": groups,
        "notes": notes});
    format!("{all}\n")
}
