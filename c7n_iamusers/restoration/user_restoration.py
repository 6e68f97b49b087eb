# SPDX-License-Identifier: Apache-2.0
"""Restoring one user: read the current state, plan, apply, and repeat until nothing is left to do."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice, takewhile
from typing import Any

from c7n_iamusers.exceptions import RestorationRefused, UserReplaced
from c7n_iamusers.execution.calls import AFTER, BEFORE, DENIED, ApiCall, Plan, Ref
from c7n_iamusers.execution.executor import Applied, CallFailed, Executor, Identify, SubjectGone
from c7n_iamusers.execution.journal import CREATED, OUTCOME, TOKEN, JournalWriter, utc_now
from c7n_iamusers.execution.journaled_call import DONE, FAILED, GONE
from c7n_iamusers.execution.outcomes import RESTORED
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.live_policies import has_members
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.iam.users import read_user
from c7n_iamusers.lockout.deny_all import BOUNDARY, deny_form, is_denial
from c7n_iamusers.lockout.journal_lines import history_of, restored_at
from c7n_iamusers.restoration.cannot_come_back import CurrentState, created_group
from c7n_iamusers.restoration.deny import OwnDeny, boundary_was_lifted, deny_forms, lifted_form, was_lifted
from c7n_iamusers.restoration.lost_trust_denies import RoleTrust
from c7n_iamusers.restoration.plan import REPLACES, Recorded, Restoration, plan_restoration
from c7n_iamusers.restoration.rights import RightsChange
from c7n_iamusers.restoration.rights_reader import RightsReader, RoleTrustReader
from c7n_iamusers.safeguards.user_identity import BoundaryChanged, DenyGone, identity_check, require_denied
from c7n_iamusers.snapshots.removed_by_deletion import whole_snapshot
from c7n_iamusers.snapshots.snapshot import Snapshot
from c7n_iamusers.snapshots.user_records import note_lapse
from c7n_iamusers.text.times import moment

#: How often the user is read, with backoff, until it shows a Deny-all that is on it.
_DENY_READS = 4
#: Rounds of planning and applying. Usually three are enough: the user, its attachments, their status.
_ROUNDS = 8


@dataclass
class UserRestoration:
    """Restores the user of ``recorded`` through ``executor`` in the account ``account_id``.

    ``lines``: the journal lines of earlier restorations. ``names``: unique id -> name of each user in the account.
    ``roles``: of the account, for all of its users. ``left_out``: parts that do not come back. ``seen``: the current
    state when the last plan was made. ``denied``: the forms of the Deny-all on the user, by what AWS showed and what
    was done in this run.
    """

    recorded: Recorded
    client: Any
    executor: Executor
    journal: JournalWriter
    backoff: Backoff
    account_id: str
    lines: tuple[Mapping[str, Any], ...]
    names: Mapping[str, str]
    roles: RoleTrustReader
    recreate_groups: bool = False
    left_out: frozenset[str] = frozenset()
    applied: Applied = field(default_factory=Applied)
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    seen: CurrentState | None = None
    denied: set[str] = field(default_factory=set)
    rights: RightsReader = field(init=False)

    def __post_init__(self) -> None:
        self.rights = RightsReader(self.client, self.backoff)

    def plan(self) -> Restoration:
        """The plan for now. Raises RestorationRefused, or ClientError if the account can't be read."""
        subject = self.recorded.subject
        if subject.account_id != self.account_id:
            raise RestorationRefused(
                f"{subject}: not restored: the session acts in account {self.account_id}; "
                f"give --role a role of account {subject.account_id}"
            )
        name = self.names.get(subject.unique_id, subject.name)
        if name != subject.name:
            raise RestorationRefused(
                f"{subject}: not restored: the user still exists with the name {name}: rename it back first"
            )
        token = f"{subject.unique_id} {self.token}"
        # Somebody else has removed what an earlier restoration gave back and the user lacks again.
        history = self.recorded.history
        known = [time for time in (history.restored_at, self._given_back()) if time]
        recorded = replace(self.recorded, history=replace(history, restored_at=max(known, default=None)))
        self.seen = self._current_state(token)
        return plan_restoration(recorded, self.seen, token, self.recreate_groups, self.left_out)

    def apply(self, first: Restoration, shown: RightsChange) -> None:
        """Apply ``first`` and further plans until none is left, compare rights again, lift the Deny, and read all back.

        ``shown``: the wider rights that somebody accepted.
        Raises CallFailed or ClientError if a call fails. Raises RestorationRefused, with the Deny still on, if calls
        are left after several rounds or the user could do more than was shown. It also raises that if somebody else
        lifts the Deny, AWS does not show what was restored, or the user can do more in the end.
        """
        restoration, delays = first, self.backoff.delays()
        self.denied = set(self._deny_forms())
        for _ in range(_ROUNDS):
            if not restoration.giving.calls:
                break
            given = self._give(restoration)
            before, restoration = restoration, self._plan_under_deny()
            if not given:
                self._compare(restoration, shown)
            if restoration.plan == before.plan:
                # IAM is eventually consistent: what was just created may not be visible yet.
                self.backoff.sleep(next(delays))
        if restoration.giving.calls:
            raise RestorationRefused(
                f"{self.recorded.subject}: {restoration.giving.calls[0].operation} is still needed after {_ROUNDS} "
                "rounds: somebody else may be changing the user; run again"
            )
        if restoration.lifting:
            restoration = self._lift(shown)
        if not first.settled:
            self.rights.forget()
            restoration = self._read_back(delays)
            self._compare(restoration, shown)
        self._finish(restoration)

    def _deny_forms(self) -> frozenset[str]:
        user = self.seen.user if self.seen else None
        return deny_forms(user) if user else frozenset()

    def _plan_under_deny(self) -> Restoration:
        """The next plan. Raises RestorationRefused if somebody else lifted a Deny-all that was on the user."""
        for delay in islice(self.backoff.delays(), _DENY_READS):
            restoration = self.plan()
            # IAM is eventually consistent: a new user or a new policy may not be visible yet.
            if not (self.seen and self.seen.user) or self.denied <= self._deny_forms():
                self.denied |= self._deny_forms()
                return restoration
            self.backoff.sleep(delay)
        raise self._lifted_by_others()

    def _lifted_by_others(self) -> RestorationRefused:
        return RestorationRefused(
            f"{self.recorded.subject}: somebody else lifted the Deny-all that was on it during this run, so it "
            "may be able to use what it has so far: check it, and run again"
        )

    def _compare(self, restoration: Restoration, shown: RightsChange) -> None:
        """Raises RestorationRefused if, by what ``restoration`` has read, the user could do more than was ``shown``."""
        later = restoration.rights_change().beyond(shown)
        if later:
            state = (
                "so the Deny-all stays on it and it can do nothing"
                if self.denied
                else "and no Deny-all of this run is on it"
            )
            raise RestorationRefused(
                f"{self.recorded.subject}: what decides its rights was changed during this run, {state}: "
                f"{'; '.join(later)}. Check that, and run again"
            )

    def _lift(self, shown: RightsChange) -> Restoration:
        """Lift the Deny, unless the user could right now do more than was ``shown``."""
        self.rights.forget()
        restoration = self._plan_under_deny()
        self._compare(restoration, shown)
        if restoration.giving.calls:
            raise RestorationRefused(
                f"{self.recorded.subject}: {restoration.giving.calls[0].operation} is needed again, since "
                "somebody else changed the user during this run: run again"
            )
        whole = _checked(restoration.plan)
        self._make(replace(whole, calls=whole.calls[len(restoration.giving.calls) :]), whole)
        self.denied -= set(map(lifted_form, restoration.lifting))
        return restoration

    def _read_back(self, delays: Iterator[float]) -> Restoration:
        """Wait until AWS shows the user as it was restored. Raises RestorationRefused with what it does not show."""
        while (restoration := self.plan()).plan.calls:
            delay = next(delays, None)
            if delay is None:
                missing = "; ".join(map(_missing, restoration.plan.calls))
                raise RestorationRefused(
                    f"{self.recorded.subject}: AWS does not show all that was restored: {missing}. Run again"
                )
            self.backoff.sleep(delay)
        return restoration

    def _give(self, restoration: Restoration) -> bool:
        """Make the calls before the Deny is lifted, up to one that needs an id from a lost response.

        Reads the user again after CreateUser, and after a Deny is put or replaced, before it gets anything. False if
        somebody else created a group first.
        """
        whole = _checked(restoration.plan)
        calls = whole.calls[: len(restoration.giving.calls)]
        if calls[0].operation == "CreateUser":
            self.executor.apply(replace(restoration.plan, calls=restoration.plan.calls[:1]), self.applied)
            return True
        if is_denial(calls[0]):
            self._make(replace(whole, calls=calls[:1]), whole)
            self.denied = (self.denied | {deny_form(calls[0])}) - {"", lifted_form(calls[0])}
            return True
        try:
            while ready := tuple(takewhile(self._has_ids, calls)):
                self._make(replace(whole, calls=ready), whole)
                calls = calls[len(ready) :]
        except CallFailed as error:
            if error.call.operation != "CreateGroup" or error.code != "EntityAlreadyExists":
                raise
            self.rights.forget()
            return False
        return True

    def _has_ids(self, call: ApiCall) -> bool:
        refs = (value.name for value in call.parameters.values() if isinstance(value, Ref))
        return all(name in self.applied.values for name in refs)

    def _make(self, plan: Plan, whole: Plan) -> None:
        """Apply ``plan``, a part of ``whole``.

        Before each call and after the last, verify that the user is the one it was made for, and, until its boundary is
        lifted, that nobody has changed that. Before a call marked with DENIED, read a Deny-all that is on it, too.
        """
        subject, user = self.recorded.subject, self.seen.user if self.seen else None
        assert user, "only CreateUser is made for a user that is not there"
        identify = identity_check(self.client, self.backoff, subject, user, whole, self.applied)
        try:
            self._apply(plan, user, identify)
            if not identify():
                raise SubjectGone
        except UserReplaced as error:
            calls = ", ".join(call.operation for call in self.applied.unchecked) or "none"
            raise RestorationRefused(
                f"{error}; check that user, which these calls may have changed: {calls}"
            ) from error
        except SubjectGone:
            raise RestorationRefused(
                f"{self.recorded.subject}: somebody deleted it during this run: run again"
            ) from None
        except DenyGone:
            raise self._lifted_by_others() from None
        except BoundaryChanged:
            raise RestorationRefused(
                f"{self.recorded.subject}: its permissions boundary was changed during this run: check it, and run "
                "again"
            ) from None

    def _apply(self, plan: Plan, user: IamUser, identify: Identify) -> None:
        """Apply ``plan``. Raises DenyGone before a call marked with DENIED, unless a Deny-all is on ``user``."""

        def denied() -> bool:
            if not identify():
                return False
            require_denied(self.client, self.backoff, user, min(self.denied, default=BOUNDARY))
            return True

        for part in plan.stretches():
            check = denied if DENIED in part.calls[0].checked else identify
            self.executor.apply(part, self.applied, check, more=part.calls[-1] is not plan.calls[-1])

    def _finish(self, restoration: Restoration) -> None:
        """Journal that the restoration is complete: what the user lacks later, somebody else removed."""
        earlier, user = self._restored_ids(), self.seen.user if self.seen else None
        current = {user.unique_id} if user else set()
        if self.applied.calls or restoration.user_exists or any(not earlier.get(each) for each in current):
            made = sorted({*earlier, *self._restored_now(), *current})
            entry = {"status": RESTORED, "made": made, "without": list(restoration.missing_groups)}
            entry |= {"left_out": sorted(self.left_out)} if self.left_out else {}
            self.journal.write(self.recorded.subject, OUTCOME, **entry)
        if user and restoration.user_exists:
            history = self.recorded.history.with_calls(self.applied.made, now := utc_now())
            note_lapse(self.journal, user, history, now)

    def _restored_ids(self) -> dict[str, bool]:
        """Unique ids of users that earlier restorations created -> whether they were completed."""
        found: dict[str, bool] = {}
        for line in self._lines_of_user():
            if created := (line.get("saved") or {}).get(CREATED):
                found[str(created)] = False
        for line in self._finished_lines():
            found.update(dict.fromkeys(map(str, line.get("made", ())), True))
        return found

    def _last_restored(self) -> datetime | None:
        """When a restoration was last completed."""
        return max(
            (time for line in self._finished_lines() if (time := moment(line.get("time")))), default=None
        )

    def _given_back(self) -> datetime | None:
        """When a restoration was last completed of the user itself, if it still exists."""
        lines = [*self._lines_of_user()]
        calls = (*self.recorded.history.calls, *history_of(self.recorded.subject, lines).calls)
        return restored_at(self.recorded.subject.unique_id, lines, calls)

    def _awaited_groups(self) -> frozenset[str]:
        """Groups that the last completed restoration left out because they were missing."""
        ended = self._finished_lines()
        return frozenset(map(str, ended[-1].get("without", ()))) if ended else frozenset()

    def _finished_lines(self) -> list[Mapping[str, Any]]:
        """The last line of each completed restoration."""
        lines = self._lines_of_user()
        return [line for line in lines if line.get("phase") == OUTCOME and line.get("status") == RESTORED]

    def _restored_now(self) -> dict[str, bool]:
        created = self.applied.values.get(CREATED)
        return {str(created): False} if created else {}

    def _lines_of_user(self) -> Iterator[Mapping[str, Any]]:
        unique_id = self.recorded.subject.unique_id
        return (line for line in self.lines if line.get("unique_id") == unique_id)

    def _tokens(self, own: str) -> frozenset[str]:
        """The tokens of CreateUser calls without an answer, so that no journal has the user's unique id."""
        found: list[str] = []
        for line in self._lines_of_user():
            note = line.get("notes") or {}
            if note.get(REPLACES) == self.recorded.subject.unique_id and note.get(TOKEN):
                found.append(str(note[TOKEN]))
            elif (line.get("saved") or {}).get(CREATED):
                found = found[:-1]
            elif line.get("phase") == OUTCOME and line.get("status") == RESTORED:
                found = []
        begun = any(call.operation == "CreateUser" for call, _ in self.applied.made)
        return frozenset({*found, *([own] if begun and CREATED not in self.applied.values else [])})

    def _current_state(self, token: str) -> CurrentState:
        made = {**self._restored_ids(), **self._restored_now()}
        snapshot = self._whole_snapshot()
        user = read_user(self.client, snapshot.user.name, self.backoff)
        rights = self.rights.read(snapshot, user, self.recreate_groups)
        anew = user is None or user.unique_id != snapshot.user.unique_id
        trust = self.roles.read() if anew else RoleTrust()
        names, calls = rights.groups if self.recreate_groups else (), tuple(self._calls())
        return CurrentState(
            user,
            frozenset(made),
            self._tokens(token),
            frozenset(each for each, finished in made.items() if finished),
            self._awaited_groups(),
            rights,
            trust,
            frozenset(name for name in names if not has_members(self.client, name, self.backoff)),
            frozenset(name for name, group in rights.groups.items() if self._made(name, group)),
            self._last_restored(),
            OwnDeny.after(calls),
            boundary_was_lifted(calls),
            was_lifted(calls),
        )

    def _calls(self) -> Iterator[tuple[ApiCall, bool | None]]:
        """The calls of earlier restorations and of this one, each with whether it was applied (None: unknown)."""
        applied = {DONE: True, GONE: True, FAILED: False}
        begun: ApiCall | None = None
        for line in self._lines_of_user():
            if line.get("phase") not in (BEFORE, AFTER):
                continue
            if begun:
                yield begun, applied.get(str(line.get("result"))) if line["phase"] == AFTER else None
            made = (str(line.get("operation")), line.get("parameters") or {})
            begun = ApiCall("iam", *made, notes=line.get("notes") or {}) if line["phase"] == BEFORE else None
        if begun:
            yield begun, None
        yield from ((call, applied.get(result)) for call, result in self.applied.made)

    def _made(self, name: str, group: Item) -> bool:
        """Whether a restoration created the group, by the GroupId in the answer of CreateGroup."""
        ref = created_group(name)
        ids = {(line.get("saved") or {}).get(ref) for line in self.lines} | {self.applied.values.get(ref)}
        return group.get("GroupId") in ids - {None}

    def _whole_snapshot(self) -> Snapshot:
        return whole_snapshot(self.recorded.snapshots, self.recorded.history)


def _checked(plan: Plan) -> Plan:
    """``plan``, with a check of the user's identity before each call."""
    return replace(plan, calls=tuple(map(_checked_before, plan.calls)))


def _checked_before(call: ApiCall) -> ApiCall:
    return replace(call, checked=call.checked & {DENIED} | {BEFORE})


def _missing(call: ApiCall) -> str:
    """The operation that is still needed, and its object."""
    given = (
        str(value) for name, value in call.parameters.items() if name != "UserName" and "Document" not in name
    )
    return " ".join([call.operation, *(text.splitlines()[0] for text in given)])
