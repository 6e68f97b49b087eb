# SPDX-License-Identifier: Apache-2.0
"""Matches the calls in journals with CloudTrail's events, both ways. Pure.

No documentation was found on whether an event of IAM has the request id of the answer. So a call is matched by its
request id; otherwise by the session that made it, its operation, its user and its time. Whoever rewrites a journal may
keep the ids: all else in the journal must agree with the event, whichever way it was found. What can't be compared, or
what CloudTrail can't show, is unproven: that is not the same as wrong.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Any

from c7n_iamusers.evidence.attempted_calls import DELIVERY, HISTORY
from c7n_iamusers.execution.calls import TRIED
from c7n_iamusers.execution.journal import TRYING
from c7n_iamusers.execution.journaled_call import FAILED, GONE
from c7n_iamusers.report.journal_calls import Call, is_done
from c7n_iamusers.text.times import CLOCK_SKEW, moment

#: The event source of IAM, and what changes a user there.
_IAM = "iam.amazonaws.com"
#: Of the events of one session, operation and user, at most so many are held against one call, the nearest ones.
_MOST_ALIKE = 200
#: How a call was matched.
BY_REQUEST_ID, BY_SESSION = "request id", "session, operation, user and time"
#: Why a call is unproven.
TOO_OLD = "older than CloudTrail's event history of 90 days"
NO_NAME = "the journal has neither a request id nor a session of it"
REFUSED = "AWS refused it, and CloudTrail has no event of it"
UNANSWERED = "no answer is on record, and CloudTrail has no event of it"
KILLED = "no answer is on record, and AWS has an event of it: a run was stopped there"
NOT_READ = "CloudTrail was not read to the end"
NOT_COMPARED = (
    "the journal and AWS's event do not both say who made it, or have not the same parameters or error"
)
TOO_MANY = f"more than {_MOST_ALIKE} events near it are of its session, operation and user"
CONTRADICTED = "by AWS's event {}, and the journal, which has no answer, rests on the contrary"
NO_ID = "the journal has no request id of it, and no line that its answer was lost"
ANOTHER_ID = "AWS's event has another request id, and events have those of the answers here"
#: What AWS shows of a value that it keeps secret ("CloudTrail record contents", CloudTrail User Guide).
_SUFFIX, _HIDDEN = "Exception", "HIDDEN_DUE_TO_SECURITY_REASONS"


@dataclass(frozen=True)
class TrailEvent:
    """An event of IAM. ``arn``: who made the call. ``role``: the ARN of the role behind a session, or ``arn``.

    ``user``: the user in its parameters; empty if they name none. ``parameters``: all of them, as CloudTrail spells
    them, with a small letter first.
    """

    id: str
    request_id: str
    operation: str
    time: datetime
    arn: str
    role: str
    user: str
    error: str
    read_only: bool
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        whose = f" of {self.user}" if self.user else ""
        return f"{self.operation}{whose} on {self.time:%Y-%m-%d %H:%M:%S} UTC by {self.arn}"


def event_of(record: Mapping[str, Any]) -> TrailEvent | None:
    """The event in a record of CloudTrail; None if it is of another service, or lacks the time or the caller."""
    identity, asked = record.get("userIdentity"), record.get("requestParameters")
    time = moment(record.get("eventTime"))
    if record.get("eventSource") != _IAM or time is None or not isinstance(identity, Mapping):
        return None
    issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
    arn = str(identity.get("arn") or "")
    return TrailEvent(
        id=str(record.get("eventID") or ""),
        request_id=str(record.get("requestID") or ""),
        operation=str(record.get("eventName") or ""),
        time=time,
        arn=arn,
        role=str(issuer.get("arn") or arn),
        user=str(asked.get("userName") or "") if isinstance(asked, Mapping) else "",
        error=str(record.get("errorCode") or ""),
        read_only=record.get("readOnly") is True or str(record.get("readOnly")).lower() == "true",
        parameters=asked if isinstance(asked, Mapping) else {},
    )


@dataclass
class Matching:
    """``matched``: how -> how many calls. ``unproven``: calls, each with the reason. ``late``: calls that CloudTrail
    may show yet. ``missing``: calls that were made by their journal, and have no event.
    ``unjournaled``: changes of these users by our principals that are in no journal. ``strangers``: changes of users
    without a line in any journal, by any session of our roles. ``callers``: who made the calls that have an event, by
    AWS.
    """

    matched: dict[str, int] = field(default_factory=lambda: {BY_REQUEST_ID: 0, BY_SESSION: 0})
    unproven: list[tuple[Call, str]] = field(default_factory=list)
    late: list[Call] = field(default_factory=list)
    missing: list[Call] = field(default_factory=list)
    unjournaled: list[TrailEvent] = field(default_factory=list)
    strangers: list[TrailEvent] = field(default_factory=list)
    callers: set[str] = field(default_factory=set)

    def found(self, call: Call, event: TrailEvent, how: str) -> None:
        """Note the event of a call, which differs in nothing that both have."""
        self.callers.add(event.arn)
        same = how == BY_REQUEST_ID or not (call.request_id and event.request_id)
        if self.matched[BY_REQUEST_ID] and not same:
            self.unproven.append((call, ANOTHER_ID))
        elif not call.request_id and (why := _unanswered(event, call)):
            self.unproven.append((call, why))
        elif not (call.caller or call.request_id):
            self.unproven.append((call, KILLED))
        elif _is_compared(event, call):
            self.matched[how] += 1
        else:
            self.unproven.append((call, NOT_COMPARED))


def match(
    calls: Sequence[Call], events: Iterable[TrailEvent], now: datetime, *, complete: bool = True
) -> Matching:
    """``calls``: of IAM in one account. ``complete``: whether the events were read to the end."""
    found, free = Matching(), {each.id: each for each in events}
    by_request = {each.request_id: each for each in free.values() if each.request_id}
    rest = list[Call]()
    for call in calls:
        event = by_request.get(call.request_id) if call.request_id else None
        if event and event.id in free and _is_of(event, call):
            del free[event.id]
            found.found(call, event, BY_REQUEST_ID)
        else:
            rest.append(call)
    ours = {role_of(each) for each in (*found.callers, *(call.caller for call in calls))} - {""}
    # a killed run's call without an answer names no caller: any event of our roles that is left may be its
    for named in (True, False):
        nobodys = [each for each in free.values() if named or role_of(each.arn) in ours]
        _by_session(
            found, [call for call in rest if bool(call.caller) == named], nobodys, free, now, complete
        )
    _note_changes(found, calls, ours | set(map(role_of, found.callers)), free.values(), now)
    return found


def _by_session(
    found: Matching,
    calls: Iterable[Call],
    events: Iterable[TrailEvent],
    free: dict[str, TrailEvent],
    now: datetime,
    complete: bool,
) -> None:
    """Match ``calls`` with ``events`` of their session, operation and user; of any session if they name none.

    ``free``: those of no call, by their ids; what is matched is taken out.
    """
    by_session = defaultdict[tuple[str, str, str], list[TrailEvent]](list)
    for each in sorted(events, key=attrgetter("time")):
        for arn in (each.arn, ""):
            by_session[arn, each.operation, each.user.casefold()].append(each)
    for call in calls:
        keys = [(call.caller, call.operation, user) for user in (call.user.casefold(), "")]
        near = [_nearest(call, by_session.get(key, ()), free) for key in keys]
        events_near = [event for event, _ in near if event]
        if events_near:
            event = min(events_near, key=partial(_distance, call))
            del free[event.id]
            found.found(call, event, BY_SESSION)
        elif any(more for _, more in near):
            found.unproven.append((call, TOO_MANY))
        else:
            _unmatched(found, call, now, complete)


def _span(call: Call) -> tuple[datetime, datetime] | None:
    """When AWS may say that the call was made; None if the journal does not say it. No call is tried for longer."""
    begun, ended = moment(call.time), moment(call.answered)
    if begun is None:
        return None
    return begun - CLOCK_SKEW, min(ended or begun + TRYING, begun + TRYING) + CLOCK_SKEW


def _is_of(event: TrailEvent, call: Call) -> bool:
    """Whether the event is of such a call: nothing differs that both have."""
    span = _span(call)
    return (
        event.operation == call.operation
        and event.user.casefold() in (call.user.casefold(), "")
        and _ended_so(event, call)
        and (span is None or span[0] <= event.time <= span[1])
        and (not call.caller or not event.arn or event.arn == call.caller)
        and not any(_differ(*each) for each in _in_both(event, call))
    )


def _ended_so(event: TrailEvent, call: Call) -> bool:
    """Whether AWS's event fits the answer in the journal, which has none if the answer was lost."""
    if call.request_id:
        return bool(event.error) == bool(call.code) and (bool(event.error) or is_done(call))
    return bool(event.error) or call.result not in (FAILED, GONE)


def _unanswered(event: TrailEvent, call: Call) -> str:
    """Why AWS's event does not prove a call without an answer in the journal."""
    if not call.lost:
        return NO_ID
    applied = True if is_done(call) else call.told
    if applied is None or call.result == TRIED or applied != bool(event.error):
        return ""
    return CONTRADICTED.format("it was refused" if event.error else "it was done")


def _is_compared(event: TrailEvent, call: Call) -> bool:
    """Whether all that the journal says of the call is in its event, and the other way round."""
    mine, theirs = _comparable(json.loads(call.parameters)), _comparable(event.parameters)
    known = mine.keys() == theirs.keys() and _HIDDEN not in theirs.values()
    # an event's error may have the suffix of its class
    same = not call.request_id or call.code.removesuffix(_SUFFIX) == event.error.removesuffix(_SUFFIX)
    return bool(known and same and call.caller and event.arn and _span(call))


def _in_both(event: TrailEvent, call: Call) -> Iterable[tuple[str, Any, Any]]:
    """The parameters that both have: the name, the journal's value, AWS's."""
    mine, theirs = _comparable(json.loads(call.parameters)), _comparable(event.parameters)
    return ((name, mine[name], theirs[name]) for name in mine.keys() & theirs.keys())


def _differ(name: str, mine: Any, theirs: Any) -> bool:
    if mine == theirs or theirs == _HIDDEN:
        return False
    if not (isinstance(mine, str) and isinstance(theirs, str)):
        return True
    if name == "username":  # IAM knows no two that differ in case alone
        return mine.casefold() != theirs.casefold()
    try:  # a policy
        return bool(json.loads(mine) != json.loads(theirs))
    except (ValueError, RecursionError):
        return True


def _comparable(value: Any) -> Any:
    """As CloudTrail and a journal may both write it: names in small letters, numbers and truth as text."""
    if isinstance(value, Mapping):
        return {str(name).casefold(): _comparable(each) for name, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_comparable(each) for each in value]
    return value if isinstance(value, str) else str(value).lower()


def _distance(call: Call, event: TrailEvent) -> tuple[timedelta, str]:
    begun = moment(call.time)
    return abs(event.time - begun) if begun else timedelta.max, event.id


def _nearest(
    call: Call, events: Sequence[TrailEvent], free: Collection[str]
) -> tuple[TrailEvent | None, bool]:
    """The event of the call that is closest to it; and whether more are near than were looked at.

    ``events``: of its session, operation and user, in the order of their times. ``free``: the ids of those of no call.
    """
    span, begun = _span(call), moment(call.time)
    if span is None or begun is None:
        return None, False
    after = bisect_left(events, begun, key=attrgetter("time"))
    before, looked = after - 1, 0
    while True:
        later = events[after] if after < len(events) and events[after].time <= span[1] else None
        earlier = events[before] if before >= 0 and events[before].time >= span[0] else None
        if later is None and earlier is None:
            return None, False
        if earlier is None or (later is not None and later.time - begun <= begun - earlier.time):
            event, after = later, after + 1
        else:
            event, before = earlier, before - 1
        if event is None or event.id not in free:
            continue
        if _is_of(event, call):
            return event, False
        looked += 1
        if looked == _MOST_ALIKE:
            return None, True


def _unmatched(found: Matching, call: Call, now: datetime, complete: bool) -> None:
    time = moment(call.time)
    if time is None or time < now - HISTORY:
        found.unproven.append((call, TOO_OLD))
    elif not call.request_id and not call.caller:
        found.unproven.append((call, NO_NAME))
    elif (moment(call.answered) or time) > now - DELIVERY:
        found.late.append(call)
    elif not complete:
        found.unproven.append((call, NOT_READ))
    elif is_done(call):
        found.missing.append(call)
    elif call.code and call.result != TRIED:
        found.unproven.append((call, REFUSED))
    else:
        found.unproven.append((call, REFUSED if call.code else UNANSWERED))


def _note_changes(
    found: Matching,
    calls: Iterable[Call],
    ours: Collection[str],
    events: Iterable[TrailEvent],
    now: datetime,
) -> None:
    """The changes in ``events`` by ``ours``, roles, that no journal has: of users of ``calls``, and of other users."""
    users = {call.user.casefold() for call in calls}
    for each in sorted(events, key=lambda each: each.time):
        if each.read_only or each.error or each.time < now - HISTORY:
            continue
        if role_of(each.arn) in ours and each.user:
            known = each.user.casefold() in users
            (found.unjournaled if known else found.strangers).append(each)


def role_of(arn: str) -> str:
    """``account:role name`` of the ARN of a role's session; the ARN itself of another principal."""
    parts = arn.split(":")
    if len(parts) < 6 or not parts[5].startswith("assumed-role/"):
        return arn
    return f"{parts[4]}:{parts[5].split('/')[1]}"


def session_of(arn: str) -> str:
    """The name by which CloudTrail lists who made a call: the session's, or the user's."""
    return arn.rpartition("/")[2]


def users_of(calls: Iterable[Call]) -> Collection[str]:
    """The names of the users that the calls are about."""
    return sorted({call.user for call in calls})
