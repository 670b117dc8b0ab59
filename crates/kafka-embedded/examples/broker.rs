//! Runs a cluster until it is interrupted: `cargo run -p kafka-embedded --example broker -- PORT [NODES] [name=value …]`.
//!
//! For trying other people's clients against it. `name=value` is a line of `server.properties`.

use kafka_embedded::Cluster;

#[expect(clippy::print_stdout, reason = "it has to say where it listens")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (configs, numbers): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|argument| argument.contains('='));
    let number = |index: usize, default: u16| numbers.get(index).map_or(Ok(default), |number| number.parse());
    let mut builder = Cluster::builder().port(number(0, 9092)?).nodes(number(1, 1)?.into());
    for (name, value) in configs.iter().filter_map(|config| config.split_once('=')) {
        builder = match name {
            "authorizer" => builder.authorizer(value == "true"),
            _ => builder.config(name, value),
        };
    }
    let cluster = builder.start().await?;
    println!("{}", cluster.bootstrap_servers());
    tokio::signal::ctrl_c().await?;
    cluster.shutdown().await;
    Ok(())
}
