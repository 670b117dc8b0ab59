//! Which settings reach which of the worker's Kafka clients. Pure: maps in, maps out.

use config_def::{Props, with_prefix_stripped};

use crate::worker::ConnectorTaskId;

/// The longest `delivery.timeout.ms`: a source producer never gives up on a batch by itself.
const FOR_EVER_MS: &str = "2147483647";
/// An idle store asks its brokers this often instead of twice a second; news still comes at once.
const IDLE_FETCH_MS: &str = "5000";

/// The producer that carries the records of a task: base settings < worker's `producer.` < connector's
/// `producer.override.`. Other worker keys do not reach it, except `bootstrap.servers`.
///
/// Unlike Kafka's worker, which writes without idempotence and with one request in flight, it keeps the producer's own
/// defaults: idempotent with five in flight, which is as ordered and faster.
pub fn task_producer(worker: &Props, connector: &Props, id: &ConnectorTaskId) -> Props {
    let mut props = base(worker, &format!("connector-producer-{id}"));
    set(&mut props, "acks", "all");
    set(&mut props, "delivery.timeout.ms", FOR_EVER_MS);
    props.extend(with_prefix_stripped(worker, "producer."));
    props.extend(with_prefix_stripped(connector, "producer.override."));
    props
}

/// The consumer that reads a task's offsets from a topic of its connector's: base settings < worker's `consumer.` <
/// connector's `consumer.override.`. A task that does not write exactly once may see what is not committed, too.
pub fn task_offsets_consumer(worker: &Props, connector: &Props, id: &ConnectorTaskId, exactly_once: bool) -> Props {
    let mut props = base(worker, &format!("connector-consumer-{id}"));
    set(&mut props, "group.id", &format!("connect-{}", id.connector));
    set(&mut props, "enable.auto.commit", "false");
    set(&mut props, "auto.offset.reset", "earliest");
    props.extend(with_prefix_stripped(worker, "consumer."));
    props.extend(with_prefix_stripped(connector, "consumer.override."));
    // Offsets of a transaction that is not committed are none.
    if exactly_once || !props.contains_key("isolation.level") {
        set(&mut props, "isolation.level", "read_committed");
    }
    props
}

/// The admin client of an exactly-once task, or of one that creates topics or has an offsets topic of its own: base settings < all of the worker's keys but
/// those of producers and consumers < worker's `admin.` < connector's `admin.override.`.
pub fn task_admin(worker: &Props, connector: &Props, id: &ConnectorTaskId) -> Props {
    let mut props = base(worker, &format!("connector-adminclient-{id}"));
    let of_others = |key: &str| {
        ["admin.", "producer.", "consumer."]
            .iter()
            .any(|prefix| key.starts_with(prefix))
    };
    props.extend(
        worker
            .iter()
            .filter(|(key, _)| !of_others(key))
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    // The variables are resolved: the client has no use for providers.
    props.remove("config.providers");
    props.extend(with_prefix_stripped(worker, "admin."));
    props.extend(with_prefix_stripped(connector, "admin.override."));
    props
}

/// The clients of the config, offset and status topic: the worker's own keys, whatever is prefixed does not count.
/// `store` ends the client id: `configs`, `offsets` or `statuses`.
pub fn store(worker: &Props, store: &str) -> Props {
    let mut props = worker.clone();
    set(&mut props, "client.id", &format!("{}{store}", client_id_base(worker)));
    set(&mut props, "acks", "all");
    set(&mut props, "enable.idempotence", "true");
    set(&mut props, "delivery.timeout.ms", FOR_EVER_MS);
    // Keys that an idempotent producer excludes, or that mean something else to the worker.
    for key in [
        "retries",
        "max.in.flight.requests.per.connection",
        "transactional.id",
        "compression.type",
    ] {
        props.remove(key);
    }
    set(&mut props, "auto.offset.reset", "earliest");
    let exactly_once = worker
        .get("exactly.once.source.support")
        .is_some_and(|on| on.eq_ignore_ascii_case("enabled"));
    let committed_only = exactly_once && store != "statuses";
    set(
        &mut props,
        "isolation.level",
        if committed_only {
            "read_committed"
        } else {
            "read_uncommitted"
        },
    );
    props
        .entry("fetch.max.wait.ms".to_owned())
        .or_insert_with(|| IDLE_FETCH_MS.to_owned());
    props
}

/// `<group.id>-` or `<group.id>-<client.id>-`.
pub fn client_id_base(worker: &Props) -> String {
    let parts = ["group.id", "client.id"].map(|key| worker.get(key).map_or("", String::as_str));
    parts
        .iter()
        .filter(|part| !part.is_empty())
        .map(|part| format!("{part}-"))
        .collect()
}

fn base(worker: &Props, client_id: &str) -> Props {
    let mut props = Props::new();
    if let Some(servers) = worker.get("bootstrap.servers") {
        set(&mut props, "bootstrap.servers", servers);
    }
    set(&mut props, "client.id", client_id);
    props
}

fn set(props: &mut Props, key: &str, value: &str) {
    props.insert(key.to_owned(), value.to_owned());
}

#[cfg(test)]
mod tests {
    use kafka_client::config::{ConsumerConfig, IsolationLevel, ProducerConfig};

    use super::*;

    fn props(pairs: &[(&str, &str)]) -> Props {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn worker() -> Props {
        props(&[
            ("bootstrap.servers", "b:9092"),
            ("group.id", "A-mm2"),
            ("client.id", "A->B"),
            ("linger.ms", "7"),
            ("producer.linger.ms", "8"),
            ("producer.buffer.memory", "1000000"),
            ("consumer.isolation.level", "read_committed"),
        ])
    }

    #[test]
    fn the_data_producer_hears_of_its_own_prefixes_only() {
        let id = ConnectorTaskId::new("MirrorSourceConnector", 2);
        let connector = props(&[
            ("producer.override.buffer.memory", "2000000"),
            ("producer.linger.ms", "9"),
        ]);
        let producer = task_producer(&worker(), &connector, &id);
        let expected = props(&[
            ("acks", "all"),
            ("bootstrap.servers", "b:9092"),
            ("buffer.memory", "2000000"),
            ("client.id", "connector-producer-MirrorSourceConnector-2"),
            ("delivery.timeout.ms", FOR_EVER_MS),
            ("linger.ms", "8"),
        ]);
        assert_eq!(producer, expected);
        let parsed = ProducerConfig::parse(&producer).unwrap();
        assert!(parsed.enable_idempotence);
        assert_eq!((parsed.max_in_flight, parsed.buffer_memory), (5, 2_000_000));
    }

    #[test]
    fn a_store_hears_of_the_workers_plain_keys() {
        let store_props = store(&worker(), "offsets");
        assert_eq!(store_props["client.id"], "A-mm2-A->B-offsets");
        assert_eq!(store_props["linger.ms"], "7");
        let consumer = ConsumerConfig::parse(&store_props).unwrap();
        assert_eq!(consumer.isolation_level, IsolationLevel::ReadUncommitted);
        assert!(ProducerConfig::parse(&store_props).unwrap().enable_idempotence);
        let mut exactly_once = worker();
        set(&mut exactly_once, "exactly.once.source.support", "Enabled");
        assert_eq!(store(&exactly_once, "offsets")["isolation.level"], "read_committed");
        assert_eq!(store(&exactly_once, "statuses")["isolation.level"], "read_uncommitted");
    }

    #[test]
    fn client_ids_begin_with_the_group() {
        assert_eq!(client_id_base(&worker()), "A-mm2-A->B-");
        assert_eq!(client_id_base(&props(&[("group.id", "g"), ("client.id", "")])), "g-");
    }
}
