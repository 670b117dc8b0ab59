//! A JSON Web Token, as far as a client looks at it: when it ends. Its signature is the broker's business.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config_def::Password;
use serde_json::Value;

/// What claims are called here.
#[derive(Debug)]
pub(super) struct ClaimNames {
    pub(super) subject: String,
}

#[derive(Debug)]
pub(super) struct Token {
    pub(super) text: Password,
    pub(super) issued_ms: Option<i64>,
    pub(super) expires_ms: i64,
}

impl Token {
    /// What Kafka's `ClientJwtValidator` wants: three parts, a subject, an end.
    pub(super) fn parse(text: Password, names: &ClaimNames) -> Result<Self, String> {
        let parts: Vec<&str> = text.reveal().split('.').collect();
        let [_header, payload, _signature] = parts[..] else {
            return Err("what was given is no JWT: it does not have three parts".into());
        };
        if text.reveal().chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("what was given is no JWT: it has blanks".into());
        }
        let unreadable = "the JWT's claims cannot be read";
        let payload = URL_SAFE_NO_PAD
            .decode(payload.trim_end_matches('='))
            .map_err(|_| unreadable)?;
        let claims: Value = serde_json::from_slice(&payload).map_err(|_| unreadable)?;
        if claims[&names.subject]
            .as_str()
            .is_none_or(|subject| subject.trim().is_empty())
        {
            return Err(format!(
                "the JWT has no claim {}; see sasl.oauthbearer.sub.claim.name",
                names.subject
            ));
        }
        let seconds = |name: &str| claims[name].as_f64().map(|seconds| (seconds * 1000.0) as i64);
        let expires_ms = seconds("exp").ok_or("the JWT has no claim exp")?;
        let issued_ms = seconds("iat");
        Ok(Self {
            text,
            issued_ms,
            expires_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Token, String> {
        let names = ClaimNames { subject: "sub".into() };
        Token::parse(Password::new(text), &names)
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_has_an_end_and_a_subject() {
        let token = parse(&jwt(r#"{"sub":"a","exp":1700000000,"iat":1699999999.5}"#)).expect("it is one");
        assert_eq!(
            (token.expires_ms, token.issued_ms),
            (1_700_000_000_000, Some(1_699_999_999_500))
        );
        for (text, why) in [
            ("abc".to_owned(), "three parts"),
            ("a.!.c".to_owned(), "cannot be read"),
            (jwt("[]"), "no claim sub"),
            (jwt(r#"{"sub":"a"}"#), "no claim exp"),
            (jwt(r#"{"sub":"a","exp":"soon"}"#), "no claim exp"),
            (jwt(r#"{"sub":" ","exp":1}"#), "no claim sub"),
            (format!("{}\x01auth=x", jwt(r#"{"sub":"a","exp":1}"#)), "blanks"),
        ] {
            let error = parse(&text).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}", claims in "\\PC{0,40}") {
            let _ = parse(&text);
            let _ = parse(&jwt(&claims));
        }
    }
}
