//! Logging in on a connection, and again before the session ends (KIP-368).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use kafka_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::Request;
use tokio::sync::{mpsc, oneshot};

use super::shared::Shared;
use super::writer::{Queued, QueuedFrame};
use super::{ApiVersions, RequestFrame, api_key, common_version, decode};
use crate::error::Error;
use crate::security::Security;
use crate::security::sasl::{Line, MIN_HANDSHAKE, Sasl};

/// One frame after the other: each answer decides the next.
const LANE_CAPACITY: usize = 1;
/// Java's `ReauthInfo`: after this share of the session's life, to allow for clocks and networks.
const SESSION_SHARE: std::ops::RangeInclusive<f64> = 0.85..=0.95;

/// However short a broker makes its sessions, it is not to keep us busy with logging in.
const MIN_WAIT: Duration = Duration::from_millis(100);

/// Logs in over one connection. Holds neither the connection nor keeps it open.
pub(super) struct LoginLoop {
    pub(super) security: Arc<Security>,
    pub(super) shared: Arc<Shared>,
    pub(super) queue: mpsc::Sender<Queued>,
    pub(super) versions: ApiVersions,
    pub(super) timeout: Duration,
}

impl LoginLoop {
    /// Logs in. `Some`: how long the session lasts.
    pub(super) async fn log_in(&self, sasl: &Sasl) -> Result<Option<Duration>, Error> {
        let credentials = sasl.credentials().await?; // which may take its time, so before others have to wait
        let broker = &self.shared.broker;
        let lane = Lane {
            handshake: common_version::<SaslHandshakeRequest>(&self.versions, broker, MIN_HANDSHAKE..=i16::MAX)?,
            authenticate: common_version::<SaslAuthenticateRequest>(&self.versions, broker, 0..=i16::MAX)?,
            frames: self.open_lane().await?,
            shared: &self.shared,
            timeout: self.timeout,
        };
        sasl.authenticate(&lane, &credentials).await
    }

    /// Logs in again before each session ends; when that fails, the connection is given up.
    pub(super) async fn keep_logged_in(self, mut session: Duration) {
        let security = self.security.clone();
        let Some(sasl) = security.sasl() else { return };
        loop {
            let wait = session.mul_f64(rand::random_range(SESSION_SHARE));
            tokio::time::sleep(wait.max(MIN_WAIT)).await;
            match self.log_in(sasl).await {
                Ok(Some(next)) => session = next,
                Ok(None) => return,
                Err(error) => {
                    self.shared.poison(error);
                    return;
                }
            }
            tracing::debug!(broker = %self.shared.broker, ?session, "logged in again");
        }
    }

    /// From here until the sender is dropped, the writer takes frames from it and from nobody else.
    async fn open_lane(&self) -> Result<mpsc::Sender<QueuedFrame>, Error> {
        let (sender, receiver) = mpsc::channel(LANE_CAPACITY);
        let opened = self.queue.send(Queued::Lane(receiver)).await;
        opened.map_err(|_| self.shared.error())?;
        Ok(sender)
    }
}

struct Lane<'a> {
    handshake: i16,
    authenticate: i16,
    frames: mpsc::Sender<QueuedFrame>,
    shared: &'a Shared,
    timeout: Duration,
}

impl Lane<'_> {
    async fn call<R: Request>(&self, version: i16, request: R) -> Result<R::Response, Error> {
        // Answers come in order, so this one comes after those that are awaited now.
        let timeout = self.timeout + self.shared.longest_wait();
        let frame = RequestFrame::encode(version, &request, timeout)?;
        let (reply, receiver) = oneshot::channel();
        let gone = || self.shared.error();
        self.frames
            .send(QueuedFrame { frame, reply })
            .await
            .map_err(|_| gone())?;
        let body = receiver.await.map_err(|_| gone())??;
        decode(&self.shared.broker, api_key::<R>(), version, body)
    }
}

impl Line for Lane<'_> {
    fn broker(&self) -> &Arc<str> {
        &self.shared.broker
    }

    fn handshake(&self, request: SaslHandshakeRequest) -> BoxFuture<'_, Result<SaslHandshakeResponse, Error>> {
        Box::pin(self.call(self.handshake, request))
    }

    fn authenticate(&self, request: SaslAuthenticateRequest) -> BoxFuture<'_, Result<SaslAuthenticateResponse, Error>> {
        Box::pin(self.call(self.authenticate, request))
    }
}
