//! Walks through the admin client against a real cluster: `cargo run -p kafka-client --example admin_probe -- host:port`.
//! It creates topics and a group named `admin-probe-*`, and deletes them again.

#![allow(clippy::print_stdout, reason = "it is a program for people")]

use std::collections::BTreeMap;
use std::sync::Arc;

use config_def::Props;
use kafka_client::admin::{
    AclBinding, AclFilter, AlterConfigOp, ConfigResource, NewPartitions, NewTopic, OffsetAndMetadata, OffsetSpec,
    OpType,
};
use kafka_client::config::IsolationLevel;
use kafka_client::{Admin, Client, ClientConfig, Dialer, Error};
use kafka_wire::TopicPartition;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let servers = std::env::args().nth(1).unwrap_or_else(|| "localhost:9092".to_owned());
    let props = Props::from([
        ("bootstrap.servers".to_owned(), servers),
        ("client.id".to_owned(), "admin-probe".to_owned()),
        ("default.api.timeout.ms".to_owned(), "10000".to_owned()),
    ]);
    let admin = Admin::new(Client::new(ClientConfig::parse(&props)?, Dialer::tcp()));
    match probe(&admin).await {
        Ok(()) => {
            println!("all went well; {:?}", admin.client().metrics());
            Ok(())
        }
        Err(error) => Err(error.chain().into()),
    }
}

async fn probe(admin: &Admin) -> Result<(), Error> {
    println!("cluster: {:?}", admin.describe_cluster().await?);
    let name: Arc<str> = "admin-probe-topic".into();
    let missing: Arc<str> = "admin-probe-missing".into();

    let configs = BTreeMap::from([("retention.ms".to_owned(), "86400000".to_owned())]);
    let bad = BTreeMap::from([("no.such.config".to_owned(), "1".to_owned())]);
    let topics = vec![
        NewTopic::new(name.clone(), 2, -1).with_configs(configs),
        NewTopic::new("admin-probe-bad-config", 1, 1).with_configs(bad),
        NewTopic::new("admin-probe-too-many-replicas", 1, 99),
        NewTopic::new("admin probe/bad name", 1, 1),
    ];
    for (topic, result) in admin.create_topics(topics.clone()).await? {
        println!("create {topic}: {}", show(&result));
    }
    for (topic, result) in admin.create_topics(topics[..1].to_vec()).await? {
        println!("create {topic} again: {}", show(&result));
    }
    for (topic, result) in admin
        .create_partitions(vec![(name.clone(), NewPartitions::increase_to(4))])
        .await?
    {
        println!("partitions of {topic}: {}", show(&result));
    }
    println!("topics: {:?}", admin.list_topics(false).await?);
    println!("with internal ones: {}", admin.list_topics(true).await?.len());
    for (topic, result) in admin.describe_topics(&[name.clone(), missing.clone()]).await? {
        println!("describe {topic}: {}", show(&result));
    }

    let change = |name: &str, value: Option<&str>, op| AlterConfigOp {
        name: name.into(),
        value: value.map(Into::into),
        op,
    };
    let changes = vec![
        change("max.message.bytes", Some("2000000"), OpType::Set),
        change("cleanup.policy", Some("compact"), OpType::Append),
        change("retention.ms", None, OpType::Delete),
    ];
    let changes = vec![
        (ConfigResource::topic(name.clone()), changes),
        (
            ConfigResource::topic(missing.clone()),
            vec![change("retention.ms", Some("1"), OpType::Set)],
        ),
    ];
    for (resource, result) in admin.incremental_alter_configs(changes, false).await? {
        println!("alter {resource}: {}", show(&result));
    }
    let broker = ConfigResource::broker(admin.client().metadata().brokers.keys().next().copied().unwrap_or(0));
    let resources = vec![
        ConfigResource::topic(name.clone()),
        ConfigResource::topic(missing.clone()),
        broker,
    ];
    for (resource, result) in admin.describe_configs(resources).await? {
        match result {
            Ok(entries) => {
                let set: Vec<_> = entries
                    .iter()
                    .filter(|e| !e.is_default())
                    .map(|e| (&e.name, &e.value, e.source))
                    .collect();
                println!("configs of {resource}: {} in all, set: {set:?}", entries.len());
            }
            Err(error) => println!("configs of {resource}: {}", error.chain()),
        }
    }

    let partitions: Vec<_> = (0..4).map(|n| TopicPartition::new(name.clone(), n)).collect();
    for spec in [
        OffsetSpec::Earliest,
        OffsetSpec::Latest,
        OffsetSpec::MaxTimestamp,
        OffsetSpec::Timestamp(0),
    ] {
        let asked = partitions.iter().map(|partition| (partition.clone(), spec)).collect();
        let found = admin.list_offsets(asked, IsolationLevel::ReadCommitted).await?;
        println!(
            "offsets {spec:?}: {:?}",
            found
                .iter()
                .map(|(p, r)| (p.to_string(), show(r)))
                .collect::<BTreeMap<_, _>>()
        );
    }
    let epochs = partitions.iter().map(|partition| (partition.clone(), 0)).collect();
    println!(
        "epoch ends: {:?}",
        admin
            .offset_for_leader_epoch(epochs)
            .await?
            .into_values()
            .map(|r| show(&r))
            .collect::<Vec<_>>()
    );
    let deletes = vec![(partitions[0].clone(), 0), (partitions[1].clone(), 99)];
    for (partition, result) in admin.delete_records(deletes).await? {
        println!("delete records of {partition}: {}", show(&result));
    }

    let group: Arc<str> = "admin-probe-group".into();
    let offsets = vec![(
        partitions[0].clone(),
        OffsetAndMetadata {
            metadata: "noted".into(),
            ..OffsetAndMetadata::new(5)
        },
    )];
    for (partition, result) in admin.alter_group_offsets(&group, offsets).await? {
        println!("commit {partition}: {}", show(&result));
    }
    println!("all committed: {:?}", admin.list_group_offsets(&group, None).await?);
    println!(
        "asked for: {:?}",
        admin.list_group_offsets(&group, Some(&partitions)).await?
    );
    println!("groups: {:?}", admin.list_groups().await?);
    for (group, result) in admin
        .describe_groups(&[group.clone(), "admin-probe-no-group".into()])
        .await?
    {
        println!("describe group {group}: {}", show(&result));
    }
    for (partition, result) in admin.delete_group_offsets(&group, vec![partitions[0].clone()]).await? {
        println!("delete offset of {partition}: {}", show(&result));
    }
    for (group, result) in admin
        .delete_groups(&[group.clone(), "admin-probe-no-group".into()])
        .await?
    {
        println!("delete group {group}: {}", show(&result));
    }

    let binding = AclBinding {
        resource_type: AclBinding::TOPIC,
        resource_name: name.to_string(),
        pattern_type: AclBinding::LITERAL,
        principal: "User:probe".into(),
        host: "*".into(),
        operation: AclBinding::READ,
        permission_type: AclBinding::ALLOW,
    };
    println!(
        "create ACL: {:?}",
        admin
            .create_acls(&[binding])
            .await?
            .iter()
            .map(show)
            .collect::<Vec<_>>()
    );
    println!("ACLs: {}", show(&admin.describe_acls(&AclFilter::default()).await));

    for (topic, result) in admin.delete_topics(vec![name, "admin-probe-too".into()]).await? {
        println!("delete {topic}: {}", show(&result));
    }
    Ok(())
}

fn show<T: std::fmt::Debug>(result: &Result<T, Error>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("[{}]", error.chain()),
    }
}
