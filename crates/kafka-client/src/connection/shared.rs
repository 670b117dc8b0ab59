//! What a connection's handles and its two tasks share: the requests in flight, and the error that ended it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ApiKey;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::throttle;
use crate::error::Error;
use crate::metrics::{ClientMetrics, Traffic};

pub(crate) type ReplySender = oneshot::Sender<Result<Bytes, Error>>;

/// A request that was handed to the socket and awaits its response.
pub(crate) struct InFlight {
    pub(crate) correlation_id: i32,
    pub(crate) api_key: ApiKey,
    pub(crate) version: i16,
    pub(crate) timeout: Duration,
    pub(crate) deadline: Instant,
    pub(crate) reply: ReplySender,
}

pub(crate) struct Shared {
    /// Who is at the other end, for people.
    pub(crate) broker: Arc<str>,
    /// This connection's own counters.
    pub(crate) traffic: Traffic,
    /// The client's counters.
    pub(crate) metrics: Arc<ClientMetrics>,
    /// Cancelled once the connection is of no more use.
    pub(crate) closed: CancellationToken,
    max_idle: Option<Duration>,
    /// `request.timeout.ms`.
    request_timeout: Duration,
    state: Mutex<State>,
}

struct State {
    in_flight: VecDeque<InFlight>,
    /// It was said that the broker owes an answer.
    is_late: bool,
    throttled_until: Option<Instant>,
    last_active: Instant,
    error: Option<Error>,
}

impl Shared {
    pub(crate) fn new(
        broker: Arc<str>,
        metrics: Arc<ClientMetrics>,
        max_idle: Option<Duration>,
        request_timeout: Duration,
    ) -> Self {
        let state = State {
            in_flight: VecDeque::new(),
            is_late: false,
            throttled_until: None,
            last_active: Instant::now(),
            error: None,
        };
        let closed = CancellationToken::new();
        metrics.connection_opened();
        Self {
            broker,
            traffic: Traffic::default(),
            metrics,
            closed,
            max_idle,
            request_timeout,
            state: Mutex::new(state),
        }
    }

    /// Every section is a few field accesses and none can panic, so a poisoned lock still guards a whole state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.state().in_flight.len()
    }

    /// How long the last of the requests in flight may still take.
    pub(crate) fn longest_wait(&self) -> Duration {
        let latest = self.state().in_flight.iter().map(|request| request.deadline).max();
        latest.map_or(Duration::ZERO, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        })
    }

    /// Why the connection ended, once it has.
    pub(crate) fn error(&self) -> Error {
        let closed = || Error::Closed {
            broker: self.broker.clone(),
            reason: "it is no longer used",
        };
        self.state().error.clone().unwrap_or_else(closed)
    }

    /// Ends the connection: every waiter, now and later, gets this error. The first error wins.
    pub(crate) fn poison(&self, error: Error) {
        let waiters = {
            let mut state = self.state();
            if state.error.is_none() {
                tracing::debug!(broker = %self.broker, reason = error.chain(), "connection closed");
                self.metrics.connection_closed();
                state.error = Some(error);
            }
            std::mem::take(&mut state.in_flight)
        };
        self.closed.cancel();
        if !waiters.is_empty() {
            let error = self.error();
            for waiter in waiters {
                let _ = waiter.reply.send(Err(error.clone()));
            }
        }
    }

    /// Registers a request just before its bytes go out, since the answer may arrive before the write returns.
    pub(crate) fn expect(&self, request: InFlight) {
        let mut state = self.state();
        match &state.error {
            None => {
                if is_use(request.api_key) {
                    state.last_active = Instant::now();
                }
                state.in_flight.push_back(request);
            }
            Some(error) => {
                let _ = request.reply.send(Err(error.clone()));
            }
        }
    }

    /// From when on the lack of an answer is worth a word: a third of `request.timeout.ms` after a broker should have
    /// answered. `None` for what waits for other members of a group, and for the handshake: whoever connects says how
    /// that ended, ever more rarely.
    pub(crate) fn late_at(&self, request: &InFlight) -> Option<Instant> {
        let may_wait = request.timeout.saturating_sub(self.request_timeout);
        let late_at = request.sent_at() + may_wait + self.request_timeout / 3;
        let waits_for_others = matches!(request.api_key, ApiKey::JoinGroup | ApiKey::SyncGroup);
        let is_handshake = request.api_key == ApiKey::ApiVersions || !is_use(request.api_key);
        (!waits_for_others && !is_handshake).then_some(late_at)
    }

    /// Hands a response frame to the request it answers.
    pub(crate) fn deliver(&self, mut frame: Bytes) -> Result<(), Error> {
        let size = frame.len() as u64 + 4;
        self.traffic.received(size);
        self.metrics.traffic.received(size);
        let got = frame.try_get_i32().unwrap_or(-1);
        let (request, was_late) = {
            let mut state = self.state();
            let expected = state.in_flight.front().map(|request| request.correlation_id);
            if expected != Some(got) {
                return Err(Error::Correlation {
                    broker: self.broker.clone(),
                    got,
                    expected,
                });
            }
            let request = state.in_flight.pop_front().expect("its correlation id was just read");
            if is_use(request.api_key) {
                state.last_active = Instant::now();
            }
            (request, std::mem::take(&mut state.is_late))
        };
        if request.api_key.response_header_version(request.version) >= 1 {
            skip_tagged_fields(&mut frame).ok_or_else(|| Error::Malformed {
                broker: self.broker.clone(),
                api: request.api_key,
                reason: "its header is cut".into(),
            })?;
        }
        let pause = throttle::leading_throttle(request.api_key, request.version, &frame).unwrap_or_default();
        self.throttle(pause);
        let took = request.sent_at().elapsed();
        self.metrics.answered(request.api_key, took, pause, size);
        if was_late {
            tracing::info!(broker = %self.broker, request = ?request.api_key, ?took, "the broker answers again");
        }
        let _ = request.reply.send(Ok(frame)); // the caller may have lost interest
        Ok(())
    }

    /// Holds back later requests, as the broker asked (KIP-219).
    pub(crate) fn throttle(&self, pause: Duration) {
        if pause.is_zero() {
            return;
        }
        let ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.traffic.throttled(ms);
        self.metrics.traffic.throttled(ms);
        let until = Instant::now() + pause;
        let mut state = self.state();
        state.throttled_until = state.throttled_until.max(Some(until));
    }

    pub(crate) fn throttled_until(&self) -> Option<Instant> {
        self.state().throttled_until.filter(|until| *until > Instant::now())
    }

    /// Looks for an overdue request or for idleness. Says when to look again, or why the connection is to end. That a
    /// broker is late it tells the log, long before it gives up: whoever waits for the answer is silent until then.
    pub(crate) fn check_deadlines(&self, now: Instant) -> Result<Instant, Error> {
        let mut state = self.state();
        let late = |request: &&InFlight| self.late_at(request).is_some_and(|at| at <= now);
        if let Some(request) = state.in_flight.iter().find(late).filter(|_| !state.is_late) {
            tracing::warn!(
                broker = %self.broker, request = ?request.api_key, waiting_for = ?now - request.sent_at(),
                given_up_in = ?request.deadline.saturating_duration_since(now),
                "the broker owes an answer; what comes behind it on this connection waits"
            );
            state.is_late = true;
        }
        let late_at = state.in_flight.iter().filter_map(|request| self.late_at(request));
        let next_late = late_at.filter(|_| !state.is_late).min();
        match state.in_flight.iter().min_by_key(|request| request.deadline) {
            Some(request) if request.deadline <= now => Err(Error::RequestTimeout {
                broker: self.broker.clone(),
                api: request.api_key,
                timeout: request.timeout,
            }),
            Some(request) => Ok(next_late.map_or(request.deadline, |late| late.min(request.deadline))),
            None => {
                let far = Duration::from_secs(24 * 3600);
                let idle_at = state.last_active + self.max_idle.unwrap_or(far);
                match self.max_idle {
                    Some(_) if idle_at <= now => Err(Error::Closed {
                        broker: self.broker.clone(),
                        reason: "it was idle for connections.max.idle.ms",
                    }),
                    Some(_) => Ok(idle_at),
                    None => Ok(now + far),
                }
            }
        }
    }
}

impl InFlight {
    fn sent_at(&self) -> Instant {
        self.deadline - self.timeout
    }
}

/// Whether a request keeps a connection from being idle. One that nobody needs is not kept open by logging in again.
fn is_use(api_key: ApiKey) -> bool {
    !matches!(api_key, ApiKey::SaslHandshake | ApiKey::SaslAuthenticate)
}

/// Skips the tagged fields of a flexible header. There are none so far, so this is one byte.
fn skip_tagged_fields(frame: &mut Bytes) -> Option<()> {
    let count = unsigned_varint(frame)?;
    for _ in 0..count {
        let _tag = unsigned_varint(frame)?;
        let size = usize::try_from(unsigned_varint(frame)?).ok()?;
        if size > frame.len() {
            return None;
        }
        frame.advance(size);
    }
    Some(())
}

/// An unsigned varint of at most five bytes.
pub(crate) fn unsigned_varint(bytes: &mut Bytes) -> Option<u32> {
    let mut value = 0u32;
    for shift in (0..35).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        value |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
