//! The settings of the clients that the connectors make, derived from the connector's properties.

use config_def::{Props, security, with_prefix_stripped};
use kafka_client::config::ClientKind;

/// One of the two clusters of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The cluster that is read.
    Source,
    /// The cluster that is written.
    Target,
}

impl Side {
    /// `source` or `target`, as in keys.
    pub const fn name(self) -> &'static str {
        match self {
            Side::Source => "source",
            Side::Target => "target",
        }
    }
}

/// The word for a kind of client in keys.
pub(crate) const fn kind_name(kind: ClientKind) -> &'static str {
    match kind {
        ClientKind::Admin => "admin",
        ClientKind::Consumer => "consumer",
        ClientKind::Producer => "producer",
    }
}

/// Keys that hold for every client of a cluster: where it is and how to be let in
/// (`MirrorClientConfig.CLIENT_CONFIG_DEF`).
pub fn cluster_client_keys() -> impl Iterator<Item = &'static str> {
    let security = security::SSL.iter().chain(security::SASL).map(|key| key.name);
    ["bootstrap.servers", security::SECURITY_PROTOCOL.name]
        .into_iter()
        .chain(security)
}

/// Whether `key` is one of [`cluster_client_keys`].
pub fn is_cluster_client_key(key: &str) -> bool {
    cluster_client_keys().any(|known| known == key)
}

/// The settings of a client of a connector, without its `client.id`; later wins: `source.cluster.*` (only what holds for
/// every client), `consumer.*`, `source.consumer.*`. `target.` and the other kinds likewise.
pub fn client_props(props: &Props, side: Side, kind: ClientKind) -> Props {
    let (side, kind_name) = (side.name(), kind_name(kind));
    let mut client = with_prefix_stripped(props, &format!("{side}.cluster."));
    client.retain(|key, _| is_cluster_client_key(key));
    client.extend(with_prefix_stripped(props, &format!("{kind_name}.")));
    client.extend(with_prefix_stripped(props, &format!("{side}.{kind_name}.")));
    if kind == ClientKind::Consumer {
        // Positions are Connect's; the consumer belongs to no group.
        client.insert("enable.auto.commit".to_owned(), "false".to_owned());
        client
            .entry("auto.offset.reset".to_owned())
            .or_insert_with(|| "earliest".to_owned());
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_client_are_kafkas() {
        let recorded: serde_json::Value =
            serde_json::from_str(include_str!("../testdata/config-mirror-client.json")).expect("valid JSON");
        let mut ours: Vec<&str> = cluster_client_keys().collect();
        ours.sort_unstable();
        assert_eq!(serde_json::json!(ours), recorded["clientConfigDefNames"]);
    }
}
