# SPDX-License-Identifier: Apache-2.0
"""One user of saved authorization details, with what documents in the wild leave out or write otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.model.policy_documents import listed, objects


def saved_user(entry: Mapping[str, Any]) -> dict[str, Any]:
    """``entry`` as botocore's ``UserDetail``: an empty list that was left out is there, names agree with the ARN.

    Raises EvidenceUnreadable for one without a name.
    """
    arn = str(entry.get("Arn") or "")
    name = str(entry.get("UserName") or arn.rpartition("/")[2])
    if not name:
        raise EvidenceUnreadable(f"a user without UserName and Arn: {str(entry)[:80]}")
    path = str(entry.get("Path") or "/")
    return {
        **entry,
        "UserName": name,
        "UserId": str(entry.get("UserId") or ""),
        "Path": path,
        "Arn": arn or f"arn:aws:iam:::user{path}{name}",
        "Tags": _tags(entry.get("Tags")),
        "GroupList": [str(group) for group in listed(entry.get("GroupList"))],
        "AttachedManagedPolicies": list(objects(entry.get("AttachedManagedPolicies"))),
        "UserPolicyList": list(objects(entry.get("UserPolicyList"))),
        "PermissionsBoundary": _boundary(entry.get("PermissionsBoundary")),
    }


def _boundary(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, str) and value:
        return {"PermissionsBoundaryArn": value}
    return value if isinstance(value, Mapping) and value else None


def _tags(value: Any) -> list[dict[str, str]]:
    """Tags as a list of Key and Value, from such a list in either case, or from a mapping."""
    if isinstance(value, Mapping) and not {"Key", "key"} & set(value):
        pairs = list(value.items())
    else:
        lowered = [{str(key).lower(): text for key, text in item.items()} for item in objects(value)]
        pairs = [(item["key"], item.get("value")) for item in lowered if "key" in item]
    return [{"Key": str(key), "Value": str(text or "")} for key, text in pairs]
