# SPDX-License-Identifier: Apache-2.0
"""This package: its source, its filter and its action."""

from __future__ import annotations

from typing import Any

from benchmarks.contestant import Contestant, Facts, Resource, tags_of

FLAGGING: dict[str, Any] = {
    "name": "ours-flag",
    "resource": "aws.iam-user",
    "source": "authorization-details",
    "filters": [{"type": "unnecessary", "exempt": "none"}],
}
DELETING: dict[str, Any] = {**FLAGGING, "name": "ours-delete", "actions": [{"type": "composite-delete"}]}


def facts(resource: Resource) -> Facts:
    """What the resource and its annotation ``c7n:IamUser`` tell of a user."""
    attachments = resource["c7n:IamUser"]["attachments"]
    return {
        "tags": tags_of(resource),
        "passwords": attachments["login-profile"],
        "access keys": attachments["access-key"],
        "certificates": attachments["signing-certificate"],
        "MFA devices": attachments["mfa-device"],
        "service credentials": attachments["service-specific-credential"],
        "groups": sorted(resource["GroupList"]),
        "attached policies": sorted(policy["PolicyArn"] for policy in resource["AttachedManagedPolicies"]),
        "inline policies": sorted(policy["PolicyName"] for policy in resource["UserPolicyList"]),
    }


OURS = Contestant("c7n_iamusers", True, FLAGGING, DELETING, facts)
