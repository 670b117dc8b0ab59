//! Measures Heliograph, and whom it is compared with, between two real Kafkas, as their users would feel it.
//!
//! Prints one line of JSON for each run, and a table with ratios at the end. Absolute numbers depend on the machine and
//! on what else it does; ratios within one call count. Needs Linux, Java and Maven; see [`USAGE`] and docs/PERFORMANCE.md.

mod cluster;
mod drain;
mod idle;
mod latency;
mod limit;
mod options;
mod peer;
mod scraper;
mod table;
mod usage;
mod workload;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use integration_tests::{kafka_dist, report};

use crate::{
    cluster::Clusters,
    options::{Mode, Options, USAGE},
    peer::Peer,
    table::{Row, table, tls_ratios},
};

/// A broker's produce and fetch paths are compiled after some thousand requests.
const REHEARSAL_SECONDS: u64 = 10;
/// Its TLS only after some gigabytes: without these a run over TLS measures Java's interpreter.
const TLS_REHEARSALS: u64 = 3;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            report(&format!("{problem}\n\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    let Some(dist) = kafka_dist() else {
        return ExitCode::FAILURE;
    };
    let peers = options.peers(dist);
    report(&format!("starting two Kafkas; measuring {} of {peers:?}", options.mode));
    let mut clusters = Clusters::start(dist, &options.properties, options.tls, options.wide);
    idle::rehearse(&mut clusters, &peers[0], &options);
    let mut rows = Vec::new();
    let mut record = |row: Row| {
        say(&row.json());
        rows.push(row);
    };
    let metrics = match options.mode {
        Mode::Drain => {
            for (index, workload) in options.workloads.iter().enumerate() {
                clusters.load(workload);
                if options.tls && index == 0 {
                    for _ in 0..TLS_REHEARSALS {
                        for peer in [Peer::heliograph(), Peer::heliograph().over_tls()] {
                            drain::run(&mut clusters, &peer, workload, options.limit);
                        }
                    }
                }
                // Peers take turns, so that a machine that grows slow is slow to all of them.
                for _ in 0..options.rounds {
                    for peer in &peers {
                        record(drain::run(&mut clusters, peer, workload, options.limit));
                    }
                }
                clusters.unload(workload);
            }
            drain::METRICS
        }
        Mode::Latency => {
            latency::run(&mut clusters, &peers[0], &options, REHEARSAL_SECONDS);
            for _ in 0..options.rounds {
                for peer in &peers {
                    record(latency::run(&mut clusters, peer, &options, options.seconds));
                }
            }
            latency::METRICS
        }
        Mode::Idle => {
            for _ in 0..options.rounds {
                for peer in &peers {
                    record(idle::run(&mut clusters, peer, &options));
                }
            }
            idle::METRICS
        }
        Mode::Limit => {
            for _ in 0..options.rounds {
                record(limit::run(&mut clusters, &options));
            }
            limit::METRICS
        }
    };
    say(&table(metrics, &rows));
    say(&tls_ratios(&rows));
    let incomplete: Vec<&Row> = rows.iter().filter(|row| !row.complete()).collect();
    for row in &incomplete {
        report(&format!("not everything arrived: {}", row.json()));
    }
    if incomplete.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn say(text: &str) {
    // Nobody may be listening any more: the measuring goes on, its exit code still counts.
    let _ = writeln!(io::stdout(), "{text}");
}
