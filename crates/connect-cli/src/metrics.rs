//! Metrics for Prometheus: at the REST listeners, or at a listener of their own.

use anyhow::{Context, Result};
use axum::Router;
use config_def::{ConfigDef, Props};
use connect_metrics::{Metrics, Options, Worker};
use connect_mirror::{MirrorMetrics, source::Pace};
use connect_rest::Server;
use connect_runtime::{Clock, config::METRICS_KEYS};
use kafka_client::Dialer;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

static CONFIG_DEF: ConfigDef = ConfigDef::new(&[METRICS_KEYS]);

/// Where metrics will be served.
pub(crate) struct MetricsPlace {
    /// `None`: beside the REST API, where there is one.
    own: Option<Server>,
    max_partitions: usize,
}

impl MetricsPlace {
    /// Reads `props` and listens, if they name a listener. `system`: see [`Server::bind`].
    pub(crate) async fn bind(props: &Props, system: &Props) -> Result<Self> {
        let values = CONFIG_DEF.parse(props)?;
        let own = match props.get("heliograph.metrics.listener").map(|url| url.trim()) {
            None | Some("") => None,
            Some(url) => {
                let bound = Server::bind_apart(url, props, system).await;
                Some(bound.with_context(|| format!("heliograph.metrics.listener = {url}"))?)
            }
        };
        let max_partitions = values.int("heliograph.metrics.max.partitions").unsigned_abs() as usize;
        Ok(Self { own, max_partitions })
    }

    /// Serves on the own listener as one of `servers`, or answers with what the REST API is to serve beside its own.
    pub(crate) fn serve(
        self,
        workers: Vec<Worker>,
        mirror: MirrorMetrics,
        pace: Pace,
        dialer: Dialer,
        servers: &mut JoinSet<()>,
        cancel: CancellationToken,
    ) -> Router {
        let metrics = Metrics::new(Options {
            workers,
            mirror,
            pace,
            dialer,
            clock: Clock::system(),
            max_partitions: self.max_partitions,
        });
        match self.own {
            None => metrics.router(),
            Some(server) => {
                servers.spawn(server.serve_only(metrics.router(), cancel));
                Router::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_of_its_own_is_a_wish() {
        let place = MetricsPlace::bind(&Props::new(), &Props::new())
            .await
            .expect("nothing is needed");
        assert!(place.own.is_none());
        assert_eq!(place.max_partitions, 2000);
        let asked = [(
            "heliograph.metrics.listener".to_owned(),
            "http://127.0.0.1:0".to_owned(),
        )];
        assert!(
            MetricsPlace::bind(&asked.into(), &Props::new())
                .await
                .expect("a good listener")
                .own
                .is_some()
        );
        let wrong = [("heliograph.metrics.listener".to_owned(), "nonsense".to_owned())];
        let error = MetricsPlace::bind(&wrong.into(), &Props::new())
            .await
            .err()
            .expect("no URL");
        assert!(
            format!("{error:#}").starts_with("heliograph.metrics.listener = nonsense: "),
            "{error:#}"
        );
    }
}
