use std::collections::{HashMap, HashSet};

use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, EndTxnRequest, FindCoordinatorRequest, InitProducerIdRequest, TransactionalId,
    add_partitions_to_txn_request::AddPartitionsToTxnTopic,
};
use kafka_wire::Compression;

use super::{Error, TestClient, TestRecord, check, produce::batch, string, topic_name};

const TRANSACTION_KEY: i8 = 1;

/// Writes in transactions, one at a time. A transaction begins with its first record.
#[derive(Debug)]
pub struct TransactionalProducer {
    id: TransactionalId,
    producer_id: i64,
    producer_epoch: i16,
    sequences: HashMap<(String, i32), i32>,
    in_transaction: HashSet<(String, i32)>,
}

impl TransactionalProducer {
    /// Fences earlier ones of this transactional id.
    pub fn new(client: &mut TestClient, transactional_id: &str) -> Self {
        let id = TransactionalId(string(transactional_id));
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(id.clone()))
            .with_transaction_timeout_ms(60_000);
        let answer = client.persist("initialise a producer id", |client| {
            let coordinator = coordinator(client, &id)?;
            let answer = client.call(&coordinator, 3, &request)?;
            check(answer.error_code, || format!("producer id of {transactional_id}"))?;
            Ok(answer)
        });
        Self {
            id,
            producer_id: answer.producer_id.0,
            producer_epoch: answer.producer_epoch,
            sequences: HashMap::new(),
            in_transaction: HashSet::new(),
        }
    }

    /// Writes one batch in the current transaction.
    pub fn send(&mut self, client: &mut TestClient, topic: &str, partition: i32, records: &[TestRecord]) -> i64 {
        let key = (topic.to_owned(), partition);
        if self.in_transaction.insert(key.clone()) {
            self.add_partition(client, topic, partition);
        }
        let sequence = self.sequences.entry(key).or_default();
        let mut batch = batch(Compression::None, records);
        batch.set_producer(self.producer_id, self.producer_epoch, *sequence);
        batch.set_transactional(true);
        *sequence += records.len() as i32;
        let (bytes, id) = (batch.to_bytes(), self.id.clone());
        client.persist("produce in a transaction", |client| {
            client.try_produce(topic, partition, bytes.clone(), Some(id.clone()))
        })
    }

    /// Ends the transaction: its records count.
    pub fn commit(&mut self, client: &mut TestClient) {
        self.end(client, true);
    }

    /// Ends the transaction: its records do not count.
    pub fn abort(&mut self, client: &mut TestClient) {
        self.end(client, false);
    }

    fn add_partition(&self, client: &mut TestClient, topic: &str, partition: i32) {
        let added = AddPartitionsToTxnTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.id.clone())
            .with_v3_and_below_producer_id(self.producer_id.into())
            .with_v3_and_below_producer_epoch(self.producer_epoch)
            .with_v3_and_below_topics(vec![added]);
        client.persist("add a partition to a transaction", |client| {
            let coordinator = coordinator(client, &self.id)?;
            let answer = client.call(&coordinator, 2, &request)?;
            let mut results = answer
                .results_by_topic_v3_and_below
                .iter()
                .flat_map(|t| &t.results_by_partition);
            results.try_for_each(|r| check(r.partition_error_code, || format!("add {topic}-{partition}")))
        });
    }

    fn end(&mut self, client: &mut TestClient, committed: bool) {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(self.producer_id.into())
            .with_producer_epoch(self.producer_epoch)
            .with_committed(committed);
        client.persist("end a transaction", |client| {
            let coordinator = coordinator(client, &self.id)?;
            let answer = client.call(&coordinator, 2, &request)?;
            check(answer.error_code, || format!("end a transaction of {}", self.id.0))
        });
        self.in_transaction.clear();
    }
}

fn coordinator(client: &mut TestClient, id: &TransactionalId) -> Result<String, Error> {
    let request = FindCoordinatorRequest::default()
        .with_key(id.0.clone())
        .with_key_type(TRANSACTION_KEY);
    let answer = client.call_any(3, &request)?;
    check(answer.error_code, || format!("coordinator of {}", id.0))?;
    Ok(format!("{}:{}", answer.host, answer.port))
}
