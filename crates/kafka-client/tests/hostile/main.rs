//! Peers that lie about how much they send, against a client and against the embedded Kafka. The work is done in a child
//! with little address space: a reservation by the word of a peer ends it, as it would end the product.
#![cfg(target_os = "linux")]

use std::process::{Command, ExitStatus};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_client::connection::ConnectionOptions;
use kafka_client::dial::Stream;
use kafka_client::{Connection, Error};
use kafka_embedded::Cluster;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Message as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinSet;

/// Says to a test that it is the child, and what to do.
const ROLE: &str = "HOSTILE_ROLE";
const ADDRESS_SPACE_KIB: u64 = 2 << 20;
/// All the lies together, one after the other, on top of what the honest part of the test took.
const MAX_GROWTH_KIB: u64 = 64 << 10;
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_broker_that_lies_does_not_end_a_client() {
    in_child(
        "a_broker_that_lies_does_not_end_a_client",
        "client",
        |role| match role {
            "client" => measured(lie_to_a_client()),
            // The measure itself: without the check the same bytes do end a process.
            _ => drop(MetadataResponse::decode(&mut lies(8).remove(0), 1)),
        },
    );
}

#[test]
fn a_client_that_lies_does_not_end_the_embedded_kafka() {
    in_child("a_client_that_lies_does_not_end_the_embedded_kafka", "embedded", |_| {
        measured(lie_to_an_embedded_kafka());
    });
}

/// Runs a test again in a process of its own, whose role it then has.
fn in_child(test: &str, role: &str, work: impl FnOnce(&str)) {
    if let Ok(role) = std::env::var(ROLE) {
        return work(&role);
    }
    assert!(run(test, role).success(), "the child fell for a lie");
    if role == "client" {
        assert!(!run(test, "unchecked").success(), "the lie is none");
    }
}

fn run(test: &str, role: &str) -> ExitStatus {
    let binary = std::env::current_exe().expect("a path");
    Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -c 0; ulimit -v {ADDRESS_SPACE_KIB}; exec \"$0\" \"$@\""),
        ])
        .arg(binary)
        .args(["--exact", test, "--test-threads=1"])
        .env(ROLE, role)
        .status()
        .expect("a shell")
}

/// Runs to the end, and holds the growth of the address space against the limit.
fn measured(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(LONG, work).await.expect("nothing hangs");
    });
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("linux has it");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmPeak:"))
        .expect("linux reports it");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

/// Bodies with a huge number behind so many zeros, in both of Kafka's notations.
fn lies(at: usize) -> Vec<Bytes> {
    let huge: [&[u8]; 4] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0x00, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff, 0x07],
        &[0xff, 0xff, 0xff, 0x07],
    ];
    let lie = |huge: &&[u8]| [&[0; 80][..at], huge, &[0; 100]].concat().into();
    huge.iter().map(lie).collect()
}

const LIE_POSITIONS: std::ops::Range<usize> = 0..60;

macro_rules! calls {
    ($counts:expr, $($request:ident)*) => {
        $(for version in <$request>::VERSIONS.min..=<$request>::VERSIONS.max {
            for at in LIE_POSITIONS {
                for lie in lies(at) {
                    // A connection each, or one lie would be about how long the next request is to be held back.
                    let (connection, _broker) = connect(lie).await;
                    match connection.call(version, $request::default(), LONG).await {
                        Err(Error::Malformed { .. }) => $counts.0 += 1,
                        Err(Error::Encode { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                        Ok(_) => $counts.1 += 1,
                    }
                }
            }
        })*
    };
}

async fn lie_to_a_client() {
    drop(connect(Bytes::new()).await);
    let before = peak_kib();
    let mut counts = (0, 0);
    calls!(counts,
        MetadataRequest ProduceRequest FetchRequest ListOffsetsRequest OffsetCommitRequest OffsetFetchRequest
        FindCoordinatorRequest JoinGroupRequest SyncGroupRequest LeaveGroupRequest DescribeGroupsRequest ListGroupsRequest
        CreateTopicsRequest DeleteTopicsRequest DeleteRecordsRequest OffsetForLeaderEpochRequest DescribeAclsRequest
        CreateAclsRequest DeleteAclsRequest DescribeConfigsRequest AlterConfigsRequest CreatePartitionsRequest
        DeleteGroupsRequest IncrementalAlterConfigsRequest OffsetDeleteRequest DescribeClusterRequest
        DescribeTopicPartitionsRequest ConsumerGroupDescribeRequest TxnOffsetCommitRequest
    );
    let grown = peak_kib() - before;
    assert!(grown < MAX_GROWTH_KIB, "the client grew by {grown} KiB");
    // Where a huge number is one, or stands behind all that is read, the answer is taken.
    assert!(counts.0 > 10_000, "refused and taken: {counts:?}");
}

/// A connection to a broker that answers ApiVersions, then lies; the broker ends with the set.
async fn connect(lie: Bytes) -> (Connection, JoinSet<()>) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let mut broker = JoinSet::new();
    broker.spawn(liar(theirs, lie));
    let options = ConnectionOptions::default();
    let opened = Connection::open(Stream::from_io(ours), "liar".into(), &options);
    (opened.await.expect("the handshake is honest"), broker)
}

async fn liar(mut stream: DuplexStream, lie: Bytes) {
    while let Some(mut request) = receive(&mut stream).await {
        let (key, version, correlation_id) = (request.get_i16(), request.get_i16(), request.get_i32());
        let api = ApiKey::try_from(key).expect("a key of the protocol");
        let mut answer = BytesMut::new();
        answer.put_i32(correlation_id);
        if api.response_header_version(version) == 1 {
            answer.put_u8(0);
        }
        match api {
            ApiKey::ApiVersions => api_versions().encode(&mut answer, version).expect("it is plain"),
            _ => answer.extend_from_slice(&lie),
        }
        send(&mut stream, &answer).await;
    }
}

fn api_versions() -> ApiVersionsResponse {
    let api = |key| {
        let versions = ApiKey::try_from(key).ok()?.valid_versions();
        Some(
            ApiVersion::default()
                .with_api_key(key)
                .with_min_version(versions.min)
                .with_max_version(versions.max),
        )
    };
    ApiVersionsResponse::default().with_api_keys((0..90).filter_map(api).collect())
}

async fn lie_to_an_embedded_kafka() {
    let cluster = Cluster::builder().start().await.expect("a cluster");
    let offered = offered(&cluster).await;
    assert!(offered.len() > 30, "it offers {}", offered.len());
    let before = peak_kib();
    for api in &offered {
        let key = ApiKey::try_from(api.api_key).expect("a key of the protocol");
        for version in api.min_version..=api.max_version {
            for at in LIE_POSITIONS {
                for lie in lies(at) {
                    lie_once(&cluster, key, version, &lie).await;
                }
            }
        }
    }
    let grown = peak_kib() - before;
    assert!(grown < MAX_GROWTH_KIB, "the cluster grew by {grown} KiB");
    assert_eq!(self::offered(&cluster).await.len(), offered.len(), "it still serves");
    cluster.shutdown().await;
}

/// Sends one frame and waits until it is answered or the connection is closed, unless it may rightly be waiting.
async fn lie_once(cluster: &Cluster, api: ApiKey, version: i16, body: &[u8]) {
    let mut stream = cluster.connect(1).await.expect("the node runs");
    send(&mut stream, &request(api, version, body)).await;
    stream.shutdown().await.expect("in memory");
    let waits = matches!(api, ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup);
    let patience = if waits { Duration::from_millis(1) } else { LONG };
    let answered = tokio::time::timeout(patience, receive(&mut stream)).await;
    assert!(waits || answered.is_ok(), "{api:?} version {version} hangs");
}

async fn offered(cluster: &Cluster) -> Vec<ApiVersion> {
    let mut stream = cluster.connect(1).await.expect("the node runs");
    let mut body = BytesMut::new();
    let version = ApiVersionsRequest::VERSIONS.min;
    ApiVersionsRequest::default()
        .encode(&mut body, version)
        .expect("it is empty");
    send(&mut stream, &request(ApiKey::ApiVersions, version, &body)).await;
    let mut answer = receive(&mut stream).await.expect("an answer");
    answer.advance(4);
    ApiVersionsResponse::decode(&mut answer, version)
        .expect("it is honest")
        .api_keys
}

fn request(api: ApiKey, version: i16, body: &[u8]) -> BytesMut {
    let mut frame = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(api as i16)
        .with_request_api_version(version);
    header
        .encode(&mut frame, api.request_header_version(version))
        .expect("it is plain");
    frame.extend_from_slice(body);
    frame
}

async fn send(stream: &mut DuplexStream, frame: &[u8]) {
    let length = (frame.len() as i32).to_be_bytes();
    // The peer may have hung up on an earlier lie.
    let _ = stream.write_all(&[&length, frame].concat()).await;
}

async fn receive(stream: &mut DuplexStream) -> Option<Bytes> {
    let length = stream.read_i32().await.ok()?;
    let mut frame = vec![0; usize::try_from(length).expect("a length of ours")];
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame.into())
}
