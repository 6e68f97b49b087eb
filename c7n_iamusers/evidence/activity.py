# SPDX-License-Identifier: Apache-2.0
"""When a user was last active, and whether it is surely unused. Pure.

Unused is a claim that a deletion may rest on, so it needs everything: each kind of credential read, the use
of each known, and evidence that is fresh. Whatever is missing makes it false.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from c7n_iamusers.evidence.inventory import USER
from c7n_iamusers.evidence.model import Activity, Credential, Evidence
from c7n_iamusers.iam.attachments import CREDENTIAL_KINDS
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.text.moments import moment

#: The evidence that activity rests on.
ACTIVITY_PIECES = (USER, *dict.fromkeys(kind.piece for kind in CREDENTIAL_KINDS))
#: A credential report is up to 4 hours old when AWS gives it; older than this, the evidence is of another day.
FRESH = timedelta(days=1)


def activity_of(user: IamUser, evidence: Evidence) -> Activity:
    """The activity of ``user`` over all its credentials."""
    held = [each for found in evidence.credentials.values() for each in found]
    used = [(each.last_use.at, each) for each in held if each.last_use and each.last_use.at]
    latest = max(used, key=lambda pair: pair[0])[1] if used else None
    times = [evidence.time_of(piece) for piece in ACTIVITY_PIECES]
    signs = [at for at, _ in used] + [each.made for each in held] + [moment(user.detail.get("CreateDate"))]
    known_signs = [sign for sign in signs if sign]
    return Activity(
        latest.last_use if latest else None,
        latest.title if latest else "",
        max(known_signs, default=None),
        None if None in times else min(time for time in times if time),
        tuple(_unknown(user, evidence, held)),
    )


def is_unused(activity: Activity, days: float, now: datetime) -> bool:
    """True where the user surely showed no sign of life for ``days`` days; the making of a credential is one.

    False wherever anything about it is unknown. Days are counted to the time of the oldest piece of
    evidence, and evidence older than a day counts for nothing.
    """
    if activity.unknown or activity.idle_since is None or activity.as_of is None:
        return False
    fresh = now - activity.as_of <= FRESH
    return fresh and activity.as_of - activity.idle_since >= timedelta(days=days)


def _unknown(user: IamUser, evidence: Evidence, held: list[Credential]) -> Iterator[str]:
    if moment(user.detail.get("CreateDate")) is None:
        yield "when the user was created"
    yield from (
        f"{kind.title}: not read" for kind in CREDENTIAL_KINDS if kind.name not in evidence.credentials
    )
    for credential in held:
        if credential.last_use is None:
            yield f"{credential.title}: AWS doesn't tell its use"
        elif credential.made is None:
            yield f"{credential.title}: AWS doesn't tell its age"
