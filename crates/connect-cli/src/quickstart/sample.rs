//! Sample orders and payments, as the exercise has them: small JSON, orders with keys.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use kafka_client::{Client, ProducerConfig, producer::Producer};
use kafka_wire::{BatchBuilder, Compression, OutgoingBatch, TopicPartition, murmur2};
use tokio_util::sync::CancellationToken;

pub(super) const ORDERS: (&str, i32) = ("orders", 3);
pub(super) const PAYMENTS: (&str, i32) = ("payments", 2);

/// How long a batch may take to be written to a broker in the same process.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Numbers of records, produced in rounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Orders of one round; payments are half as many.
    pub(super) orders_per_round: u64,
    /// The pause between rounds.
    pub(super) every: Duration,
    /// Rounds; for ever if `None`.
    pub(super) rounds: Option<u64>,
}

/// Produces rounds of orders and payments until they are done or `cancel` says so. Returns how many records there are.
pub(super) async fn produce(
    client: Client,
    config: ProducerConfig,
    pace: Pace,
    cancel: CancellationToken,
) -> Result<u64> {
    let mut producer = Producer::new(client, config);
    let mut orders = 0;
    let mut payments = 0;
    let mut ticks = tokio::time::interval(pace.every);
    for round in 0.. {
        if pace.rounds.is_some_and(|rounds| round >= rounds) {
            break;
        }
        tokio::select! {
            () = cancel.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let now_ms = crate::clock::now_ms();
        let first_order = orders;
        orders += pace.orders_per_round;
        for (partition, batch) in order_batches(first_order..orders, now_ms) {
            producer.send(0, partition, batch);
        }
        let first_payment = payments;
        payments += pace.orders_per_round / 2;
        let (partition, batch) = payment_batch(round, first_payment..payments, now_ms);
        producer.send(0, partition, batch);
        write_all(&mut producer).await?;
    }
    Ok(orders + payments)
}

async fn write_all(producer: &mut Producer) -> Result<()> {
    while producer.in_flight() > 0 {
        let outcomes = tokio::time::timeout(WRITE_TIMEOUT, producer.outcomes()).await;
        for outcome in outcomes.context("the source Kafka does not take the sample records")? {
            if let Err(refused) = outcome.result {
                bail!("the source Kafka refused sample records: {refused}");
            }
        }
    }
    Ok(())
}

fn order_batches(numbers: std::ops::Range<u64>, now_ms: i64) -> Vec<(TopicPartition, OutgoingBatch)> {
    let (topic, partitions) = ORDERS;
    let mut builders: Vec<BatchBuilder> = (0..partitions).map(|_| BatchBuilder::new(Compression::Lz4)).collect();
    for number in numbers {
        let key = format!("order-{number}");
        let status = ["pending", "confirmed", "shipped", "delivered"][(number % 4) as usize];
        let value = serde_json::json!({
            "orderId": key,
            "customerId": format!("cust-{}", 100 + number % 900),
            "amount": (number * 1_399 % 50_000) as f64 / 100.0,
            "status": status,
        });
        let partition = murmur2::partition_for_key(key.as_bytes(), partitions);
        let source: (&[u8], Option<&[u8]>) = (b"source", Some(b"quickstart"));
        builders[partition as usize].push(
            now_ms,
            Some(key.as_bytes()),
            Some(value.to_string().as_bytes()),
            [source],
        );
    }
    let mut batches = Vec::new();
    for (partition, builder) in builders.into_iter().enumerate() {
        if !builder.is_empty() {
            batches.push((TopicPartition::new(topic, partition as i32), builder.build()));
        }
    }
    batches
}

fn payment_batch(round: u64, numbers: std::ops::Range<u64>, now_ms: i64) -> (TopicPartition, OutgoingBatch) {
    let (topic, partitions) = PAYMENTS;
    let mut builder = BatchBuilder::new(Compression::None);
    for number in numbers {
        let method = ["credit_card", "paypal"][(number % 2) as usize];
        let value = serde_json::json!({
            "paymentId": format!("pay-{number}"),
            "orderId": format!("order-{}", number * 2),
            "method": method,
        });
        let no_headers = std::iter::empty::<(&[u8], Option<&[u8]>)>();
        builder.push(now_ms, None, Some(value.to_string().as_bytes()), no_headers);
    }
    let partition = (round % partitions as u64) as i32;
    (TopicPartition::new(topic, partition), builder.build())
}
