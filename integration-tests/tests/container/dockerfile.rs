//! `docker/Dockerfile`, read. It may use what is known here and nothing else.

use std::{fs, path::Path};

/// One step of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Run(String),
    Copy {
        /// The stage to copy from; the build's context if there is none.
        from: Option<String>,
        sources: Vec<String>,
        target: String,
    },
    Env(String, String),
    User(String),
    WorkDir(String),
    Expose(u16),
    HealthCheck(Vec<String>),
    EntryPoint(Vec<String>),
}

/// What stands between one `FROM` and the next.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) base: String,
    pub(crate) name: Option<String>,
    pub(crate) steps: Vec<Step>,
}

pub(crate) fn read(file: &Path) -> Vec<Stage> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut stages: Vec<Stage> = Vec::new();
    // Comments go first, also those between the lines of one instruction.
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for line in lines.join("\n").replace("\\\n", " ").lines() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let (instruction, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}: nothing to do"));
        let rest = rest.trim();
        if instruction == "FROM" {
            let mut words = rest.split_whitespace();
            let base = words.next().expect("a base").to_owned();
            let name = words.nth(1).map(str::to_owned);
            stages.push(Stage {
                base,
                name,
                steps: Vec::new(),
            });
        } else {
            let stage = stages.last_mut().expect("FROM comes first");
            stage.steps.push(step(instruction, rest));
        }
    }
    stages
}

fn step(instruction: &str, rest: &str) -> Step {
    match instruction {
        "RUN" => Step::Run(rest.to_owned()),
        "COPY" => copy(rest),
        "ENV" => {
            let (name, value) = rest.split_once('=').expect("NAME=VALUE");
            Step::Env(name.to_owned(), value.to_owned())
        }
        "USER" => Step::User(rest.to_owned()),
        "WORKDIR" => Step::WorkDir(rest.to_owned()),
        "EXPOSE" => Step::Expose(rest.parse().expect("a port")),
        "HEALTHCHECK" => {
            let (_options, command) = rest.split_once("CMD ").expect("a command");
            Step::HealthCheck(words(command))
        }
        "ENTRYPOINT" => Step::EntryPoint(words(rest)),
        other => panic!("the container's test does not know {other}: teach it, or do without"),
    }
}

fn copy(rest: &str) -> Step {
    let mut paths: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
    let from = paths[0].strip_prefix("--from=").map(str::to_owned);
    if from.is_some() {
        paths.remove(0);
    }
    let target = paths.pop().expect("a target");
    assert!(
        !paths.is_empty() && !paths.iter().any(|path| path.starts_with("--")),
        "COPY {rest}"
    );
    Step::Copy {
        from,
        sources: paths,
        target,
    }
}

/// `["a", "b"]`: the form without a shell, in which signals reach the command.
fn words(list: &str) -> Vec<String> {
    serde_json::from_str(list).unwrap_or_else(|error| panic!("{list}: {error}"))
}
