# SPDX-License-Identifier: Apache-2.0
"""What the journals show that this package did to one user. Pure.

Only the journal proves that a change on a user is our own: anybody with iam:TagUser can write our tags, and anybody
can attach AWSDenyAll.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.execution.journaled_call import FAILED, GONE, INTERRUPTED, UNKNOWN
from c7n_iamusers.iam.attachments import ACTIVE, ATTACHMENT_KINDS, INACTIVE, SWITCHABLE_KINDS
from c7n_iamusers.iam.user import Item
from c7n_iamusers.lockout.deny_all import (
    ATTACHED,
    BOUNDARY,
    DENY_ALL_NAME,
    FORMER_BOUNDARY,
    FORMS,
    GONE_DENY,
    PUT_BACK,
    UNTIL_THE_END,
    is_same_deny,
)
from c7n_iamusers.lockout.quarantine_record import QUARANTINE_TAG, QuarantineRecord

#: The results of calls that may have been applied.
UNANSWERED = (UNKNOWN, INTERRUPTED)
BEGINNING = datetime.min.replace(tzinfo=timezone.utc)
_AWS_DENY_ALL = ":iam::aws:policy/AWSDenyAll"


@dataclass(frozen=True)
class AppliedCall:
    """A changing call that was applied, or may have been applied. ``notes``: of its journal line.

    ``effective``: False if the object that the call removes was already gone. ``answered``: False if it is not known
    whether the call was applied.
    """

    time: datetime
    operation: str
    parameters: Mapping[str, Any]
    notes: Mapping[str, Any]
    effective: bool = True
    answered: bool = True

    @property
    def removed(self) -> tuple[str, str] | None:
        """Kind and identifier of the attachment that it removed; None if it removed none."""
        for kind in ATTACHMENT_KINDS:
            for removal in kind.removals:
                if removal.operation == self.operation:
                    members = {"UserName": "UserName", **removal.parameters}
                    named = {member: self.parameters.get(name) for name, member in members.items()}
                    return kind.name, str(named[kind.identifier])
        return None


@dataclass(frozen=True)
class CallHistory:
    """``calls``: ordered by time, all of one user, whatever names it had.

    ``record``: of the latest quarantine, written before its first call. ``restored_at``: when a restoration last gave
    the existing user back all that had been removed. ``gone`` and ``active``: when a run last saw each item in lines of
    phase LAPSED. ``uploaded``: the ids of the credentials that a restoration gave -> when. ``active_before``: those
    that were active before the quarantine, by a proven snapshot; see ``active_before`` in ``snapshots/before_deny.py``.
    No release activates anything because of a journal alone.
    """

    calls: tuple[AppliedCall, ...] = ()
    record: QuarantineRecord | None = None
    restored_at: datetime | None = None
    gone: Mapping[str, datetime] = field(default_factory=dict)
    active: Mapping[str, datetime] = field(default_factory=dict)
    uploaded: Mapping[str, datetime] = field(default_factory=dict)
    active_before: frozenset[str] = frozenset()

    @property
    def quarantine(self) -> QuarantineRecord | None:
        """The record of the latest quarantine, unless a later call of ours ended it.

        A deletion that lifts the Deny-all for DeleteUser, and puts it back if that fails, does not end it. Neither does
        a restoration that sets again the boundary which it, or a deletion, had replaced.
        """
        if self.record is None:
            return None
        ends, since, bound_for = 0, self.record.since, ""
        for call in self.calls:
            if _is_deny_all(call, "PermissionsBoundary"):
                bound_for = str(call.notes.get("for", ""))
            if call.time >= since and _releases(call, bound_for):
                ends += 1
            elif ends and call.notes.get(PUT_BACK):
                ends -= 1
        if ends:
            return None
        lapsed = self.gone.get(self.record.deny, BEGINNING) > since
        return replace(self.record, deny=GONE_DENY) if lapsed else self.record

    def deny_stood(self, record: QuarantineRecord) -> bool:
        """Whether the Deny-all of ``record`` was on the user for certain."""
        return record.deny in ("own", GONE_DENY) or any(
            call.time >= record.since and call.answered and _puts_deny_all(call) for call in self.calls
        )

    def deletes_under(self, operation: str, put: datetime) -> bool:
        """Whether the Deny-all that ``operation`` put on at ``put`` is a deletion's, or a deletion has removed anything
        since; and the user was not restored after that.
        """
        mine = [call.notes for call in self.calls if call.operation == operation and call.time == put]
        by_deletion = any(notes.get("for") == "deletion" or notes.get(PUT_BACK) for notes in mine)
        lasting = by_deletion and put > (self.restored_at or BEGINNING)
        return lasting or bool(self.removed(since=put))

    def restoring_under(self) -> str:
        """The form of the Deny-all that an unfinished restoration put on; empty if there is none."""
        since = self.restored_at or BEGINNING
        begun = (call for call in self.calls if call.notes.get(UNTIL_THE_END) and call.time > since)
        puts = [call for call in begun if call.operation in FORMS]
        return FORMS[puts[-1].operation] if puts else ""

    def lifted_for_deletion(self) -> bool:
        """Whether a deletion lifted its Deny-all, right before DeleteUser, and nothing put one on or restored since."""
        changes = [
            call for call in self.calls if (_puts_deny_all(call) and call.answered) or _lifts_deny_all(call)
        ]
        last = changes[-1] if changes else None
        if last is None or not _lifts_deny_all(last):
            return False
        return last.notes.get("for") == "deletion" and last.time > (self.restored_at or BEGINNING)

    def began_deletion(self) -> bool:
        """Whether a deletion of ours made any call on the user since it was last restored, whatever became of it."""
        since = self.restored_at or BEGINNING
        denied = any(call.time > since and call.notes.get("for") == "deletion" for call in self.calls)
        return denied or bool(self.removed())

    def deleted_between(self, since: datetime, until: datetime) -> bool:
        """Whether a deletion of ours made any call on the user between the two times, whatever became of it."""
        removals = (call for _, call in self._removals())
        begun = (
            call
            for call in self.calls
            if call.notes.get("for") == "deletion" or call.notes.get(UNTIL_THE_END)
        )
        return any(since <= call.time <= until for call in (*removals, *begun))

    def attached_for(self) -> str:
        """What we attached AWSDenyAll for, ``deletion`` or ``quarantine``; empty if unknown."""
        return self._purpose("AttachUserPolicy", self.attached_deny())

    def boundary_for(self) -> str:
        """What we set AWSDenyAll as the boundary for, ``deletion`` or ``quarantine``; empty if unknown."""
        return self._purpose("PutUserPermissionsBoundary", self.boundary_deny())

    def _purpose(self, operation: str, since: datetime | None) -> str:
        puts = [call for call in self.calls if call.operation == operation and call.time == since]
        return str(puts[-1].notes.get("for", "")) if puts else ""

    def removed(
        self, until: datetime | None = None, since: datetime | None = None
    ) -> dict[tuple[str, str], datetime]:
        """Kind and identifier of each removed attachment -> time of its last removal, ``since`` and ``until`` if given.

        Attachments that were restored since are left out, and so is a Deny-all of ours. Attachments that were gone at
        their removal are included: each was read right before, and a proxy may have sent the request twice. See
        ``doubtful``.
        """
        first, restored = since or BEGINNING, self.restored_at
        return {
            key: call.time
            for key, call in self._removals()
            if call.time >= first
            and (until is None or call.time <= until)
            and (restored is None or call.time > restored)
        }

    def doubtful(self) -> list[tuple[str, str]]:
        """Kind and identifier of what was gone at its removal: we may have removed it, or somebody else."""
        removals = dict(self._removals())
        since = self.restored_at or BEGINNING
        return [key for key, call in removals.items() if not call.effective and call.time > since]

    def ever_removed(self) -> frozenset[tuple[str, str]]:
        """Kind and identifier of whatever we removed, or may have, even if it was restored since."""
        return frozenset(key for key, _ in self._removals())

    def unanswered_removals(self) -> frozenset[tuple[str, str]]:
        """Kind and identifier of what we may have removed by a call with an unknown outcome."""
        return frozenset(key for key, call in dict(self._removals()).items() if not call.answered)

    def attached_deny(self) -> datetime | None:
        """Since when our AWSDenyAll is attached; None if it is not, by the journal.

        A removal without an answer may not have been applied, so it does not count: read the user live to see whether
        AWSDenyAll is still there.
        """
        since = None
        for call in (call for call in self.calls if _is_deny_all(call, "PolicyArn")):
            if call.operation == "AttachUserPolicy":
                since = None if is_restoration(call) else call.time
            elif call.operation == "DetachUserPolicy" and call.answered:
                since = None
        return self._unless_gone(ATTACHED, since)

    def boundary_deny(self) -> datetime | None:
        """Since when our AWSDenyAll is the boundary; None if it is not, by the journal.

        As with ``attached_deny``, a removal without an answer does not count.
        """
        changes = ("PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary")
        known = (
            call
            for call in reversed(self.calls)
            if call.operation in changes and (call.answered or _is_deny_all(call, "PermissionsBoundary"))
        )
        last = next(known, None)
        ours = last is not None and _is_deny_all(last, "PermissionsBoundary") and not is_restoration(last)
        return self._unless_gone(BOUNDARY, last.time if last and ours else None)

    def _unless_gone(self, form: str, put: datetime | None) -> datetime | None:
        return put if put and self.gone.get(form, BEGINNING) <= put else None

    def former_boundary(self) -> str | None:
        """The ARN of the boundary that our AWSDenyAll replaced, empty if there was none; None if unknown."""
        for call in reversed(self.calls):
            if call.operation == "PutUserPermissionsBoundary" and _is_deny_all(call, "PermissionsBoundary"):
                former = call.notes.get(FORMER_BOUNDARY)
                return None if former is None else str(former)
        return None

    def boundary_under_deny(self) -> str:
        """The ARN of the boundary that our AWSDenyAll replaced, if no call of ours has set or removed one since.

        Empty otherwise, and if there was none.
        """
        calls = [call for call in self.calls if call.operation.endswith("UserPermissionsBoundary")]
        ours = bool(calls) and _is_deny_all(calls[-1], "PermissionsBoundary")
        return (self.former_boundary() or "") if ours else ""

    def boundary_before(self) -> tuple[Item, ...] | None:
        """The same as the attachments of a user have it: empty if there was none; None if unknown."""
        arn = self.former_boundary()
        return None if arn is None else ({"PermissionsBoundaryArn": arn},) if arn else ()

    def deactivated_ids(self, since: datetime | None = None) -> tuple[str, ...]:
        """The ids of the credentials that we deactivated (from ``since`` on, if given) and did not activate later.

        Those that a restoration gave back inactive, as before, are left out.
        """
        return tuple(sorted(self.deactivations(since)))

    def deactivations(self, since: datetime | None = None) -> dict[str, AppliedCall]:
        """The same ids -> the call that deactivated each."""
        return {
            identity: call
            for identity, call in self._switches(since).items()
            if call.parameters.get("Status") == INACTIVE and not is_restoration(call)
        }

    def proven_off(self) -> frozenset[str]:
        """The ids of the credentials that we deactivated for certain, and did not activate for certain later.

        It leaves out those that a run saw active since, and those deactivated before a release that ended before the
        latest quarantine: the release may have activated them without an answer.
        """
        last = self._switches(self._released_before(), answered=True)
        off = ((key, call) for key, call in last.items() if call.parameters.get("Status") == INACTIVE)
        return frozenset(
            key
            for key, call in off
            if not is_restoration(call) and self.active.get(key, BEGINNING) <= call.time
        )

    def _released_before(self) -> datetime | None:
        """When we last ended a quarantine before the latest one began; None if we did not."""
        ended_at, bound_for = None, ""
        for call in self.calls if self.record else ():
            if _is_deny_all(call, "PermissionsBoundary"):
                bound_for = str(call.notes.get("for", ""))
            ended = _releases(call, bound_for) and call.answered and call.notes.get("for") != "deletion"
            if ended and self.record and call.time < self.record.since:
                ended_at = call.time
        return ended_at

    def switched_on(self, since: datetime) -> frozenset[str]:
        """The ids of the credentials that we activated for certain from ``since`` on, and did not deactivate later."""
        last = self._switches(since)
        return frozenset(
            key for key, call in last.items() if call.parameters.get("Status") == ACTIVE and call.answered
        )

    def given_active(self, since: datetime) -> frozenset[str]:
        """The ids of the credentials that a restoration gave from ``since`` on, and none of our calls deactivated."""
        last = self._switches(since)
        off = {key for key, call in last.items() if call.parameters.get("Status") == INACTIVE}
        return frozenset(key for key, at in self.uploaded.items() if at >= since and key not in off)

    def activated_ids(self, since: datetime) -> frozenset[str]:
        """The ids of the credentials that we activated for certain, or a run saw active, from ``since`` on.

        We did not deactivate them later: if one is inactive now, somebody else deactivated it.
        """
        last = self._switches(since)
        seen = (key for key, at in self.active.items() if at > (last[key].time if key in last else since))
        return frozenset((*self.switched_on(since), *seen))

    def _switches(self, since: datetime | None, answered: bool = False) -> dict[str, AppliedCall]:
        """The id of each credential whose status we changed -> the last call that did, from ``since`` on if given.

        ``answered``: only calls that were applied for certain.
        """
        last: dict[str, AppliedCall] = {}
        calls = (call for call in self.calls if call.effective and (call.answered or not answered))
        for call in (call for call in calls if call.time >= (since or BEGINNING)):
            for kind in SWITCHABLE_KINDS:
                if kind.status_change and call.operation == kind.status_change.operation:
                    (name,) = kind.status_change.parameters
                    last[str(call.parameters.get(name))] = call
        return last

    def with_calls(self, calls: Iterable[tuple[ApiCall, str]], now: datetime) -> CallHistory:
        """The history after ``calls`` of the current run, each with its result. The journal is not read again."""
        later = (
            AppliedCall(
                now, call.operation, call.parameters, call.notes, result != GONE, result not in UNANSWERED
            )
            for call, result in calls
            if result != FAILED
        )
        return replace(self, calls=(*self.calls, *later))

    def deleted_at(self) -> datetime | None:
        """When a DeleteUser of ours was last applied, or may have been; None if none was."""
        deletions = (call for call in self.calls if call.operation == "DeleteUser" and call.effective)
        return max((call.time for call in deletions), default=None)

    def deleted(self, since: datetime | None) -> bool:
        """Whether that was after ``since``, if given."""
        at = self.deleted_at()
        return at is not None and (since is None or at > since)

    def inline_lifted(self) -> datetime | None:
        """When a call of ours last left the user without an inline Deny for certain; None if none did."""
        ends = (call for call in self.calls if call.answered and _ends_inline_deny(call))
        return max((call.time for call in ends), default=None)

    def inline_denies(self, since: datetime | None = None) -> list[str]:
        """The documents of the inline Deny-alls that we put on the user, or may have put, from ``since`` on if given.

        A Deny-all on the user is ours if it is one of them: its statement id has the time. Calls that remove one
        are ignored, because they may not have been applied.
        """
        calls = (call for call in self.calls if since is None or call.time >= since)
        puts = (call.parameters for call in calls if call.operation == "PutUserPolicy")
        return [
            str(given.get("PolicyDocument")) for given in puts if given.get("PolicyName") == DENY_ALL_NAME
        ]

    def inline_deny(self, statement: Mapping[str, Any]) -> datetime | None:
        """When we put on the inline Deny-all with ``statement``, which is on the user; None if another followed."""
        puts = [
            (call, is_same_deny(str(call.parameters.get("PolicyDocument")), statement))
            for call in self.calls
            if call.operation == "PutUserPolicy" and _puts_deny_all(call)
        ]
        known = [(call, same) for call, same in puts if same or call.answered]
        return known[-1][0].time if known and known[-1][1] else None

    def _removals(self) -> Iterator[tuple[tuple[str, str], AppliedCall]]:
        attached = False  # our AWSDenyAll
        for call in self.calls:
            if _is_deny_all(call, "PolicyArn"):
                if call.operation == "AttachUserPolicy":
                    attached = not is_restoration(call)
                elif attached:
                    attached = not call.answered
                    continue
            # A policy with our name and no purpose was somebody else's, and was removed as the user's own.
            if call.removed and "for" not in call.notes:
                yield call.removed, call


def is_restoration(call: AppliedCall) -> bool:
    """Whether a restoration made the call. What it puts on a user is the user's own, even an AWSDenyAll."""
    return call.notes.get("for") == "restoration"


def _puts_deny_all(call: AppliedCall) -> bool:
    if call.operation == "PutUserPolicy":
        return bool(call.parameters.get("PolicyName") == DENY_ALL_NAME)
    names = {"AttachUserPolicy": "PolicyArn", "PutUserPermissionsBoundary": "PermissionsBoundary"}
    return call.operation in names and _is_deny_all(call, names[call.operation])


def _lifts_deny_all(call: AppliedCall) -> bool:
    if call.operation == "DeleteUserPolicy":
        return bool(call.parameters.get("PolicyName") == DENY_ALL_NAME)
    return call.operation == "DetachUserPolicy" and _is_deny_all(call, "PolicyArn")


def _releases(call: AppliedCall, bound_for: str) -> bool:
    """Whether the call removes a quarantine's Deny or its tag, at a release or at the end of a deletion.

    ``bound_for``: what AWSDenyAll was last set as the boundary for.
    """
    if _ends_inline_deny(call):
        # Without a purpose, a deletion removed somebody else's policy of our name.
        return call.operation == "UntagUser" or "for" in call.notes
    if call.operation in ("PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary"):
        lifts = not _is_deny_all(call, "PermissionsBoundary")
        return lifts and bound_for not in ("deletion", "restoration")
    return call.operation == "DetachUserPolicy" and _is_deny_all(call, "PolicyArn") and "for" in call.notes


def _ends_inline_deny(call: AppliedCall) -> bool:
    """Whether no inline Deny is on the user right after the call: it removes that, or the tag, which goes last."""
    if call.operation == "UntagUser":
        return QUARANTINE_TAG in call.parameters.get("TagKeys", ())
    return call.operation == "DeleteUserPolicy" and call.parameters.get("PolicyName") == DENY_ALL_NAME


def _is_deny_all(call: AppliedCall, parameter: str) -> bool:
    return str(call.parameters.get(parameter, "")).endswith(_AWS_DENY_ALL)
