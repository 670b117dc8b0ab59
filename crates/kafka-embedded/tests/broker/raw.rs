//! A client that says exactly what a test wants said: one request, one version, no retries.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_embedded::Cluster;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{FetchRequest, ProduceRequest, RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_wire::{BatchBuilder, BatchIter, Compression, Entry, OutgoingBatch};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

pub(crate) struct RawClient {
    stream: Box<dyn Stream>,
    correlation_id: i32,
}

impl RawClient {
    pub(crate) async fn connect(cluster: &Cluster, node_id: i32) -> Self {
        Self::over(cluster.connect(node_id).await.expect("the node runs"))
    }

    pub(crate) fn over(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            correlation_id: 0,
        }
    }

    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: R) -> R::Response {
        self.send(version, &request).await;
        let (correlation_id, response) = self.receive::<R>(version).await.expect("an answer");
        assert_eq!(correlation_id, self.correlation_id);
        response
    }

    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("raw")));
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        header
            .encode(&mut frame, R::header_version(version))
            .expect("the header encodes");
        request.encode(&mut frame, version).expect("the request encodes");
        self.send_bytes(&frame[4..]).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let length = (bytes.len() as i32).to_be_bytes();
        self.stream.write_all(&length).await.expect("written");
        self.stream.write_all(bytes).await.expect("written");
    }

    /// The next answer, or `None` when the broker hung up.
    pub(crate) async fn receive<R: Request>(&mut self, version: i16) -> Option<(i32, R::Response)> {
        let mut bytes = self.receive_bytes().await?;
        let header = ResponseHeader::decode(&mut bytes, R::Response::header_version(version)).expect("a header");
        let response = R::Response::decode(&mut bytes, version).expect("an answer that decodes");
        assert_eq!(bytes.remaining(), 0, "bytes left over");
        Some((header.correlation_id, response))
    }

    pub(crate) async fn receive_bytes(&mut self) -> Option<Bytes> {
        let length = self.stream.read_i32().await.ok()?;
        let mut frame = vec![0; length as usize];
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(frame.into())
    }

    pub(crate) async fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: &OutgoingBatch,
    ) -> PartitionProduceResponse {
        self.produce_as(9, None, topic, partition, batch.to_bytes()).await
    }

    pub(crate) async fn produce_as(
        &mut self,
        version: i16,
        transactional_id: Option<&str>,
        topic: &str,
        partition: i32,
        records: Bytes,
    ) -> PartitionProduceResponse {
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(records));
        let topic = TopicProduceData::default()
            .with_name(topic_name(topic))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(transactional_id.map(|id| text(id).into()))
            .with_acks(-1)
            .with_timeout_ms(1000)
            .with_topic_data(vec![topic]);
        let mut response = self.call(version, request).await;
        response.responses.remove(0).partition_responses.remove(0)
    }

    pub(crate) async fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> PartitionData {
        let response = self.call(12, fetch_request(topic, &[(partition, offset)])).await;
        assert_eq!(response.error_code, 0);
        response.responses[0].partitions[0].clone()
    }
}

/// Without a session, at once, as much as there is.
pub(crate) fn fetch_request(topic: &str, partitions: &[(i32, i64)]) -> FetchRequest {
    let partitions = partitions.iter().map(|(partition, offset)| {
        FetchPartition::default()
            .with_partition(*partition)
            .with_fetch_offset(*offset)
            .with_current_leader_epoch(-1)
            .with_partition_max_bytes(1 << 20)
    });
    let topic = FetchTopic::default()
        .with_topic(topic_name(topic))
        .with_partitions(partitions.collect());
    FetchRequest::default()
        .with_max_bytes(50 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// A batch of records without keys.
pub(crate) fn batch(values: &[&str]) -> OutgoingBatch {
    keyed_batch(&values.iter().map(|value| (None, *value)).collect::<Vec<_>>())
}

/// A batch whose records have timestamps 1000, 1001, …
pub(crate) fn keyed_batch(records: &[(Option<&str>, &str)]) -> OutgoingBatch {
    let mut builder = BatchBuilder::new(Compression::None);
    for ((key, value), timestamp) in records.iter().zip(1000..) {
        builder.push(timestamp, key.map(str::as_bytes), Some(value.as_bytes()), []);
    }
    builder.build()
}

/// Offset and value of every record, markers left out.
pub(crate) fn values(records: &Bytes) -> Vec<(i64, String)> {
    let mut values = Vec::new();
    for entry in BatchIter::new(records.clone()) {
        let Entry::Batch(batch) = entry.expect("a batch") else {
            panic!("an old batch")
        };
        batch.verify().expect("the crc is right");
        if batch.is_control() {
            continue;
        }
        for record in &batch.records(1 << 20).expect("records") {
            let record = record.expect("a record");
            values.push((
                record.offset,
                String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned(),
            ));
        }
    }
    values
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
