//! Transformations between a source task and its producer (Connect's SMTs and predicates), for records of bytes.
//!
//! The unit of work is the batch. A [`TransformationChain`] first decides what the name of a batch's topic decides, and
//! remembers it per topic: most batches pass, get another topic or are dropped without a look at their records. Only what
//! depends on a record makes a new batch, record by record. Nothing here does I/O or knows a worker.
//!
//! Those of Kafka's transformations that need records with fields (structs, maps) are not here: a record is bytes.
//! Start reading at [`plugins`], the list of what there is, then [`TransformationChain`].

pub mod plugins;

mod chain;
mod civil;
mod date_format;
#[cfg(test)]
mod golden;
mod header_converter;
mod literal;
mod pattern;
mod plan;
mod predicates;
mod rebuild;
mod step;
mod transforms;

pub use chain::{Failure, Piece, TransformationChain, Transformed, Unreadable};
pub use header_converter::{HeaderConverter, UnknownHeaderConverter};
pub use plugins::{Kind, PLUGINS, Plugin, plugin};
