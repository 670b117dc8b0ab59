use std::sync::Arc;

/// One member of a source partition: the primitive JSON values that mirror connectors use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceValue {
    /// A JSON string.
    String(Arc<str>),
    /// A JSON integer.
    Int(i64),
}

/// The map that names a stream of records inside a connector, for example
/// `{"cluster":"source","partition":0,"topic":"orders"}`.
///
/// The order of the members is part of the identity: Java looks offsets up by the exact bytes of the JSON, and writes
/// the members in the iteration order of a `HashMap`. A connector lists them in that order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourcePartition(pub Vec<(&'static str, SourceValue)>);

/// The position of a stream: `{"offset": n}`, the one shape that the mirror connectors store. It is the offset of the
/// last record that was handled, not of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceOffset(pub i64);

/// What a task may ask about stored offsets, when it starts (Java's `OffsetStorageReader`).
pub trait OffsetStorageReader: Send + Sync {
    /// The offset stored for each of `partitions`, in their order. Missing, null, without the field `offset`, or
    /// negative: `None`.
    fn offsets(&self, partitions: &[SourcePartition]) -> Vec<Option<SourceOffset>>;
}
