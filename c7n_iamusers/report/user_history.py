# SPDX-License-Identifier: Apache-2.0
"""What outputs and notices say of one user: what was done to it, by whom and when, and what comes next. Pure.

AWS is not asked. What somebody else did, or a run whose output is elsewhere, is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

from c7n_iamusers.execution.calls import AFTER, Subject
from c7n_iamusers.execution.journal import OUTCOME
from c7n_iamusers.execution.outcomes import DELETED, FAILED, QUARANTINED, RELEASED, RESTORED
from c7n_iamusers.notices.exempted import Exempted
from c7n_iamusers.notices.notices import Notice, Notices
from c7n_iamusers.report.outputs import REPLACES, RESTORE, UNREADABLE, PolicyOutput
from c7n_iamusers.text.times import as_text, moment

#: What is known of a user beside the statuses of outcomes: it was selected by a policy, or its owner was addressed.
SELECTED, ANNOUNCED = "selected", "announced"
#: The statuses after which a user is in another state than before.
_CHANGING = (QUARANTINED, RELEASED, DELETED, RESTORED)
_FIRST = datetime.min.replace(tzinfo=timezone.utc)
#: Times in a journal and in an outcome are of one clock, and written one after the other.
_SAME = timedelta(seconds=1)
Line = Mapping[str, Any]
#: The place of an output and a user -> the lines of its journals about the user. May raise OSError.
JournalOf = Callable[[str, Subject], Iterable[Line]]


@dataclass(frozen=True)
class Event:
    """``what``: the status of an outcome, or the step of a message. ``by``: the ARN of who made the calls, if known.

    ``code``: of the reason of an outcome, which is ``why``. ``to``: the addresses of a message. ``place``: of the
    output or the notices. ``made``: the unique ids of the user that a restoration gave back.
    """

    time: datetime | None
    what: str
    why: str = ""
    policy: str = ""
    by: str = ""
    to: tuple[str, ...] = ()
    place: str = ""
    code: str = ""
    made: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """JSON types only."""
        texts = {"what": self.what, "why": self.why, "code": self.code, "policy": self.policy, "by": self.by}
        return {"time": as_text(self.time) or "", **texts, "to": list(self.to), "place": self.place}


@dataclass(frozen=True)
class UserHistory:
    """One user that had the name. ``account``: the id. ``account_name``: c7n-org's, or empty.

    ``events``: the oldest first. ``state``: the last status that changed it (QUARANTINED, RELEASED, DELETED, RESTORED),
    or else ANNOUNCED or SELECTED. A restoration of a user in quarantine leaves it there. ``next``: sentences.
    ``outputs``: the places with outcomes of it, the latest first.
    """

    subject: Subject
    account: str
    account_name: str
    events: tuple[Event, ...]
    state: str
    next: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def last(self) -> datetime:
        """When something was last done to it, or said of it."""
        return max((each.time for each in self.events if each.time), default=_FIRST)

    @property
    def is_half_restored(self) -> bool:
        """Whether a restoration of it is not done."""
        return _is_half_restored(self.events)

    def as_data(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "user": self.subject.name,
            "arn": self.subject.arn,
            "unique_id": self.subject.unique_id,
            "account": self.account,
            "account_name": self.account_name,
            "state": self.state,
            "events": [each.as_data() for each in self.events],
            "next": list(self.next),
            "outputs": list(self.outputs),
        }


@dataclass
class _Known:
    subject: Subject
    account: str
    account_name: str = ""
    events: list[Event] = field(default_factory=list)
    outputs: dict[str, datetime] = field(default_factory=dict)


def histories(
    name: str | None,
    outputs: Sequence[PolicyOutput],
    journal_of: JournalOf,
    notices: Mapping[str, Notices],
    quarantined_for: Mapping[str, float],
    now: datetime,
) -> list[UserHistory]:
    """All users that ever had the ``name`` (in any case, as in IAM; None: any), the one with the latest event first.

    A user that a restoration has created, and is not done with, is the one that it restores. What was done to single
    access keys is left out: see ``key_ids``.
    ``notices``: of each account, by its id. ``quarantined_for``: account id -> the days of a quarantine.
    Raises OSError if a journal can't be read.
    """
    found = _Users(
        {
            _key(str(row["arn"]), str(row["unique_id"])): str(row[REPLACES])
            for each in outputs
            for row in each.rows
            if REPLACES in row
        }
    )
    for each in sorted(outputs, key=lambda output: output.time or _FIRST):
        _add_output(found, each, name)
    for known in found.users.values():
        _add_callers(known, journal_of)
    for its in notices.values():
        _add_notices(found, its, name)
    told = [_history(each, notices.get(each.account), quarantined_for, now) for each in found.users.values()]
    return sorted(told, key=lambda each: (each.last, each.subject.unique_id), reverse=True)


def key_ids(
    name: str, outputs: Iterable[PolicyOutput], notices: Mapping[str, Notices]
) -> list[tuple[str, str]]:
    """Account and id of each access key of users of the ``name`` that policies on keys acted on, or told of."""
    done = ((str(row["arn"]), str(row["unique_id"])) for each in outputs for row in each.key_rows)
    told = (user for its in notices.values() for user, _ in its.named(name) if user.is_key)
    found = {_key(*each) for each in done if _is_named(each[0], name)}
    return sorted(found | {_key(user.arn, user.unique_id) for user in told})


def key_histories(
    key_id: str | None, outputs: Iterable[PolicyOutput], journal_of: JournalOf
) -> list[UserHistory]:
    """What outputs say of the access key ``key_id`` (None: of each key), once for each account that tells of it.

    ``subject`` is the key. Only outcomes are in ``events``, and ``state`` is empty: see ``report/key_receipts.py``.
    Raises OSError if a journal can't be read.
    """
    found = _Users({})
    for output in sorted(outputs, key=lambda each: each.time or _FIRST):
        for row in output.key_rows:
            if key_id in (None, row["unique_id"]):
                _add_row(found.of(str(row["arn"]), str(row["unique_id"])), output, row)
    for known in found.users.values():
        _add_callers(known, journal_of)
    return [_told(each) for each in found.users.values()]


def unread(outputs: Iterable[PolicyOutput]) -> list[str]:
    """The outputs that can't be read, in words: what they hold of the user is not known."""
    return [f"{each.place}: {each.why}" for each in outputs if each.state == UNREADABLE]


def _is_named(arn: str, name: str | None) -> bool:
    return name is None or arn.rpartition("/")[2].casefold() == name.casefold()


def _key(arn: str, unique_id: str) -> tuple[str, str]:
    return arn.split(":")[4], unique_id


@dataclass
class _Users:
    """By account and unique id, since an account's output may name the unique ids of others' users.

    ``replaced``: the key of a user that a restoration is not done with -> the unique id of the one that it restores.
    """

    replaced: Mapping[tuple[str, str], str]
    users: dict[tuple[str, str], _Known] = field(default_factory=dict)

    def of(self, arn: str, unique_id: str) -> _Known:
        unique_id = self.replaced.get(_key(arn, unique_id), unique_id)
        subject = Subject(arn.rpartition("/")[2], arn, unique_id)
        return self.users.setdefault(_key(arn, unique_id or arn), _Known(subject, subject.account_id))


def _add_output(found: _Users, output: PolicyOutput, name: str | None) -> None:
    with_rows = set[tuple[str, str]]()
    for row in (each for each in output.rows if _is_named(str(each["arn"]), name)):
        _add_row(found.of(str(row["arn"]), row["unique_id"]), output, row)
        with_rows.add(_key(str(row["arn"]), row["unique_id"]))
    for user in output.users or ():
        if _is_named(user.arn, name) and _key(user.arn, user.unique_id) not in with_rows:
            known = found.of(user.arn, user.unique_id)
            known.account_name = output.name or known.account_name
            # of a policy that runs daily, the last time
            known.events = [
                each for each in known.events if (each.what, each.policy) != (SELECTED, output.policy)
            ]
            known.events.append(Event(output.time, SELECTED, policy=output.policy, place=output.place))


def _add_row(known: _Known, output: PolicyOutput, row: Line) -> None:
    known.account_name = output.name or known.account_name
    policy = RESTORE if REPLACES in row else output.policy
    for entry in (*row.get("history", ()), row):
        time = moment(entry.get("time")) or (output.time if entry is row else None)
        texts = (str(entry.get("status") or ""), str(entry.get("reason") or ""), policy)
        by = "?" if entry.get("calls") or entry.get("rests_on") else ""
        code = str(entry.get("code") or "")
        known.events.append(Event(time, *texts, by=by, place=output.place, code=code))
    known.outputs[output.place] = max(each.time or _FIRST for each in known.events)


def _add_callers(known: _Known, journal_of: JournalOf) -> None:
    """Who made the calls of each outcome, and the restorations, by the journals."""
    restored = list[Event]()
    for place in known.outputs:
        lines = [*journal_of(place, known.subject)]
        calls = sorted(
            (time, str(line["caller"]))
            for line in lines
            if line.get("phase") == AFTER and line.get("caller") and (time := moment(line.get("time")))
        )
        known.events = [
            replace(each, by=_caller(calls, each.time)) if each.place == place and each.by else each
            for each in known.events
        ]
        for line in lines:
            if (line.get("phase"), line.get("status")) == (OUTCOME, RESTORED):
                time, made = moment(line.get("time")), tuple(map(str, line.get("made") or ()))
                again = made and made != (known.subject.unique_id,)
                why = f"with the unique id {', '.join(made)}" if again else "what was removed from it"
                restored.append(Event(time, RESTORED, why, by=_caller(calls, time), place=place, made=made))
    for each in restored:
        if (each.time, each.what) not in {(known_one.time, known_one.what) for known_one in known.events}:
            known.events.append(each)


def _caller(calls: Sequence[tuple[datetime, str]], at: datetime | None) -> str:
    earlier = [by for time, by in calls if at is None or time <= at + _SAME]
    return earlier[-1] if earlier else ""


def _add_notices(found: _Users, notices: Notices, name: str | None) -> None:
    everybody = ((user, notice) for notice in notices.all for user in notice.users)
    for user, notice in everybody if name is None else notices.named(name):
        if user.is_key:
            continue
        known = found.of(user.arn, user.unique_id)
        why = notice.what.get(user.unique_id, "")
        if notice.step == ANNOUNCED:
            why = f"for {notice.day}" + (f", credentials stop on {notice.stop}" if notice.stop else "")
        if notice.held and notices.digest_of(notice) is None:
            why = f"{why}, held for c7n-iamusers digest, which has not sent it".removeprefix(", ")
        time = notices.told_at(notice)
        known.events.append(
            Event(time, notice.step, why, notice.policy, to=notice.addresses, place=notices.place)
        )


def _history(
    known: _Known, notices: Notices | None, quarantined_for: Mapping[str, float], now: datetime
) -> UserHistory:
    told = _told(known)
    events, unique_id = told.events, known.subject.unique_id
    notice = notices.announcement(unique_id, now) if notices else None
    lost = notices.exemption(unique_id) if notices else None
    state = ANNOUNCED if notice else SELECTED
    for each in events:
        if each.what in _CHANGING and (each.what, state) != (RESTORED, QUARANTINED):
            state = each.what
    held = quarantined_for.get(known.account, 0)
    comes = tuple(_next(state, unique_id, events, notice, lost, held, notices))
    return replace(told, state=state, next=comes)


def _told(known: _Known) -> UserHistory:
    """What is known, without a state, and without what comes next."""
    events = tuple(sorted(known.events, key=_order))
    outputs = tuple(sorted(known.outputs, key=lambda place: known.outputs[place], reverse=True))
    return UserHistory(known.subject, known.account, known.account_name, events, "", outputs=outputs)


def _order(event: Event) -> tuple[datetime, bool, datetime]:
    # a message has no fractions of a second: of one second, what outputs have comes first
    time = event.time or _FIRST
    return time.replace(microsecond=0), bool(event.to), time


def _next(
    state: str,
    unique_id: str,
    events: Sequence[Event],
    notice: Notice | None,
    lost: Exempted | None,
    held: float,
    notices: Notices | None,
) -> Iterator[str]:
    if notices and notices.stop:
        yield f"the file {notices.stop} stops every policy that changes users of its account, until it is removed"
    if _is_half_restored(events):
        yield "its restoration is not done: --give-back carries it on"
        return
    last = next((each for each in reversed(events) if each.what in (*_CHANGING, FAILED)), None)
    if last and last.what == FAILED:
        yield f"the next run of {last.policy} tries again what failed"
    if state == DELETED:
        yield (
            "nothing: it is deleted. --give-back restores it from its snapshot; its password, secret keys, MFA "
            "devices and unique id can't come back"
        )
    elif state == RESTORED and not any(unique_id in each.made for each in events):
        yield "it is another user for AWS: it is announced anew, unless it is exempt"
    elif state == QUARANTINED:
        since = next(each.time for each in reversed(events) if each.what == QUARANTINED)
        yield (
            f"it is deleted on {_deletion_day(notice, since, held)} at the earliest, if nobody uses it until then, and "
            "no exemption protects it. --give-back releases it"
        )
    else:
        yield _until_touched(notice, lost, notices)


def _is_half_restored(events: Sequence[Event]) -> bool:
    """Whether a restoration began, is not done, and was not given up for another deletion."""
    marks = (DELETED if each.what == DELETED else RESTORE for each in events if _tells_of_restoration(each))
    return [*marks][-1:] == [RESTORE]


def _tells_of_restoration(event: Event) -> bool:
    return event.what == DELETED or (event.what, event.policy) == (FAILED, RESTORE)


def _until_touched(notice: Notice | None, lost: Exempted | None, notices: Notices | None) -> str:
    """What comes next for a user that is free."""
    if notices is None:
        return "what its owner was told is not known: give -c, or --notices"
    if notice is None and lost:
        return f"it was {lost}: it must be announced anew before anything is done to it"
    if notice is None:
        return "its owner is addressed by the next announcement that selects it; nothing is done to it before"
    stop = f"denied everything on {notice.stop}, and " if notice.stop else ""
    return (
        f"its announcement still counts: it is {stop}deleted on {notice.day} at the earliest, if it is not used, and "
        "no exemption protects it"
    )


def _deletion_day(notice: Notice | None, since: datetime | None, held: float) -> date | str:
    days = [notice.day] if notice else []
    if since:
        days.append((since + timedelta(days=held)).date())
    return max(days, default="an unknown day")
