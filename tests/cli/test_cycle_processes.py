# SPDX-License-Identifier: Apache-2.0
"""The processes of a cycle: exit codes, signals, and what they inherit; and its lock in a bucket."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers_cli.cycle.locking import CycleRunning, cycle_lock
from c7n_iamusers_cli.cycle.processes import Processes, program
from c7n_iamusers_cli.cycle.workspace import Workspace
from tests.cli.cycle_workspace import make_workspace

PYTHON = Path(sys.executable).name


def processes(tmp_path: Path, stopped: Callable[[], bool] = lambda: False, grace: float = 30) -> Processes:
    return Processes(tmp_path, {"SAID": "here"}, stopped, grace=grace)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("raise SystemExit(3)", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("import os; raise SystemExit(os.environ['SAID'] != 'here' or os.umask(0) != 0o077)", 0),
        ("import os; open('file', 'w'); raise SystemExit(os.getpgid(0) != os.getpid())", 0),
    ],
)
def test_how_a_command_ends(tmp_path: Path, script: str, code: int) -> None:
    assert processes(tmp_path)((PYTHON, "-c", script)) == code
    assert not (tmp_path / "file").exists() or (tmp_path / "file").stat().st_mode & 0o777 == 0o600


_WAITS = "import signal, sys, time; signal.signal(signal.SIGTERM, {}); open('ready', 'w'); time.sleep(600)"


def test_a_signal_is_passed_on_and_the_command_ends_by_itself(tmp_path: Path) -> None:
    script = _WAITS.format("lambda *_: sys.exit(open('ended', 'w') and 0)")
    run = processes(tmp_path, (tmp_path / "ready").exists)
    assert run((PYTHON, "-c", script)) == 0
    assert (tmp_path / "ended").exists()


def test_a_command_that_waits_for_ever_is_killed(tmp_path: Path) -> None:
    clock = iter(range(10_000))
    run = Processes(tmp_path, {}, (tmp_path / "ready").exists, grace=0, clock=lambda: float(next(clock)))
    assert run((PYTHON, "-c", _WAITS.format("signal.SIG_IGN"))) == 137


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(InvalidPolicyData, match="is not installed beside"):
        program("no-such-program")


def test_machines_meet_at_the_lock_beside_the_notices(tmp_path: Path, org: LocalOrg) -> None:
    """A second workspace, as on another machine, is kept out; the first one goes on at once after it was killed."""
    org.client("s3").create_bucket(Bucket="notices-1")
    here, there = (
        _with_notices(make_workspace(tmp_path / each), "s3://notices-1/n") for each in ("here", "there")
    )
    with cycle_lock(here) as is_lost:
        with pytest.raises(
            CycleRunning, match="another cycle runs over these accounts: c7n-iamusers cycle, process"
        ):
            cycle_lock(there).__enter__()
        assert not is_lost()
    with cycle_lock(there):
        pass
    # killed: the lock of its process is gone, and the object is still there
    lock = cycle_lock(here)
    lock.__enter__()
    content = org.client("s3").get_object(Bucket="notices-1", Key="n/locks/cycle.json")["Body"].read()
    lock.__exit__(None, None, None)
    org.client("s3").put_object(Bucket="notices-1", Key="n/locks/cycle.json", Body=content)
    with pytest.raises(CycleRunning, match="if it was killed"):
        cycle_lock(there).__enter__()
    with cycle_lock(here):
        pass


def _with_notices(workspace: Path, place: str) -> Workspace:
    file = workspace / "accounts.yml"
    file.write_text(file.read_text().replace("notices: notices", f"notices: {place}"))
    return Workspace.read(workspace)
