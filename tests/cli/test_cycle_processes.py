# SPDX-License-Identifier: Apache-2.0
"""The processes of a cycle: exit codes, signals, and what they inherit; and its lock in a bucket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers_cli.cycle.locking import CycleRunning, cycle_lock
from c7n_iamusers_cli.cycle.processes import Processes, program, without_working_directory
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


#: Notes that it runs, waits to be ended, and notes that; the second time it ends at once.
_C7N_ORG = """#!/bin/sh
test -e ran && exit 0
trap 'touch ended; exit 1' TERM
echo $$ > pid
mv pid ran
while :; do sleep 0.1; done
"""
#: A check that finds nothing.
_REPORT = """#!/bin/sh
while [ $# -gt 0 ]; do
  [ "$1" != --check-output ] || echo '[]' > "$2"
  shift
done
"""
_CYCLE = (
    "import sys; sys.executable = sys.argv[1]; from c7n_iamusers_cli.main import main; main(sys.argv[2:])"
)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)],
    ids=lambda each: str(each),
)
def test_a_cycle_that_is_ended_by_a_signal_is_run_again(tmp_path: Path, number: int, code: int) -> None:
    """A process of its own, whose commands are scripts."""
    workspace = make_workspace(tmp_path / "w", steps=["announce"], approve=[])
    for name, text in (("c7n-org", _C7N_ORG), ("c7n-iamusers", _REPORT)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    line = [sys.executable, "-c", _CYCLE, str(tmp_path / "python"), "cycle", "-w", str(workspace)]
    first = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path)
    assert first.stdout is not None
    while not (workspace / "ran").exists():
        assert first.poll() is None, first.stdout.read()
        time.sleep(0.05)
    # a second one is kept out meanwhile
    second = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (second.returncode, "is in use by c7n-iamusers cycle" in second.stderr) == (1, True), second.stderr
    first.send_signal(number)
    if number == signal.SIGKILL:
        first.wait()
        os.kill(int((workspace / "ran").read_text()), signal.SIGTERM)
    said, _ = first.communicate(timeout=60)
    assert first.returncode == code, said
    while not (workspace / "ended").exists():
        time.sleep(0.05)
    again = subprocess.run(line, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "announce: ran in 3 accounts" in again.stdout


def _with_notices(workspace: Path, place: str) -> Workspace:
    file = workspace / "accounts.yml"
    file.write_text(file.read_text().replace("notices: notices", f"notices: {place}"))
    return Workspace.read(workspace)


@pytest.mark.parametrize(
    ("given", "left"), [("", None), (":/opt/x", "/opt/x"), (".", None), ("/a::/b:c", "/a:/b"), (None, None)]
)
def test_nothing_is_imported_from_the_workspace(given: str | None, left: str | None) -> None:
    environment = {"A": "1", **({} if given is None else {"PYTHONPATH": given})}
    found = without_working_directory(environment)
    assert (found["A"], found.get("PYTHONPATH")) == ("1", left)
