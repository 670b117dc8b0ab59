use std::{fmt, path::Path, process::Command, time::Duration};

use integration_tests::{Deadline, Jvm, KafkaDist, Process, heliograph_binary, pause, report};

use crate::{
    cluster::Clusters,
    scraper::{Scraped, Scraper},
    usage::{Tree, Usage},
};

/// Java ends its group membership and its tasks in this time; the next run needs neither in its way.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// What is measured.
pub(crate) struct Peer {
    name: String,
    command: Box<dyn Fn(&Path) -> Command>,
    /// Whether it mirrors over TLS.
    over_tls: bool,
    /// Whether its metrics are asked for meanwhile.
    is_scraped: bool,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Peer {
    pub(crate) fn heliograph() -> Self {
        let command = |properties: &Path| {
            let mut command = Command::new(heliograph_binary());
            command.arg("mirror-maker").arg(properties);
            command
        };
        Self::new("heliograph", command)
    }

    /// Java's, with the flags and the heap of `connect-mirror-maker.sh`.
    pub(crate) fn java(dist: &'static KafkaDist) -> Self {
        let command = |properties: &Path| {
            let mut command = dist.jvm(Jvm::AsShipped(&["-Xms256M", "-Xmx2G"]));
            command
                .arg("org.apache.kafka.connect.mirror.MirrorMaker")
                .arg(properties);
            command.env("KAFKA_LOG_LEVEL", "INFO");
            command
        };
        Self::new("java-mm2", command)
    }

    /// Any program; `{props}` stands for the properties file.
    pub(crate) fn command(name: &str, text: &str) -> Self {
        let text = text.to_owned();
        let command = move |properties: &Path| {
            let mut command = Command::new("sh");
            let properties = properties.to_str().expect("the target directory has a plain name");
            command.args(["-c", &text.replace("{props}", &format!("'{properties}'"))]);
            command
        };
        Self::new(name, command)
    }

    fn new(name: &str, command: impl Fn(&Path) -> Command + 'static) -> Self {
        Self {
            name: name.to_owned(),
            command: Box::new(command),
            over_tls: false,
            is_scraped: false,
        }
    }

    /// The same while its metrics are asked for.
    pub(crate) fn scraped(mut self) -> Self {
        self.name.push_str("-scraped");
        self.is_scraped = true;
        self
    }

    /// The same over TLS.
    pub(crate) fn over_tls(mut self) -> Self {
        self.name.push_str("-tls");
        self.over_tls = true;
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Starts it on `topic`.
    pub(crate) fn start(&self, clusters: &Clusters, topic: &str) -> Running {
        let scraper = self.is_scraped.then(Scraper::start);
        let listener = scraper.as_ref().map(Scraper::port);
        let properties = clusters.mirror(&self.name, topic, self.over_tls, listener);
        let process = Process::spawn(
            &format!("bench-{}-{topic}", self.name),
            &mut (self.command)(&properties),
            None,
        );
        let tree = Tree::of(process.pid());
        Running { process, tree, scraper }
    }
}

/// A peer at work. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    process: Process,
    tree: Tree,
    scraper: Option<Scraper>,
}

impl Running {
    pub(crate) fn usage(&mut self) -> Usage {
        self.tree.usage()
    }

    /// Whether it is there; says where to look if it is not.
    pub(crate) fn is_running(&mut self) -> bool {
        let running = self.process.is_running();
        if !running {
            report(&format!(
                "it ended too early: see {}",
                self.process.log_path().display()
            ));
        }
        running
    }

    /// What asking for metrics has cost, if they were asked for.
    pub(crate) fn scraped(&mut self) -> Option<Scraped> {
        self.scraper.take().map(Scraper::stop)
    }

    /// SIGTERM, and harder if that takes long.
    pub(crate) fn stop(mut self) {
        self.tree.scan();
        if self.process.is_running() {
            self.process.signal("TERM");
        }
        let deadline = Deadline::after(STOP_TIMEOUT);
        while self.process.is_running() && !deadline.passed() {
            pause(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tree.kill();
    }
}
