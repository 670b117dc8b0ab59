//! DeleteAcls, versions 1 to 3.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use kafka_protocol::messages::{DeleteAclsRequest, DeleteAclsResponse};

use super::describe_acls::NO_AUTHORIZER;
use super::{Call, text};
use crate::acl::{Acl, AclEntry, AclFilter};
use crate::state::State;

pub(super) fn handle(state: &mut State, _: &Call<'_>, request: DeleteAclsRequest) -> DeleteAclsResponse {
    if !state.settings.acls_enabled {
        return refused(request, E::SecurityDisabled, NO_AUTHORIZER);
    }
    let results = request.filters.into_iter().map(|filter| {
        let deleted = state.acls.delete(&read(filter));
        DeleteAclsFilterResult::default()
            .with_error_message(None)
            .with_matching_acls(deleted.into_iter().map(written).collect())
    });
    DeleteAclsResponse::default().with_filter_results(results.collect())
}

pub(super) fn refuse(request: DeleteAclsRequest, error: E) -> DeleteAclsResponse {
    refused(request, error, &error.to_string())
}

fn refused(request: DeleteAclsRequest, error: E, why: &str) -> DeleteAclsResponse {
    let result = DeleteAclsFilterResult::default()
        .with_error_code(error.code())
        .with_error_message(Some(text(why)));
    DeleteAclsResponse::default().with_filter_results(vec![result; request.filters.len()])
}

fn read(filter: DeleteAclsFilter) -> AclFilter {
    Acl {
        resource_type: filter.resource_type_filter,
        resource_name: filter.resource_name_filter.map(|text| text.to_string()),
        pattern_type: filter.pattern_type_filter,
        principal: filter.principal_filter.map(|text| text.to_string()),
        host: filter.host_filter.map(|text| text.to_string()),
        operation: filter.operation,
        permission: filter.permission_type,
    }
}

fn written(entry: AclEntry) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl::default()
        .with_error_message(None)
        .with_resource_type(entry.resource_type)
        .with_resource_name(text(&entry.resource_name))
        .with_pattern_type(entry.pattern_type)
        .with_principal(text(&entry.principal))
        .with_host(text(&entry.host))
        .with_operation(entry.operation)
        .with_permission_type(entry.permission)
}
