//! Tokens that nobody signs, for tests: what Java's `OAuthBearerUnsecuredLoginCallbackHandler` makes of JAAS options.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config_def::ConfigError;
use serde_json::{Map, Value};

use crate::security::sasl::{Jaas, jaas_error};

const DEFAULT_LIFETIME_SECONDS: i64 = 3600;

#[derive(Debug)]
pub(super) struct Unsecured {
    claims: Map<String, Value>,
    lifetime_seconds: i64,
}

impl Unsecured {
    pub(super) fn from_jaas(jaas: &Jaas) -> Result<Self, ConfigError> {
        let mut claims = Map::new();
        let not_a_number = |name: &str| jaas_error(&format!("option {name} is not a number"));
        for (name, value) in jaas.options() {
            let value = value.reveal();
            if let Some(claim) = name.strip_prefix("unsecuredLoginStringClaim_") {
                claims.insert(claim.into(), value.into());
            } else if let Some(claim) = name.strip_prefix("unsecuredLoginNumberClaim_") {
                let number: f64 = value.parse().map_err(|_| not_a_number(name))?;
                claims.insert(claim.into(), number.into());
            } else if let Some(claim) = name.strip_prefix("unsecuredLoginListClaim_") {
                claims.insert(claim.into(), list(value));
            }
        }
        let option = |name| jaas.option(name).map(config_def::Password::reveal);
        let principal = option("unsecuredLoginPrincipalClaimName").unwrap_or("sub");
        if !claims.contains_key(principal) {
            return Err(jaas_error(&format!(
                "option unsecuredLoginStringClaim_{principal} is missing; for tokens from elsewhere set sasl.login.callback.handler.class to \
                 org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler"
            )));
        }
        let lifetime = "unsecuredLoginLifetimeSeconds";
        let lifetime_seconds = match option(lifetime) {
            None => DEFAULT_LIFETIME_SECONDS,
            Some(text) => text.parse().map_err(|_| not_a_number(lifetime))?,
        };
        Ok(Self {
            claims,
            lifetime_seconds,
        })
    }

    /// A token that begins now.
    pub(super) fn token(&self, now_ms: i64) -> String {
        let now = now_ms as f64 / 1000.0;
        let mut claims = Map::new();
        claims.insert("iat".into(), now.into());
        claims.insert("exp".into(), (now + self.lifetime_seconds as f64).into());
        claims.extend(self.claims.clone());
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!(
            "{}.{}.",
            encode(r#"{"alg":"none"}"#),
            encode(&Value::Object(claims).to_string())
        )
    }
}

/// `|a|b`: the first character is what separates.
fn list(text: &str) -> Value {
    let mut chars = text.chars();
    match chars.next() {
        None => Value::Array(Vec::new()),
        Some(separator) => chars.as_str().split(separator).map(Value::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsecured(options: &str) -> Result<Unsecured, ConfigError> {
        let jaas = Jaas::parse(&format!("m required {options};")).expect("it is well formed");
        Unsecured::from_jaas(&jaas)
    }

    #[test]
    fn claims_are_what_the_options_say() {
        let options = r#"unsecuredLoginStringClaim_sub="alice" unsecuredLoginNumberClaim_n="1.5"
            unsecuredLoginListClaim_scope="|a|b" unsecuredLoginLifetimeSeconds="60""#;
        let token = unsecured(options).expect("it is good").token(1_000_500);
        let (header, claims) = token.split_once('.').expect("three parts");
        assert_eq!(URL_SAFE_NO_PAD.decode(header).expect("base64"), br#"{"alg":"none"}"#);
        let claims = URL_SAFE_NO_PAD
            .decode(claims.strip_suffix('.').expect("no signature"))
            .expect("base64");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        assert_eq!(
            claims,
            serde_json::json!({"iat": 1000.5, "exp": 1060.5, "sub": "alice", "n": 1.5, "scope": ["a", "b"]})
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = unsecured("a=b").expect_err("no subject");
        assert!(error.to_string().contains("unsecuredLoginStringClaim_sub"), "{error}");
        let options = r#"unsecuredLoginStringClaim_sub="a" unsecuredLoginLifetimeSeconds="long""#;
        assert!(unsecured(options).is_err());
    }
}
