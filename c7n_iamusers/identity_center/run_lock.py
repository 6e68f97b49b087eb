# SPDX-License-Identifier: Apache-2.0
"""One writer at a time: Identity Center has 15 slots for all, and two writers meet each other's half-made objects.

On one machine the lock is a file that ends with the process, however it ends: one of the user who runs for the
instance, so that runs over two outputs meet too, and one for the output directory. Where the output is a bucket its
lock is an object, so that runs on several machines meet. That outlives a run that is killed, as Terraform's in S3
does, and is then removed by its id. Runs on several machines need one output.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import shlex
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedWriter
from pathlib import Path
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import DirectoryStore, Store, as_store, open_appending
from c7n_iamusers.identity_center.model import Instance
from c7n_iamusers.identity_center.run_records import RUNS
from c7n_iamusers.text.wording import visible

#: The lock of an output, below ``RUNS``, and of an instance.
_LOCK = ".lock"
#: Bytes that a lock's content never reaches.
_LONGEST = 1 << 16
_GLANCE_SECONDS = 0.2
#: How often a lock is put again that was gone when it was read.
_PUTS = 3
_WAIT = "wait until it has ended, or stop it: it can be stopped at any point"

log = logging.getLogger("c7n_iamusers.lock")


class NoPlaceForLock(IdentityCenterError):
    """No lock file can be made: the directory is not writable."""


@contextmanager
def exclusive(output: Path | Store, instance: Instance | None = None) -> Iterator[None]:
    """Holds the locks of the output and of the instance. Raises IdentityCenterError, which says who writes."""
    store = as_store(output)
    with ExitStack() as locks:
        if instance:
            locks.enter_context(only_writer(instance, store))
        if isinstance(store, DirectoryStore):
            locks.enter_context(_locked(store.directory / RUNS, _writer(store)))
        else:
            locks.enter_context(_put_lock(store))
        yield


@contextmanager
def only_writer(
    instance: Instance,
    output: Store,
    patience: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Holds the instance's lock on this machine, which ends with the process.

    ``patience``: seconds to wait for each writer that has it before. Raises IdentityCenterError, which says who
    writes, and NoPlaceForLock.
    """
    place = _cache() / "c7n-iamusers" / instance.arn.rpartition("/")[2]
    with _locked(place, _writer(output), lambda lock: _wait(lock, patience, clock, sleep)):
        yield


def force_unlock(output: Store, lock_id: str) -> str:
    """Removes a bucket's lock that a killed run has left; which run's it was, in words.

    Raises IdentityCenterError where there is none, or it is another one's; OSError.
    """
    name = f"{RUNS}/{_LOCK}"
    content = output.read(name)
    if content is None:
        raise IdentityCenterError(f"{output.place(name)}: there is no lock, so nothing was removed")
    if _fields(content).get("id") != lock_id:
        raise IdentityCenterError(
            f"{output.place(name)} is not the lock {lock_id}, so nothing was removed: it is of {_holder(content)}"
        )
    output.remove(name, content)
    return _holder(content)


def _cache() -> Path:
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given)
    try:
        return Path.home() / ".cache"
    except RuntimeError as error:
        raise NoPlaceForLock(f"no lock can be made: {error} Set XDG_CACHE_HOME to a directory") from error


@contextmanager
def _locked(
    place: Path, writer: dict[str, Any], acquire: Callable[[BufferedWriter], None] | None = None
) -> Iterator[None]:
    with _opened(place) as lock:
        (acquire or _wait)(lock)
        lock.truncate(0)
        lock.write(json.dumps(writer).encode())
        lock.flush()
        yield


def _opened(place: Path) -> BufferedWriter:
    try:
        return open_appending(place / _LOCK)
    except OSError as error:
        raise NoPlaceForLock(
            f"{place}: no lock can be made there, and two writers at once meet each other's half-made objects: "
            f"{error}: make it writable, or set XDG_CACHE_HOME to a directory that is"
        ) from error


def _wait(
    lock: BufferedWriter,
    patience: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Take the lock. Each writer that has it before is waited for: many may stand in line, each with little to do."""
    holder, until = b"", clock() + patience
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            found = os.pread(lock.fileno(), _LONGEST, 0)
            if found != holder:
                holder, until = found, clock() + patience
            if clock() >= until:
                raise IdentityCenterError(f"another run writes: {_holder(holder)}: {_WAIT}") from error
        sleep(_GLANCE_SECONDS)


@contextmanager
def _put_lock(output: Store) -> Iterator[None]:
    name, lock_id = f"{RUNS}/{_LOCK}", secrets.token_hex(8)
    content = json.dumps({"id": lock_id, **_writer(output)}).encode()
    try:
        _put(output, name, content)
        yield
    finally:
        try:
            # only where it is ours; also after a put that was broken off, or whose answer was lost
            output.remove(name, content)
        except OSError as error:
            log.warning("the lock of this run can't be removed: %s: %s", error, _unlocking(output, lock_id))


def _put(output: Store, name: str, content: bytes) -> None:
    for _ in range(_PUTS):
        try:
            return output.create(name, content)
        except FileExistsError as error:
            found = output.read(name)
            if found is not None:
                lock_id = str(_fields(found).get("id", ""))
                unlocking = _unlocking(output, lock_id) if lock_id else f"remove {output.place(name)}"
                raise IdentityCenterError(
                    f"another run writes: {_holder(found)}: {_WAIT}. If it was killed, its lock is left: {unlocking}"
                ) from error
        except OSError as error:
            raise NoPlaceForLock(
                f"{error}: no lock can be put there, and two writers at once meet each other's half-made objects: let "
                "this session get, put and delete objects there"
            ) from error
    raise IdentityCenterError(f"{output.place(name)}: others take this lock all the time: run again")


def _unlocking(output: Store, lock_id: str) -> str:
    return f"remove it by c7n-iamusers provision -s {output} --force-unlock {shlex.quote(visible(lock_id))}"


def _writer(output: Store) -> dict[str, Any]:
    is_directory = isinstance(output, DirectoryStore)
    return {
        "user": os.environ.get("USER") or f"user {os.getuid()}",
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": utc_now().isoformat(timespec="seconds"),
        "output": str(Path(str(output)).resolve() if is_directory else output),
    }


def _holder(content: bytes) -> str:
    found = _fields(content)
    try:
        told = (
            f"process {found['process']} of {found['user']} on {found['host']}, since {found['since']}, for "
            f"{found['output']}"
        )
    except KeyError:
        return "its lock does not say which"
    return visible(f"{told}, lock {found['id']}" if "id" in found else told)


def _fields(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
