//! Configurations that follow their files.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rustls::{ClientConfig, ServerConfig};

use crate::settings::TlsSettings;

/// How to put TLS over connections that we make.
pub type ClientTls = Reloaded<ClientConfig>;
/// How to put TLS over connections that we take.
pub type ServerTls = Reloaded<ServerConfig>;

/// A configuration that is read when it is needed, and again when its files have changed.
pub struct Reloaded<C> {
    settings: Arc<TlsSettings>,
    load: fn(&TlsSettings) -> Result<C, String>,
    loaded: Mutex<Option<Loaded<C>>>,
}

/// What the files held when they were last read.
struct Loaded<C> {
    stamps: Vec<Stamp>,
    config: Arc<C>,
}

/// When a file was changed and how long it is; `None` if it cannot be seen.
type Stamp = Option<(SystemTime, u64)>;

impl Reloaded<ClientConfig> {
    /// For connections that we make.
    pub fn client(settings: TlsSettings) -> Self {
        Self::new(settings, crate::client)
    }
}

impl Reloaded<ServerConfig> {
    /// For connections that we take.
    pub fn server(settings: TlsSettings) -> Self {
        Self::new(settings, crate::server)
    }
}

impl<C: Send + Sync + 'static> Reloaded<C> {
    fn new(settings: TlsSettings, load: fn(&TlsSettings) -> Result<C, String>) -> Self {
        Self {
            settings: Arc::new(settings),
            load,
            loaded: Mutex::default(),
        }
    }

    /// The configuration in force. Files that have changed since are read again; if they cannot be used, what was read
    /// before stays in force.
    pub async fn current(&self) -> Result<Arc<C>, String> {
        let gone = |_| "the process is shutting down".to_owned();
        let settings = self.settings.clone();
        let stamps = tokio::task::spawn_blocking(move || stamps(&settings.files()))
            .await
            .map_err(gone)?;
        if let Some(loaded) = self.loaded().as_ref().filter(|loaded| loaded.stamps == stamps) {
            return Ok(loaded.config.clone());
        }
        let (settings, load) = (self.settings.clone(), self.load);
        let result = tokio::task::spawn_blocking(move || load(&settings))
            .await
            .map_err(gone)?;
        let mut loaded = self.loaded();
        let config = match (result, loaded.as_ref()) {
            (Ok(config), None) => Arc::new(config),
            (Ok(config), Some(_)) => {
                tracing::info!("certificates have changed and were read again");
                Arc::new(config)
            }
            (Err(problem), Some(old)) => {
                tracing::warn!(
                    problem,
                    "certificates have changed and cannot be used; those read before stay in force"
                );
                old.config.clone()
            }
            (Err(problem), None) => return Err(problem),
        };
        *loaded = Some(Loaded {
            stamps,
            config: config.clone(),
        });
        Ok(config)
    }

    fn loaded(&self) -> MutexGuard<'_, Option<Loaded<C>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> fmt::Debug for Reloaded<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloaded")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let seen = std::fs::metadata(path).ok()?;
        Some((seen.modified().ok()?, seen.len()))
    };
    files.iter().map(stamp).collect()
}
