# SPDX-License-Identifier: Apache-2.0
"""Users of people: in use, left behind, never used, without an e-mail address, or with awkward names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from aws_local_org.seeding.draft import Draft, Person, ascii_of
from aws_local_org.seeding.permissions import (
    BOUNDED_PERMISSIONS,
    DEVELOPER_BOUNDARY,
    HUMAN_PERMISSIONS,
    SELF_MANAGE,
    Permissions,
)
from aws_local_org.seeding.records import AccessKey, MfaDevice, Password, User

PATHS = ("/engineering/", "/finance/emea/", "/contractors/")


def _user_name(draft: Draft, person: Person) -> str:
    initial = ascii_of(person.given)[0] + ascii_of(person.family)
    styles = (person.handle, person.handle, person.handle, initial, person.email, person.handle.title())
    return draft.name(draft.rng.choice(styles))


def human(
    draft: Draft,
    name: str,
    tags: dict[str, str],
    password: Password | None,
    keys: tuple[AccessKey, ...] = (),
    mfa: tuple[MfaDevice, ...] = (),
    path: str = "/",
    created: datetime | None = None,
    boundary: str | None = None,
    choice: Sequence[Permissions] = HUMAN_PERMISSIONS,
) -> User:
    """A user with one of the permission combinations of ``choice``, by default those that people have."""
    granted = draft.permissions(choice)
    return User(
        name,
        draft.ids.user(),
        created or draft.ago(900, 2400),
        path,
        tags,
        password,
        keys,
        mfa_devices=mfa,
        inline=granted.inline,
        policies=draft.arns(granted.policies),
        groups=granted.groups,
        boundary=boundary,
    )


def _in_use(
    draft: Draft,
    name: str,
    tags: dict[str, str],
    path: str = "/",
    boundary: str | None = None,
    choice: Sequence[Permissions] = HUMAN_PERMISSIONS,
) -> User:
    password = Password(draft.ago(20, 89), draft.ago(0, 20))
    keys = (draft.access_key(draft.ago(30, 800), draft.ago(0, 14)),) if draft.chance(0.4) else ()
    mfa = (draft.virtual_mfa(name, draft.ago(90, 800)),) if draft.chance(0.85) else ()
    return human(draft, name, tags, password, keys, mfa, path, boundary=boundary, choice=choice)


def active(draft: Draft) -> User:
    """Signs in every other day; most have MFA, some a key."""
    person = draft.person()
    return _in_use(draft, _user_name(draft, person), person.tags)


def under_a_path(draft: Draft) -> User:
    person = draft.person()
    return _in_use(draft, _user_name(draft, person), person.tags, draft.rng.choice(PATHS))


def bounded(draft: Draft) -> User:
    """Held by a permissions boundary, without which its permissions would widen."""
    person = draft.person()
    (boundary,) = draft.arns([DEVELOPER_BOUNDARY])
    return _in_use(
        draft, _user_name(draft, person), person.tags, boundary=boundary, choice=(BOUNDED_PERMISSIONS,)
    )


def awkwardly_named(draft: Draft) -> User:
    """Every character that IAM allows in a name, and an owner whose address has a plus sign."""
    person = draft.person()
    name = draft.name(f"{person.handle.split('.')[0]}+aws=ops,{person.handle.split('.')[1]}-x@example.com")
    return _in_use(draft, name, {**person.tags, "Email": person.email.replace("@", "+aws@")})


def without_email(draft: Draft) -> User:
    """Without an e-mail address: no notice and no Identity Center person until its owner is known."""
    person = draft.person()
    return _in_use(draft, _user_name(draft, person), {"Department": person.department})


def stale(draft: Draft) -> User:
    """Has not signed in for months; an old key, often deactivated by hand."""
    person = draft.person()
    name = _user_name(draft, person)
    password = Password(draft.ago(700, 900), draft.ago(120, 700))
    key = draft.access_key(draft.ago(700, 900), draft.ago(200, 700), active=draft.chance(0.7))
    mfa = (draft.virtual_mfa(name, draft.ago(700, 900)),) if draft.chance(0.3) else ()
    return human(draft, name, person.tags, password, (key,), mfa)


def never_used(draft: Draft) -> User:
    """Made with a password, and sometimes a key, that nobody ever used."""
    person = draft.person()
    created = draft.ago(100, 900)
    keys = (draft.access_key(created),) if draft.chance(0.5) else ()
    return human(draft, _user_name(draft, person), person.tags, Password(created), keys, created=created)


def admin(draft: Draft) -> User:
    """An administrator by group membership only."""
    person = draft.person()
    name = _user_name(draft, person)
    return User(
        name,
        draft.ids.user(),
        draft.ago(900, 2400),
        tags=person.tags,
        password=Password(draft.ago(10, 60), draft.ago(0, 3)),
        access_keys=(draft.access_key(draft.ago(200, 800), draft.ago(0, 10)),),
        mfa_devices=(draft.virtual_mfa(name, draft.ago(200, 800)), draft.fido_key(name, draft.ago(10, 200))),
        policies=draft.arns([SELF_MANAGE]),
        groups=("Admins", "Everyone"),
    )
