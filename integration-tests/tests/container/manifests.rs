//! The files that containers are run with, beside the image that they run.

use std::time::Duration;

use serde_json::Value;

use crate::{
    FILE, assert_stops, can_enter,
    image::{Image, Network, Options, repository},
    manifest,
};

const SOON: Duration = Duration::from_secs(30);

/// The one document of this kind, and of this name if there is one.
fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    let mut found = documents.iter().filter(|document| document["kind"] == kind);
    found.next().unwrap_or_else(|| panic!("no {kind}"))
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// What holds for every pod: the names fit each other, and the image is used as it is.
fn check_pod(documents: &[Value], workload: &Value) {
    let template = &workload["spec"]["template"];
    assert_eq!(
        workload["spec"]["selector"]["matchLabels"],
        template["metadata"]["labels"]
    );
    let pod = &template["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    let user = format!(
        "{}:{}",
        pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]
    );
    let runtime = crate::dockerfile::read(&repository().join("docker/Dockerfile"))
        .pop()
        .expect("a stage");
    assert!(
        runtime.steps.contains(&crate::dockerfile::Step::User(user)),
        "another user than the image's"
    );
    // A stop may take ten seconds.
    assert!(pod["terminationGracePeriodSeconds"].as_i64().expect("a number") >= 15);

    let [container] = items(&pod["containers"]) else {
        panic!("one container")
    };
    assert_eq!(container["image"], "heliograph");
    assert_eq!(container["command"], Value::Null, "the image's entry point");
    let ports = items(&container["ports"]);
    let has_port = |name: &Value| ports.iter().any(|port| port["name"] == *name);
    for probe in ["readinessProbe", "livenessProbe"] {
        let probe = &container[probe];
        let port = if probe["httpGet"].is_object() {
            &probe["httpGet"]["port"]
        } else {
            &probe["tcpSocket"]["port"]
        };
        assert!(has_port(port), "{probe}");
    }
    assert!(runtime.steps.contains(&crate::dockerfile::Step::Expose(8083)));
    for service in documents.iter().filter(|document| document["kind"] == "Service") {
        assert_eq!(service["spec"]["selector"], template["metadata"]["labels"]);
        for port in items(&service["spec"]["ports"]) {
            assert!(has_port(&port["targetPort"]), "{port}");
        }
    }
}

#[test]
fn mirror_makers_manifest_runs_the_image() {
    let documents = manifest::read(&repository().join("docker/kubernetes/mirror-maker.yaml"));
    let (deployment, config) = (of_kind(&documents, "Deployment"), of_kind(&documents, "ConfigMap"));
    check_pod(&documents, deployment);
    let pod = &deployment["spec"]["template"]["spec"];
    let [mount] = items(&pod["containers"][0]["volumeMounts"]) else {
        panic!("one mount")
    };
    let [volume] = items(&pod["volumes"]) else {
        panic!("one volume")
    };
    assert_eq!(mount["name"], volume["name"]);
    assert_eq!(volume["configMap"]["name"], config["metadata"]["name"]);
    let files = config["data"].as_object().expect("files");
    let [(name, lines)] = &files.iter().collect::<Vec<_>>()[..] else {
        panic!("one file")
    };
    assert_eq!(
        format!("{}/{name}", text(&mount["mountPath"])),
        FILE,
        "where the entry point looks"
    );
    let is_read_only = pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] == true;
    assert!(is_read_only);
    if !can_enter() {
        return;
    }

    let (image, network) = (Image::build("pod-mirror-maker"), Network::new("pod-mirror-maker"));
    image.write(FILE, text(lines));
    let mut container = image.start(&network, "pod-mirror-maker", &Options::default().read_only());
    container.process.wait_for_line("the REST server is ready", SOON);
    // The probes' places: alive, and not ready while the clusters are away.
    for (path, code) in [("8083/", "200"), ("8083/health", "5"), ("9464/metrics", "200")] {
        let url = format!("http://127.0.0.1:{path}");
        let (_, said) = image.exec(
            &container,
            &[
                "curl",
                "--silent",
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
                &url,
            ],
        );
        assert!(said.starts_with(code), "{url}: {said}");
    }
    let log = container.process.log();
    assert!(!log.contains("Unknown key") && !log.contains("did you mean"), "{log}");
    assert_stops(&mut container);
}

#[test]
fn the_workers_manifest_configures_them_by_their_environment() {
    let documents = manifest::read(&repository().join("docker/kubernetes/connect-distributed.yaml"));
    let (workers, config) = (of_kind(&documents, "StatefulSet"), of_kind(&documents, "ConfigMap"));
    check_pod(&documents, workers);
    let pod = &workers["spec"]["template"]["spec"];
    assert_eq!(
        pod["enableServiceLinks"], false,
        "the service's name begins like the settings"
    );
    let container = &pod["containers"][0];
    assert_eq!(
        container["envFrom"][0]["configMapRef"]["name"],
        config["metadata"]["name"]
    );
    let headless = of_kind(&documents, "Service");
    assert_eq!(headless["spec"]["clusterIP"], "None");
    assert_eq!(workers["spec"]["serviceName"], headless["metadata"]["name"]);
    let host = items(&container["env"])
        .iter()
        .find(|env| env["name"] == "CONNECT_REST_ADVERTISED_HOST_NAME");
    let host = text(&host.expect("an address for the other workers")["value"]);
    assert_eq!(host, format!("$(POD_NAME).{}", text(&headless["metadata"]["name"])));
    if !can_enter() {
        return;
    }

    let (image, network) = (Image::build("pod-connect"), Network::new("pod-connect"));
    let mut options = Options::default()
        .read_only()
        .env("CONNECT_REST_ADVERTISED_HOST_NAME", "connect-0.connect-workers");
    for (name, value) in config["data"].as_object().expect("settings") {
        options = options.env(name, text(value));
    }
    let mut container = image.start(&network, "pod-connect", &options);
    container
        .process
        .wait_for_line("destination-kafka-bootstrap:9092", SOON);
    let log = container.process.log();
    assert!(!log.contains("Unknown key"), "{log}");
    assert_stops(&mut container);
}

#[test]
fn the_compose_file_has_the_exercises_services() {
    let documents = manifest::read(&repository().join("docker/docker-compose.yml"));
    let services = documents[0]["services"].as_object().expect("services");
    let names: Vec<&String> = services.keys().collect();
    assert_eq!(names, ["kafka-source", "kafka-destination", "mirrormaker2", "kafka-ui"]);
    for (name, service) in services {
        assert_eq!(&service["container_name"], name);
        for other in items(&service["depends_on"]) {
            assert!(services.contains_key(text(other)), "{other}");
        }
    }
    let ports = |name: &str| text(&services[name]["ports"][0]).to_owned();
    assert_eq!(ports("kafka-source"), "9092:9092");
    assert_eq!(ports("kafka-destination"), "9093:9093");
    assert_eq!(ports("kafka-ui"), "8080:8080");

    // Who asks a broker inside asks for what it calls itself there.
    let path = repository().join("docker/mirrormaker2.properties");
    let file = std::fs::read_to_string(path).expect("it lies beside the compose file");
    for (index, cluster) in ["source", "destination"].into_iter().enumerate() {
        let advertised = text(&services[&format!("kafka-{cluster}")]["environment"]["KAFKA_ADVERTISED_LISTENERS"]);
        let inside = advertised
            .split(',')
            .find_map(|listener| listener.strip_prefix("INTERNAL://"));
        let inside = inside.expect("a listener for the others");
        assert!(
            file.contains(&format!("\n{cluster}.bootstrap.servers = {inside}\n")),
            "{inside}"
        );
        let ui = &services["kafka-ui"]["environment"];
        assert_eq!(ui[format!("KAFKA_CLUSTERS_{index}_NAME")], cluster);
        assert_eq!(ui[format!("KAFKA_CLUSTERS_{index}_BOOTSTRAPSERVERS")], inside);
    }
    let build = &services["mirrormaker2"]["build"];
    let context = repository().join("docker").join(text(&build["context"]));
    assert!(context.join(text(&build["dockerfile"])).is_file());
}
