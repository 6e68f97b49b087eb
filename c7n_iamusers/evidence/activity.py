# SPDX-License-Identifier: Apache-2.0
"""When a user was last active, and whether it is unused. Pure.

A deletion can depend on "unused". So a user counts as unused only if every kind of credential was read, the last use
of each credential is known, and the evidence is less than a day old.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from c7n_iamusers.evidence.index import USER
from c7n_iamusers.evidence.model import Activity, Credential, Evidence
from c7n_iamusers.iam.attachments import CREDENTIAL_KINDS
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.text.wording import moment

#: The pieces of evidence that activity depends on.
ACTIVITY_PIECES = (USER, *dict.fromkeys(kind.piece for kind in CREDENTIAL_KINDS))
#: The oldest evidence that counts. AWS returns credential reports that are up to 4 hours old.
MAX_AGE = timedelta(days=1)


def activity_of(user: IamUser, evidence: Evidence) -> Activity:
    """The activity of ``user`` with all its credentials."""
    held = [each for found in evidence.credentials.values() for each in found]
    used = [(each.last_use.at, each) for each in held if each.last_use and each.last_use.at]
    latest = max(used, key=lambda pair: pair[0])[1] if used else None
    times = [evidence.time_of(piece) for piece in ACTIVITY_PIECES]
    events = (
        [at for at, _ in used] + [each.created for each in held] + [moment(user.detail.get("CreateDate"))]
    )
    return Activity(
        latest.last_use if latest else None,
        latest.title if latest else "",
        max((event for event in events if event), default=None),
        None if None in times else min(time for time in times if time),
        tuple(_unknown(user, evidence, held)),
    )


def is_unused(activity: Activity, days: float, now: datetime) -> bool:
    """Whether the user had no activity for ``days`` days. Creating a credential counts as activity.

    False if anything is unknown, or the evidence is older than MAX_AGE. Days are counted up to the time of the
    oldest piece of evidence.
    """
    if activity.unknown or activity.idle_since is None or activity.as_of is None:
        return False
    recent = now - activity.as_of <= MAX_AGE
    return recent and activity.as_of - activity.idle_since >= timedelta(days=days)


def _unknown(user: IamUser, evidence: Evidence, held: list[Credential]) -> Iterator[str]:
    if moment(user.detail.get("CreateDate")) is None:
        yield "when the user was created"
    yield from (
        f"{kind.title}: not read" for kind in CREDENTIAL_KINDS if kind.name not in evidence.credentials
    )
    for credential in held:
        if credential.last_use is None:
            yield f"{credential.title}: last use unknown"
        elif credential.created is None:
            yield f"{credential.title}: age unknown"
