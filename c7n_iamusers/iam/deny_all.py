# SPDX-License-Identifier: Apache-2.0
"""The Deny-all that goes on a user before anything else comes off it. Pure.

A Deny may be all that holds a live session (GetSessionToken's last up to 36 hours), and it may come from
the very group or policy that a deletion removes. So a Deny on everything stands first and is lifted last.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from c7n_iamusers.exceptions import DenyRefused
from c7n_iamusers.execution.calls import AFTER, BEFORE, ApiCall
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.iam.history import FORMER_BOUNDARY
from c7n_iamusers.iam.policy_documents import listed, parse_document, statements
from c7n_iamusers.iam.quarantine_record import DENY_ALL_NAME as DENY_ALL_NAME
from c7n_iamusers.iam.user import IamUser

#: All inline policies of a user together, white space aside ("IAM and AWS STS quotas", IAM User Guide).
INLINE_QUOTA = 2048
#: Managed policies attached to a user, unless the account had it raised (same page).
ATTACHED_QUOTA = 10
#: The forms of the Deny-all, as a quarantine's record names them, and the calls that put it on.
INLINE, ATTACHED, BOUNDARY = "inline", "attached", "boundary"
FORMS = {"PutUserPolicy": INLINE, "AttachUserPolicy": ATTACHED, "PutUserPermissionsBoundary": BOUNDARY}
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


@dataclass(frozen=True)
class Denial:
    """How the Deny-all goes on a user and off again. ``put`` is empty where it stands already."""

    form: str
    put: tuple[ApiCall, ...] = ()
    lift: tuple[ApiCall, ...] = ()


def denial(user: IamUser, documents: Collection[str], why: str, refused: Collection[str] = ()) -> Denial:
    """The Deny-all on ``user`` in the first form that fits and is not ``refused`` to the role.

    It is the one call that can hit another user who got the name meanwhile, so the form that takes nothing away
    comes first: the first of ``documents`` that fits, inline under a name of our own; AWSDenyAll attached; AWSDenyAll
    as the permissions boundary, whose predecessor is read right before and noted in the journal.
    ``why``: what the journal says the Deny is for. Raises DenyRefused where no form is left.
    """
    lift = (lift_inline(user),)
    fitting = next((each for each in documents if inline_fits(user, each)), None)
    if fitting and INLINE not in refused:
        return Denial(INLINE, (_put_inline(user, fitting, why),), lift)
    if holds_inline(user):
        return Denial(INLINE, (), lift)
    detach = (detach_deny_all(user, why),)
    if holds_attached(user):
        return Denial(ATTACHED, (), detach)
    if is_bounded(user):
        return Denial(BOUNDARY)
    if attached_fits(user) and ATTACHED not in refused:
        return Denial(ATTACHED, (_attach(user, why),), detach)
    if BOUNDARY not in refused:
        return Denial(BOUNDARY, (_bound(user, why),))
    raise DenyRefused(
        f"{user.subject}: no Deny-all can be put on it, so nothing was changed: inline policies leave no room in "
        f"their {INLINE_QUOTA} characters or the role may not put any, {ATTACHED_QUOTA} managed policies are attached "
        "or the role may attach none, and it may set no permissions boundary. Make room, or allow the role one of these"
    )


def _put_inline(user: IamUser, document: str, why: str) -> ApiCall:
    key = {"UserName": user.name, "PolicyName": DENY_ALL_NAME}
    parameters = {**key, "PolicyDocument": document}
    return ApiCall("iam", "PutUserPolicy", parameters, checked=frozenset({AFTER}), notes={"for": why})


def lift_inline(user: IamUser) -> ApiCall:
    """Takes the inline Deny-all off."""
    return identified_call("DeleteUserPolicy", {"UserName": user.name, "PolicyName": DENY_ALL_NAME})


def detach_deny_all(user: IamUser, why: str) -> ApiCall:
    """Takes AWSDenyAll off, where it is attached. ``why``: what the journal says that it is for."""
    call = identified_call("DetachUserPolicy", {"UserName": user.name, "PolicyArn": deny_all_arn(user)})
    return replace(call, notes={"for": why})


def _attach(user: IamUser, why: str) -> ApiCall:
    parameters = {"UserName": user.name, "PolicyArn": deny_all_arn(user)}
    return ApiCall("iam", "AttachUserPolicy", parameters, checked=frozenset({AFTER}), notes={"for": why})


def _bound(user: IamUser, why: str) -> ApiCall:
    former = [str(item["PermissionsBoundaryArn"]) for item in user.attachments["permissions-boundary"]]
    parameters = {"UserName": user.name, "PermissionsBoundary": deny_all_arn(user)}
    notes = {"for": why, FORMER_BOUNDARY: former[0] if former else ""}
    return ApiCall(
        "iam", "PutUserPermissionsBoundary", parameters, checked=frozenset({BEFORE, AFTER}), notes=notes
    )


def lift_of(put: ApiCall) -> ApiCall:
    """The call that takes off what ``put``, inline or attached, has put on."""
    operation = {"PutUserPolicy": "DeleteUserPolicy", "AttachUserPolicy": "DetachUserPolicy"}[put.operation]
    given = {name: value for name, value in put.parameters.items() if name != "PolicyDocument"}
    # Not identified again: it is meant for whoever has the name now.
    return iam_call(operation, given, _GONE)


def put_again(user: IamUser, lift: ApiCall, document: str, why: str) -> ApiCall:
    """The call that puts on again what ``lift`` has taken off; ``document``: of the inline form."""
    return _put_inline(user, document, why) if lift.operation == "DeleteUserPolicy" else _attach(user, why)


def is_denial(call: ApiCall) -> bool:
    """True for the calls that put the Deny-all on a user and take it off, in whatever form."""
    given = call.parameters
    if call.operation in ("PutUserPolicy", "DeleteUserPolicy"):
        document = given.get("PolicyDocument")
        denying = document is None or any(map(_denies_all, _statements(document)))
        return bool(given.get("PolicyName") == DENY_ALL_NAME) and denying
    policy = str(given.get("PolicyArn", given.get("PermissionsBoundary", "")))
    denying = policy.endswith(":iam::aws:policy/AWSDenyAll")
    return denying and call.operation in (
        "AttachUserPolicy",
        "DetachUserPolicy",
        "PutUserPermissionsBoundary",
    )


def deny_form(call: ApiCall) -> str:
    """The form of a Deny-all that ``call`` puts on a user; empty where it puts none."""
    return FORMS.get(call.operation, "") if is_denial(call) else ""


def inline_deny_all(user: IamUser) -> Mapping[str, Any] | None:
    """The statement by which the inline policy of our name denies everything; None where there is none.

    A policy of that name which says anything else is not a Deny-all: somebody has changed it.
    """
    for item in user.attachments["inline-policy"]:
        if item["PolicyName"] == DENY_ALL_NAME:
            return next(filter(_denies_all, _statements(item["PolicyDocument"])), None)
    return None


def denies_alike(document: str, statement: Mapping[str, Any]) -> bool:
    """True where ``statement``, on a user now, is of the inline Deny-all ``document``."""
    return any(each.get("Sid", "") == statement.get("Sid", "") for each in _statements(document))


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


def identified_call(operation: str, parameters: dict[str, Any]) -> ApiCall:
    """A call that takes something off a user, who is identified again right before; gone is as good as done."""
    return ApiCall("iam", operation, parameters, done_codes=_GONE, checked=frozenset({BEFORE}))


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
