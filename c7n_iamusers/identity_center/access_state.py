# SPDX-License-Identifier: Apache-2.0
"""How far a person has come to its access in an account: absent, pending or provisioned. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from c7n_iamusers.derivation.permission_set import PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.adoption import same_person
from c7n_iamusers.identity_center.model import KnownPermissionSet, KnownPerson, Person
from c7n_iamusers.identity_center.permission_sets import differs
from c7n_iamusers.text.wording import folded

ABSENT, PENDING, PROVISIONED = "absent", "pending", "provisioned"
STATES = (PROVISIONED, ABSENT, PENDING)


@dataclass(frozen=True)
class AccessState:
    """``state``: one of STATES; ``reason``: what it rests on, in words.

    ``username``, ``permission_set``: how the person signs in, and what it then holds; empty where it has no access.
    """

    state: str
    reason: str
    username: str = ""
    permission_set: str = ""


@dataclass(frozen=True)
class Wanted:
    """What counts. ``name``: of the permission set, empty for any. ``form``: what exactly it must be, where given."""

    name: str = ""
    form: PermissionSet | None = None


def access_state(
    person: Person,
    by_username: KnownPerson | None,
    by_email: KnownPerson | None,
    held: Collection[KnownPermissionSet],
    account_id: str,
    wanted: Wanted,
) -> AccessState:
    """The state; ``held``: the sets that the person is assigned in the account, by assignments that SUCCEEDED.

    Whoever has but the username or but the e-mail is somebody else as far as anybody knows: absent. A disabled
    user can't sign in: pending.
    """
    try:
        known = same_person(person, by_username, by_email)
    except IdentityCenterError as error:
        disabled = by_username is not None and folded(by_username.email) == folded(person.email)
        return AccessState(PENDING if disabled else ABSENT, str(error))
    if known is None:
        return AccessState(ABSENT, f"nobody in Identity Center has username {person.username}")
    for each in held:
        problem = _problem(each, account_id, wanted)
        if problem == "":
            name = each.settings.name
            reason = f"{known.username} holds {name} in account {account_id}"
            return AccessState(PROVISIONED, reason, known.username, name)
        if problem:
            return AccessState(PENDING, f"{known.username}: {problem}")
    what = wanted.name or "any permission set"
    return AccessState(PENDING, f"{known.username} does not hold {what} in account {account_id}")


def _problem(held: KnownPermissionSet, account_id: str, wanted: Wanted) -> str | None:
    """Why the set does not count; empty where it does, None where it is another one."""
    if wanted.name not in ("", held.settings.name):
        return None
    if wanted.name and account_id in held.stale:
        return f"permission set {wanted.name} stands in account {account_id} in an earlier form"
    if wanted.form and differs(wanted.form, held.settings):
        return f"permission set {wanted.name} is other than asked for"
    return ""
