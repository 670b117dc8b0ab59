//! `MirrorSourceConnector`: finds the topics of the source and keeps their remote topics, and its tasks, which copy the
//! records.

pub mod acl_sync;
pub mod assignment;
mod carry;
pub mod config;
pub mod config_sync;
mod connector;
mod copier;
pub(crate) mod discovery;
mod flow;
mod former_topics;
pub(crate) mod limit_metrics;
mod limiter;
mod loss;
pub mod own_config;
mod pace;
mod partition;
pub mod rate_limits;
mod refresh;
mod remote_acls;
mod remote_settings;
mod remote_topics;
mod reverse_flow;
mod task;
mod task_log;
pub mod topic_rules;
mod topics;

pub use connector::{MirrorSourceConnector, SOURCE_TASK_CLASS};
pub use limit_metrics::{LimitKey, LimitSnapshot};
pub use limiter::RateLimiters;
pub use pace::Pace;
