//! The first exchange on a connection: which requests, in which versions, the broker takes.
//!
//! Read by hand, since these are the first bytes from a peer that has not proven to be Kafka; nothing in them sizes an allocation.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest};
use kafka_protocol::protocol::{Message, StrBytes, VersionRange};
use kafka_wire::ErrorCode;

use super::shared::unsigned_varint;

/// What a broker offers.
#[derive(Debug, Clone, Default)]
pub struct ApiVersions {
    /// By API key; keys are small and dense.
    ranges: Vec<Option<VersionRange>>,
    /// Feature levels that the cluster has finalized, such as `transaction.version`.
    features: Vec<(String, i16)>,
}

/// API keys above this are not ours to speak.
const MAX_API_KEY: i16 = 255;

impl ApiVersions {
    /// The versions of a request that the broker takes.
    pub fn range(&self, api_key: ApiKey) -> Option<VersionRange> {
        self.ranges.get(api_key as usize).copied().flatten()
    }

    /// The finalized level of a cluster feature, such as `transaction.version`.
    pub fn finalized_feature(&self, name: &str) -> Option<i16> {
        self.features
            .iter()
            .find(|(feature, _)| feature == name)
            .map(|(_, level)| *level)
    }

    fn insert(&mut self, key: i16, min: i16, max: i16) {
        let Ok(index) = usize::try_from(key) else { return };
        if key > MAX_API_KEY || min > max {
            return;
        }
        if self.ranges.len() <= index {
            self.ranges.resize(index + 1, None);
        }
        self.ranges[index] = Some(VersionRange { min, max });
    }
}

/// The version we open with; an older broker answers with its own range, in version 0.
pub(crate) const HIGHEST: i16 = ApiVersionsRequest::VERSIONS.max;

pub(crate) fn request() -> ApiVersionsRequest {
    // Brokers check these against [a-zA-Z0-9.-].
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("heliograph"))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")))
}

/// What came back.
#[derive(Debug)]
pub(crate) enum Answer {
    Versions(ApiVersions),
    /// The broker does not know our version; this is the highest it takes.
    Older(i16),
    Refused(ErrorCode),
}

/// Reads a response body. `None`: it is not one.
pub(crate) fn read(body: Bytes, version: i16) -> Option<Answer> {
    match ErrorCode(i16::from_be_bytes(body.get(..2)?.try_into().ok()?)) {
        ErrorCode::NONE => Some(Answer::Versions(read_body(body, version)?)),
        ErrorCode::UNSUPPORTED_VERSION => {
            let offered = read_body(body, 0).and_then(|versions| versions.range(ApiKey::ApiVersions));
            Some(Answer::Older(offered.map_or(0, |range| range.max)))
        }
        refused => Some(Answer::Refused(refused)),
    }
}

fn read_body(mut body: Bytes, version: i16) -> Option<ApiVersions> {
    let mut versions = ApiVersions::default();
    let _error_code = body.try_get_i16().ok()?;
    let flexible = version >= 3;
    let count = if flexible {
        unsigned_varint(&mut body)?.checked_sub(1)?
    } else {
        u32::try_from(body.try_get_i32().ok()?).ok()?
    };
    for _ in 0..count {
        let key = body.try_get_i16().ok()?;
        let min = body.try_get_i16().ok()?;
        let max = body.try_get_i16().ok()?;
        if flexible {
            skip_tags(&mut body)?;
        }
        versions.insert(key, min, max);
    }
    if version >= 1 {
        let _throttle_time_ms = body.try_get_i32().ok()?;
    }
    if flexible {
        read_features(&mut body, &mut versions.features)?;
    }
    Some(versions)
}

/// Tagged field 2 of the response holds the finalized features.
fn read_features(body: &mut Bytes, features: &mut Vec<(String, i16)>) -> Option<()> {
    for _ in 0..unsigned_varint(body)? {
        let tag = unsigned_varint(body)?;
        let mut field = take(body)?;
        if tag != 2 {
            continue;
        }
        for _ in 0..unsigned_varint(&mut field)?.checked_sub(1)? {
            let length = usize::try_from(unsigned_varint(&mut field)?.checked_sub(1)?).ok()?;
            let name = String::from_utf8_lossy(field.get(..length)?).into_owned();
            field.advance(length);
            let max = field.try_get_i16().ok()?;
            let _min = field.try_get_i16().ok()?;
            skip_tags(&mut field)?;
            features.push((name, max));
        }
    }
    Some(())
}

fn skip_tags(body: &mut Bytes) -> Option<()> {
    for _ in 0..unsigned_varint(body)? {
        let _tag = unsigned_varint(body)?;
        take(body)?;
    }
    Some(())
}

/// A length and that many bytes.
fn take(body: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(unsigned_varint(body)?).ok()?;
    (length <= body.len()).then(|| body.split_to(length))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::messages::ApiVersionsResponse;
    use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey};
    use kafka_protocol::protocol::Encodable;
    use proptest::prelude::*;

    use super::*;

    fn response(error: ErrorCode, version: i16) -> Bytes {
        let api = |key, min, max| {
            ApiVersion::default()
                .with_api_key(key)
                .with_min_version(min)
                .with_max_version(max)
        };
        let mut response = ApiVersionsResponse::default()
            .with_error_code(error.0)
            .with_api_keys(vec![api(0, 3, 13), api(1, 4, 17), api(18, 0, 2), api(9999, 0, 1)]);
        if version >= 3 {
            let feature = FinalizedFeatureKey::default()
                .with_name(StrBytes::from_static_str("transaction.version"))
                .with_max_version_level(2);
            response = response.with_finalized_features(vec![feature]);
        }
        let mut out = BytesMut::new();
        response
            .encode(&mut out, version)
            .expect("it has no field of another version");
        out.freeze()
    }

    #[test]
    fn every_version_reads_alike() {
        for version in 0..=HIGHEST {
            let Some(Answer::Versions(versions)) = read(response(ErrorCode::NONE, version), version) else {
                panic!("version {version}");
            };
            assert_eq!(versions.range(ApiKey::Fetch), Some(VersionRange { min: 4, max: 17 }));
            assert_eq!(versions.range(ApiKey::Metadata), None);
            assert_eq!(
                versions.finalized_feature("transaction.version"),
                (version >= 3).then_some(2)
            );
        }
    }

    /// What a 4.3.1 broker sends, after the correlation id.
    fn recorded(response: &'static [u8]) -> Bytes {
        Bytes::from_static(response).slice(4..)
    }

    #[test]
    fn a_real_broker_is_understood() {
        let v4 = recorded(include_bytes!("../../testdata/api-versions-response-v4.bin"));
        let v0 = recorded(include_bytes!("../../testdata/api-versions-response-v0.bin"));
        let (Some(Answer::Versions(flexible)), Some(Answer::Versions(plain))) = (read(v4, 4), read(v0, 0)) else {
            panic!("both are answers");
        };
        assert_eq!(flexible.ranges, plain.ranges);
        assert_eq!(flexible.range(ApiKey::Fetch), Some(VersionRange { min: 4, max: 18 }));
        assert_eq!(
            flexible.range(ApiKey::ApiVersions),
            Some(VersionRange { min: 0, max: 4 })
        );
        assert_eq!(flexible.finalized_feature("transaction.version"), Some(2));
        let unsupported = recorded(include_bytes!(
            "../../testdata/api-versions-response-v99-unsupported.bin"
        ));
        assert!(matches!(read(unsupported, 4), Some(Answer::Older(4))));
    }

    #[test]
    fn an_older_broker_names_its_highest_version() {
        let body = response(ErrorCode::UNSUPPORTED_VERSION, 0);
        assert!(matches!(read(body, HIGHEST), Some(Answer::Older(2))));
        assert!(matches!(
            read(Bytes::from_static(&[0, 35]), HIGHEST),
            Some(Answer::Older(0))
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200), version in 0i16..5) {
            let _ = read(Bytes::from(body), version);
        }

        #[test]
        fn no_cut_makes_it_panic(cut in 0usize..60, version in 0i16..5) {
            let body = response(ErrorCode::NONE, version);
            let _ = read(body.slice(..cut.min(body.len())), version);
        }
    }
}
