use std::{fmt, time::Duration};

use integration_tests::KafkaDist;

use crate::{
    peer::Peer,
    workload::{WORKLOADS, Workload},
};

pub(crate) const USAGE: &str = "\
usage: bench [drain|latency|idle|limit] [OPTION]...

  drain     a backlog is mirrored: seconds to the first record, MB/s, CPU-s per GB, peak memory (the default)
  latency   from producing to being visible on the target, at a steady rate
  idle      start, then CPU and memory with nothing to do
  limit     how well a flow keeps to a rate, and whether another one is slower beside it

  --java                      compare with Java's MirrorMaker 2
  --peer 'NAME=CMD {props}'   compare with any program that takes a MirrorMaker 2 properties file; may be repeated
  --tls                       each of them once more over TLS (security.protocol=SSL), on both sides, and the ratio
  --scraped                   each of ours once more while its metrics are asked for every second, all partitions listed
  --wide N                    topics of N partitions and no records are mirrored besides
  --prop KEY=VALUE            one more property, for all of them; may be repeated
  --rounds N                  measure each this often, and show medians (1)
  --limit SECONDS             give up a run after this (400)

drain:
  --workload NAME[,NAME]...   of 1k-none, 1k-json-lz4, 1k-json-zstd, 100b-none, 100b-lz4, 100b-tiny, 100b-16k,
                              100b-16k-lz4-1p (all)
  --max-mb N                  make each workload smaller than that
latency, idle, limit:
  --seconds N                 how long to look (20)
limit:
  --mb N                      megabytes a second (5)
latency:
  --rate N                    records a second (1000)";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Drain,
    Latency,
    Idle,
    Limit,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drain => "drain",
            Self::Latency => "latency",
            Self::Idle => "idle",
            Self::Limit => "limit",
        })
    }
}

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) tls: bool,
    pub(crate) wide: i32,
    scraped: bool,
    pub(crate) rounds: u64,
    pub(crate) rate: u64,
    /// Of a limit, per second.
    pub(crate) megabytes: u64,
    pub(crate) seconds: u64,
    pub(crate) limit: Duration,
    java: bool,
    commands: Vec<(String, String)>,
}

impl Options {
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            mode: Mode::Drain,
            workloads: WORKLOADS.to_vec(),
            properties: Vec::new(),
            tls: false,
            wide: 0,
            scraped: false,
            rounds: 1,
            rate: 1000,
            megabytes: 5,
            seconds: 20,
            limit: Duration::from_secs(400),
            java: false,
            commands: Vec::new(),
        };
        let mut max_mb = u64::MAX;
        let mut args = args;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "drain" => options.mode = Mode::Drain,
                "latency" => options.mode = Mode::Latency,
                "idle" => options.mode = Mode::Idle,
                "limit" => options.mode = Mode::Limit,
                "--mb" => options.megabytes = number(&value()?)?,
                "--tls" => options.tls = true,
                "--scraped" => options.scraped = true,
                "--wide" => options.wide = i32::try_from(number(&value()?)?).map_err(|error| error.to_string())?,
                "--java" => options.java = true,
                "--peer" => options.commands.push(pair(&value()?)?),
                "--prop" => options.properties.push(pair(&value()?)?),
                "--workload" => {
                    options.workloads = value()?.split(',').map(Workload::find).collect::<Result<_, _>>()?
                }
                "--max-mb" => max_mb = number(&value()?)?,
                "--rounds" => options.rounds = number(&value()?)?,
                "--rate" => options.rate = number(&value()?)?,
                "--seconds" => options.seconds = number(&value()?)?,
                "--limit" => options.limit = Duration::from_secs(number(&value()?)?),
                "--help" => return Err("Measures Heliograph between two real Kafkas.".to_owned()),
                _ => return Err(format!("{arg}: unknown")),
            }
        }
        for workload in &mut options.workloads {
            workload.shrink(max_mb);
        }
        Ok(options)
    }

    /// Heliograph first: the others are compared with it.
    pub(crate) fn peers(&self, dist: &'static KafkaDist) -> Vec<Peer> {
        let all = || {
            let mut peers = vec![Peer::heliograph()];
            peers.extend(self.java.then(|| Peer::java(dist)));
            peers.extend(self.commands.iter().map(|(name, command)| Peer::command(name, command)));
            peers
        };
        let over_tls = self.tls.then(|| all().into_iter().map(Peer::over_tls));
        let scraped = self.scraped.then(|| Peer::heliograph().scraped());
        all()
            .into_iter()
            .chain(scraped)
            .chain(over_tls.into_iter().flatten())
            .collect()
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text}: there is no ="))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn number(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| format!("{text}: not a positive number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &str) -> Result<Options, String> {
        Options::parse(args.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn without_options_all_workloads_are_drained() {
        let options = parse("").expect("nothing is fine");
        assert_eq!((options.mode, options.workloads.len()), (Mode::Drain, 8));
    }

    #[test]
    fn workloads_can_be_chosen_and_made_small() {
        let options = parse("--max-mb 100 --workload 1k-none,100b-16k").expect("known names");
        let sizes: Vec<_> = options.workloads.iter().map(|w| (w.name, w.records)).collect();
        assert_eq!(sizes, [("1k-none", 97_087), ("100b-16k", 943_396)]);
    }

    #[test]
    fn a_key_of_a_flow_is_cut_at_the_first_equals_sign() {
        let options = parse("--prop source->destination.topics=a=b").expect("a pair");
        let expected = ("source->destination.topics".to_owned(), "a=b".to_owned());
        assert_eq!(options.properties, [expected]);
    }

    #[test]
    fn nonsense_is_refused() {
        for nonsense in ["--rounds 0", "--rate", "--peer name", "--workload 1k", "fast"] {
            assert!(parse(nonsense).is_err(), "{nonsense}");
        }
    }
}
