# SPDX-License-Identifier: Apache-2.0
"""Runs a policy in a process of its own and puts together what it cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contestants import Contestant, Resource
from benchmarks.measurement import BenchmarkError, Measurement
from benchmarks.workload import ACCOUNT, Organization

ROOT = Path(__file__).parent.parent
ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
TIMEOUT_SECONDS = 1800


@dataclass(frozen=True)
class Run:
    """A measurement, and the resources that the policy left in its output."""

    measurement: Measurement
    resources: list[Resource]


def measure(
    organization: Organization, contestant: Contestant, policy: Mapping[str, Any], latency_ms: float
) -> Run:
    """Run ``policy`` over the account as it is filled. Raises BenchmarkError where it fails."""
    organization.begin(latency_ms)
    with tempfile.TemporaryDirectory() as directory:
        began = time.perf_counter()
        figures = _run(organization, contestant, policy, Path(directory))
        process_seconds = time.perf_counter() - began
        output = Path(directory, str(policy["name"]), "resources.json")
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


def _run(
    organization: Organization, contestant: Contestant, policy: Mapping[str, Any], directory: Path
) -> dict[str, Any]:
    file = directory / "policy.json"
    file.write_text(json.dumps(policy), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.measured", str(file), str(directory), ROLE]
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


def _environment(organization: Organization, contestant: Contestant) -> dict[str, str]:
    """No profile, credential or endpoint of the person's own; stock c7n without this package's start-up hook."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "C7N_"))}
    hook = {} if contestant.plugins else {"C7N_IAMUSERS_AUTOLOAD": "0"}
    return {**own, **organization.environment(), **hook}
