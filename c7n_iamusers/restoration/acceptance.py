# SPDX-License-Identifier: Apache-2.0
"""What somebody must accept before a user is restored: by naming the user, by an option, or when asked. Pure."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import Enum

from c7n_iamusers.restoration.cannot_come_back import administrative, administrative_today
from c7n_iamusers.restoration.plan import Restoration
from c7n_iamusers.restoration.rights import RightsChange


class Need(Enum):
    """An acceptance that is missing.

    NAMED: the snapshot is partial, so the user must be named. WIDER: it could, or might, do more than before.
    """

    NAMED = "named"
    WIDER = "wider"


@dataclass(frozen=True)
class Accepted:
    """What was accepted for single users beforehand.

    ``named``: the names of users to restore. ``wider``: NAME or ACCOUNT_ID/NAME of users that may do more than before.
    """

    named: Set[str] = frozenset()
    wider: Set[str] = frozenset()

    def missing(self, planned: Restoration, change: RightsChange) -> Need | None:
        """The first acceptance that the user needs and does not have; None if it needs no more."""
        subject = planned.plan.subject
        if planned.whole.partial and planned.plan.calls and subject.name not in self.named:
            return Need.NAMED
        if (change.wider or change.unknown) and not {subject.name, subject.with_account} & self.wider:
            return Need.WIDER
        return None


def warnings(planned: Restoration, doubts: tuple[str, ...]) -> tuple[str, ...]:
    """What somebody must accept when asked, one per line: ``doubts`` about the files, and administrator rights.

    None for a user whose restoration changes nothing.
    """
    if not planned.plan.calls:
        return ()
    ways = (*administrative(planned.snapshot), *administrative_today(planned.after, planned.rights))
    return (*doubts, *(f"it becomes an administrator, by {way}" for way in dict.fromkeys(ways)))
