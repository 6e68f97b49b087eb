# SPDX-License-Identifier: Apache-2.0
"""One cycle at a time over a workspace: files that are locked while the process lives, and an object in a bucket.

The object is a lock as those of users are, renewed while the cycle runs, and keeps out cycles on other machines. It is
beside the notices, since every machine that touches these accounts has the same ones, else in the output. A killed
cycle leaves it: the next one of the same workspace on the same machine, whose files it could lock, takes it over at
once, and any other waits until it has lapsed.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from c7n_iamusers.cycle.steps import RECORDS
from c7n_iamusers.exceptions import IamUsersError, JournalRefused, OutputUnreadable, RunLockLost, UserInUse
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.locks import LockHeld, holder_of, run_lock
from c7n_iamusers.execution.stores import make_directory
from c7n_iamusers.execution.user_locks import UserLocks
from c7n_iamusers_cli.arguments import S3, open_place

if TYPE_CHECKING:
    from c7n_iamusers.execution.stores import Store
    from c7n_iamusers_cli.cycle.workspace import Workspace

_WHAT = "c7n-iamusers cycle"
#: Seconds between two renewals of the object; it counts for fifteen minutes after the last one.
_RENEWAL = 60.0
_CYCLE = Subject("the cycle", "arn:aws:iam::000000000000:user/the-cycle", "cycle", kind="lock of")
_KEY = "machine"


class CycleRunning(IamUsersError):
    """Another cycle runs over the workspace, or over the same accounts; nothing was done."""


@contextmanager
def cycle_lock(workspace: Workspace) -> Iterator[Callable[[], bool]]:
    """Hold the locks of the workspace. Gives a function that tells whether one was lost.

    Raises CycleRunning if another cycle has one, OutputUnreadable if one can't be had.
    """
    lost = threading.Event()
    with ExitStack() as stack:
        checks = [stack.enter_context(_file_lock(each)) for each in _directories(workspace)]
        if place := _shared_place(workspace):
            stack.enter_context(_object_lock(open_place(place), workspace.own, lost))

        def is_lost() -> bool:
            try:
                for check in checks:
                    check()
            except RunLockLost:
                lost.set()
            return lost.is_set()

        yield is_lost


def _directories(workspace: Workspace) -> list[Path]:
    output = workspace.settings.output
    shared = [] if output.startswith(S3) else [workspace.directory / output / RECORDS]
    return [workspace.own, *shared]


def _shared_place(workspace: Workspace) -> str:
    """Where cycles of several machines meet; empty where all places are directories."""
    notices = (workspace.notices_of(each) for each in workspace.targets)
    places = (*(each for each in notices if each.startswith(S3)), workspace.settings.output)
    return places[0] if places[0].startswith(S3) else ""


@contextmanager
def _file_lock(directory: Path) -> Iterator[Callable[[], None]]:
    try:
        make_directory(directory)
        with ExitStack() as stack:
            yield stack.enter_context(run_lock(directory, _WHAT))
    except LockHeld as error:
        raise CycleRunning(str(error)) from error
    except OSError as error:
        raise OutputUnreadable(f"{directory}: no lock can be made there: {error}") from error


@contextmanager
def _object_lock(store: Store, own: Path, lost: threading.Event) -> Iterator[None]:
    """``lost``: set once the lock was taken over."""
    locks = UserLocks(store, holder_of(_WHAT), alone=True, _id=_machine(own))
    try:
        with locks.held(_CYCLE), _renewed(locks, lost):
            yield
    except UserInUse as error:
        raise CycleRunning(f"another cycle runs over these accounts: {error}") from error
    except JournalRefused as error:
        raise OutputUnreadable(str(error)) from error


@contextmanager
def _renewed(locks: UserLocks, lost: threading.Event) -> Iterator[None]:
    done = threading.Event()

    def renew() -> None:
        while not done.wait(_RENEWAL):
            try:
                locks.renew(_CYCLE)
            except RunLockLost:
                return lost.set()
            except JournalRefused:
                pass  # it counts for a quarter of an hour, in which it is tried again

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _machine(own: Path) -> str:
    """The id of this workspace on this machine: another one in a copy of it elsewhere."""
    file = own / _KEY
    if not file.is_file():
        file.write_text(secrets.token_hex(16))
    known = f"{file.read_text()} {file.resolve()} {socket.gethostname()}"
    return hashlib.sha256(known.encode()).hexdigest()[:16]
