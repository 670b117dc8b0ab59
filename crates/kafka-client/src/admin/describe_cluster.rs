//! The cluster itself. Asked as metadata, which every broker version answers.

use std::sync::Arc;

use super::Admin;
use crate::error::Error;
use crate::metadata::{Broker, Topics};

/// What a cluster says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its id.
    pub cluster_id: Option<Arc<str>>,
    /// The controller, or in KRaft a broker that forwards to it; `None`: not known.
    pub controller_id: Option<i32>,
    /// The brokers that are up, by id.
    pub brokers: Vec<Broker>,
}

impl Admin {
    /// Asks for the cluster's id, controller and brokers.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, Error> {
        let refresh = || self.client.refresh_metadata(Topics::Some(Vec::new()));
        let metadata = self.retry("describing the cluster", refresh).await?;
        let mut brokers: Vec<Broker> = metadata.brokers.values().cloned().collect();
        brokers.sort_by_key(|broker| broker.node_id);
        let controller_id = Some(metadata.controller_id).filter(|id| *id >= 0);
        Ok(ClusterDescription {
            cluster_id: metadata.cluster_id.clone(),
            controller_id,
            brokers,
        })
    }
}
