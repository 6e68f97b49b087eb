# SPDX-License-Identifier: Apache-2.0
"""Stock Cloud Custodian: the filters that gather, at the least cost, what this package's evidence holds.

``or`` runs each of its filters over all users, so every user is flagged and carries what every filter found.
The credential report spares the filters ``login-profile`` and ``access-key``, and ``include-via`` has ``group``
find the groups that ``policy`` has read.
"""

from __future__ import annotations

from typing import Any

from benchmarks.contestant import Contestant, Facts, Resource, tags_of

FLAGGING: dict[str, Any] = {
    "name": "stock-flag",
    "resource": "aws.iam-user",
    "filters": [
        {
            "or": [
                {"type": "credential", "key": "user", "value": "not-null"},
                {"type": "mfa-device", "value": "not-null"},
                {"type": "policy", "include-via": True, "key": "Arn", "value": "not-null"},
                {"type": "group", "key": "GroupName", "value": "not-null"},
                {"type": "has-inline-policy", "value": True},
                {"type": "service-specific-credentials", "key": "ServiceName", "value": "not-null"},
            ]
        }
    ],
}
DELETING: dict[str, Any] = {
    "name": "stock-delete",
    "resource": "aws.iam-user",
    "actions": [{"type": "delete"}],
}


def facts(resource: Resource) -> Facts:
    """What the annotations of FLAGGING tell of a user."""
    report, groups = resource["c7n:credential-report"], resource["c7n:Groups"]
    via = {policy["PolicyArn"] for group in groups for policy in group["AttachedPolicies"]}
    return {
        "tags": tags_of(resource),
        "passwords": int(report["password_enabled"]),
        "access keys": len(report.get("access_keys", ())),
        "certificates": len(report.get("certs", ())),
        "MFA devices": len(resource["MFADevices"]),
        "service credentials": len(resource.get("c7n:ServiceSpecificCredentials", ())),
        "groups": sorted(group["GroupName"] for group in groups),
        "attached policies": sorted({policy["Arn"] for policy in resource["c7n:Policies"]} - via),
        "inline policies": sorted(resource["c7n:InlinePolicies"]),
    }


STOCK = Contestant("stock c7n", False, FLAGGING, DELETING, facts)
