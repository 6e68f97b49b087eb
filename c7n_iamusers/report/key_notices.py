# SPDX-License-Identifier: Apache-2.0
"""Whether access keys were parked and deleted as their owners were told, by notices and by what policies ask. Pure.

Lines about keys name no notice. So what counts is the announcement that is on record, and no digest proves it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter, itemgetter

from c7n_iamusers.execution.output_layout import DATE_PARTS
from c7n_iamusers.lockout.journal_lines import PARKING, RETIREMENT
from c7n_iamusers.notices.notices import LAPSE_DAYS, Notice, Notices
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.report.key_lines import KeyCall, KeyRecords
from c7n_iamusers.report.outputs import PolicyOutput
from c7n_iamusers.report.users import began
from c7n_iamusers.text.wording import counted

_DAY = 86_400.0


@dataclass(frozen=True)
class _Terms:
    """What a policy asks of access keys. ``rests``: for an announcement. ``parked_for``: days; None for none.

    ``certain``: whether that is what it asked when it made a call, and not what it asks since.
    """

    rests: bool
    parked_for: float | None
    certain: bool


class _TermsOfOutputs:
    """What the policies on keys ask, by the outputs that their runs left."""

    def __init__(self, outputs: Iterable[PolicyOutput]) -> None:
        #: In a bucket, what a run left of itself has a directory with its date below that of the journal.
        self._below = defaultdict[str, list[PolicyOutput]](list)
        for output in sorted((each for each in outputs if each.on_keys and each.state), key=began):
            parts = output.place.split("/")
            for end in range(len(parts), max(len(parts) - DATE_PARTS, 1) - 1, -1):
                self._below["/".join(parts[:end])].append(output)

    def of(self, call: KeyCall) -> _Terms | None:
        """Those of the policy that made ``call``; None if nothing is left of it: the next run replaces a directory."""
        its = self._below.get(call.output, ())
        if not its:
            return None
        at = bisect_right(its, call.time, key=began)
        found = its[max(at - 1, 0)]
        return _Terms(found.rests, found.parked_for, at > 0)


def _announced(
    notices: Notices, key_id: str, told: Sequence[tuple[datetime, Notice]], at: datetime
) -> Notice | None:
    """The one of ``told``, the announcements of an access key, that counted ``at`` that time, by what is on record."""
    earlier = bisect_right(told, at, key=itemgetter(0))
    last = told[earlier - 1][1] if earlier else None
    if last is None or (at.date() - last.day).days > LAPSE_DAYS:
        return None
    lost = notices.exemption(key_id)
    return None if lost and last.time <= lost.time <= at else last


def announcement_of(notices: Notices, key_id: str, at: datetime) -> Notice | None:
    """The announcement of an access key that counted ``at`` that time, by what is on record now."""
    return _announced(notices, key_id, notices.announcements(key_id), at)


def key_notice_faults(
    records: KeyRecords, outputs: Sequence[PolicyOutput], notices: Mapping[str, Notices]
) -> Iterator[tuple[str, str, str]]:
    """Place, level and words of what was done to keys and not announced. ``notices``: account id -> its, if read."""
    asked = _TermsOfOutputs(outputs)
    for key, calls in groupby(records.made, key=attrgetter("who")):
        account, _, key_id = key.partition("/")
        its = notices.get(account)
        announcements = its.announcements(key_id) if its else ()
        for call in calls:
            told = _announced(its, key_id, announcements, call.time) if its else None
            found = _call_fault(call, records, told, asked.of(call), known=its is not None)
            if found:
                yield call.place, found[0], f"{call} {found[1]}"


def _call_fault(
    call: KeyCall, records: KeyRecords, told: Notice | None, terms: _Terms | None, *, known: bool
) -> tuple[str, str] | None:
    if call.what == PARKING:
        return _told_fault(call, told, terms, records.changed_before(call), known=known)
    if call.what == RETIREMENT:
        parking = records.parked_for(call)
        found = _told_fault(call, told, terms, known=known)
        return found or (_short_fault(call, parking, told, terms) if parking else None)
    return None


def _told_fault(
    call: KeyCall,
    told: Notice | None,
    terms: _Terms | None,
    changed: datetime | None = None,
    *,
    known: bool,
) -> tuple[str, str] | None:
    """Level and words of what is wrong with the announcement ``told`` on which a call rests.

    ``changed``: when a run changed the key before it is parked: whatever the policy asks, it is announced anew then.
    ``known``: whether the notices were read.
    """
    certain = terms is not None and terms.certain
    if changed is None and terms and not terms.rests:
        return None
    if not known:
        return ATTENTION, "rests on an announcement whose place is not known: give --notices PLACE"
    if changed and (told is None or told.time < changed.replace(microsecond=0)):  # as records have it
        return (
            BLOCKING,
            f"has no announcement on record since a run changed the key, at {changed.isoformat()}",
        )
    if told is None:
        if terms is None:
            return ATTENTION, "has no announcement on record, and what its policy asks is not known"
        why = "has no announcement on record that counted then, and its policy asks for one"
        return BLOCKING if certain else ATTENTION, why
    day = told.day if call.what == RETIREMENT else told.stop
    if day and call.time.date() < day:
        return BLOCKING, f"was before the day that was announced for it: {day}"
    return None


def _short_fault(
    call: KeyCall, parking: KeyCall, told: Notice | None, terms: _Terms | None
) -> tuple[str, str] | None:
    """Level and words of it if a key was inactive for too short before it was deleted.

    A policy may ask for fewer days than were announced, and for other days since.
    """
    announced = (told.day - told.stop).days if told and told.stop else None
    asked = terms.parked_for if terms else None
    days = (call.time.date() - parking.time.date()).days
    short = announced is not None and days < announced
    unasked = asked is not None and (call.time - parking.time).total_seconds() < asked * _DAY
    if not (short or unasked):
        return None
    known = {"announced": announced, "asked for by its policy": asked}
    said = " and ".join(f"{each:g} days are {what}" for what, each in known.items() if each is not None)
    certain = (unasked and terms and terms.certain) or (short and (unasked or asked is None))
    return (
        BLOCKING if certain else ATTENTION,
        f"was {counted(days, 'day')} after it was made inactive, and {said}",
    )
