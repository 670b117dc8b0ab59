//! The transformations, one file each.

pub(crate) mod drop_headers;
pub(crate) mod filter;
pub(crate) mod insert_header;
pub(crate) mod regex_router;
pub(crate) mod set_schema_metadata;
pub(crate) mod timestamp_router;
