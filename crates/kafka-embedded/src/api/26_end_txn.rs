//! EndTxn, versions 0 to 5; from 5 on each transaction has an epoch of its own (KIP-890).

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse, ProducerId};

use super::Call;
use crate::state::State;
use crate::transaction::ProducerIdAndEpoch;

const KNOWS_PRODUCER_FENCED: i16 = 2;
const BUMPS_EPOCH: i16 = 5;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: EndTxnRequest) -> EndTxnResponse {
    call.log_changed();
    match end(state, call, &request) {
        Ok(next) if call.version >= BUMPS_EPOCH => EndTxnResponse::default()
            .with_producer_id(ProducerId(next.id))
            .with_producer_epoch(next.epoch),
        Ok(_) => EndTxnResponse::default(),
        Err(E::ProducerFenced) if call.version < KNOWS_PRODUCER_FENCED => refuse(request, E::InvalidProducerEpoch),
        Err(error) => refuse(request, error),
    }
}

pub(super) fn refuse(_: EndTxnRequest, error: E) -> EndTxnResponse {
    EndTxnResponse::default().with_error_code(error.code())
}

fn end(state: &mut State, call: &Call<'_>, request: &EndTxnRequest) -> Result<ProducerIdAndEpoch, E> {
    let transactional_id = &request.transactional_id;
    state.check_coordinator(call.node_id(), transactional_id)?;
    let producer = ProducerIdAndEpoch {
        id: request.producer_id.0,
        epoch: request.producer_epoch,
    };
    state.end_transaction(
        transactional_id,
        producer,
        request.committed,
        call.version >= BUMPS_EPOCH,
    )
}
