//! A Kafka client that keeps record batches as they are: connections, metadata, consumer, producer, admin.
//!
//! It could serve any Kafka program: it knows nothing of Connect or of mirroring, and it never looks into a record.
//! Only [`dial`] opens sockets and [`security`] secures them; [`connection`] is one broker, [`client`] a cluster, and everything else asks these two.
//! Start reading at [`Client`].

pub mod admin;
pub mod client;
mod clock;
pub mod config;
pub mod connection;
pub mod consumer;
pub mod dial;
pub mod error;
pub mod metadata;
pub mod metrics;
mod pool;
pub mod producer;
mod refresh;
pub mod retry;
mod rights;
pub mod security;
#[cfg(test)]
mod test_cluster;

pub use admin::Admin;
pub use client::Client;
pub use config::{ClientConfig, ConsumerConfig, ProducerConfig};
pub use connection::{Connection, Reply, RequestFrame};
pub use dial::Dialer;
pub use error::Error;
pub use metadata::{Metadata, Topics};
pub use pool::Role;
