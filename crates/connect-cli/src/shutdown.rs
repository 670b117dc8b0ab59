//! The signals that ask the process to end.

use tokio::signal::unix::{SignalKind, signal};

/// Completes at SIGTERM or SIGINT, with the name of the signal.
pub(crate) async fn requested() -> std::io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}
