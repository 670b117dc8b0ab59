//! The signals that ask the process to end: those that end a JVM in good order.

use std::{fs, future::pending, io};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

/// Completes at SIGTERM, SIGINT or SIGHUP, with the name of the signal. SIGQUIT, which asks a JVM for its threads, ends
/// nothing.
pub(crate) async fn requested() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = match hang_up_is_ignored() {
        true => None,
        false => Some(signal(SignalKind::hangup())?),
    };
    let mut quit = signal(SignalKind::quit())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok("SIGTERM"),
            _ = interrupt.recv() => return Ok("SIGINT"),
            () = received(&mut hang_up) => return Ok("SIGHUP"),
            _ = quit.recv() => info!("SIGQUIT: there are no threads to show; `heliograph status` says how the mirror is"),
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => pending().await,
    }
}

/// Whether whoever started the process asked it to outlive its terminal, as `nohup` does.
fn hang_up_is_ignored() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hang_up(&status))
}

/// `status`: Linux's text, where `SigIgn` has a bit for each signal, SIGHUP's the lowest.
fn ignores_hang_up(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, id};

    use super::*;

    fn send(signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &id().to_string()])
            .status()
            .expect("kill runs");
        assert!(sent.success(), "{signal} was not sent");
    }

    #[tokio::test]
    async fn a_hang_up_asks_for_the_end_and_a_quit_does_not() {
        // Who runs the tests may have asked them to outlive hang-ups.
        let (signals, expected): (&[&str], _) = match hang_up_is_ignored() {
            true => (&["-QUIT", "-HUP", "-TERM"], "SIGTERM"),
            false => (&["-QUIT", "-HUP"], "SIGHUP"),
        };
        // The first to be polled has its handlers when the second sends.
        let (signal, ()) = tokio::join!(requested(), async { signals.iter().copied().for_each(send) });
        assert_eq!(signal.expect("signals can be received"), expected);
    }

    #[test]
    fn whoever_ignores_hang_ups_goes_on() {
        assert!(ignores_hang_up(
            "Name:\theliograph\nSigIgn:\t0000000000000001\nSigCgt:\t0\n"
        ));
        assert!(ignores_hang_up("SigIgn:\t0000000000001007\n"));
        assert!(!ignores_hang_up(
            "SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"
        ));
        assert!(!ignores_hang_up("SigIgn:\tnothing\n"));
        assert!(!ignores_hang_up(""));
    }
}
