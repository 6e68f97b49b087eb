# SPDX-License-Identifier: Apache-2.0
"""Whether the lines of one output's journals agree with each other: no run writes a line that others contradict. Pure.

``comparisons`` says what is compared with what. Whoever writes all lines anew can make them agree. But CloudTrail is
asked about the calls, and the other lines must agree with the calls.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers import reasons
from c7n_iamusers.execution.calls import AFTER, BEFORE, TRIED, is_key_id
from c7n_iamusers.execution.journal import CREATED, DECISION, OUTCOME, TRYING
from c7n_iamusers.execution.journaled_call import FAILED as REFUSED
from c7n_iamusers.execution.outcomes import QUARANTINED, RESTORED
from c7n_iamusers.iam.attachments import INACTIVE
from c7n_iamusers.lockout.deny_all import FORMS
from c7n_iamusers.lockout.journal_lines import QUARANTINE
from c7n_iamusers.lockout.quarantine_record import QUARANTINE_TAG, QuarantineRecord, parse_sid
from c7n_iamusers.report.comparisons import kind_of, lacking
from c7n_iamusers.report.derived_status import (
    IDS,
    NO_DENY,
    OWN_DENY,
    SWITCHES,
    Asked,
    Record,
    Since,
    asked_of,
    compared,
    deny_form,
)
from c7n_iamusers.report.journal_calls import IAM, Calls, time_of, who_in
from c7n_iamusers.report.key_lines import KeySince, key_fault
from c7n_iamusers.text.times import CLOCK_SKEW, CLOCKS_APART

Line = Mapping[str, Any]
#: ARN and unique id.
User = tuple[str, str]
_CREATION = "CreateUser"
#: The outcome of a run that was killed is written by a later one, which does not know when it ended.
_LATE = frozenset(
    each.code for each in (reasons.RUN_STOPPED, reasons.DELETED_BY_STOPPED_RUN, reasons.KEY_BY_STOPPED_RUN)
)
#: The clocks of two machines, each as far from AWS's as AWS allows.
_BACK = CLOCKS_APART
#: A user has two access keys, and at most as many other credentials; those that others gave it come and go.
_MOST_CREDENTIALS = 1_000


class Checks:
    """Of one journal. ``others``: what is known of its output, or of its restorations; None for provisioning.

    ``only``: the unique id that all lines have, by the name of their object; or empty. ``faults``: lines that others
    contradict, in words. ``disorder``: those earlier than one before them by more than two clocks may differ.
    ``doubts``: those that rest on nothing here.
    """

    def __init__(self, calls: Calls, others: Lines | Restorations | None, only: str) -> None:
        self._calls, self._others, self._only = calls, others, only
        self._latest: datetime | None = None
        self.faults: list[str] = []
        self.disorder: list[str] = []
        self.doubts: list[str] = []

    def read(self, line: Line) -> None:
        """Take the next line."""
        found = list[str]()
        if self._only and line["unique_id"] != self._only:
            found.append(
                f"by its name, its object is of user {self._only}, and this is of {line['unique_id']}"
            )
        restores = isinstance(self._others, Restorations)
        kind = kind_of(line["phase"], self._others is not None, restores, is_key_id(line["unique_id"]))
        if not kind:
            found.append("no run writes such a line into this journal")
        elif missing := lacking(kind, line):
            found.append(f"it lacks {missing}, and each run writes that")
        found += [self._calls.read(line)] if line["phase"] in (BEFORE, TRIED, AFTER) else []
        if line["phase"] == OUTCOME and not restores:
            self._calls.end(line)
        found += [self._others.fault(line)] if self._others else []
        operation = f" of {line['operation']}" if line.get("operation") else ""
        told = f"the line {line['phase']}{operation} about {line['arn']} at {line['time']} is contradicted"
        self.faults.extend(f"{told}: {fault}" for fault in found if fault)
        if self._others and (doubt := self._others.doubt):
            self.doubts.append(f"{told.removesuffix(' is contradicted')} {doubt}")
        if fault := self._order_fault(line):
            self.disorder.append(f"{told}: {fault}")

    def _order_fault(self, line: Line) -> str:
        time = time_of(line["time"])
        if time is None:
            return "its time is no time"
        if self._latest and time < self._latest - _BACK:
            return f"a line before it is of {self._latest.isoformat()}"
        self._latest = max(time, self._latest or time)
        return ""


class Lines:
    """The lines of the journals of runs in one output.

    ``proven``: users (see ``who_in``), each with the time when a quarantine of the user began, by its own calls or its
    line, or with the id of a credential that a call deactivated. ``unproven``: the same where a quarantine's record has
    it and its own calls have not, with words: an earlier line must have it. ``asked``: the outcomes that rest on what
    other outputs may have. ``doubt``: what the last line rests on, if not on one here, in words.
    """

    def __init__(self) -> None:
        self._users: dict[User, Since] = {}
        self.proven: set[tuple[str, datetime | str]] = set()
        self.unproven: list[tuple[str, datetime | str, str]] = []
        self.asked: list[Asked] = []
        self.doubt = ""

    def fault(self, line: Line) -> str:
        """Take the next line. Returns what contradicts it, in words; empty if nothing does."""
        user, phase = _user(line), line["phase"]
        self.doubt = ""
        is_key = is_key_id(line["unique_id"])
        if is_key and (fault := key_fault(line)):
            return fault
        if phase == OUTCOME:
            return self._outcome(line, self._users.pop(user, KeySince() if is_key else Since()))
        if phase not in (BEFORE, TRIED, AFTER, DECISION, QUARANTINE):
            return ""
        since = self._users.setdefault(user, KeySince() if is_key else Since())
        if phase == DECISION:
            since.decided, since.announced = True, time_of(line["time"])
        elif phase == QUARANTINE:
            return self._quarantine(line, since)
        elif line.get("service") == IAM:
            return _call(line, since)
        return ""

    def _quarantine(self, line: Line, since: Since) -> str:
        given, time = line.get("record"), time_of(line["time"])
        found = QuarantineRecord.from_data(given) if isinstance(given, Mapping) else None
        if found is None or time is None or (found.kept and found.deactivated):
            return "it has no record of a quarantine"
        if sum(map(len, (found.deactivated, found.inactive, found.given, found.dropped))) > _MOST_CREDENTIALS:
            return "its record has more credentials than a user can have"
        if found.since > time + timedelta(seconds=1):
            return f"its quarantine begins at {found.since.isoformat()}, after it"
        if found.deny not in (*FORMS.values(), NO_DENY, OWN_DENY):
            return f"no Deny-all has the form {found.deny}"
        since.record, since.announced = Record(found, since.calls), time
        since.proven = found.since >= time - TRYING - CLOCK_SKEW
        return (
            "" if since.off <= since.record.ids else "its record lacks what the calls before it deactivated"
        )

    def _outcome(self, line: Line, since: Since) -> str:
        time, calls = time_of(line["time"]), line.get("calls", 0)
        if calls != since.calls:
            return f"it says {calls} calls, and its journal has {since.calls} since the outcome before"
        if since.last and time and time > since.last + TRYING + CLOCK_SKEW and line.get("code") not in _LATE:
            return f"it is of more than an hour after its last call, at {since.last.isoformat()}"
        if since.record:
            self._note(line, since, since.record)
        fault, self.doubt = compared(line, since)
        if not fault and (asked := asked_of(line, since)):
            self.asked.append(asked)
        return fault

    def _note(self, line: Line, since: Since, record: Record) -> None:
        who, told = who_in(line["arn"], line["unique_id"]), f"{line['arn']} at {line['time']}"
        own: set[datetime | str] = {*since.off, *([record.since] if since.proven else [])}
        self.proven |= {(who, each) for each in own}
        if line.get("status") == QUARANTINED:
            wanted: set[datetime | str] = {record.since, *record.deactivated}
            self.unproven += [(who, each, told) for each in sorted(wanted - own, key=str)]


def _call(line: Line, since: Since) -> str:
    time, first = time_of(line["time"]), since.last is None
    since.last = time or since.last
    since.call(line)
    if line["phase"] != BEFORE or isinstance(since, KeySince):
        return ""
    if first and since.announced and time and time > since.announced + TRYING + CLOCK_SKEW:
        # a run was killed before its first call, and these are of another one
        since.decided, since.record = False, None
    operation, parameters = str(line.get("operation")), line.get("parameters") or {}
    if fault := since.unannounced(operation, parameters):
        return fault
    found = _of_quarantine(operation, parameters, since, since.record) if since.record else ""
    return found or _of_deny(operation, parameters, since, since.record)


def _of_quarantine(operation: str, parameters: Mapping[str, Any], since: Since, record: Record) -> str:
    """What in a call of the quarantine contradicts its ``record``."""
    if operation == "TagUser":
        ours = [each for each in parameters.get("Tags", ()) if each.get("Key") == QUARANTINE_TAG]
        if ours and ours != [record.tag]:
            return f"its tag is not that of its quarantine's record: {record.tag['Value']}"
        since.proven |= bool(ours)
    if operation in SWITCHES and parameters.get("Status") == INACTIVE:
        off = {str(parameters[name]) for name in IDS if name in parameters}
        since.off |= off
        if not off <= record.ids:
            return "it deactivates what its quarantine's record does not have"
    return ""


def _of_deny(operation: str, parameters: Mapping[str, Any], since: Since, record: Record | None) -> str:
    """What in the Deny-all that a call puts on contradicts its quarantine's ``record``, or that there is none."""
    form, puts = deny_form(operation, parameters)
    if record and form and puts and form != record.deny:
        return f"it puts a Deny-all on in another form than its quarantine's record: {record.deny}"
    for sid in _sids(parameters.get("PolicyDocument")):
        if record and sid in record.sids:
            since.proven = True
        elif (told := parse_sid(sid)) and not (told.deletion and since.decided):
            return f"its Deny-all {sid} is not that of its quarantine's record, or of a deletion"
    return ""


def _sids(document: Any) -> Iterator[str]:
    """The statement ids in the document of a policy."""
    try:
        found = json.loads(document) if isinstance(document, str) else {}
        statements = found.get("Statement", ())
        yield from {str(each.get("Sid") or "") for each in statements}
    except (ValueError, AttributeError, TypeError, RecursionError):
        return


class Restorations:
    """The lines of one journal of restorations. ``doubt``: see Lines."""

    def __init__(self) -> None:
        #: User -> the ids of users that were created in its place; empty texts for calls without an answer.
        self._created = defaultdict[User, set[str]](set)
        self._last: dict[User, datetime] = {}
        #: User -> the ids of users that an earlier line says were restored.
        self._said = defaultdict[User, set[str]](set)
        self.doubt = ""

    def fault(self, line: Line) -> str:
        """Take the next line. Returns what contradicts it, in words; empty if nothing does."""
        user, phase, time = _user(line), line["phase"], time_of(line["time"])
        self.doubt = ""
        if phase in (BEFORE, AFTER) and time:
            self._last[user] = time
        if phase in (BEFORE, AFTER) and line.get("operation") == _CREATION:
            created = str((line.get("saved") or {}).get(CREATED) or "")
            self._created[user] |= {created} if phase == AFTER or not created else set()
            self._created[user] -= {""} if created or line.get("result") == REFUSED else set()
        return self._outcome(line, user, time) if phase == OUTCOME else ""

    def _outcome(self, line: Line, user: User, time: datetime | None) -> str:
        created, made = self._created[user], frozenset(map(str, line.get("made") or ()))
        if line.get("status") != RESTORED:
            return f"a restoration ends with {RESTORED} alone"
        last, known = self._last.pop(user, None), made <= self._said[user]
        self._said[user] |= made
        if last is None and not known:
            self.doubt = "has no call: nothing was left to give back, or it was added"
        if time and last and time > last + TRYING + CLOCK_SKEW:
            return "it is of more than an hour after its last call"
        # as many steps as the line has ids, however many were created
        if not made or len(created) > len(made) + 1 or any(each and each not in made for each in created):
            return "it lacks a user that its journal has created"
        if "" not in created and (others := made - {line["unique_id"]} - created):
            return f"no {_CREATION} of its journal made {', '.join(sorted(others))}"
        return ""


def _user(line: Line) -> User:
    """The account and name, and the unique id. The path is another one where somebody changes it during a run."""
    account, _, path = line["arn"].partition(":user/")
    return f"{account}:{path.rpartition('/')[2]}", line["unique_id"]
