//! What others may ask of a member.

use std::sync::Arc;

use tokio::sync::watch;

/// Asks a member to join again; clone it freely.
#[derive(Clone, Debug)]
pub struct MemberHandle {
    requests: Arc<watch::Sender<RejoinRequests>>,
}

/// Requests to join again, counted; the last one's reason stands for all.
#[derive(Clone, Debug, Default)]
pub(super) struct RejoinRequests {
    pub(super) count: u64,
    pub(super) reason: Arc<str>,
}

impl MemberHandle {
    pub(super) fn new() -> (Self, watch::Receiver<RejoinRequests>) {
        let (sender, receiver) = watch::channel(RejoinRequests::default());
        (
            Self {
                requests: Arc::new(sender),
            },
            receiver,
        )
    }

    /// Joins again soon, so that the leader shares the work out anew; never waits. To be called when a connector was
    /// added or removed, and when tasks were configured, after the worker's own tasks of that connector have stopped.
    pub fn rejoin(&self, reason: &str) {
        self.requests.send_modify(|requests| {
            requests.count += 1;
            requests.reason = reason.into();
        });
    }
}
