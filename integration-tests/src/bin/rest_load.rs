//! A worker with hundreds of connectors, asked by dozens of clients while a backlog drains; then a second worker joins.
//!
//! `rest_load [--connectors N] [--tasks N] [--clients N] [--seconds N] [--between-ms N] [--backlog-mb N] [--warm-up-seconds N]
//! [--limit-mb N] [--full-speed] [--embedded] [--java]`.
//! Half of the connectors are MirrorHeartbeat with their one task; the others are MirrorSource over one topic with as many
//! partitions as make up the number of tasks, each under an alias of its own. The backlog is a topic that one more
//! MirrorSource drains, for as long as the warm-up says before anybody asks: brokers that have just started compile;
//! and at so many megabytes a second, if there is a limit, or without giving way (`--full-speed`). `--java` asks Java's
//! workers instead, for which a few dozen tasks are many here: each has threads and clients of its own.
//!
//! In turn with the worker the clients ask [a server that does nothing](control): what that takes is no doing of the worker's.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use integration_tests::{
    ConnectWorker, Deadline, Isolation, Pair, Process, Rest, Stopwatch, TestClient, TestRecord, Topic, WorkerGroup,
    kafka_dist, pause, report, wait_until,
};
use kafka_wire::Compression;
use serde_json::{Value, json};

const TOPIC: &str = "many";
const BACKLOG: &str = "backlog";
const COPY: &str = "drained.backlog";
const BACKLOG_PARTITIONS: i32 = 4;
const DRAINER: &str = "drainer";
const PACKAGE: &str = "org.apache.kafka.connect.mirror";
const BYTES: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";
const RECORD_BYTES: usize = 1_000;
const RECORDS_PER_BATCH: usize = 500;
/// Creating so many tasks on a machine with two cores.
const LONG: Duration = Duration::from_secs(300);
/// What the clients ask, in turn; `{}` is a connector.
const PATHS: &[&str] = &[
    "/connectors",
    "/connectors/{}/status",
    "/connectors?expand=status&expand=info",
    "/connectors/{}/tasks",
    "/connectors/{}/offsets",
    "/connectors/{}",
    "/connectors/{}/tasks/0/status",
];

/// Who asks for this on the command line is the control.
const CONTROL: &str = "--control";

#[derive(Clone, Copy)]
struct Plan {
    connectors: usize,
    tasks: usize,
    clients: usize,
    length: Duration,
    between: Duration,
    backlog_mb: usize,
    warm_up: Duration,
    limit_mb: Option<usize>,
    embedded: bool,
    java: bool,
    full_speed: bool,
}

fn main() -> ExitCode {
    if env::args().any(|arg| arg == CONTROL) {
        return control();
    }
    let plan = plan(env::args().skip(1));
    let pair = if plan.embedded {
        Pair::embedded(1)
    } else {
        let Some(dist) = kafka_dist() else {
            return ExitCode::FAILURE;
        };
        Pair::real(dist, "rest-load-", 1, &[])
    };
    let partitions = i32::try_from(tasks_per_source(&plan)).expect("few partitions");
    let mut client = pair.source.client();
    client.create_topics(&[Topic::new(TOPIC, partitions), Topic::new(BACKLOG, BACKLOG_PARTITIONS)]);
    fill(&mut client, plan.backlog_mb);

    let mut group = WorkerGroup::new(&pair.target.bootstrap_servers(), "rest-load");
    if plan.full_speed {
        group = group.set("heliograph.rest.priority.enabled", "false");
    }
    let mut worker = start(&plan, "rest-load-first", &group);
    worker.wait_until_ready();
    let tasks = create(&plan, &pair, &worker);
    rest(&worker);
    ask(&plan, &worker, "without a backlog");
    drain(&plan, &pair, &worker);
    rebalance(&plan, &group, &worker, tasks);
    worker.stop();
    ExitCode::SUCCESS
}

fn start(plan: &Plan, name: &str, group: &WorkerGroup) -> ConnectWorker {
    if !plan.java {
        return ConnectWorker::heliograph(name, group);
    }
    let dist = kafka_dist().expect("Java's worker needs a real Kafka");
    ConnectWorker::java_as_shipped(dist, name, group)
}

/// Creates all connectors, and gives how many tasks they have.
fn create(plan: &Plan, pair: &Pair, worker: &ConnectWorker) -> usize {
    let (source, target) = (pair.source.bootstrap_servers(), pair.target.bootstrap_servers());
    let (before, made) = (worker.memory_bytes(), Stopwatch::start());
    let heartbeats = plan.connectors / 2;
    let per_source = tasks_per_source(plan).to_string();
    for number in 0..plan.connectors {
        let alias = format!("s{number}");
        let (class, more): (_, &[_]) = match number < heartbeats {
            true => ("MirrorHeartbeatConnector", &[]),
            false => (
                "MirrorSourceConnector",
                &[("topics", TOPIC), ("tasks.max", &per_source)],
            ),
        };
        put(worker, &name(number), &mirror(class, &alias, &source, &target, more));
    }
    let tasks = heartbeats + (plan.connectors - heartbeats) * tasks_per_source(plan);
    let workers = [worker.id().to_owned()];
    wait_until("all to run", LONG, || all_running(&worker.rest(), tasks, &workers));
    report(&format!(
        "{} connectors with {tasks} tasks run {:.1?} after the first was sent; memory {} MiB, {} before",
        plan.connectors,
        made.elapsed(),
        worker.memory_bytes() >> 20,
        before >> 20
    ));
    tasks
}

/// What it costs when nobody asks anything.
fn rest(worker: &ConnectWorker) {
    let (before, watch) = (worker.cpu_time(), Stopwatch::start());
    pause(Duration::from_secs(5));
    let used = worker.cpu_time().saturating_sub(before).as_secs_f64();
    report(&format!("unasked: {:.2} cores", used / watch.elapsed().as_secs_f64()));
}

/// Asks while one more connector copies the backlog.
fn drain(plan: &Plan, pair: &Pair, worker: &ConnectWorker) {
    let (source, target) = (pair.source.bootstrap_servers(), pair.target.bootstrap_servers());
    let limit = plan.limit_mb.map(|megabytes| format!("{megabytes}MB"));
    let limit = limit.as_deref().map(|limit| ("heliograph.max.bytes.per.second", limit));
    let of_drainer: Vec<_> = [("topics", BACKLOG), ("tasks.max", "4")]
        .into_iter()
        .chain(limit)
        .collect();
    let of_drainer = mirror("MirrorSourceConnector", "drained", &source, &target, &of_drainer);
    put(worker, DRAINER, &of_drainer);
    let mut copies = pair.target.client();
    wait_until("the first of the backlog", LONG, || {
        let is_there = copies.partition_count(COPY).is_some();
        (is_there && drained(&mut copies) > 0).then_some(())
    });
    pause(plan.warm_up);
    let (from, watch) = (drained(&mut copies), Stopwatch::start());
    ask(plan, worker, "while a backlog drains");
    let (to, took) = (drained(&mut copies), watch.elapsed());
    let megabytes = (to - from) as f64 * RECORD_BYTES as f64 / 1e6;
    let ended = to as usize == batches(plan.backlog_mb) * RECORDS_PER_BATCH;
    report(&format!(
        "meanwhile {megabytes:.0} MB arrived, {:.0} MB/s{}; memory {} MiB",
        megabytes / took.as_secs_f64(),
        if ended {
            ", and that was all: the backlog is too small"
        } else {
            ""
        },
        worker.memory_bytes() >> 20
    ));
    worker.ask("DELETE", &format!("/connectors/{DRAINER}"), None);
}

/// A second worker comes and goes.
fn rebalance(plan: &Plan, group: &WorkerGroup, worker: &ConnectWorker, tasks: usize) {
    let watch = Stopwatch::start();
    let mut second = start(plan, "rest-load-second", group);
    second.wait_until_ready();
    let joined = watch.elapsed();
    let mut workers = vec![worker.id().to_owned(), second.id().to_owned()];
    wait_until("both to share the work", LONG, || {
        all_running(&worker.rest(), tasks, &workers)
    });
    report(&format!(
        "a second worker: healthy {joined:.1?} after its start, all shared and running after {:.1?}; memory {} and {} MiB",
        watch.elapsed(),
        worker.memory_bytes() >> 20,
        second.memory_bytes() >> 20
    ));
    let watch = Stopwatch::start();
    second.stop();
    let stopped = watch.elapsed();
    workers.pop();
    wait_until("the first to have all again", LONG, || {
        all_running(&worker.rest(), tasks, &workers)
    });
    report(&format!(
        "it stops in {stopped:.1?}; all run on the first again after {:.1?}",
        watch.elapsed()
    ));
}

fn put(worker: &ConnectWorker, name: &str, config: &Value) {
    worker.ask("PUT", &format!("/connectors/{name}/config"), Some(config));
}

/// How many tasks each MirrorSource gets.
fn tasks_per_source(plan: &Plan) -> usize {
    let heartbeats = plan.connectors / 2;
    ((plan.tasks - heartbeats) / (plan.connectors - heartbeats)).max(1)
}

fn name(number: usize) -> String {
    format!("connector-{number:03}")
}

/// A mirror connector's configuration, as text by key.
fn mirror(class: &str, alias: &str, source: &str, target: &str, more: &[(&str, &str)]) -> Value {
    let class = format!("{PACKAGE}.{class}");
    let fixed = [
        ("connector.class", class.as_str()),
        ("source.cluster.alias", alias),
        ("target.cluster.alias", "target"),
        ("source.cluster.bootstrap.servers", source),
        ("target.cluster.bootstrap.servers", target),
        ("key.converter", BYTES),
        ("value.converter", BYTES),
        ("replication.factor", "1"),
        ("offset-syncs.topic.replication.factor", "1"),
        ("heartbeats.topic.replication.factor", "1"),
        ("sync.topic.acls.enabled", "false"),
    ];
    let entries = fixed.iter().chain(more);
    Value::Object(entries.map(|(key, value)| ((*key).to_owned(), json!(value))).collect())
}

/// `Some` once the connectors have this many tasks, all of it RUNNING on these workers, and each of them has some.
fn all_running(rest: &Rest, tasks: usize, workers: &[String]) -> Option<()> {
    // While the group rebalances there is no answer.
    let answer = rest
        .get("/connectors?expand=status")
        .ok()
        .filter(|answer| answer.status == 200)?;
    let mut found = 0;
    let mut used = BTreeSet::new();
    for connector in answer.body.as_object()?.values() {
        let status = &connector["status"];
        let of_connector = status["tasks"].as_array()?;
        found += of_connector.len();
        for part in of_connector.iter().chain([&status["connector"]]) {
            let worker = part["worker_id"]
                .as_str()
                .filter(|worker| workers.iter().any(|one| one == worker))?;
            used.insert(worker.to_owned());
            (part["state"] == "RUNNING").then_some(())?;
        }
    }
    (found == tasks && used.len() == workers.len()).then_some(())
}

/// One answer: to which of [`PATHS`] (or, behind them, of the control), whether in the first second, and how long it took.
type Took = (usize, bool, Duration);

/// Answers whatever it is asked at once, with nothing: how long that takes is up to the machine and those who ask.
fn control() -> ExitCode {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("it listens");
    writeln!(io::stdout(), "{address}").expect("whoever started this reads it");
    for stream in listener.incoming() {
        thread::spawn(move || serve_nothing(stream?));
    }
    ExitCode::SUCCESS
}

fn serve_nothing(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut asked, mut answers) = (BufReader::new(stream.try_clone()?), stream);
    let mut line = String::new();
    while asked.read_line(&mut line)? > 0 {
        if line.trim_end().is_empty() {
            answers.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        }
        line.clear();
    }
    Ok(())
}

/// The CPU time of the machine so far, in ticks: all of it, and what its host gave to others.
fn machine_ticks() -> (u64, u64) {
    let stat = fs::read_to_string("/proc/stat").expect("this is Linux");
    let ticks = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<u64> = ticks.map(|ticks| ticks.parse().expect("a number")).collect();
    (ticks[..8].iter().sum(), ticks[7]) // what guests used is in user's
}

/// Lets the clients ask for a while, and says how long the answers took.
fn ask(plan: &Plan, worker: &ConnectWorker, when: &str) {
    let end = Deadline::after(plan.length);
    let mut control = Process::spawn(
        "rest-load-control",
        Command::new(env::current_exe().expect("this program has a path")).arg(CONTROL),
        None,
    );
    let addresses = [worker.id(), &control.wait_for_line(":", Duration::from_secs(10))];
    let machine = machine_ticks();
    let cpu = (worker.cpu_time(), Stopwatch::start());
    let mut took: Vec<Took> = thread::scope(|scope| {
        let clients: Vec<_> = (0..plan.clients)
            .map(|client| scope.spawn(move || one_client(plan, addresses, client, end)))
            .collect();
        let of_clients = clients
            .into_iter()
            .map(|client| client.join().expect("a client's asserts hold"));
        of_clients.flatten().collect()
    });
    let (elapsed, used) = (cpu.1.elapsed(), worker.cpu_time().saturating_sub(cpu.0));
    let (ticks, stolen) = machine_ticks();
    took.sort_by_key(|(_, _, took)| *took);
    let (took, of_control): (Vec<_>, Vec<_>) = took.into_iter().partition(|(kind, _, _)| *kind < PATHS.len());
    report(&format!(
        "{when}: {} clients, {:.0} GETs/s, the worker uses {:.2} cores",
        plan.clients,
        took.len() as f64 / elapsed.as_secs_f64(),
        used.as_secs_f64() / elapsed.as_secs_f64()
    ));
    report(&format!("  {:42} {}", "all", percentiles(&took)));
    // Whoever gives way to those who ask has to notice them.
    let later: Vec<_> = took.iter().copied().filter(|(_, is_first, _)| !is_first).collect();
    report(&format!(
        "  {:42} {}",
        "all after the first second",
        percentiles(&later)
    ));
    for (kind, path) in PATHS.iter().enumerate() {
        let of_kind: Vec<_> = took.iter().copied().filter(|(of, _, _)| *of == kind).collect();
        report(&format!("  {path:42} {}", percentiles(&of_kind)));
    }
    report(&format!(
        "  {:42} {}",
        "a server that does nothing",
        percentiles(&of_control)
    ));
    let stolen = (stolen - machine.1) as f64 / (ticks - machine.0) as f64;
    report(&format!(
        "  the host kept {:.1} % of the CPU time to itself",
        stolen * 100.0
    ));
}

/// `addresses` are the worker's and the control's.
fn one_client(plan: &Plan, addresses: [&str; 2], client: usize, end: Deadline) -> Vec<Took> {
    let (mut took, began) = (Vec::new(), Stopwatch::start());
    let [mut worker, mut control] = addresses.map(Connection::new);
    for number in client.. {
        if end.passed() {
            break;
        }
        let kind = number % (PATHS.len() + 1);
        let (connection, path) = match PATHS.get(kind) {
            // Strides that meet every connector.
            Some(path) => (&mut worker, path.replace("{}", &name(number * 7 % plan.connectors))),
            None => (&mut control, "/".to_owned()),
        };
        let is_first = began.elapsed() < Duration::from_secs(1);
        let asked = Stopwatch::start();
        let (status, body) = connection.get(&path).expect("it answers");
        took.push((kind, is_first, asked.elapsed()));
        assert_eq!(status, "200", "GET {path}: {}", String::from_utf8_lossy(&body));
        pause(plan.between);
    }
    took
}

/// A client that keeps its connection, as clients do, and does not look into answers, which would be timed, too.
struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    fn new(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the worker listens");
        stream.set_nodelay(true).expect("it is a socket");
        Self {
            address: address.to_owned(),
            stream: BufReader::new(stream),
        }
    }

    /// Its status code and body.
    fn get(&mut self, path: &str) -> io::Result<(String, Vec<u8>)> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let first = self.line()?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(io::Error::other)?;
            } else if line.eq_ignore_ascii_case("transfer-encoding: chunked") {
                chunked = true;
            }
        }
        let body = if chunked { self.chunks()? } else { self.exactly(length)? };
        Ok((first.split(' ').nth(1).unwrap_or_default().to_owned(), body))
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
            let chunk = self.exactly(length)?;
            self.line()?;
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

/// Of sorted times.
fn percentiles(took: &[Took]) -> String {
    let at = |percent: usize| {
        took.get(took.len() * percent / 100)
            .map_or(0.0, |(_, _, took)| took.as_secs_f64() * 1e3)
    };
    let max = took.last().map_or(0.0, |(_, _, took)| took.as_secs_f64() * 1e3);
    format!(
        "p50 {:7.2} ms  p99 {:7.2} ms  max {max:7.2} ms  ({})",
        at(50),
        at(99),
        took.len()
    )
}

fn fill(client: &mut TestClient, megabytes: usize) {
    let value = "0123456789abcdefghijklmnopqrstuvwxyz".repeat(RECORD_BYTES / 36);
    let batch: Vec<_> = (0..RECORDS_PER_BATCH)
        .map(|n| TestRecord::new(n.to_string(), value.as_str()))
        .collect();
    for partition in (0..BACKLOG_PARTITIONS).cycle().take(batches(megabytes)) {
        client.produce(BACKLOG, partition, Compression::None, &batch);
    }
}

fn batches(megabytes: usize) -> usize {
    megabytes * 1_000_000 / RECORD_BYTES / RECORDS_PER_BATCH
}

/// How many records of the backlog have arrived.
fn drained(target: &mut TestClient) -> i64 {
    let ends = (0..BACKLOG_PARTITIONS).map(|partition| target.log_end(COPY, partition, Isolation::ReadUncommitted));
    ends.sum()
}

fn plan(mut args: impl Iterator<Item = String>) -> Plan {
    let mut plan = Plan {
        connectors: 200,
        tasks: 1_000,
        clients: 50,
        length: Duration::from_secs(20),
        between: Duration::from_millis(50),
        backlog_mb: 2_000,
        warm_up: Duration::ZERO,
        limit_mb: None,
        embedded: false,
        java: false,
        full_speed: false,
    };
    while let Some(name) = args.next() {
        match name.as_str() {
            "--embedded" => {
                plan.embedded = true;
                continue;
            }
            "--java" => {
                plan.java = true;
                continue;
            }
            "--full-speed" => {
                plan.full_speed = true;
                continue;
            }
            _ => {}
        }
        let value = args.next().and_then(|value| value.parse::<usize>().ok());
        let value = value.unwrap_or_else(|| panic!("{name} needs a number"));
        match name.as_str() {
            "--connectors" => plan.connectors = value,
            "--tasks" => plan.tasks = value,
            "--clients" => plan.clients = value,
            "--seconds" => plan.length = Duration::from_secs(value as u64),
            "--between-ms" => plan.between = Duration::from_millis(value as u64),
            "--backlog-mb" => plan.backlog_mb = value,
            "--limit-mb" => plan.limit_mb = Some(value),
            "--warm-up-seconds" => plan.warm_up = Duration::from_secs(value as u64),
            _ => panic!("unknown option {name}; see the top of rest_load.rs"),
        }
    }
    plan
}
