//! DescribeAcls, versions 1 to 3. Without an authorizer the answer is SECURITY_DISABLED, as from Kafka.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use kafka_protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};

use super::{Call, text};
use crate::acl::Acl;
use crate::state::State;

pub(super) const NO_AUTHORIZER: &str = "No Authorizer is configured.";

pub(super) fn handle(state: &mut State, _: &Call<'_>, request: DescribeAclsRequest) -> DescribeAclsResponse {
    if !state.settings.acls_enabled {
        return refuse(request, E::SecurityDisabled).with_error_message(Some(text(NO_AUTHORIZER)));
    }
    let string = |filter: Option<kafka_protocol::protocol::StrBytes>| filter.map(|text| text.to_string());
    let filter = Acl {
        resource_type: request.resource_type_filter,
        resource_name: string(request.resource_name_filter),
        pattern_type: request.pattern_type_filter,
        principal: string(request.principal_filter),
        host: string(request.host_filter),
        operation: request.operation,
        permission: request.permission_type,
    };
    let mut resources: Vec<DescribeAclsResource> = Vec::new();
    for entry in state.acls.matching(&filter) {
        let resource = DescribeAclsResource::default()
            .with_resource_type(entry.resource_type)
            .with_resource_name(text(&entry.resource_name))
            .with_pattern_type(entry.pattern_type);
        let acl = AclDescription::default()
            .with_principal(text(&entry.principal))
            .with_host(text(&entry.host))
            .with_operation(entry.operation)
            .with_permission_type(entry.permission);
        let same = |known: &&mut DescribeAclsResource| {
            known.resource_type == resource.resource_type
                && known.resource_name == resource.resource_name
                && known.pattern_type == resource.pattern_type
        };
        match resources.iter_mut().find(same) {
            Some(known) => known.acls.push(acl),
            None => resources.push(resource.with_acls(vec![acl])),
        }
    }
    DescribeAclsResponse::default()
        .with_error_message(None)
        .with_resources(resources)
}

pub(super) fn refuse(_: DescribeAclsRequest, error: E) -> DescribeAclsResponse {
    DescribeAclsResponse::default()
        .with_error_code(error.code())
        .with_error_message(Some(text(&error.to_string())))
}
