# SPDX-License-Identifier: Apache-2.0
"""A deletion plan as a file for review, when it may be used, and whether a deletion does what was reviewed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from c7n_iamusers import reasons
from c7n_iamusers.exceptions import PlanInvalid
from c7n_iamusers.execution.calls import ApiCall, Plan, Subject
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.lockout.deny_all import is_brownout, is_denial
from c7n_iamusers.reasons import Reason, read_reason
from c7n_iamusers.snapshots.snapshot import Snapshot, is_covered
from c7n_iamusers.text.documents import NotInFormat, read_json
from c7n_iamusers.text.validators import schema_problem
from c7n_iamusers.text.wording import quoted, visible

SCHEMA_VERSION = 1

_TEXT = {"type": "string", "minLength": 1}
_CALL = {
    "type": "object",
    "additionalProperties": False,
    "required": ["service", "operation", "parameters"],
    "properties": {"service": _TEXT, "operation": _TEXT, "parameters": {"type": "object"}},
}
_USER: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["user", "arn", "unique_id", "fingerprint", "attachments", "calls", "skipped", "code"],
    "properties": {
        "user": _TEXT,
        "arn": _TEXT,
        "unique_id": {"type": "string"},
        "fingerprint": {"type": "string", "pattern": "^([0-9a-f]{64})?$"},
        "attachments": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        "calls": {"type": "array", "items": _CALL},
        "skipped": {"type": "string", "description": "why the user is left alone; then it has no calls"},
        "code": {"type": "string", "description": "the code of that reason, see docs/outcomes.md"},
        "breaks": {
            "type": "array",
            "items": _TEXT,
            "description": "what names the user and breaks when it is deleted, where blast-radius asked for it",
        },
        "noted": {
            "type": "string",
            "description": "what a reviewer should know: which code manages the user",
        },
    },
}
_TEXTS = {"type": "array", "items": _TEXT}
_ASKED: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["stacks", "terraform_states", "resource_policies"],
    "description": "what was asked about the users, beside their tags: what was not asked is not known of them",
    "properties": {
        "stacks": {**_TEXTS, "description": "Regions whose stacks were asked whether they manage a user"},
        "terraform_states": {**_TEXTS, "description": "places of states that were read for it"},
        "resource_policies": {**_TEXTS, "description": "services whose policies were read for a user's name"},
    },
}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Plan of deletions of IAM users",
    "type": "object",
    "additionalProperties": False,
    "required": ["schema_version", "made", "account_id", "policy", "asked", "users"],
    "properties": {
        "schema_version": {"const": SCHEMA_VERSION},
        "made": {"type": "string", "format": "date-time"},
        "account_id": {"type": "string", "pattern": r"^\d{12}$"},
        "policy": {"type": "string"},
        "asked": _ASKED,
        "users": {"type": "array", "items": _USER},
    },
}

#: (operation, names of its parameters) of each IAM call that a deletion may consist of.
DELETION_CALLS: frozenset[tuple[str, frozenset[str]]] = frozenset(
    {
        ("DeleteUser", frozenset({"UserName"})),
        # The Deny-all in its forms. The calls that remove it are among the removals below.
        ("PutUserPolicy", frozenset({"UserName", "PolicyName", "PolicyDocument"})),
        ("AttachUserPolicy", frozenset({"UserName", "PolicyArn"})),
        ("PutUserPermissionsBoundary", frozenset({"UserName", "PermissionsBoundary"})),
    }
    | {
        (removal.operation, frozenset({*removal.parameters, *(("UserName",) if removal.by_user else ())}))
        for kind in ATTACHMENT_KINDS
        for removal in kind.removals
    }
)
#: IAM's names, paths and ids are ASCII ("IAM identifiers", IAM User Guide; botocore userNameType, pathType, idType).
_ARN = re.compile(r"arn:aws[a-z0-9-]*:iam::([0-9]{12}):user/(?:[!-~]+/)?([A-Za-z0-9+=,.@_-]{1,64})")
_UNIQUE_ID = re.compile(r"[A-Za-z0-9_]+")
_VALUE, _DOCUMENT = re.compile(r"[!-~]+"), re.compile(r"[ -~]+")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class PlannedDeletion:
    """One user in a plan. ``calls``: in order; none if ``skipped`` says why the user is left alone.

    ``fingerprint``: of the user when the plan was made. ``attachments``: kind -> count. ``breaks``: what names it.
    ``noted``: what a reviewer should know of it.
    """

    subject: Subject
    fingerprint: str = ""
    calls: tuple[ApiCall, ...] = ()
    attachments: Mapping[str, int] = field(default_factory=dict)
    skipped: Reason | None = None
    breaks: tuple[str, ...] = ()
    noted: Reason | None = None

    def as_data(self) -> dict[str, Any]:
        """The user's entry in the file."""
        subject = self.subject
        calls = [
            {"service": c.service, "operation": c.operation, "parameters": dict(c.parameters)}
            for c in self.calls
        ]
        who = {"user": subject.name, "arn": subject.arn, "unique_id": subject.unique_id}
        what = {"fingerprint": self.fingerprint, "attachments": dict(self.attachments)}
        skipped, code = (self.skipped.text, self.skipped.code) if self.skipped else ("", "")
        breaks = {"breaks": [*self.breaks]} if self.breaks else {}
        noted = {"noted": self.noted.text} if self.noted else {}
        return {**who, **what, "calls": calls, "skipped": skipped, "code": code, **breaks, **noted}


@dataclass(frozen=True)
class Asked:
    """What the policy asked about its users, beside their tags. What it did not ask is not known of them.

    ``stacks``: Regions, ``terraform_states``: places, of what may manage a user. ``resource_policies``: services whose
    policies may name one.
    """

    stacks: tuple[str, ...] = ()
    terraform_states: tuple[str, ...] = ()
    resource_policies: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Its entry in the file."""
        return {name: [*places] for name, places in vars(self).items()}

    @property
    def text(self) -> str:
        """For a reviewer."""
        stacks = [f"stacks in {', '.join(self.stacks)}"] if self.stacks else []
        states = [f"states in {', '.join(self.terraform_states)}"] if self.terraform_states else []
        by = f"by tags, {' and '.join((*stacks, *states))}" if stacks or states else "by tags alone"
        named = ", ".join(self.resource_policies) or "none"
        return f"which code manages them was asked {by}; policies of resources that may name them: {named}"


@dataclass(frozen=True)
class DeletionPlan:
    """What one policy would delete in one account. ``made``: a datetime, or ISO 8601 text once loaded.

    ``file``: the ``place`` and the ``sha256`` of the file that a deletion applies; empty if it was not read from one.
    """

    account_id: str
    policy: str
    made: datetime | str
    users: tuple[PlannedDeletion, ...]
    file: Mapping[str, str] = field(default_factory=dict)
    asked: Asked = Asked()

    def of(self, subject: Subject) -> PlannedDeletion | None:
        """The entry of the user with that ARN and unique id; None if there is none."""
        return self._users.get(subject)

    def as_json(self) -> str:
        """The plan as text."""
        made = self.made.isoformat() if isinstance(self.made, datetime) else self.made
        head = {
            "schema_version": SCHEMA_VERSION,
            "made": made,
            "account_id": self.account_id,
            "policy": self.policy,
            "asked": self.asked.as_data(),
        }
        return json.dumps({**head, "users": [user.as_data() for user in self.users]}, indent=2)

    @cached_property
    def _users(self) -> dict[Subject, PlannedDeletion]:
        return {each.subject: each for each in self.users}

    @classmethod
    def from_json(cls, text: str | bytes) -> DeletionPlan:
        """The plan in ``text``. Raises PlanInvalid, with the place, if a run could not have made it.

        Each entry must be a user of the plan's account, and no user may have two. An entry that deletes needs a
        fingerprint, a unique id and calls: only calls of a deletion, and only for that user.
        """
        try:
            data = read_json(text)
        except NotInFormat as error:
            raise PlanInvalid(f"not a plan of deletions: it is not valid JSON: {error}") from error
        problem = schema_problem(data, SCHEMA)
        try:
            if problem is None:
                users = tuple(map(_planned, data["users"]))
                _require_consistency(data["account_id"], users)
                asked = Asked(**{name: tuple(places) for name, places in data["asked"].items()})
                return cls(data["account_id"], data["policy"], data["made"], users, asked=asked)
        except (KeyError, TypeError, AttributeError) as error:
            problem = repr(error)
        raise PlanInvalid(f"not a plan of deletions of version {SCHEMA_VERSION}: {problem}")


def _planned(data: Mapping[str, Any]) -> PlannedDeletion:
    calls = tuple(ApiCall(each["service"], each["operation"], each["parameters"]) for each in data["calls"])
    subject = Subject(data["user"], data["arn"], data["unique_id"])
    skipped = read_reason({"reason": data["skipped"], "code": data["code"]}) if data["skipped"] else None
    held, breaks = data["attachments"], tuple(data.get("breaks", ()))
    noted = read_reason({"reason": data["noted"]}) if data.get("noted") else None
    return PlannedDeletion(subject, data["fingerprint"], calls, held, skipped, breaks, noted)


def _require_consistency(account_id: str, users: tuple[PlannedDeletion, ...]) -> None:
    seen: set[tuple[str, str]] = set()
    for user in users:
        keys = _keys(user.subject)
        problem = next(_problems(account_id, user), None)
        if twice := sorted(what for what, _ in seen & keys):
            problem = f"another entry has the same {' and '.join(twice)}"
        if problem:
            raise PlanInvalid(
                f"not a plan that a run has made: user {quoted(user.subject.name)} of account "
                f"{quoted(account_id)}: {problem}"
            )
        seen |= keys


def readable(planned: PlannedDeletion) -> PlannedDeletion:
    """``planned``; skipped if ``load_plan`` would refuse it, and with it the plan of all users."""
    problem = next(_problems(planned.subject.account_id, planned), "")
    if not problem:
        return planned
    return PlannedDeletion(planned.subject, skipped=reasons.PLAN_UNREADABLE(why=problem))


def _keys(subject: Subject) -> set[tuple[str, str]]:
    # User names are unique within an account, not distinguished by case (CreateUser, IAM API reference).
    keys = {("user name", subject.name.lower()), ("ARN", subject.arn), ("unique id", subject.unique_id)}
    return {(what, value) for what, value in keys if value}


def _problems(account_id: str, user: PlannedDeletion) -> Iterator[str]:
    subject, arn = user.subject, _ARN.fullmatch(user.subject.arn)
    if arn is None:
        yield f"{quoted(subject.arn)} is no ARN of an IAM user"
    elif arn[1] != account_id:
        yield f"its ARN is in account {arn[1]}: check the role of that account in accounts.yml"
    elif arn[2] != subject.name:
        yield f"its ARN belongs to another user, {quoted(subject.arn)}"
    if subject.unique_id and not _UNIQUE_ID.fullmatch(subject.unique_id):
        yield f"{quoted(subject.unique_id)} is no unique id"
    if unknown := sorted(user.attachments.keys() - {kind.name for kind in ATTACHMENT_KINDS}):
        yield f"attachments of no known kind: {quoted(unknown[0])}"
    yield from _skipped_problems(user) if user.skipped else _deletion_problems(user)


def _skipped_problems(user: PlannedDeletion) -> Iterator[str]:
    if user.calls:
        yield f"it is skipped, but has {len(user.calls)} calls"


def _deletion_problems(user: PlannedDeletion) -> Iterator[str]:
    if not _FINGERPRINT.fullmatch(user.fingerprint):
        yield "it has calls, but no fingerprint"
    if not user.subject.unique_id:
        yield "it has calls, but no unique id"
    for number, call in enumerate(user.calls, 1):
        if problem := _call_problem(user.subject.name, call):
            yield f"call {number}: {problem}"
    deletions = [number for number, call in enumerate(user.calls, 1) if call.operation == "DeleteUser"]
    if deletions != [len(user.calls)]:
        yield "its calls do not end with the only DeleteUser"


def _call_problem(name: str, call: ApiCall) -> str | None:
    if call.service != "iam" or (call.operation, frozenset(call.parameters)) not in DELETION_CALLS:
        given = ", ".join(map(repr, sorted(call.parameters)))
        return f"{quoted(call.service)} {quoted(call.operation)} with {given} is not a call of a deletion"
    if call.parameters.get("UserName", name) != name:
        return f"{call.operation} is for another user, {quoted(call.parameters['UserName'])}"
    for parameter, value in call.parameters.items():
        if not (_DOCUMENT if parameter == "PolicyDocument" else _VALUE).fullmatch(value):
            return f"{call.operation}: {parameter} {quoted(value)} is not valid in IAM"
    return None


#: Beginnings of operations that add something to a user. Of these, a deletion uses only those that put the Deny-all on.
_ADDING = ("Put", "Attach")


def load_plan(text: str | bytes) -> DeletionPlan:
    """The plan in ``text``, for its reviewer or to be applied.

    Raises PlanInvalid if a run could not have made it: see DeletionPlan.from_json. Besides, calls that add something to
    a user must add the Deny-all.
    """
    plan = DeletionPlan.from_json(text)
    for user in plan.users:
        for call in user.calls:
            if call.operation.startswith(_ADDING) and not is_denial(call):
                given = ", ".join(f"{name} {quoted(value)}" for name, value in call.parameters.items())
                raise PlanInvalid(
                    f"not a plan that a run has made: {user.subject}: {call.operation} of {given}: "
                    "a deletion adds nothing to a user but a Deny on everything"
                )
    return plan


def usable_plan(content: bytes, place: str, account_id: str, digest: str | None = None) -> DeletionPlan:
    """The plan of the file at ``place``, to be applied in the account.

    ``digest``: the SHA-256 in hex that the file must have, if given. Raises PlanInvalid if it has another one, belongs
    to another account, or a run could not have made it.
    """
    found = hashlib.sha256(content).hexdigest()
    if digest is not None and found != digest.lower():
        raise PlanInvalid(f"its SHA-256 is {found}, not that of plan-sha256: it was changed since the review")
    plan = replace(load_plan(content), file={"place": place, "sha256": found})
    if plan.account_id != account_id:
        raise PlanInvalid(
            f"it is of account {visible(plan.account_id)}: give each account its own by {{account_id}} in the name"
        )
    return plan


def review_refusal(
    reviewed: PlannedDeletion | None, snapshot: Snapshot, plan: Plan, begun_on: Iterable[Snapshot]
) -> Reason | None:
    """Why ``plan``, made now for the user of ``snapshot``, is not what was reviewed; None if it is.

    A deletion that an earlier run began may be continued: then one of the snapshots that it took (``begun_on``) has the
    reviewed fingerprint and contains all that the user has left. The form of the Deny-all may differ from the review,
    since it only denies.
    """
    if reviewed is None:
        return reasons.NOT_IN_PLAN()
    if reviewed.skipped:
        return reasons.SKIPPED_BY_PLAN(why=visible(reviewed.skipped.text))
    if reviewed.fingerprint != snapshot.fingerprint and not _is_continued(reviewed, snapshot, begun_on):
        return reasons.CHANGED_SINCE_PLAN()
    known = {_key(call) for call in reviewed.calls}
    unknown = (call for call in plan.calls if _key(call) not in known)
    further = next((call for call in unknown if not (is_denial(call) or is_brownout(call))), None)
    return None if further is None else reasons.NOT_REVIEWED(operation=further.operation)


def _is_continued(reviewed: PlannedDeletion, snapshot: Snapshot, begun_on: Iterable[Snapshot]) -> bool:
    return is_covered(snapshot, (each for each in begun_on if each.fingerprint == reviewed.fingerprint))


def _key(call: ApiCall) -> tuple[str, str, str]:
    return call.service, call.operation, repr(sorted(call.parameters.items()))
