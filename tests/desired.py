# SPDX-License-Identifier: Apache-2.0
"""Desired accesses and intents for tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from c7n_iamusers.derivation.permission_set import PermissionSet
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.identity_center.desired import AccessRequest, desired_access
from c7n_iamusers.identity_center.intents import Intents, UserIntent
from c7n_iamusers.identity_center.model import DesiredAccess, Person, Refusal
from tests.access_center import ACCOUNT, MARK, READ_ONLY


def person(name: str) -> Person:
    """Somebody whose username is an e-mail."""
    return Person(f"{name}@example.com", f"{name}@example.com", name, "Example", name)


def user(account: str, name: str, who: Person | None, problem: str = "") -> UserIntent:
    """An IAM user's intent."""
    subject = Subject(name, f"arn:aws:iam::{account}:user/{name}", f"AIDA{account}{name}".upper())
    return UserIntent(subject, who, "" if problem else "tag:Email", problem)


def readers(name: str = "Readers") -> PermissionSet:
    """A permission set that reads."""
    return PermissionSet(name, "Reads", managed_policies=frozenset({READ_ONLY}), tags=MARK)


def intents(account: str = ACCOUNT, *names: str, set_name: str = "Readers", **fields: Any) -> Intents:
    """An account's intents: its users of those names are people of the same names."""
    users = tuple(user(account, name, person(name)) for name in names)
    found = Intents(
        account,
        f"provision-{set_name}",
        users,
        group=f"iam-{account}-{set_name}",
        permission_set=readers(set_name),
        place=f"{account}/provision-{set_name}",
        time=datetime.now(timezone.utc).replace(microsecond=0),
    )
    return replace(found, **fields)


def desired(*found: Intents) -> DesiredAccess:
    """What they ask for together, where none derives."""
    return desired_access(found, no_derivation)


def no_derivation(rows: object) -> tuple[list[AccessRequest], list[Refusal]]:
    """For intents of which none derives."""
    assert not rows
    return [], []


def told(found: DesiredAccess) -> dict[str, str]:
    """ARN's end of each refused user -> the reason."""
    return {f"{each.subject.account_id}/{each.subject.name}": each.reason for each in found.refused}
