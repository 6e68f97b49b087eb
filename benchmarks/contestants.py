# SPDX-License-Identifier: Apache-2.0
"""The compared policies, of stock Cloud Custodian and of this package, and a check that both gather the same evidence.

Stock's filters gather the evidence of this package at the least cost. ``or`` runs each of its filters over all
users, so every user is flagged and has the result of every filter. The credential report replaces the filters
``login-profile`` and ``access-key``. With ``include-via``, ``group`` uses the groups that ``policy`` has read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.results import BenchmarkError

Resource = Mapping[str, Any]
#: The evidence on a user, in terms that both contestants share.
Facts = dict[str, Any]


@dataclass(frozen=True)
class Contestant:
    """``flagging``, ``deleting``: policies. ``facts``: the evidence in a flagged resource.

    ``plugins``: whether this package is registered with c7n.
    """

    name: str
    plugins: bool
    flagging: Mapping[str, Any]
    deleting: Mapping[str, Any]
    facts: Callable[[Resource], Facts]


def _tags_of(resource: Resource) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags") or ()}


_STOCK_FLAGGING: dict[str, Any] = {
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
_STOCK_DELETING: dict[str, Any] = {
    "name": "stock-delete",
    "resource": "aws.iam-user",
    "actions": [{"type": "delete"}],
}


def _stock_facts(resource: Resource) -> Facts:
    """The evidence in the annotations of _STOCK_FLAGGING."""
    report, groups = resource["c7n:credential-report"], resource["c7n:Groups"]
    via = {policy["PolicyArn"] for group in groups for policy in group["AttachedPolicies"]}
    return {
        "tags": _tags_of(resource),
        "passwords": int(report["password_enabled"]),
        "access keys": len(report.get("access_keys", ())),
        "certificates": len(report.get("certs", ())),
        "MFA devices": len(resource["MFADevices"]),
        "service credentials": len(resource.get("c7n:ServiceSpecificCredentials", ())),
        "groups": sorted(group["GroupName"] for group in groups),
        "attached policies": sorted({policy["Arn"] for policy in resource["c7n:Policies"]} - via),
        "inline policies": sorted(resource["c7n:InlinePolicies"]),
    }


STOCK = Contestant("stock c7n", False, _STOCK_FLAGGING, _STOCK_DELETING, _stock_facts)


_FLAGGING: dict[str, Any] = {
    "name": "ours-flag",
    "resource": "aws.iam-user",
    "source": "authorization-details",
    "filters": [{"type": "unnecessary", "exempt": "none"}],
}
#: Stock ``delete`` spares nobody either.
_DELETE: dict[str, Any] = {
    "type": "composite-delete",
    "active-within": "none",
    "trusted-by-role": True,
    "noticed": "none",
    "require": "none",
}
_DELETING: dict[str, Any] = {**_FLAGGING, "name": "ours-delete", "actions": [_DELETE]}


def _our_facts(resource: Resource) -> Facts:
    """The evidence in the resource and its annotation ``c7n:IamUser``."""
    attachments = resource["c7n:IamUser"]["attachments"]
    return {
        "tags": _tags_of(resource),
        "passwords": attachments["login-profile"],
        "access keys": attachments["access-key"],
        "certificates": attachments["signing-certificate"],
        "MFA devices": attachments["mfa-device"],
        "service credentials": attachments["service-specific-credential"],
        "groups": sorted(resource["GroupList"]),
        "attached policies": sorted(policy["PolicyArn"] for policy in resource["AttachedManagedPolicies"]),
        "inline policies": sorted(policy["PolicyName"] for policy in resource["UserPolicyList"]),
    }


OURS = Contestant("c7n_iamusers", True, _FLAGGING, _DELETING, _our_facts)


def require_equal_evidence(
    one: Contestant, ones: Iterable[Resource], other: Contestant, others: Iterable[Resource]
) -> None:
    """Raises BenchmarkError with the first user on whom the evidence differs, or whom only one has."""
    left, right = _facts(one, ones), _facts(other, others)
    for name in sorted(left.keys() | right.keys()):
        if left.get(name) != right.get(name):
            raise BenchmarkError(
                f"the evidence on {name} differs, so costs can't be compared: "
                f"{one.name}: {left.get(name)}; {other.name}: {right.get(name)}"
            )


def _facts(contestant: Contestant, resources: Iterable[Resource]) -> dict[str, Facts]:
    return {str(resource["UserName"]): contestant.facts(resource) for resource in resources}
