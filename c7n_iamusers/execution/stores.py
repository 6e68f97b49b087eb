# SPDX-License-Identifier: Apache-2.0
"""Where a run keeps what must outlive it, and its locks: snapshots, journal, outcomes, plans."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from io import BufferedWriter
from pathlib import Path
from typing import Protocol

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


#: The name of a run's journal.
JOURNAL = "journal.jsonl"
_PRIVATE_FILE, _PRIVATE_DIRECTORY = 0o600, 0o700
#: Directories within each other below an output.
_DEEPEST = 32
#: How many contents are read or written at once; botocore keeps ten connections.
_AT_ONCE = 8
#: A FIFO must not make us wait for its other end.
_GUARDED = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS = (
    (stat.S_ISLNK, "symbolic link"),
    (stat.S_ISFIFO, "FIFO"),
    (stat.S_ISDIR, "directory"),
    (stat.S_ISSOCK, "socket"),
)


class Store(Protocol):
    """A place for named contents; a name may have ``/`` in it. Every method raises OSError where it fails."""

    def read(self, name: str, largest: int | None = None) -> bytes | None:
        """The content; None where there is none of that name. ``largest``: bytes, of which more are refused."""

    def create(self, name: str, content: bytes) -> None:
        """Durable when this returns. Raises FileExistsError, and changes nothing, where the name is taken."""

    def replace(self, name: str, content: bytes) -> None:
        """Durable when this returns; a reader sees the old content or the new one, never a part."""

    def stream(self, name: str, pieces: Iterable[bytes]) -> None:
        """As ``replace``, for a content that is never in memory as a whole."""

    def remove(self, name: str, content: bytes | None = None) -> None:
        """Durable when this returns. Nothing is done where there is none or, given ``content``, where it is another."""

    def update(self, name: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the content by what ``change`` makes of it; no other writer's update gets lost in between.

        ``change`` may be called again. Raises what it raises.
        """

    def names(self, prefix: str, *last: str) -> list[str]:
        """The names that begin with ``prefix``, a directory's with ``/`` at its end; none where there is none.

        ``last``: only those whose last part is one of these; also what is no file, so that reading it fails.
        """

    def siblings(self) -> Sequence[Store]:
        """The stores of the other policies that were run over the same account into the same output."""

    def place(self, name: str) -> str:
        """Where ``name`` is found, for people: a path or a URL."""


class DirectoryStore:
    """Files in ``directory``, which is made when the first one is written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, name: str, largest: int | None = None) -> bytes | None:
        """See Store."""
        return read_file(self.directory / name, largest)

    def create(self, name: str, content: bytes) -> None:
        """See Store."""
        path = self.directory / name
        draft = write_draft(path, (content,))
        try:
            # link() refuses an existing name where rename() would overwrite it.
            os.link(draft, path)
        finally:
            draft.unlink()
        sync_directory(path.parent)

    def replace(self, name: str, content: bytes) -> None:
        """See Store."""
        self.stream(name, (content,))

    def stream(self, name: str, pieces: Iterable[bytes]) -> None:
        """See Store."""
        path = self.directory / name
        _refuse_other_kinds(path)
        draft = write_draft(path, pieces)
        try:
            os.replace(draft, path)
        except OSError:
            draft.unlink()
            raise
        sync_directory(path.parent)

    def remove(self, name: str, content: bytes | None = None) -> None:
        """See Store."""
        path = self.directory / name
        if content is not None and self.read(name) != content:
            return
        try:
            path.unlink()
        except FileNotFoundError:
            return
        sync_directory(path.parent)

    def update(self, name: str, change: Callable[[bytes | None], bytes]) -> None:
        """See Store."""
        make_directory(self.directory)
        with held(self.directory / f".{name}.lock"):
            self.replace(name, change(self.read(name)))

    def names(self, prefix: str, *last: str) -> list[str]:
        """See Store."""
        if last:
            return sorted(self._with_last(self.directory / prefix, last))
        found = (self.directory / prefix).rglob("*") if (self.directory / prefix).is_dir() else ()
        return sorted(str(path.relative_to(self.directory)) for path in found if path.is_file())

    def _with_last(self, top: Path, last: Sequence[str]) -> Iterator[str]:
        """Raises OSError for a directory that can't be read, or a link to one: what lies in it would be left out."""
        for directory, below, files in os.walk(top, onerror=_raise_unless_missing):
            if len(Path(directory).relative_to(top).parts) > _DEEPEST:
                raise OSError(f"{directory} lies deeper than any run writes: look who made it, and remove it")
            for name in below:
                path = Path(directory, name)
                if path.is_symlink():
                    _refuse_other_kinds(path)
            for each in {*below, *files}.intersection(last):
                yield str(Path(directory, each).relative_to(self.directory))

    def siblings(self) -> Sequence[DirectoryStore]:
        """See Store."""
        found = sorted(path.parent for path in self.directory.parent.glob(f"*/{JOURNAL}"))
        return [DirectoryStore(each) for each in found if each != self.directory]

    def place(self, name: str) -> str:
        """See Store."""
        return str(self.directory / name)

    def __str__(self) -> str:
        return str(self.directory)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def others_may_write(directory: Path, name: str) -> str:
    """Why somebody else may have written the file ``name`` below ``directory``, in words; empty where nobody can.

    A directory in which each may remove only what is its own (sticky) is nobody's. Groups may write in directories,
    as a umask of 002 lets them. Raises OSError.
    """
    path = directory / name
    for each in (path, *(parent for parent in path.parents if parent.is_relative_to(directory))):
        found = each.stat() if each == directory else each.lstat()
        if found.st_uid not in (os.geteuid(), 0):
            return f"{each} belongs to user id {found.st_uid}, not to this run's {os.geteuid()}"
        others = stat.S_IWOTH | stat.S_IWGRP
        if stat.S_ISDIR(found.st_mode):
            others = 0 if found.st_mode & stat.S_ISVTX else stat.S_IWOTH
        if found.st_mode & others:
            return f"{each} can be written by others (mode {stat.S_IMODE(found.st_mode):04o})"
    return ""


def as_store(place: Path | Store) -> Store:
    """The store of a directory; a store as it is."""
    return DirectoryStore(place) if isinstance(place, Path) else place


def read_all(
    store: Store, names: Sequence[str], largest: int | None = None
) -> Iterator[tuple[str, bytes | None]]:
    """Each name with its content, in order; a few at a time, so that a bucket's answers are waited for together.

    ``largest``: see ``Store.read``. Raises OSError.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for begin in range(0, len(names), _AT_ONCE):
            some = names[begin : begin + _AT_ONCE]
            yield from zip(some, pool.map(lambda name: store.read(name, largest), some), strict=True)


def replace_all(store: Store, contents: Iterable[tuple[str, bytes]]) -> None:
    """Replace the content of each name, several at once. Raises OSError once all were tried."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        written = [pool.submit(store.replace, name, content) for name, content in contents]
    for each in written:
        each.result()


def read_file(path: Path, largest: int | None = None) -> bytes | None:
    """The content of the regular file ``path``; None where there is nothing of that name.

    ``largest``: see ``Store.read``. Raises OSError that says what is in the way where something else is: a link, a
    FIFO, a directory.
    """
    try:
        descriptor = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        refuse_larger(str(path), os.fstat(descriptor).st_size, largest)
        return file.read()


def refuse_larger(place: str, size: int, largest: int | None) -> None:
    """Raises OSError where ``size`` is more than ``largest``."""
    if largest is not None and size > largest:
        raise OSError(
            f"{place} has {size} bytes, and no run writes more than {largest} there: look who put it there, and move "
            "it away"
        )


def open_appending(path: Path) -> BufferedWriter:
    """The regular file ``path``, for appending; made where there is none, and for its owner alone from now on.

    It may be read too, by its descriptor. Raises OSError that says what is in the way, as ``read_file`` does.
    """
    make_directory(path.parent)
    descriptor = _open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & ~_PRIVATE_FILE:
            os.fchmod(descriptor, _PRIVATE_FILE)
        return os.fdopen(descriptor, "ab")
    except OSError:
        os.close(descriptor)
        raise


def write_draft(path: Path, pieces: Iterable[bytes]) -> Path:
    """The content in a new file beside ``path``, of a name that nobody can foresee; durable when this returns.

    Nobody can foresee its name; its directory is made where need be. Raises OSError, and leaves no draft, where it
    can't be written.
    """
    make_directory(path.parent)
    # mkstemp: O_EXCL, O_NOFOLLOW, 0600
    descriptor, name = tempfile.mkstemp(".draft", f".{path.name}.", path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(name)
        raise
    return Path(name)


def make_directory(directory: Path) -> None:
    """Makes ``directory`` and what it lies in, for its owner alone; durable when this returns.

    Raises OSError where it can't.
    """
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(_PRIVATE_DIRECTORY, exist_ok=True)
    sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Makes the names in ``directory`` durable: fsync of a file says nothing of its name. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | _GUARDED, _PRIVATE_FILE)
    except FileNotFoundError:
        raise
    except OSError:
        _refuse_other_kinds(path)
        raise
    try:
        _refuse_unless_regular(path, os.fstat(descriptor).st_mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_other_kinds(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    _refuse_unless_regular(path, mode)


def _refuse_unless_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for holds, name in _KINDS if holds(mode)), "device")
        raise OSError(f"{path} is a {kind}, not a file of a run: look who put it there, and move it away")
