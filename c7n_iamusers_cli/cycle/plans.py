# SPDX-License-Identifier: Apache-2.0
"""The plans below a workspace's output, with their states; and its approvals."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from c7n_iamusers.cycle.approvals import (
    APPROVALS_FILE,
    Approval,
    PlanState,
    access,
    as_bytes,
    deletions,
    differences,
    empty_plans,
    parse_approvals,
    parse_state,
    sha256_of,
)
from c7n_iamusers.cycle.command_lines import PLANS, plan_place
from c7n_iamusers.cycle.steps import DELETE, PROVISION
from c7n_iamusers.exceptions import PlanInvalid
from c7n_iamusers.execution.given import parsed_file
from c7n_iamusers.execution.output_layout import REGION
from c7n_iamusers.text.documents import read_json

if TYPE_CHECKING:
    from c7n_iamusers.cycle.due import Account
    from c7n_iamusers.deletion.reviewed_plan import DeletionPlan
    from c7n_iamusers.execution.stores import Store
    from c7n_iamusers_cli.cycle.workspace import Workspace

#: Of each plan: its state, what it changes, and the same for people.
_STATE, _PLAN, PLAN_TEXT = "state.json", "plan.json", "plan.txt"
#: Of a plan of access: the file of `provision plan --out`.
_ACCESS = "access.json"
#: What composite-delete with plan-only writes.
_OF_ACCOUNT = "deletion-plan.json"
#: Lines that say what differs from an earlier plan.
_SHOWN = 20


def approvals_in(directory: Path) -> list[Approval]:
    """The approvals of the workspace. Raises PlanInvalid for a row that can't be read: then nothing is approved."""
    file = directory / APPROVALS_FILE
    if not file.exists():
        return []
    try:
        return parsed_file(file, parse_approvals)
    except (OSError, ValueError) as error:
        raise PlanInvalid(f"{file}: {error}: correct it; until then nothing is approved") from error


@dataclass(frozen=True)
class Plans:
    """``store``: of the output, whose place is ``output``."""

    store: Store
    output: str

    @classmethod
    def of(cls, workspace: Workspace) -> Plans:
        """The plans of a workspace. Raises OutputUnreadable."""
        return cls(workspace.output, workspace.settings.output)

    def states(self) -> list[PlanState]:
        """All plans, the oldest first. Raises PlanInvalid if one can't be read."""
        return sorted(self._states(), key=lambda each: (each.made, each.sha256))

    def _states(self) -> Iterator[PlanState]:
        try:
            names = [each for each in self.store.names(PLANS) if each.endswith(f"/{_STATE}")]
            for name in names:
                if content := self.store.read(name):
                    yield parse_state(content)
        except (OSError, ValueError) as error:
            raise PlanInvalid(
                f"{self.store.place(PLANS)}: {error}: nothing is applied until it can be read"
            ) from error

    def update(self, state: PlanState) -> None:
        """Write the state of a plan. Raises PlanInvalid."""
        self._write(state.sha256, _STATE, state.as_json())

    def place(self, sha256: str, name: str = PLAN_TEXT) -> str:
        """Where a file of a plan is, as commands name it."""
        return plan_place(self.output, sha256, name)

    def content(self, sha256: str) -> bytes:
        """What a plan changes. Raises PlanInvalid if that is not what was approved, or is not there."""
        content = self._read(sha256, _PLAN)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise PlanInvalid(f"{self.place(sha256, _PLAN)} was changed since: it is not applied")
        return content

    def put(self, state: PlanState, content: bytes, text: str) -> None:
        """Keep a new plan. ``content``: what it changes, whose digest it has. ``text``: the same for people."""
        self._write(state.sha256, _PLAN, content)
        self._write(state.sha256, PLAN_TEXT, text.encode())
        self.update(state)

    def _known(self, sha256: str, now: datetime) -> tuple[PlanState | None, datetime | None]:
        """The same plan, if it was begun or can still be approved; else when it was applied the last time."""
        same = next((each for each in self.states() if each.sha256 == sha256), None)
        if same is None:
            return None, None
        if same.ended is None and not same.is_too_old(now):
            return same, None
        return None, same.ended or same.before

    # of deletions

    def put_deletions(
        self, plans: Sequence[DeletionPlan], policies: Sequence[str], now: datetime
    ) -> PlanState | None:
        """Keep what ``plans`` delete together, unless it is known; None if that is nobody."""
        plan = deletions(plans)
        if not plan["deletions"]:
            return None
        sha256 = sha256_of(plan)
        known, before = self._known(sha256, now)
        if known:
            return known
        accounts = tuple(sorted({each["account_id"] for each in plan["deletions"]}))
        for each in empty_plans(policies, accounts, plans, now):
            self._write(sha256, f"{each.policy}/{each.account_id}.json", each.as_json().encode())
        state = PlanState(DELETE, sha256, now, accounts, before=before)
        self.put(state, as_bytes(plan), _in_words(plans))
        return state

    def deletion_files(self, state: PlanState, policies: Iterable[str]) -> dict[tuple[str, str], bytes]:
        """Policy and account -> the content of its plan. Raises PlanInvalid unless they are together what was approved.

        A run is given copies of these in the workspace: here somebody else may replace them before it reads them.
        """
        from c7n_iamusers.deletion.reviewed_plan import load_plan

        self.content(state.sha256)
        found = {
            (policy, account): self._read(state.sha256, f"{policy}/{account}.json")
            for policy in policies
            for account in state.accounts
        }
        plans = {key: load_plan(content) for key, content in found.items()}
        moved = any((plan.policy, plan.account_id) != key for key, plan in plans.items())
        if moved or sha256_of(deletions(plans.values())) != state.sha256:
            raise PlanInvalid(f"{self.place(state.sha256, '')} was changed since: it is not applied")
        return found

    def changed_since(self, state: PlanState) -> list[str]:
        """How a plan differs from the one before it that was never applied; empty if there is none."""
        earlier = [
            each
            for each in self.states()
            if each.step == state.step and each.sha256 != state.sha256 and not each.begun
        ]
        if not earlier:
            return []
        try:
            before, after = (read_json(self.content(each.sha256)) for each in (earlier[-1], state))
            lines = list(differences(before, after))
        except (PlanInvalid, ValueError, KeyError, TypeError, AttributeError) as error:
            return [f"how it differs from the plan {earlier[-1].sha256} before can't be said: {error}"]
        more = [f"and {len(lines) - _SHOWN} more"] if lines[_SHOWN:] else []
        head = ["it differs from the plan before, which was never applied:"] if lines else []
        return [*head, *lines[:_SHOWN], *more]

    # of access

    def put_access(self, content: bytes, accounts: Collection[str], now: datetime) -> PlanState | None:
        """Keep a plan of `provision plan --out`, unless it is known; None if it changes nothing."""
        plan = access(read_json(content))
        if not plan.get("changes"):
            return None
        sha256 = sha256_of(plan)
        known, before = self._known(sha256, now)
        if known:
            return known
        self._write(sha256, _ACCESS, content)
        state = PlanState(PROVISION, sha256, now, tuple(sorted(accounts)), before=before)
        self.put(state, as_bytes(plan), access_in_words(content))
        return state

    def access_file(self, state: PlanState) -> bytes:
        """The file of `provision plan --out` that was approved, for `provision apply --plan`. Raises PlanInvalid."""
        self.content(state.sha256)
        content = self._read(state.sha256, _ACCESS)
        try:
            same = sha256_of(access(read_json(content))) == state.sha256
        except (ValueError, AttributeError):
            same = False
        if not same:
            raise PlanInvalid(f"{self.place(state.sha256, _ACCESS)} was changed since: it is not applied")
        return content

    def _read(self, sha256: str, name: str) -> bytes:
        try:
            content = self.store.read(f"{PLANS}{sha256}/{name}")
        except OSError as error:
            raise PlanInvalid(f"{self.place(sha256, name)} can't be read: {error}") from error
        if content is None:
            raise PlanInvalid(f"{self.place(sha256, name)} is not there, and so the plan is not applied")
        return content

    def _write(self, sha256: str, name: str, content: bytes) -> None:
        try:
            self.store.replace(f"{PLANS}{sha256}/{name}", content)
        except OSError as error:
            raise PlanInvalid(f"{self.place(sha256, name)} can't be written: {error}") from error


def made_plans(
    store: Store, place: str, account: Account, policies: Collection[str], since: datetime
) -> list[DeletionPlan]:
    """The plans of ``account`` that a run since then has left below ``place``: one of a policy.

    Raises PlanInvalid. Whoever writes in the account's own directory could keep only this account from its deletions.
    """
    from c7n_iamusers.deletion.reviewed_plan import load_plan
    from c7n_iamusers.text.times import moment

    found: dict[str, DeletionPlan] = {}
    try:
        for name in _places_of_plans(store, place, account):
            plan = load_plan(store.read(name) or b"")
            made = moment(plan.made)
            if plan.account_id != account.account_id or plan.policy not in policies:
                continue
            if found.setdefault(plan.policy, plan) is not plan:
                raise PlanInvalid(f"{store.place(name)} is a second plan of {plan.policy}: remove it")
            if not made or made < since:
                del found[plan.policy]
    except (OSError, ValueError, PlanInvalid) as error:
        raise PlanInvalid(f"{store.place(place)}: the plans of {account} can't be read: {error}") from error
    return [*found.values()]


def _places_of_plans(store: Store, place: str, account: Account) -> Iterator[str]:
    """Where runs leave a plan: in a directory below the account's name and a Region, in a bucket below its id."""
    for top, regions in ((account.name, 1), (account.account_id, 0)):
        prefix = f"{place}/{top}/"
        for name in store.names(prefix, _OF_ACCOUNT):
            between = name.removeprefix(prefix).split("/")[:-2]
            if len(between) == regions and all(map(REGION.fullmatch, between)):
                yield name


def _in_words(plans: Iterable[DeletionPlan]) -> str:
    """What `c7n-iamusers plan` prints for each."""
    from c7n_iamusers_cli.plan import lines_of

    return "\n".join(
        line for plan in plans if any(not each.skipped for each in plan.users) for line in lines_of(plan)
    )


def access_in_words(content: bytes, whole: bool = True) -> str:
    """The lines of a file of `provision plan --out`. ``whole``: with all names and calls."""
    from c7n_iamusers.identity_center.output.plan_files import plan_of
    from c7n_iamusers.identity_center.output.reports import plan_lines

    return "\n".join(plan_lines(plan_of(read_json(content)), whole=whole)) + "\n"
