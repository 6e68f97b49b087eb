# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from c7n_iamusers.decisions.finding_rules import FINDING_IDS
from c7n_iamusers.reporting.finding_reference import reference

ROOT = Path(__file__).parents[2]


def test_the_docs_are_those_of_the_code() -> None:
    written = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    command = "python -m c7n_iamusers.reporting.finding_reference > docs/findings.md"
    assert written == reference(), f"run: {command}"


def test_every_finding_is_in_it() -> None:
    assert all(f"| `{each}` |" in reference() for each in FINDING_IDS)


def test_the_command_prints_it() -> None:
    command = [sys.executable, "-m", "c7n_iamusers.reporting.finding_reference"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == reference()
