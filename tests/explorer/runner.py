# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with the machine that a run is on: a row each, by the name that traces have."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from tests.explorer.alone import CLOCK
from tests.explorer.world import OUTPUT, SECOND_OUTPUT

_DAY = 86_400.0


class Disturbed(Protocol):
    """The run that a fault befalls."""

    def second_run(self, output: Path) -> None:
        """Somebody starts the same command once more, with ``output``."""


Fault = Callable[[Disturbed], object]


def _jump(seconds: float) -> Fault:
    def fault(_: Disturbed) -> None:
        CLOCK.jumped += seconds

    return fault


def _limit(spare: int) -> Fault:
    """No file may grow beyond ``spare`` bytes more than the largest journal has."""

    def fault(_: Disturbed) -> None:
        sizes = [each.stat().st_size for each in _files("*journal.jsonl")] or [0]
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes) + spare if spare else 0, hard))

    return fault


_OS = {
    name: getattr(os, name) for name in ("open", "replace", "rename", "link", "unlink", "mkdir", "truncate")
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _read_only(disturbed: Disturbed) -> None:
    """The disk was mounted anew, read-only: open files can't be written either."""

    def refuse(*given: Any, **_: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(given[0]) if given else "")

    def opened(path: Any, flags: int, *given: Any, **named: Any) -> int:
        if flags & _WRITES and not str(path).startswith("/dev/"):
            refuse(path)
        found: int = _OS["open"](path, flags, *given, **named)
        return found

    for name in _OS:
        setattr(os, name, refuse)
    os.open = opened
    _limit(0)(disturbed)


def _files(pattern: str) -> Iterator[Path]:
    yield from sorted(OUTPUT.rglob(pattern))


def _edited(pattern: str, edit: Callable[[bytes], bytes]) -> Fault:
    def fault(_: Disturbed) -> None:
        for path in _files(pattern):
            content = path.read_bytes()
            path.chmod(0o600)
            path.write_bytes(edit(content))

    return fault


def _removed(pattern: str) -> Fault:
    def fault(_: Disturbed) -> None:
        for path in _files(pattern):
            path.unlink()

    return fault


def _replaced(pattern: str) -> Fault:
    def fault(_: Disturbed) -> None:
        for path in _files(pattern):
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)

    return fault


def _pause(seconds: float) -> Fault:
    return lambda _: CLOCK.sleep(seconds)


FAULTS: dict[str, Fault] = {
    "clock-forward": _jump(_DAY),
    "clock-back": _jump(-_DAY),
    "paused": _pause(16),
    "slept": _pause(2 * 3_600),
    "disk-full": _limit(0),
    "disk-nearly-full": _limit(100),
    "disk-read-only": _read_only,
    "snapshot-edited": _edited(
        "snapshots/*.json", lambda text: text.replace(b"ec2:Terminate", b"ec2:Describe")
    ),
    "snapshot-removed": _removed("snapshots/*.json"),
    "journal-cut": _edited("*journal.jsonl", lambda text: text[:-20]),
    "journal-edited": _edited("*journal.jsonl", lambda text: text.replace(b"AIDAALICE", b"AIDAMALLO")),
    "journal-removed": _removed("*journal.jsonl"),
    "outcomes-edited": _edited("outcomes.json", lambda text: text[: len(text) // 2]),
    "outcomes-removed": _removed("outcomes.json"),
    "lock-removed": _removed(".run.lock"),
    "lock-replaced": _replaced(".run.lock"),
    "output-removed": lambda _: shutil.rmtree(OUTPUT),
    "second-run": lambda disturbed: disturbed.second_run(OUTPUT),
    "second-run-elsewhere": lambda disturbed: disturbed.second_run(SECOND_OUTPUT),
}
#: With these, whatever runs here may get an OSError.
DISK = ("disk-full", "disk-nearly-full", "disk-read-only", "output-removed")
#: After these, the journal no longer says what was written to it. That it is gone altogether must stop the run.
UNTRUE = ("journal-cut", "journal-edited")
#: After these, a run need not reach its goal: what it would rest on was destroyed.
_DESTROYED = ("snapshot-edited", "snapshot-removed", "journal-", "outcomes-edited", "output-removed")


def excuses(what: str) -> bool:
    """Whether a run need not reach its goal after that."""
    return what.startswith(_DESTROYED)


def mend() -> None:
    """All is well with the machine again."""
    CLOCK.jumped = 0.0
    for name, function in _OS.items():
        setattr(os, name, function)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
