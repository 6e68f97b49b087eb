# SPDX-License-Identifier: Apache-2.0
"""What ``provision-identity-center`` takes, as JSON Schema, and the IAM actions that it needs."""

from __future__ import annotations

from c7n_iamusers.decisions.people import KEYS

_TEXT = {"type": "string", "minLength": 1}
_C7N_KEYS = {"oneOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}

REQUIRED = ["identity-source", "user", "group", "permission-set"]
PROPERTIES = {
    "identity-source": {"enum": ["identity-center", "external"]},
    "role": _TEXT,
    "region": _TEXT,
    "user": {
        "type": "object",
        "additionalProperties": False,
        "required": ["username", "email"],
        "properties": dict.fromkeys(KEYS, _C7N_KEYS),
    },
    "group": {"type": "string", "minLength": 1, "maxLength": 1024},
    "shared-group": {"type": "boolean"},
    "permission-set": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {
            "name": _TEXT,
            "description": _TEXT,
            "session-duration": _TEXT,
            "relay-state": _TEXT,
            "managed-policies": {"type": "array", "items": _TEXT, "uniqueItems": True},
            "inline-policy": {"type": "object"},
            "inline-policy-file": _TEXT,
            "tags": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    },
    "timeout": {"type": "integer", "minimum": 1},
}
PERMISSIONS = (
    "identitystore:CreateGroup",
    "identitystore:CreateGroupMembership",
    "identitystore:CreateUser",
    "identitystore:DescribeGroup",
    "identitystore:DescribeUser",
    "identitystore:GetGroupId",
    "identitystore:GetUserId",
    "identitystore:ListGroupMemberships",
    "sso:AttachManagedPolicyToPermissionSet",
    "sso:CreateAccountAssignment",
    "sso:CreatePermissionSet",
    "sso:DeleteInlinePolicyFromPermissionSet",
    "sso:DescribeAccountAssignmentCreationStatus",
    "sso:DescribeInstance",
    "sso:DescribePermissionSet",
    "sso:DescribePermissionSetProvisioningStatus",
    "sso:DetachManagedPolicyFromPermissionSet",
    "sso:GetInlinePolicyForPermissionSet",
    "sso:GetPermissionsBoundaryForPermissionSet",
    "sso:ListAccountAssignmentCreationStatus",
    "sso:ListAccountAssignments",
    "sso:ListAccountAssignmentsForPrincipal",
    "sso:ListAccountsForProvisionedPermissionSet",
    "sso:ListCustomerManagedPolicyReferencesInPermissionSet",
    "sso:ListInstances",
    "sso:ListManagedPoliciesInPermissionSet",
    "sso:ListPermissionSets",
    "sso:ListPermissionSetsProvisionedToAccount",
    "sso:ListTagsForResource",
    "sso:ProvisionPermissionSet",
    "sso:PutInlinePolicyToPermissionSet",
    "sso:TagResource",
    "sso:UpdatePermissionSet",
)
