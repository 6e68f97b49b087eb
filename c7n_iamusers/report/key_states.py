# SPDX-License-Identifier: Apache-2.0
"""What became of an access key, by outcomes and announcements. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from c7n_iamusers import reasons
from c7n_iamusers.execution.outcomes import ACTIVATED, DEACTIVATED, FAILED, RETIRED, SKIPPED
from c7n_iamusers.report.users import Row, when

#: States of a key, beside FAILED and RETIRED: made inactive, and not given back or deleted since; active again; deleted
#: by somebody else, or with its user; left as it is; its owner was told of it; selected by a policy, and no more.
PARKED, GIVEN_BACK, GONE = "parked", "given back", "gone"
LEFT_ALONE, ANNOUNCED, FLAGGED = "left alone", "announced", "flagged"
#: From the most urgent to what is done.
STATES = (FAILED, PARKED, LEFT_ALONE, ANNOUNCED, FLAGGED, GIVEN_BACK, GONE, RETIRED)
#: States of keys that are not there any more.
ENDED = frozenset({GONE, RETIRED})
_PARKED = frozenset({reasons.KEY_PARKED.code, reasons.KEY_STAYS_PARKED.code})
_ACTIVE = frozenset({reasons.KEY_ACTIVATED_SINCE.code, reasons.KEY_ACTIVE.code})
_GONE = frozenset({reasons.KEY_GONE.code, reasons.ALREADY_GONE.code})
#: A key that was left for one of these waits for its day.
_WAITING = frozenset(
    each.code
    for each in (
        *(reasons.MESSAGE_WAITS, reasons.ANNOUNCED_LATELY, reasons.BEFORE_ITS_DAY, reasons.BEFORE_ITS_STOP),
    )
)


@dataclass(frozen=True)
class Became:
    """``state``: one of STATES. ``event``: the outcome that says so; None if none does.

    ``parked``: whether it is parked, also where something else failed since. ``since``: when it was parked or given
    back; None if it was neither, or the outcome of that is not here.
    """

    state: str
    event: Row | None = None
    parked: bool = False
    since: datetime | None = None


@dataclass(frozen=True)
class _Change:
    """The last change of a key's status: PARKED, GIVEN_BACK, GONE, RETIRED; empty for none. ``event`` says so."""

    state: str = ""
    event: Row | None = None
    since: datetime | None = None


_UNCHANGED = _Change()
_BY_US = {DEACTIVATED: PARKED, ACTIVATED: GIVEN_BACK, RETIRED: RETIRED}


def _after(known: _Change, event: Row) -> _Change:
    codes = {event["code"], *event["codes"]}
    if known.state == RETIRED:
        return known
    if state := _BY_US.get(event["status"]):
        return _Change(state, event, when(event))
    if codes & _GONE:
        return _Change(GONE, event)
    if codes & _PARKED and known.state != PARKED:  # by a run whose outcome is elsewhere
        return _Change(PARKED, event)
    activated = codes & _ACTIVE and known.state == PARKED  # by somebody else
    return _UNCHANGED if activated else known


def became(events: Iterable[Row], told: datetime | None) -> Became:
    """What became of a key with the outcomes ``events``. ``told``: when its announcement that counts was sent."""
    ordered = sorted(events, key=when)
    change = reduce(_after, ordered, _UNCHANGED)
    latest = [*{each["policy"]: each for each in ordered}.values()]
    newest, parked = max(latest, key=when, default=None), change.state == PARKED
    failed = [each for each in latest if each["status"] == FAILED and _is_later(each, change.event)]
    if change.state in ENDED:
        return Became(change.state, change.event)
    if failed:
        return Became(FAILED, max(failed, key=when), parked, change.since)
    if parked:
        return Became(PARKED, newest, True, change.since)
    if change.state:
        # as notices have times
        anew = told and change.since and told >= change.since.replace(microsecond=0)
        return Became(ANNOUNCED if anew else GIVEN_BACK, change.event, since=change.since)
    waits = told and newest and newest["status"] == SKIPPED and newest["code"] in _WAITING
    if newest and not waits:
        return Became(LEFT_ALONE, newest)
    return Became(ANNOUNCED if told else FLAGGED, newest)


def _is_later(event: Row, other: Row | None) -> bool:
    return other is None or when(event) > when(other)
