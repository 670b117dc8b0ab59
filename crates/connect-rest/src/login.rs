//! User names and passwords, as Kafka's `BasicAuthSecurityRestExtension` asks for them with `PropertyFileLoginModule`: a login
//! configuration file (JAAS) names files of users, and who is in one of them may ask everything.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use config_def::{
    Props,
    jaas::{self, ControlFlag},
    properties,
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tracing::{error, info, warn};

/// What `rest.extension.classes` may name.
pub(crate) const BASIC_AUTH_EXTENSION: [&str; 2] = [
    "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension",
    "BasicAuthSecurityRestExtension",
];
const LOGIN_MODULE: &str = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule";
/// The system property that names the login configuration file.
const LOGIN_CONFIG: &str = "java.security.auth.login.config";
/// The entry that is ours, and Java's for everybody who has none.
const ENTRIES: [&str; 2] = ["KafkaConnect", "other"];
/// As Java reads it: with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Who may use the REST API.
#[derive(Debug)]
pub(crate) struct Login {
    modules: Vec<LoginModule>,
}

#[derive(Debug)]
struct LoginModule {
    flag: ControlFlag,
    users: UsersFile,
}

impl Login {
    /// Reads the login configuration file that `system` names, and has a look at the files of users.
    pub(crate) async fn read(system: &Props) -> Result<Self, String> {
        let file = system
            .get(LOGIN_CONFIG)
            .ok_or_else(|| format!("no login configuration: set -D{LOGIN_CONFIG}=FILE in KAFKA_OPTS"))?;
        // `=FILE` means "this one alone" to Java, and it may be a URL.
        let file = file.trim_start_matches('=');
        let file = file.strip_prefix("file:").unwrap_or(file);
        let bytes = tokio::fs::read(file).await;
        let bytes = bytes.map_err(|error| format!("{file} cannot be read: {error}"))?;
        let text = String::from_utf8(bytes).map_err(|_| format!("{file} is no text"))?;
        let login = Self::of_file(&text, system).map_err(|why| format!("{file}: {why}"))?;
        for module in &login.modules {
            module.users.current().await;
        }
        Ok(login)
    }

    fn of_file(text: &str, system: &Props) -> Result<Self, String> {
        let mut entries = jaas::parse_file(text, |name| system.get(name).cloned())?;
        let entry = ENTRIES.iter().find_map(|name| entries.remove(*name));
        let entry = entry
            .filter(|modules| !modules.is_empty())
            .ok_or_else(|| format!("it has no login modules for {}", ENTRIES[0]))?;
        let modules = entry.into_iter().map(|module| {
            if module.module != LOGIN_MODULE {
                return Err(format!("{} is not supported; there is {LOGIN_MODULE}", module.module));
            }
            let file = module.option("file").filter(|file| !file.reveal().trim().is_empty());
            let file = file.ok_or_else(|| format!("{LOGIN_MODULE} needs the option file"))?;
            Ok(LoginModule {
                flag: module.flag,
                users: UsersFile::new(file.reveal().into()),
            })
        });
        Ok(Self {
            modules: modules.collect::<Result<_, _>>()?,
        })
    }

    /// What the first user of the files would send, for who may read them; `None`: everybody is let in.
    pub(crate) async fn first_user(&self) -> Result<Option<HeaderValue>, String> {
        for LoginModule { users, .. } in &self.modules {
            let file = users.path.display();
            let bytes = tokio::fs::read(&users.path).await;
            let bytes = bytes.map_err(|error| format!("{file} cannot be read: {error}"))?;
            let users = properties::parse(&bytes).map_err(|error| format!("{file}: {error}"))?;
            if let Some((user, password)) = users.props().into_iter().find(|(user, _)| !user.contains(':')) {
                let value = format!("Basic {}", BASE64.encode(format!("{user}:{password}")));
                let mut value = HeaderValue::try_from(value).map_err(|error| format!("{file}: {error}"))?;
                value.set_sensitive(true);
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Whether whoever sent these headers may go on. A module that does not know the user abstains (it returns false
    /// where others throw), so that one that does is enough, whatever their flags.
    pub(crate) async fn admits(&self, headers: &HeaderMap) -> bool {
        let given = Credentials::of(headers);
        let (mut has_failed, mut has_succeeded) = (false, false);
        for LoginModule { flag, users } in &self.modules {
            match (users.current().await, flag) {
                (Some(users), _) if !users.admit(given.as_ref()) => {}
                (Some(_), ControlFlag::Sufficient) if !has_failed => return true,
                (Some(_), _) => has_succeeded = true,
                (None, ControlFlag::Requisite) => return false,
                (None, ControlFlag::Required) => has_failed = true,
                (None, ControlFlag::Sufficient | ControlFlag::Optional) => {}
            }
        }
        has_succeeded && !has_failed
    }
}

/// What a client says of itself.
struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(only), None) = (given.next(), given.next()) else {
            return None;
        };
        Self::read(only.to_str().ok()?)
    }

    fn read(header: &str) -> Option<Self> {
        let (scheme, encoded) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Basic") {
            return None;
        }
        let decoded = BASE64.decode(encoded).ok()?;
        let decoded = String::from_utf8_lossy(&decoded);
        let (user, password) = decoded.split_once(':').filter(|(user, _)| !user.is_empty())?;
        Some(Self {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }
}

/// Users and what their passwords hash to.
#[derive(Default)]
struct Users(BTreeMap<String, Hash>);

type Hash = [u8; 32];

impl Users {
    /// A properties file: `name=password`.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let props = properties::parse(bytes).map_err(|error| error.to_string())?.props();
        let users = props.into_iter().map(|(user, password)| (user, hash(&password)));
        Ok(Self(users.collect()))
    }

    /// As in Kafka, a file without users lets everybody in.
    fn admit(&self, given: Option<&Credentials>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let Some(given) = given else { return false };
        // Takes as long for users that are not there, and for any password.
        let given_hash = hash(&given.password);
        let (expected, is_known) = match self.0.get(&given.user) {
            Some(expected) => (*expected, true),
            None => (Hash::default(), false),
        };
        bool::from(expected.ct_eq(&given_hash)) & is_known
    }
}

fn hash(password: &str) -> Hash {
    Sha256::digest(password.as_bytes()).into()
}

/// A file of users, which is read again when it has changed.
struct UsersFile {
    path: PathBuf,
    read: Mutex<Option<Read>>,
}

#[derive(Clone)]
struct Read {
    stamp: Stamp,
    /// `None`: it cannot be read.
    users: Option<Arc<Users>>,
}

/// When the file was changed and how long it is; `None` if it cannot be seen.
type Stamp = Option<(SystemTime, u64)>;

impl std::fmt::Debug for UsersFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UsersFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl UsersFile {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: Mutex::default(),
        }
    }

    /// The users in force; `None`: there is no such file, and nobody can log in.
    async fn current(&self) -> Option<Arc<Users>> {
        let stamp = match tokio::fs::metadata(&self.path).await {
            Ok(seen) => seen.modified().ok().map(|changed| (changed, seen.len())),
            Err(_) => None,
        };
        let before = self.read().clone();
        if let Some(before) = before.as_ref().filter(|before| before.stamp == stamp) {
            return before.users.clone();
        }
        let bytes = tokio::fs::read(&self.path).await;
        let found = bytes
            .map_err(|error| error.to_string())
            .and_then(|bytes| Users::parse(&bytes));
        let users = self.replace(before.and_then(|before| before.users), found);
        *self.read() = Some(Read {
            stamp,
            users: users.clone(),
        });
        users
    }

    /// What counts of what was read before and what is found now. A file that is being written must not let everybody in.
    fn replace(&self, before: Option<Arc<Users>>, found: Result<Users, String>) -> Option<Arc<Users>> {
        let file = self.path.display();
        match (before, found) {
            (Some(before), Err(problem)) => {
                warn!(%file, problem, "the users of the REST API cannot be read again; those read before stay in force");
                Some(before)
            }
            (Some(before), Ok(found)) if found.0.is_empty() && !before.0.is_empty() => {
                warn!(%file, "the file of the REST API's users is empty now; those read before stay in force");
                Some(before)
            }
            (None, Err(problem)) => {
                error!(%file, problem, "the users of the REST API cannot be read: nobody can log in");
                None
            }
            (before, Ok(found)) => {
                if found.0.is_empty() {
                    warn!(%file, "the file of the REST API's users is empty: all requests are permitted");
                } else if before.is_some() {
                    info!(%file, "the users of the REST API have changed and were read again");
                }
                Some(Arc::new(found))
            }
        }
    }

    fn read(&self) -> std::sync::MutexGuard<'_, Option<Read>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
