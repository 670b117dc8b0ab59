//! Gives remote topics the ACLs of their sources.

use std::sync::atomic::Ordering;

use connect_api::ConnectError;
use kafka_client::admin::{AclBinding, AclFilter};
use kafka_wire::ErrorCode;

use super::{
    acl_sync::{TopicAcl, could_be_copied, remote_acl, remote_prefixed_acl},
    flow::first_of,
    remote_topics::RemoteTopics,
    topics::PartitionCounts,
};

impl RemoteTopics {
    /// Gives remote topics the ACLs of their sources. Takes away what the sources do not have only if asked to.
    pub(crate) async fn sync_acls(&self, source_topics: &PartitionCounts) -> Result<(), ConnectError> {
        let bindings = match self.source.describe_acls(&of_topics()).await {
            Ok(bindings) => bindings,
            Err(error) if error.code() == Some(ErrorCode::SECURITY_DISABLED) => {
                if !self.acls_are_known_to_be_off.swap(true, Ordering::Relaxed) {
                    tracing::info!("the source has no authorizer: no ACLs to sync");
                }
                return Ok(());
            }
            Err(error) => return Err(ConnectError::caused_by("cannot read the ACLs of the source", error)),
        };
        let remote = bindings
            .into_iter()
            .filter_map(|binding| self.remote_binding(binding, source_topics));
        let remote: Vec<AclBinding> = remote.collect();
        let mut failures = Vec::new();
        if !remote.is_empty() {
            let created = self.target.create_acls(&remote).await;
            let created =
                created.map_err(|error| ConnectError::caused_by("cannot create ACLs on the target", error))?;
            failures.extend(each_failed("create", &remote, created));
        }
        if self.config.own.deletes_acls {
            failures.extend(self.delete_acls_except(&remote).await?);
        }
        first_of(failures)
    }

    /// Deletes the ACLs that this flow could have made and that are not among `wanted`.
    async fn delete_acls_except(&self, wanted: &[AclBinding]) -> Result<Vec<ConnectError>, ConnectError> {
        let present = self.target.describe_acls(&of_topics()).await;
        let mut gone = present.map_err(|error| ConnectError::caused_by("cannot read the ACLs of the target", error))?;
        gone.retain(|binding| {
            let acl = topic_acl(binding.clone());
            let accepts = |topic: &str| self.config.topic_filter.accepts(topic);
            let with_prefixed = self.config.own.syncs_prefixed_acls;
            !wanted.contains(binding) && could_be_copied(&acl, &self.config.rules, with_prefixed, accepts)
        });
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let deleted = self.target.delete_acls(&gone).await;
        let deleted = deleted.map_err(|error| ConnectError::caused_by("cannot delete ACLs on the target", error))?;
        for (binding, _) in gone.iter().zip(&deleted).filter(|(_, result)| result.is_ok()) {
            tracing::info!(
                topic = binding.resource_name,
                principal = binding.principal,
                host = binding.host,
                operation = binding.operation,
                permission = binding.permission_type,
                "deleted an ACL that the source does not have"
            );
        }
        Ok(each_failed("delete", &gone, deleted))
    }

    fn remote_binding(&self, binding: AclBinding, source_topics: &PartitionCounts) -> Option<AclBinding> {
        let acl = topic_acl(binding);
        let rules = &self.config.rules;
        let is_wanted = |topic: &str| self.config.topic_filter.accepts(topic);
        let remote = match acl.pattern {
            AclBinding::PREFIXED if self.config.own.syncs_prefixed_acls => {
                let is_prefix_of_copied = source_topics.keys().any(|topic| topic.starts_with(&acl.topic));
                remote_prefixed_acl(&acl, rules, is_prefix_of_copied)?
            }
            _ => remote_acl(&acl, rules, is_wanted)?,
        };
        Some(AclBinding {
            resource_type: AclBinding::TOPIC,
            resource_name: remote.topic,
            pattern_type: remote.pattern,
            principal: remote.principal,
            host: remote.host,
            operation: remote.operation,
            permission_type: remote.permission,
        })
    }
}

/// The ACLs of all topics.
fn of_topics() -> AclFilter {
    AclFilter {
        resource_type: AclBinding::TOPIC,
        ..AclFilter::default()
    }
}

fn topic_acl(binding: AclBinding) -> TopicAcl {
    TopicAcl {
        topic: binding.resource_name,
        pattern: binding.pattern_type,
        principal: binding.principal,
        host: binding.host,
        operation: binding.operation,
        permission: binding.permission_type,
    }
}

fn each_failed(
    what: &str,
    bindings: &[AclBinding],
    results: Vec<Result<(), kafka_client::Error>>,
) -> Vec<ConnectError> {
    let failed = |(binding, result): (&AclBinding, Result<(), kafka_client::Error>)| {
        let what = format!("cannot {what} an ACL for topic {} on the target", binding.resource_name);
        result.err().map(|error| ConnectError::caused_by(what, error))
    };
    bindings.iter().zip(results).filter_map(failed).collect()
}
