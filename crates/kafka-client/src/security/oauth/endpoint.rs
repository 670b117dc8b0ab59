//! The client credentials grant: one form is posted, one JSON object comes back.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use config_def::{ConfigDef, ConfigError, Password, Props, Values, security};
use futures_util::future::join;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::time::Instant;

use super::MAX_TOKEN_BYTES;
use crate::dial::{Dialer, Stream};
use crate::retry::ExponentialBackoff;
use crate::security::sasl::{Jaas, jaas_error};
use crate::security::tls::Tls;

/// Java waits for ever unless told otherwise; a connection to a broker must not.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// `ssl.*` among the login module's options, for the token endpoint alone.
static SSL: ConfigDef = ConfigDef::new(&[security::SSL]);

/// Where tokens are to be had, and for whom.
#[derive(Debug)]
pub(super) struct Endpoint {
    uri: Uri,
    host: String,
    port: u16,
    tls: Option<Tls>,
    authorization: Password,
    form: String,
    connect_timeout: Duration,
    read_timeout: Duration,
    backoff: ExponentialBackoff,
}

/// Why there is no token.
struct Failure {
    problem: String,
    may_pass: bool,
}

impl Endpoint {
    pub(super) fn from_values(url: &str, values: &Values, jaas: &Jaas) -> Result<Self, ConfigError> {
        let url_key = "sasl.oauthbearer.token.endpoint.url";
        let invalid = |why: &str| ConfigError::invalid(url_key, url, why);
        let uri: Uri = url.parse().map_err(|_| invalid("it is no URL"))?;
        let (default_port, is_https) = match uri.scheme_str() {
            Some("https") => (443, true),
            Some("http") => (80, false),
            _ => return Err(invalid("it must begin with https:, http: or file:")),
        };
        let host = uri
            .host()
            .ok_or_else(|| invalid("it names no host"))?
            .trim_matches(['[', ']'])
            .to_owned();
        let port = uri.port_u16().unwrap_or(default_port);
        let tls = match is_https {
            false => None,
            true => {
                let options = jaas.options().filter(|(name, _)| name.starts_with("ssl."));
                let props: Props = options
                    .map(|(name, value)| (name.to_owned(), value.reveal().to_owned()))
                    .collect();
                let values = SSL.parse(&props).map_err(|errors| jaas_error(&errors.to_string()))?;
                Some(Tls::from_values(&values).map_err(|errors| jaas_error(&errors.to_string()))?)
            }
        };
        let id_key = "sasl.oauthbearer.client.credentials.client.id";
        let configured_id = values.opt_string(id_key).map(Password::new);
        let id = setting(configured_id, jaas, "clientId").ok_or_else(|| ConfigError::missing(id_key))?;
        let secret_key = "sasl.oauthbearer.client.credentials.client.secret";
        let configured_secret = values.opt_password(secret_key).cloned();
        let secret =
            setting(configured_secret, jaas, "clientSecret").ok_or_else(|| ConfigError::missing(secret_key))?;
        let scope = setting(
            values.opt_string("sasl.oauthbearer.scope").map(Password::new),
            jaas,
            "scope",
        );
        let pair = match values.boolean("sasl.oauthbearer.header.urlencode") {
            true => format!("{}:{}", url_encode(id.reveal()), url_encode(secret.reveal())),
            false => format!("{}:{}", id.reveal(), secret.reveal()),
        };
        let mut form = "grant_type=client_credentials".to_owned();
        if let Some(scope) = scope {
            form.push_str("&scope=");
            form.push_str(&url_encode(scope.reveal()));
        }
        let timeout = |key| match values.opt_int(key).and_then(|ms| u64::try_from(ms).ok()) {
            Some(ms) if ms > 0 => Duration::from_millis(ms),
            _ => DEFAULT_TIMEOUT,
        };
        Ok(Self {
            uri,
            host,
            port,
            tls,
            authorization: Password::new(format!("Basic {}", BASE64_STANDARD.encode(pair))),
            form,
            connect_timeout: timeout("sasl.login.connect.timeout.ms"),
            read_timeout: timeout("sasl.login.read.timeout.ms"),
            backoff: ExponentialBackoff::new(
                values.millis("sasl.login.retry.backoff.ms"),
                values.millis("sasl.login.retry.backoff.max.ms"),
            ),
        })
    }

    /// Without what may be secret in a query.
    pub(super) fn name(&self) -> String {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        format!("{scheme}://{}:{}{}", self.host, self.port, self.uri.path())
    }

    /// Asks for a token; what may pass is tried again for `sasl.login.retry.backoff.max.ms`, as Java does.
    pub(super) async fn fetch(&self) -> Result<String, String> {
        let until = Instant::now() + self.backoff.max();
        let mut failures = 0;
        loop {
            let failure = match self.fetch_once().await {
                Ok(token) => return Ok(token),
                Err(failure) => failure,
            };
            let wait = self.backoff.after(failures);
            if !failure.may_pass || Instant::now() + wait >= until {
                return Err(failure.problem);
            }
            tracing::debug!(problem = failure.problem, "asking for a token again");
            failures += 1;
            tokio::time::sleep(wait).await;
        }
    }

    async fn fetch_once(&self) -> Result<String, Failure> {
        let dialer = Dialer::tcp();
        let stream = dialer
            .dial_within(&self.host, self.port, self.connect_timeout)
            .await
            .map_err(Failure::error)?;
        let stream = match &self.tls {
            None => stream,
            Some(tls) => tls
                .connect(stream, &self.host, self.port, self.connect_timeout)
                .await
                .map_err(Failure::error)?,
        };
        match tokio::time::timeout(self.read_timeout, self.exchange(stream)).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(Failure::passing(format!(
                "no answer within {} ms (sasl.login.read.timeout.ms)",
                self.read_timeout.as_millis()
            ))),
        }
    }

    async fn exchange(&self, stream: Stream) -> Result<String, Failure> {
        let broken = |error: hyper::Error| Failure::passing(format!("the exchange broke: {error}"));
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let exchange = async move {
            let response = sender.send_request(self.request()?).await.map_err(broken)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_TOKEN_BYTES as usize)
                .collect()
                .await;
            let body = body.map_err(|error| Failure::passing(format!("the exchange broke: {error}")))?;
            token_in(status, &body.to_bytes())
        };
        // The connection ends when the sender is gone, so both end.
        let (answer, _ended) = join(exchange, connection).await;
        answer
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Failure> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self.uri.authority().map_or("", |authority| authority.as_str());
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let mut authorization = HeaderValue::from_str(self.authorization.reveal())
            .map_err(|_| Failure::lasting("client id or secret cannot be sent".into()))?;
        authorization.set_sensitive(true);
        Request::post(path)
            .header(HOST, host)
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json")
            .header(CACHE_CONTROL, "no-cache")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(self.form.clone()))
            .map_err(|error| Failure::lasting(format!("the request cannot be made: {error}")))
    }
}

impl Failure {
    fn passing(problem: String) -> Self {
        Self {
            problem,
            may_pass: true,
        }
    }

    fn lasting(problem: String) -> Self {
        Self {
            problem,
            may_pass: false,
        }
    }

    fn error(error: crate::Error) -> Self {
        Self::passing(error.chain())
    }
}

fn setting(configured: Option<Password>, jaas: &Jaas, option: &str) -> Option<Password> {
    configured.or_else(|| jaas.option(option).cloned())
}

/// Java's `JwtResponseParser`, and what an error response says.
fn token_in(status: StatusCode, body: &[u8]) -> Result<String, Failure> {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| json[name].as_str().map(str::trim).filter(|text| !text.is_empty());
    if !status.is_success() {
        let mut problem = format!("HTTP status {}", status.as_u16());
        for name in ["error", "error_description"] {
            if let Some(text) = text(name) {
                problem.push_str(", ");
                problem.push_str(&crate::security::sasl::scram::printable(text));
            }
        }
        if matches!(status.as_u16(), 400 | 401 | 403) {
            problem.push_str("; check client id and secret, scope and URL");
        }
        let may_pass = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
        return Err(Failure { problem, may_pass });
    }
    let token = text("access_token").or_else(|| text("id_token"));
    token
        .map(str::to_owned)
        .ok_or_else(|| Failure::lasting("the answer has neither access_token nor id_token".into()))
}

/// `URLEncoder`.
fn url_encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_java_reads_them() {
        let ok = |body: &str| token_in(StatusCode::OK, body.as_bytes()).map_err(|failure| failure.problem);
        assert_eq!(ok(r#"{"access_token":"a.b.c","id_token":"x"}"#), Ok("a.b.c".into()));
        assert_eq!(ok(r#"{"access_token":"","id_token":"x"}"#), Ok("x".into()));
        assert!(ok("nonsense").is_err_and(|problem| problem.contains("access_token")));
        let refused = token_in(
            StatusCode::UNAUTHORIZED,
            br#"{"error":"invalid_client","error_description":"no\nsuch"}"#,
        );
        let Err(refused) = refused else { panic!("it is refused") };
        assert_eq!(
            (refused.problem.as_str(), refused.may_pass),
            (
                "HTTP status 401, invalid_client, no such; check client id and secret, scope and URL",
                false
            )
        );
        assert!(token_in(StatusCode::BAD_GATEWAY, b"").is_err_and(|failure| failure.may_pass));
    }

    #[test]
    fn forms_are_encoded_as_java_encodes_them() {
        assert_eq!(url_encode("a b&c=ü*~"), "a+b%26c%3D%C3%BC*%7E");
    }
}
