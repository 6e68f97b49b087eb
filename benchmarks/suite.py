# SPDX-License-Identifier: Apache-2.0
"""Runs a plan in order, each policy in its own process, and rejects results that can't be compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_local_org.environment import without_aws
from benchmarks.contestants import OURS, STOCK, Contestant, Resource, require_equal_evidence
from benchmarks.identity_center import measured_derivation, measured_plan, measured_unchanged
from benchmarks.results import ROOT, BenchmarkError, CenterFigures, Deletion, Measurement, Plan, Results
from benchmarks.workload import ACCOUNT, Organization

ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
TIMEOUT_SECONDS = 1800


@dataclass(frozen=True)
class Run:
    """A measurement, and the resources in the policy's output."""

    measurement: Measurement
    resources: list[Resource]


def measure(
    organization: Organization, contestant: Contestant, policy: Mapping[str, Any], latency_ms: float
) -> Run:
    """Run ``policy`` on the filled account. Raises BenchmarkError if it fails."""
    with tempfile.TemporaryDirectory() as directory:
        return measure_in(Path(directory), organization, contestant, policy, latency_ms)


def measure_in(
    directory: Path,
    organization: Organization,
    contestant: Contestant,
    policy: Mapping[str, Any],
    latency_ms: float,
) -> Run:
    """As ``measure``, with the outputs in ``directory``, where a later policy finds them."""
    organization.begin(latency_ms)
    began = time.perf_counter()
    figures = _run_policy(organization, contestant, policy, directory)
    process_seconds = time.perf_counter() - began
    output = directory / str(policy["name"]) / "resources.json"
    resources = json.loads(output.read_text(encoding="utf-8"))
    measurement = Measurement(
        contestant.name,
        figures["users"],
        latency_ms,
        organization.calls(),
        figures["seconds"],
        process_seconds,
        figures["loaded_mib"],
        figures["peak_mib"],
    )
    return Run(measurement, resources)


def _run_policy(
    organization: Organization, contestant: Contestant, policy: Mapping[str, Any], directory: Path
) -> dict[str, Any]:
    file = directory / "policy.json"
    file.write_text(json.dumps(policy), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.run_policy", str(file), str(directory), ROLE]
    done = subprocess.run(
        [*command, *(["--plugins"] if contestant.plugins else [])],
        cwd=ROOT,
        env=_environment(organization, contestant),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    if done.returncode:
        raise BenchmarkError(f"policy {policy['name']} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def command_environment(organization: Organization) -> dict[str, str]:
    """The environment of a command in the management account."""
    return {**without_aws(os.environ), **organization.environment()}


def _environment(organization: Organization, contestant: Contestant) -> dict[str, str]:
    """The environment without AWS settings of the user; for stock c7n also without the start-up hook."""
    hook = {} if contestant.plugins else {"C7N_IAMUSERS_AUTOLOAD": "0"}
    return {**command_environment(organization), **hook}


#: Called with the title of the next measurement.
Progress = Callable[[str], None]


class Suite:
    """One benchmark on ``organization``. Raises BenchmarkError if a run fails or its result can't be compared."""

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
