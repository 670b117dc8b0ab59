//! The three internal topics: what is in them byte for byte, and how they are read and written.

pub mod config;
mod json;
pub mod offset;
mod record;
pub mod status;
#[cfg(test)]
pub(crate) mod testdata;

pub use record::{KeyValue, LogRecord, LogState};
