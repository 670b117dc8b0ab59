//! The leader's right to write what only the leader writes. With `exactly.once.source.support` it is a transactional id:
//! a worker that leads no more, and does not know it yet, is fenced.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{Instrument, info, warn};

use super::{Herder, Job, Lifecycle};
use crate::{
    clients,
    storage::{self, TransactionalWriter},
    trouble::Trouble,
};

/// Between attempts to take the id over.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// Unless the worker's configuration says otherwise. What a killed leader left open holds up everybody who reads the config
/// topic, and a write takes milliseconds.
const TRANSACTION_TIMEOUT_MS: &str = "10000";

/// See the module.
pub(super) struct Leadership {
    /// Whether the leader writes in transactions.
    is_guarded: bool,
    claim: Claim,
    retry_at: Option<Instant>,
    trouble: Trouble,
}

enum Claim {
    /// Another worker may hold the id.
    Absent,
    UnderWay,
    Held(Box<TransactionalWriter>),
    /// A write is under way with it.
    Lent,
}

/// The id is not ours yet.
#[derive(Debug)]
pub(super) struct NotClaimed;

impl Leadership {
    pub(super) fn new(is_guarded: bool) -> Self {
        Self {
            is_guarded,
            claim: Claim::Absent,
            retry_at: None,
            trouble: Trouble::new(RETRY.0, RETRY.1),
        }
    }

    /// What a leader's write is done with; without a writer it is a plain one.
    pub(super) fn lend(&mut self) -> Result<Option<Box<TransactionalWriter>>, NotClaimed> {
        if !self.is_guarded {
            return Ok(None);
        }
        match std::mem::replace(&mut self.claim, Claim::Lent) {
            Claim::Held(writer) => Ok(Some(writer)),
            other => {
                self.claim = other;
                Err(NotClaimed)
            }
        }
    }

    /// The write is over; after a failure there is no writer any more.
    pub(super) fn give_back(&mut self, writer: Option<Box<TransactionalWriter>>) {
        if !matches!(self.claim, Claim::Lent) {
            return;
        }
        self.claim = match writer {
            Some(writer) => Claim::Held(writer),
            None => {
                self.retry_at = Some(Instant::now() + RETRY.0);
                Claim::Absent
            }
        };
    }

    /// Another worker leads.
    pub(super) fn lose(&mut self) {
        (self.claim, self.retry_at) = (Claim::Absent, None);
    }

    /// Another worker may have led for a while: the id is taken over once more before it is used.
    pub(super) fn doubt(&mut self) {
        if matches!(self.claim, Claim::Held(_)) {
            self.claim = Claim::Absent;
        }
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }
}

impl Herder {
    /// A config topic that somebody deletes is made again by the worker that leads. One that is written in transactions
    /// is not: there is no telling that we still lead.
    pub(super) fn keep_config_topic(&self) {
        if let Some(stores) = &self.stores {
            let keeps = self.leads() && !self.leadership.is_guarded && !*self.hold.borrow();
            stores.configs.keep(keeps);
        }
    }

    /// A leader that has not got the id takes it over, unless it is out of touch with the group.
    pub(super) fn claim_config_topic(&mut self) {
        let is_wanted = self.leadership.is_guarded && self.leads() && !*self.hold.borrow();
        let is_early = self.leadership.retry_at.is_some_and(|at| at > Instant::now());
        let runs = matches!(self.lifecycle, Lifecycle::Joining | Lifecycle::Running);
        if !is_wanted || is_early || !runs || !matches!(self.leadership.claim, Claim::Absent) {
            return;
        }
        let Some(stores) = &self.stores else { return };
        (self.leadership.claim, self.leadership.retry_at) = (Claim::UnderWay, None);
        let mut props = clients::store(&self.settings.props, "configs-leader");
        props
            .entry("transaction.timeout.ms".to_owned())
            .or_insert_with(|| TRANSACTION_TIMEOUT_MS.to_owned());
        let id = self.settings.leader_transactional_id();
        let (log, dialer, clock) = (stores.configs.clone(), self.dialer.clone(), self.clock.clone());
        let generation = self.generation;
        let claiming = async move {
            let claimed = TransactionalWriter::claim(&log, &props, &id, dialer, clock).await;
            Job::Claimed {
                generation,
                claimed: claimed.map(Box::new),
            }
        };
        self.jobs.spawn(claiming.in_current_span());
    }

    pub(super) fn on_claimed(&mut self, generation: i32, claimed: Result<Box<TransactionalWriter>, storage::Error>) {
        if !matches!(self.leadership.claim, Claim::UnderWay) {
            return;
        }
        // Whoever led in between has taken the id over.
        let is_ours = self.leads() && generation == self.generation;
        self.leadership.claim = match claimed {
            Ok(writer) if is_ours => {
                self.leadership.trouble.worked();
                info!("the config topic is written in transactions, as its leader");
                Claim::Held(writer)
            }
            Ok(_) => Claim::Absent,
            Err(error) => {
                let failure = self.leadership.trouble.failed();
                self.leadership.retry_at = Some(Instant::now() + failure.wait);
                if failure.report {
                    let attempts = failure.attempts;
                    warn!(
                        error = error.chain(),
                        attempts, "the leader's transactional id cannot be taken over, trying again"
                    );
                }
                Claim::Absent
            }
        };
    }
}
