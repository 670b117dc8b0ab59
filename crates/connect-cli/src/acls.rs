//! `heliograph acls`: the least ACLs that a mirror needs, as `kafka-acls` commands.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "standard output is this command's user interface"
)]

use std::{fmt::Write, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use config_def::{ConfigTransformer, Props, properties};
use connect_mirror::{
    acls::{Name, NeededAcl, Resource, needed_acls},
    mirror_maker_config::MirrorMakerConfig,
};
use kafka_client::ClientConfig;
use serde_json::json;

/// Who everybody is where nobody has to log in.
const ANYBODY: &str = "User:ANONYMOUS";

#[derive(Debug, Args)]
pub(crate) struct AclsArguments {
    /// The configuration of the mirror.
    #[arg(value_name = "mm2.properties")]
    file: PathBuf,
    /// Who the mirror is, on all clusters or on one of them; by default the user that it logs in with.
    #[arg(long, value_name = "[CLUSTER=]User:NAME")]
    principal: Vec<String>,
    /// For programs: one JSON object on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(arguments: &AclsArguments) -> ExitCode {
    match acls(arguments).with_context(|| format!("{} cannot be used", arguments.file.display())) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A right, who gets it, and where.
struct Line {
    acl: NeededAcl,
    principal: String,
    bootstrap_servers: String,
}

fn acls(arguments: &AclsArguments) -> Result<String> {
    let props = properties::parse(&std::fs::read(&arguments.file)?)?.props();
    let transformer = ConfigTransformer::from_props(&props)?;
    let config = MirrorMakerConfig::parse(props, &transformer)?;
    let needed = needed_acls(&config, |props| transformer.transform(props))?;
    let mut lines = Vec::new();
    for acl in needed {
        let client = config.client_config(&acl.cluster).admin;
        lines.push(Line {
            principal: principal(&arguments.principal, &acl.cluster, &client)?,
            bootstrap_servers: client.get("bootstrap.servers").cloned().unwrap_or_default(),
            acl,
        });
    }
    Ok(match arguments.json {
        true => as_json(&lines),
        false => as_commands(&lines),
    })
}

/// Who the mirror is on a cluster: what is said, or the user it logs in with.
fn principal(said: &[String], cluster: &str, client: &Props) -> Result<String> {
    let prefix = format!("{cluster}=");
    let of_cluster = said.iter().find_map(|said| said.strip_prefix(&prefix));
    let of_all = || said.iter().map(String::as_str).find(|said| said.starts_with("User:"));
    if let Some(said) = of_cluster.or_else(of_all) {
        return Ok(said.to_owned());
    }
    let parsed =
        ClientConfig::parse(client).with_context(|| format!("cluster {cluster} (properties `{cluster}.*`)"))?;
    match (
        parsed.security.login_name(),
        client.get("security.protocol").map(|protocol| protocol.trim()),
    ) {
        (Some(user), _) => Ok(format!("User:{user}")),
        (None, None | Some("PLAINTEXT")) => Ok(ANYBODY.to_owned()),
        _ => bail!("who the mirror is on {cluster} is not in the file: say it with --principal {cluster}=User:…"),
    }
}

/// A command for each resource, with all that is needed on it.
fn as_commands(lines: &[Line]) -> String {
    let mut text = String::new();
    let mut cluster = "";
    let on_one =
        |one: &Line, other: &Line| (&one.acl.cluster, &one.acl.resource) == (&other.acl.cluster, &other.acl.resource);
    for lines in lines.chunk_by(on_one) {
        let Line {
            acl,
            principal,
            bootstrap_servers,
        } = &lines[0];
        if acl.cluster != cluster {
            cluster = &acl.cluster;
            let _ = writeln!(
                text,
                "# on {cluster}, as somebody who may alter ACLs there (--command-config)"
            );
        }
        let mut operations = String::new();
        for Line { acl, .. } in lines {
            let _ = writeln!(text, "# {}: {}", acl.operation, acl.reason);
            let _ = write!(operations, " --operation {}", acl.operation);
        }
        let servers = quoted(bootstrap_servers);
        let (principal, resource) = (quoted(principal), resource_arguments(&acl.resource));
        let _ = writeln!(
            text,
            "kafka-acls.sh --bootstrap-server {servers} --add --allow-principal {principal}{operations} {resource}"
        );
    }
    text
}

fn resource_arguments(resource: &Resource) -> String {
    let named = |option: &str, name: &Name| match name {
        Name::Any => format!("{option} '*'"),
        Name::Literal(name) => format!("{option} {}", quoted(name)),
        Name::Prefixed(prefix) => format!("{option} {} --resource-pattern-type prefixed", quoted(prefix)),
    };
    match resource {
        Resource::Cluster => "--cluster".to_owned(),
        Resource::Topic(name) => named("--topic", name),
        Resource::Group(name) => named("--group", name),
        Resource::TransactionalId(name) => named("--transactional-id", name),
    }
}

/// One word for a shell.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:,=/".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

fn as_json(lines: &[Line]) -> String {
    let acls = lines.iter().map(|Line { acl, principal, .. }| {
        let (kind, name) = match &acl.resource {
            Resource::Cluster => ("Cluster", &Name::Any),
            Resource::Topic(name) => ("Topic", name),
            Resource::Group(name) => ("Group", name),
            Resource::TransactionalId(name) => ("TransactionalId", name),
        };
        let (pattern, name) = match (kind, name) {
            ("Cluster", _) => ("Literal", "kafka-cluster"),
            (_, Name::Any) => ("Literal", "*"),
            (_, Name::Literal(name)) => ("Literal", name.as_str()),
            (_, Name::Prefixed(prefix)) => ("Prefixed", prefix.as_str()),
        };
        json!({
            "cluster": acl.cluster,
            "principal": principal,
            "resource_type": kind,
            "pattern_type": pattern,
            "name": name,
            "operation": acl.operation.to_string(),
            "reason": acl.reason,
        })
    });
    format!("{}\n", json!({"command": "acls", "acls": acls.collect::<Vec<_>>()}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_what_is_said_or_who_logs_in() {
        let client = |pairs: &[(&str, &str)]| -> Props {
            let servers = [("bootstrap.servers", "a:1")];
            let all = servers.iter().chain(pairs);
            all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        let said = ["User:both".to_owned(), "B=User:one".to_owned()];
        assert_eq!(principal(&said, "A", &client(&[])).expect("said"), "User:both");
        assert_eq!(principal(&said, "B", &client(&[])).expect("said"), "User:one");
        assert_eq!(principal(&[], "A", &client(&[])).expect("nobody"), ANYBODY);
        let login = client(&[
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "PLAIN"),
            (
                "sasl.jaas.config",
                "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"m\" password=\"p\";",
            ),
        ]);
        assert_eq!(principal(&[], "A", &login).expect("a login"), "User:m");
        let tls = client(&[("security.protocol", "SSL")]);
        let error = principal(&[], "A", &tls).expect_err("a certificate's name").to_string();
        assert!(error.contains("--principal A=User:"), "{error}");
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("User:m"), "User:m");
        assert_eq!(quoted("CN=a b"), "'CN=a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("*"), "'*'");
    }
}
