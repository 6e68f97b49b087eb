# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import run_policy
from benchmarks.results import ROOT


def test_memory_is_this_program_s_own() -> None:
    """A process that a large one has started must not be credited with the memory of the large one."""
    ballast = b"x" * (300 * 1024 * 1024)
    code = "from benchmarks.run_policy import peak_mib; print(peak_mib())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(ballast) / 2**20 > float(done.stdout) > 5


def test_stock_is_refused_where_the_plugins_are_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "c7n_iamusers.entry", sys)
    with pytest.raises(SystemExit, match="not stock"):
        run_policy._register(False)
