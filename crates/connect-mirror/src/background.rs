//! The one child of a connector, which runs its jobs.

use std::{panic::AssertUnwindSafe, sync::Arc};

use connect_api::{ConnectError, ConnectorContext};
use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A running child. Dropping it ends the child too.
#[derive(Debug)]
pub(crate) struct Background {
    cancel: CancellationToken,
    child: JoinSet<()>,
}

impl Background {
    /// Starts `run`. A panic in it fails the connector.
    pub(crate) fn start<F>(context: Arc<dyn ConnectorContext>, run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let cancel = CancellationToken::new();
        let work = AssertUnwindSafe(run(cancel.clone())).catch_unwind();
        let mut child = JoinSet::new();
        child.spawn(async move {
            if work.await.is_err() {
                context.raise_error(ConnectError::new("a background job of the connector panicked"));
            }
        });
        Self { cancel, child }
    }

    /// Ends the child and waits for it.
    pub(crate) async fn stop(mut self) {
        self.cancel.cancel();
        while self.child.join_next().await.is_some() {}
    }
}
