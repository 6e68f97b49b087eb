# SPDX-License-Identifier: Apache-2.0
"""Rules of findings on passwords, keys and MFA. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from c7n_iamusers.decisions.finding_case import Answer, Case
from c7n_iamusers.model.attachments import ACCESS_KEY, LOGIN_PROFILE
from c7n_iamusers.model.evidence import Credential


def console_without_mfa(case: Case) -> Answer:
    """It has a password and no MFA device."""
    passwords = case.credentials(LOGIN_PROFILE.name)
    if passwords == () or case.evidence.mfa:
        return ()
    if passwords is None or case.evidence.mfa is None:
        return None
    return ("Signs in to the console with a password alone: enforce MFA until the user goes.",)


def password_never_used(case: Case) -> Answer:
    """It has a password that was never used."""
    return _never_used(case, LOGIN_PROFILE.name)


def password_unused(case: Case) -> Answer:
    """Its password was last used `thresholds.unused` days ago or before."""
    return _unused(case, LOGIN_PROFILE.name)


def key_never_used(case: Case) -> Answer:
    """An active access key of it was never used."""
    return _never_used(case, ACCESS_KEY.name)


def key_unused(case: Case) -> Answer:
    """An active access key of it was last used `thresholds.unused` days ago or before."""
    return _unused(case, ACCESS_KEY.name)


def key_not_rotated(case: Case) -> Answer:
    """An active access key of it is `thresholds.rotation` days old or older."""

    def due(key: Credential) -> str | None:
        if key.made is None:
            return None
        days = case.days_since(key.made)
        return f"{_named(key)} is {days} days old." if days >= case.thresholds.rotation else ""

    return _each(case, ACCESS_KEY.name, due)


def two_active_keys(case: Case) -> Answer:
    """It has two active access keys."""
    keys = case.credentials(ACCESS_KEY.name)
    if keys is None:
        return None
    return (f"{len(keys)} access keys are active: twice the chance of a leak.",) if len(keys) > 1 else ()


def _never_used(case: Case, kind: str) -> Answer:
    def never(credential: Credential) -> str | None:
        if credential.last_use is None:
            return None
        if credential.last_use.at:
            return ""
        return f"{_named(credential)} was never used{_age(case, credential.made)}."

    return _each(case, kind, never)


def _unused(case: Case, kind: str) -> Answer:
    def idle(credential: Credential) -> str | None:
        if credential.last_use is None:
            return None
        if credential.last_use.at is None:
            return ""
        days = case.days_since(credential.last_use.at)
        return (
            f"{_named(credential)} was last used {days} days ago." if days >= case.thresholds.unused else ""
        )

    return _each(case, kind, idle)


def _each(case: Case, kind: str, judge: Callable[[Credential], str | None]) -> Answer:
    """The texts of ``judge`` (empty: in order, None: unknown) over the active credentials of ``kind``."""
    credentials = case.credentials(kind)
    if credentials is None:
        return None
    judged = [judge(credential) for credential in credentials]
    found = tuple(text for text in judged if text)
    return None if not found and None in judged else found


def _named(credential: Credential) -> str:
    return credential.title[:1].upper() + credential.title[1:]


def _age(case: Case, made: datetime | None) -> str:
    return f" since it was made {case.days_since(made)} days ago" if made else ""
