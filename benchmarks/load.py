# SPDX-License-Identifier: Apache-2.0
"""Measures the commands over many accounts: ``python -m benchmarks --load``.

Each step is what an operator runs: c7n-org with the flagging policy, c7n-org with the policy that writes intents,
``provision plan``, which reads all accounts again and plans, and ``report``. The organization runs in another
process. Two numbers of accounts show how time, calls and memory grow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_local_org.environment import without_aws
from benchmarks.contestants import OURS
from benchmarks.report import Table, as_mib, as_seconds
from benchmarks.results import BenchmarkError
from benchmarks.workload import Fleet, account_ids, running_fleet

MANAGEMENT = "123456789012"
REGION = "us-east-1"
#: Numbers of accounts, and users in each.
Sizes = tuple[tuple[int, ...], int]
FULL: Sizes = ((20, 200), 200)
QUICK: Sizes = ((2, 4), 20)
HEADING = "## Load"
_INTENTS: dict[str, Any] = {
    **OURS.flagging,
    "name": "load-intents",
    "actions": [
        {
            "type": "provision-identity-center",
            "mode": "intent",
            "identity-source": "identity-center",
            "user": {"username": "tag:Email", "email": "tag:Email"},
            "group": "iam-{account_id}-readers",
            "permission-set": {
                "name": "Readers",
                "managed-policies": ["arn:{partition}:iam::aws:policy/ReadOnlyAccess"],
            },
            "accept": [
                {
                    "account": "*",
                    "user": "*",
                    "verdict": verdict,
                    "remark": "measured",
                    "expires": "2099-12-31",
                }
                for verdict in ("wider", "undecided")
            ],
        }
    ],
}


#: Runs a command, and prints the CPU seconds of its processes and the peak memory of the largest of them. It is a
#: program of its own, because on Linux a process starts with the peak of the process that started it.
_LARGEST = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(code)
"""


@dataclass(frozen=True)
class Step:
    """One command over all accounts. ``seconds``: wall clock; ``processor``: CPU seconds of all its processes.

    ``peak``: MiB of the largest process.
    """

    name: str
    accounts: int
    users: int
    seconds: float
    processor: float
    calls: int
    peak: float


def measured(sizes: Sizes, progress: Callable[[str], None]) -> list[Step]:
    """All steps with each number of accounts. Raises BenchmarkError where one fails."""
    found: list[Step] = []
    numbers, users = sizes
    for accounts in numbers:
        progress(f"fill {accounts} accounts with {users} users each")
        with running_fleet(accounts, users) as fleet, tempfile.TemporaryDirectory() as directory:
            work = Path(directory)
            _write(work, accounts)
            for name, command in _commands(work):
                progress(f"{name}: {accounts} accounts of {users} users")
                found.append(_step(fleet, name, command, work, (accounts, users)))
            _check(work, accounts * users)
    return found


def _write(work: Path, accounts: int) -> None:
    rows = [
        {
            "name": f"account-{each}",
            "account_id": each,
            "role": f"arn:aws:iam::{each}:role/CloudCustodian",
            "regions": [REGION],
        }
        for each in account_ids(accounts)
    ]
    files = {
        "accounts": {"accounts": rows},
        "flag": {"policies": [OURS.flagging]},
        "intents": {"policies": [_INTENTS]},
    }
    for name, data in files.items():
        (work / f"{name}.json").write_text(json.dumps(data), encoding="utf-8")


def _commands(work: Path) -> Iterator[tuple[str, list[str]]]:
    at, org = Path(sys.executable).parent, ["-c", "accounts.json", "--cache-period", "0"]
    for name, policy in (("flag", "flag"), ("write intents", "intents")):
        yield name, [str(at / "c7n-org"), "run", *org, "-s", policy, "-u", f"{policy}.json"]
    member, center = (
        "arn:aws:iam::{account_id}:role/CloudCustodian",
        f"arn:aws:iam::{MANAGEMENT}:role/IdentityCenterProvisioner",
    )
    roles = ["--member-role", member, "--role", center, "--region", REGION]
    given = ["-s", "intents", "-c", "accounts.json", "-u", "intents.json"]
    yield "plan to provision", [str(at / "c7n-iamusers"), "provision", "plan", *given, *roles]
    yield (
        "report",
        [str(at / "c7n-iamusers"), "report", "-s", "flag", "-c", "accounts.json", "--format", "json"],
    )


def _step(fleet: Fleet, name: str, command: list[str], work: Path, size: tuple[int, int]) -> Step:
    environment = {
        **without_aws(os.environ),
        **fleet.environment(),
        "XDG_CACHE_HOME": str(work / "cache"),
        "HOME": str(work),
    }
    log = work / "log"
    began = time.perf_counter()
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-S", "-c", _LARGEST, *command],
            cwd=work,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise BenchmarkError(f"{name} ended with {done.returncode}:\n{log.read_text()[-2000:]}")
    processor, most = done.stdout.split()
    peak = int(most) / (1024 * 1024 if sys.platform == "darwin" else 1024)
    return Step(name, *size, seconds, float(processor), sum(fleet.calls().values()), peak)


def _check(work: Path, users: int) -> None:
    """c7n-org ends with 0 whatever an account's policy ended with."""
    totals = json.loads((work / "report.json").read_text(encoding="utf-8"))["totals"]
    intents = sum(
        len(json.loads(path.read_bytes())["users"]) for path in work.rglob("identity-center-intents.json")
    )
    if (totals["users"], intents) != (users, users):
        raise BenchmarkError(f"of {users} users {totals['users']} were flagged and {intents} have intents")


def table(steps: Sequence[Step]) -> Table:
    rows = [
        [
            each.name,
            f"{each.accounts:,}",
            f"{each.accounts * each.users:,}",
            as_seconds(each.seconds),
            as_seconds(each.processor),
            f"{each.processor / each.accounts:.2f}",
            f"{each.calls:,}",
            f"{each.calls / each.accounts:.2f}",
            as_mib(each.peak),
        ]
        for each in steps
    ]
    columns = [
        "step",
        "accounts",
        "users",
        "seconds",
        "CPU seconds",
        "an account",
        "calls",
        "an account",
        "peak MiB",
    ]
    return Table("Load", columns, rows, 1)


def section(steps: Sequence[Step], date: str, machine: Mapping[str, str]) -> str:
    """The part of docs/benchmarks.md, with the empty line before it. ``machine``: title -> text."""
    return f"""
{HEADING}

`make bench BENCH_ARGS=--load` measures the commands over many accounts, and writes this section alone: on {date},
{machine["processor"]}, {machine["memory"]}, which the emulated AWS and other work share. CPU seconds are those of the
command's processes alone.

{table(steps).as_markdown()}

Each account has {steps[0].users} users, as those of the section on flagging. Peak MiB is that of the largest process:
c7n-org runs the accounts in several processes, each of which serves many, one after another. Calls include AssumeRole.
`plan to provision` is `provision plan`: it reads every account again, and Identity Center once.
[Scale](scale.md) says what other numbers of accounts take.
"""
