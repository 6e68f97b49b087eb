# SPDX-License-Identifier: Apache-2.0
"""The locks on files, and on the output directory of a run; and what a lock says of who holds it, and since when."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from c7n_iamusers.exceptions import RunLockLost

#: The lock file in a run's output directory. It names the run that holds the lock.
RUN_LOCK = ".run.lock"
_LOCK_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LockHeld(OSError):
    """Another run holds the lock. The message names it."""


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Wait for the lock on ``path``, and hold it. Raises OSError if the file can't be opened."""
    descriptor = os.open(path, _LOCK_FILE, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked(descriptor: int) -> Iterator[None]:
    """Wait for the lock on the open file, and hold it. Raises OSError."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def require_in_place(path: Path, descriptor: int) -> None:
    """Raises RunLockLost unless ``path`` still names the file that is open as ``descriptor``. Makes no call to AWS.

    The open file keeps its inode, so a new file of that name has another one.
    """
    try:
        found = os.stat(path, follow_symlinks=False)
        why = "was replaced"
    except OSError as error:
        found, why = None, f"is gone ({error.strerror})"
    if found is None or not os.path.samestat(found, os.fstat(descriptor)):
        raise RunLockLost(
            f"{path} {why} while this run used it, so another run may have begun: nothing further was changed. Find "
            "out who removed it, wait until no other run uses that directory, and run again"
        )


def holder_of(what: str) -> str:
    """The text of a lock about its holder: ``what``, such as a run, and this process."""
    since = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
    return f"{what}, process {os.getpid()} on {socket.gethostname()} since {since}"


@contextmanager
def run_lock(directory: Path, what: str) -> Iterator[Callable[[], None]]:
    """Hold the run lock of ``directory``. ``what``: the run, in words, for the message to a second run.

    Gives a function that raises RunLockLost once the lock file was removed or replaced, since a second run could then
    begin. Raises LockHeld if another run holds it, OSError if the lock file can't be opened.
    """
    path = directory / RUN_LOCK
    descriptor = os.open(path, _LOCK_FILE, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 1000, 0).decode(errors="replace").strip() or "another run"
            raise LockHeld(
                f"{directory} is in use by {holder}: wait until it has ended, or stop it"
            ) from error
        require_in_place(path, descriptor)  # it may have been replaced between the two calls
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder_of(what).encode(), 0)
        yield partial(require_in_place, path, descriptor)
    finally:
        os.close(descriptor)
