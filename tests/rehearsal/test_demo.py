# SPDX-License-Identifier: Apache-2.0
"""The demo itself, with few users, by the very command that `make demo` calls."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DEMO = [str(Path(sys.executable).with_name("c7n-iamusers")), "demo", "--users-per-account", "17"]


def run(source: Path, work: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEMO, "--source", str(source), "--work", str(work)], capture_output=True, text=True, timeout=300
    )


def test_the_whole_job(tmp_path: Path) -> None:
    done = run(ROOT, tmp_path / "work")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 faults" in done.stdout
    assert len(list((tmp_path / "work" / "mails").glob("*.eml"))) == 12
    outcomes = list(
        (tmp_path / "work" / "output" / "delete").glob("*/us-east-1/iam-users-delete/outcomes.json")
    )
    assert len(outcomes) == 3
    assert {row["status"] for path in outcomes for row in json.loads(path.read_text())} == {"deleted"}


@pytest.mark.parametrize("broken", ["flag-and-notify.yml"])
def test_what_did_not_happen_is_a_fault(tmp_path: Path, broken: str) -> None:
    """c7n-org itself ends with 0 here: the policy fails to validate in its worker."""
    source = tmp_path / "source"
    (source / "policies").mkdir(parents=True)
    for name in (
        "accounts.yml",
        "mailer.yml",
        *(f"policies/{path.name}" for path in (ROOT / "policies").iterdir()),
    ):
        (source / name).write_bytes((ROOT / name).read_bytes())
    path = source / "policies" / broken
    path.write_text(path.read_text().replace("reason:", "because:"))
    done = run(source, tmp_path / "work")
    assert done.returncode == 1
    assert "the policy did not run" in done.stdout
