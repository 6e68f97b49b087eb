# SPDX-License-Identifier: Apache-2.0
"""What ``provision-identity-center`` takes, as JSON Schema, and the IAM actions that it needs."""

from __future__ import annotations

from c7n_iamusers.decisions.people import KEYS
from c7n_iamusers.model.derivation import PER_ACCOUNT, PER_MAP

TEXT = {"type": "string", "minLength": 1}
_C7N_KEYS = {"oneOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]}

USER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["username", "email"],
    "properties": dict.fromkeys(KEYS, _C7N_KEYS),
}
PEOPLE_FROM = {
    "oneOf": [
        TEXT,
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["file"],
            "properties": {"file": TEXT, "only": {"type": "boolean"}},
        },
    ]
}
EMAIL_DOMAINS = {"type": "array", "items": {"type": "string", "pattern": "^[^@\\s]+$"}, "minItems": 1}
PERMISSION_SET = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": TEXT,
        "description": TEXT,
        "session-duration": TEXT,
        "relay-state": TEXT,
        "managed-policies": {"type": "array", "items": TEXT, "uniqueItems": True},
        "inline-policy": {"type": "object"},
        "inline-policy-file": TEXT,
        "tags": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
#: See model.derivation.DerivationOptions.
_COUNT = {"type": "integer", "minimum": 1}
DERIVE = {
    "oneOf": [
        {"type": "boolean"},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "session-duration": TEXT,
                "policies-per-set": _COUNT,
                "policies-per-role": _COUNT,
                "inline-characters": _COUNT,
                "inline-bytes": _COUNT,
                # no longer taken: checked there, for an error that has the mend
                "allow-wider": {},
                # YAML makes a date of what stands under expires, so the rows are checked there as well
                "accept": {"type": "array", "items": {"type": "object"}},
                "identity-center-mfa": {"type": "boolean"},
                "username-tag": {"type": "string"},
                "write-out": {"type": "boolean"},
                "group-by": {"enum": [PER_ACCOUNT, PER_MAP]},
            },
        },
    ]
}
REQUIRED = ["identity-source"]
PROPERTIES = {
    "mode": {"enum": ["apply", "intent"]},
    "identity-source": {"enum": ["identity-center", "external"]},
    "role": TEXT,
    "region": TEXT,
    "user": USER,
    "people-from": PEOPLE_FROM,
    "email-domains": EMAIL_DOMAINS,
    "group": {"type": "string", "minLength": 1, "maxLength": 1024},
    "shared-group": {"type": "boolean"},
    "permission-set": PERMISSION_SET,
    "derive": DERIVE,
    "timeout": {"type": "integer", "minimum": 1},
}
PERMISSIONS = (
    "identitystore:CreateGroup",
    "identitystore:CreateGroupMembership",
    "identitystore:CreateUser",
    "identitystore:DescribeGroup",
    "identitystore:DescribeUser",
    "identitystore:GetGroupId",
    "identitystore:GetGroupMembershipId",
    "identitystore:GetUserId",
    "identitystore:ListGroupMemberships",
    "identitystore:ListGroups",
    "identitystore:ListUsers",
    "sso:AttachCustomerManagedPolicyReferenceToPermissionSet",
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
    "sso:ListPermissionSetProvisioningStatus",
    "sso:ListPermissionSets",
    "sso:ListPermissionSetsProvisionedToAccount",
    "sso:ListTagsForResource",
    "sso:ProvisionPermissionSet",
    "sso:PutInlinePolicyToPermissionSet",
    "sso:PutPermissionsBoundaryToPermissionSet",
    "sso:TagResource",
    "sso:UpdatePermissionSet",
    "sts:GetCallerIdentity",
)
