# SPDX-License-Identifier: Apache-2.0
"""Whether a policy makes its holder an administrator. Pure.

Administrator means: every action on every resource, or every action of IAM on every resource, with which
anybody gives himself the rest (the AWS-managed AdministratorAccess and IAMFullAccess, and own policies of
the same effect). A narrower way up (one iam:AttachUserPolicy, say) is not looked for; that takes a policy
analyser. Conditions don't lift the finding: who meets them is an administrator. Nor does a boundary.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from c7n_iamusers.evidence.model import HeldPolicy
from c7n_iamusers.iam.policy_documents import Statement, listed, parse_document, statements

#: AWS-managed policies of that effect; their documents need not be read to know it.
_MANAGED = frozenset({"AdministratorAccess", "IAMFullAccess"})
#: Stand for every action, and for every action of IAM: a pattern that matches one and its like matches all.
_ANY_ACTION = ("iam:createuser", "zz:zz")
_ANY_IAM_ACTION = ("iam:createuser", "iam:zz")


def is_admin(grant: HeldPolicy) -> bool | None:
    """True, False, or None where the policy can't be told (its document was not read, or doesn't parse)."""
    if ":iam::aws:policy/" in grant.arn and grant.arn.rpartition("/")[2] in _MANAGED:
        return True
    if grant.document is None:
        # AWS's own policies are known by name: no other allows everything, or all of IAM.
        return False if ":iam::aws:policy/" in grant.arn else None
    try:
        return any(_is_admin_statement(each) for each in statements(parse_document(grant.document)))
    except ValueError:
        return None


def admin_ways(grants: Iterable[HeldPolicy] | None) -> tuple[str, ...] | None:
    """The policies that make an administrator, in words; None where there is none for sure is unknown."""
    if grants is None:
        return None
    judged = [(grant, is_admin(grant)) for grant in grants]
    ways = tuple(_told(grant) for grant, admin in judged if admin)
    return None if not ways and any(admin is None for _, admin in judged) else ways


def _told(grant: HeldPolicy) -> str:
    return f"{grant.name} through group {grant.group}" if grant.group else grant.name


def _is_admin_statement(statement: Statement) -> bool:
    if str(statement.get("Effect", "")).lower() != "allow" or not _every_resource(statement):
        return False
    if "NotAction" in statement:
        return not any(_touches_iam(str(pattern)) for pattern in listed(statement["NotAction"]))
    actions = [str(action).lower() for action in listed(statement.get("Action"))]
    return _all_match(actions, _ANY_ACTION) or _all_match(actions, _ANY_IAM_ACTION)


def _all_match(patterns: list[str], samples: tuple[str, ...]) -> bool:
    return all(any(fnmatchcase(sample, pattern) for pattern in patterns) for sample in samples)


def _touches_iam(pattern: str) -> bool:
    service = pattern.lower().partition(":")[0]
    return fnmatchcase("iam", service)


def _every_resource(statement: Statement) -> bool:
    if "NotResource" in statement:
        return False
    return any(_is_everything(str(resource)) for resource in listed(statement.get("Resource")))


def _is_everything(resource: str) -> bool:
    """``*``, or an ARN whose parts after the partition are all stars."""
    if not resource.strip("*"):
        return bool(resource)
    head, *parts = resource.split(":")
    return head == "arn" and resource.endswith("*") and all(not part.strip("*") for part in parts[1:])
