# SPDX-License-Identifier: Apache-2.0
"""Counts the calls of what owners ask about keys: who manages them, what breaks without their users, where they stand.

It is a part of ``python -m benchmarks --keys``. Stock Cloud Custodian answers none of these, so nothing is compared.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.contestants import Contestant
from benchmarks.report import Table, as_seconds
from benchmarks.results import BenchmarkError
from benchmarks.suite import ROLE, TIMEOUT_SECONDS, command_environment, measure
from benchmarks.workload import ACCOUNT, USERS_PER_UNUSED_KEY, Organization

REGION = "us-east-1"
#: Services whose policies are read.
SERVICES = ("s3", "kms", "sqs", "sns", "secretsmanager")
_FLAGGED: dict[str, Any] = {"type": "unnecessary", "unused": 90, "exempt": "none"}
_KEYS: dict[str, Any] = {"resource": "aws.iam-access-key", "source": "access-keys"}
_USERS: dict[str, Any] = {"resource": "aws.iam-user", "source": "authorization-details"}
_OURS = Contestant("c7n_iamusers", True, {}, {}, lambda _: {})


@dataclass(frozen=True)
class Answer:
    """``calls``: operation -> how many more there are than without the question. ``seconds``: how much longer."""

    question: str
    about: str
    calls: Mapping[str, int]
    seconds: float


def measured(organization: Organization, keys: int, resources: int, latency: float) -> list[Answer]:
    """The answers about ``keys`` flagged keys, in an account and Region with so many ``resources`` of each kind.

    Raises BenchmarkError if a run fails.
    """
    organization.fill("keys", keys * USERS_PER_UNUSED_KEY)
    organization.furnish(REGION, resources)
    base = _run(organization, {**_KEYS, "filters": [_FLAGGED]}, latency)
    managed = {**_KEYS, "filters": [{**_FLAGGED, "managed-by": {"cloudformation": [REGION]}}]}
    of_stacks = _more(
        "`managed-by: {cloudformation: [one Region]}`",
        f"{keys} keys",
        base,
        _run(organization, managed, latency),
    )
    everybody = {"type": "unnecessary", "exempt": "none"}
    of_users = _run(organization, {**_USERS, "filters": [everybody]}, latency)
    radius = {**everybody, "blast-radius": [*SERVICES], "blast-radius-regions": [REGION]}
    breaks = _more(
        f"`blast-radius: [{', '.join(SERVICES)}]`",
        f"{resources} of each",
        of_users,
        _run(organization, {**_USERS, "filters": [radius]}, latency),
    )
    calls, seconds = _where(organization, latency)
    return [of_stacks, breaks, Answer("`c7n-iamusers where --all`", f"{resources} of each", calls, seconds)]


def _run(
    organization: Organization, policy: Mapping[str, Any], latency: float
) -> tuple[dict[str, int], float]:
    run = measure(organization, _OURS, {"name": "ours-question", **policy}, latency).measurement
    return dict(run.calls), run.seconds


def _more(
    question: str, about: str, base: tuple[dict[str, int], float], asked: tuple[dict[str, int], float]
) -> Answer:
    """What the question costs beside the rest of the policy."""
    more = {name: number - base[0].get(name, 0) for name, number in asked[0].items()}
    return Answer(
        question, about, {name: number for name, number in more.items() if number}, asked[1] - base[1]
    )


def _where(organization: Organization, latency: float) -> tuple[dict[str, int], float]:
    with tempfile.TemporaryDirectory() as directory:
        accounts = {
            "accounts": [{"account_id": ACCOUNT, "name": "benchmark", "role": ROLE, "regions": [REGION]}]
        }
        file = Path(directory, "accounts.yml")
        file.write_text(yaml.safe_dump(accounts), encoding="utf-8")
        organization.begin(latency)
        began = time.perf_counter()
        done = subprocess.run(
            [
                *(sys.executable, "-c", "from c7n_iamusers_cli.main import main; main()"),
                *("where", "--all", "-c", str(file), "-r", REGION, "--decrypt", "--format", "json"),
            ],
            env=command_environment(organization),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        seconds = time.perf_counter() - began
    if done.returncode:
        raise BenchmarkError(f"where ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return organization.calls(), seconds


def table(answers: Sequence[Answer]) -> Table:
    """What each question costs."""
    rows = [
        [
            answer.question,
            answer.about,
            ", ".join(
                f"{name} {number:,}"
                for name, number in sorted(answer.calls.items(), key=lambda each: -each[1])
            ),
            f"{sum(answer.calls.values()):,}",
            as_seconds(answer.seconds),
        ]
        for answer in answers
    ]
    return Table("Questions about keys", ["question", "about", "more calls", "in all", "seconds"], rows, 3)


def section(answers: Sequence[Answer], latency: float) -> str:
    """The part of the section on keys in docs/benchmarks.md."""
    return f"""
What owners ask about keys is asked on request. Beside the rest of its policy each question costs, at {latency:g} ms, in
one account and Region:

{table(answers).as_markdown()}

`where` is a command; it has its own process, whose start is in its seconds.
"""
