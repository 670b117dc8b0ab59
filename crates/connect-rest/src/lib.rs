//! Kafka Connect's REST API over the herder: the only crate that knows status codes and REST JSON.
//!
//! [`Server`] listens and minds connections; `resources` is the table of endpoints with JAX-RS' rules around it;
//! `entities` is the JSON; `forward` asks other workers. It does not know how the herder works, and nothing of
//! mirroring. Start reading at `resources`.

mod asked;
mod body;
mod client;
mod config;
mod cors;
mod entities;
mod error;
mod forward;
mod health;
mod listener;
mod loggers;
mod login;
mod negotiation;
mod openapi;
mod resources;
mod response_headers;
mod secrets;
mod server;
mod tls;
mod uri;

#[cfg(test)]
mod tests;

/// The Kafka that this worker stands in for.
const KAFKA_VERSION: &str = connect_plugins::KAFKA_VERSION;

pub use self::{
    asked::Asked,
    forward::{FlowClient, RestClient},
    health::{HealthError, ask_health},
    loggers::{Level, LogFilter, Loggers, ROOT},
    resources::Api,
    server::{Error, Flow, Server},
};
