//! From `sasl.*` settings to a login, or to the reason why there is none.

use config_def::{ConfigError, ConfigErrors, Password, Values};

use super::scram::{Hash, ScramLogin};
use super::{Jaas, Login, Sasl};
use crate::security::oauth::TokenSource;

const PLAIN_MODULE: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
const SCRAM_MODULE: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";
const OAUTH_MODULE: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";

const SUPPORTED: &str = "supported are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER";

/// Java classes that would answer in our place; there is no JVM to run them.
const CUSTOM_CLASSES: &[&str] = &["sasl.client.callback.handler.class", "sasl.login.class"];

impl Sasl {
    /// Reads what a table with `sasl.*` has parsed.
    pub(crate) fn from_values(values: &Values) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        for key in CUSTOM_CLASSES {
            if let Some(class) = values.opt_class(key) {
                let why = "there is no JVM that could run a class; leave it out";
                errors.0.push(ConfigError::invalid(key, class, why));
            }
        }
        match Self::login(values) {
            Ok(sasl) => errors.into_result(sasl),
            Err(error) => {
                errors.0.push(error);
                Err(errors)
            }
        }
    }

    fn login(values: &Values) -> Result<Self, ConfigError> {
        let (mechanism, module) = match values.string("sasl.mechanism") {
            "PLAIN" => ("PLAIN", PLAIN_MODULE),
            "SCRAM-SHA-256" => ("SCRAM-SHA-256", SCRAM_MODULE),
            "SCRAM-SHA-512" => ("SCRAM-SHA-512", SCRAM_MODULE),
            "OAUTHBEARER" => ("OAUTHBEARER", OAUTH_MODULE),
            "GSSAPI" => {
                let why = format!("Kerberos is not supported; {SUPPORTED}");
                return Err(ConfigError::invalid("sasl.mechanism", "GSSAPI", why));
            }
            other => {
                let why = format!("no such mechanism is supported; {SUPPORTED}");
                return Err(ConfigError::invalid("sasl.mechanism", other, why));
            }
        };
        let jaas = match values.opt_password("sasl.jaas.config") {
            Some(text) => Jaas::parse(text.reveal()).map_err(|why| jaas_error(&why))?,
            None => {
                return Err(jaas_error(
                    "it is not set; a file named by java.security.auth.login.config is not read here",
                ));
            }
        };
        if jaas.module != module {
            let why = format!(
                "login module {} is not supported; {mechanism} takes {module}",
                jaas.module
            );
            return Err(jaas_error(&why));
        }
        let login = match mechanism {
            "PLAIN" => {
                no_login_handler(values)?;
                let (user, password) = user_and_password(&jaas)?;
                Login::Plain { user, password }
            }
            "OAUTHBEARER" => Login::OAuthBearer(Box::new(TokenSource::from_values(values, &jaas)?)),
            scram => {
                no_login_handler(values)?;
                let (user, password) = user_and_password(&jaas)?;
                let hash = if scram == "SCRAM-SHA-256" {
                    Hash::Sha256
                } else {
                    Hash::Sha512
                };
                let is_token = jaas
                    .option("tokenauth")
                    .is_some_and(|value| value.reveal().eq_ignore_ascii_case("true"));
                Login::Scram(ScramLogin::new(hash, user, password, is_token))
            }
        };
        Ok(Self { mechanism, login })
    }
}

fn no_login_handler(values: &Values) -> Result<(), ConfigError> {
    let key = "sasl.login.callback.handler.class";
    match values.opt_class(key) {
        None => Ok(()),
        Some(class) => Err(ConfigError::invalid(
            key,
            class,
            "there is no JVM that could run a class; leave it out",
        )),
    }
}

fn user_and_password(jaas: &Jaas) -> Result<(String, Password), ConfigError> {
    let option = |name| {
        let missing = || jaas_error(&format!("option {name} is missing"));
        jaas.option(name).ok_or_else(missing)
    };
    Ok((option("username")?.reveal().to_owned(), option("password")?.clone()))
}

/// A problem of the JAAS configuration; its text is a secret, so only the problem is told.
pub(crate) fn jaas_error(why: &str) -> ConfigError {
    ConfigError::new(
        "sasl.jaas.config",
        format!("Invalid value [hidden] for configuration sasl.jaas.config: {why}"),
    )
}
