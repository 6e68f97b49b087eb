# SPDX-License-Identifier: Apache-2.0
"""What became of a user, derived from the lines of its calls; and whether an outcome says the same. Pure.

The status follows from the purposes and last results of the calls since the outcome before, from the quarantine's
record, and from what denies the user by the journals of all outputs. What a run only read leaves no line: a person must
look at an outcome that rests on that.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import itemgetter
from typing import Any, ClassVar

from c7n_iamusers import reasons
from c7n_iamusers.execution.calls import AFTER, BEFORE
from c7n_iamusers.execution.journal import CREATED
from c7n_iamusers.execution.journaled_call import DONE, GONE
from c7n_iamusers.execution.journaled_call import FAILED as REFUSED
from c7n_iamusers.execution.outcomes import (
    ACTIVATED,
    BROWNED_OUT,
    CHANGED,
    DEACTIVATED,
    DELETED,
    FAILED,
    QUARANTINED,
    RELEASED,
    RESTORED,
    RETIRED,
    SKIPPED,
    STATUSES,
    UNCHANGED,
)
from c7n_iamusers.iam.attachments import ACTIVE, INACTIVE, MFA_DEVICE, SWITCHABLE_KINDS
from c7n_iamusers.iam.policy_documents import is_aws_deny_all
from c7n_iamusers.lockout.deny_all import ATTACHED, BOUNDARY, BROWNOUT_NAME, DENY_ALL_NAME, FORMS, INLINE
from c7n_iamusers.lockout.journal_lines import QUARANTINE
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.report.journal_calls import DELETION, time_of, who_in
from c7n_iamusers.text.times import moment

Line = Mapping[str, Any]
#: The operations that switch a credential, and the parameters that say on what a call acts.
SWITCHES = frozenset(kind.status_change.operation for kind in SWITCHABLE_KINDS if kind.status_change)
IDS = ("AccessKeyId", "CertificateId", "SSHPublicKeyId", "ServiceSpecificCredentialId")
_OBJECTS = (*IDS, "PolicyName", "PolicyArn", "GroupName", "SerialNumber")
#: What a call does, where several operations do the same.
DENY, BROWNOUT, _LIFT = "deny", "brownout", "lift"
#: What lifts each form of the Deny-all, and what else a release calls, beside activating. Also another boundary does.
_LIFTS = {"DeleteUserPolicy": INLINE, "DetachUserPolicy": ATTACHED, "DeleteUserPermissionsBoundary": BOUNDARY}
_RELEASES = frozenset({*_LIFTS, "PutUserPermissionsBoundary", "UntagUser"})
#: What a quarantine calls, beside deactivating.
_TAKES = frozenset({*FORMS, "TagUser"})
#: In a quarantine's record: no form of the Deny fits; another Deny than ours was on the user.
NO_DENY, OWN_DENY = "none", "own"
#: What a deletion may call once somebody else has deleted the user.
_ORPHANS = frozenset(part.operation for part in MFA_DEVICE.removals if not part.by_user)
#: Calls that no line announces: a release gives back, a brownout begins or ends, a deleted user's leftovers go.
_NO_BROWNOUT = ("DeleteUserPolicy", BROWNOUT_NAME)
_UNANNOUNCED = frozenset({_LIFT, BROWNOUT, "UntagUser", *SWITCHES, *_ORPHANS})
#: Why a user is left alone, or is as it was, after a run of which some calls may have been applied, but not all.
_LEFT_AFTER_CALLS = frozenset(
    each.code
    for each in (
        *(reasons.CHANGED_SINCE_EVENT, reasons.NO_BROWNOUT, reasons.CREDENTIALS_ACTIVATED),
        *(reasons.IN_QUARANTINE_ALREADY, reasons.IN_BROWNOUT),
    )
)


def deny_form(operation: str, parameters: Mapping[str, Any]) -> tuple[str, bool]:
    """The form of the Deny-all that a call puts on (True) or lifts (False); empty for a call of anything else."""
    form: str = FORMS.get(operation) or _LIFTS.get(operation, "")
    name = parameters.get("PolicyName")
    aws = is_aws_deny_all(str(parameters.get("PolicyArn") or parameters.get("PermissionsBoundary")))
    if form == BOUNDARY:
        return form, aws
    return (form, operation in FORMS) if (name == DENY_ALL_NAME if form == INLINE else aws) else ("", False)


def purpose(operation: str, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The purpose of a call: another call with it makes up for one that failed. A Deny-all has several forms."""
    if operation in FORMS and parameters.get("PolicyName") == BROWNOUT_NAME:
        return (BROWNOUT,)
    form, puts = deny_form(operation, parameters)
    if form:
        return (DENY,) if puts else (_LIFT, form)
    return operation, *(str(parameters[name]) for name in _OBJECTS if name in parameters)


class Record:
    """The record of a quarantine, with what its calls are compared with: made once, since a line may be long.

    ``calls``: how many the user had before its line.
    """

    def __init__(self, found: QuarantineRecord, calls: int) -> None:
        self.since, self.deny, self.deactivated = found.since, found.deny, found.deactivated
        self.sids, self.tag, self.calls = frozenset(found.sids), found.tag(), calls
        self.ids = frozenset((*found.deactivated, *found.inactive, *found.given, *found.dropped))


@dataclass
class Since:
    """What the lines say of a user since its last outcome.

    ``calls``: of IAM that were begun. ``begun``: operation and Status of each. ``open``: operation -> how many have no
    answer yet. ``ended``: operation and result of each answer. ``latest``: what a call does -> the last result of it.
    ``end``: the result of the last call, empty without an answer. ``applied``: what calls did. ``again``: whether the
    last one was to do that once more. ``last``: the time of the last line of a call.
    ``announced``: that of the last line which says on what calls rest. ``decided``: whether one was of a deletion.
    ``deleting``: whether a call was of a deletion. ``record``: of the quarantine that began.
    ``proven``: whether its calls or its line say since when. ``off``: ids of credentials that were deactivated.
    """

    calls: int = 0
    begun: set[tuple[str, str]] = field(default_factory=set)
    open: Counter[str] = field(default_factory=Counter)
    ended: set[tuple[str, str]] = field(default_factory=set)
    latest: dict[tuple[str, ...], str] = field(default_factory=dict)
    end: str = ""
    applied: set[tuple[str, ...]] = field(default_factory=set)
    again: bool = False
    last: datetime | None = None
    announced: datetime | None = None
    decided: bool = False
    deleting: bool = False
    record: Record | None = None
    proven: bool = False
    off: set[str] = field(default_factory=set)

    #: The statuses of outcomes that runs write; and those of changes that an outcome without a call must name the line
    #: of.
    statuses: ClassVar[frozenset[str]] = STATUSES - {DEACTIVATED, ACTIVATED, RETIRED}
    resting: ClassVar[frozenset[str]] = frozenset({DELETED, RESTORED})

    def call(self, line: Line) -> None:
        """Take a line before or after a call of IAM."""
        operation, parameters = str(line.get("operation")), line.get("parameters") or {}
        what = purpose(operation, parameters)
        if line["phase"] == BEFORE:
            self.calls += 1
            self.again = what in self.applied
            self.open[operation] += 1
            self.begun.add((operation, str(parameters.get("Status") or "")))
            self.latest[what] = self.end = ""
        elif line["phase"] == AFTER:
            result = str(line.get("result") or "")
            self.open[operation] -= 1
            self.ended.add((operation, result))
            self.latest[what] = self.end = result
            self.applied |= {what} if result in (DONE, GONE) else set()

    def unannounced(self, operation: str, parameters: Mapping[str, Any]) -> str:
        """Why no run begins such a call after these lines; empty if one may."""
        what = purpose(operation, parameters)
        takes = operation == "TagUser" or (operation in SWITCHES and parameters.get("Status") == INACTIVE)
        if takes and not self.record:
            return "no line before it says that a quarantine of the user begins"
        if takes or (what == (DENY,) and self.record) or what[0] in _UNANNOUNCED or what == _NO_BROWNOUT:
            return ""
        self.deleting = True
        return "" if self.decided else "no line before it says that the user is to be deleted, or quarantined"

    @property
    def changed(self) -> bool:
        """Whether a call was applied, or may have been."""
        return bool(+self.open) or any(result != REFUSED for _, result in self.ended)

    @property
    def activates_alone(self) -> bool:
        """Whether a credential is activated, and no Deny-all is lifted."""
        lifts = any(what[0] == _LIFT and result != REFUSED for what, result in self.latest.items())
        return not lifts and any(status == ACTIVE for _, status in self.begun)

    @property
    def status(self) -> str:
        """The status in CHANGED that the calls have, or may have where a result is not known; empty for none."""
        deletions, operations = self._results(DELETION), {operation for operation, _ in self.begun}
        if deletions:
            return DELETED if self.decided and deletions - {GONE, REFUSED} else ""
        # a refused form of the Deny-all does not matter if one is on the user: see Denials
        refused = REFUSED in {result for what, result in self.latest.items() if what != (DENY,)}
        takes = all(each in _TAKES or (each in SWITCHES and to == INACTIVE) for each, to in self.begun)
        if self.record and self.record.deny != NO_DENY and self.calls > self.record.calls and not refused:
            return QUARANTINED if takes else ""
        if operations == {"PutUserPolicy"} and self.latest.get((BROWNOUT,), REFUSED) != REFUSED:
            return "" if (DENY,) in self.latest else BROWNED_OUT
        gives = all(each in _RELEASES or (each in SWITCHES and to == ACTIVE) for each, to in self.begun)
        whole = {result for _, result in self.ended} <= {DONE, GONE} and (DENY,) not in self.latest
        return RELEASED if self.begun and gives and whole else ""

    @property
    def whole(self) -> str:
        """The same, if each call, or another one for the same purpose, was done; else empty."""
        return self.status if set(self.latest.values()) <= {DONE, GONE} else ""

    @property
    def deleted(self) -> bool:
        """Whether a call deleted the user, whatever else the lines say."""
        return DONE in self._results(DELETION)

    @property
    def gone(self) -> bool:
        """Whether AWS said that the user that was to be deleted is gone."""
        return GONE in self._results(DELETION)

    def _results(self, operation: str) -> set[str]:
        """Of an operation; empty texts for calls without an answer."""
        found = {result for each, result in self.ended if each == operation}
        return found | ({""} if self.open[operation] else set())

    def may_leave(self, code: str) -> bool:
        """Whether the user may be left alone, or be as it was, after the calls."""
        if code == reasons.ALREADY_GONE.code:  # a run saw that first, and then deleted what the user had left
            return {each for each, _ in self.begun} <= _ORPHANS
        if not self.changed:
            return True
        if code == reasons.GONE_MEANWHILE.code:
            return not self.deleted
        return code in _LEFT_AFTER_CALLS and not self.whole

    def failed(self, operation: str) -> bool:
        """Whether a call of this operation was not done, or may not have been."""
        return bool(self._results(operation) - {DONE, GONE})


def compared(line: Line, since: Since) -> tuple[str, str]:
    """Why no run writes this outcome after such lines; and why nothing here proves it. In words; empty for neither."""
    status, code = str(line.get("status")), str(line.get("code") or "")
    if status not in since.statuses:
        return f"no run writes the status {status}", ""
    if code not in reasons.REASONS or (status in CHANGED and code not in reasons.OF_CHANGES):
        return f"no run writes the status {status} with the code {code}", ""
    if not since.calls:
        return _rest_fault(status, line, since.resting), ""
    if "rests_on" in line:
        return "it rests on another line, and has calls of its own", ""
    fits, by_read = status == since.status, False
    if status == FAILED:
        fits, by_read = _failed(code, str(line.get("call") or ""), since)
    elif status in (SKIPPED, UNCHANGED):
        fits, by_read = since.may_leave(code), since.changed
    if not fits:
        return f"it says {status}, and its journal has no line or no call of that, or another end of them", ""
    why = "rests on what the run saw alone, since its calls were applied: find out, or it was changed"
    return "", why if by_read else ""


def _failed(code: str, call: str, since: Since) -> tuple[bool, bool]:
    """Whether the calls may end with a failure; and whether what the last one was to do was done, so that a read alone
    says it.

    A deletion that ended half-way is a failure by its calls.
    """
    named = not (call or code == reasons.CALL_FAILED.code) or since.failed(call.partition(":")[2])
    fits = named and code not in reasons.OF_CHANGES and not since.deleted
    half_way = since.deleting and not since.gone
    return fits, (since.again or since.end in (DONE, GONE)) and not half_way


def _rest_fault(status: str, line: Line, resting: frozenset[str]) -> str:
    """Why no run writes an outcome of a change without a call. ``Changes`` looks for the line that it rests on."""
    if status not in CHANGED:
        return f"it says {status} without a call, and runs write no line of that"
    if status in resting and moment(line.get("rests_on")) is None:
        return f"it says {status} without a call, and rests on no line"
    return f"it says {status} without a call" if status in (QUARANTINED, BROWNED_OUT) else ""


#: Whether a form of the Deny-all is on a user, or may be.
_ON, _OFF, _MAYBE = "on", "off", "maybe"


@dataclass(frozen=True)
class Asked:
    """An outcome that its own lines allow, and that rests on what denies the user then. ``told``: which one, in words.

    ``who``: see ``who_in``.
    ``deny``: the form of the Deny-all by the record of a quarantine, which no call put on; empty for a release.
    ``activates``: it activates credentials, and lifts no Deny-all.
    """

    who: str
    time: datetime
    told: str
    deny: str = ""
    activates: bool = False


def asked_of(line: Line, since: Since) -> Asked | None:
    """What an outcome without a fault by ``compared`` rests on; None if its own lines prove it."""
    status, time, record = line.get("status"), time_of(line["time"]), since.record
    if time is None or status not in (QUARANTINED, RELEASED):
        return None
    asked = Asked(
        who_in(line["arn"], line["unique_id"]), time, f"{status} of {line['arn']} at {line['time']}"
    )
    if status == RELEASED:
        return replace(asked, activates=since.activates_alone)
    on_by_own = record is None or since.latest.get((DENY,), REFUSED) != REFUSED
    # for another Deny-all than ours the quarantine's tag counts, too: AWS has an event of it
    on_by_tag = record is not None and record.deny == OWN_DENY and ("TagUser", DONE) in since.ended
    return None if record is None or on_by_own or on_by_tag else replace(asked, deny=record.deny)


class Denials:
    """What denies each user, by the journals of all outputs."""

    def __init__(self) -> None:
        #: Who (see ``who_in``) and form -> time and state, or no text where AWS refused it; QUARANTINE -> the forms in
        #: records.
        self._states = defaultdict[tuple[str, str], list[tuple[datetime, str]]](list)
        self._begun: dict[tuple[str, str, str], int] = {}
        self._made: dict[tuple[str, str], str] = {}

    def read(self, place: str, line: Line) -> None:
        """Take the next line of the journal at ``place``."""
        time, phase, arn = time_of(line["time"]), line["phase"], line["arn"]
        who = who_in(arn, line["unique_id"])
        record = line.get("record")
        if time and phase == QUARANTINE and isinstance(record, Mapping):
            self._states[who, QUARANTINE].append((time, str(record.get("deny"))))
        if time is None or phase not in (BEFORE, AFTER):
            return
        # a restoration puts a Deny-all on the user that it created
        if created := (line.get("saved") or {}).get(CREATED):
            self._made[place, who] = who_in(arn, created)
        form, puts = deny_form(str(line.get("operation")), line.get("parameters") or {})
        if form:
            of = self._made.get((place, who), who)
            key, states = (place, of, f"{form} {puts}"), self._states[of, form]
            if phase == BEFORE:
                self._begun[key] = len(states)
                states.append((time, _MAYBE))
            elif key in self._begun:
                ends = {DONE: _ON if puts else _OFF, GONE: _OFF, REFUSED: ""}
                states[self._begun.pop(key)] = time, ends.get(str(line.get("result")), _MAYBE)

    def faults(self, asked: Iterable[tuple[str, Asked]]) -> Iterator[tuple[str, str, str]]:
        """Place, level and words of each outcome that is contradicted. Once all journals are read."""
        for states in self._states.values():
            states[:] = sorted((each for each in states if each[1]), key=itemgetter(0))
        for place, each in asked:
            if found := self._quarantined(each) if each.deny else self._released(each):
                yield place, found[0], f"{each.told} rests on {found[1]}"

    def _quarantined(self, asked: Asked) -> tuple[str, str] | None:
        if asked.deny == OWN_DENY:
            return ATTENTION, "a Deny-all that no run put on"
        if self._at(asked, asked.deny) in (_ON, _MAYBE):
            return None
        return BLOCKING, "a Deny-all that no call here put on: give all outputs; or it was changed"

    def _released(self, asked: Asked) -> tuple[str, str] | None:
        if asked.activates:
            form = self._at(asked, QUARANTINE)
            why = "activations under a Deny-all that no call lifted: give all outputs; or it was changed"
            return None if form in (NO_DENY, OWN_DENY) else (BLOCKING if form else ATTENTION, why)
        if any(self._at(asked, form) == _ON for form in FORMS.values()):
            return (
                ATTENTION,
                "what the run saw alone: a Deny-all is on by the journals, and no call lifted it",
            )
        return None

    def _at(self, asked: Asked, what: str) -> str:
        """What was said last, until the outcome; empty if nothing was."""
        states = self._states.get((asked.who, what), [])
        at = bisect_right(states, asked.time, key=itemgetter(0))
        return states[at - 1][1] if at else ""
