# SPDX-License-Identifier: Apache-2.0
"""The Deny-all that goes on a user before anything else comes off it. Pure.

A Deny may be all that holds a live session (GetSessionToken's last up to 36 hours), and it may come from
the very group or policy that a deletion removes. So a Deny on everything stands first and is lifted last.
"""

from __future__ import annotations

import json

from c7n_iamusers.model.calls import ApiCall
from c7n_iamusers.model.iam_user import IamUser

DENY_ALL_NAME = "c7n-iamusers-deny-all"
DENY_ALL_DOCUMENT = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]},
    separators=(",", ":"),
)
#: All inline policies of a user together, white space aside ("IAM and AWS STS quotas", IAM User Guide).
INLINE_QUOTA = 2048
#: Managed policies attached to a user, unless the account had it raised (same page).
ATTACHED_QUOTA = 10
_GONE = frozenset({"NoSuchEntity"})


def aws_deny_all(partition: str) -> str:
    """The ARN of the AWS-managed policy that denies everything."""
    return f"arn:{partition}:iam::aws:policy/AWSDenyAll"


def deny_all_calls(user: IamUser) -> tuple[tuple[ApiCall, ...], tuple[ApiCall, ...]]:
    """The calls that put the Deny-all on ``user``, and those that take it off at the end.

    An inline policy where the quota has room, else the AWS-managed one; where neither fits, it replaces
    the permissions boundary: a user has exactly one, so it always fits, and it goes with the user.
    """
    if _holds_inline(user) or _inline_fits(user):
        return _inline_calls(user)
    arn = aws_deny_all(user.arn.split(":")[1])
    if len(user.attachments["attached-policy"]) < ATTACHED_QUOTA or _holds_attached(user, arn):
        parameters = {"UserName": user.name, "PolicyArn": arn}
        return (_iam("AttachUserPolicy", parameters),), (_iam("DetachUserPolicy", parameters, _GONE),)
    boundary = {"UserName": user.name, "PermissionsBoundary": arn}
    return (_iam("PutUserPermissionsBoundary", boundary),), ()


def _inline_calls(user: IamUser) -> tuple[tuple[ApiCall, ...], tuple[ApiCall, ...]]:
    key = {"UserName": user.name, "PolicyName": DENY_ALL_NAME}
    put = _iam("PutUserPolicy", {**key, "PolicyDocument": DENY_ALL_DOCUMENT})
    return (put,), (_iam("DeleteUserPolicy", key, _GONE),)


def _holds_inline(user: IamUser) -> bool:
    return any(item["PolicyName"] == DENY_ALL_NAME for item in user.attachments["inline-policy"])


def _holds_attached(user: IamUser, arn: str) -> bool:
    return any(item["PolicyArn"] == arn for item in user.attachments["attached-policy"])


def _inline_fits(user: IamUser) -> bool:
    used = sum(_size(item["PolicyDocument"]) for item in user.attachments["inline-policy"])
    return used + _size(json.loads(DENY_ALL_DOCUMENT)) <= INLINE_QUOTA


def _size(document: object) -> int:
    # Compact JSON has no white space between tokens; that inside strings counts here although IAM does
    # not count it, which errs on the side that fits.
    return len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))


def _iam(operation: str, parameters: dict[str, str], done: frozenset[str] = frozenset()) -> ApiCall:
    return ApiCall("iam", operation, parameters, done_codes=done)
