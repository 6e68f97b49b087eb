# SPDX-License-Identifier: Apache-2.0
"""The run lock: one run writes at a time. Two would share 15 slots and see each other's incomplete objects.

On one machine the lock is a pair of files that are locked while the process lives: one for the instance, in the user's
cache directory, and one for the output directory. For an output in a bucket the second lock is an object, which also
excludes runs on other machines. Like Terraform's lock in S3, it stays if the run is killed, and is then removed by its
id. The lock in Identity Center itself (``center_lock``) excludes runs on other machines, whatever their outputs.

A killed run leaves that lock, too. The directory of the instance's lock has the ids of the last such locks taken by
this user on this machine. The instance's file is locked while such a process lives, so the next run may remove them.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedWriter
from pathlib import Path
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import DirectoryStore, Store, as_store, open_appending
from c7n_iamusers.identity_center.applying.center_lock import (
    LONGEST,
    CenterLock,
    LockUnavailable,
    fields,
    holder,
)
from c7n_iamusers.identity_center.applying.run_records import RUNS
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.model import Instance
from c7n_iamusers.text.documents import LARGEST_LOCK
from c7n_iamusers.text.wording import visible, visible_log

#: The name of both locks.
_LOCK = ".lock"
#: The name of the file with the ids of the last locks in Identity Center that were taken from here.
_LAST = "center-lock"
_MOST_IDS = 20
#: More bytes than any lock has.
_LONGEST = 1 << 16
_POLL_SECONDS = 0.2
#: Tries to put a lock: another run's may vanish between two calls.
_PUTS = 3
_WAIT = "wait until it has ended, or stop it, which is safe at any point"

log = visible_log("c7n_iamusers.lock")


@contextmanager
def exclusive(
    output: Path | Store, instance: Instance | None = None, center: Center | None = None
) -> Iterator[None]:
    """Hold the locks of output, of ``instance`` on this machine, and of ``center`` for all machines.

    Raises IdentityCenterError, with the holder, if another run has one.
    """
    store, lock_id = as_store(output), secrets.token_hex(8)
    with ExitStack() as locks:
        if instance:
            locks.enter_context(instance_lock(instance, store))
        if isinstance(store, DirectoryStore):
            locks.enter_context(_locked(store.directory / RUNS, _writer(store)))
        else:
            locks.enter_context(_put_lock(store, lock_id))
        if center:
            locks.enter_context(lock_of_center(center, store, lock_id))
        yield


@contextmanager
def lock_of_center(center: Center, output: Store, lock_id: str = "", timeout: float = 0.0) -> Iterator[None]:
    """Hold the lock in Identity Center. The caller holds ``instance_lock``.

    ``timeout``: seconds to wait for another holder. Raises IdentityCenterError, with the holder, after that;
    LockUnavailable.
    """
    lock_id, note = lock_id or secrets.token_hex(8), _place(center.instance) / _LAST
    left = _ids_in(note)
    lock = CenterLock(
        center,
        lock_id,
        _description(lock_id, output),
        lambda each: _unlocking(output, each),
        frozenset(left),
        timeout,
    )
    # Before the lock exists, so that a process killed while it holds the lock has left its id.
    _write_ids(note, [*left[-_MOST_IDS:], lock_id])
    with lock.held():
        _write_ids(note, [lock_id])
        yield


def _ids_in(note: Path) -> list[str]:
    return note.read_text(errors="replace").split() if note.is_file() else []


def _write_ids(note: Path, ids: Iterable[str]) -> None:
    try:
        note.write_text("\n".join(ids))
    except OSError as error:
        raise LockUnavailable(f"{note}: {error}: make it writable, or set XDG_CACHE_HOME") from error


def _description(lock_id: str, output: Store) -> str:
    """The content of the lock in Identity Center, in ASCII, and no longer than AWS takes."""
    writer = {"id": lock_id, **_writer(output)}
    while len(text := json.dumps(writer)) > LONGEST:
        longest = max(writer, key=lambda name: len(str(writer[name])))
        writer[longest] = str(writer[longest])[: len(str(writer[longest])) // 2]
    return text


@contextmanager
def instance_lock(
    instance: Instance,
    output: Store,
    timeout: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold the lock of the instance on this machine, at most while the process lives.

    ``timeout``: seconds to wait for each other holder. Raises IdentityCenterError, with the holder, after that;
    LockUnavailable.
    """
    with _locked(_place(instance), _writer(output), lambda lock: _wait(lock, timeout, clock, sleep)):
        yield


def force_unlock(output: Store, lock_id: str) -> str:
    """Remove the lock that a killed run has left in a bucket. Returns its holder, in words.

    Raises IdentityCenterError if there is no lock, or it has another id; OSError.
    """
    name = f"{RUNS}/{_LOCK}"
    content = output.read(name, LARGEST_LOCK)
    if content is None:
        raise IdentityCenterError(f"{output.place(name)}: there is no lock, so nothing was removed")
    if fields(content).get("id") != lock_id:
        raise IdentityCenterError(
            f"{output.place(name)} does not have the id {lock_id}, so it was not removed: its holder is "
            f"{holder(content)}"
        )
    output.remove(name, content)
    return holder(content)


def _place(instance: Instance) -> Path:
    return _cache() / "c7n-iamusers" / instance.arn.rpartition("/")[2]


def _cache() -> Path:
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given)
    try:
        return Path.home() / ".cache"
    except RuntimeError as error:
        raise LockUnavailable(f"no lock can be made: {error} Set XDG_CACHE_HOME to a directory") from error


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
        raise LockUnavailable(
            f"{place}: no lock can be made there, and two runs at once would see each other's incomplete objects: "
            f"{error}: make it writable, or set XDG_CACHE_HOME to a directory that is"
        ) from error


def _wait(
    lock: BufferedWriter,
    timeout: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Take the lock. ``timeout`` counts for each holder anew: many short runs may come first."""
    earlier, until = b"", clock() + timeout
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            found = os.pread(lock.fileno(), _LONGEST, 0)
            if found != earlier:
                earlier, until = found, clock() + timeout
            if clock() >= until:
                raise IdentityCenterError(
                    f"another run holds the lock: {holder(earlier)}: {_WAIT}"
                ) from error
        sleep(_POLL_SECONDS)


@contextmanager
def _put_lock(output: Store, lock_id: str) -> Iterator[None]:
    name = f"{RUNS}/{_LOCK}"
    content = json.dumps({"id": lock_id, **_writer(output)}).encode()
    try:
        _put(output, name, content)
        yield
    finally:
        try:
            # only this run's own lock, even after a put whose answer was lost
            output.remove(name, content)
        except OSError as error:
            log.warning("the lock of this run can't be removed: %s: %s", error, _unlocking(output, lock_id))


def _put(output: Store, name: str, content: bytes) -> None:
    for _ in range(_PUTS):
        try:
            return output.create(name, content)
        except FileExistsError as error:
            found = output.read(name, LARGEST_LOCK)
            if found is not None:
                lock_id = str(fields(found).get("id", ""))
                unlocking = _unlocking(output, lock_id) if lock_id else f"remove {output.place(name)}"
                raise IdentityCenterError(
                    f"another run holds the lock: {holder(found)}: {_WAIT}. If it was killed: {unlocking}"
                ) from error
        except OSError as error:
            raise LockUnavailable(
                f"{error}: no lock can be put there, and two runs at once would see each other's incomplete objects: "
                "allow this session to get, put and delete objects there"
            ) from error
    raise IdentityCenterError(f"{output.place(name)}: other runs keep taking this lock: run again")


def _unlocking(output: Store, lock_id: str) -> str:
    place = shlex.quote(visible(str(output)))
    return f"remove it by c7n-iamusers provision unlock {shlex.quote(visible(lock_id))} --records {place}"


def _writer(output: Store) -> dict[str, Any]:
    is_directory = isinstance(output, DirectoryStore)
    return {
        "user": os.environ.get("USER") or f"user {os.getuid()}",
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": utc_now().isoformat(timespec="seconds"),
        "output": str(Path(str(output)).resolve() if is_directory else output),
    }
