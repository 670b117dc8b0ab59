//! The broker's behaviour, request by request, over in-memory streams.

mod admin;
mod disturbances;
mod fetch;
mod groups;
mod produce;
mod raw;
mod transactions;
mod transcript;
mod versions;

use kafka_embedded::{Cluster, ResponseError};
use raw::RawClient;

async fn one_node() -> (Cluster, RawClient) {
    let cluster = Cluster::builder().start().await.expect("a cluster");
    let client = RawClient::connect(&cluster, 1).await;
    (cluster, client)
}

/// A code as an error, so that a failed assertion reads well.
fn error(code: i16) -> Option<ResponseError> {
    ResponseError::try_from_code(code)
}
