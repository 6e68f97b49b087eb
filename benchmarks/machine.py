# SPDX-License-Identifier: Apache-2.0
"""On what, and with what, was measured."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from c7n_iamusers import __version__

LIBRARIES = ("c7n", "boto3", "botocore", "moto")


def machine() -> dict[str, str]:
    """Title -> text; nothing that would name the machine or its owner."""
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
    """Those that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"
