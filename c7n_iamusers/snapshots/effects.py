# SPDX-License-Identifier: Apache-2.0
"""Whether what is attached to a user allows or denies it anything, by the documents in its snapshot. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from c7n_iamusers.iam.attachments import (
    ATTACHED_POLICY,
    GROUP,
    INLINE_POLICY,
    PERMISSIONS_BOUNDARY,
    AttachmentKind,
)
from c7n_iamusers.iam.policy_documents import parse_document, statements
from c7n_iamusers.iam.user import Item
from c7n_iamusers.snapshots.snapshot import Snapshot

#: The effects of statements.
ALLOW, DENY = "Allow", "Deny"
_NONE, _BOTH = frozenset[str](), frozenset({ALLOW, DENY})


def effects(kind: AttachmentKind, item: Item, snapshot: Snapshot | None) -> frozenset[str]:
    """The effects of the policies of ``item``: ALLOW, DENY or both; both where the document is not known.

    None for a credential. ``snapshot``: has the documents of groups and managed policies.
    """
    documents = {each.arn: each.text for each in snapshot.policies or ()} if snapshot else {}
    if kind is INLINE_POLICY:
        return _effects(item.get("PolicyDocument"))
    if kind is ATTACHED_POLICY:
        return _effects(documents.get(str(item["PolicyArn"])))
    if kind is GROUP:
        groups = {str(each["GroupName"]): each for each in (snapshot.groups if snapshot else ())}
        group = groups.get(str(item["GroupName"]))
        return _BOTH if group is None else _NONE.union(*map(_effects, _documents(group, documents)))
    return _BOTH if kind is PERMISSIONS_BOUNDARY else _NONE


def _documents(group: Mapping[str, Any], documents: Mapping[str, Any]) -> Iterator[Any]:
    yield from (policy.get("PolicyDocument") for policy in group.get("GroupPolicyList", ()))
    yield from (
        documents.get(str(policy["PolicyArn"])) for policy in group.get("AttachedManagedPolicies", ())
    )


def _effects(document: Any) -> frozenset[str]:
    if document is None:
        return _BOTH
    try:
        return frozenset(
            DENY if each.get("Effect") == DENY else ALLOW for each in statements(parse_document(document))
        )
    except ValueError:
        return _BOTH
