//! OAUTHBEARER: where tokens come from, and when the next one is due.
//!
//! A token is looked at when a connection logs in, or logs in again; that is also when one that grows old is replaced. So
//! there is no timer: nobody needs a token in between.

mod endpoint;
#[cfg(test)]
mod tests;
mod token;
mod unsecured;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config_def::{ConfigError, Password, Values};
use tokio::sync::Mutex;

use self::endpoint::Endpoint;
use self::token::{ClaimNames, Token};
use self::unsecured::Unsecured;
use super::sasl::{Credentials, Jaas, jaas_error};
use crate::clock;
use crate::error::Error;

const PACKAGE: &str = "org.apache.kafka.common.security.oauthbearer.";
/// What a file or an answer with a token may measure.
const MAX_TOKEN_BYTES: u64 = 1024 * 1024;
/// When a token could not be replaced but is still good, the next try comes so much later (as Java's refreshing login).
const REFRESH_RETRY: Duration = Duration::from_secs(10);

/// Gives a token that is good now.
#[derive(Debug)]
pub(crate) struct TokenSource {
    origin: Origin,
    claims: ClaimNames,
    refresh: Refresh,
    extensions: Arc<[(String, String)]>,
    /// One fetch at a time, for all connections of the client.
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
enum Origin {
    Unsecured(Unsecured),
    File(PathBuf),
    Endpoint(Box<Endpoint>),
}

#[derive(Debug)]
struct Held {
    token: Token,
    refresh_at_ms: i64,
}

/// `sasl.login.refresh.*`.
#[derive(Debug, Clone, Copy)]
struct Refresh {
    window_factor: f64,
    window_jitter: f64,
    min_period_ms: i64,
    buffer_ms: i64,
}

impl TokenSource {
    /// Reads `sasl.oauthbearer.*`, `sasl.login.*` and the login module's options.
    pub(super) fn from_values(values: &Values, jaas: &Jaas) -> Result<Self, ConfigError> {
        let handler_key = "sasl.login.callback.handler.class";
        let handler = values
            .opt_class(handler_key)
            .map(|class| (class, class.strip_prefix(PACKAGE)));
        let (origin, extension_prefix) = match handler {
            None | Some((_, Some("internals.unsecured.OAuthBearerUnsecuredLoginCallbackHandler"))) => (
                Origin::Unsecured(Unsecured::from_jaas(jaas)?),
                "unsecuredLoginExtension_",
            ),
            // The second name is that of Kafka before 4.0.
            Some((_, Some("OAuthBearerLoginCallbackHandler" | "secured.OAuthBearerLoginCallbackHandler"))) => {
                (origin(values, jaas)?, "extension_")
            }
            Some((class, _)) => {
                let why = format!(
                    "there is no JVM that could run a class; supported is {PACKAGE}OAuthBearerLoginCallbackHandler"
                );
                return Err(ConfigError::invalid(handler_key, class, why));
            }
        };
        let extensions = jaas
            .options()
            .filter_map(|(name, value)| {
                Some((
                    name.strip_prefix(extension_prefix)?.to_owned(),
                    value.reveal().to_owned(),
                ))
            })
            .map(|extension| check_extension(&extension).map(|()| extension))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            origin,
            claims: ClaimNames {
                subject: values.string("sasl.oauthbearer.sub.claim.name").to_owned(),
            },
            refresh: Refresh {
                window_factor: values.double("sasl.login.refresh.window.factor"),
                window_jitter: values.double("sasl.login.refresh.window.jitter"),
                min_period_ms: i64::from(values.short("sasl.login.refresh.min.period.seconds")) * 1000,
                buffer_ms: i64::from(values.short("sasl.login.refresh.buffer.seconds")) * 1000,
            },
            extensions,
            held: Mutex::default(),
        })
    }

    /// The token to log in with, a new one if need be.
    pub(super) async fn credentials(&self) -> Result<Credentials, Error> {
        let mut held = self.held.lock().await;
        let now = clock::now_ms();
        if let Some(held) = held.as_ref().filter(|held| now < held.refresh_at_ms) {
            return Ok(self.with(&held.token));
        }
        match self.fetch().await {
            Ok(token) => {
                let jitter = rand::random_range(0.0..=1.0);
                let refresh_at_ms = self.refresh.at(&token, now, jitter);
                tracing::debug!(expires_ms = token.expires_ms, refresh_at_ms, "got an OAuth token");
                let credentials = self.with(&token);
                *held = Some(Held { token, refresh_at_ms });
                Ok(credentials)
            }
            Err(problem) => match held.as_mut().filter(|held| now < held.token.expires_ms) {
                Some(old) => {
                    tracing::warn!(
                        from = self.origin.name(),
                        problem,
                        "no new OAuth token; the old one is good for a while"
                    );
                    old.refresh_at_ms = now + REFRESH_RETRY.as_millis() as i64;
                    Ok(self.with(&old.token))
                }
                None => Err(Error::Login {
                    from: self.origin.name().into(),
                    problem: problem.into(),
                }),
            },
        }
    }

    /// A broker has refused the token: the next login gets another one.
    pub(super) async fn forget(&self) {
        *self.held.lock().await = None;
    }

    fn with(&self, token: &Token) -> Credentials {
        Credentials::Token {
            token: token.text.clone(),
            extensions: self.extensions.clone(),
        }
    }

    async fn fetch(&self) -> Result<Token, String> {
        let text = match &self.origin {
            Origin::Unsecured(unsecured) => unsecured.token(clock::now_ms()),
            Origin::File(path) => read_file(path.clone()).await?,
            Origin::Endpoint(endpoint) => endpoint.fetch().await?,
        };
        let token = Token::parse(Password::new(text.trim()), &self.claims)?;
        match token.expires_ms > clock::now_ms() {
            true => Ok(token),
            false => Err("the token has expired".into()),
        }
    }
}

impl Origin {
    fn name(&self) -> String {
        match self {
            Self::Unsecured(_) => "the options of sasl.jaas.config".into(),
            Self::File(path) => path.display().to_string(),
            Self::Endpoint(endpoint) => endpoint.name(),
        }
    }
}

impl Refresh {
    /// When to replace a token, as Kafka's `ExpiringCredentialRefreshingLogin` reckons; `jitter` is between 0 and 1.
    fn at(&self, token: &Token, now_ms: i64, jitter: f64) -> i64 {
        let share = self.window_factor + self.window_jitter * jitter;
        let after = |start: i64| start.saturating_add(((token.expires_ms.saturating_sub(start)) as f64 * share) as i64);
        if now_ms + self.min_period_ms + self.buffer_ms > token.expires_ms {
            return after(now_ms); // too short a life for a minimum and a buffer
        }
        let start = token.issued_ms.filter(|issued| *issued <= now_ms).unwrap_or(now_ms);
        let latest = token.expires_ms - self.buffer_ms;
        after(start).min(latest).max(now_ms + self.min_period_ms)
    }
}

/// `DefaultJwtRetriever`: a file if the URL says so, else the client credentials grant.
fn origin(values: &Values, jaas: &Jaas) -> Result<Origin, ConfigError> {
    let validator_key = "sasl.oauthbearer.jwt.validator.class";
    let validator = values.class(validator_key);
    if !matches!(
        validator.strip_prefix(PACKAGE),
        Some("DefaultJwtValidator" | "ClientJwtValidator")
    ) {
        let why = format!("there is no JVM that could run a class; supported is {PACKAGE}DefaultJwtValidator");
        return Err(ConfigError::invalid(validator_key, validator, why));
    }
    let url_key = "sasl.oauthbearer.token.endpoint.url";
    let url = values
        .opt_string(url_key)
        .ok_or_else(|| ConfigError::missing(url_key))?;
    let retriever_key = "sasl.oauthbearer.jwt.retriever.class";
    let retriever = values.class(retriever_key);
    let is_file = url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"));
    match (retriever.strip_prefix(PACKAGE), is_file) {
        (Some("DefaultJwtRetriever" | "FileJwtRetriever"), true) => {
            let path = url[5..].trim_start_matches("//");
            Ok(Origin::File(PathBuf::from(path)))
        }
        (Some("DefaultJwtRetriever" | "ClientCredentialsJwtRetriever"), false) => {
            Ok(Origin::Endpoint(Box::new(Endpoint::from_values(url, values, jaas)?)))
        }
        (Some("FileJwtRetriever"), false) | (Some("ClientCredentialsJwtRetriever"), true) => Err(ConfigError::invalid(
            url_key,
            url,
            format!("it does not suit {retriever_key} {retriever}"),
        )),
        _ => {
            let why = format!(
                "supported are DefaultJwtRetriever, ClientCredentialsJwtRetriever and FileJwtRetriever of {PACKAGE}"
            );
            Err(ConfigError::invalid(retriever_key, retriever, why))
        }
    }
}

/// `SaslExtensions`: RFC 7628's characters, and no claim on the token's own key.
fn check_extension((name, value): &(String, String)) -> Result<(), ConfigError> {
    let good_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic()) && name != "auth";
    let good_value = !value.is_empty()
        && value
            .chars()
            .all(|c| matches!(c, '\x21'..='\x7e' | ' ' | '\t' | '\r' | '\n'));
    match good_name && good_value {
        true => Ok(()),
        false => Err(jaas_error(&format!(
            "SASL extension {name} is not allowed: letters for the name (not auth), plain text for the value"
        ))),
    }
}

async fn read_file(path: PathBuf) -> Result<String, String> {
    let reading = tokio::task::spawn_blocking(move || super::read_text(&path, MAX_TOKEN_BYTES));
    reading.await.map_err(|_| "the client is shutting down".to_owned())?
}
