//! `heliograph health`: asks a process of this machine how it is, over http or https, as its own settings say.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use config_def::{ConfigTransformer, Props, properties};
use connect_rest::ask_health;
use tracing::error;

use crate::{
    Arguments, Command,
    environment::{Environment, Settings},
    java_options,
    mirror_maker::REST_LISTENERS,
};

/// It is not well, or cannot be asked.
const EXIT_UNHEALTHY: u8 = 1;
/// Nobody can know whom to ask.
const EXIT_UNKNOWN: u8 = 2;

/// Whom to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct HealthArguments {
    #[command(flatten)]
    settings: HealthSettings,
}

/// Where its settings are.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct HealthSettings {
    /// The file with its settings.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// It takes settings from the environment as well.
    #[arg(long)]
    environment: bool,
    /// The settings are those that this process was started with.
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "environment"])]
    process: Option<u32>,
}

pub(crate) async fn main(arguments: HealthArguments) -> ExitCode {
    let props = match listening(arguments.settings) {
        Ok(props) => props,
        Err(error) => return failed(&error, EXIT_UNKNOWN),
    };
    match ask_health(&props, &java_options::system_properties()).await {
        // Nobody may be listening any more; the exit code still counts.
        Ok(said) => {
            let _ = writeln!(io::stdout(), "{said}");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error.into(), EXIT_UNHEALTHY),
    }
}

fn failed(error: &anyhow::Error, code: u8) -> ExitCode {
    error!("{error:#}");
    ExitCode::from(code)
}

/// The properties of the server that is to be asked.
fn listening(arguments: HealthSettings) -> Result<Props> {
    let settings = match arguments.process {
        Some(id) => of_process(id).with_context(|| format!("process {id}"))?,
        None => Settings::new(arguments.file, arguments.environment),
    };
    let props = resolved(&settings.of_mirror_maker()?)?;
    if !props.contains_key("clusters") {
        return resolved(&settings.of_worker()?);
    }
    of_dedicated_mode(props, Environment::of_process().rest_listeners()).with_context(|| settings.to_string())
}

/// Dedicated mode has listeners of its own, if any; an image's count if its file does not say.
fn of_dedicated_mode(mut props: Props, of_image: Option<&str>) -> Result<Props> {
    let listeners = props.remove(REST_LISTENERS).or(of_image.map(str::to_owned));
    let listeners = listeners.ok_or_else(|| anyhow!("there is no {REST_LISTENERS}"))?;
    props.insert("listeners".to_owned(), listeners);
    Ok(props)
}

fn resolved(bytes: &[u8]) -> Result<Props> {
    let raw = properties::parse(bytes)?.props();
    Ok(ConfigTransformer::from_props(&raw)?.transform(&raw)?)
}

/// What a process of ours was started with. Its environment is taken to be this one's.
fn of_process(id: u32) -> Result<Settings> {
    let line = std::fs::read(format!("/proc/{id}/cmdline"))?;
    let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    let words = words.map(|word| String::from_utf8_lossy(word).into_owned());
    let settings = match Arguments::try_parse_from(words).map(|arguments| arguments.command) {
        Ok(Command::MirrorMaker { settings, .. } | Command::ConnectDistributed { settings }) => settings,
        Ok(Command::ConnectStandalone { file, .. }) => Settings::of_file(file),
        _ => bail!("it is no worker and no mirror"),
    };
    Ok(settings.within(&PathBuf::from(format!("/proc/{id}/cwd"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dedicated_mode_is_asked_at_listeners_of_its_own() {
        let listeners = |lines: &str, of_image| {
            let props = resolved(lines.as_bytes()).expect("good lines");
            of_dedicated_mode(props, of_image).map(|mut props| props.remove("listeners"))
        };
        let file = "listeners=http://:1\nheliograph.rest.listeners=http://:2";
        let found = listeners(file, Some("http://:3")).expect("the file says so");
        assert_eq!(found.as_deref(), Some("http://:2"));
        let found = listeners("listeners=http://:1", Some("http://:3")).expect("the image says so");
        assert_eq!(found.as_deref(), Some("http://:3"));
        let error = listeners("listeners=http://:1", None).expect_err("nowhere to ask");
        assert!(error.to_string().contains("heliograph.rest.listeners"), "{error}");
    }

    #[test]
    fn another_process_is_not_asked() {
        let error = of_process(std::process::id()).expect_err("a test is no worker");
        assert_eq!(error.to_string(), "it is no worker and no mirror");
    }
}
