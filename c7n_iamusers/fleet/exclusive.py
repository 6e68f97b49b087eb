# SPDX-License-Identifier: Apache-2.0
"""One writer at a time: Identity Center has 15 slots for all, and two writers meet each other's half-made objects.

The lock is a file that ends with the process, however it ends: one for the output directory, and one of the user who
runs for the instance, so that runs over two directories meet too. Runs on several machines need one directory.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedWriter
from pathlib import Path

from c7n_iamusers.aws.journal import utc_now
from c7n_iamusers.aws.stores import open_appending
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.fleet.run_directory import RUNS
from c7n_iamusers.model.identity_center import Instance

#: Bytes that a lock's content never reaches.
_LONGEST = 1 << 16


@contextmanager
def exclusive(output: Path, instance: Instance | None = None) -> Iterator[None]:
    """Holds the locks of the directory and of the instance. Raises IdentityCenterError, which says who writes."""
    places = [output / RUNS]
    if instance:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        places.append(cache / "c7n-iamusers" / instance.arn.rpartition("/")[2])
    with ExitStack() as locks:
        for place in places:
            locks.enter_context(_locked(place, output))
        yield


@contextmanager
def _locked(place: Path, output: Path) -> Iterator[None]:
    with _opened(place) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise IdentityCenterError(
                f"{_told(os.pread(lock.fileno(), _LONGEST, 0))}: wait until it has ended, or stop it: it can be "
                "stopped at any point"
            ) from error
        lock.truncate(0)
        lock.write(json.dumps(_writer(str(output.resolve()))).encode())
        lock.flush()
        yield


def _opened(place: Path) -> BufferedWriter:
    try:
        return open_appending(place / ".lock")
    except OSError as error:
        raise IdentityCenterError(
            f"{place}: no lock can be made there, and two writers at once meet each other's half-made objects: "
            f"{error}: make it writable, or set XDG_CACHE_HOME to a directory that is"
        ) from error


def _writer(output: str) -> dict[str, object]:
    return {
        "user": os.environ.get("USER") or f"user {os.getuid()}",
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": utc_now().isoformat(timespec="seconds"),
        "output": output,
    }


def _told(content: bytes) -> str:
    try:
        found = json.loads(content)
        return (
            f"another run writes: process {found['process']} of {found['user']} on {found['host']}, since "
            f"{found['since']}, for {found['output']}"
        )
    except (ValueError, KeyError, TypeError):
        return "another run writes"
