# SPDX-License-Identifier: Apache-2.0
"""Locks on files of an output directory; each ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

#: In a run's output directory: who runs over it.
RUN_LOCK = ".run.lock"
_OPENING = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Held(OSError):
    """Another run holds the lock; the message says which."""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Waits for the lock on ``path`` and holds it. Raises OSError where it can't be opened."""
    descriptor = os.open(path, _OPENING, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def only_run(directory: Path, what: str) -> Iterator[None]:
    """Holds the lock of ``directory``, in which it writes who holds it. ``what``: the run, in words.

    Raises Held where another run has it, OSError where it can't be opened.
    """
    descriptor = os.open(directory / RUN_LOCK, _OPENING, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 1000, 0).decode(errors="replace").strip() or "another run"
            raise Held(f"{directory} is in use by {holder}: wait until it has ended, or stop it") from error
        since = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
        os.ftruncate(descriptor, 0)
        os.pwrite(
            descriptor, f"{what}, process {os.getpid()} on {socket.gethostname()} since {since}".encode(), 0
        )
        yield
    finally:
        os.close(descriptor)
