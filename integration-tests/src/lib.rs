//! What the scenarios in `tests/` stand on: Kafkas to mirror between, the processes under test, and a client of their own.
//!
//! A scenario knows only what a user knows: a properties file, a process, its log, and Kafka's protocol. Its body is
//! written once over [`Pair`] and runs twice, on [`EmbeddedKafka`] and on [`RealKafka`]: see [`scenarios!`].
//!
//! Everything here blocks: a scenario is a story told in order. Waiting is always for a condition with a deadline
//! ([`wait_until`]), which is also the only place that reads a clock or sleeps.
//!
//! This crate does not use kafka-client. [`TestClient`] is a second opinion on it.

pub mod client;
mod compare;
mod connect_worker;
mod deadline;
mod dist;
mod embedded;
mod heliograph;
mod kafka;
mod old_kafka;
mod process;
mod properties;
mod real_kafka;
mod relay;
mod rest;
mod secure_kafka;
mod small_disk;
mod target_dir;

pub use client::{
    Acl, GroupMember, Isolation, Operation, Pattern, Resource, Stream, TestClient, TestRecord, Topic,
    TransactionalProducer,
};
pub use compare::{Comparison, assert_mirrored, compare, partitions_mirrored};
pub use connect_worker::{ConnectWorker, WorkerGroup};
pub use deadline::{Deadline, Stopwatch, pause, wait_until};
pub use dist::{Jvm, KafkaDist, kafka_dist};
pub use embedded::EmbeddedKafka;
pub use heliograph::{Heliograph, JavaMirrorMaker, heliograph_binary};
pub use kafka::{Backend, Kafka, Pair, run_cluster_scenario, run_scenario};
pub use old_kafka::OldKafka;
pub use process::{Process, output, report};
pub use properties::MirrorProperties;
pub use real_kafka::{RealKafka, free_port};
pub use relay::Relay;
pub use rest::{Answer, Rest};
pub use secure_kafka::{
    Listener, PASSWORD, SecureKafka, TokenEndpoint, USER, guarded_listener, test_certificate, tls_listener,
};
pub use small_disk::SmallDisk;
pub use target_dir::{remove_dir, scratch_dir, target_dir};
