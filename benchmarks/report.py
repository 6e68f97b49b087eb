# SPDX-License-Identifier: Apache-2.0
"""The report: a Markdown file from ``report.md.j2``, and the main tables for the terminal.

``machine`` describes the hardware and software of the measurement.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined
from rich.console import Console

from benchmarks import tables
from benchmarks.contestants import OURS, STOCK
from benchmarks.floor import CALLS_OF_A_USER, PAGE
from benchmarks.measurement import TOLERANCE
from benchmarks.results import Results
from c7n_iamusers import __version__

LIBRARIES = ("c7n", "boto3", "botocore", "moto")
TEMPLATE = Path(__file__).with_name("report.md.j2")


def as_markdown(results: Results, machine: Mapping[str, str], date: datetime) -> str:
    """The whole report. ``machine``: title -> text."""
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    text = template.render(
        results=results,
        plan=results.plan,
        machine=machine,
        date=f"{date:%Y-%m-%d}",
        tables=tables,
        page=PAGE,
        calls_of_a_user=list(CALLS_OF_A_USER),
        tolerance=TOLERANCE,
        stock=STOCK,
        ours=OURS,
        as_yaml=_as_yaml,
    )
    return f"{text.rstrip()}\n"


def show(results: Results, console: Console) -> None:
    """The comparisons, as tables."""
    shown = (
        tables.flagging_table,
        tables.growth_table,
        tables.deletion_table,
        tables.deletion_calls_table,
        tables.center_table,
        tables.goals_table,
    )
    for table in shown:
        console.print(table(results).for_terminal())


def _as_yaml(policy: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump({"policies": [dict(policy)]}, sort_keys=False)).rstrip()


def machine() -> dict[str, str]:
    """Title -> text, without anything that identifies the machine or its owner."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{_processor()}, {_cores()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": ", ".join(
            [f"c7n_iamusers {__version__}", *(f"{name} {version(name)}" for name in LIBRARIES)]
        ),
    }


def _cores() -> int:
    """The cores that this process may use, if the system provides that."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"
