# SPDX-License-Identifier: Apache-2.0
"""The state of a person's access in an account, for the filter ``identity-center``. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.iam.user import Item
from c7n_iamusers.identity_center.model import KnownPermissionSet, KnownPerson, Person
from c7n_iamusers.identity_center.planning.adoption import another_id, same_person
from c7n_iamusers.identity_center.planning.permission_sets import differs
from c7n_iamusers.identity_center.sign_ins import SignIns, unproven
from c7n_iamusers.text.wording import folded

ABSENT, PENDING, PROVISIONED, USED = "absent", "pending", "provisioned", "used"
STATES = (PROVISIONED, ABSENT, PENDING, USED)


@dataclass(frozen=True)
class AccessState:
    """``state``: one of STATES. ``reason``: in words.

    ``username``, ``user_id``, ``permission_set``, ``email``: the person's if the state is PROVISIONED; else empty.
    ``user_id``: in the identity store.
    """

    state: str
    reason: str
    username: str = ""
    permission_set: str = ""
    user_id: str = ""
    email: str = ""


@dataclass(frozen=True)
class RequiredSet:
    """The permission set that counts as access. ``name``: empty for any. ``form``: its exact settings, if given."""

    name: str = ""
    form: PermissionSet | None = None


def access_state(
    person: Person,
    by_username: KnownPerson | None,
    by_email: KnownPerson | None,
    held: Collection[KnownPermissionSet],
    account_id: str,
    required: RequiredSet,
    user_id: str = "",
) -> AccessState:
    """The state. ``held``: the permission sets that the person has in the account, by assignments that SUCCEEDED.
    ``user_id``: the person's in the identity store, by the people file; empty if it has none.

    A user with only the person's username, or only its e-mail, or with another ``user_id``, may be another person:
    absent. A disabled user can't sign in: pending.
    """
    try:
        known = same_person(person, by_username, by_email)
    except IdentityCenterError as error:
        disabled = by_username is not None and folded(by_username.email) == folded(person.email)
        return AccessState(PENDING if disabled else ABSENT, str(error))
    if why := another_id(user_id, person.username, known):
        return AccessState(ABSENT, why)
    if known is None:
        return AccessState(ABSENT, f"no user in Identity Center has username {person.username}")
    for each in held:
        problem = _problem(each, account_id, required)
        if problem == "":
            name = each.settings.name
            reason = f"{known.username} holds {name} in account {account_id}"
            return AccessState(PROVISIONED, reason, known.username, name, known.user_id, known.email)
        if problem:
            return AccessState(PENDING, f"{known.username}: {problem}")
    what = required.name or "any permission set"
    return AccessState(PENDING, f"{known.username} does not hold {what} in account {account_id}")


def _problem(held: KnownPermissionSet, account_id: str, required: RequiredSet) -> str | None:
    """Why the permission set does not count; empty if it counts, None if it has another name."""
    if required.name not in ("", held.settings.name):
        return None
    if required.name and account_id in held.stale:
        return f"permission set {required.name} in account {account_id} is not provisioned in its latest form"
    if required.form and differs(required.form, held.settings):
        return f"permission set {required.name} differs from the requested one"
    return ""


@dataclass(frozen=True)
class RequiredUse:
    """The evidence that a person uses its access: the organization's sign-ins, the account's roles, and since when a
    sign-in counts.
    """

    sign_ins: SignIns
    roles: tuple[Item, ...]
    after: datetime

    def proven(self, access: AccessState, account_id: str, held: Iterable[str]) -> AccessState:
        """``access`` (PROVISIONED) as USED if the person has signed in with one of ``held``, the names of its present
        permission sets that count; otherwise with the reason why not.
        """
        problems = []
        for name in sorted(held):
            problem = unproven(self.sign_ins, access.user_id, account_id, name, self.roles, self.after)
            if not problem:
                reason = f"{access.username} holds {name} in account {account_id}, and has signed in by it"
                return replace(access, state=USED, permission_set=name, reason=reason)
            problems.append(problem)
        return replace(access, reason=f"{access.reason}, but {'; '.join(problems)}")
