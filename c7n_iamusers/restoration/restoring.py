# SPDX-License-Identifier: Apache-2.0
"""Restoring one user: read the current state, plan, apply, and repeat until nothing is left to do."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.exceptions import RestorationRefused, UserReplaced
from c7n_iamusers.execution.calls import BEFORE, ApiCall, Plan, Ref
from c7n_iamusers.execution.executor import Applied, Executor, SubjectGone
from c7n_iamusers.execution.journal import OUTCOME, JournalWriter
from c7n_iamusers.execution.retries import Backoff, error_code, items
from c7n_iamusers.iam.users import read_user
from c7n_iamusers.restoration.limits import CurrentState
from c7n_iamusers.restoration.plan import CREATED, REPLACES, TOKEN, Recorded, Restoration, plan_restoration
from c7n_iamusers.safeguards.identity import BoundaryChanged, identity_check
from c7n_iamusers.snapshots.snapshot import Snapshot, whole_snapshot
from c7n_iamusers.text.wording import moment


def existing_policies(client: Any, arns: Iterable[str], backoff: Backoff) -> frozenset[str]:
    """Those of ``arns`` that are existing managed policies. Raises ClientError if one can't be read."""
    return frozenset(arn for arn in arns if _exists(client.get_policy, backoff, PolicyArn=arn))


def existing_groups(client: Any, names: Iterable[str], backoff: Backoff) -> frozenset[str]:
    """Those of ``names`` that are existing groups. Raises ClientError if one can't be read."""
    return frozenset(name for name in names if _exists(client.get_group, backoff, GroupName=name, MaxItems=1))


def memberless_groups(client: Any, names: Iterable[str], backoff: Backoff) -> dict[str, frozenset[str]]:
    """Those of the groups ``names`` without a member -> names of inline policies and ARNs of attached policies.

    Raises ClientError if one can't be read.
    """
    return {
        name: frozenset(_policies(client, name, backoff))
        for name in names
        if not any(items(client, "get_group", "Users", backoff, GroupName=name))
    }


def _policies(client: Any, group: str, backoff: Backoff) -> Iterator[str]:
    yield from items(client, "list_group_policies", "PolicyNames", backoff, GroupName=group)
    attached = items(client, "list_attached_group_policies", "AttachedPolicies", backoff, GroupName=group)
    yield from (policy["PolicyArn"] for policy in attached)


def _exists(method: Callable[..., Any], backoff: Backoff, **parameters: Any) -> bool:
    try:
        backoff.call(method, **parameters)
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return False
        raise
    return True


#: Rounds of planning and applying. Usually three are enough: the user, its attachments, their status.
_ROUNDS = 8
#: The status of the journal line that ends a restoration.
RESTORED = "restored"


@dataclass
class UserRestoration:
    """Restores the user of ``recorded`` through ``executor`` in the account ``account_id``.

    ``lines``: the journal lines of earlier restorations. ``names``: unique id -> name of each user in the account.
    ``seen``: the current state when the last plan was made.
    """

    recorded: Recorded
    client: Any
    executor: Executor
    journal: JournalWriter
    backoff: Backoff
    account_id: str
    lines: tuple[Mapping[str, Any], ...]
    names: Mapping[str, str]
    recreate_groups: bool = False
    applied: Applied = field(default_factory=Applied)
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    seen: CurrentState | None = None

    def plan(self) -> Restoration:
        """What would be done now. Raises RestorationRefused, or ClientError if the account can't be read."""
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
        # What an earlier restoration gave back, and the user lacks again, somebody else removed since.
        history = self.recorded.history
        known = [time for time in (history.restored_at, self._given_back()) if time]
        recorded = replace(self.recorded, history=replace(history, restored_at=max(known, default=None)))
        self.seen = self._current_state(token)
        return plan_restoration(recorded, self.seen, token, self.recreate_groups)

    def apply(self, first: Restoration) -> None:
        """Apply ``first``, then plan and apply the rest, which needs ids of what was created.

        Raises CallFailed or ClientError if a call fails, RestorationRefused if calls are left after several rounds.
        """
        restoration, delays = first, self.backoff.delays()
        for _ in range(_ROUNDS):
            calls = tuple(_possible(restoration.plan.calls))
            if not calls:
                return self._finish(restoration)
            self._make(replace(restoration.plan, calls=calls))
            before, restoration = restoration, self.plan()
            if restoration.plan == before.plan:
                # IAM is eventually consistent: what was just created may not be visible yet.
                self.backoff.sleep(next(delays))
        if restoration.plan.calls:
            raise RestorationRefused(
                f"{self.recorded.subject}: {restoration.plan.calls[0].operation} is still needed after {_ROUNDS} "
                "rounds: somebody else may be changing the user; run again"
            )
        self._finish(restoration)

    def _make(self, plan: Plan) -> None:
        """Apply ``plan``, and verify right before each call that the user is the one that it was made for."""
        user = self.seen.user if self.seen else None
        if user is None:
            return self.executor.apply(plan, self.applied)
        checked = replace(
            plan, calls=tuple(replace(call, checked=frozenset({BEFORE})) for call in plan.calls)
        )
        identify = identity_check(
            self.client, self.backoff, self.recorded.subject, user, checked, self.applied
        )
        try:
            self.executor.apply(checked, self.applied, identify)
        except UserReplaced as error:
            calls = ", ".join(call.operation for call in self.applied.unchecked) or "none"
            raise RestorationRefused(
                f"{error} ({error.unique_id}); calls that may have changed that user, check it: {calls}"
            ) from error
        except SubjectGone:
            raise RestorationRefused(
                f"{self.recorded.subject}: somebody deleted it during this run: run again"
            ) from None
        except BoundaryChanged:
            raise RestorationRefused(
                f"{self.recorded.subject}: its permissions boundary was changed during this run: check it, and run "
                "again"
            ) from None

    def _finish(self, restoration: Restoration) -> None:
        """Journal that the restoration is complete: what the user lacks later, somebody else removed."""
        if self.applied.calls or restoration.user_exists:
            own = {self.recorded.subject.unique_id: True} if restoration.user_exists else {}
            made = {**self._restored_ids(), **self._restored_now(), **own}
            entry = {"status": RESTORED, "made": sorted(made), "without": list(restoration.missing_groups)}
            self.journal.write(self.recorded.subject, OUTCOME, **entry)

    def _restored_ids(self) -> dict[str, bool]:
        """Unique ids of users that earlier restorations created -> whether these are complete."""
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
        """When a restoration of the user itself, which still exists, was last completed."""
        own = [
            line for line in self._finished_lines() if self.recorded.subject.unique_id in line.get("made", ())
        ]
        return moment(own[-1].get("time")) if own else None

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
        notes = [line.get("notes") or {} for line in self._lines_of_user()]
        mine = (note for note in notes if note.get(REPLACES) == self.recorded.subject.unique_id)
        begun = any(call.operation == "CreateUser" for call, _ in self.applied.made)
        return frozenset({str(note[TOKEN]) for note in mine if note.get(TOKEN)} | ({own} if begun else set()))

    def _current_state(self, token: str) -> CurrentState:
        made = {**self._restored_ids(), **self._restored_now()}
        snapshot = self._whole_snapshot()
        held = snapshot.user.attachments
        arns = {item["PolicyArn"] for item in held["attached-policy"]}
        arns |= {item["PermissionsBoundaryArn"] for item in held["permissions-boundary"]}
        if self.recreate_groups:
            groups = (
                policy for group in snapshot.groups for policy in group.get("AttachedManagedPolicies", ())
            )
            arns |= {policy["PolicyArn"] for policy in groups}
        names = sorted(item["GroupName"] for item in held["group"])
        present = existing_groups(self.client, names, self.backoff)
        return CurrentState(
            read_user(self.client, snapshot.user.name, self.backoff),
            frozenset(made),
            self._tokens(token),
            frozenset(each for each, finished in made.items() if finished),
            self._awaited_groups(),
            existing_policies(self.client, sorted(arns), self.backoff),
            present,
            memberless_groups(self.client, sorted(present), self.backoff) if self.recreate_groups else {},
            self._last_restored(),
        )

    def _whole_snapshot(self) -> Snapshot:
        return whole_snapshot(self.recorded.snapshots, self.recorded.history)


def _possible(calls: tuple[ApiCall, ...]) -> Iterator[ApiCall]:
    """Those of ``calls`` that can be made now: CreateUser alone, otherwise the calls without a Ref.

    After CreateUser the user is read again before it gets anything.
    """
    if calls and calls[0].operation == "CreateUser":
        yield calls[0]
        return
    yield from (c for c in calls if not any(isinstance(value, Ref) for value in c.parameters.values()))
