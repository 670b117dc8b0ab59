//! What the operators' commands share: the flow of a file that is meant, tables, and exit codes.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Args;
use config_def::{ConfigTransformer, parse_boolean, properties};
use connect_mirror::{
    MirrorEnvironment,
    mirror_maker_config::{MirrorMakerConfig, SourceAndTarget},
    operator::{Flow, RunningFlows},
};
use kafka_client::Dialer;

/// It is not as it should be: groups that are not ready, records that differ.
pub(crate) const EXIT_NOT_READY: u8 = 1;
/// There is no answer.
pub(crate) const EXIT_NO_ANSWER: u8 = 2;

/// What every command is told.
#[derive(Debug, Args)]
pub(crate) struct FlowArguments {
    /// The configuration of the mirror.
    #[arg(value_name = "mm2.properties")]
    pub(crate) file: std::path::PathBuf,
    /// For programs: one JSON object on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// Give up when a cluster does not answer for so many milliseconds.
    #[arg(long, default_value_t = 30_000, value_name = "MS")]
    pub(crate) timeout_ms: u64,
}

impl FlowArguments {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// The flows that are meant: that of `--flow`, or all that are enabled.
    pub(crate) fn flows(&self, wanted: Option<&str>) -> Result<Vec<Flow>> {
        flows(&self.file, wanted, self.timeout()).with_context(|| format!("{} cannot be used", self.file.display()))
    }

    /// What runs by the file, and the flows towards each of its clusters.
    pub(crate) fn flows_by_target(&self) -> Result<(RunningFlows, Vec<Vec<Flow>>)> {
        flows_by_target(&self.file, self.timeout()).with_context(|| format!("{} cannot be used", self.file.display()))
    }

    /// The one flow that is meant.
    pub(crate) fn flow(&self, wanted: Option<&str>) -> Result<Flow> {
        let mut flows = self.flows(wanted)?;
        if flows.len() > 1 {
            let names: Vec<String> = flows.iter().map(|flow| flow.pair().to_string()).collect();
            bail!(
                "there are several flows: say which with --flow, one of {}",
                names.join(", ")
            );
        }
        flows.pop().context("there is no flow")
    }
}

/// A file, and what makes flows of it.
struct FlowFile {
    config: MirrorMakerConfig,
    transformer: ConfigTransformer,
    environment: MirrorEnvironment,
    timeout: Duration,
}

impl FlowFile {
    fn read(file: &Path, timeout: Duration) -> Result<Self> {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let props = properties::parse(&bytes)?.props();
        let transformer = ConfigTransformer::from_props(&props)?;
        Ok(Self {
            config: MirrorMakerConfig::parse(props, &transformer)?,
            transformer,
            environment: MirrorEnvironment::new(Dialer::tcp()),
            timeout,
        })
    }

    fn enabled(&self) -> Vec<SourceAndTarget> {
        let is_enabled = |pair: &SourceAndTarget| {
            let enabled = self.config.resolved().get(&format!("{pair}.enabled"));
            enabled.is_some_and(|enabled| parse_boolean(enabled))
        };
        self.config.cluster_pairs().into_iter().filter(is_enabled).collect()
    }

    fn flow(&self, pair: SourceAndTarget) -> Result<Flow> {
        let what = format!("the connectors of {pair}");
        let environment = self.environment.clone();
        Flow::new(&self.config, &self.transformer, pair, environment, self.timeout).context(what)
    }
}

fn flows(file: &Path, wanted: Option<&str>, timeout: Duration) -> Result<Vec<Flow>> {
    let file = FlowFile::read(file, timeout)?;
    let enabled = file.enabled();
    let names: Vec<String> = enabled.iter().map(ToString::to_string).collect();
    let pairs: Vec<SourceAndTarget> = enabled
        .into_iter()
        .filter(|pair| wanted.is_none_or(|wanted| wanted.replace(' ', "") == pair.to_string()))
        .collect();
    if pairs.is_empty() {
        match wanted {
            Some(wanted) => bail!(
                "flow {wanted} is not enabled in the file; those that are: {}",
                names.join(", ")
            ),
            None => bail!("no flow is enabled: set `source->target.enabled = true`"),
        }
    }
    pairs.into_iter().map(|pair| file.flow(pair)).collect()
}

/// The flows towards each cluster of the file: those that are enabled, or else any, so that the cluster can be asked.
fn flows_by_target(file: &Path, timeout: Duration) -> Result<(RunningFlows, Vec<Vec<Flow>>)> {
    let file = FlowFile::read(file, timeout)?;
    let clusters = file.config.clusters();
    let running = RunningFlows {
        enabled: file.enabled().into_iter().collect(),
        workers: file.config.cluster_pairs().into_iter().collect(),
        elsewhere: Default::default(),
        clusters: clusters.iter().cloned().collect(),
    };
    let towards = |target: &String| {
        let enabled = running.enabled.iter().filter(|pair| pair.target == *target);
        let mut pairs: Vec<SourceAndTarget> = enabled.cloned().collect();
        if pairs.is_empty() {
            let other = clusters.iter().find(|other| *other != target).unwrap_or(target);
            pairs.push(SourceAndTarget::new(other, target));
        }
        pairs.into_iter().map(|pair| file.flow(pair)).collect()
    };
    let flows = clusters.iter().map(towards).collect::<Result<_>>()?;
    Ok((running, flows))
}

/// Columns as wide as their widest cell; numbers stand right.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let lines: Vec<&Vec<String>> = [&heads].into_iter().chain(rows).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let is_number = |cell: &str| cell == "-" || cell.parse::<f64>().is_ok();
    let columns: Vec<(usize, bool)> = (0..heads.len())
        .map(|column| (width(column), rows.iter().all(|row| is_number(&row[column]))))
        .collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&columns).map(|(cell, (width, right))| match right {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        let cells: Vec<String> = cells.collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A number, or `-` when there is none.
pub(crate) fn or_dash(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_texts_left() {
        let rows = [
            vec!["orders".to_owned(), "7".to_owned()],
            vec!["o".to_owned(), "1234".to_owned()],
        ];
        let expected = "TOPIC    LAG\norders     7\no       1234\n";
        assert_eq!(table(&["TOPIC", "LAG"], &rows), expected);
    }

    #[test]
    fn a_flow_that_is_not_there_is_answered_with_those_that_are() {
        let file = std::env::temp_dir().join(format!("heliograph-flows-{}.properties", std::process::id()));
        let text = "clusters = A, B\nA.bootstrap.servers = a:1\nB.bootstrap.servers = b:1\nA->B.enabled = true\n";
        std::fs::write(&file, text).unwrap();
        let found = |wanted| flows(&file, wanted, Duration::from_secs(1));
        assert_eq!(found(None).unwrap()[0].pair().to_string(), "A->B");
        assert_eq!(found(Some("A -> B")).unwrap().len(), 1);
        let error = found(Some("B->A")).unwrap_err().to_string();
        assert!(error.contains("those that are: A->B"), "{error}");
        std::fs::remove_file(file).unwrap();
    }
}
