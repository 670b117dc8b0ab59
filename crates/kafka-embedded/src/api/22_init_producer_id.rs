//! InitProducerId, versions 0 to 5, idempotent and transactional.
//!
//! Left out: two-phase commit (version 6).

use std::time::Duration;

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::Call;
use crate::state::State;
use crate::transaction::ProducerIdAndEpoch;

/// Before this version a fenced producer is told with the older error.
const KNOWS_PRODUCER_FENCED: i16 = 4;
const NO_PRODUCER_ID: i64 = -1;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: InitProducerIdRequest) -> InitProducerIdResponse {
    call.log_changed();
    match init(state, call, &request) {
        Ok(producer) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch),
        Err(E::ProducerFenced) if call.version < KNOWS_PRODUCER_FENCED => refuse(request, E::InvalidProducerEpoch),
        Err(error) => refuse(request, error),
    }
}

pub(super) fn refuse(_: InitProducerIdRequest, error: E) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_error_code(error.code())
        .with_producer_id(ProducerId(NO_PRODUCER_ID))
        .with_producer_epoch(-1)
}

fn init(state: &mut State, call: &Call<'_>, request: &InitProducerIdRequest) -> Result<ProducerIdAndEpoch, E> {
    let Some(transactional_id) = &request.transactional_id else {
        return Ok(ProducerIdAndEpoch {
            id: state.new_producer_id(),
            epoch: 0,
        });
    };
    if transactional_id.is_empty() {
        return Err(E::InvalidRequest);
    }
    state.check_coordinator(call.node_id(), transactional_id)?;
    let holding = ProducerIdAndEpoch {
        id: request.producer_id.0,
        epoch: request.producer_epoch,
    };
    let holding = (holding.id != NO_PRODUCER_ID).then_some(holding);
    let timeout = Duration::from_millis(request.transaction_timeout_ms.max(0) as u64);
    state.init_transactions(transactional_id, timeout, holding)
}
