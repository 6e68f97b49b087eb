# SPDX-License-Identifier: Apache-2.0
"""Measures what this package costs where no policy needs it: ``python -m benchmarks --validation``.

``custodian validate`` runs over a policy of one resource in new processes, in turn without and with this package, and
the medians of their CPU times are compared. A policy on aws.iam-user loads the plugins; the others must not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.report import Table
from benchmarks.results import BenchmarkError
from c7n_iamusers.startup import OPT_OUT

RESOURCES = ("ec2", "s3", "iam-role", "iam-user")
#: The resource that has the plugins.
OWN = "iam-user"
RUNS, QUICK_RUNS = 15, 3
#: CPU milliseconds that validating a policy of another resource may take more.
GOAL = 30

#: Prints the CPU seconds of the command's processes.
_MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime)
sys.exit(code)
"""


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds of ``custodian validate`` of a policy of ``resource``, without this package and with it."""

    resource: str
    without: float
    having: float

    @property
    def more(self) -> float:
        """What this package adds."""
        return self.having - self.without


def measured(runs: int, progress: Callable[[str], None]) -> list[Cost]:
    """The cost of each resource. Raises BenchmarkError where a policy is not valid."""
    found: list[Cost] = []
    with tempfile.TemporaryDirectory() as directory:
        for resource in RESOURCES:
            progress(f"validate a policy of {resource}, {runs} times without and with this package")
            file = Path(directory, f"{resource}.json")
            policy = {"name": "stock", "resource": f"aws.{resource}"}
            file.write_text(json.dumps({"policies": [policy]}), encoding="utf-8")
            pairs = [(_milliseconds(file, "0"), _milliseconds(file, "1")) for _ in range(runs)]
            found.append(Cost(resource, *(median(each) for each in zip(*pairs, strict=True))))
    return found


def _milliseconds(file: Path, autoload: str) -> float:
    command = [str(Path(sys.executable).parent / "custodian"), "validate", str(file)]
    environment: Mapping[str, str] = {**os.environ, OPT_OUT: autoload, "HOME": str(file.parent)}
    alone = [sys.executable, "-S", "-c", _MEASURED, *command]
    done = subprocess.run(alone, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return float(done.stdout) * 1000


def table(costs: Sequence[Cost]) -> Table:
    rows = [
        [each.resource, *(f"{ms:.0f}" for ms in (each.without, each.having, each.more))] for each in costs
    ]
    return Table("Validation", ["policy of", "CPU ms without this package", "with", "more"], rows, 1)


def missed(costs: Sequence[Cost]) -> list[str]:
    """The resources whose policies take more than GOAL milliseconds more, without the one that has the plugins."""
    return [each.resource for each in costs if each.resource != OWN and each.more > GOAL]
