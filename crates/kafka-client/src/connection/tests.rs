//! A connection against a scripted broker over an in-memory stream, in simulated time.

mod login;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, FetchRequest, HeartbeatRequest, MetadataRequest, MetadataResponse,
    api_versions_response::ApiVersion,
};
use kafka_protocol::protocol::Encodable;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(30);

/// The broker's end of the stream, without any timing of its own.
struct Peer {
    stream: DuplexStream,
}

struct Received {
    api_key: i16,
    version: i16,
    correlation_id: i32,
    size: usize,
}

impl Peer {
    async fn receive(&mut self) -> Received {
        let size = self.stream.read_i32().await.expect("a request") as usize;
        let mut frame = vec![0; size];
        self.stream.read_exact(&mut frame).await.expect("a whole request");
        let mut frame = Bytes::from(frame);
        Received {
            api_key: frame.get_i16(),
            version: frame.get_i16(),
            correlation_id: frame.get_i32(),
            size,
        }
    }

    async fn send(&mut self, correlation_id: i32, body: &[u8]) {
        let mut frame = BytesMut::new();
        frame.put_i32(4 + body.len() as i32);
        frame.put_i32(correlation_id);
        frame.put_slice(body);
        self.stream.write_all(&frame).await.expect("the client reads");
    }

    async fn answer_api_versions(&mut self) {
        let request = self.receive().await;
        assert_eq!(request.api_key, ApiKey::ApiVersions as i16);
        self.send(request.correlation_id, &api_versions(request.version)).await;
    }
}

fn api_versions(version: i16) -> Bytes {
    let api = |(key, max)| {
        ApiVersion::default()
            .with_api_key(key)
            .with_min_version(0)
            .with_max_version(max)
    };
    let keys = [(0, 9), (1, 11), (3, 8), (17, 1), (18, 2), (36, 2)].map(api).to_vec();
    let mut body = BytesMut::new();
    ApiVersionsResponse::default()
        .with_api_keys(keys)
        .encode(&mut body, version)
        .expect("it is valid");
    body.freeze()
}

fn options() -> ConnectionOptions {
    ConnectionOptions {
        client_id: "test".into(),
        max_frame_bytes: 64 * 1024 * 1024,
        ..Default::default()
    }
}

async fn connect_with(options: ConnectionOptions) -> (Connection, Peer) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let mut peer = Peer { stream: theirs };
    let (connection, ()) = tokio::join!(
        Connection::open(Stream::from_io(ours), "kafka:9092".into(), &options),
        peer.answer_api_versions()
    );
    (connection.expect("the handshake succeeds"), peer)
}

async fn connect() -> (Connection, Peer) {
    connect_with(options()).await
}

/// Opens a connection to a peer that does as `script` says.
async fn open_against<F: Future>(script: impl FnOnce(Peer) -> F) -> Result<Connection, Error> {
    let (ours, theirs) = tokio::io::duplex(1024);
    let options = options();
    let open = Connection::open(Stream::from_io(ours), "kafka:9092".into(), &options);
    tokio::join!(open, script(Peer { stream: theirs })).0
}

fn frame(body: &'static [u8]) -> RequestFrame {
    // Heartbeat 0 and its answer have no flexible header.
    let body = vec![Bytes::from_static(body)];
    RequestFrame {
        api_key: ApiKey::Heartbeat,
        version: 0,
        body,
        timeout: TIMEOUT,
        expects_reply: true,
    }
}

/// What is logged while it lives.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    fn matches(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(text).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_owes_an_answer_is_named_long_before_it_is_given_up() {
    let log = Log::default();
    let _guard = log.capture();
    let (connection, mut peer) = connect().await;
    let (first, second) = (connection.submit(frame(b"ask")), connection.submit(frame(b"ask")));
    let ids = [peer.receive().await.correlation_id, peer.receive().await.correlation_id];
    tokio::time::sleep(TIMEOUT / 3 - Duration::from_millis(10)).await;
    assert_eq!(log.matches("owes an answer"), 0, "it may take a while");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(log.matches("WARN"), 1);
    assert_eq!(log.matches("broker=kafka:9092 request=Heartbeat waiting_for=10"), 1);
    tokio::time::sleep(TIMEOUT / 3).await;
    assert_eq!(log.matches("owes an answer"), 1, "once");
    for id in ids {
        peer.send(id, b"late").await;
    }
    assert_eq!(first.await.expect("an answer"), "late");
    assert_eq!(second.await.expect("an answer"), "late");
    assert_eq!(log.matches("answers again"), 1);

    // A request that may wait at the broker is late only after that; one that waits for others never.
    let mut fetch = frame(b"ask");
    fetch.timeout = TIMEOUT + Duration::from_secs(5);
    let mut join = frame(b"ask");
    join.api_key = ApiKey::JoinGroup;
    let _replies = (connection.submit(join), connection.submit(fetch));
    tokio::time::sleep(TIMEOUT / 3 + Duration::from_secs(4)).await;
    assert_eq!(log.matches("owes an answer"), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(log.matches("request=Heartbeat waiting_for=15"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_hangs_again_and_again_is_named_by_whoever_connects() {
    let log = Log::default();
    let _guard = log.capture();
    let hung = open_against(|mut peer| async move {
        peer.receive().await;
        tokio::time::sleep(TIMEOUT * 2).await;
    });
    assert!(matches!(hung.await, Err(Error::RequestTimeout { .. })));
    assert_eq!(log.matches("owes an answer"), 0);
}

#[tokio::test(start_paused = true)]
async fn requests_are_pipelined_and_answers_find_theirs() {
    let (connection, mut peer) = connect().await;
    let replies: Vec<Reply> = (0..5).map(|_| connection.submit(frame(b"ask"))).collect();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let request = peer.receive().await; // nothing has been answered yet
        assert_eq!(
            (request.api_key, request.version, request.size),
            (12, 0, 2 + 2 + 4 + 2 + 4 + 3)
        );
        ids.push(request.correlation_id);
    }
    assert_eq!(connection.in_flight(), 5);
    for id in ids {
        peer.send(id, format!("answer {id}").as_bytes()).await;
    }
    for (index, reply) in replies.into_iter().enumerate() {
        assert_eq!(reply.await.expect("an answer"), format!("answer {}", index + 1));
    }
    let traffic = connection.traffic();
    assert_eq!((traffic.requests, traffic.responses), (6, 6));
    assert_eq!(connection.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_reply_leaves_the_others_in_step() {
    let (connection, mut peer) = connect().await;
    drop(connection.submit(frame(b"one")));
    let second = connection.submit(frame(b"two"));
    for _ in 0..2 {
        let request = peer.receive().await;
        peer.send(request.correlation_id, &request.correlation_id.to_be_bytes())
            .await;
    }
    assert_eq!(second.await.expect("an answer").as_ref(), 2i32.to_be_bytes());
}

#[tokio::test(start_paused = true)]
async fn an_overdue_request_poisons_the_connection_for_all() {
    let (connection, mut peer) = connect().await;
    let slow = connection.submit(RequestFrame {
        timeout: Duration::from_secs(600),
        ..frame(b"slow")
    });
    let quick = connection.submit(RequestFrame {
        timeout: Duration::from_secs(5),
        ..frame(b"quick")
    });
    let started = Instant::now();
    for reply in [slow, quick] {
        let error = reply.await.expect_err("nobody answers");
        assert!(
            matches!(error, Error::RequestTimeout { api: ApiKey::Heartbeat, timeout, .. } if timeout.as_secs() == 5)
        );
    }
    assert!((5..6).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    assert!(connection.is_closed());
    let late = connection.submit(frame(b"late")).await;
    assert!(matches!(late, Err(Error::RequestTimeout { .. })));
    peer.receive().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_given_up() {
    let (connection, peer) = connect().await;
    let body = vec![Bytes::from(vec![0; 1024 * 1024])]; // more than the stream takes
    let reply = connection.submit(RequestFrame { body, ..frame(b"") });
    assert!(matches!(reply.await, Err(Error::RequestTimeout { .. })));
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hangs_up_fails_every_waiter() {
    let (connection, mut peer) = connect().await;
    let replies = [connection.submit(frame(b"one")), connection.submit(frame(b"two"))];
    peer.receive().await;
    peer.stream.write_all(&[0, 0, 0, 20, 0, 0]).await.expect("it fits"); // a frame cut short
    drop(peer);
    for reply in replies {
        let error = reply.await.expect_err("it is gone");
        assert!(matches!(error, Error::Disconnected { .. }), "{error:?}");
        assert_eq!(
            error.chain(),
            "connection to kafka:9092 was lost: the peer hung up after ApiVersions; its listener may expect another security.protocol"
        );
    }
    assert!(matches!(connection.closed().await, Error::Disconnected { .. }));
}

#[tokio::test(start_paused = true)]
async fn an_answer_out_of_order_poisons() {
    let (connection, mut peer) = connect().await;
    let reply = connection.submit(frame(b"ask"));
    let request = peer.receive().await;
    peer.send(request.correlation_id + 1, b"?").await;
    assert!(matches!(
        reply.await,
        Err(Error::Correlation {
            got: 2,
            expected: Some(1),
            ..
        })
    ));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_nothing_poisons() {
    let (connection, mut peer) = connect().await;
    peer.send(7, b"?").await;
    assert!(matches!(
        connection.closed().await,
        Error::Correlation {
            got: 7,
            expected: None,
            ..
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_hostile_length_poisons() {
    let (connection, mut peer) = connect().await;
    let reply = connection.submit(frame(b"ask"));
    peer.stream.write_all(&i32::MAX.to_be_bytes()).await.expect("it fits");
    assert!(matches!(reply.await, Err(Error::FrameTooLarge { size: i32::MAX, .. })));
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_is_one_buffer() {
    let (connection, mut peer) = connect().await;
    let reply = connection.submit(frame(b"ask"));
    let request = peer.receive().await;
    let body: Vec<u8> = (0..5_000_000).map(|n: u32| n as u8).collect();
    let (answer, ()) = tokio::join!(reply, peer.send(request.correlation_id, &body));
    assert_eq!(answer.expect("an answer"), body);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_the_tasks() {
    let (connection, mut peer) = connect().await;
    let reply = connection.submit(frame(b"ask"));
    drop(connection);
    assert!(matches!(reply.await, Err(Error::Closed { .. })));
    let mut rest = Vec::new();
    peer.stream.read_to_end(&mut rest).await.expect("the stream ends");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let (connection, mut peer) = connect_with(ConnectionOptions {
        max_idle: Some(Duration::from_secs(60)),
        ..options()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    let reply = connection.submit(frame(b"ask"));
    let request = peer.receive().await;
    peer.send(request.correlation_id, b"").await;
    reply.await.expect("it is still open");
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(!connection.is_closed(), "it was used 50 s ago");
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(connection.is_closed());
    assert!(matches!(
        connection.submit(frame(b"ask")).await,
        Err(Error::Closed { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_client_holds_back_later_requests() {
    let (connection, mut peer) = connect().await;
    let version = 8;
    let reply = connection.call(version, MetadataRequest::default(), TIMEOUT);
    let script = async {
        let request = peer.receive().await;
        let mut body = BytesMut::new();
        let response = MetadataResponse::default().with_throttle_time_ms(2000);
        response.encode(&mut body, version).expect("it is valid");
        peer.send(request.correlation_id, &body).await;
    };
    let (answer, ()) = tokio::join!(reply, script);
    assert_eq!(
        answer.expect("the answer itself is not held back").throttle_time_ms,
        2000
    );
    let started = Instant::now();
    let _reply = connection.submit(frame(b"ask"));
    peer.receive().await;
    assert_eq!(started.elapsed().as_secs(), 2);
    assert_eq!(connection.traffic().throttled_ms, 2000);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_is_done_when_written() {
    let (connection, mut peer) = connect().await;
    let reply = connection.submit(RequestFrame {
        expects_reply: false,
        ..frame(b"acks=0")
    });
    assert!(reply.await.expect("it was written").is_empty());
    peer.receive().await;
    let next = connection.submit(frame(b"ask"));
    let request = peer.receive().await;
    peer.send(request.correlation_id, b"yes").await;
    assert_eq!(next.await.expect("an answer"), "yes");
}

#[tokio::test(start_paused = true)]
async fn segments_go_out_in_order_over_partial_writes() {
    let (ours, theirs) = tokio::io::duplex(7); // every write is partial
    let mut peer = Peer { stream: theirs };
    let options = options();
    let (connection, ()) = tokio::join!(
        Connection::open(Stream::from_io(ours), "kafka:9092".into(), &options),
        peer.answer_api_versions()
    );
    let connection = connection.expect("the handshake succeeds");
    let body: Vec<Bytes> = (0..200u8).map(|n| Bytes::from(vec![n; usize::from(n) % 5])).collect();
    let expected: Vec<u8> = body.concat();
    let _reply = connection.submit(RequestFrame { body, ..frame(b"") });
    let size = peer.stream.read_i32().await.expect("a request") as usize;
    let mut frame = vec![0; size];
    peer.stream.read_exact(&mut frame).await.expect("a whole request");
    assert_eq!(frame[2 + 2 + 4 + 2 + 4..], expected);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_an_error_and_not_a_wait() {
    let (connection, _peer) = connect().await;
    let body = vec![Bytes::from(vec![0; 1024 * 1024])];
    let _stuck = connection.submit(RequestFrame { body, ..frame(b"") });
    tokio::task::yield_now().await; // the writer takes it and blocks
    let replies: Vec<Reply> = (0..QUEUE_CAPACITY + 1)
        .map(|_| connection.submit(frame(b"ask")))
        .collect();
    let last = replies.into_iter().next_back().expect("there are many");
    assert!(matches!(last.await, Err(Error::QueueFull { .. })));
}

#[tokio::test(start_paused = true)]
async fn the_version_is_the_highest_that_both_speak() {
    let (connection, _peer) = connect().await;
    assert_eq!(connection.version::<MetadataRequest>().expect("shared"), 8);
    assert_eq!(connection.version::<FetchRequest>().expect("shared"), 11);
    assert_eq!(connection.version_up_to::<FetchRequest>(7).expect("shared"), 7);
    let error = connection.version::<HeartbeatRequest>().expect_err("not offered");
    assert!(
        matches!(&error, Error::UnsupportedVersion { api: ApiKey::Heartbeat, offered, .. } if &**offered == "none")
    );
}

#[tokio::test(start_paused = true)]
async fn an_older_broker_is_asked_again_in_its_own_version() {
    let connection = open_against(|mut peer| async move {
        let first = peer.receive().await;
        assert_eq!(first.version, api_versions::HIGHEST);
        let mut body = BytesMut::new();
        let api = ApiVersion::default()
            .with_api_key(18)
            .with_min_version(0)
            .with_max_version(2);
        let answer = ApiVersionsResponse::default()
            .with_error_code(35)
            .with_api_keys(vec![api]);
        answer.encode(&mut body, 0).expect("it is valid");
        peer.send(first.correlation_id, &body).await;
        let second = peer.receive().await;
        assert_eq!(second.version, 2);
        peer.send(second.correlation_id, &api_versions(2)).await;
        peer
    })
    .await;
    assert_eq!(
        connection
            .expect("it succeeds")
            .version::<MetadataRequest>()
            .expect("shared"),
        8
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_no_kafka_is_named_as_what_it_is() {
    for (answer, word) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "it speaks HTTP"),
        (&[0x15, 3, 3, 0, 2, 2, 0x50][..], "it expects TLS"),
        (&b"\r\nlogin: "[..], "check host and port"),
        (&[0, 0, 0, 6, 0, 0, 0, 0, 0, 0][..], "check host and port"),
    ] {
        let error = open_against(|mut peer| async move {
            peer.receive().await;
            peer.stream.write_all(answer).await.expect("it fits");
            peer
        })
        .await
        .expect_err("it is no Kafka");
        let text = error.to_string();
        assert!(matches!(error, Error::NotKafka { .. }) && text.contains(word), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hangs_up_at_once_may_want_another_protocol() {
    let error = open_against(|mut peer| async move {
        peer.receive().await;
    })
    .await
    .expect_err("it hung up");
    assert!(matches!(error, Error::ClosedInHandshake { .. }), "{error:?}");
    assert!(error.to_string().contains("security.protocol"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_times_out() {
    let started = Instant::now();
    let error = open_against(|mut peer| async move {
        peer.receive().await;
        peer
    })
    .await
    .expect_err("it says nothing");
    assert!(matches!(
        error,
        Error::RequestTimeout {
            api: ApiKey::ApiVersions,
            ..
        }
    ));
    assert_eq!(started.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn connections_are_counted() {
    let metrics = Arc::new(ClientMetrics::default());
    let (connection, peer) = connect_with(ConnectionOptions {
        metrics: metrics.clone(),
        ..options()
    })
    .await;
    assert_eq!((metrics.connections_opened(), metrics.connections_open()), (1, 1));
    drop(peer);
    connection.closed().await;
    assert_eq!((metrics.connections_opened(), metrics.connections_open()), (1, 0));
    assert_eq!(metrics.traffic.snapshot().responses, 1);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_a_peer_sends_every_waiter_hears_of_an_end(
        answers in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40), 0..4),
        wild in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let (connection, mut peer) = connect().await;
            // Metadata 9 has a flexible header, whose tagged fields are the peer's to choose.
            let ask = || RequestFrame { api_key: ApiKey::Metadata, version: 9, ..frame(b"ask") };
            let replies: Vec<Reply> = (0..4).map(|_| connection.submit(ask())).collect();
            for (id, answer) in (1..).zip(&answers) {
                peer.send(id, answer).await;
            }
            let _ = peer.stream.write_all(&wild).await;
            for reply in replies {
                let _ = reply.await; // within the request timeout at the latest
            }
        });
    }
}
