# SPDX-License-Identifier: Apache-2.0
"""Whether any policy that applies to an IAM user denies it every action: its own, its groups' or its boundary. Pure.

``deny_all`` recognizes the forms that this package puts on users. People also put a user into a group that denies
everything, or attach a policy of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.iam.policy_documents import is_aws_deny_all, listed, parse_document, statements

#: Actions that are every action ("IAM JSON policy elements: Action", IAM User Guide).
_EVERY_ACTION = frozenset({"*", "*:*"})


def denying_policy(detail: Mapping[str, Any], source: PolicySource) -> str:
    """The first policy that denies the user every action, in words; empty if there is none.

    ``detail``: botocore's ``UserDetail``. ``source``: of its account. A policy with a condition does not deny
    everything. An unread policy counts as none: without it the user's policies can't be compared either.
    """
    return next(_denying(detail, source), "")


def is_denied(detail: Mapping[str, Any], source: PolicySource) -> bool:
    """Whether a policy denies the user every action, as in quarantine. See ``denying_policy``."""
    return bool(denying_policy(detail, source))


def has_policies(detail: Mapping[str, Any], source: PolicySource) -> bool:
    """Whether the user has any policy, of its own or of a group. Without one it can do nothing.

    Resource policies can name users, too: they are not asked. ``detail``, ``source``: see ``denying_policy``.
    """
    groups = [source.groups.get(name) for name in detail.get("GroupList") or ()]
    held = [detail.get("UserPolicyList"), detail.get("AttachedManagedPolicies")]
    held += [
        (group or {}).get(kind) for group in groups for kind in ("GroupPolicyList", "AttachedManagedPolicies")
    ]
    return any(held) or None in groups


def _denying(detail: Mapping[str, Any], source: PolicySource) -> Iterator[str]:
    inline, attached = detail.get("UserPolicyList"), detail.get("AttachedManagedPolicies")
    yield from _of_holder(inline, attached, source, "")
    for name in detail.get("GroupList") or ():
        group = source.groups.get(name) or {}
        inline, attached = group.get("GroupPolicyList"), group.get("AttachedManagedPolicies")
        yield from _of_holder(inline, attached, source, f" of group {name}")
    arn = str((detail.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn", ""))
    document = source.policies.get(arn)
    # A boundary limits: what it does not allow is denied.
    if is_aws_deny_all(arn) or _denies_all(document) or not _allows(document):
        yield f"permissions boundary {arn}"


def _of_holder(
    inline: Iterable[Mapping[str, Any]] | None,
    attached: Iterable[Mapping[str, Any]] | None,
    source: PolicySource,
    of: str,
) -> Iterator[str]:
    """``of``: the group that has the policies, in words."""
    for policy in inline or ():
        if _denies_all(policy.get("PolicyDocument")):
            yield f"inline policy {policy.get('PolicyName')}{of}"
    for policy in attached or ():
        arn = str(policy.get("PolicyArn", ""))
        if is_aws_deny_all(arn) or _denies_all(source.policies.get(arn)):
            yield f"policy {arn}{of}"


def _denies_all(document: Any) -> bool:
    return any(
        each.get("Effect") == "Deny"
        and not each.get("Condition")
        and not _EVERY_ACTION.isdisjoint(map(str, listed(each.get("Action"))))
        and "*" in listed(each.get("Resource"))
        for each in _statements(document) or ()
    )


def _allows(document: Any) -> bool:
    """Whether the document allows anything; also if it can't be understood."""
    found = _statements(document)
    return found is None or any(each.get("Effect") != "Deny" for each in found)


def _statements(document: Any) -> tuple[Mapping[str, Any], ...] | None:
    """None for a document that can't be understood."""
    try:
        return statements(parse_document(document))
    except (ValueError, TypeError):
        return None
