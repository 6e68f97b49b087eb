# SPDX-License-Identifier: Apache-2.0
"""Whether a policy grants administrator rights. Pure.

An administrator may call every action on every resource, or every IAM action on every resource and so grant
itself the rest: AdministratorAccess, IAMFullAccess and customer policies with the same effect. Conditions and
boundaries make no difference. Narrower privilege escalation (such as iam:AttachUserPolicy alone) is not detected;
use a policy analyzer for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from c7n_iamusers.evidence.model import AppliedPolicy
from c7n_iamusers.iam.policy_documents import Statement, listed, parse_document, statements

#: The AWS-managed policies with this effect.
_MANAGED = frozenset({"AdministratorAccess", "IAMFullAccess"})
#: Samples of every action, and of every IAM action: patterns that match both samples match all.
_ANY_ACTION = ("iam:createuser", "zz:zz")
_ANY_IAM_ACTION = ("iam:createuser", "iam:zz")


def is_admin(grant: AppliedPolicy) -> bool | None:
    """True, False, or None if the document was not read or does not parse."""
    if ":iam::aws:policy/" in grant.arn and grant.arn.rpartition("/")[2] in _MANAGED:
        return True
    if grant.document is None:
        # No other AWS-managed policy allows everything, or all of IAM.
        return False if ":iam::aws:policy/" in grant.arn else None
    try:
        return any(_is_admin_statement(each) for each in statements(parse_document(grant.document)))
    except ValueError:
        return None


def admin_policies(grants: Iterable[AppliedPolicy] | None) -> tuple[str, ...] | None:
    """The policies that grant administrator rights, in words; None if it is unknown whether there are any."""
    if grants is None:
        return None
    checked = [(grant, is_admin(grant)) for grant in grants]
    found = tuple(_described(grant) for grant, admin in checked if admin)
    return None if not found and any(admin is None for _, admin in checked) else found


def _described(grant: AppliedPolicy) -> str:
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
    """``*``, or an ARN with only stars after the partition."""
    if not resource.strip("*"):
        return bool(resource)
    head, *parts = resource.split(":")
    return head == "arn" and resource.endswith("*") and all(not part.strip("*") for part in parts[1:])
