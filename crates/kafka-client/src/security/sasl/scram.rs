//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802) as Kafka speaks them: without SASLprep, with its delegation token extension.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use config_def::Password;
use hmac::{Hmac, KeyInit, Mac};
use rand::distr::{Alphanumeric, SampleString};
use sha2::{Digest, Sha256, Sha512};

/// Which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

/// Kafka's brokers store 4096 to 16384 iterations. What is above is no mistake but an attack on our time.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;
const NONCE_LENGTH: usize = 24;
/// No authorization id, no channel binding.
const GS2_HEADER: &str = "n,,";

/// A user and his password, and what was last computed of them: brokers of a cluster share salts.
#[derive(Debug)]
pub(crate) struct ScramLogin {
    pub(crate) hash: Hash,
    pub(crate) user: String,
    pub(crate) password: Password,
    /// User and password are a delegation token's id and HMAC.
    pub(crate) is_token: bool,
    salted: Mutex<Option<Arc<Salted>>>,
}

struct Salted {
    salt: Vec<u8>,
    iterations: u32,
    key: Vec<u8>,
}

impl std::fmt::Debug for Salted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

impl ScramLogin {
    pub(crate) fn new(hash: Hash, user: String, password: Password, is_token: bool) -> Self {
        Self {
            hash,
            user,
            password,
            is_token,
            salted: Mutex::default(),
        }
    }

    /// The salted password. It costs milliseconds, so that it is computed on a thread of its own, and kept.
    async fn salted(&self, salt: Vec<u8>, iterations: u32) -> Result<Arc<Salted>, String> {
        let known = || self.salted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(salted) = known()
            .as_ref()
            .filter(|s| s.salt == salt && s.iterations == iterations)
        {
            return Ok(salted.clone());
        }
        let (hash, password) = (self.hash, self.password.clone());
        let computing = tokio::task::spawn_blocking(move || {
            let key = hash.salt(password.reveal().as_bytes(), &salt, iterations);
            Arc::new(Salted { salt, iterations, key })
        });
        let salted = computing.await.map_err(|_| "the client is shutting down".to_owned())?;
        *known() = Some(salted.clone());
        Ok(salted)
    }
}

impl Hash {
    fn salt(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Self::Sha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec(),
            Self::Sha512 => pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, iterations).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        fn with<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
            let mut mac = <M as KeyInit>::new_from_slice(key).expect("an HMAC takes a key of any length");
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            Self::Sha256 => with::<Hmac<Sha256>>(key, message),
            Self::Sha512 => with::<Hmac<Sha512>>(key, message),
        }
    }

    fn digest(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
        }
    }
}

/// One authentication: what was said so far.
pub(crate) struct Exchange<'a> {
    login: &'a ScramLogin,
    nonce: String,
}

/// What is left to check when the server has the proof.
pub(crate) struct ServerSignature(Vec<u8>);

impl<'a> Exchange<'a> {
    pub(crate) fn new(login: &'a ScramLogin) -> Self {
        Self {
            login,
            nonce: Alphanumeric.sample_string(&mut rand::rng(), NONCE_LENGTH),
        }
    }

    /// The client's first message.
    pub(crate) fn first(&self) -> String {
        format!("{GS2_HEADER}{}", self.first_bare())
    }

    fn first_bare(&self) -> String {
        let user = self.login.user.replace('=', "=3D").replace(',', "=2C");
        let extension = if self.login.is_token { ",tokenauth=true" } else { "" };
        format!("n={user},r={}{extension}", self.nonce)
    }

    /// The client's final message, in answer to the server's first.
    pub(crate) async fn answer(&self, server_first: &[u8]) -> Result<(String, ServerSignature), String> {
        let server_first = std::str::from_utf8(server_first).map_err(|_| UNREADABLE.to_owned())?;
        let ServerFirst {
            nonce,
            salt,
            iterations,
        } = ServerFirst::parse(server_first)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("its SCRAM nonce does not continue ours; someone may be in between".into());
        }
        if !ITERATIONS.contains(&iterations) {
            let (min, max) = (ITERATIONS.start(), ITERATIONS.end());
            return Err(format!(
                "it asks for {iterations} SCRAM iterations, which is not between {min} and {max}"
            ));
        }
        let salted = self.login.salted(salt, iterations).await?;
        let hash = self.login.hash;
        let without_proof = format!("c={},r={nonce}", BASE64_STANDARD.encode(GS2_HEADER));
        let auth = format!("{},{server_first},{without_proof}", self.first_bare());
        let client_key = hash.hmac(&salted.key, b"Client Key");
        let signature = hash.hmac(&hash.digest(&client_key), auth.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(key, sign)| key ^ sign)
            .collect();
        let server_key = hash.hmac(&salted.key, b"Server Key");
        let expected = ServerSignature(hash.hmac(&server_key, auth.as_bytes()));
        Ok((format!("{without_proof},p={}", BASE64_STANDARD.encode(proof)), expected))
    }
}

impl ServerSignature {
    /// Whether the server knows the password, too.
    pub(crate) fn check(&self, server_final: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(server_final).map_err(|_| UNREADABLE.to_owned())?;
        let first = text.split(',').next().unwrap_or_default();
        match first.split_once('=') {
            Some(("e", error)) => Err(format!("it says: {}", printable(error))),
            Some(("v", signature)) if BASE64_STANDARD.decode(signature).is_ok_and(|got| got == self.0) => Ok(()),
            Some(("v", _)) => Err("it does not know our password: its SCRAM signature is wrong".into()),
            _ => Err(UNREADABLE.into()),
        }
    }
}

const UNREADABLE: &str = "its SCRAM message cannot be read";

struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> ServerFirst<'a> {
    /// `[m=…,]r=nonce,s=salt,i=iterations[,…]`
    fn parse(text: &'a str) -> Result<Self, String> {
        let mut fields = text
            .split(',')
            .skip_while(|field| field.starts_with("m="))
            .map(|field| field.split_once('='));
        let mut field = |name: &str| match fields.next().flatten() {
            Some((key, value)) if key == name => Ok(value),
            Some(("e", error)) => Err(format!("it says: {}", printable(error))),
            _ => Err(UNREADABLE.to_owned()),
        };
        let (nonce, salt, iterations) = (field("r")?, field("s")?, field("i")?);
        let salt = BASE64_STANDARD.decode(salt).map_err(|_| UNREADABLE)?;
        let iterations = iterations.parse().map_err(|_| UNREADABLE)?;
        Ok(Self {
            nonce,
            salt,
            iterations,
        })
    }
}

/// Text from a peer, fit for a log line.
pub(crate) fn printable(text: &str) -> String {
    const ENOUGH: usize = 200;
    text.chars()
        .take(ENOUGH)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn login(hash: Hash, user: &str) -> ScramLogin {
        ScramLogin::new(hash, user.into(), Password::new("pencil"), false)
    }

    #[tokio::test]
    async fn rfc_7677_is_spoken() {
        let login = login(Hash::Sha256, "user");
        let exchange = Exchange {
            login: &login,
            nonce: "rOprNGfwEbeRWgbNEkqO".into(),
        };
        assert_eq!(exchange.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server_first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (answer, expected) = exchange.answer(server_first).await.expect("it is the RFC's");
        assert_eq!(
            answer,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        expected
            .check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
            .expect("it is the RFC's");
        let wrong = expected.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=");
        assert!(wrong.is_err());
        let refused = expected.check(b"e=other-error").expect_err("a refusal");
        assert_eq!(refused, "it says: other-error");
    }

    #[test]
    fn names_are_escaped_and_tokens_announced() {
        let mut login = login(Hash::Sha512, "a=b,c");
        login.is_token = true;
        let exchange = Exchange {
            login: &login,
            nonce: "n".into(),
        };
        assert_eq!(exchange.first(), "n,,n=a=3Db=2Cc,r=n,tokenauth=true");
    }

    #[tokio::test]
    async fn a_server_that_is_after_our_time_or_our_password_is_refused() {
        let login = login(Hash::Sha256, "user");
        let exchange = Exchange {
            login: &login,
            nonce: "abc".into(),
        };
        for (message, why) in [
            ("r=abcd,s=AAAA,i=2147483647", "iterations"),
            ("r=abcd,s=AAAA,i=1", "iterations"),
            ("r=abcd,s=AAAA,i=-1", "cannot be read"),
            ("r=abc,s=AAAA,i=4096", "nonce"),
            ("r=xyz,s=AAAA,i=4096", "nonce"),
            ("s=AAAA,i=4096", "cannot be read"),
            ("e=unknown-user", "it says: unknown-user"),
            ("", "cannot be read"),
        ] {
            let Err(error) = exchange.answer(message.as_bytes()).await else {
                panic!("{message} was taken")
            };
            assert!(error.contains(why), "{message}: {error}");
        }
    }

    #[tokio::test]
    async fn the_salted_password_is_computed_once_per_salt() {
        let login = login(Hash::Sha512, "user");
        let first = login.salted(vec![1], 4096).await.expect("it is computed");
        let again = login.salted(vec![1], 4096).await.expect("it is known");
        assert!(Arc::ptr_eq(&first, &again));
        let other = login.salted(vec![2], 4096).await.expect("it is computed");
        assert_ne!(first.key, other.key);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(first in proptest::collection::vec(any::<u8>(), 0..100)) {
            let login = login(Hash::Sha256, "user");
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let _ = runtime.block_on(Exchange { login: &login, nonce: String::new() }.answer(&first));
            let _ = ServerSignature(vec![1]).check(&first);
        }

        #[test]
        fn no_near_miss_makes_it_panic(first in "[rsie=,a0-9-]{0,40}") {
            let login = login(Hash::Sha256, "user");
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let _ = runtime.block_on(Exchange { login: &login, nonce: String::new() }.answer(first.as_bytes()));
        }
    }
}
