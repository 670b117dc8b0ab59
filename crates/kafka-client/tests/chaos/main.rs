//! Producer and consumer against a cluster that fails them, in memory and on a paused clock.

mod consumer;
mod producer;
mod random_consumer;
mod random_producer;
mod read_committed;
mod support;
mod transactions;
