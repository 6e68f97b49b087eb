# SPDX-License-Identifier: Apache-2.0
"""Intents: what one account's users need in Identity Center, as one policy's run found it; their JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from sys import intern
from typing import Any

from c7n_iamusers.derivation.permission_set import PermissionSet
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.model import Person
from c7n_iamusers.text.moments import as_text, moment

#: The file in a policy's output directory, and the version of its form.
INTENTS_FILE, INTENTS_SCHEMA = "identity-center-intents.json", 2
#: The outcome of a user whose needs are on record and not yet met.
INTENDED = "intended"


@dataclass(frozen=True, slots=True)
class UserIntent:
    """An IAM user and the person it stands for, or the ``problem`` that keeps it from standing for one.

    ``rests_on``: where username and e-mail were found, in words. ``on_file``: in the mapping file, so that no tag
    has a say in it. ``detail``: botocore's ``UserDetail``, where
    the permission set is derived from what the user may do.
    """

    subject: Subject
    person: Person | None
    rests_on: str = ""
    problem: str = ""
    detail: Mapping[str, Any] | None = None
    on_file: bool = False


@dataclass(frozen=True)
class Intents:
    """Either ``group`` and ``permission_set`` are given, or ``derive``: the policy's settings of derivation.

    ``place``: where they were read from, in words that a person finds; empty in a run that needs no file. ``time``:
    when the users were read, in UTC; None in a run that needs no file.
    """

    account_id: str
    policy: str
    users: tuple[UserIntent, ...]
    external: bool = False
    shared_group: bool = False
    group: str = ""
    permission_set: PermissionSet | None = None
    derive: Mapping[str, Any] | None = None
    source: PolicySource = field(default_factory=PolicySource)
    place: str = ""
    time: datetime | None = None


_PERSON = ("username", "email", "given_name", "family_name", "display_name")


class NotIntents(ValueError):
    """The document is no intents of the known version; the text says why."""


def intents_data(intents: Intents) -> dict[str, Any]:
    """The document that says the same as ``intents``, less their place."""
    return {
        "schema": INTENTS_SCHEMA,
        "time": as_text(intents.time),
        "account": intents.account_id,
        "policy": intents.policy,
        "identity-source": "external" if intents.external else "identity-center",
        "shared-group": intents.shared_group,
        "group": intents.group,
        "permission-set": permission_set_data(intents.permission_set) if intents.permission_set else None,
        "derive": dict(intents.derive) if intents.derive is not None else None,
        "users": [_user_data(user) for user in intents.users],
        "groups": dict(intents.source.groups),
        "policies": dict(intents.source.policies),
    }


def intents_from(data: Any, place: str = "") -> Intents:
    """The intents of a document. Raises NotIntents."""
    if not isinstance(data, Mapping) or data.get("schema") != INTENTS_SCHEMA:
        version = data.get("schema") if isinstance(data, Mapping) else None
        raise NotIntents(
            f"schema {version!r} is not {INTENTS_SCHEMA}: run the policy again with this version"
        )
    try:
        return _intents(data, place)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NotIntents(f"{type(error).__name__}: {error}: run the policy again") from error


def permission_set_data(wanted: PermissionSet) -> dict[str, Any]:
    """The document that says the same as a permission set."""
    return {
        "name": wanted.name,
        "description": wanted.description,
        "session_duration": wanted.session_duration,
        "relay_state": wanted.relay_state,
        "managed_policies": sorted(wanted.managed_policies),
        "inline_policy": wanted.inline_policy,
        "tags": dict(wanted.tags),
        "customer_policies": sorted(wanted.customer_policies),
        "boundary": wanted.boundary,
    }


def permission_set_from(data: Mapping[str, Any]) -> PermissionSet:
    """The permission set of a document. Raises KeyError, TypeError for what is none."""
    sets = ("managed_policies", "customer_policies")
    return PermissionSet(**{**data, **{name: frozenset(data[name]) for name in sets}})


def _user_data(user: UserIntent) -> dict[str, Any]:
    subject = user.subject
    return {
        "user": subject.name,
        "arn": subject.arn,
        "unique-id": subject.unique_id,
        "person": {name: getattr(user.person, name) for name in _PERSON} if user.person else None,
        "rests-on": user.rests_on,
        "problem": user.problem,
        "detail": dict(user.detail) if user.detail is not None else None,
        "on-file": user.on_file,
    }


def _intents(data: Mapping[str, Any], place: str) -> Intents:
    wanted, derive, time = data["permission-set"], data["derive"], moment(data["time"])
    if time is None:
        raise ValueError(f"time {data['time']!r} is none")
    if (wanted is None) == (derive is None):
        raise ValueError("either a permission set or its derivation must be asked for")
    return Intents(
        account_id=data["account"],
        policy=data["policy"],
        users=tuple(_user(user) for user in data["users"]),
        external={"external": True, "identity-center": False}[data["identity-source"]],
        shared_group=bool(data["shared-group"]),
        group=data["group"],
        permission_set=permission_set_from(wanted) if wanted is not None else None,
        derive=derive,
        source=PolicySource(data["groups"], data["policies"]),
        place=place,
        time=time,
    )


def _user(data: Mapping[str, Any]) -> UserIntent:
    person = data["person"]
    if (person is None) != bool(data["problem"]):
        raise ValueError(f"user {data['user']} must have either a person or a problem")
    if person is not None and person["email"] == person["username"]:
        # The same text once, of 80,000 people.
        person = {**person, "email": person["username"]}
    return UserIntent(
        Subject(data["user"], data["arn"], data["unique-id"]),
        Person(**person) if person is not None else None,
        intern(data["rests-on"]),
        data["problem"],
        data["detail"],
        data["on-file"],
    )
