# SPDX-License-Identifier: Apache-2.0
"""Which function answers which operation. One without a row is refused, like any that moto lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import (
    access_control_attributes,
    assignment_queries,
    assignments,
    attached_policies,
    groups,
    inline_policy,
    instance,
    memberships,
    permission_sets,
    permissions_boundary,
    provisioning,
    stores,
    tagging,
    users,
)

#: Takes the caller, an instance or an identity store, and the request; gives the members of the response.
Handler = Callable[[Any, dict[str, Any]], dict[str, Any]]

OF_CALLER: dict[str, dict[str, Handler]] = {
    "sso-admin": {
        "ListInstances": instance.list_instances,
        "CreateInstance": instance.create_instance,
    },
    "identitystore": {"ListIdentityStores": stores.list_stores},
}

OF_INSTANCE: dict[str, Handler] = {
    "DescribeInstance": instance.describe_instance,
    "DeleteInstance": instance.delete_instance,
    "UpdateInstance": instance.update_instance,
    "ListRegions": instance.list_regions,
    "CreateInstanceAccessControlAttributeConfiguration": access_control_attributes.create,
    "DescribeInstanceAccessControlAttributeConfiguration": access_control_attributes.describe,
    "CreatePermissionSet": permission_sets.create,
    "DescribePermissionSet": permission_sets.describe,
    "UpdatePermissionSet": permission_sets.update,
    "DeletePermissionSet": permission_sets.delete,
    "ListPermissionSets": permission_sets.list_arns,
    "AttachManagedPolicyToPermissionSet": attached_policies.attach_managed,
    "DetachManagedPolicyFromPermissionSet": attached_policies.detach_managed,
    "ListManagedPoliciesInPermissionSet": attached_policies.list_managed,
    "AttachCustomerManagedPolicyReferenceToPermissionSet": attached_policies.attach_customer,
    "DetachCustomerManagedPolicyReferenceFromPermissionSet": attached_policies.detach_customer,
    "ListCustomerManagedPolicyReferencesInPermissionSet": attached_policies.list_customer,
    "PutInlinePolicyToPermissionSet": inline_policy.put,
    "GetInlinePolicyForPermissionSet": inline_policy.get,
    "DeleteInlinePolicyFromPermissionSet": inline_policy.delete,
    "PutPermissionsBoundaryToPermissionSet": permissions_boundary.put,
    "GetPermissionsBoundaryForPermissionSet": permissions_boundary.get,
    "DeletePermissionsBoundaryFromPermissionSet": permissions_boundary.delete,
    "TagResource": tagging.tag,
    "UntagResource": tagging.untag,
    "ListTagsForResource": tagging.list_tags,
    "CreateAccountAssignment": assignments.create,
    "DeleteAccountAssignment": assignments.delete,
    "DescribeAccountAssignmentCreationStatus": assignment_queries.describe_creation,
    "DescribeAccountAssignmentDeletionStatus": assignment_queries.describe_deletion,
    "ListAccountAssignmentCreationStatus": assignment_queries.list_creations,
    "ListAccountAssignmentDeletionStatus": assignment_queries.list_deletions,
    "ListAccountAssignments": assignment_queries.list_for_account,
    "ListAccountAssignmentsForPrincipal": assignment_queries.list_for_principal,
    "ProvisionPermissionSet": provisioning.provision,
    "DescribePermissionSetProvisioningStatus": provisioning.describe_status,
    "ListPermissionSetProvisioningStatus": provisioning.list_statuses,
    "ListPermissionSetsProvisionedToAccount": provisioning.list_permission_sets,
    "ListAccountsForProvisionedPermissionSet": provisioning.list_accounts,
}

OF_STORE: dict[str, Handler] = {
    "DescribeIdentityStore": stores.describe,
    "CreateUser": users.create,
    "DescribeUser": users.describe,
    "UpdateUser": users.update,
    "DeleteUser": users.delete,
    "ListUsers": users.list_users,
    "GetUserId": users.get_id,
    "CreateGroup": groups.create,
    "DescribeGroup": groups.describe,
    "UpdateGroup": groups.update,
    "DeleteGroup": groups.delete,
    "ListGroups": groups.list_groups,
    "GetGroupId": groups.get_id,
    "CreateGroupMembership": memberships.create,
    "DescribeGroupMembership": memberships.describe,
    "DeleteGroupMembership": memberships.delete,
    "GetGroupMembershipId": memberships.get_id,
    "ListGroupMemberships": memberships.list_of_group,
    "ListGroupMembershipsForMember": memberships.list_of_member,
    "IsMemberInGroups": memberships.is_member,
}
