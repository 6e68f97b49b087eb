# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from c7n_iamusers.exceptions import RunLockLost
from c7n_iamusers.execution.locks import RUN_LOCK, LockHeld, file_lock, run_lock

_HOLDING = """
import sys
from pathlib import Path
from c7n_iamusers.execution.locks import run_lock
with run_lock(Path(sys.argv[1]), "policy clean"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    with (
        run_lock(tmp_path, "policy clean"),
        pytest.raises(
            LockHeld,
            match=rf"{tmp_path} is in use by policy clean, process {os.getpid()} on .* since .* UTC: wait",
        ),
        run_lock(tmp_path, "policy other"),
    ):
        raise AssertionError("two runs at once")


def test_another_directory_is_another_lock(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with run_lock(tmp_path / "a", "one"), run_lock(tmp_path / "b", "other"):
        assert (tmp_path / "b" / RUN_LOCK).read_text().startswith("other, process")


def test_a_run_that_ended_leaves_the_directory_free(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="it failed"), run_lock(tmp_path, "a policy of a long name"):
        raise RuntimeError("it failed")
    with run_lock(tmp_path, "short"):
        assert (tmp_path / RUN_LOCK).read_text().startswith("short, process")
        assert "long name" not in (tmp_path / RUN_LOCK).read_text()


def test_the_lock_of_a_killed_process_ends_with_it(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDING, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockHeld, match=f"process {holder.pid} "), run_lock(tmp_path, "second"):
            raise AssertionError("two runs at once")
        holder.kill()
    with run_lock(tmp_path, "third"):
        assert (tmp_path / RUN_LOCK).read_text().startswith("third, process")


def _removed(place: Path) -> None:
    (place / RUN_LOCK).unlink()


def _replaced(place: Path) -> None:
    text = (place / RUN_LOCK).read_text()
    (place / RUN_LOCK).unlink()
    (place / RUN_LOCK).write_text(text)


def _linked(place: Path) -> None:
    (place / RUN_LOCK).rename(place / "elsewhere")
    (place / RUN_LOCK).symlink_to("elsewhere")


def _moved_away(place: Path) -> None:
    place.rename(place.with_name("moved"))


@pytest.mark.parametrize("change", [_removed, _replaced, _linked, _moved_away])
def test_a_run_notices_that_its_lock_is_lost(tmp_path: Path, change: Callable[[Path], None]) -> None:
    place = tmp_path / "output"
    place.mkdir()
    with run_lock(place, "one") as check:
        check()
        change(place)
        with pytest.raises(RunLockLost, match=r"output/\.run\.lock .* another run may have begun"):
            check()


def test_a_run_keeps_its_lock_whatever_is_written_to_it(tmp_path: Path) -> None:
    with run_lock(tmp_path, "one") as check:
        (tmp_path / RUN_LOCK).write_text("another text")
        (tmp_path / RUN_LOCK).chmod(0o400)
        check()


def test_a_lock_that_is_replaced_while_it_is_taken_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = fcntl.flock

    def replacing(descriptor: int, how: int) -> None:
        take(descriptor, how)
        _replaced(tmp_path)

    monkeypatch.setattr(fcntl, "flock", replacing)
    with pytest.raises(RunLockLost), run_lock(tmp_path, "one"):
        raise AssertionError("held a file that nobody else sees")


def test_a_lock_file_is_private_and_links_are_refused(tmp_path: Path) -> None:
    with run_lock(tmp_path, "one"):
        assert (tmp_path / RUN_LOCK).stat().st_mode & 0o077 == 0
    (tmp_path / "foreign").write_text("theirs")
    for name in (RUN_LOCK, ".a.lock"):
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).symlink_to("foreign")
    with pytest.raises(OSError, match="symbolic links"), run_lock(tmp_path, "one"):
        raise AssertionError("followed")
    with pytest.raises(OSError, match="symbolic links"), file_lock(tmp_path / ".a.lock"):
        raise AssertionError("followed")
    assert (tmp_path / "foreign").read_text() == "theirs"


def test_a_file_lock_waits_for_the_first_holder(tmp_path: Path) -> None:
    order: list[str] = []
    begun = threading.Event()

    def second() -> None:
        begun.set()
        with file_lock(tmp_path / "lock"):
            order.append("second")

    thread = threading.Thread(target=second)
    with file_lock(tmp_path / "lock"):
        thread.start()
        assert begun.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]
