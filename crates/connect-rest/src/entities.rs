//! The API's JSON: what it takes and what it answers, members in Kafka's order.

mod answers;
mod requests;

pub(crate) use self::{
    answers::{ConnectorInfo, ConnectorOffsets, ConnectorStateInfo, Message, ServerInfo, TaskInfo, TaskState},
    requests::{ConnectorConfig, CreateConnectorRequest, LoggerLevel, OffsetsRequest, TaskConfigs, read},
};
