//! What Prometheus reads: everything that connectors, workers and clients count, as text.
//!
//! Nothing is kept here. A scrape takes snapshots, on a thread of its own, and writes them down: `exposition` is the
//! text format, and each of the other modules is a table of names beside what they read. `docs/METRICS.md` lists them
//! all. Start reading at [`Metrics`].

mod clients;
mod exposition;
mod limits;
mod mirror;
mod process;
mod scrape;
mod worker;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

pub use self::scrape::{Metrics, Options, Worker};
