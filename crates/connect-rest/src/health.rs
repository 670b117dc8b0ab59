//! Asking the worker of this machine how it is, as its own settings say that it can be asked: for health checks.

use std::{net::IpAddr, time::Duration};

use axum::http::{HeaderMap, Method, header};
use bytes::Bytes;
use config_def::{ConfigErrors, Props};
use tokio::time::timeout;

use crate::{
    client::{self, Client},
    config::RestConfig,
    listener::{Listener, Protocol, in_url},
    login::Login,
};

/// A worker that cannot say how it is says so after ten seconds.
const TIMEOUT: Duration = Duration::from_secs(11);

/// Why a worker is not known to be healthy.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Its settings make no sense.
    #[error("the REST server's settings are not usable")]
    Config(#[from] ConfigErrors),
    /// It listens nowhere.
    #[error("there are no listeners to ask")]
    NoListener,
    /// Nobody can log in.
    #[error("nobody can log in to the REST API: {0}")]
    Login(String),
    /// It cannot be asked.
    #[error("{url} cannot be asked: {why}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why that was not possible.
        why: String,
    },
    /// It says itself that it is not well.
    #[error("{url} answers {status}: {said}")]
    Unhealthy {
        /// What was asked.
        url: String,
        /// The status of the answer.
        status: u16,
        /// What the answer says.
        said: String,
    },
}

/// What the worker with these settings says of its health. It is asked on this machine, at its first listener that speaks
/// http, or its first at all; over https with what its listeners trust and the certificate that they show to others;
/// and as the first of its users, if it has any.
pub async fn ask_health(props: &Props, system: &Props) -> Result<String, HealthError> {
    let config = RestConfig::parse(props)?;
    let is_plain = |listener: &&Listener| listener.protocol == Protocol::Http;
    let listeners = &config.listeners;
    let listener = listeners.iter().find(is_plain).or(listeners.first());
    let listener = listener.ok_or(HealthError::NoListener)?;
    let at = format!("{}:{}", in_url(&address_of(listener)), listener.port);
    let name = match listener.protocol {
        Protocol::Http => address_of(listener),
        Protocol::Https => config.advertised_host.clone().unwrap_or_else(|| address_of(listener)),
    };
    let url = format!("{}://{}:{}/health", listener.protocol, in_url(&name), listener.port);
    let mut headers = HeaderMap::new();
    if config.has_login {
        let login = Login::read(system).await.map_err(HealthError::Login)?;
        if let Some(first_user) = login.first_user().await.map_err(HealthError::Login)? {
            headers.insert(header::AUTHORIZATION, first_user);
        }
    }
    let unreachable = |why: String| HealthError::Unreachable { url: url.clone(), why };
    let client = Client::new(config.other_workers_tls.clone());
    let asking = client.ask_at(&at, Method::GET, &url, headers, Bytes::new());
    let answer = timeout(TIMEOUT, Box::pin(asking)).await;
    let answer = answer.map_err(|_late| unreachable("there is no answer in time".to_owned()))?;
    let answer = answer.map_err(|error: client::Error| unreachable(error.to_string()))?;
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    match answer.status {
        200 => Ok(said),
        status => Err(HealthError::Unhealthy { url, status, said }),
    }
}

/// Where this machine reaches a listener.
fn address_of(listener: &Listener) -> String {
    let host = listener.host.as_deref().unwrap_or("0.0.0.0");
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) if address.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(address)) if address.is_unspecified() => "::1".to_owned(),
        _ => host.to_owned(),
    }
}
