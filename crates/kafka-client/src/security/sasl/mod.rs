//! Who we are: SASL over Kafka's own requests, SaslHandshake and then SaslAuthenticate as often as the mechanism wants.

mod login;
pub(crate) mod scram;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config_def::Password;
use futures_util::future::BoxFuture;
use kafka_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;
use kafka_wire::ErrorCode;

use self::scram::{Exchange, ScramLogin, printable};
use super::oauth::TokenSource;
use crate::error::Error;

pub(crate) use self::login::jaas_error;
pub(crate) use config_def::jaas::Jaas;

/// How to log in to one cluster.
#[derive(Debug)]
pub(crate) struct Sasl {
    mechanism: &'static str,
    login: Login,
}

#[derive(Debug)]
enum Login {
    Plain { user: String, password: Password },
    Scram(ScramLogin),
    OAuthBearer(Box<TokenSource>),
}

/// What a login needs that may take time to get.
#[derive(Debug)]
pub(crate) enum Credentials {
    /// Nothing: it is in the configuration.
    Configured,
    /// A token, as `auth=Bearer` wants it, with its extensions.
    Token {
        token: Password,
        extensions: Arc<[(String, String)]>,
    },
}

/// A connection, as far as logging in needs it.
pub(crate) trait Line: Sync {
    /// Who is at the other end.
    fn broker(&self) -> &Arc<str>;
    /// SaslHandshake.
    fn handshake(&self, request: SaslHandshakeRequest) -> BoxFuture<'_, Result<SaslHandshakeResponse, Error>>;
    /// SaslAuthenticate.
    fn authenticate(&self, request: SaslAuthenticateRequest) -> BoxFuture<'_, Result<SaslAuthenticateResponse, Error>>;
}

/// What the broker has answered: bytes of the mechanism, and how long the session lasts.
struct Answer {
    bytes: Bytes,
    session: Option<Duration>,
}

impl Sasl {
    /// Who logs in, if the settings say it.
    pub(crate) fn user(&self) -> Option<&str> {
        match &self.login {
            Login::Plain { user, .. } => Some(user),
            // A token has an id; whose it is the broker knows.
            Login::Scram(login) => (!login.is_token).then_some(&*login.user),
            Login::OAuthBearer(_) => None,
        }
    }

    /// Gets what has to be had before logging in; a token, perhaps from far away.
    pub(crate) async fn credentials(&self) -> Result<Credentials, Error> {
        match &self.login {
            Login::Plain { .. } | Login::Scram(_) => Ok(Credentials::Configured),
            Login::OAuthBearer(source) => source.credentials().await,
        }
    }

    /// Logs in. `Some`: the session ends so long from now, and logging in again keeps the connection (KIP-368).
    pub(crate) async fn authenticate(
        &self,
        line: &dyn Line,
        credentials: &Credentials,
    ) -> Result<Option<Duration>, Error> {
        let result = self.converse(line, credentials).await;
        if let (Login::OAuthBearer(source), Err(Error::Authentication { .. })) = (&self.login, &result) {
            source.forget().await; // the next login is to have another token
        }
        result
    }

    async fn converse(&self, line: &dyn Line, credentials: &Credentials) -> Result<Option<Duration>, Error> {
        self.agree(line).await?;
        let failed = |problem: String| self.failed(line, problem);
        match (&self.login, credentials) {
            (Login::Plain { user, password }, _) => {
                let message = format!("\0{user}\0{}", password.reveal());
                Ok(self.say(line, message).await?.session)
            }
            (Login::Scram(login), _) => {
                let exchange = Exchange::new(login);
                let first = self.say(line, exchange.first()).await?;
                let (answer, expected) = exchange.answer(&first.bytes).await.map_err(failed)?;
                let last = self.say(line, answer).await?;
                expected.check(&last.bytes).map_err(failed)?;
                Ok(last.session)
            }
            (Login::OAuthBearer(_), Credentials::Token { token, extensions }) => {
                let answer = self.say(line, bearer(token, extensions)).await?;
                if answer.bytes.is_empty() {
                    return Ok(answer.session);
                }
                // A challenge here is an error; RFC 7628 wants it acknowledged, and the broker then refuses.
                let why = printable(&String::from_utf8_lossy(&answer.bytes));
                self.say(line, "\x01".into()).await?;
                Err(failed(why))
            }
            (Login::OAuthBearer(_), Credentials::Configured) => Err(failed("there is no token".into())),
        }
    }

    /// Agrees on the mechanism.
    async fn agree(&self, line: &dyn Line) -> Result<(), Error> {
        let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(self.mechanism));
        let response = line.handshake(request).await?;
        match ErrorCode(response.error_code) {
            ErrorCode::NONE => Ok(()),
            ErrorCode::UNSUPPORTED_SASL_MECHANISM => {
                let enabled: Vec<String> = response.mechanisms.iter().map(|name| printable(name)).collect();
                let problem = format!(
                    "its listener does not take {} but {}; set sasl.mechanism, or use another port",
                    self.mechanism,
                    if enabled.is_empty() {
                        "nothing".into()
                    } else {
                        enabled.join(", ")
                    }
                );
                Err(self.failed(line, problem))
            }
            ErrorCode::ILLEGAL_SASL_STATE => Err(self.failed(
                line,
                "its listener expects no login; use security.protocol PLAINTEXT or SSL".into(),
            )),
            code => Err(Error::refused(
                format!("SaslHandshake by {}", line.broker()),
                code,
                None,
            )),
        }
    }

    async fn say(&self, line: &dyn Line, message: String) -> Result<Answer, Error> {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(message));
        let response = line.authenticate(request).await?;
        match ErrorCode(response.error_code) {
            ErrorCode::NONE => Ok(Answer {
                bytes: response.auth_bytes,
                session: u64::try_from(response.session_lifetime_ms)
                    .ok()
                    .filter(|ms| *ms > 0)
                    .map(Duration::from_millis),
            }),
            ErrorCode::SASL_AUTHENTICATION_FAILED => {
                let said = response.error_message.as_ref().map(|text| printable(text));
                let said = said.unwrap_or_else(|| "it does not say why".into());
                Err(self.failed(line, format!("{said}; {}", self.remedy())))
            }
            code => {
                let message = response.error_message.as_ref().map(|text| printable(text));
                Err(Error::refused(
                    format!("login at {}", line.broker()),
                    code,
                    message.as_deref(),
                ))
            }
        }
    }

    fn failed(&self, line: &dyn Line, problem: String) -> Error {
        Error::Authentication {
            broker: line.broker().clone(),
            who: self.who().into(),
            problem: problem.into(),
        }
    }

    /// Whom we pose as, without the secret.
    fn who(&self) -> String {
        match &self.login {
            Login::Plain { user, .. } => format!("user {user} with PLAIN"),
            Login::Scram(login) if login.is_token => format!("delegation token {} with {}", login.user, self.mechanism),
            Login::Scram(login) => format!("user {} with {}", login.user, self.mechanism),
            Login::OAuthBearer(_) => "our token with OAUTHBEARER".into(),
        }
    }

    fn remedy(&self) -> &'static str {
        match &self.login {
            Login::OAuthBearer(_) => {
                "check the token's lifetime, audience, scope and issuer, and who may log in at the broker"
            }
            Login::Scram(login) if login.is_token => {
                "check the token id and HMAC in sasl.jaas.config, and that the token has not expired"
            }
            _ => "check username and password in sasl.jaas.config, and the user at the broker",
        }
    }
}

/// RFC 7628, without the host and port that Kafka does not look at.
fn bearer(token: &Password, extensions: &[(String, String)]) -> String {
    let mut message = format!("n,,\x01auth=Bearer {}", token.reveal());
    for (name, value) in extensions {
        message.push_str(&format!("\x01{name}={value}"));
    }
    message.push_str("\x01\x01");
    message
}

/// SaslHandshake 0 is followed by bytes without frames, which is not spoken here.
pub(crate) const MIN_HANDSHAKE: i16 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_as_rfc_7628_says() {
        let token = Password::new("h.p.s");
        assert_eq!(bearer(&token, &[]), "n,,\x01auth=Bearer h.p.s\x01\x01");
        let extensions = [("logicalCluster".to_owned(), "lkc-1".to_owned())];
        assert_eq!(
            bearer(&token, &extensions),
            "n,,\x01auth=Bearer h.p.s\x01logicalCluster=lkc-1\x01\x01"
        );
    }
}
