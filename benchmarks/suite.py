# SPDX-License-Identifier: Apache-2.0
"""Runs everything that a plan asks for, in order, and refuses what doesn't compare."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.contestant import Contestant
from benchmarks.evidence import require_equal_evidence
from benchmarks.identity_center import CenterFigures, measured_derivation, measured_plan, measured_unchanged
from benchmarks.measure import Run, measure
from benchmarks.measurement import BenchmarkError, Measurement
from benchmarks.organization import Organization
from benchmarks.ours import OURS
from benchmarks.results import Deletion, Plan, Results
from benchmarks.stock import STOCK

#: Told what is about to be measured.
Progress = Callable[[str], None]


class Suite:
    """One benchmark on ``organization``. Raises BenchmarkError where a run fails or doesn't do what is compared."""

    def __init__(self, plan: Plan, organization: Organization, progress: Progress) -> None:
        self._plan, self._organization, self._progress = plan, organization, progress

    def run(self) -> Results:
        stock: list[Measurement] = []
        ours: list[Measurement] = []
        contents = {}
        for users in self._plan.sizes:
            contents[users] = self._organization.fill("to-flag", users)
            for latency in self._plan.latencies:
                flagged = self._flag(OURS, users, latency, self._plan.repeats)
                ours.append(flagged.measurement)
                if users in self._plan.both:
                    theirs = self._flag(STOCK, users, latency, 1)
                    require_equal_evidence(STOCK, theirs.resources, OURS, flagged.resources)
                    stock.append(theirs.measurement)
        return Results(self._plan, tuple(stock), tuple(ours), contents, self._deletion(), self._center())

    def _flag(self, contestant: Contestant, users: int, latency: float, repeats: int) -> Run:
        runs = []
        for number in range(repeats):
            self._progress(
                f"{contestant.name}: flag {users:,} users at {latency:g} ms ({number + 1}/{repeats})"
            )
            runs.append(measure(self._organization, contestant, contestant.flagging, latency))
            if (flagged := runs[-1].measurement.users) != users:
                raise BenchmarkError(f"{contestant.name} flagged {flagged} of {users} users")
        return sorted(runs, key=lambda run: run.measurement.seconds)[repeats // 2]

    def _deletion(self) -> Deletion:
        contents = self._organization.fill("to-delete", self._plan.deleted)
        stock = self._delete(STOCK)
        self._organization.fill("to-delete", self._plan.deleted)
        return Deletion(stock, self._delete(OURS), contents)

    def _center(self) -> CenterFigures:
        self._progress("Identity Center: derive for {:,} accounts of {:,} users".format(*self._plan.derived))
        derived = measured_derivation(*self._plan.derived)
        planned = []
        for accounts, users in self._plan.planned:
            self._progress(f"Identity Center: plan for {accounts:,} accounts of {users:,} users")
            planned.append(measured_plan(accounts, users))
        self._progress(
            "Identity Center: change nothing in {:,} accounts of {:,} users".format(*self._plan.unchanged)
        )
        return CenterFigures(derived, tuple(planned), measured_unchanged(*self._plan.unchanged))

    def _delete(self, contestant: Contestant) -> Measurement:
        users, latency = self._plan.deleted, self._plan.deletion_latency
        self._progress(f"{contestant.name}: delete {users:,} users at {latency:g} ms")
        measurement = measure(self._organization, contestant, contestant.deleting, latency).measurement
        if left := self._organization.users_left():
            raise BenchmarkError(f"{contestant.name} left {left} of {users} users undeleted")
        return measurement
