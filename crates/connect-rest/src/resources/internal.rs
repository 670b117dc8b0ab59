//! What workers ask each other. The herder checks who asks.

use std::sync::Arc;

use super::{Answer, Api, Call, Failure};
use crate::entities::{TaskConfigs, read};

pub(super) async fn put_task_configs(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let TaskConfigs(tasks) = read(&call.body)?;
    let tasks = tasks.into_iter().map(|config| config.0).collect();
    api.herder
        .put_task_configs(call.path("connector"), tasks, call.internal())
        .await?;
    Ok(Answer::empty(204))
}

pub(super) async fn fence_zombies(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    api.herder
        .fence_zombies(call.path("connector"), call.internal())
        .await?;
    Ok(Answer::empty(204))
}
