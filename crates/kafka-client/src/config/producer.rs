//! `ProducerConfig`.

use std::time::Duration;

use config_def::{ConfigError, ConfigErrors, Props};
use kafka_wire::Compression;

use super::ClientConfig;
use super::tables::PRODUCER_CONFIG_DEF;

/// `acks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// No answer at all.
    None,
    /// The leader has it.
    Leader,
    /// All replicas in sync have it.
    All,
}

impl Acks {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// The settings of a producer.
#[derive(Debug, Clone)]
pub struct ProducerConfig {
    /// What all clients share.
    pub client: ClientConfig,
    /// `acks`.
    pub acks: Acks,
    /// `enable.idempotence`, switched off by settings that exclude it unless it is asked for.
    pub enable_idempotence: bool,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: usize,
    /// `batch.size`.
    pub batch_size: usize,
    /// `linger.ms`.
    pub linger: Duration,
    /// `compression.type`; `None` when it is not set, which for a mirror means: as it came.
    pub compression_type: Option<Compression>,
    /// `compression.gzip.level`, `compression.lz4.level` or `compression.zstd.level`, when set for the codec in use.
    pub compression_level: Option<i32>,
    /// `max.request.size`.
    pub max_request_size: usize,
    /// `buffer.memory`.
    pub buffer_memory: usize,
    /// `max.block.ms`.
    pub max_block: Duration,
    /// `delivery.timeout.ms`.
    pub delivery_timeout: Duration,
    /// `retries`.
    pub retries: i32,
    /// `transactional.id`.
    pub transactional_id: Option<String>,
    /// `transaction.timeout.ms`.
    pub transaction_timeout: Duration,
}

pub(super) const KEYS_WITH_EFFECT: &[&str] = &[
    "buffer.memory",
    // The producer sends what it is given: the mirror, which makes the batches, compresses them so.
    "compression.type",
    "max.in.flight.requests.per.connection",
    // Of a producer that writes in transactions.
    "transaction.timeout.ms",
];

impl ProducerConfig {
    /// Reads `ProducerConfig`'s keys; other keys are not looked at. Every problem is reported at once.
    pub fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        let values = PRODUCER_CONFIG_DEF.parse(props)?;
        let mut errors = ConfigErrors::default();
        let client = ClientConfig::from_values(&values, props, values.millis("max.block.ms"))?;
        let acks = match values.string("acks") {
            "0" => Acks::None,
            "1" => Acks::Leader,
            _ => Acks::All,
        };
        let max_in_flight = values.int("max.in.flight.requests.per.connection");
        let retries = values.int("retries");
        let idempotence = match Idempotence::of(props, values.boolean("enable.idempotence")) {
            Idempotence::Off => false,
            wanted => {
                let obstacle = obstacle(acks, retries, max_in_flight);
                if let (Idempotence::Required, Some(why)) = (wanted, obstacle) {
                    errors.0.push(ConfigError::new("enable.idempotence", why));
                }
                obstacle.is_none()
            }
        };
        if !idempotence && props.contains_key("transactional.id") {
            let why = "Cannot set a transactional.id without also enabling idempotence.";
            errors.0.push(ConfigError::new("transactional.id", why));
        }
        let linger = values.millis("linger.ms");
        let delivery_timeout = delivery_timeout(
            values.millis("delivery.timeout.ms"),
            linger + client.request_timeout,
            props.contains_key("delivery.timeout.ms"),
        );
        let codec = values.string("compression.type");
        let level_key = format!("compression.{codec}.level");
        errors.collect(delivery_timeout.clone());
        errors.into_result(Self {
            client,
            acks,
            enable_idempotence: idempotence,
            max_in_flight: usize::try_from(max_in_flight).unwrap_or(1),
            batch_size: usize::try_from(values.int("batch.size")).unwrap_or(0),
            linger,
            compression_type: props
                .contains_key("compression.type")
                .then(|| codec.parse().expect("the table has checked it")),
            compression_level: props.contains_key(&level_key).then(|| values.int(&level_key)),
            max_request_size: usize::try_from(values.int("max.request.size")).unwrap_or(0),
            buffer_memory: usize::try_from(values.long("buffer.memory")).unwrap_or(0),
            max_block: values.millis("max.block.ms"),
            delivery_timeout: delivery_timeout.unwrap_or_default(),
            retries,
            transactional_id: values.opt_string("transactional.id").map(str::to_owned),
            transaction_timeout: values.millis("transaction.timeout.ms"),
        })
    }
}

#[derive(Clone, Copy)]
enum Idempotence {
    Off,
    /// By default, where nothing speaks against it.
    Preferred,
    /// Asked for by name, or by `transactional.id`.
    Required,
}

impl Idempotence {
    fn of(props: &Props, enabled: bool) -> Self {
        let explicit = props.contains_key("enable.idempotence") || props.contains_key("transactional.id");
        match (enabled, explicit) {
            (false, _) => Self::Off,
            (true, true) => Self::Required,
            (true, false) => Self::Preferred,
        }
    }
}

/// What excludes idempotence, in Kafka's words.
fn obstacle(acks: Acks, retries: i32, max_in_flight: i32) -> Option<&'static str> {
    match () {
        () if retries == 0 => Some("Must set retries to non-zero when using the idempotent producer."),
        () if acks != Acks::All => Some(
            "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence.",
        ),
        () if max_in_flight > 5 => {
            Some("Must set max.in.flight.requests.per.connection to at most 5 when using the idempotent producer.")
        }
        () => None,
    }
}

/// Kafka raises a default that is too short, and refuses one that the user has set.
fn delivery_timeout(configured: Duration, least: Duration, explicit: bool) -> Result<Duration, ConfigError> {
    if configured >= least {
        return Ok(configured);
    }
    if explicit {
        let why = "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms";
        return Err(ConfigError::new("delivery.timeout.ms", why));
    }
    Ok(least)
}
