# SPDX-License-Identifier: Apache-2.0
"""The table of operations and the functions that answer them, and their registration in moto.

Each row becomes a method of moto's response class, under the name by which moto dispatches the operation, so moto
still does the HTTP, the credentials, the routing and the serializing. An operation without a row is refused, like any
other that is not implemented.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores, get_service_model

from aws_local_org.identity_center import (
    assignments,
    asynchronous,
    directory,
    injected_faults,
    instance,
    permission_sets,
    provisioning,
    rules,
    state,
)
from aws_local_org.identity_center.asynchronous import CREATION, DELETION, PROVISIONING
from aws_local_org.identity_center.directory import GROUPS, USERS
from aws_local_org.identity_center.instance import Caller

#: Takes the caller, an instance or an identity store, and the request; gives the members of the response.
Handler = Callable[[Any, dict[str, Any]], dict[str, Any]]

OF_CALLER: dict[str, dict[str, Handler]] = {
    "sso-admin": {
        "ListInstances": instance.list_instances,
        "CreateInstance": instance.create_instance,
    },
    "identitystore": {"ListIdentityStores": instance.list_stores},
}

OF_INSTANCE: dict[str, Handler] = {
    "DescribeInstance": instance.describe_instance,
    "DeleteInstance": instance.delete_instance,
    "UpdateInstance": instance.update_instance,
    "ListRegions": instance.list_regions,
    "CreateInstanceAccessControlAttributeConfiguration": instance.create_access_control_attributes,
    "DescribeInstanceAccessControlAttributeConfiguration": instance.describe_access_control_attributes,
    "CreatePermissionSet": permission_sets.create,
    "DescribePermissionSet": permission_sets.describe,
    "UpdatePermissionSet": permission_sets.update,
    "DeletePermissionSet": permission_sets.delete,
    "ListPermissionSets": permission_sets.list_arns,
    "AttachManagedPolicyToPermissionSet": permission_sets.attach_managed,
    "DetachManagedPolicyFromPermissionSet": permission_sets.detach_managed,
    "ListManagedPoliciesInPermissionSet": permission_sets.list_managed,
    "AttachCustomerManagedPolicyReferenceToPermissionSet": permission_sets.attach_customer,
    "DetachCustomerManagedPolicyReferenceFromPermissionSet": permission_sets.detach_customer,
    "ListCustomerManagedPolicyReferencesInPermissionSet": permission_sets.list_customer,
    "PutInlinePolicyToPermissionSet": permission_sets.put_inline,
    "GetInlinePolicyForPermissionSet": permission_sets.get_inline,
    "DeleteInlinePolicyFromPermissionSet": permission_sets.delete_inline,
    "PutPermissionsBoundaryToPermissionSet": permission_sets.put_boundary,
    "GetPermissionsBoundaryForPermissionSet": permission_sets.get_boundary,
    "DeletePermissionsBoundaryFromPermissionSet": permission_sets.delete_boundary,
    "TagResource": permission_sets.tag,
    "UntagResource": permission_sets.untag,
    "ListTagsForResource": permission_sets.list_tags,
    "CreateAccountAssignment": assignments.create,
    "DeleteAccountAssignment": assignments.delete,
    "DescribeAccountAssignmentCreationStatus": CREATION.describe,
    "DescribeAccountAssignmentDeletionStatus": DELETION.describe,
    "ListAccountAssignmentCreationStatus": CREATION.list_all,
    "ListAccountAssignmentDeletionStatus": DELETION.list_all,
    "ListAccountAssignments": assignments.list_for_account,
    "ListAccountAssignmentsForPrincipal": assignments.list_for_principal,
    "ProvisionPermissionSet": provisioning.provision,
    "DescribePermissionSetProvisioningStatus": PROVISIONING.describe,
    "ListPermissionSetProvisioningStatus": PROVISIONING.list_all,
    "ListPermissionSetsProvisionedToAccount": provisioning.list_permission_sets,
    "ListAccountsForProvisionedPermissionSet": provisioning.list_accounts,
}

OF_STORE: dict[str, Handler] = {
    "DescribeIdentityStore": instance.describe_store,
    "CreateUser": USERS.create,
    "DescribeUser": USERS.describe,
    "UpdateUser": USERS.update,
    "DeleteUser": USERS.delete,
    "ListUsers": USERS.list_all,
    "GetUserId": USERS.get_id,
    "CreateGroup": GROUPS.create,
    "DescribeGroup": GROUPS.describe,
    "UpdateGroup": GROUPS.update,
    "DeleteGroup": GROUPS.delete,
    "ListGroups": GROUPS.list_all,
    "GetGroupId": GROUPS.get_id,
    "CreateGroupMembership": directory.create_membership,
    "DescribeGroupMembership": directory.describe_membership,
    "DeleteGroupMembership": directory.delete_membership,
    "GetGroupMembershipId": directory.get_membership_id,
    "ListGroupMemberships": directory.list_memberships_of_group,
    "ListGroupMembershipsForMember": directory.list_memberships_of_member,
    "IsMemberInGroups": directory.is_member_in_groups,
}


#: The handler's first argument for a caller, an operation and a request.
Resolver = Callable[[Caller, str, dict[str, Any]], Any]


def install(service: str, responses: type[BaseResponse]) -> None:
    """Answer a service's operations from here. service: sso-admin or identitystore."""
    resolve: Resolver = instance.instance_for if service == "sso-admin" else instance.store_for
    bound = OF_INSTANCE if service == "sso-admin" else OF_STORE
    rows: list[tuple[str, Resolver, Handler]] = [
        (name, _caller, handler) for name, handler in OF_CALLER[service].items()
    ]
    rows += [(name, resolve, handler) for name, handler in bound.items()]
    for name, resolver, handler in rows:
        setattr(responses, camelcase_to_underscores(name), _method(service, name, resolver, handler))


def settle_before(responses: type[BaseResponse]) -> None:
    """Also settle before every call of another service, so that it sees the roles that are due."""

    def setup_class(self: BaseResponse, *request: Any, **options: Any) -> None:
        asynchronous.settle()
        super(responses, self).setup_class(*request, **options)

    responses.setup_class = setup_class


def _method(
    service: str, operation: str, resolve: Resolver, handler: Handler
) -> Callable[[BaseResponse], ActionResult]:
    def respond(self: BaseResponse) -> ActionResult:
        # A member that is null counts as absent.
        parameters = {
            name: value for name, value in json.loads(self.body or "{}").items() if value is not None
        }
        with state.lock:
            asynchronous.settle()
            injected_faults.raise_planned(operation)
            rules.check_shape(get_service_model(service).operation_model(operation).input_shape, parameters)
            caller = Caller(self.current_account, self.region)
            return ActionResult(handler(resolve(caller, operation, parameters), parameters))

    return respond


def _caller(caller: Caller, _operation: str, _parameters: dict[str, Any]) -> Caller:
    return caller
