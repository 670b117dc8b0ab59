//! Connections by address and role, opened when first asked for, one attempt at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use crate::config::{ClientConfig, HostPort};
use crate::connection::{Connection, ConnectionOptions};
use crate::dial::Dialer;
use crate::error::Error;
use crate::metrics::ClientMetrics;
use crate::retry::ExponentialBackoff;

/// What a connection is for. Roles have sockets of their own, since answers come in order: behind a long-polling fetch
/// everything else would wait. The number tells several users of a kind apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Metadata, admin requests, groups: short answers.
    General,
    /// A group member's requests, whose answers wait for the other members.
    Coordinator,
    /// Fetches that wait at the broker.
    Fetch(u32),
    /// Produce requests.
    Produce(u32),
}

/// A broker that refuses us is asked again after so long, and ever less often: it counts our failures, and may lock us out.
const REFUSED_BACKOFF: ExponentialBackoff = ExponentialBackoff::new(Duration::from_secs(1), Duration::from_secs(30));

pub(crate) struct Pool {
    dialer: Dialer,
    options: ConnectionOptions,
    reconnect: ExponentialBackoff,
    setup: ExponentialBackoff,
    slots: Mutex<HashMap<(HostPort, Role), Arc<Slot>>>,
    refusals: Mutex<HashMap<HostPort, Refusal>>,
}

/// Why a broker does not let us in, whatever for, and until when its answer is taken to be the same.
struct Refusal {
    error: Error,
    failures: u32,
    until: Instant,
}

/// One address in one role.
#[derive(Default)]
struct Slot {
    current: ArcSwapOption<Connection>,
    /// Held while connecting, so that several callers share one attempt.
    connecting: tokio::sync::Mutex<()>,
    attempts: Mutex<Attempts>,
}

#[derive(Default, Clone, Copy)]
struct Attempts {
    failures: u32,
    not_before: Option<Instant>,
}

impl Pool {
    pub(crate) fn new(config: &ClientConfig, dialer: Dialer, metrics: Arc<ClientMetrics>) -> Self {
        let options = ConnectionOptions {
            client_id: config.client_id.clone(),
            request_timeout: config.request_timeout,
            max_idle: config.connections_max_idle,
            max_frame_bytes: config.max_frame_bytes,
            metrics,
            security: config.security.clone(),
        };
        Self {
            dialer: dialer.with_options(config.socket.clone()),
            options,
            reconnect: ExponentialBackoff::new(config.reconnect_backoff, config.reconnect_backoff_max),
            setup: ExponentialBackoff::new(config.socket.setup_timeout, config.socket_setup_timeout_max),
            slots: Mutex::default(),
            refusals: Mutex::default(),
        }
    }

    /// The connection to `address` in `role`, opened now if need be. Waits out the reconnect backoff first.
    pub(crate) async fn get(&self, address: &HostPort, role: Role) -> Result<Connection, Error> {
        let slot = self.slot(address, role);
        if let Some(connection) = slot.usable() {
            return Ok(connection);
        }
        let _single = slot.connecting.lock().await;
        if let Some(connection) = slot.usable() {
            return Ok(connection); // whoever held the lock has opened it
        }
        let before = slot.attempts();
        if let Some(not_before) = before.not_before {
            tokio::time::sleep_until(not_before).await;
        }
        let started = Instant::now();
        let setup_timeout = match before.failures {
            0 => self.options_setup_timeout(),
            failures => self.setup.after(failures),
        };
        let opened = match self.refusal(address) {
            Some(error) => Err(error),
            None => {
                let opened = self.open(address, setup_timeout).await;
                self.take_note(address, opened.as_ref().err());
                opened
            }
        };
        let failures = if opened.is_ok() {
            0
        } else {
            before.failures.saturating_add(1)
        };
        let wait = self.reconnect.after(failures.saturating_sub(1));
        let not_before = if opened.is_ok() {
            started + wait
        } else {
            Instant::now() + wait
        };
        slot.set_attempts(Attempts {
            failures,
            not_before: Some(not_before),
        });
        let connection = opened.inspect_err(|error| {
            self.options.metrics.connection_failed();
            tracing::debug!(%address, ?role, error = error.chain(), "cannot connect");
        })?;
        slot.current.store(Some(Arc::new(connection.clone())));
        Ok(connection)
    }

    /// The open connection to `address` in `role`, if there is one.
    pub(crate) fn open_connection(&self, address: &HostPort, role: Role) -> Option<Connection> {
        let slot = self.slots().get(&(address.clone(), role)).cloned()?;
        slot.usable()
    }

    /// Whether connecting to `address` would have to wait out a backoff.
    pub(crate) fn in_backoff(&self, address: &HostPort, role: Role) -> bool {
        let Some(slot) = self.slots().get(&(address.clone(), role)).cloned() else {
            return false;
        };
        let attempts = slot.attempts();
        attempts.failures > 0 && attempts.not_before.is_some_and(|at| at > Instant::now())
    }

    /// Lets go of the connections to addresses that are no longer part of the cluster. Their users keep theirs.
    pub(crate) fn retain(&self, keep: impl Fn(&HostPort) -> bool) {
        self.slots().retain(|(address, _), _| keep(address));
        self.refusals().retain(|address, _| keep(address));
    }

    /// Closes every connection.
    pub(crate) fn close(&self) {
        for (_, slot) in self.slots().drain() {
            if let Some(connection) = slot.current.load_full() {
                connection.close("the client was closed");
            }
        }
    }

    /// What a broker has said a moment ago and would say again.
    fn refusal(&self, address: &HostPort) -> Option<Error> {
        let refusals = self.refusals();
        let refusal = refusals.get(address).filter(|refusal| refusal.until > Instant::now())?;
        Some(refusal.error.clone())
    }

    /// Remembers who refused us. Only a person can mend that, so it is said as an error, each time that a broker was asked.
    fn take_note(&self, address: &HostPort, error: Option<&Error>) {
        let mut refusals = self.refusals();
        let Some(error) = error.filter(|error| error.is_security()) else {
            if error.is_none() && refusals.remove(address).is_some() {
                tracing::info!(broker = %address, "broker lets us in again");
            }
            return;
        };
        let now = Instant::now();
        let failures = match refusals.get(address) {
            Some(known) if known.until > now => return, // another role has just heard the same
            Some(known) => known.failures.saturating_add(1),
            None => 0,
        };
        let wait = REFUSED_BACKOFF.after(failures);
        tracing::error!(
            client_id = &*self.options.client_id,
            ?wait,
            "{}; trying again later",
            error.chain()
        );
        let error = error.clone();
        let until = now + wait;
        refusals.insert(address.clone(), Refusal { error, failures, until });
    }

    async fn open(&self, address: &HostPort, setup_timeout: Duration) -> Result<Connection, Error> {
        let stream = self
            .dialer
            .dial_within(&address.host, address.port, setup_timeout)
            .await?;
        let security = &self.options.security;
        let stream = security
            .secure(stream, &address.host, address.port, setup_timeout)
            .await?;
        Connection::open(stream, address.to_string().into(), &self.options).await
    }

    fn options_setup_timeout(&self) -> Duration {
        self.dialer.options().setup_timeout
    }

    fn slot(&self, address: &HostPort, role: Role) -> Arc<Slot> {
        self.slots().entry((address.clone(), role)).or_default().clone()
    }

    fn refusals(&self) -> MutexGuard<'_, HashMap<HostPort, Refusal>> {
        self.refusals.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<(HostPort, Role), Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Slot {
    fn usable(&self) -> Option<Connection> {
        self.current
            .load()
            .as_ref()
            .filter(|connection| !connection.is_closed())
            .map(|c| Connection::clone(c))
    }

    fn attempts(&self) -> Attempts {
        *self.attempts.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn set_attempts(&self, attempts: Attempts) {
        *self.attempts.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = attempts;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use config_def::Props;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_refuses_us_is_asked_ever_less_often() {
        let settings = [("bootstrap.servers", "kafka:9093"), ("security.protocol", "SSL")];
        let props: Props = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let config = ClientConfig::parse(&props).expect("it is valid");
        let dials = Arc::new(AtomicU32::new(0));
        let counted = dials.clone();
        let dialer = Dialer::from_fn(move |_host, _port| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(tokio::io::join(&b"HTTP/1.1 400 Bad Request\r\n"[..], tokio::io::sink())) }
        });
        let pool = Pool::new(&config, dialer, Arc::default());
        let address = &config.bootstrap_servers[0];
        let until = Instant::now() + Duration::from_secs(120);
        let mut tries = 0;
        while Instant::now() < until {
            for role in [Role::General, Role::Fetch(0)] {
                let error = pool.get(address, role).await.expect_err("it speaks HTTP");
                assert!(error.is_security(), "{}", error.chain());
                tries += 1;
            }
        }
        // After 0, 1, 3, 7, 15, 31, 61, 91 seconds, and the role that asked at the same time as the first.
        let dials = dials.load(Ordering::Relaxed);
        assert!((7..=10).contains(&dials), "{dials} dials");
        assert!(
            tries > 100,
            "{tries}: who asks is answered at once, within the reconnect backoff"
        );
    }
}
