//! `heliograph`: a Connect worker and MirrorMaker 2 in one binary.
//!
//! Reads files, wires the crates together, owns exit codes and logging. Nothing here knows how a record is copied.

mod clock;
mod connect_worker;
mod connector_file;
mod logging;
mod metrics;
mod mirror_maker;
mod moving;
mod offsets;
mod operator;
mod plugins;
mod quickstart;
mod shutdown;
mod status;
mod verify;
mod worker_keys;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use connect_worker::Mode;
use logging::LogFormat;

/// Kafka's exit code for a wrong command line.
const EXIT_USAGE: u8 = 255;

/// A drop-in replacement for Apache Kafka MirrorMaker 2.
#[derive(Debug, Parser)]
#[command(name = "heliograph", version, arg_required_else_help = true)]
struct Arguments {
    /// How log lines look.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Mirrors between clusters as an mm2.properties file says (stands in for connect-mirror-maker.sh).
    MirrorMaker {
        /// The MirrorMaker 2 configuration.
        #[arg(value_name = "mm2.properties")]
        file: PathBuf,
        /// Run only the flows towards these clusters.
        #[arg(long, num_args = 1.., value_name = "CLUSTER")]
        clusters: Vec<String>,
    },
    /// A worker of a Connect group with its REST API (stands in for connect-distributed.sh).
    ConnectDistributed {
        /// The worker's configuration.
        #[arg(value_name = "worker.properties")]
        file: PathBuf,
    },
    /// A worker alone with its REST API, its connectors from files, its offsets in a file (stands in for
    /// connect-standalone.sh).
    ConnectStandalone {
        /// The worker's configuration.
        #[arg(value_name = "worker.properties")]
        file: PathBuf,
        /// Connectors to run: properties or JSON.
        #[arg(value_name = "connector.properties")]
        connectors: Vec<PathBuf>,
    },
    /// What is known of consumer groups' offsets on the other cluster.
    Offsets {
        #[command(subcommand)]
        command: offsets::OffsetsCommand,
    },
    /// Moves consumer groups to the target of a flow; works while the source is down.
    Failover {
        #[command(subcommand)]
        command: moving::MovingCommand,
    },
    /// Moves consumer groups back to the source of a flow, from where they are in its copies.
    Switchback {
        #[command(subcommand)]
        command: moving::MovingCommand,
    },
    /// How far the mirror is: partitions, groups, tasks, and whether it is safe to fail over now.
    Status(status::StatusArguments),
    /// Compares the records of source and target, one by one, and names the first difference.
    Verify(verify::VerifyArguments),
    /// Two Kafkas in this process, sample orders and payments, and the mirroring between them.
    Quickstart {
        /// Mirror a fixed number of records, compare every one of them, and end.
        #[arg(long)]
        once: bool,
    },
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version were asked for; anything else is a mistake.
            let _ = error.print();
            return match error.use_stderr() {
                true => ExitCode::from(EXIT_USAGE),
                false => ExitCode::SUCCESS,
            };
        }
    };
    // Who answers on standard output says everything else on the other one.
    let runs_on = matches!(
        arguments.command,
        Command::MirrorMaker { .. } | Command::ConnectDistributed { .. } | Command::ConnectStandalone { .. }
    );
    let loggers = logging::start(arguments.log_format, !runs_on);
    // One thread carries everything: the target's brokers are the limit, and a second thread costs wake-ups.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        match arguments.command {
            Command::MirrorMaker { file, clusters } => mirror_maker::main(&file, &clusters).await,
            Command::ConnectDistributed { file } => connect_worker::main(&file, Mode::Distributed, loggers).await,
            Command::ConnectStandalone { file, connectors } => {
                connect_worker::main(&file, Mode::Standalone(connectors), loggers).await
            }
            Command::Offsets { command } => offsets::main(command).await,
            Command::Failover { command } => moving::main(moving::Way::Failover, command).await,
            Command::Switchback { command } => moving::main(moving::Way::Switchback, command).await,
            Command::Status(arguments) => status::main(arguments).await,
            Command::Verify(arguments) => verify::main(arguments).await,
            Command::Quickstart { once } => quickstart::main(once).await,
        }
    });
    // A resolver or codec that still holds a thread must not hold up the exit.
    runtime.shutdown_background();
    code
}
