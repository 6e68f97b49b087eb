# SPDX-License-Identifier: Apache-2.0
"""The Deny-all: a Deny on every action, put on a user before anything goes, or for a brownout of so long. Pure.

Temporary credentials (GetSessionToken) stay valid for up to 36 hours, and a group or policy that a deletion removes
may be all that denies them. So a deletion puts the Deny-all on first and lifts it last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from c7n_iamusers.exceptions import DenyRefused
from c7n_iamusers.execution.calls import AFTER, BEFORE, ApiCall
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.iam.policy_documents import (
    aws_deny_all,
    is_aws_deny_all,
    listed,
    parse_document,
    statements,
)
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.lockout.quarantine_record import SID_TIME, parse_sid, sid_time
from c7n_iamusers.reasons import DENY_REFUSED, Reason

#: The name of the inline policy that denies a user everything.
DENY_ALL_NAME = "c7n-iamusers-deny-all"
#: The name of the inline policy of a brownout. It replaces no Deny-all, and none replaces it.
BROWNOUT_NAME = "c7n-iamusers-brownout"
#: The key in the ``notes`` of a journal line for the ARN of the boundary that a call replaces, empty if there was none.
FORMER_BOUNDARY = "former-boundary"
#: The key in the ``notes`` of a call that puts on the Deny-all of a restoration, which its last call lifts.
UNTIL_THE_END = "until-the-end"
#: The key in the ``notes`` of a call that puts back the Deny-all that a deletion had lifted for DeleteUser.
PUT_BACK = "put-back"


#: Characters of all inline policies of a user, white space excluded ("IAM and AWS STS quotas", IAM User Guide).
INLINE_QUOTA = 2048
#: Managed policies attached to a user, by default (same page).
ATTACHED_QUOTA = 10
#: The forms of the Deny-all in a quarantine's record, and the operation that puts each.
INLINE, ATTACHED, BOUNDARY = "inline", "attached", "boundary"
#: In place of the form, if a run saw the user without its Deny-all: what denies it now is somebody else's.
GONE_DENY = "gone"
FORMS = {"PutUserPolicy": INLINE, "AttachUserPolicy": ATTACHED, "PutUserPermissionsBoundary": BOUNDARY}
#: The forms that AWS refused, with the error code: none.
NONE_REFUSED: Mapping[str, str] = MappingProxyType({})
_GONE = frozenset({"NoSuchEntity"})
_DENY_ALL = {"Effect": "Deny", "Action": "*", "Resource": "*"}
#: No brownout lasts longer. A longer Deny under its name is somebody else's.
LONGEST_BROWNOUT = timedelta(minutes=720)
_BROWNOUT = re.compile(r"Brownout(\d{8}T\d{6}Z)Until(\d{8}T\d{6}Z)")


def deny_all_arn(user: IamUser) -> str:
    """The ARN of AWSDenyAll in the partition of ``user``."""
    return aws_deny_all(user.arn.split(":")[1])


def deny_all_document(sid: str = "") -> str:
    """The inline policy as compact JSON, because of the quota. ``sid``: the id of its statement."""
    statement = {**({"Sid": sid} if sid else {}), **_DENY_ALL}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


@dataclass(frozen=True)
class Brownout:
    """A Deny-all that ends by itself, even if the runner was stopped. Times: UTC, whole seconds."""

    begun: datetime
    end: datetime

    @property
    def document(self) -> str:
        """The inline policy. The statement id marks it as ours, with its times."""
        sid = f"Brownout{self.begun:{SID_TIME}}Until{self.end:{SID_TIME}}"
        condition = {"DateLessThan": {"aws:CurrentTime": f"{self.end:%Y-%m-%dT%H:%M:%SZ}"}}
        statement = {"Sid": sid, **_DENY_ALL, "Condition": condition}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


def brownout_of(user: IamUser) -> Brownout | None:
    """The brownout whose policy is on the user, even if it is over; None if there is none, or somebody changed it."""
    return next(filter(None, map(brownout_in, user.attachments["inline-policy"])), None)


def brownout_in(policy: Item) -> Brownout | None:
    """The brownout that an inline ``policy`` (PolicyName and PolicyDocument) is; None if it is none of ours."""
    held = _statements(policy["PolicyDocument"]) if policy["PolicyName"] == BROWNOUT_NAME else []
    found = _BROWNOUT.fullmatch(str(held[0].get("Sid", ""))) if held else None
    begun, end = map(sid_time, found.groups()) if found else (None, None)
    if not begun or not end or not timedelta() < end - begun <= LONGEST_BROWNOUT:
        return None
    brownout = Brownout(begun, end)
    return brownout if held == _statements(brownout.document) else None


def foreign_policies(user: IamUser) -> list[Item]:
    """The inline policies under our names that somebody else wrote or changed."""
    ours = {DENY_ALL_NAME: holds_inline(user), BROWNOUT_NAME: brownout_of(user) is not None}
    return [item for item in user.attachments["inline-policy"] if ours.get(item["PolicyName"]) is False]


def has_foreign_policy(user: IamUser, name: str = DENY_ALL_NAME) -> bool:
    """Whether somebody else wrote or changed the user's inline policy ``name``, a name of ours."""
    return any(item["PolicyName"] == name for item in foreign_policies(user))


def denies(policy: Item) -> bool:
    """Whether an inline ``policy`` denies anything, under a condition too, or can't be understood."""
    held = _statements(policy["PolicyDocument"])
    return not held or any(each.get("Effect") != "Allow" for each in held)


def put_brownout(user: IamUser, brownout: Brownout) -> ApiCall:
    """The call that puts ``brownout`` on the user, in place of an earlier one. It must not replace anything else."""
    return _put_inline(user, brownout.document, "brownout", BROWNOUT_NAME)


def remove_brownout(user: IamUser, why: str) -> ApiCall:
    """The call that removes the policy of a brownout. ``why``: the purpose that the journal records."""
    call = identified_call("DeleteUserPolicy", {"UserName": user.name, "PolicyName": BROWNOUT_NAME})
    return replace(call, notes={"for": why})


def is_brownout(call: ApiCall) -> bool:
    """Whether the call puts or removes the policy of a brownout."""
    changes = ("PutUserPolicy", "DeleteUserPolicy")
    return call.operation in changes and call.parameters.get("PolicyName") == BROWNOUT_NAME


def is_bare(user: IamUser) -> bool:
    """Whether nothing is attached that makes DeleteUser fail."""
    return not any(user.attachments[kind.name] for kind in ATTACHMENT_KINDS if kind.removals)


@dataclass(frozen=True)
class DenyAllPlan:
    """The calls that put the Deny-all on a user and lift it. ``put``: empty if it is already on the user."""

    form: str
    put: tuple[ApiCall, ...] = ()
    lift: tuple[ApiCall, ...] = ()


def plan_deny_all(
    user: IamUser, documents: Collection[str], why: str, refused: Mapping[str, str] = NONE_REFUSED
) -> DenyAllPlan:
    """The Deny-all on ``user`` in the first form that fits and that the role may put.

    ``refused``: the forms that AWS refused, with the error code.
    The forms in order: the first of ``documents`` that fits, as an inline policy, unless it would replace one that is
    not ours; AWSDenyAll attached; AWSDenyAll as the permissions boundary, whose predecessor the journal records. If
    another user has the name meanwhile, this call can hit that user, so the form that replaces nothing comes first.
    ``why``: the purpose that the journal records. A deletion needs a Deny that shows it, since any machine may release
    or delete a user by the record in a quarantine's inline Deny. If that has no room for the time of the deletion,
    AWSDenyAll is put beside it, which no journal of another output explains. Raises DenyRefused if no form is left.
    """
    lift = (remove_inline_deny(user, why),)
    fits = () if has_foreign_policy(user) else (each for each in documents if inline_fits(user, each))
    fitting = next(iter(fits), None)
    if fitting and INLINE not in refused:
        return DenyAllPlan(INLINE, (_put_inline(user, fitting, why),), lift)
    held: tuple[ApiCall, ...] = ()
    statement = inline_deny_all(user)
    if statement is not None:
        record = parse_sid(str(statement.get("Sid", "")))
        if why != "deletion" or not (record and record.quarantine):
            return DenyAllPlan(INLINE, (), lift)
        held = lift
    detach = (detach_deny_all(user, why),)
    if holds_attached(user):
        return DenyAllPlan(ATTACHED, (), (*detach, *held))
    if is_bounded(user):
        return DenyAllPlan(BOUNDARY, (), held)
    if attached_fits(user) and ATTACHED not in refused:
        return DenyAllPlan(ATTACHED, (_attach(user, why),), (*detach, *held))
    if BOUNDARY not in refused:
        return DenyAllPlan(BOUNDARY, (bound(user, why),), held)
    raise DenyRefused(_why_none(user, bool(fitting), refused))


def plan_aws_deny_all(user: IamUser, why: str, refused: Mapping[str, str] = NONE_REFUSED) -> DenyAllPlan:
    """AWSDenyAll on ``user``, attached, or as the boundary of one that has none, whatever inline Deny is there.

    Conditions can limit a role to these calls. ``why``, ``refused``: see plan_deny_all. Raises DenyRefused.
    """
    if holds_attached(user) or is_bounded(user):
        return DenyAllPlan(ATTACHED if holds_attached(user) else BOUNDARY)
    if attached_fits(user) and ATTACHED not in refused:
        return DenyAllPlan(ATTACHED, (_attach(user, why),))
    if not user.boundary_arn and BOUNDARY not in refused:
        return DenyAllPlan(BOUNDARY, (bound(user, why),))
    full = [] if attached_fits(user) else [f"{ATTACHED_QUOTA} managed policies are attached to it"]
    held = ["it has a permissions boundary"] if user.boundary_arn else []
    codes = [f"{code}: {form}" for form, code in refused.items()]
    raise DenyRefused(
        DENY_REFUSED(user=user.subject, causes="; ".join([*codes, *full, *held]), remedies="make room")
    )


def _why_none(user: IamUser, fitting: bool, refused: Mapping[str, str]) -> Reason:
    """Why no form of the Deny-all is left, and what to do. ``fitting``: whether there is room for the inline one."""
    full = {}
    if has_foreign_policy(user):
        full[INLINE] = f"its inline policy {DENY_ALL_NAME} is somebody else's"
    elif not fitting:
        full[INLINE] = f"its inline policies use their quota of {INLINE_QUOTA} characters"
    if not attached_fits(user):
        full[ATTACHED] = f"{ATTACHED_QUOTA} managed policies are attached to it"
    answers = dict[str, list[str]]()
    for operation, form in FORMS.items():
        if form not in full:
            answers.setdefault(refused[form], []).append(f"iam:{operation}")
    causes = [f"{code}: {', '.join(actions)}" for code, actions in answers.items()]
    denied = any(code.startswith("AccessDenied") for code in answers)
    remedies = ["use a role that changes users, or allow this one these actions"] if denied else []
    remedies += ["make room"] if full or len(answers) > denied else []
    told = "; ".join([*causes, *full.values()])
    return DENY_REFUSED(user=user.subject, causes=told, remedies=", or ".join(remedies))


def _put_inline(user: IamUser, document: str, why: str, name: str = DENY_ALL_NAME) -> ApiCall:
    key = {"UserName": user.name, "PolicyName": name}
    parameters = {**key, "PolicyDocument": document}
    # What a deletion replaces goes with the user. Others must not replace the record of a run that came in between.
    checked = frozenset({AFTER}) if why == "deletion" else frozenset({BEFORE, AFTER})
    return ApiCall("iam", "PutUserPolicy", parameters, checked=checked, notes={"for": why})


def remove_inline_deny(user: IamUser, why: str) -> ApiCall:
    """The call that removes the inline Deny-all. ``why``: the purpose that the journal records."""
    call = identified_call("DeleteUserPolicy", {"UserName": user.name, "PolicyName": DENY_ALL_NAME})
    return replace(call, notes={"for": why})


def detach_deny_all(user: IamUser, why: str) -> ApiCall:
    """The call that detaches AWSDenyAll. ``why``: the purpose that the journal records."""
    call = identified_call("DetachUserPolicy", {"UserName": user.name, "PolicyArn": deny_all_arn(user)})
    return replace(call, notes={"for": why})


def _attach(user: IamUser, why: str) -> ApiCall:
    parameters = {"UserName": user.name, "PolicyArn": deny_all_arn(user)}
    return ApiCall("iam", "AttachUserPolicy", parameters, checked=frozenset({AFTER}), notes={"for": why})


def bound(user: IamUser, why: str) -> ApiCall:
    """The call that makes AWSDenyAll the boundary. Its journal line has the one that it replaces."""
    parameters = {"UserName": user.name, "PermissionsBoundary": deny_all_arn(user)}
    notes = {"for": why, FORMER_BOUNDARY: user.boundary_arn}
    return ApiCall(
        "iam", "PutUserPermissionsBoundary", parameters, checked=frozenset({BEFORE, AFTER}), notes=notes
    )


def removal_of(put: ApiCall) -> ApiCall:
    """The call that removes the inline or attached Deny-all that ``put`` has put."""
    operation = {"PutUserPolicy": "DeleteUserPolicy", "AttachUserPolicy": "DetachUserPolicy"}[put.operation]
    given = {name: value for name, value in put.parameters.items() if name != "PolicyDocument"}
    # Without an identity check: the call is meant for the user that has the name now.
    return replace(iam_call(operation, given, _GONE), notes=put.notes)


def put_back(user: IamUser, lift: ApiCall, document: str, why: str) -> ApiCall:
    """The call that puts back what ``lift`` has removed. ``document``: of the inline form."""
    return _put_inline(user, document, why) if lift.operation == "DeleteUserPolicy" else _attach(user, why)


def is_denial(call: ApiCall) -> bool:
    """Whether the call puts or lifts the Deny-all, in any form."""
    given = call.parameters
    if call.operation in ("PutUserPolicy", "DeleteUserPolicy"):
        document = given.get("PolicyDocument")
        denying = document is None or any(map(_denies_all, _statements(document)))
        return bool(given.get("PolicyName") == DENY_ALL_NAME) and denying
    policy = str(given.get("PolicyArn", given.get("PermissionsBoundary", "")))
    return is_aws_deny_all(policy) and call.operation in (
        "AttachUserPolicy",
        "DetachUserPolicy",
        "PutUserPermissionsBoundary",
    )


def deny_form(call: ApiCall) -> str:
    """The form of the Deny-all that ``call`` puts on a user; empty if it puts none."""
    return FORMS.get(call.operation, "") if is_denial(call) else ""


def inline_deny_all(user: IamUser) -> Mapping[str, Any] | None:
    """The statement of our inline Deny-all; None if the user has none.

    A policy with our name and another statement, or a further one, is not ours: somebody has changed it.
    """
    named = (
        i["PolicyDocument"] for i in user.attachments["inline-policy"] if i["PolicyName"] == DENY_ALL_NAME
    )
    held = next(map(_statements, named), [])
    return held[0] if len(held) == 1 and _denies_all(held[0]) else None


def is_same_deny(document: str, statement: Mapping[str, Any]) -> bool:
    """Whether ``statement``, which is on a user now, has the statement id of the inline Deny-all ``document``."""
    return any(each.get("Sid", "") == statement.get("Sid", "") for each in _statements(document))


def holds_inline(user: IamUser) -> bool:
    """Whether the user has our inline Deny-all."""
    return inline_deny_all(user) is not None


def holds_attached(user: IamUser) -> bool:
    """Whether AWSDenyAll is attached to the user."""
    return any(item["PolicyArn"] == deny_all_arn(user) for item in user.attachments["attached-policy"])


def is_bounded(user: IamUser) -> bool:
    """Whether AWSDenyAll is the user's permissions boundary."""
    return user.boundary_arn == deny_all_arn(user)


def is_denied(detail: Mapping[str, Any]) -> bool:
    """Whether a policy of the user denies every action, as in quarantine. ``detail``: botocore's ``UserDetail``."""
    documents = [each.get("PolicyDocument") for each in detail.get("UserPolicyList") or ()]
    managed = [each.get("PolicyArn") for each in detail.get("AttachedManagedPolicies") or ()]
    managed.append((detail.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"))
    return aws_deny_all(str(detail["Arn"]).split(":")[1]) in managed or any(map(denies_all, documents))


def form_on(user: IamUser) -> str:
    """The form of a Deny-all that is on the user, whoever put it; empty if there is none."""
    if holds_inline(user):
        return INLINE
    return ATTACHED if holds_attached(user) else BOUNDARY if is_bounded(user) else ""


def denies_all(document: Any) -> bool:
    """Whether an inline policy with this ``document`` denies every action."""
    return any(map(_denies_all, _statements(document)))


def inline_fits(user: IamUser, document: str, name: str = DENY_ALL_NAME) -> bool:
    """Whether ``document``, as the inline policy ``name``, fits the quota of all inline policies of the user."""
    others = (i for i in user.attachments["inline-policy"] if i["PolicyName"] != name)
    return sum(_size(item["PolicyDocument"]) for item in others) + len(document) <= INLINE_QUOTA


def attached_fits(user: IamUser, more: int = 1) -> bool:
    """Whether ``more`` further managed policies fit the quota."""
    return len(user.attachments["attached-policy"]) + more <= ATTACHED_QUOTA


def identified_call(operation: str, parameters: dict[str, Any]) -> ApiCall:
    """A call on a user. The identity is checked right before; NoSuchEntity is success for a removal."""
    call = ApiCall("iam", operation, parameters, checked=frozenset({BEFORE}))
    return replace(call, done_codes=_GONE) if call.removes else call


def iam_call(operation: str, parameters: dict[str, Any], done: frozenset[str] = frozenset()) -> ApiCall:
    """A call to IAM. ``done``: the error codes that count as success."""
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
    # Counts white space inside strings, which IAM does not: the result is never too small.
    return len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
