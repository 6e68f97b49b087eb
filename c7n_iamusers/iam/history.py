# SPDX-License-Identifier: Apache-2.0
"""What the journal shows that we did to one user: the only proof of what is our own work on it. Pure.

Tags are claims, and AWSDenyAll may be anybody's; a line of the journal is written by a run, right before its call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS, INACTIVE, SWITCHABLE_KINDS
from c7n_iamusers.iam.quarantine_record import DENY_ALL_NAME, QUARANTINE_TAG, Quarantine
from c7n_iamusers.text.moments import moment

#: The phase of a line that holds a quarantine's record.
QUARANTINE = "quarantine"
#: Results of calls that changed nothing: refused, or done by somebody else before.
_FAILED, _GONE = "failed", "gone"
_BEGINNING = datetime.min.replace(tzinfo=timezone.utc)
_AWS_DENY_ALL = ":iam::aws:policy/AWSDenyAll"
#: What a line's ``notes`` say of a boundary that is put on a user: the ARN of the one before, empty where none was.
FORMER_BOUNDARY = "former-boundary"


@dataclass(frozen=True)
class Deed:
    """A changing call that was applied, or may have been. ``notes``: what the journal says beside it.

    ``ours`` False: what it was to remove was gone already.
    """

    time: datetime
    operation: str
    parameters: Mapping[str, Any]
    notes: Mapping[str, Any]
    ours: bool = True

    @property
    def removed(self) -> tuple[str, str] | None:
        """Kind and identifier of the attachment that it removed; None where it removed none."""
        for kind in ATTACHMENT_KINDS:
            for removal in kind.removals:
                if removal.operation == self.operation:
                    members = {"UserName": "UserName", **removal.parameters}
                    named = {member: self.parameters.get(name) for name, member in members.items()}
                    return kind.name, str(named[kind.identifier])
        return None


@dataclass(frozen=True)
class History:
    """``deeds`` in the order of time, all of one user, whatever name it had.

    ``record``: of the latest quarantine, written before its first call. ``given_back``: when a restoration last gave
    the user, which still exists, all back that had been removed.
    """

    deeds: tuple[Deed, ...] = ()
    record: Quarantine | None = None
    given_back: datetime | None = None

    @property
    def quarantine(self) -> Quarantine | None:
        """The record of the latest quarantine, unless a later call of ours ended it."""
        if self.record is None:
            return None
        since = self.record.since
        return None if any(each.time >= since and _releases(each) for each in self.deeds) else self.record

    def deletion_open(self) -> bool:
        """True where a deletion took something that nobody gave back, or its Deny, attached or a boundary, stands."""
        return bool(self.removed()) or "deletion" in (self.attached_for(), self.boundary_for())

    def attached_for(self) -> str:
        """What AWSDenyAll was attached for by us, ``deletion`` or ``quarantine``; empty where that isn't known."""
        return self._purpose("AttachUserPolicy", self.attached_deny())

    def boundary_for(self) -> str:
        """The same of AWSDenyAll as the boundary."""
        return self._purpose("PutUserPermissionsBoundary", self.boundary_deny())

    def _purpose(self, operation: str, since: datetime | None) -> str:
        puts = [each for each in self.deeds if each.operation == operation and each.time == since]
        return str(puts[-1].notes.get("for", "")) if puts else ""

    def removed(self, until: datetime | None = None) -> dict[tuple[str, str], datetime]:
        """Kind and identifier of all that was removed, ``until`` then where given -> when it was last.

        What was given back since is not among it, and neither is a Deny-all of ours.
        """
        since = self.given_back
        return {
            key: each.time
            for key, each in self._removals()
            if (until is None or each.time <= until) and (since is None or each.time > since)
        }

    def attached_deny(self) -> datetime | None:
        """Since when AWSDenyAll is attached by us; None where it isn't, as far as is known."""
        return self._standing("AttachUserPolicy", "DetachUserPolicy", "PolicyArn")

    def boundary_deny(self) -> datetime | None:
        """Since when AWSDenyAll is the boundary by us; None where it isn't, as far as is known."""
        ends = ("PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary")
        last = next((each for each in reversed(self.deeds) if each.operation in ends), None)
        ours = last is not None and _is_deny_all(last, "PermissionsBoundary") and not _gives_back(last)
        return last.time if last and ours else None

    def former_boundary(self) -> str | None:
        """The ARN of the boundary that ours took the place of, empty for none; None where no line tells."""
        for each in reversed(self.deeds):
            if each.operation == "PutUserPermissionsBoundary" and _is_deny_all(each, "PermissionsBoundary"):
                former = each.notes.get(FORMER_BOUNDARY)
                return None if former is None else str(former)
        return None

    def switched_off(self) -> tuple[str, ...]:
        """The ids of the credentials that we deactivated and did not activate since."""
        status: dict[str, str] = {}
        for each in (deed for deed in self.deeds if deed.ours):
            for kind in SWITCHABLE_KINDS:
                if kind.status_change and each.operation == kind.status_change.operation:
                    (name,) = kind.status_change.parameters
                    status[str(each.parameters.get(name))] = str(each.parameters.get("Status"))
        return tuple(sorted(identity for identity, value in status.items() if value == INACTIVE))

    def and_then(self, calls: Iterable[tuple[ApiCall, str]], now: datetime) -> History:
        """With ``calls`` of the run in hand, and how each ended, which are not read back from the journal."""
        later = (
            Deed(now, call.operation, call.parameters, call.notes, result != _GONE)
            for call, result in calls
            if result != _FAILED
        )
        return replace(self, deeds=(*self.deeds, *later))

    def deleted(self, since: datetime | None = None) -> bool:
        """True where a DeleteUser of ours was applied, or may have been, ``since`` then where given."""
        ends = (each for each in self.deeds if each.operation == "DeleteUser" and each.ours)
        return any(since is None or each.time > since for each in ends)

    def inline_denies(self) -> list[str]:
        """Each inline Deny-all that we put on the user, or may have, as text.

        One that stands is ours if it is among them: its statement id has the time. A lift that may not have been
        applied proves nothing.
        """
        puts = (each.parameters for each in self.deeds if each.operation == "PutUserPolicy")
        return [
            str(given.get("PolicyDocument")) for given in puts if given.get("PolicyName") == DENY_ALL_NAME
        ]

    def denied_here(self) -> bool:
        """True where a call of ours put the inline Deny-all of our name on the user, or may have."""
        put = (each for each in self.deeds if each.operation == "PutUserPolicy")
        return any(each.parameters.get("PolicyName") == DENY_ALL_NAME for each in put)

    def _removals(self) -> Iterator[tuple[tuple[str, str], Deed]]:
        attached = False  # AWSDenyAll, by us
        for each in self.deeds:
            if _is_deny_all(each, "PolicyArn"):
                if each.operation == "AttachUserPolicy":
                    attached = not _gives_back(each)
                elif attached:
                    attached = False
                    continue
            lifted = "for" in each.notes or each.parameters.get("PolicyName") == DENY_ALL_NAME
            if each.ours and each.removed and not lifted:
                yield each.removed, each

    def _standing(self, put: str, lift: str, parameter: str) -> datetime | None:
        found = None
        for each in self.deeds:
            if each.operation in (put, lift) and _is_deny_all(each, parameter):
                found = each.time if each.operation == put and not _gives_back(each) else None
        return found


def history_of(
    subject: Subject, lines: Iterable[Mapping[str, Any]], created: datetime | None = None
) -> History:
    """What the ``lines`` of journals show that was done to ``subject``.

    A call without a line after it may have been applied, so it counts. Lines of the version before name no unique
    id: theirs is the user of the ARN, unless it was ``created`` later than the line.
    """
    mine = [line for line in lines if _is_of(line, subject, created)]
    deeds = tuple(sorted(_deeds(mine), key=lambda each: each.time))
    recorded = [line for line in mine if line.get("phase") == QUARANTINE]
    latest = max(recorded, key=lambda line: moment(line.get("time")) or _BEGINNING, default=None)
    record = latest.get("record") if latest else None
    found = Quarantine.from_data(record) if isinstance(record, Mapping) else None
    return History(deeds, found or _unrecorded_quarantine(History(deeds)), _given_back(subject, mine))


def _given_back(subject: Subject, lines: Iterable[Mapping[str, Any]]) -> datetime | None:
    ends = (line for line in lines if line.get("phase") == "outcome" and line.get("status") == "restored")
    times = [moment(line.get("time")) for line in ends if subject.unique_id in (line.get("made") or ())]
    return max((time for time in times if time), default=None)


def _unrecorded_quarantine(history: History) -> Quarantine | None:
    """The quarantine of a journal of the version before, which has no line for the record."""
    since, off = history.attached_deny(), history.switched_off()
    return Quarantine(since, "", "", off, "attached") if since and off else None


def _deeds(lines: Iterable[Mapping[str, Any]]) -> Iterator[Deed]:
    begun: dict[str, Deed] = {}
    for line in lines:
        parameters = line.get("parameters")
        if line.get("phase") not in ("before", "after") or not isinstance(parameters, Mapping):
            continue
        call = f"{line.get('operation')} {sorted(parameters.items())}"
        if line["phase"] == "before":
            if call in begun:
                yield begun[call]
            notes = line.get("notes")
            time = moment(line.get("time")) or _BEGINNING
            given = notes if isinstance(notes, Mapping) else {}
            begun[call] = Deed(time, str(line.get("operation")), parameters, given)
        elif (deed := begun.pop(call, None)) and line.get("result") != _FAILED:
            yield replace(deed, ours=line.get("result") != _GONE)
    yield from begun.values()


def _is_of(line: Mapping[str, Any], subject: Subject, created: datetime | None) -> bool:
    if "unique_id" in line:
        return bool(line["unique_id"] == subject.unique_id)
    time = moment(line.get("time"))
    older = created is not None and time is not None and time < created
    return line.get("arn") == subject.arn and not older


def _gives_back(deed: Deed) -> bool:
    """True for what a restoration puts on a user: that is the user's own, an AWSDenyAll too."""
    return deed.notes.get("for") == "restoration"


def _releases(deed: Deed) -> bool:
    """True for the calls by which a release, or the end of a deletion, takes a quarantine's Deny or its tag off."""
    if deed.operation == "UntagUser":
        return QUARANTINE_TAG in deed.parameters.get("TagKeys", ())
    if deed.operation == "DeleteUserPolicy":
        return deed.parameters.get("PolicyName") == DENY_ALL_NAME
    if deed.operation == "PutUserPermissionsBoundary":
        return not _is_deny_all(deed, "PermissionsBoundary")
    if deed.operation == "DeleteUserPermissionsBoundary":
        return True
    return deed.operation == "DetachUserPolicy" and _is_deny_all(deed, "PolicyArn")


def _is_deny_all(deed: Deed, parameter: str) -> bool:
    return str(deed.parameters.get(parameter, "")).endswith(_AWS_DENY_ALL)
