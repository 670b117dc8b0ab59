//! What packages need besides the binary: completions for shells, and manual pages.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::Command;
use clap_complete::Shell;

/// Prints the completions for `shell`.
pub(crate) fn completions(shell: Shell, command: &mut Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "heliograph", &mut script);
    ended(io::stdout().write_all(&script))
}

/// Prints the page of the command itself, or writes one for it and for each of its commands into `directory`.
pub(crate) fn pages(directory: Option<&Path>, command: Command) -> ExitCode {
    match directory {
        None => ended(clap_mangen::Man::new(command).render(&mut io::stdout())),
        Some(directory) => ended(clap_mangen::generate_to(command, directory)),
    }
}

fn ended(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Such as `| head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "cannot be written");
            ExitCode::FAILURE
        }
    }
}
