# SPDX-License-Identifier: Apache-2.0
"""A new kind of attachment is one new row, a new finding one function: shown in a process that has invented ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Modules that know the kinds only from the table: none of them may need a change for a new row.
UNCHANGED = (
    "tests/iam/test_attachments.py",
    "tests/snapshots/test_snapshot.py",
    "tests/benchmarks/test_floor.py",
    "tests/evidence/test_activity.py",
    "tests/evidence/test_assessment.py",
    "tests/evidence/test_classification.py",
    "tests/safeguards/test_recheck.py",
    "tests/evidence/test_selection.py",
    "tests/snapshots/test_user_state.py",
)


def test_a_new_row_and_a_new_rule_are_all_that_is_needed() -> None:
    options = ["-p", "tests.new_kind", "-p", "no:cacheprovider", "-p", "no:randomly", "-q"]
    command = [sys.executable, "-m", "pytest", *options, "tests/new_kind_walk.py", *UNCHANGED]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-8_000:] + ran.stderr[-2_000:]
