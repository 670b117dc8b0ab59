//! ApiVersions, versions 0 to 4.
//!
//! Of the features only `transaction.version` is told: clients decide by it whether EndTxn bumps the epoch (KIP-890).

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, ResponseKind};

use super::{Call, SUPPORTED, text};
use crate::state::State;

const TRANSACTION_VERSION: i16 = 2;

pub(super) fn handle(state: &mut State, call: &Call<'_>, _: ApiVersionsRequest) -> ApiVersionsResponse {
    let response = versions(state);
    if call.version < 3 {
        return response;
    }
    let feature = || text("transaction.version");
    response
        .with_supported_features(vec![
            SupportedFeatureKey::default()
                .with_name(feature())
                .with_min_version(0)
                .with_max_version(TRANSACTION_VERSION),
        ])
        .with_finalized_features_epoch(1)
        .with_finalized_features(vec![
            FinalizedFeatureKey::default()
                .with_name(feature())
                .with_max_version_level(TRANSACTION_VERSION)
                .with_min_version_level(TRANSACTION_VERSION),
        ])
}

pub(super) fn refuse(_: ApiVersionsRequest, error: E) -> ApiVersionsResponse {
    ApiVersionsResponse::default().with_error_code(error.code())
}

/// The answer, in version 0, to a version that is not known: the client picks another from it.
pub(crate) fn unsupported_version(state: &State) -> ResponseKind {
    ResponseKind::ApiVersions(versions(state).with_error_code(E::UnsupportedVersion.code()))
}

fn versions(state: &State) -> ApiVersionsResponse {
    let mut keys: Vec<_> = SUPPORTED
        .iter()
        .map(|supported| {
            ApiVersion::default()
                .with_api_key(supported.api_key as i16)
                .with_min_version(supported.min)
                .with_max_version(state.settings.max_version(supported))
        })
        .collect();
    keys.sort_by_key(|version| version.api_key);
    ApiVersionsResponse::default().with_api_keys(keys)
}
