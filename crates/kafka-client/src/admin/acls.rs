//! DescribeAcls, CreateAcls, DeleteAcls. The codes are Kafka's (`ResourceType`, `PatternType`, `AclOperation`, `AclPermissionType`);
//! a mirror copies them as they are, so they stay numbers, with names for the ones it looks at.

use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};

use super::{Admin, outcome, text};
use crate::error::Error;
use crate::retry::{Retry, is_retriable};

/// Who may, or may not, do what with which resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AclBinding {
    /// `ResourceType`: 2 is a topic.
    pub resource_type: i8,
    /// The resource's name, or the prefix.
    pub resource_name: String,
    /// `PatternType`: 3 literal, 4 prefixed.
    pub pattern_type: i8,
    /// Such as `User:alice`.
    pub principal: String,
    /// The host, or `*`.
    pub host: String,
    /// `AclOperation`: 2 all, 3 read, 4 write.
    pub operation: i8,
    /// `AclPermissionType`: 2 deny, 3 allow.
    pub permission_type: i8,
}

impl AclBinding {
    /// `ResourceType.TOPIC`.
    pub const TOPIC: i8 = 2;
    /// `PatternType.LITERAL`.
    pub const LITERAL: i8 = 3;
    /// `PatternType.PREFIXED`.
    pub const PREFIXED: i8 = 4;
    /// `AclOperation.ALL`.
    pub const ALL: i8 = 2;
    /// `AclOperation.READ`.
    pub const READ: i8 = 3;
    /// `AclOperation.WRITE`.
    pub const WRITE: i8 = 4;
    /// `AclPermissionType.DENY`.
    pub const DENY: i8 = 2;
    /// `AclPermissionType.ALLOW`.
    pub const ALLOW: i8 = 3;
}

/// Which bindings are meant. The default means all (`AclBindingFilter.ANY`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclFilter {
    /// 1: any.
    pub resource_type: i8,
    /// `None`: any.
    pub resource_name: Option<String>,
    /// 1: any; 2: whatever matches the name.
    pub pattern_type: i8,
    /// `None`: any.
    pub principal: Option<String>,
    /// `None`: any.
    pub host: Option<String>,
    /// 1: any.
    pub operation: i8,
    /// 1: any.
    pub permission_type: i8,
}

impl Default for AclFilter {
    fn default() -> Self {
        Self {
            resource_type: 1,
            resource_name: None,
            pattern_type: 1,
            principal: None,
            host: None,
            operation: 1,
            permission_type: 1,
        }
    }
}

impl Admin {
    /// The bindings that the filter means. `SECURITY_DISABLED` is the answer of a cluster without an authorizer.
    pub async fn describe_acls(&self, filter: &AclFilter) -> Result<Vec<AclBinding>, Error> {
        self.retry("describing ACLs", || self.describe_acls_once(filter)).await
    }

    async fn describe_acls_once(&self, filter: &AclFilter) -> Result<Vec<AclBinding>, Error> {
        let request = DescribeAclsRequest::default()
            .with_resource_type_filter(filter.resource_type)
            .with_resource_name_filter(filter.resource_name.as_deref().map(text))
            .with_pattern_type_filter(filter.pattern_type)
            .with_principal_filter(filter.principal.as_deref().map(text))
            .with_host_filter(filter.host.as_deref().map(text))
            .with_operation(filter.operation)
            .with_permission_type(filter.permission_type);
        let response = self.client.call_any(request).await?;
        outcome(
            response.error_code,
            response.error_message.as_ref(),
            || "describing ACLs".into(),
            (),
        )?;
        let mut bindings = Vec::new();
        for resource in &response.resources {
            for acl in &resource.acls {
                bindings.push(AclBinding {
                    resource_type: resource.resource_type,
                    resource_name: resource.resource_name.to_string(),
                    pattern_type: resource.pattern_type,
                    principal: acl.principal.to_string(),
                    host: acl.host.to_string(),
                    operation: acl.operation,
                    permission_type: acl.permission_type,
                });
            }
        }
        Ok(bindings)
    }

    /// Adds bindings; gives a result for each, in their order. Adding one that is there already succeeds.
    pub async fn create_acls(&self, bindings: &[AclBinding]) -> Result<Vec<Result<(), Error>>, Error> {
        let mut retry = Retry::new(self.client.config());
        loop {
            let error = match self.create_acls_once(bindings).await {
                Ok(results) => {
                    // All are sent again when one may pass, since those that are there already do no harm.
                    let retriable = results
                        .iter()
                        .find_map(|result| result.as_ref().err().filter(|e| is_retriable(e)));
                    match retriable.cloned() {
                        None => return Ok(results),
                        Some(error) => match retry.pause_or_fail("creating ACLs", error).await {
                            Ok(()) => continue,
                            Err(_time_is_up) => return Ok(results),
                        },
                    }
                }
                Err(error) => error,
            };
            retry.pause_or_fail("creating ACLs", error).await?;
        }
    }

    async fn create_acls_once(&self, bindings: &[AclBinding]) -> Result<Vec<Result<(), Error>>, Error> {
        let creation = |binding: &AclBinding| {
            AclCreation::default()
                .with_resource_type(binding.resource_type)
                .with_resource_name(text(&binding.resource_name))
                .with_resource_pattern_type(binding.pattern_type)
                .with_principal(text(&binding.principal))
                .with_host(text(&binding.host))
                .with_operation(binding.operation)
                .with_permission_type(binding.permission_type)
        };
        let request = CreateAclsRequest::default().with_creations(bindings.iter().map(creation).collect());
        let response = self.client.call_controller(request).await?;
        let read = |(binding, result): (
            &AclBinding,
            &kafka_protocol::messages::create_acls_response::AclCreationResult,
        )| {
            let what = || format!("creating an ACL for {} on {}", binding.principal, binding.resource_name);
            outcome(result.error_code, result.error_message.as_ref(), what, ())
        };
        Ok(bindings.iter().zip(&response.results).map(read).collect())
    }

    /// Takes exactly these bindings away; gives a result for each, in their order. Taking away one that is not there
    /// succeeds.
    pub async fn delete_acls(&self, bindings: &[AclBinding]) -> Result<Vec<Result<(), Error>>, Error> {
        self.retry("deleting ACLs", || self.delete_acls_once(bindings)).await
    }

    async fn delete_acls_once(&self, bindings: &[AclBinding]) -> Result<Vec<Result<(), Error>>, Error> {
        let filter = |binding: &AclBinding| {
            DeleteAclsFilter::default()
                .with_resource_type_filter(binding.resource_type)
                .with_resource_name_filter(Some(text(&binding.resource_name)))
                .with_pattern_type_filter(binding.pattern_type)
                .with_principal_filter(Some(text(&binding.principal)))
                .with_host_filter(Some(text(&binding.host)))
                .with_operation(binding.operation)
                .with_permission_type(binding.permission_type)
        };
        let request = DeleteAclsRequest::default().with_filters(bindings.iter().map(filter).collect());
        let response = self.client.call_controller(request).await?;
        let results = bindings.iter().zip(&response.filter_results).map(|(binding, result)| {
            let what = || format!("deleting an ACL for {} on {}", binding.principal, binding.resource_name);
            let of_bindings = result
                .matching_acls
                .iter()
                .map(|acl| (acl.error_code, acl.error_message.as_ref()));
            let mut answers = std::iter::once((result.error_code, result.error_message.as_ref())).chain(of_bindings);
            answers.try_for_each(|(code, message)| outcome(code, message, what, ()))
        });
        Ok(results.collect())
    }
}
