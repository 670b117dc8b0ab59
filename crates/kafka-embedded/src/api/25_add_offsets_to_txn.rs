//! AddOffsetsToTxn, versions 0 to 4.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use super::Call;
use crate::state::State;
use crate::transaction::ProducerIdAndEpoch;

const KNOWS_PRODUCER_FENCED: i16 = 2;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse {
    call.deadline_changed();
    match add(state, call, &request) {
        Ok(()) => AddOffsetsToTxnResponse::default(),
        Err(E::ProducerFenced) if call.version < KNOWS_PRODUCER_FENCED => refuse(request, E::InvalidProducerEpoch),
        Err(error) => refuse(request, error),
    }
}

pub(super) fn refuse(_: AddOffsetsToTxnRequest, error: E) -> AddOffsetsToTxnResponse {
    AddOffsetsToTxnResponse::default().with_error_code(error.code())
}

fn add(state: &mut State, call: &Call<'_>, request: &AddOffsetsToTxnRequest) -> Result<(), E> {
    let transactional_id = &request.transactional_id;
    state.check_coordinator(call.node_id(), transactional_id)?;
    let producer = ProducerIdAndEpoch {
        id: request.producer_id.0,
        epoch: request.producer_epoch,
    };
    state.add_group_to_transaction(transactional_id, producer, &request.group_id, call.now)
}
