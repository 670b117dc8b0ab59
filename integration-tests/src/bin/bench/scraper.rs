//! Asks for metrics once a second, as Prometheus would, and notes what that takes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use integration_tests::{Rest, Stopwatch, free_port, pause};

const EVERY: Duration = Duration::from_secs(1);

/// A page of metrics as it came.
#[derive(Clone, Copy, Debug)]
struct Scrape {
    seconds: f64,
    bytes: usize,
}

/// Runs until it is asked what it found.
#[derive(Debug)]
pub(crate) struct Scraper {
    port: u16,
    ends: Arc<AtomicBool>,
    scrapes: JoinHandle<Vec<Scrape>>,
}

/// What scraping has cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scraped {
    pub(crate) pages: usize,
    /// Of one page, median.
    pub(crate) ms: f64,
    /// The largest page.
    pub(crate) megabytes: f64,
}

impl Scraper {
    /// Begins; the peer has to listen on [`Self::port`].
    pub(crate) fn start() -> Self {
        let port = free_port();
        let ends = Arc::<AtomicBool>::default();
        let until = ends.clone();
        let scrapes = thread::spawn(move || {
            let rest = Rest::new(&format!("127.0.0.1:{port}"));
            let mut scrapes = Vec::new();
            while !until.load(Ordering::Relaxed) {
                let clock = Stopwatch::start();
                if let Ok(page) = rest.get("/metrics") {
                    scrapes.push(Scrape {
                        seconds: clock.elapsed().as_secs_f64(),
                        bytes: page.body.as_str().map_or(0, str::len),
                    });
                }
                pause(EVERY);
            }
            scrapes
        });
        Self { port, ends, scrapes }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends, and says what it found.
    pub(crate) fn stop(self) -> Scraped {
        self.ends.store(true, Ordering::Relaxed);
        let mut scrapes = self.scrapes.join().unwrap_or_default();
        scrapes.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
        let Some(median) = scrapes.get(scrapes.len() / 2) else {
            return Scraped::default();
        };
        let largest = scrapes.iter().map(|scrape| scrape.bytes).max().unwrap_or_default();
        Scraped {
            pages: scrapes.len(),
            ms: median.seconds * 1e3,
            megabytes: largest as f64 / 1e6,
        }
    }
}
