//! What happens because time passes: members that fall silent, rebalances and transactions that take too long.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::state::{Shared, State};

pub(crate) async fn run(shared: Arc<Shared>, cancel: CancellationToken) {
    loop {
        let next = expire(&mut shared.state());
        let expired = async {
            match next {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            () = expired => shared.log_changed.notify_waiters(),
            () = shared.deadline_changed.notified() => {}
        }
    }
}

/// Acts on every deadline that has passed; gives the next one.
fn expire(state: &mut State) -> Option<Instant> {
    let now = Instant::now();
    state.groups.expire(now);
    state.expire_transactions(now);
    let deadlines = [state.groups.next_deadline(), state.transactions.next_deadline()];
    deadlines.into_iter().flatten().min()
}
