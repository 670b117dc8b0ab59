//! CreateAcls, versions 1 to 3. Entries are stored, never enforced.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::{CreateAclsRequest, CreateAclsResponse};

use super::describe_acls::NO_AUTHORIZER;
use super::{Call, text};
use crate::acl::Acl;
use crate::state::State;

pub(super) fn handle(state: &mut State, _: &Call<'_>, request: CreateAclsRequest) -> CreateAclsResponse {
    if !state.settings.acls_enabled {
        return refused(request, E::SecurityDisabled, NO_AUTHORIZER);
    }
    let mut response = CreateAclsResponse::default();
    for creation in request.creations {
        state.acls.add(Acl {
            resource_type: creation.resource_type,
            resource_name: creation.resource_name.to_string(),
            pattern_type: creation.resource_pattern_type,
            principal: creation.principal.to_string(),
            host: creation.host.to_string(),
            operation: creation.operation,
            permission: creation.permission_type,
        });
        response
            .results
            .push(AclCreationResult::default().with_error_message(None));
    }
    response
}

pub(super) fn refuse(request: CreateAclsRequest, error: E) -> CreateAclsResponse {
    refused(request, error, &error.to_string())
}

fn refused(request: CreateAclsRequest, error: E, why: &str) -> CreateAclsResponse {
    let result = AclCreationResult::default()
        .with_error_code(error.code())
        .with_error_message(Some(text(why)));
    CreateAclsResponse::default().with_results(vec![result; request.creations.len()])
}
