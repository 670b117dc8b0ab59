//! Signatures of requests between the workers of a group: HMAC over the body, with a key that the leader makes and shares
//! in the config topic.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use rand::Rng;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use crate::{
    herder::{InternalRequest, RequestError, RequestSignature},
    storage::config::SessionKey,
};

/// `inter.worker.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// `inter.worker.key.ttl.ms`.
    pub key_ttl: Duration,
    /// `inter.worker.key.generation.algorithm`.
    pub key_algorithm: String,
    /// `inter.worker.key.size` in bits; without it the algorithm's own.
    pub key_bits: Option<i32>,
    /// `inter.worker.signature.algorithm`.
    pub signature_algorithm: String,
    /// `inter.worker.verification.algorithms`.
    pub verification_algorithms: Vec<String>,
}

impl SessionSettings {
    fn key_bytes(&self) -> usize {
        let own = MacAlgorithm::named(&self.key_algorithm).map_or(32, MacAlgorithm::key_bytes);
        let bits = self.key_bits.and_then(|bits| usize::try_from(bits).ok());
        bits.filter(|bits| *bits > 0)
            .map_or(own, |bits| bits.div_ceil(8).min(1024))
    }

    /// A new key.
    pub(crate) fn generate(&self, now_ms: i64) -> SessionKey {
        let mut key = vec![0; self.key_bytes()];
        rand::rng().fill_bytes(&mut key);
        SessionKey {
            key: STANDARD.encode(key),
            algorithm: self.key_algorithm.clone(),
            creation_timestamp_ms: now_ms,
        }
    }

    /// How long the leader leaves `key` as it is; `None` if it makes another at once.
    pub(crate) fn usable_for(&self, key: Option<&SessionKey>, now_ms: i64) -> Option<Duration> {
        let key = key?;
        let as_configured = key.algorithm == self.key_algorithm
            && STANDARD
                .decode(&key.key)
                .is_ok_and(|bytes| bytes.len() == self.key_bytes());
        let ttl_ms = i64::try_from(self.key_ttl.as_millis()).unwrap_or(i64::MAX);
        let left_ms = key.creation_timestamp_ms.saturating_add(ttl_ms).saturating_sub(now_ms);
        let left = u64::try_from(left_ms).ok().filter(|left| *left > 0)?;
        as_configured.then_some(Duration::from_millis(left))
    }

    /// Signs a body as other workers expect it.
    pub(crate) fn sign(&self, key: &SessionKey, body: &[u8]) -> Option<RequestSignature> {
        let mac = MacAlgorithm::named(&self.signature_algorithm)?;
        let key = STANDARD.decode(&key.key).ok()?;
        Some(RequestSignature {
            authorization: STANDARD.encode(mac.sign(&key, body)),
            algorithm: self.signature_algorithm.clone(),
        })
    }

    /// Whether a request comes from a worker of the group. The order of the checks is Kafka's.
    pub(crate) fn verify(&self, request: &InternalRequest, key: Option<&SessionKey>) -> Result<(), RequestError> {
        let signed = Signed::parse(request)?.ok_or_else(RequestError::signature_missing)?;
        let accepted = &self.verification_algorithms;
        if !accepted.iter().any(|known| known == signed.algorithm) {
            return Err(RequestError::algorithm_not_supported(signed.algorithm, accepted));
        }
        let key = key.ok_or_else(RequestError::no_session_key_yet)?;
        let key = STANDARD
            .decode(&key.key)
            .map_err(|_| RequestError::no_session_key_yet())?;
        match signed.mac.verifies(&key, &request.body, &signed.signature) {
            true => Ok(()),
            false => Err(RequestError::invalid_signature()),
        }
    }
}

/// What the headers of a request say.
pub(crate) struct Signed<'a> {
    /// As it was sent.
    algorithm: &'a str,
    mac: MacAlgorithm,
    signature: Vec<u8>,
}

impl<'a> Signed<'a> {
    /// `None` unless both headers are there. Nonsense is refused whether or not requests are signed at all.
    pub(crate) fn parse(request: &'a InternalRequest) -> Result<Option<Self>, RequestError> {
        let (Some(algorithm), Some(authorization)) = (&request.algorithm, &request.authorization) else {
            return Ok(None);
        };
        let mac = MacAlgorithm::named(algorithm).ok_or_else(|| RequestError::algorithm_not_available(algorithm))?;
        let signature = STANDARD.decode(authorization).map_err(|error| {
            RequestError::BadRequest(match error {
                base64::DecodeError::InvalidByte(_, byte) => format!("Illegal base64 character {byte:x}"),
                other => other.to_string(),
            })
        })?;
        Ok(Some(Self {
            algorithm,
            mac,
            signature,
        }))
    }
}

/// The MACs that workers sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MacAlgorithm {
    HmacSha1,
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

impl MacAlgorithm {
    /// By Java's name, whatever the case.
    fn named(name: &str) -> Option<Self> {
        const NAMES: [(&str, MacAlgorithm); 4] = [
            ("HmacSHA1", MacAlgorithm::HmacSha1),
            ("HmacSHA256", MacAlgorithm::HmacSha256),
            ("HmacSHA384", MacAlgorithm::HmacSha384),
            ("HmacSHA512", MacAlgorithm::HmacSha512),
        ];
        let found = NAMES.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, algorithm)| algorithm)
    }

    /// What Java's key generators make of themselves.
    fn key_bytes(self) -> usize {
        match self {
            Self::HmacSha1 | Self::HmacSha512 => 64,
            Self::HmacSha256 => 32,
            Self::HmacSha384 => 48,
        }
    }

    fn sign(self, key: &[u8], body: &[u8]) -> Vec<u8> {
        match self {
            Self::HmacSha1 => mac::<Hmac<Sha1>>(key, body).finalize().into_bytes().to_vec(),
            Self::HmacSha256 => mac::<Hmac<Sha256>>(key, body).finalize().into_bytes().to_vec(),
            Self::HmacSha384 => mac::<Hmac<Sha384>>(key, body).finalize().into_bytes().to_vec(),
            Self::HmacSha512 => mac::<Hmac<Sha512>>(key, body).finalize().into_bytes().to_vec(),
        }
    }

    /// Takes as long whatever is wrong.
    fn verifies(self, key: &[u8], body: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::HmacSha1 => mac::<Hmac<Sha1>>(key, body).verify_slice(signature),
            Self::HmacSha256 => mac::<Hmac<Sha256>>(key, body).verify_slice(signature),
            Self::HmacSha384 => mac::<Hmac<Sha384>>(key, body).verify_slice(signature),
            Self::HmacSha512 => mac::<Hmac<Sha512>>(key, body).verify_slice(signature),
        }
        .is_ok()
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], body: &[u8]) -> M {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("an HMAC takes keys of any length");
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::Value;

    use super::*;

    fn settings() -> SessionSettings {
        SessionSettings {
            key_ttl: Duration::from_secs(3600),
            key_algorithm: "HmacSHA256".to_owned(),
            key_bits: None,
            signature_algorithm: "HmacSHA256".to_owned(),
            verification_algorithms: vec!["HmacSHA256".to_owned()],
        }
    }

    fn golden(name: &str) -> String {
        let golden: Value = serde_json::from_slice(include_bytes!("../testdata/golden-misc.json")).unwrap();
        golden[name].as_str().unwrap().to_owned()
    }

    fn key() -> SessionKey {
        SessionKey {
            key: golden("signature key (base64)"),
            algorithm: "HmacSHA256".to_owned(),
            creation_timestamp_ms: 1_000_000,
        }
    }

    fn request(body: &str, authorization: Option<&str>, algorithm: Option<&str>) -> InternalRequest {
        InternalRequest {
            body: Bytes::copy_from_slice(body.as_bytes()),
            authorization: authorization.map(str::to_owned),
            algorithm: algorithm.map(str::to_owned),
        }
    }

    #[test]
    fn signatures_are_javas() {
        for (body, name) in [
            (r#"[{"a":"b"}]"#, r#"signature of body [{"a":"b"}]"#),
            ("", "signature of an absent body (PUT fence)"),
        ] {
            let expected = golden(name);
            let signature = settings().sign(&key(), body.as_bytes()).unwrap();
            assert_eq!(signature.authorization, expected);
            let request = request(body, Some(&expected), Some("HmacSHA256"));
            assert_eq!(settings().verify(&request, Some(&key())), Ok(()));
        }
    }

    #[test]
    fn refusals_come_in_kafkas_order_and_words() {
        let check = |authorization, algorithm, with_key: bool, expected: &str| {
            let request = request("[]", authorization, algorithm);
            let key = with_key.then(key);
            let refused = settings().verify(&request, key.as_ref()).unwrap_err();
            assert!(refused.to_string().starts_with(expected), "{refused}");
        };
        let sha256 = Some("HmacSHA256");
        check(Some("AAAA"), Some("NopeSHA"), true, "Algorithm NopeSHA not available");
        check(Some("**"), sha256, true, "Illegal base64 character 2a");
        check(None, sha256, true, "Internal request missing required signature");
        check(Some("AAAA"), None, true, "Internal request missing required signature");
        check(
            Some("AAAA"),
            Some("HmacSHA512"),
            true,
            "This worker does not support the 'HmacSHA512' key signing",
        );
        check(Some("AAAA"), sha256, false, "This worker is still starting up");
        check(
            Some("AAAA"),
            sha256,
            true,
            "Internal request contained invalid signature.",
        );
    }

    /// A request that is sent once more is taken, as in Kafka: it says what is wanted, not what to add. A new key ends that.
    #[test]
    fn a_signature_is_good_for_its_body_and_its_key() {
        let signed = settings().sign(&key(), b"[]").unwrap();
        let repeat = |body: &str| request(body, Some(&signed.authorization), Some("HmacSHA256"));
        let next = settings().generate(2_000_000);
        assert_eq!(settings().verify(&repeat("[]"), Some(&key())), Ok(()));
        assert_eq!(settings().verify(&repeat("[]"), Some(&key())), Ok(()));
        let refused = Err(RequestError::invalid_signature());
        assert_eq!(settings().verify(&repeat("[{}]"), Some(&key())), refused);
        assert_eq!(settings().verify(&repeat(""), Some(&key())), refused);
        assert_eq!(settings().verify(&repeat("[]"), Some(&next)), refused);
    }

    #[test]
    fn a_key_is_left_alone_until_it_is_old_or_not_as_configured() {
        let settings = settings();
        let usable = |key: &SessionKey, now_ms| settings.usable_for(Some(key), now_ms);
        assert_eq!(settings.usable_for(None, 0), None);
        assert_eq!(usable(&key(), 1_000_000), Some(Duration::from_secs(3600)));
        assert_eq!(usable(&key(), 4_599_999), Some(Duration::from_millis(1)));
        assert_eq!(usable(&key(), 4_600_000), None);
        let other = SessionKey {
            algorithm: "HmacSHA512".to_owned(),
            ..key()
        };
        assert_eq!(usable(&other, 1_000_000), None);
        let short = SessionKey {
            key: "AAAA".to_owned(),
            ..key()
        };
        assert_eq!(usable(&short, 1_000_000), None);
    }

    #[test]
    fn new_keys_are_as_configured() {
        let key = settings().generate(7);
        assert!(settings().usable_for(Some(&key), 7).is_some());
        assert_ne!(key, settings().generate(7));
        let bits = SessionSettings {
            key_bits: Some(129),
            ..settings()
        };
        assert_eq!(STANDARD.decode(bits.generate(0).key).unwrap().len(), 17);
    }
}
