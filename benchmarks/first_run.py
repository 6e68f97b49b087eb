# SPDX-License-Identifier: Apache-2.0
"""Measures a first run of ``provision apply --member-role``: its calls, its minutes on a virtual clock, and its memory.

    python -m benchmarks.first_run [derived|three] [ACCOUNTS] [USERS_AN_ACCOUNT]

Everything is this package's own code, the single writer included, and Identity Center is a ``VirtualCenter``. Its floor
is the changing calls alone at AWS's rate, or the assignments in the slots that AWS has, whichever takes longer.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

from benchmarks.identity_center import (
    CALLER,
    ROLE,
    AccountAnswers,
    Phases,
    Policies,
    TimedDerivation,
    account_details,
    leave_apart,
    not_synced,
    of_derivation,
    of_three_groups,
    settings_of,
)
from benchmarks.report import Table
from benchmarks.results import ROOT, BenchmarkError
from benchmarks.run_policy import peak_mib
from benchmarks.virtual_center import ASSIGNING, VirtualCenter
from c7n_iamusers.execution.rate_limit import IDENTITY_CENTER_RATE
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.fleet import Fleet, TrustOptions, read_fleet
from c7n_iamusers.identity_center.output.plan_files import PlanOptions
from c7n_iamusers.identity_center.provisioning import RunOptions, provision
from c7n_iamusers.identity_center.requests.member_accounts import MemberAccounts
from c7n_iamusers.identity_center.writer.schedule import QUOTAS

HEADING = "## A first run"
#: Seconds that an assignment takes, as on the page on scale.
SECONDS = 45.0
MOST_MB = 1000
_KINDS: Mapping[str, Policies] = {"derived": of_derivation, "three": of_three_groups}
_TITLES = {"derived": "as derived", "three": "3 an account"}


@dataclass(frozen=True)
class FirstRun:
    """``minutes``: on the virtual clock. ``seconds``: of CPU. ``loaded``, ``planned``, ``peak``: MB of the process."""

    kind: str
    accounts: int
    people: int
    groups: int
    calls: int
    changes: int
    minutes: float
    seconds: float
    loaded: float
    planned: float
    peak: float

    @property
    def floor(self) -> float:
        """The fewest minutes that the quotas permit."""
        calls = self.changes / IDENTITY_CENTER_RATE
        return max(calls, self.groups * SECONDS / QUOTAS[ASSIGNING].limit) / 60


#: Kind, accounts, and users of an account.
Size = tuple[str, int, int]
FULL: tuple[Size, ...] = (
    ("three", 10, 30),
    ("derived", 10, 30),
    ("three", 50, 200),
    ("derived", 50, 200),
    ("derived", 400, 200),
)
QUICK: tuple[Size, ...] = (("three", 2, 10), ("derived", 2, 10))


def main(arguments: list[str]) -> None:
    """One measurement, printed as JSON."""
    kind, accounts, users = (*arguments, *("derived", "10", "30")[len(arguments) :])
    print(json.dumps(asdict(first_run(kind, int(accounts), int(users)))))


def measured(sizes: Sequence[Size], progress: Callable[[str], None]) -> list[FirstRun]:
    """Each in its own process. Raises BenchmarkError where one fails."""
    return [_of_a_process(size, progress) for size in sizes]


def _of_a_process(size: Size, progress: Callable[[str], None]) -> FirstRun:
    kind, accounts, users = size
    progress(f"Identity Center: a first run for {accounts:,} accounts of {users:,} users, {kind}")
    command = [sys.executable, "-m", "benchmarks.first_run", *map(str, size)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command[1:])} ended with {done.returncode}: {done.stderr[-2000:]}")
    return FirstRun(**json.loads(done.stdout.splitlines()[-1]))


def first_run(kind: str, accounts: int, users: int) -> FirstRun:
    """Raises BenchmarkError if a user gets no access, or if the writer makes another call than those of the plan."""
    policies = _KINDS[kind]
    answers = AccountAnswers(lambda account: account_details(account, users, policies))
    members = MemberAccounts(ROLE, answers.session(), Backoff())
    loaded, phases = peak_mib(), Phases(answers)
    center = VirtualCenter(CALLER, SECONDS)
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory)
        leave_apart(output, accounts, users, policies)
        phases.begin()
        trust = TrustOptions(read=phases.read(members), policy_settings=settings_of)
        fleet = read_fleet(output, trust=trust, derivation=TimedDerivation(phases))
        _applied(fleet, center, phases)
        phases.end("results")
    calls, changes = center.calls, center.changes
    made = changes["create_account_assignment"]
    if changes["create_user"] != accounts * users:
        raise BenchmarkError(f"{changes['create_user']} of {accounts * users} people were created")
    return FirstRun(
        kind,
        accounts,
        accounts * users,
        made,
        calls.total(),
        changes.total(),
        center.clock() / 60,
        sum(phases.seconds.values()),
        loaded,
        phases.peaks["plan"],
        phases.peaks["results"],
    )


def _applied(fleet: Fleet, center: VirtualCenter, phases: Phases) -> None:
    plan_options = PlanOptions(Path(str(fleet.output), "plan.json"))
    # The lock of an instance is there, and each of these has the same.
    home = {"XDG_CACHE_HOME": str(fleet.output)}
    with mock.patch.dict("os.environ", home), mock.patch("os.fsync", not_synced):
        failures = provision(
            fleet, center.connected(), phases.said, center.options(), RunOptions(plan=plan_options)
        )
    if failures or fleet.desired.refused:
        raise BenchmarkError(f"users were refused: {[*failures, *fleet.desired.refused][:3]}")


def table(runs: Sequence[FirstRun]) -> Table:
    rows = [
        [
            f"{each.people:,}",
            f"{each.accounts:,}",
            _TITLES[each.kind],
            f"{each.groups:,}",
            f"{each.calls:,}",
            f"{each.changes:,}",
            f"{each.minutes:,.1f}",
            f"{each.floor:,.1f}",
            f"{each.seconds:.1f}",
            f"{each.planned:.0f}",
            f"{each.peak:.0f}",
        ]
        for each in runs
    ]
    columns = ["calls", "floor", "minutes", "floor", "CPU seconds", "MB until planned", "peak MB"]
    return Table("A first run", ["people", "accounts", "permission sets", "groups", *columns], rows, 3)


def missed(runs: Sequence[FirstRun]) -> list[str]:
    """The runs that take more memory than they may, in words."""
    return [
        f"{each.people:,} people take {each.peak:.0f} MB, at most {MOST_MB}"
        for each in runs
        if each.peak > MOST_MB
    ]


def section(runs: Sequence[FirstRun], date: str, machine: Mapping[str, str]) -> str:
    """The part of docs/benchmarks.md, with the empty line before it. ``machine``: title -> text."""
    slots = QUOTAS[ASSIGNING].limit
    return f"""
{HEADING}

`make bench BENCH_ARGS=--first-run` measures `provision apply --member-role` for an empty Identity Center, from reading
the intents until all is recorded, and writes this section alone:
on {date}, {machine["processor"]}, {machine["Python"]}.
The writer makes all calls, to an Identity Center in the same process, on a clock that passes only while it waits:
{IDENTITY_CENTER_RATE:g} calls a second, {slots} assignments in progress, {SECONDS:g} seconds for each.

{table(runs).as_markdown()}

The floor of calls is the changing ones: two for each person, two for each group and its assignment, and those of the
permission sets. The others read: the accounts' permission sets, each group's members before it is assigned and again
after the run, assignments in progress, and the permission sets again. The floor of minutes is that of these changing
calls at {IDENTITY_CENTER_RATE:g} a second, or of the assignments in {slots} slots, whichever is longer. If it is the
assignments', fewer groups take less time, but fewer calls don't. `as derived` are the users of the section on Identity
Center, with a group for each permission set in an account; `3 an account` are users with one of three inline policies.
MB are those of the whole process, with interpreter and libraries ({min(each.loaded for each in runs):.0f} MB); the goal
is at most {MOST_MB:,}. fsync is off. CPU seconds include the writer's, and the emulation of Identity Center.
"""


if __name__ == "__main__":
    main(sys.argv[1:])
