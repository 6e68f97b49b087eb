# SPDX-License-Identifier: Apache-2.0
"""The facts behind a verdict, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from c7n_iamusers.decisions.replacement import REPLACEMENTS
from c7n_iamusers.model.attachments import ACCESS_KEY, LOGIN_PROFILE
from c7n_iamusers.model.evidence import Credential, Evidence
from c7n_iamusers.model.iam_user import IamUser

_SHOWN = 5


def reasons_of(user: IamUser, evidence: Evidence, replacements: tuple[str, ...]) -> tuple[str, ...]:
    """What is known of credentials, MFA, place, tags and groups, and what takes the user's place."""
    return (
        *(_told(each) for found in evidence.credentials.values() for each in found),
        *_absent(evidence),
        *_mfa(evidence),
        *_place(user),
        *(f"{name}: {each.problem}" for name, each in evidence.sources.items() if each.problem),
        *(
            [f"replacement: {', or '.join(REPLACEMENTS[each] for each in replacements)}"]
            if replacements
            else []
        ),
    )


def _told(credential: Credential) -> str:
    state = {True: "active", False: "inactive", None: "active or not"}[credential.active]
    return f"{credential.title}: {state}, {_use(credential)}"


def _use(credential: Credential) -> str:
    use = credential.last_use
    if use is None:
        return "use unknown"
    if use.at is None:
        return "never used"
    where = f" ({use.service} in {use.region})" if use.service and use.region else ""
    return f"last used {use.at.date().isoformat()}{where}"


def _absent(evidence: Evidence) -> Iterator[str]:
    for kind in (LOGIN_PROFILE, ACCESS_KEY):
        if evidence.credentials.get(kind.name) == ():
            yield f"no {kind.title}"


def _mfa(evidence: Evidence) -> Iterator[str]:
    if evidence.mfa is not None:
        yield "MFA" if evidence.mfa else "no MFA"


def _place(user: IamUser) -> Iterator[str]:
    if user.path != "/":
        yield f"path {user.path}"
    for title, names in (("tags", tuple(user.tags)), ("groups", user.groups or ())):
        if names:
            yield f"{title}: {', '.join(names[:_SHOWN])}{' ...' if len(names) > _SHOWN else ''}"
