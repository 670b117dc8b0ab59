use std::{
    sync::mpsc as std_mpsc,
    thread::{self, JoinHandle},
};

use kafka_embedded::Cluster;
use tokio::{runtime, sync::mpsc};

use crate::real_kafka::free_ports;

/// The embedded Kafka on a thread and a runtime of its own, so that a blocking scenario can use it over TCP.
#[derive(Debug)]
pub struct EmbeddedKafka {
    bootstrap_servers: String,
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// Scenarios give one order at a time and wait until it is done.
const ORDERS: usize = 1;

#[derive(Debug)]
struct Order {
    what: What,
    done: std_mpsc::SyncSender<()>,
}

#[derive(Debug)]
enum What {
    Stop(i32),
    Start(i32),
    Compact(String, i32),
}

impl EmbeddedKafka {
    /// This many nodes on free ports.
    pub fn start(nodes: usize) -> Self {
        let (orders, received) = mpsc::channel(ORDERS);
        let (ready, started) = std_mpsc::sync_channel(1);
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be built");
            runtime.block_on(serve(nodes, ready, received));
        });
        let bootstrap_servers = started.recv().expect("the embedded Kafka starts");
        Self {
            bootstrap_servers,
            orders: Some(orders),
            thread: Some(thread),
        }
    }

    /// `host:port` of every node, joined with commas.
    pub fn bootstrap_servers(&self) -> String {
        self.bootstrap_servers.clone()
    }

    /// Stops a node (0 is the first); what it stored stays.
    pub fn stop_node(&mut self, node: usize) {
        self.order(What::Stop(kafka_id(node)));
    }

    /// Starts it again on its port.
    pub fn start_node(&mut self, node: usize) {
        self.order(What::Start(kafka_id(node)));
    }

    /// Compacts a partition now; a real Kafka's cleaner does it in its own time.
    pub fn compact(&mut self, topic: &str, partition: i32) {
        self.order(What::Compact(topic.to_owned(), partition));
    }

    fn order(&self, what: What) {
        let (done, finished) = std_mpsc::sync_channel(1);
        let orders = self.orders.as_ref().expect("it takes orders until it is dropped");
        orders
            .blocking_send(Order { what, done })
            .expect("the embedded Kafka is alive");
        finished.recv().expect("the embedded Kafka does what it is told");
    }
}

impl Drop for EmbeddedKafka {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the embedded Kafka panicked");
        }
    }
}

async fn serve(nodes: usize, ready: std_mpsc::SyncSender<String>, mut orders: mpsc::Receiver<Order>) {
    // As RealKafka: a port that stays free while the node is stopped, topics only on request, nothing goes with age.
    let builder = Cluster::builder()
        .nodes(nodes as i32)
        .port(free_ports(nodes))
        .auto_create_topics(false)
        .config("log.retention.ms", "-1");
    let cluster = builder.start().await.expect("the embedded Kafka starts");
    ready.send(cluster.bootstrap_servers()).expect("its maker waits");
    while let Some(order) = orders.recv().await {
        let result = match order.what {
            What::Stop(id) => cluster.stop_node(id).await,
            What::Start(id) => cluster.start_node(id).await,
            What::Compact(topic, partition) => cluster.compact(&topic, partition),
        };
        result.expect("scenarios ask for what can be done");
        // Nobody waits any more if the scenario failed meanwhile.
        let _ = order.done.send(());
    }
}

fn kafka_id(node: usize) -> i32 {
    node as i32 + 1
}
