//! DescribeCluster, versions 0 to 2.
//!
//! Left out: racks, authorized operations, the controllers' endpoint type.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};

use super::{Call, OPERATIONS_UNKNOWN, text};
use crate::state::State;

const BROKERS: i8 = 1;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: DescribeClusterRequest) -> DescribeClusterResponse {
    if call.version > 0 && request.endpoint_type != BROKERS {
        return refuse(request, E::UnsupportedEndpointType);
    }
    let brokers = state.running_nodes().map(|(id, node)| {
        DescribeClusterBroker::default()
            .with_broker_id(BrokerId(id))
            .with_host(text(&node.host))
            .with_port(node.port.into())
    });
    DescribeClusterResponse::default()
        .with_cluster_id(text(&state.settings.cluster_id))
        .with_controller_id(BrokerId(state.controller_id()))
        .with_brokers(brokers.collect())
        .with_cluster_authorized_operations(OPERATIONS_UNKNOWN)
}

pub(super) fn refuse(_: DescribeClusterRequest, error: E) -> DescribeClusterResponse {
    DescribeClusterResponse::default().with_error_code(error.code())
}
