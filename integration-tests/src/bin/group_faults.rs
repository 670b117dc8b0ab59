//! A group of three workers, and what befalls one of them while records flow: `kill -9`, SIGSTOP, a cut network.
//!
//! `group_faults [--session-ms N] [--heartbeat-ms N] [--delay-ms N] [--tasks N] [--partitions N] [--rounds N]`. Each kind of
//! fault strikes a follower and then the leader, `--rounds` times. Said is how soon the survivors run everything, how soon
//! records flow in every partition, and how soon the three are whole again after the fault has gone; at the end, what was
//! lost and what is there twice. Fails if the survivors take longer than the session timeout, the delay and one rebalance,
//! which is what an orderly stop takes and a heartbeat's interval, or if anything is lost.
//!
//! Each worker reaches the brokers, and is reached over HTTP, only through relays of its own, which are what is cut.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Command, ExitCode},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use integration_tests::{
    Isolation, Kafka, KafkaDist, Process, RealKafka, Relay, Rest, Stopwatch, TestClient, TestRecord, Topic, free_port,
    heliograph_binary, kafka_dist, pause, report, scratch_dir, wait_until,
};
use kafka_wire::Compression;
use serde_json::{Value, json};

const TOPIC: &str = "struck";
const COPY: &str = "from.struck";
const CONNECTOR: &str = "mirror";
const WORKERS: usize = 3;
const BYTES: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";
/// No fault takes so long to get over.
const LONG: Duration = Duration::from_secs(180);
/// Between two batches into each partition.
const BETWEEN: Duration = Duration::from_millis(25);
const BATCH: u64 = 5;
/// How often workers store their offsets; what they have written since is repeated after a fault.
const OFFSET_FLUSH: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Plan {
    session: Duration,
    heartbeat: Duration,
    delay: Duration,
    tasks: usize,
    partitions: i32,
    rounds: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    Hold,
    Cut,
}

fn main() -> ExitCode {
    let plan = plan(std::env::args().skip(1));
    let Some(dist) = kafka_dist() else {
        return ExitCode::FAILURE;
    };
    let (source, source_relays) = cluster(dist, "source");
    let (target, target_relays) = cluster(dist, "target");
    source.client().create_topic(Topic::new(TOPIC, plan.partitions));
    let mut group: Vec<Worker> = source_relays
        .into_iter()
        .zip(target_relays)
        .enumerate()
        .map(|(number, (source, target))| Worker::new(number, &plan, source, target))
        .collect();
    for worker in &mut group {
        worker.start();
    }
    put_connector(&group[0], &plan);
    wait_until("all three to work", LONG, || whole(&group[0], &group, &plan));
    report(&format!(
        "session timeout {:?}, a heartbeat each {:?}, lost work waits {:?} for its worker; {} tasks, {} partitions",
        plan.session, plan.heartbeat, plan.delay, plan.tasks, plan.partitions
    ));

    let stream = Stream::default();
    // What befell, and how much had been sent when it was over.
    let mut faults = Vec::new();
    let fine = thread::scope(|scope| {
        scope.spawn(|| stream.produce(source.client(), plan.partitions));
        let _stopper = StopWhenDropped(&stream);
        let rebalance = orderly(&mut group, &plan);
        let limit = plan.session + plan.delay + plan.heartbeat + rebalance;
        report(&format!(
            "one rebalance (after an orderly stop): {rebalance:.1?}; the limit is {limit:.1?}"
        ));
        let kinds = [Fault::Kill, Fault::Hold, Fault::Cut];
        let mut within = true;
        for (fault, of_leader) in (0..plan.rounds)
            .flat_map(|_| kinds.map(|fault| [(fault, false), (fault, true)]))
            .flatten()
        {
            let mut target = target.client();
            let (what, took) = strike(&mut group, fault, of_leader, &plan, &stream, &mut target);
            within &= took <= limit;
            faults.push((what, stream.sent.load(Relaxed)));
        }
        within
    });
    faults.push(("the last fault".to_owned(), u64::MAX));
    let nothing_lost = compare(&mut target.client(), &stream, plan.partitions, &faults);
    for worker in &mut group {
        worker.stop();
    }
    if fine && nothing_lost {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// How long a rebalance takes: one worker stops orderly and comes back. The delay is for workers that come back, and is
/// taken off.
fn orderly(group: &mut [Worker], plan: &Plan) -> Duration {
    let victim = WORKERS - 1;
    let watch = Stopwatch::start();
    group[victim].stop();
    let (survivors, _) = group.split_at(victim);
    wait_until("the others to have all", LONG, || {
        runs_all(&survivors[0], survivors, plan)
    });
    let took = watch.elapsed().saturating_sub(plan.delay);
    group[victim].start();
    wait_until("all three to work", LONG, || whole(&group[0], group, plan));
    took
}

/// One fault. Says what it was, and how long it took until the survivors ran everything.
fn strike(
    group: &mut [Worker],
    fault: Fault,
    of_leader: bool,
    plan: &Plan,
    stream: &Stream,
    target: &mut TestClient,
) -> (String, Duration) {
    let leader = wait_until("the group to have a leader", LONG, || leader(group));
    let victim = match of_leader {
        true => leader,
        false => (leader + 1) % WORKERS,
    };
    // The last of the slice, so that the others are a slice of their own.
    group.swap(victim, WORKERS - 1);
    let (survivors, struck) = group.split_at_mut(WORKERS - 1);
    let victim = &mut struck[0];
    // What the fault before left to be stored is not this one's to repeat.
    pause(3 * OFFSET_FLUSH);
    let watch = Stopwatch::start();
    match fault {
        Fault::Kill => victim.kill(),
        Fault::Hold => victim.signal("STOP"),
        Fault::Cut => victim.relays.iter().for_each(Relay::cut),
    }
    wait_until("the survivors to run all", LONG, || {
        runs_all(&survivors[0], survivors, plan)
    });
    let taken_over = watch.elapsed();
    let news = stream.sent.load(Relaxed);
    for partition in 0..plan.partitions {
        wait_until("records to flow", LONG, || {
            (newest(target, partition)? >= news).then_some(())
        });
    }
    let flowing = watch.elapsed();

    let watch = Stopwatch::start();
    match fault {
        Fault::Kill => victim.start(),
        Fault::Hold => victim.signal("CONT"),
        Fault::Cut => victim.relays.iter().for_each(Relay::heal),
    }
    wait_until("all three to work again", LONG, || whole(&group[0], group, plan));
    let again = watch.elapsed();
    let what = match fault {
        Fault::Kill => "kill -9 of",
        Fault::Hold => "SIGSTOP for",
        Fault::Cut => "cut network of",
    };
    let what = format!("{what} {}", if of_leader { "the leader" } else { "a follower" });
    report(&format!(
        "{what}: the survivors run all after {taken_over:.1?}, records flow after {flowing:.1?}; \
         whole {again:.1?} after it is back"
    ));
    (what, taken_over)
}

/// A worker that is reached, and reaches others, through relays only.
struct Worker {
    number: usize,
    plan: Plan,
    source: u16,
    target: u16,
    port: u16,
    /// Where the others find it.
    advertised: u16,
    relays: Vec<Relay>,
    process: Option<Process>,
}

impl Worker {
    fn new(number: usize, plan: &Plan, source: Relay, target: Relay) -> Self {
        let port = free_port();
        let rest = Relay::to(port);
        Self {
            number,
            plan: *plan,
            source: source.port(),
            target: target.port(),
            port,
            advertised: rest.port(),
            relays: vec![source, target, rest],
            process: None,
        }
    }

    fn id(&self) -> String {
        format!("127.0.0.1:{}", self.advertised)
    }

    /// Past its relay: also a worker that is cut off can be asked.
    fn rest(&self) -> Rest {
        Rest::new(&format!("127.0.0.1:{}", self.port))
    }

    fn start(&mut self) {
        let dir = scratch_dir(&format!("group-faults-{}", self.number));
        let file = dir.join("worker.properties");
        fs::write(&file, self.properties()).expect("the scratch directory can be written");
        let mut command = Command::new(heliograph_binary());
        command
            .arg("connect-distributed")
            .arg(&file)
            .env("SOURCE_SERVERS", format!("127.0.0.1:{}", self.source))
            .env("TARGET_SERVERS", format!("127.0.0.1:{}", self.target));
        let name = format!("group-faults-{}-{}", self.number, self.port);
        self.process = Some(Process::spawn(&name, &mut command, Some(&dir)));
        wait_until("the worker to be healthy", LONG, || {
            let health = self.rest().get("/health").ok()?;
            (health.status == 200).then_some(())
        });
    }

    fn properties(&self) -> String {
        let Plan {
            session,
            heartbeat,
            delay,
            ..
        } = self.plan;
        format!(
            "bootstrap.servers=127.0.0.1:{}\n\
             listeners=http://127.0.0.1:{}\n\
             rest.advertised.host.name=127.0.0.1\n\
             rest.advertised.port={}\n\
             group.id=struck\n\
             session.timeout.ms={}\n\
             heartbeat.interval.ms={}\n\
             scheduled.rebalance.max.delay.ms={}\n\
             key.converter={BYTES}\n\
             value.converter={BYTES}\n\
             config.storage.topic=struck-configs\n\
             offset.storage.topic=struck-offsets\n\
             status.storage.topic=struck-status\n\
             config.storage.replication.factor=1\n\
             offset.storage.replication.factor=1\n\
             status.storage.replication.factor=1\n\
             offset.flush.interval.ms={}\n\
             config.providers=env\n\
             config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider\n",
            self.target,
            self.port,
            self.advertised,
            session.as_millis(),
            heartbeat.as_millis(),
            delay.as_millis(),
            OFFSET_FLUSH.as_millis(),
        )
    }

    fn signal(&self, signal: &str) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.signal("TERM");
        process.wait_for_exit(LONG);
    }
}

/// A broker that each worker has a way of its own to.
fn cluster(dist: &'static KafkaDist, side: &str) -> (Kafka, Vec<Relay>) {
    let own: Vec<(u16, Relay)> = (0..WORKERS)
        .map(|_| {
            let port = free_port();
            (port, Relay::to(port))
        })
        .collect();
    let listeners = |port_of: fn(&(u16, Relay)) -> u16| -> String {
        let of_workers = own.iter().enumerate();
        of_workers
            .map(|(number, own)| format!(",W{number}://127.0.0.1:{}", port_of(own)))
            .collect()
    };
    let protocols: String = (0..WORKERS).map(|number| format!(",W{number}:PLAINTEXT")).collect();
    let properties = [
        (
            "listeners",
            format!(
                "PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller}}{}",
                listeners(|own| own.0)
            ),
        ),
        (
            "advertised.listeners",
            format!("PLAINTEXT://127.0.0.1:{{port}}{}", listeners(|own| own.1.port())),
        ),
        (
            "listener.security.protocol.map",
            format!("PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}"),
        ),
    ];
    let properties: Vec<_> = properties.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let kafka = RealKafka::start(dist, &format!("group-faults-{side}"), 1, &properties);
    (Kafka::Real(kafka), own.into_iter().map(|(_, relay)| relay).collect())
}

fn put_connector(worker: &Worker, plan: &Plan) {
    let config = json!({
        "connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector",
        "source.cluster.alias": "from",
        "target.cluster.alias": "to",
        // As each worker reaches them.
        "source.cluster.bootstrap.servers": "${env:SOURCE_SERVERS}",
        "target.cluster.bootstrap.servers": "${env:TARGET_SERVERS}",
        "topics": TOPIC,
        "tasks.max": plan.tasks.to_string(),
        "replication.factor": "1",
        "offset-syncs.topic.replication.factor": "1",
        "sync.topic.acls.enabled": "false",
    });
    let path = format!("/connectors/{CONNECTOR}/config");
    wait_until("the connector to be stored", LONG, || {
        let answer = worker.rest().request("PUT", &path, Some(&config)).ok()?;
        assert!(matches!(answer.status, 201 | 409), "{answer:?}");
        (answer.status == 201).then_some(())
    });
}

/// Who runs what, if all of it is RUNNING.
fn runners(asked: &Worker, plan: &Plan) -> Option<BTreeSet<String>> {
    let status = asked.rest().get(&format!("/connectors/{CONNECTOR}/status")).ok()?.body;
    let tasks = status["tasks"].as_array().filter(|tasks| tasks.len() == plan.tasks)?;
    let running = |part: &Value| {
        let is_running = part["state"] == "RUNNING";
        is_running.then(|| part["worker_id"].as_str().map(str::to_owned))?
    };
    tasks.iter().chain([&status["connector"]]).map(running).collect()
}

/// Whether these workers, and no others, run everything.
fn runs_all(asked: &Worker, workers: &[Worker], plan: &Plan) -> Option<()> {
    let ids: BTreeSet<String> = workers.iter().map(Worker::id).collect();
    runners(asked, plan)?.is_subset(&ids).then_some(())
}

/// Whether each of these workers has its share.
fn whole(asked: &Worker, workers: &[Worker], plan: &Plan) -> Option<()> {
    let ids: BTreeSet<String> = workers.iter().map(Worker::id).collect();
    (runners(asked, plan)? == ids).then_some(())
}

/// The place of the leader, once all say the same.
fn leader(group: &[Worker]) -> Option<usize> {
    let named: Option<BTreeSet<String>> = group.iter().map(named_leader).collect();
    let named = named.filter(|named| named.len() == 1)?.pop_first()?;
    group.iter().position(|worker| named.contains(&worker.id()))
}

fn named_leader(worker: &Worker) -> Option<String> {
    let metrics = worker.rest().get("/metrics").ok()?.body;
    let (_, rest) = metrics.as_str()?.split_once("leader_name=\"")?;
    rest.split_once('"').map(|(leader, _)| leader.to_owned())
}

/// Numbers that are written to every partition, one after another.
#[derive(Default)]
struct Stream {
    sent: AtomicU64,
    stop: AtomicBool,
}

impl Stream {
    fn produce(&self, mut source: TestClient, partitions: i32) {
        while !self.stop.load(Relaxed) {
            let from = self.sent.load(Relaxed);
            let batch: Vec<_> = (from..from + BATCH)
                .map(|n| TestRecord::new("k", n.to_string()))
                .collect();
            for partition in 0..partitions {
                source.produce(TOPIC, partition, Compression::None, &batch);
            }
            self.sent.store(from + BATCH, Relaxed);
            pause(BETWEEN);
        }
    }
}

/// Stops the producer also when something fails: the scope waits for it.
struct StopWhenDropped<'a>(&'a Stream);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Relaxed);
    }
}

/// The newest number in a partition of the copy.
fn newest(target: &mut TestClient, partition: i32) -> Option<u64> {
    target.partition_count(COPY)?;
    let end = target.log_end(COPY, partition, Isolation::ReadUncommitted);
    let last = target.read_some(COPY, partition, (end - 1).max(0)).pop()?;
    number(&last)
}

fn number(record: &TestRecord) -> Option<u64> {
    std::str::from_utf8(record.value.as_deref()?).ok()?.parse().ok()
}

/// Says what is missing in the copy, and what is there twice, by the fault during which it was sent. Answers whether
/// nothing is missing.
fn compare(target: &mut TestClient, stream: &Stream, partitions: i32, faults: &[(String, u64)]) -> bool {
    let sent = stream.sent.load(Relaxed);
    let (mut lost, mut repeated) = (0, vec![0; faults.len()]);
    for partition in 0..partitions {
        wait_until("the copy to have the last record", LONG, || {
            (newest(target, partition)? + 1 >= sent).then_some(())
        });
        let mut times: BTreeMap<u64, u64> = BTreeMap::new();
        for record in target.records(COPY, partition) {
            *times
                .entry(number(&record).expect("only numbers were sent"))
                .or_default() += 1;
        }
        lost += sent - times.len() as u64;
        for (number, times) in times {
            repeated[faults.partition_point(|(_, until)| *until <= number)] += times - 1;
        }
    }
    let all = sent * u64::from(partitions.unsigned_abs());
    report(&format!(
        "{all} records sent, {lost} lost, {} repeated",
        repeated.iter().sum::<u64>()
    ));
    for ((what, _), repeated) in faults.iter().zip(repeated).filter(|(_, repeated)| *repeated > 0) {
        report(&format!("  {what}: {repeated} repeated"));
    }
    lost == 0
}

fn plan(mut args: impl Iterator<Item = String>) -> Plan {
    let mut plan = Plan {
        session: Duration::from_secs(10),
        heartbeat: Duration::from_secs(3),
        delay: Duration::ZERO,
        tasks: 6,
        partitions: 8,
        rounds: 1,
    };
    while let Some(name) = args.next() {
        let value = args.next().and_then(|value| value.parse::<u64>().ok());
        let value = value.unwrap_or_else(|| panic!("{name} needs a number"));
        let millis = Duration::from_millis(value);
        match name.as_str() {
            "--session-ms" => plan.session = millis,
            "--heartbeat-ms" => plan.heartbeat = millis,
            "--delay-ms" => plan.delay = millis,
            "--tasks" => plan.tasks = value as usize,
            "--partitions" => plan.partitions = i32::try_from(value).expect("few partitions"),
            "--rounds" => plan.rounds = value as usize,
            _ => panic!("unknown option {name}; see the top of group_faults.rs"),
        }
    }
    plan
}
