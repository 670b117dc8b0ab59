//! `GET /connectors?expand=…` always says what each connector says of itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, http::Request};
use connect_runtime::{
    herder::{
        ConnectorInfo, ConnectorKind, ConnectorStateInfo, RequestError, StateInfo,
        scripted::{Request as Asked, ScriptedHerder, scripted},
    },
    worker::{ConnectorTaskId, State},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::support::{AnyConnector, send, text};
use crate::resources::{self, Api, Part};

type Known = Arc<Mutex<BTreeMap<String, (ConnectorInfo, Option<ConnectorStateInfo>)>>>;

fn connector(name: &str, topics: &str, state: State) -> (ConnectorInfo, Option<ConnectorStateInfo>) {
    let config = [("name", name), ("topics", topics), ("x.password", "geheim")];
    let config = config.map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
    let info = ConnectorInfo {
        name: name.to_owned(),
        config: Arc::new(config.into()),
        tasks: vec![ConnectorTaskId::new(name, 0)],
        kind: ConnectorKind::Source,
    };
    let status = ConnectorStateInfo {
        name: name.to_owned(),
        connector: status(State::Running),
        tasks: vec![(0, status(state))],
        kind: ConnectorKind::Source,
    };
    (info, Some(status))
}

fn status(state: State) -> Arc<StateInfo> {
    Arc::new(StateInfo {
        state,
        worker_id: "w:8083".to_owned(),
        version: Some("4.3.1".to_owned()),
        trace: None,
    })
}

async fn answer(mut herder: ScriptedHerder, known: Known) {
    let missing = |name: &str| RequestError::NotFound(format!("{name} is not there"));
    while let Some(asked) = herder.next().await {
        let known = known.lock().expect("no panic");
        match asked {
            Asked::ConnectorInfos(reply) => {
                let infos = known.values().map(|(info, _)| info.clone());
                drop(reply.send(Ok(infos.collect())));
            }
            Asked::Statuses(reply) => {
                let statuses = known.values().filter_map(|(_, status)| status.clone());
                drop(reply.send(Ok(statuses.collect())));
            }
            Asked::ConnectorInfo { name, reply } => {
                let info = known.get(&name).map(|(info, _)| info.clone());
                drop(reply.send(info.ok_or_else(|| missing(&name))));
            }
            Asked::Status { name, reply } => {
                let status = known.get(&name).and_then(|(_, status)| status.clone());
                drop(reply.send(status.ok_or_else(|| missing(&name))));
            }
            _ => {}
        }
    }
}

async fn get(router: &Router, path: &str) -> Value {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    serde_json::from_str(&text(send(router, request).await).await).expect("JSON")
}

/// What is asked for of all at once, twice, is what each is asked for; `names` have both.
async fn check(router: &Router, names: &[&str]) {
    for _ in 0..2 {
        let all = get(router, "/connectors?expand=info&expand=status").await;
        let mut each = json!({});
        for name in names {
            let info = get(router, &format!("/connectors/{name}")).await;
            let status = get(router, &format!("/connectors/{name}/status")).await;
            each[name] = json!({"info": info, "status": status});
        }
        assert_eq!(all, each);
    }
}

#[tokio::test]
async fn what_is_told_of_all_is_never_older_than_what_is_told_of_one() {
    for masks_secrets in [false, true] {
        let (handle, herder) = scripted(Arc::new(AnyConnector));
        let known = Known::default();
        let mut answering = JoinSet::new();
        answering.spawn(answer(herder, known.clone()));
        let api = Arc::new(Api {
            masks_secrets,
            ..Api::of_flow(handle)
        });
        let router = resources::router(&api, Part::All);
        check(&router, &[]).await;

        let put = |name: &str, connector| known.lock().expect("no panic").insert(name.to_owned(), connector);
        put("a", connector("a", "t", State::Running));
        put("b", connector("b", "t", State::Running));
        check(&router, &["a", "b"]).await;
        let shown = get(&router, "/connectors?expand=info").await["a"]["info"]["config"]["x.password"].clone();
        assert_eq!(shown, if masks_secrets { "[hidden]" } else { "geheim" });

        put("a", connector("a", "t", State::Failed));
        check(&router, &["a", "b"]).await;
        put("b", connector("b", "more", State::Running));
        check(&router, &["a", "b"]).await;
        // Only a password is another.
        if let Some((info, _)) = known.lock().expect("no panic").get_mut("b") {
            let secret = Some("anders".to_owned());
            Arc::make_mut(&mut info.config).insert("x.password".to_owned(), secret);
        }
        check(&router, &["a", "b"]).await;
        // Restarted: nothing but a task's status moves, and back.
        for state in [State::Restarting, State::Running] {
            if let Some((_, Some(of_b))) = known.lock().expect("no panic").get_mut("b") {
                of_b.tasks[0].1 = status(state);
            }
            check(&router, &["a", "b"]).await;
        }
        // Deleted and made again with another configuration.
        known.lock().expect("no panic").remove("a");
        check(&router, &["b"]).await;
        put("a", connector("a", "others", State::Unassigned));
        check(&router, &["a", "b"]).await;
        // One without a status is new.
        if let Some((_, status)) = known.lock().expect("no panic").get_mut("a") {
            *status = None;
        }
        check(&router, &["b"]).await;
    }
}
