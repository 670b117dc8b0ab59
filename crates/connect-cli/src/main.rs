//! `heliograph`: a Connect worker and MirrorMaker 2 in one binary.
//!
//! Reads files, wires the crates together, owns exit codes and logging. Nothing here knows how a record is copied.

mod acls;
mod clock;
mod connect_worker;
mod connector_file;
mod environment;
mod giving_way;
mod health;
mod java_options;
mod leftovers;
mod logging;
mod manual;
mod metrics;
mod mirror_maker;
mod moving;
mod offsets;
mod operator;
mod plugins;
mod progress;
mod quickstart;
mod shutdown;
mod status;
mod upstream_clusters;
mod verify;
mod worker_keys;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};
use connect_worker::Mode;
use environment::{Environment, Settings};
use logging::LogFormat;

/// Kafka's exit code for a wrong command line.
const EXIT_USAGE: u8 = 255;

/// A drop-in replacement for Apache Kafka MirrorMaker 2.
#[derive(Debug, Parser)]
#[command(name = "heliograph", version, arg_required_else_help = true)]
struct Arguments {
    /// How log lines look; else HELIOGRAPH_LOG_FORMAT says so, else it is text.
    #[arg(long, global = true, value_enum)]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Mirrors between clusters as an mm2.properties file says (stands in for connect-mirror-maker.sh).
    MirrorMaker {
        #[command(flatten)]
        settings: Settings,
        /// Run only the flows towards these clusters.
        #[arg(long, num_args = 1.., value_name = "CLUSTER")]
        clusters: Vec<String>,
    },
    /// A worker of a Connect group with its REST API (stands in for connect-distributed.sh).
    ConnectDistributed {
        #[command(flatten)]
        settings: Settings,
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
    /// How a worker or a mirror of this machine is, asked as its settings say: for health checks.
    Health(health::HealthArguments),
    /// What is known of consumer groups' offsets on the other cluster.
    Offsets {
        #[command(subcommand)]
        command: offsets::OffsetsCommand,
    },
    /// Which clusters are mirrored to this one, over how many others, and what lies here of them.
    UpstreamClusters(upstream_clusters::UpstreamArguments),
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
    /// What flows that do not run any more have left on the clusters of the file. Deletes nothing.
    Leftovers(leftovers::LeftoversArguments),
    /// The least ACLs that a mirror needs, as kafka-acls commands.
    Acls(acls::AclsArguments),
    /// Two Kafkas in this process, sample orders and payments, and the mirroring between them.
    Quickstart {
        /// Mirror a fixed number of records, compare every one of them, and end.
        #[arg(long)]
        once: bool,
    },
    /// Prints what a shell needs to complete commands and options.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual page, or writes it and those of all commands into a directory.
    Man {
        /// Where to.
        #[arg(value_name = "DIRECTORY")]
        directory: Option<PathBuf>,
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
    let loggers = logging::start(arguments.log_format.unwrap_or_else(LogFormat::of_environment), !runs_on);
    if runs_on {
        Environment::of_process().note_what_has_no_effect();
    }
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
            Command::MirrorMaker { settings, clusters } => mirror_maker::main(&settings, &clusters).await,
            Command::ConnectDistributed { settings } => {
                connect_worker::main(&settings, Mode::Distributed, loggers).await
            }
            Command::ConnectStandalone { file, connectors } => {
                connect_worker::main(&Settings::of_file(file), Mode::Standalone(connectors), loggers).await
            }
            Command::Health(arguments) => health::main(arguments).await,
            Command::Offsets { command } => offsets::main(command).await,
            Command::UpstreamClusters(arguments) => upstream_clusters::main(arguments).await,
            Command::Failover { command } => moving::main(moving::Way::Failover, command).await,
            Command::Switchback { command } => moving::main(moving::Way::Switchback, command).await,
            Command::Status(arguments) => status::main(arguments).await,
            Command::Verify(arguments) => verify::main(arguments).await,
            Command::Leftovers(arguments) => leftovers::main(arguments).await,
            Command::Acls(arguments) => acls::main(&arguments),
            Command::Quickstart { once } => quickstart::main(once).await,
            Command::Completions { shell } => manual::completions(shell, &mut Arguments::command()),
            Command::Man { directory } => manual::pages(directory.as_deref(), Arguments::command()),
        }
    });
    // A resolver or codec that still holds a thread must not hold up the exit.
    runtime.shutdown_background();
    code
}
