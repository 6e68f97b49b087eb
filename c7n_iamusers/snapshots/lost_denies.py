# SPDX-License-Identifier: Apache-2.0
"""What denied a user something when it was put in quarantine, and is not on it any more. Pure.

A deletion with another output may have begun since: AWSDenyAll has no room for a record of that, and an inline Deny-all
may have none either. A release would give the user what it could not do before, and a later snapshot would lack it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from c7n_iamusers.iam.attachments import ATTACHED_POLICY, GROUP, INLINE_POLICY, PERMISSIONS_BOUNDARY
from c7n_iamusers.iam.policy_documents import parse_document, statements
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout import deny_all
from c7n_iamusers.snapshots.snapshot import Snapshot


def lost_denies(snapshot: Snapshot, user: IamUser, removed: Collection[tuple[str, str]] = ()) -> list[str]:
    """What of ``snapshot`` could deny something, and is not on ``user`` any more, in words.

    What has no document in the snapshot could. A boundary under an AWSDenyAll of ours counts as there. ``removed``:
    kind and identifier of what we are known to have removed, which is left out.
    """
    was = {
        kind.name: [
            item
            for item in snapshot.user.attachments[kind.name]
            if (kind.name, str(item[kind.identifier])) not in removed
        ]
        for kind in (GROUP, ATTACHED_POLICY, INLINE_POLICY, PERMISSIONS_BOUNDARY)
    }
    documents = {each.arn: each.text for each in snapshot.policies or ()}
    found = [
        f"inline policy {item['PolicyName']}"
        for item in _gone(was, user, INLINE_POLICY.name, "PolicyName")
        if _may_deny(item.get("PolicyDocument"))
    ]
    found += [
        f"policy {item['PolicyArn']}"
        for item in _gone(was, user, ATTACHED_POLICY.name, "PolicyArn")
        if _may_deny(documents.get(str(item["PolicyArn"])))
    ]
    groups = {str(each["GroupName"]): each for each in snapshot.groups}
    found += [
        f"group {item['GroupName']}"
        for item in _gone(was, user, GROUP.name, "GroupName")
        if _group_may_deny(groups.get(str(item["GroupName"])), documents)
    ]
    boundary = was[PERMISSIONS_BOUNDARY.name]
    if boundary and not user.attachments[PERMISSIONS_BOUNDARY.name]:
        found.append(f"permissions boundary {boundary[0]['PermissionsBoundaryArn']}")
    return found


def _gone(was: Mapping[str, Any], user: IamUser, kind: str, key: str) -> Iterator[Mapping[str, Any]]:
    held = {str(item[key]) for item in user.attachments[kind]}
    ours = {deny_all.DENY_ALL_NAME, deny_all.BROWNOUT_NAME}
    return (item for item in was[kind] if str(item[key]) not in held | ours)


def _group_may_deny(group: Mapping[str, Any] | None, documents: Mapping[str, Any]) -> bool:
    if group is None:
        return True
    inline = (each.get("PolicyDocument") for each in group.get("GroupPolicyList", ()))
    attached = (documents.get(str(each["PolicyArn"])) for each in group.get("AttachedManagedPolicies", ()))
    return any(map(_may_deny, (*inline, *attached)))


def _may_deny(document: Any) -> bool:
    try:
        return document is None or any(
            each.get("Effect") == "Deny" for each in statements(parse_document(document))
        )
    except ValueError:
        return True
