# SPDX-License-Identifier: Apache-2.0
"""Whether the lines of one output's journals agree with each other: no run writes a line that others contradict. Pure.

What is compared with what is in ``comparisons``. Whoever writes all lines anew makes them agree: then the calls are
what CloudTrail is asked about, and the other lines must agree with the calls.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers import reasons
from c7n_iamusers.execution.calls import AFTER, BEFORE, TRIED
from c7n_iamusers.execution.journal import CREATED, DECISION, OUTCOME, TRYING
from c7n_iamusers.execution.journaled_call import DONE, GONE
from c7n_iamusers.execution.journaled_call import FAILED as REFUSED
from c7n_iamusers.execution.outcomes import (
    BROWNED_OUT,
    CHANGED,
    DELETED,
    FAILED,
    QUARANTINED,
    RELEASED,
    RESTORED,
    SKIPPED,
    STATUSES,
    UNCHANGED,
)
from c7n_iamusers.iam.attachments import ACTIVE, INACTIVE, SWITCHABLE_KINDS
from c7n_iamusers.lockout.deny_all import BROWNOUT_NAME, DENY_ALL_NAME, FORMS
from c7n_iamusers.lockout.journal_lines import QUARANTINE
from c7n_iamusers.lockout.quarantine_record import QUARANTINE_TAG, QuarantineRecord, parse_sid
from c7n_iamusers.report.comparisons import kind_of, lacking
from c7n_iamusers.report.journal_calls import DELETION, IAM, SKEW, Calls, time_of
from c7n_iamusers.text.times import moment

Line = Mapping[str, Any]
#: ARN and unique id.
User = tuple[str, str]
_CREATION = "CreateUser"
#: What lifts a Deny-all or a boundary, or takes a quarantine's tag. A release makes one of these, or activates.
_LIFTING = frozenset(
    {"DeleteUserPolicy", "DetachUserPolicy", "DeleteUserPermissionsBoundary", "PutUserPermissionsBoundary"}
    | {"UntagUser"}
)
#: The operations that switch a credential, and the parameters that have its id.
_SWITCHES = frozenset(kind.status_change.operation for kind in SWITCHABLE_KINDS if kind.status_change)
_IDS = ("AccessKeyId", "CertificateId", "SSHPublicKeyId", "ServiceSpecificCredentialId")
#: The outcome of a run that was killed is written by a later one, which does not know when it ended.
_LATE = frozenset({reasons.RUN_STOPPED.code, reasons.DELETED_BY_STOPPED_RUN.code})
#: The clocks of two machines, each as far from AWS's as AWS allows.
_BACK = 2 * SKEW
#: What a call does, where several operations do the same.
DENY, BROWNOUT = "deny", "brownout"
_AWS_DENY_ALL = "/AWSDenyAll"
#: A user has two access keys, and at most as many other credentials; those that others gave it come and go.
_MOST_CREDENTIALS = 1_000
#: In a quarantine's record: no form of the Deny fits.
_NO_DENY = "none"
#: Why a user is left alone, or is as it was, although a call of the same run may have been applied.
_LEFT_AFTER_CALLS = frozenset(
    each.code
    for each in (
        *(reasons.GONE_MEANWHILE, reasons.ALREADY_GONE, reasons.CHANGED_SINCE_EVENT, reasons.NO_BROWNOUT),
        *(reasons.CREDENTIALS_ACTIVATED, reasons.IN_QUARANTINE_ALREADY, reasons.IN_BROWNOUT),
    )
)


@dataclass
class _Since:
    """What the lines say of a user since its last outcome.

    ``calls``: of IAM that were begun. ``begun``: operation and Status of each. ``open``: operation -> how many have no
    answer yet. ``ended``: operation and result of each answer. ``latest``: what a call does -> the last result of it.
    ``last``: the time of the last line of a call. ``announced``: that of the last line which says on what calls rest.
    ``decided``: whether one was of a deletion. ``record``: of the quarantine that began.
    ``proven``: whether its calls or its line say since when. ``off``: ids of credentials that were deactivated.
    """

    calls: int = 0
    begun: set[tuple[str, str]] = field(default_factory=set)
    open: Counter[str] = field(default_factory=Counter)
    ended: set[tuple[str, str]] = field(default_factory=set)
    latest: dict[tuple[str, ...], str] = field(default_factory=dict)
    last: datetime | None = None
    announced: datetime | None = None
    decided: bool = False
    record: _Record | None = None
    proven: bool = False
    off: set[str] = field(default_factory=set)

    @property
    def results(self) -> set[str]:
        """Of DeleteUser; empty texts for calls without an answer."""
        found = {result for operation, result in self.ended if operation == DELETION}
        return found | ({""} if self.open[DELETION] else set())

    @property
    def changed(self) -> bool:
        """Whether a call was applied, or may have been."""
        return bool(+self.open) or any(result != REFUSED for _, result in self.ended)

    def has(self, what: str) -> bool:
        """Whether the last call that does ``what`` was applied, or may have been."""
        return self.latest.get((what,), REFUSED) != REFUSED

    def failed(self, operation: str = "") -> bool:
        """Whether a call, of this ``operation`` if one is given, was not done, or nobody says so."""
        pairs = (*self.ended, *((each, "") for each in +self.open))
        return any(each in (operation or each) and result not in (DONE, GONE) for each, result in pairs)


class _Record:
    """The record of a quarantine, with what its calls are compared with: made once, since a line may be long."""

    def __init__(self, found: QuarantineRecord) -> None:
        self.since, self.deny, self.deactivated = found.since, found.deny, found.deactivated
        self.sids, self.tag = frozenset(found.sids), found.tag()
        self.ids = frozenset((*found.deactivated, *found.inactive, *found.given, *found.dropped))


class Checks:
    """Of one journal. ``others``: what is known of its output, or of its restorations; None for provisioning.

    ``only``: the unique id that all lines have, by the name of their object; or empty. ``faults``: lines that others
    contradict, in words. ``disorder``: those that are earlier than one before them, but for what two clocks may differ.
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
        kind = kind_of(line["phase"], self._others is not None, restores)
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
        if isinstance(self._others, Restorations) and (doubt := self._others.doubt):
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

    ``proven``: unique ids, each with when a quarantine of the user began by its own calls, or by its line, or with the
    id of a credential that a call deactivated. ``unproven``: what a quarantine's record has of that, and its own calls
    have not, with words: an earlier line must have it.
    """

    def __init__(self) -> None:
        self._users: dict[User, _Since] = {}
        self.proven: set[tuple[str, datetime | str]] = set()
        self.unproven: list[tuple[str, datetime | str, str]] = []

    def fault(self, line: Line) -> str:
        """Take the next line. Returns what contradicts it, in words; empty if nothing does."""
        user, phase = _user(line), line["phase"]
        if phase == OUTCOME:
            return self._outcome(line, self._users.pop(user, _Since()))
        if phase not in (BEFORE, TRIED, AFTER, DECISION, QUARANTINE):
            return ""
        since = self._users.setdefault(user, _Since())
        if phase == DECISION:
            since.decided, since.announced = True, time_of(line["time"])
        elif phase == QUARANTINE:
            return self._quarantine(line, since)
        elif line.get("service") == IAM:
            return _call(line, since)
        return ""

    def _quarantine(self, line: Line, since: _Since) -> str:
        given, time = line.get("record"), time_of(line["time"])
        found = QuarantineRecord.from_data(given) if isinstance(given, Mapping) else None
        if found is None or time is None or (found.kept and found.deactivated):
            return "it has no record of a quarantine"
        if sum(map(len, (found.deactivated, found.inactive, found.given, found.dropped))) > _MOST_CREDENTIALS:
            return "its record has more credentials than a user can have"
        if found.since > time + timedelta(seconds=1):
            return f"its quarantine begins at {found.since.isoformat()}, after it"
        since.record, since.announced = _Record(found), time
        if found.deny != _NO_DENY:  # where AWS refused one, another run's, or another Deny, is on the user
            since.latest.pop((DENY,), None)
        since.proven, since.off = found.since >= time - TRYING - SKEW, set()
        return ""

    def _outcome(self, line: Line, since: _Since) -> str:
        status, time, calls = str(line.get("status")), time_of(line["time"]), line.get("calls", 0)
        if calls != since.calls:
            return f"it says {calls} calls, and its journal has {since.calls} since the outcome before"
        if since.last and time and time > since.last + TRYING + SKEW and line.get("code") not in _LATE:
            return f"it is of more than an hour after its last call, at {since.last.isoformat()}"
        if since.record:
            self._note(line, since, since.record)
        return _status_fault(status, line, since)

    def _note(self, line: Line, since: _Since, record: _Record) -> None:
        unique_id, told = line["unique_id"], f"{line['arn']} at {line['time']}"
        own: set[datetime | str] = {*since.off, *([record.since] if since.proven else [])}
        self.proven |= {(unique_id, each) for each in own}
        if line.get("status") == QUARANTINED:
            wanted: set[datetime | str] = {record.since, *record.deactivated}
            self.unproven += [(unique_id, each, told) for each in sorted(wanted - own, key=str)]


def _call(line: Line, since: _Since) -> str:
    operation, parameters = str(line.get("operation")), line.get("parameters") or {}
    time = time_of(line["time"])
    first, since.last = since.last is None, time or since.last
    if line["phase"] == AFTER:
        result = str(line.get("result") or "")
        since.open[operation] -= 1
        since.ended.add((operation, result))
        since.latest[_purpose(operation, parameters)] = result
    if line["phase"] != BEFORE:
        return ""
    since.calls += 1
    since.open[operation] += 1
    since.begun.add((operation, str(parameters.get("Status") or "")))
    since.latest[_purpose(operation, parameters)] = ""
    if first and since.announced and time and time > since.announced + TRYING + SKEW:
        # a run was killed before its first call, and these are of another one
        since.decided, since.record = False, None
    return _of_quarantine(operation, parameters, since, since.record) if since.record else ""


def _purpose(operation: str, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """What a call does: another one that does the same makes good for it. A Deny-all has several forms."""
    if parameters.get("PolicyName") == BROWNOUT_NAME and operation in FORMS:
        return (BROWNOUT,)
    policy = parameters.get("PolicyArn") or parameters.get("PermissionsBoundary")
    inline = parameters.get("PolicyName") == DENY_ALL_NAME
    if operation in FORMS and (inline or str(policy).endswith(_AWS_DENY_ALL)):
        return (DENY,)
    return operation, *(str(parameters[name]) for name in _IDS if name in parameters)


def _of_quarantine(operation: str, parameters: Mapping[str, Any], since: _Since, record: _Record) -> str:
    """What in a call of the quarantine contradicts its ``record``."""
    if operation == "TagUser":
        ours = [each for each in parameters.get("Tags", ()) if each.get("Key") == QUARANTINE_TAG]
        if ours and ours != [record.tag]:
            return f"its tag is not that of its quarantine's record: {record.tag['Value']}"
        since.proven |= bool(ours)
    for sid in _sids(parameters.get("PolicyDocument")):
        if sid in record.sids:
            since.proven = True
        elif (told := parse_sid(sid)) and told.quarantine and not told.deletion:
            return f"its Deny-all {sid} is not that of its quarantine's record"
    if operation in _SWITCHES and parameters.get("Status") == INACTIVE:
        off = {str(parameters[name]) for name in _IDS if name in parameters}
        since.off |= off
        if not off <= record.ids:
            return "it deactivates what its quarantine's record does not have"
    return ""


def _sids(document: Any) -> Iterator[str]:
    """The statement ids in the document of a policy."""
    try:
        found = json.loads(document) if isinstance(document, str) else {}
        statements = found.get("Statement", ())
        yield from {str(each.get("Sid") or "") for each in statements}
    except (ValueError, AttributeError, TypeError, RecursionError):
        return


def _status_fault(status: str, line: Line, since: _Since) -> str:
    """Why such lines have no outcome of this ``status``."""
    if status not in STATUSES:
        return f"no run writes the status {status}"
    if status != DELETED and DONE in since.results:
        return f"it says {status}, and its journal that {DELETION} was done"
    if not since.calls:
        return _rest_fault(status, line)
    if "rests_on" in line:
        return "it rests on another line, and has calls of its own"
    if status not in _ALLOWED or not _ALLOWED[status](since, line):
        return f"it says {status}, and its journal has no line or no call of that, or another end of them"
    return ""


def _is_deletion(since: _Since, _line: Line) -> bool:
    return since.decided and bool(since.results - {GONE, REFUSED})


def _is_quarantine(since: _Since, _line: Line) -> bool:
    made_good = REFUSED not in since.latest.values()
    return bool(since.record and since.record.deny != _NO_DENY) and made_good and not since.results


def _is_brownout(since: _Since, _line: Line) -> bool:
    return since.has(BROWNOUT) and not since.has(DENY)


def _is_release(since: _Since, _line: Line) -> bool:
    lifts = any(operation in _LIFTING or state == ACTIVE for operation, state in since.begun)
    # it puts nothing on, and takes nothing else away
    other = (DENY,) in since.latest or any(
        not (operation in _LIFTING or (operation in _SWITCHES and state == ACTIVE))
        for operation, state in since.begun
    )
    return lifts and not other and {result for _, result in since.ended} <= {DONE, GONE}


def _is_failure(since: _Since, line: Line) -> bool:
    """A failure names its call, or has a code of its own: all calls may be done, and AWS not show what they did."""
    code, call = line.get("code"), str(line.get("call") or "")
    if code in reasons.OF_CHANGES:
        return False
    return since.failed(call.partition(":")[2]) if call or code == reasons.CALL_FAILED.code else True


#: Status -> whether the calls and lines since the outcome before allow it. Of a line without calls, see below.
_ALLOWED: dict[str, Callable[[_Since, Line], bool]] = {
    DELETED: _is_deletion,
    QUARANTINED: _is_quarantine,
    BROWNED_OUT: _is_brownout,
    RELEASED: _is_release,
    FAILED: _is_failure,
    SKIPPED: lambda since, line: not since.changed or line.get("code") in _LEFT_AFTER_CALLS,
    UNCHANGED: lambda since, line: not since.changed or line.get("code") in _LEFT_AFTER_CALLS,
}


def _rest_fault(status: str, line: Line) -> str:
    """Why no run writes an outcome of a change without a call. ``Resting`` looks for the line that it rests on."""
    if status not in CHANGED:
        return f"it says {status} without a call, and runs write no line of that"
    if status in (DELETED, RESTORED) and moment(line.get("rests_on")) is None:
        return f"it says {status} without a call, and rests on no line"
    if status in (QUARANTINED, BROWNED_OUT):
        return f"it says {status} without a call"
    return ""


class Restorations:
    """The lines of one journal of restorations. ``doubt``: on what the last line rests, if on nothing, in words."""

    def __init__(self) -> None:
        #: User -> the ids of users that were created in its place; empty texts for calls without an answer.
        self._created = defaultdict[User, set[str]](set)
        self._last: dict[User, datetime] = {}
        #: User -> the ids of users that an earlier line says were restored.
        self._said = defaultdict[User, frozenset[str]](frozenset)
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
        last = self._last.pop(user, None)
        known, self._said[user] = self._said[user], self._said[user] | made
        if last is None and not made <= known:
            self.doubt = "has no call: nothing was left to give back, or it was added"
        if time and last and time > last + TRYING + SKEW:
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
