//! The API, described for programs: `GET /openapi.json`.

use serde_json::{Value, json};

/// The document.
pub(crate) fn document() -> Value {
    json!({})
}
