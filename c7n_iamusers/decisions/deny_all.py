# SPDX-License-Identifier: Apache-2.0
"""The Deny-all that goes on a user before anything else comes off it. Pure.

A Deny may be all that holds a live session (GetSessionToken's last up to 36 hours), and it may come from
the very group or policy that a deletion removes. So a Deny on everything stands first and is lifted last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from c7n_iamusers.model.attachments import ATTACHMENT_KINDS
from c7n_iamusers.model.calls import ApiCall
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.policy_documents import listed, parse_document, statements

DENY_ALL_NAME = "c7n-iamusers-deny-all"
#: All inline policies of a user together, white space aside ("IAM and AWS STS quotas", IAM User Guide).
INLINE_QUOTA = 2048
#: Managed policies attached to a user, unless the account had it raised (same page).
ATTACHED_QUOTA = 10
_GONE = frozenset({"NoSuchEntity"})
_DENY_ALL = {"Effect": "Deny", "Action": "*", "Resource": "*"}


def aws_deny_all(partition: str) -> str:
    """The ARN of the AWS-managed policy that denies everything."""
    return f"arn:{partition}:iam::aws:policy/AWSDenyAll"


def deny_all_arn(user: IamUser) -> str:
    """The same in the partition of ``user``."""
    return aws_deny_all(user.arn.split(":")[1])


def deny_all_document(sid: str = "") -> str:
    """The inline policy, compact, as inline policies have little room; ``sid``: its statement's id."""
    statement = {**({"Sid": sid} if sid else {}), **_DENY_ALL}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


def is_bare(user: IamUser) -> bool:
    """True where nothing is attached that DeleteUser would refuse."""
    return not any(user.attachments[kind.name] for kind in ATTACHMENT_KINDS if kind.removals)


def put_inline(user: IamUser, document: str) -> ApiCall:
    """Puts the Deny-all ``document`` on ``user`` under its own name."""
    key = {"UserName": user.name, "PolicyName": DENY_ALL_NAME}
    return iam_call("PutUserPolicy", {**key, "PolicyDocument": document})


def lift_inline(user: IamUser) -> ApiCall:
    """Takes it off again."""
    return iam_call("DeleteUserPolicy", {"UserName": user.name, "PolicyName": DENY_ALL_NAME}, _GONE)


def attach(user: IamUser) -> ApiCall:
    """Attaches the AWS-managed policy."""
    return iam_call("AttachUserPolicy", {"UserName": user.name, "PolicyArn": deny_all_arn(user)})


def inline_deny_all(user: IamUser) -> Mapping[str, Any] | None:
    """The statement by which the inline policy of our name denies everything; None where there is none.

    A policy of that name which says anything else is not a Deny-all: somebody has changed it.
    """
    for item in user.attachments["inline-policy"]:
        if item["PolicyName"] == DENY_ALL_NAME:
            return next(filter(_denies_all, _statements(item["PolicyDocument"])), None)
    return None


def holds_inline(user: IamUser) -> bool:
    """True where the Deny-all stands on the user as an inline policy."""
    return inline_deny_all(user) is not None


def holds_attached(user: IamUser) -> bool:
    """True where AWSDenyAll is attached to the user."""
    return any(item["PolicyArn"] == deny_all_arn(user) for item in user.attachments["attached-policy"])


def is_bounded(user: IamUser) -> bool:
    """True where AWSDenyAll is the user's permissions boundary."""
    boundaries = user.attachments["permissions-boundary"]
    return any(item["PermissionsBoundaryArn"] == deny_all_arn(user) for item in boundaries)


def inline_fits(user: IamUser, document: str) -> bool:
    """True where ``document``, as the inline policy of our name, keeps to the quota of all of them together."""
    others = (i for i in user.attachments["inline-policy"] if i["PolicyName"] != DENY_ALL_NAME)
    return sum(_size(item["PolicyDocument"]) for item in others) + len(document) <= INLINE_QUOTA


def attached_fits(user: IamUser) -> bool:
    """True where one more managed policy keeps to the quota."""
    return len(user.attachments["attached-policy"]) < ATTACHED_QUOTA


def iam_call(operation: str, parameters: dict[str, Any], done: frozenset[str] = frozenset()) -> ApiCall:
    """A call to IAM."""
    return ApiCall("iam", operation, parameters, done_codes=done)


def _denies_all(statement: Mapping[str, Any]) -> bool:
    whole = all(listed(statement.get(part)) == ("*",) for part in ("Action", "Resource"))
    return whole and statement.get("Effect") == "Deny" and not statement.get("Condition")


def _statements(document: Any) -> list[Mapping[str, Any]]:
    try:
        return list(statements(parse_document(document)))
    except ValueError:
        return []


def _size(document: object) -> int:
    # Compact JSON has no white space between tokens; that inside strings counts here although IAM does
    # not count it, which errs on the side that fits.
    return len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
