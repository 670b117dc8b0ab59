//! The producer id: asking for one, and going on under another when the brokers have lost what they knew of it.

use kafka_protocol::messages::InitProducerIdRequest;
use kafka_wire::ErrorCode;
use tokio::time::Instant;

use super::partition_queue::Identity;
use super::{Event, Producer};
use crate::retry::is_retriable;
use crate::{Client, Error};

/// A coordinator that loads, or a broker that starts, is not worth a line before this attempt.
const SAY_RETRIABLE_FROM: u32 = 4;

pub(super) enum IdentityState {
    Missing { not_before: Option<Instant>, attempts: u32 },
    Asking { attempts: u32 },
    Known(Identity),
}

impl Default for IdentityState {
    fn default() -> Self {
        Self::Missing {
            not_before: None,
            attempts: 0,
        }
    }
}

impl IdentityState {
    pub(super) fn not_before(&self) -> Option<Instant> {
        match self {
            Self::Missing { not_before, .. } => *not_before,
            _ => None,
        }
    }
}

impl Producer {
    /// Gives a partition the producer id to send under, or lets it wait for one. A partition keeps its own until it is
    /// lost: what is lost of one partition says nothing of the others.
    pub(super) fn identify(&mut self, partition: usize) -> bool {
        let queue = &mut self.partitions[partition];
        if queue.identity.is_none() {
            match &self.identity {
                IdentityState::Known(identity) => queue.identity = Some(*identity),
                _ => self.without_identity.push(partition),
            }
        }
        self.partitions[partition].identity.is_some()
    }

    /// Nothing is in flight: if the partition's producer id is lost, it goes on under another one.
    pub(super) fn replace_lost_identity(&mut self, partition: usize) {
        if self.fail_if_identity_is_lost(partition) {
            return;
        }
        let Some(lost) = self.partitions[partition].restart_sequences() else {
            return;
        };
        let queue = &self.partitions[partition];
        tracing::warn!(
            partition = %queue.target, producer_id = lost.producer_id, reason = ?queue.last_error,
            "the broker has lost the state of this producer; going on under a new producer id, \
             batches that were on their way may be written twice"
        );
        if matches!(&self.identity, IdentityState::Known(identity) if *identity == lost) {
            self.identity = IdentityState::default();
        }
    }

    /// Asks for a producer id, if a partition waits for one.
    pub(super) fn ask_for_identity(&mut self, now: Instant) {
        if self.without_identity.is_empty() || self.transaction.is_some() {
            return;
        }
        if let IdentityState::Missing { not_before, attempts } = &self.identity
            && not_before.is_none_or(|at| at <= now)
        {
            let attempts = *attempts;
            self.identity = IdentityState::Asking { attempts };
            let client = self.client.clone();
            self.work.push(Box::pin(
                async move { Event::Identified(init_producer_id(&client).await) },
            ));
        }
    }

    pub(super) fn on_identified(&mut self, result: Result<Identity, Error>) {
        let attempts = match &self.identity {
            IdentityState::Asking { attempts } => *attempts,
            _ => 0,
        };
        self.identity = match result {
            Ok(identity) => IdentityState::Known(identity),
            Err(error) => {
                let attempts = attempts.saturating_add(1);
                let is_news = attempts >= SAY_RETRIABLE_FROM || !is_retriable(&error);
                if attempts.is_power_of_two() && is_news {
                    // Which cluster, and for what: the error knows neither.
                    let first = self.partitions.iter().find(|queue| queue.has_waiting());
                    let first = first.map(|queue| tracing::field::display(&queue.target));
                    tracing::warn!(attempts, first, error = %error.chain(), "no producer id for what is to be written; trying on");
                }
                IdentityState::Missing {
                    not_before: Some(Instant::now() + self.backoff(attempts)),
                    attempts,
                }
            }
        };
        if matches!(self.identity, IdentityState::Known(_)) {
            for partition in std::mem::take(&mut self.without_identity) {
                self.enqueue(partition);
            }
        }
    }
}

async fn init_producer_id(client: &Client) -> Result<Identity, Error> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(i32::MAX)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    let response = client.call_any(request).await?;
    ErrorCode::check(response.error_code).map_err(|code| Error::refused("InitProducerId", code, None))?;
    Ok(Identity {
        producer_id: response.producer_id.0,
        epoch: response.producer_epoch,
        transactional: false,
    })
}
