//! `heliograph verify`: is the copy what the source is?

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "standard output is this command's user interface"
)]

use std::{cell::RefCell, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Args;
use connect_mirror::operator::{Difference, Flow, From, PartitionReport, Verifier};
use serde_json::{Value, json};

use crate::{
    operator::{EXIT_NO_ANSWER, EXIT_NOT_READY, FlowArguments, table},
    progress::Progress,
    shutdown,
};

/// How long a continuous comparison rests between two looks.
const REST: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 the same, 1 different, 2 it could not be compared.")]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    common: FlowArguments,
    /// The flow, as in the file; without, all that are enabled.
    #[arg(long, value_name = "SOURCE->TARGET")]
    flow: Option<String>,
    /// Names of topics on the source, with commas; without, all that the mirror copies.
    #[arg(long, value_delimiter = ',', value_name = "TOPIC")]
    topics: Vec<String>,
    /// Begin at this source offset of each partition.
    #[arg(long, value_name = "OFFSET", conflicts_with = "last")]
    from_offset: Option<i64>,
    /// Only the last so many offsets of each partition.
    #[arg(long, value_name = "N")]
    last: Option<i64>,
    /// Go on with what is written meanwhile, until a signal; differences are reported as they are found.
    #[arg(long)]
    continuous: bool,
    /// How long a mirror that is behind may take to copy what is there.
    #[arg(long, default_value_t = 10_000, value_name = "MS")]
    wait_ms: u64,
    /// Records that a mirror wrote twice (it delivers at least once) are counted, and no difference.
    #[arg(long)]
    allow_repeats: bool,
    /// For targets that stamp records themselves (message.timestamp.type=LogAppendTime): everything but the time is compared.
    #[arg(long)]
    ignore_timestamps: bool,
}

pub(crate) async fn main(arguments: VerifyArguments) -> ExitCode {
    match verify(&arguments).await {
        Ok(Verdict::Same) => ExitCode::SUCCESS,
        Ok(Verdict::Different) => ExitCode::from(EXIT_NOT_READY),
        Ok(Verdict::NotCompared) => ExitCode::from(EXIT_NO_ANSWER),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(EXIT_NO_ANSWER)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Same,
    Different,
    NotCompared,
}

async fn verify(arguments: &VerifyArguments) -> Result<Verdict> {
    let from = match (arguments.from_offset, arguments.last) {
        (Some(offset), _) => From::Offset(offset),
        (None, Some(count)) => From::Last(count),
        (None, None) => From::Beginning,
    };
    let flows = arguments.common.flows(arguments.flow.as_deref())?;
    let mut verifiers = Vec::new();
    for flow in &flows {
        let verifier = Verifier::start(flow, &arguments.topics, from).await?;
        verifiers.push((flow, verifier.ignoring_timestamps(arguments.ignore_timestamps)));
    }
    let progress = RefCell::new(Progress::new());
    if arguments.continuous {
        tokio::select! {
            ended = follow(arguments, &mut verifiers, &progress) => ended?,
            _ = shutdown::requested() => {}
        }
    } else {
        let wait = Duration::from_millis(arguments.wait_ms);
        for (flow, verifier) in &mut verifiers {
            let name = flow.pair().to_string();
            verifier
                .pass(wait, true, |report| show(&progress, &name, report))
                .await?;
        }
    }
    drop(progress);
    let found: Vec<(&Flow, &PartitionReport)> = verifiers
        .iter()
        .flat_map(|(flow, verifier)| verifier.reports().map(|report| (*flow, report)))
        .collect();
    let verdict = verdict(arguments, &found);
    match arguments.common.json {
        true => println!("{}", as_json(arguments, &found, verdict)),
        false => print!("{}", as_text(&found, verdict)),
    }
    Ok(verdict)
}

/// Never ends by itself.
async fn follow(
    arguments: &VerifyArguments,
    verifiers: &mut [(&Flow, Verifier<'_>)],
    progress: &RefCell<Progress>,
) -> Result<()> {
    let mut told: Vec<(String, Difference)> = Vec::new();
    let mut failed = std::collections::BTreeMap::new();
    loop {
        for (flow, verifier) in verifiers.iter_mut() {
            let name = flow.pair().to_string();
            verifier
                .pass(Duration::ZERO, false, |report| show(progress, &name, report))
                .await?;
            for report in verifier.reports() {
                let partition = report.source.to_string();
                if let Some(first) = &report.first
                    && !told.iter().any(|(known, _)| *known == partition)
                {
                    told.push((partition.clone(), first.clone()));
                    progress.borrow_mut().clear();
                    match arguments.common.json {
                        true => println!("{}", partition_json(flow, report)),
                        false => println!("{}: first difference: {}", report.source, in_words(first)),
                    }
                }
                if let Some(error) = &report.error
                    && failed.insert(partition, error.clone()).as_ref() != Some(error)
                {
                    progress.borrow_mut().clear();
                    eprintln!("{}: {error}", report.source);
                }
            }
        }
        tokio::time::sleep(REST).await;
    }
}

fn verdict(arguments: &VerifyArguments, found: &[(&Flow, &PartitionReport)]) -> Verdict {
    let of = |report: &PartitionReport| match &report.error {
        Some(_) => Verdict::NotCompared,
        // What comes in goes on coming in.
        None if report.is_same(arguments.allow_repeats) || (arguments.continuous && report.first.is_none()) => {
            Verdict::Same
        }
        None => Verdict::Different,
    };
    // A difference that was found is the answer, whatever could not be looked at.
    let verdicts: Vec<Verdict> = found.iter().map(|(_, report)| of(report)).collect();
    match verdicts.contains(&Verdict::Different) {
        true => Verdict::Different,
        false => verdicts.into_iter().max().unwrap_or(Verdict::NotCompared),
    }
}

fn show(progress: &RefCell<Progress>, flow: &str, report: &PartitionReport) {
    let offsets = |from: i64, to: i64| u64::try_from(to - from).unwrap_or(0);
    let far = (offsets(report.from.0, report.next), offsets(report.from.0, report.end));
    let name = report.source.to_string();
    progress.borrow_mut().part(&format!("verify {flow}"), &name, far);
}

fn in_words(first: &Difference) -> String {
    let what = first.what.join(", ");
    match (first.source, first.target) {
        (Some(source), Some(target)) => format!("source offset {source} and target offset {target}: {what} differ"),
        (Some(source), None) => format!("source offset {source} is not on the target"),
        (None, Some(target)) if first.what == ["repeated"] => {
            format!("target offset {target} is a record that the target has already")
        }
        (None, Some(target)) => format!("target offset {target} is not on the source"),
        (None, None) => what,
    }
}

fn as_text(found: &[(&Flow, &PartitionReport)], verdict: Verdict) -> String {
    let heads = [
        "SOURCE",
        "TARGET",
        "FROM",
        "SAME",
        "DIFFERENT",
        "MISSING",
        "EXTRA",
        "REPEATED",
        "PENDING",
    ];
    let row = |report: &PartitionReport| {
        let counts = report.counts;
        let numbers = [
            counts.same,
            counts.different,
            counts.missing,
            counts.extra,
            counts.repeated,
            report.pending,
        ];
        let mut row = vec![
            report.source.to_string(),
            report.target.to_string(),
            report.from.0.to_string(),
        ];
        row.extend(numbers.iter().map(u64::to_string));
        row
    };
    let rows: Vec<Vec<String>> = found.iter().map(|(_, report)| row(report)).collect();
    let mut text = if rows.is_empty() {
        String::new()
    } else {
        table(&heads, &rows)
    };
    for (_, report) in found {
        if let Some(first) = &report.first {
            text.push_str(&format!("{}: first difference: {}\n", report.source, in_words(first)));
        }
        if report.is_compacted && report.first.is_some() {
            text.push_str(&format!(
                "{}: the topic is compacted: records that only one side has are no difference\n",
                report.source
            ));
        }
        if let Some(error) = &report.error {
            text.push_str(&format!("{}: not compared: {error}\n", report.source));
        }
    }
    text + match verdict {
        Verdict::Same => "the same\n",
        Verdict::Different => "different\n",
        Verdict::NotCompared if found.is_empty() => "nothing to compare: no topic of the source is copied\n",
        Verdict::NotCompared => "not everything could be compared\n",
    }
}

fn partition_json(flow: &Flow, report: &PartitionReport) -> Value {
    let counts = report.counts;
    let first = report.first.as_ref().map(|first| {
        json!({"sourceOffset": first.source, "targetOffset": first.target, "what": first.what, "text": in_words(first)})
    });
    json!({
        "flow": flow.pair().to_string(), "topic": &*report.source.topic, "partition": report.source.partition,
        "targetTopic": &*report.target.topic, "fromSourceOffset": report.from.0, "fromTargetOffset": report.from.1,
        "same": counts.same, "different": counts.different, "missing": counts.missing, "extra": counts.extra,
        "repeated": counts.repeated, "pending": report.pending, "compacted": report.is_compacted,
        "firstDifference": first, "error": report.error,
    })
}

fn as_json(arguments: &VerifyArguments, found: &[(&Flow, &PartitionReport)], verdict: Verdict) -> Value {
    let verdict = match verdict {
        Verdict::Same => "same",
        Verdict::Different => "different",
        Verdict::NotCompared => "notCompared",
    };
    let partitions: Vec<Value> = found
        .iter()
        .map(|(flow, report)| partition_json(flow, report))
        .collect();
    json!({"command": "verify", "verdict": verdict, "allowRepeats": arguments.allow_repeats, "partitions": partitions})
}
