use std::collections::BTreeSet;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest, create_acls_request::AclCreation,
        delete_acls_request::DeleteAclsFilter,
    },
};

use super::{Error, PATIENCE, TestClient, check, string};
use crate::deadline::wait_until;

/// Who everybody is where nobody has to log in.
const ANYBODY: &str = "User:ANONYMOUS";
const ANY: i8 = 1;
const ANY_HOST: &str = "*";

/// What an ACL is about. The numbers are those of the wire, here and below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// A topic.
    Topic = 2,
    /// A group.
    Group = 3,
    /// The cluster; its name is `kafka-cluster`.
    Cluster = 4,
    /// A transaction.
    TransactionalId = 5,
}

/// How the name of an ACL is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// This name, or all with `*`.
    Literal = 3,
    /// All names that begin so.
    Prefixed = 4,
}

/// What is allowed or forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "Kafka's words")]
pub enum Operation {
    All = 2,
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    DescribeConfigs = 10,
    AlterConfigs = 11,
}

/// An ACL, for all hosts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    /// On what, with [`Acl::name`].
    pub resource: Resource,
    /// On which.
    pub name: String,
    /// How the name is meant.
    pub pattern: Pattern,
    /// Who, such as `User:alice`.
    pub principal: String,
    /// What as a number, because a broker may list some that have no name here.
    pub operation: i8,
    /// Allowed, or forbidden.
    pub allow: bool,
}

impl Acl {
    /// Anybody may do this.
    pub fn allow(resource: Resource, name: &str, operation: Operation) -> Self {
        Self {
            resource,
            name: name.to_owned(),
            pattern: Pattern::Literal,
            principal: ANYBODY.to_owned(),
            operation: operation as i8,
            allow: true,
        }
    }

    /// Nobody may do this. The first ACL on a resource also takes away what nobody had to be allowed before.
    pub fn deny(resource: Resource, name: &str, operation: Operation) -> Self {
        Self {
            allow: false,
            ..Self::allow(resource, name, operation)
        }
    }

    /// For this principal instead of anybody.
    pub fn of(mut self, principal: &str) -> Self {
        self.principal = principal.to_owned();
        self
    }

    /// For all names that begin so.
    pub fn prefixed(mut self) -> Self {
        self.pattern = Pattern::Prefixed;
        self
    }
}

impl TestClient {
    /// Creates ACLs, and waits until the broker knows of them.
    pub fn create_acls(&mut self, acls: &[Acl]) {
        self.create_unseen_acls(acls);
        wait_until("new ACLs to be known", PATIENCE, || {
            let known = self.acls();
            acls.iter().all(|acl| known.contains(acl)).then_some(())
        });
    }

    /// Creates ACLs after which this client may not list them any more.
    pub fn create_unseen_acls(&mut self, acls: &[Acl]) {
        let creations = acls.iter().map(|acl| {
            AclCreation::default()
                .with_resource_type(acl.resource as i8)
                .with_resource_name(string(&acl.name))
                .with_resource_pattern_type(acl.pattern as i8)
                .with_principal(string(&acl.principal))
                .with_host(string(ANY_HOST))
                .with_operation(acl.operation)
                .with_permission_type(if acl.allow { 3 } else { 2 })
        });
        let request = CreateAclsRequest::default().with_creations(creations.collect());
        self.persist("create ACLs", |client| {
            let controller = client.controller()?;
            let response = client.call(&controller, 2, &request)?;
            let mut results = response.results.iter();
            results.try_for_each(|result| check(result.error_code, || format!("{:?}", result.error_message)))
        });
    }

    /// Deletes ACLs, and waits until the broker has forgotten them.
    pub fn delete_acls(&mut self, acls: &[Acl]) {
        self.ask_to_delete(acls);
        wait_until("deleted ACLs to be forgotten", PATIENCE, || {
            let known = self.acls();
            (!acls.iter().any(|acl| known.contains(acl))).then_some(())
        });
    }

    fn ask_to_delete(&mut self, acls: &[Acl]) {
        let filters = acls.iter().map(|acl| {
            DeleteAclsFilter::default()
                .with_resource_type_filter(acl.resource as i8)
                .with_resource_name_filter(Some(string(&acl.name)))
                .with_pattern_type_filter(acl.pattern as i8)
                .with_principal_filter(Some(string(&acl.principal)))
                .with_host_filter(Some(string(ANY_HOST)))
                .with_operation(acl.operation)
                .with_permission_type(if acl.allow { 3 } else { 2 })
        });
        let request = DeleteAclsRequest::default().with_filters(filters.collect());
        self.persist("delete ACLs", |client| {
            let controller = client.controller()?;
            let response = client.call(&controller, 2, &request)?;
            let mut results = response.filter_results.iter();
            results.try_for_each(|result| check(result.error_code, || format!("{:?}", result.error_message)))
        });
    }

    /// The ACLs, in order.
    pub fn acls(&mut self) -> BTreeSet<Acl> {
        let request = DescribeAclsRequest::default()
            .with_resource_type_filter(ANY)
            .with_resource_name_filter(None)
            .with_pattern_type_filter(ANY)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(ANY)
            .with_permission_type(ANY);
        self.persist("describe ACLs", |client| {
            let response = client.call_any(2, &request)?;
            // Who has just been given the right back waits until the broker knows.
            if response.error_code == ResponseError::ClusterAuthorizationFailed.code() {
                return Err(Error::NotYet("the right to describe ACLs"));
            }
            check(response.error_code, || "describe ACLs".to_owned())?;
            let mut acls = BTreeSet::new();
            for found in response.resources {
                let resource = match found.resource_type {
                    2 => Resource::Topic,
                    3 => Resource::Group,
                    4 => Resource::Cluster,
                    5 => Resource::TransactionalId,
                    _ => continue,
                };
                let pattern = match found.pattern_type {
                    4 => Pattern::Prefixed,
                    _ => Pattern::Literal,
                };
                acls.extend(found.acls.iter().map(|acl| Acl {
                    resource,
                    name: found.resource_name.to_string(),
                    pattern,
                    principal: acl.principal.to_string(),
                    operation: acl.operation,
                    allow: acl.permission_type == 3,
                }));
            }
            Ok(acls)
        })
    }
}
