# SPDX-License-Identifier: Apache-2.0
"""The resources that each AWS action acts on, as patterns of ARNs. Data.

Source: the Service Authorization Reference, "Actions, resources, and condition keys" for IAM, IAM Identity Center,
Identity Store. An action that is not listed here has no resource type there, or is not of this package: ``*``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS, ON_USER

ANYTHING = "*"

_USER, _GROUP = (f"arn:{{partition}}:iam::{{account}}:{each}" for each in (ON_USER, "group/*"))
#: AWS-managed policies are of the account ``aws``.
_POLICY = "arn:{partition}:iam::*:policy/*"
_INSTANCE = "arn:{partition}:sso:::instance/*"
_PERMISSION_SET = "arn:{partition}:sso:::permissionSet/*"
_ACCOUNT = "arn:{partition}:sso:::account/*"
#: The store is of the account that owns the instance, which is another one for a delegated administrator.
_STORE = "arn:{partition}:identitystore::*:identitystore/*"
_PERSON, _PEOPLE_GROUP, _MEMBERSHIP = (
    f"arn:{{partition}}:identitystore:::{each}/*" for each in ("user", "group", "membership")
)


def _of_kinds() -> Iterator[tuple[str, tuple[str, ...]]]:
    """The actions on attachments of users."""
    for kind in ATTACHMENT_KINDS:
        for operation in kind.reads | kind.switching:
            # ListServiceSpecificCredentials of all users names no user.
            yield operation, (ANYTHING if operation in kind.reads_of_all else _USER,)
        for part in (*kind.removals, kind.restoration):
            if part:
                yield part.operation, (f"arn:{{partition}}:iam::{{account}}:{part.resource}",)


def _table(service: str, rows: Mapping[tuple[str, ...], str]) -> Mapping[str, tuple[str, ...]]:
    return {f"{service}:{name}": resources for resources, names in rows.items() for name in names.split()}


_RESOURCES: Mapping[str, tuple[str, ...]] = {
    **{f"iam:{operation}": resources for operation, resources in _of_kinds()},
    **_table(
        "iam",
        {
            (_USER,): (
                "CreateUser DeleteUser DeleteUserPermissionsBoundary GetAccessKeyLastUsed GetUser "
                "PutUserPermissionsBoundary TagUser UntagUser"
            ),
            (_GROUP,): (
                "AttachGroupPolicy CreateGroup GetGroup GetGroupPolicy ListAttachedGroupPolicies ListGroupPolicies "
                "PutGroupPolicy"
            ),
            (_POLICY,): "GetPolicy GetPolicyVersion",
        },
    ),
    **_table(
        "sso",
        {
            (_INSTANCE,): (
                "DescribeAccountAssignmentCreationStatus DescribeAccountAssignmentDeletionStatus DescribeInstance "
                "DescribeInstanceAccessControlAttributeConfiguration DescribePermissionSetProvisioningStatus "
                "ListAccountAssignmentCreationStatus ListAccountAssignmentDeletionStatus "
                "ListAccountAssignmentsForPrincipal ListPermissionSetProvisioningStatus ListPermissionSets"
            ),
            (_ACCOUNT, _INSTANCE): "ListPermissionSetsProvisionedToAccount",
            (_INSTANCE, _PERMISSION_SET): (
                "AttachCustomerManagedPolicyReferenceToPermissionSet AttachManagedPolicyToPermissionSet "
                "CreatePermissionSet DeleteInlinePolicyFromPermissionSet DeletePermissionSet "
                "DeletePermissionsBoundaryFromPermissionSet DescribePermissionSet "
                "DetachCustomerManagedPolicyReferenceFromPermissionSet "
                "DetachManagedPolicyFromPermissionSet GetInlinePolicyForPermissionSet "
                "GetPermissionsBoundaryForPermissionSet ListAccountsForProvisionedPermissionSet "
                "ListCustomerManagedPolicyReferencesInPermissionSet ListManagedPoliciesInPermissionSet "
                "ListTagsForResource PutInlinePolicyToPermissionSet PutPermissionsBoundaryToPermissionSet "
                "TagResource UpdatePermissionSet"
            ),
            (_ACCOUNT, _INSTANCE, _PERMISSION_SET): (
                "CreateAccountAssignment DeleteAccountAssignment ListAccountAssignments ProvisionPermissionSet"
            ),
        },
    ),
    **_table(
        "identitystore",
        {
            (_STORE,): "CreateGroup CreateUser",
            (_STORE, _PERSON): "DeleteUser DescribeUser GetUserId ListUsers",
            (_STORE, _PEOPLE_GROUP): "DeleteGroup DescribeGroup GetGroupId ListGroups",
            (_STORE, _PEOPLE_GROUP, _PERSON): "CreateGroupMembership",
            (_STORE, _PEOPLE_GROUP, _MEMBERSHIP): "ListGroupMemberships",
            (_STORE, _MEMBERSHIP, _PERSON): "ListGroupMembershipsForMember",
            (_STORE, _PEOPLE_GROUP, _MEMBERSHIP, _PERSON): "DeleteGroupMembership GetGroupMembershipId",
        },
    ),
}


def resources_of(action: str, account_id: str, partition: str) -> tuple[str, ...]:
    """The patterns of the resources of ``action``, in this order in a policy. ``account_id``: can be ``*``."""
    found = _RESOURCES.get(action, (ANYTHING,))
    return tuple(each.format(account=account_id, partition=partition) for each in found)


def of_instance(policy: Mapping[str, Any], instance: str = "", identity_store: str = "") -> dict[str, Any]:
    """``policy`` for this instance of Identity Center (its ARN) and this store (its id) alone; empty for any."""
    text, name = json.dumps(policy), instance.rpartition("/")[2]
    if instance:
        text = text.replace(":::instance/*", f":::instance/{name}")
        text = text.replace(":::permissionSet/*", f":::permissionSet/{name}/*")
    if identity_store:
        text = text.replace(":identitystore/*", f":identitystore/{identity_store}")
    found: dict[str, Any] = json.loads(text)
    return found
