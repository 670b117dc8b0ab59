use std::sync::Arc;

use crate::{BoxFuture, ConnectError, JsonMap, Props, SourceTask};

/// How a connector reaches the worker that runs it. Calls return at once: they enqueue an event.
pub trait ConnectorContext: Send + Sync {
    /// Asks the worker to call [`SourceConnector::task_configs`] again and to restart tasks if the answer changed.
    fn request_task_reconfiguration(&self);
    /// Fails the connector from one of its background jobs.
    fn raise_error(&self, error: ConnectError);
}

/// Decides what is to be copied and how it is shared between tasks (Java's `SourceConnector`).
pub trait SourceConnector: Send {
    /// Starts background jobs and loads what `task_configs` needs. `props` is the connector's configuration with its
    /// variables resolved. The worker drops the future when the connector is to stop meanwhile, and calls `stop`; an
    /// error marked retriable is followed by `stop` and another `start`, any other fails the connector.
    fn start(&mut self, props: Props, context: Arc<dyn ConnectorContext>) -> BoxFuture<'_, Result<(), ConnectError>>;
    /// The configuration of each task, at most `max_tasks` of them. Called whenever the connector asks for it.
    fn task_configs(&mut self, max_tasks: usize) -> Result<Vec<Props>, ConnectError>;
    /// A task, not yet started. Also called on connectors that were never started: tasks may run where their connector
    /// does not.
    fn new_task(&self) -> Box<dyn SourceTask>;
    /// The Java class name of the tasks, for their configuration (`task.class`).
    fn task_class(&self) -> &'static str;
    /// Someone wants other offsets stored, or forgotten (`None`), while the connector is stopped; `config` is the
    /// connector's, its variables resolved. An error says what is wrong with them. Answers whether the connector has done
    /// all that there is to do: `false` says that it cannot know, being the default (Java's `alterOffsets`).
    fn alter_offsets(&self, config: &Props, offsets: &[(JsonMap, Option<JsonMap>)]) -> Result<bool, ConnectError> {
        let _ = (config, offsets);
        Ok(false)
    }
    /// Ends the background jobs; does nothing when none run. The connector may be started again afterwards.
    fn stop(&mut self) -> BoxFuture<'_, ()>;
}
