# SPDX-License-Identifier: Apache-2.0
"""Whether access keys were parked and deleted as their owners were told, by notices and by what policies ask. Pure.

Lines about keys name no notice. So what counts is the announcement that is on record, and no digest proves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from c7n_iamusers.notices.notices import ANNOUNCED, LAPSE_DAYS, Notice, Notices
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.report.key_lines import PARKING, RETIREMENT, KeyCall, KeyRecords
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


def _terms_of(call: KeyCall, outputs: Iterable[PolicyOutput]) -> _Terms | None:
    """What the policy that made ``call`` asks; None if nothing is left of it: the next run replaces a directory."""
    # in a bucket, what a run left of itself has a directory with its date below that of the journal
    its = [
        each
        for each in outputs
        if each.on_keys
        and each.state
        and (each.place == call.output or each.place.startswith(f"{call.output}/"))
    ]
    earlier = max((each for each in its if began(each) <= call.time), key=began, default=None)
    found = earlier or min(its, key=began, default=None)
    return None if found is None else _Terms(found.rests, found.parked_for, found is earlier)


def announcement_of(notices: Notices, key_id: str, at: datetime) -> Notice | None:
    """The announcement of an access key that counted ``at`` that time, by what is on record now."""
    its = (
        (notices.told_at(notice), notice)
        for notice in notices.all
        if notice.step == ANNOUNCED
        and any(each.unique_id == key_id for each in notice.users)
        and not (notice.held and notices.digest_of(notice) is None)
    )
    told = [each for each in its if each[0] <= at]
    last = max(told, key=lambda each: each[0], default=(at, None))[1]
    if last is None or (at.date() - last.day).days > LAPSE_DAYS:
        return None
    lost = notices.exemption(key_id)
    return None if lost and last.time <= lost.time <= at else last


def key_notice_faults(
    records: KeyRecords, outputs: Sequence[PolicyOutput], notices: Mapping[str, Notices]
) -> Iterator[tuple[str, str, str]]:
    """Place, level and words of what was done to keys and not announced. ``notices``: account id -> its, if read."""
    for call in records.made:
        its, terms = notices.get(call.arn.split(":")[4]), _terms_of(call, outputs)
        told = announcement_of(its, call.key_id, call.time) if its else None
        if call.what == PARKING:
            found = _told_fault(call, told, terms, records.changed_before(call), known=its is not None)
        elif call.what == RETIREMENT:
            found = _told_fault(call, told, terms, known=its is not None)
            parking = records.parked_for(call)
            found = found or (_short_fault(call, parking, told, terms) if parking else None)
        else:
            continue
        if found:
            yield call.place, found[0], f"{call} {found[1]}"


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
