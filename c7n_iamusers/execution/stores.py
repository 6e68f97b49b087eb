# SPDX-License-Identifier: Apache-2.0
"""Stores for what a run writes (snapshots, journal, outcomes, plans)."""

from __future__ import annotations

import os
import stat
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from io import BufferedWriter
from pathlib import Path
from typing import Protocol

from c7n_iamusers.execution.given import read_at_once, refuse_other_kinds, within_memory
from c7n_iamusers.execution.locks import file_lock
from c7n_iamusers.text.documents import LARGEST
from c7n_iamusers.text.wording import quoted

#: The name of a run's journal.
JOURNAL = "journal.jsonl"
#: Bytes of a file that is read line by line, and of a line in it.
LARGEST_OF_LINES, LONGEST_LINE = 16 * LARGEST, 16 * 1024 * 1024
_PRIVATE_FILE, _PRIVATE_DIRECTORY = 0o600, 0o700
#: How deep directories may be nested below an output.
_DEEPEST = 32
#: Reads or writes in parallel. botocore's connection pool has ten connections.
_PARALLEL = 8
#: O_NONBLOCK: opening a FIFO must not block until somebody opens its other end.
_SAFE_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOT_OURS = "a file of a run: find out who put it there, and move it away"


class Store(Protocol):
    """Named contents. A name may contain ``/``. Writes are durable when they return. Every method may raise OSError."""

    def read(self, name: str, largest: int = LARGEST) -> bytes | None:
        """The content; None if the name does not exist. Refuses content of more than ``largest`` bytes."""

    def create(self, name: str, content: bytes) -> None:
        """Write a new name. Raises FileExistsError, and changes nothing, if the name exists."""

    def replace(self, name: str, content: bytes) -> None:
        """Write atomically: a reader sees either the old content or the new one."""

    def stream(self, name: str, pieces: Iterable[bytes]) -> None:
        """Like ``replace``, without holding the whole content in memory."""

    def remove(self, name: str, content: bytes | None = None) -> None:
        """Remove the name if it exists and, where ``content`` is given, holds exactly that."""

    def update(self, name: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the content by ``change(content)`` without losing another writer's update.

        ``change`` may be called several times. Raises what it raises.
        """

    def names(self, prefix: str, *last: str, since: datetime | None = None) -> list[str]:
        """The names that begin with ``prefix``, sorted. ``prefix``: empty, or a directory, and ends with ``/``.

        ``last``: only names with one of these last parts. Entries that are not files are included, so that reading them
        fails. ``since``: names last written before may be left out.
        """

    def entries(self, place: str, leap: tuple[str, str] | None = None) -> dict[str, str]:
        """What is directly in the directory ``place``, of any kind: its name there -> its version.

        ``place``: ends with ``/``; empty for the top. The version is a text that changes with the content; it is empty
        for what is no file. ``leap``: names from the first text up to the second one may be left out, if that saves
        calls.
        """

    def siblings(self) -> Sequence[Store]:
        """The stores of the other policies that ran over the same account into the same output."""

    def place(self, name: str) -> str:
        """The path or URL of ``name``, for messages."""


class DirectoryStore:
    """Files in ``directory``, which is created on the first write."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, name: str, largest: int = LARGEST) -> bytes | None:
        """See Store."""
        return read_file(self._path(name), largest)

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file, one by one; none if the name does not exist.

        The journal of a large run has some hundred megabytes. Refuses what is beyond ``LARGEST_OF_LINES`` and
        ``LONGEST_LINE``.
        """
        return _lines_of(self._path(name))

    def _path(self, name: str) -> Path:
        """The path of ``name``. Raises OSError if it leads out of the directory.

        A link in place of a directory leads out, and so may a name from outside with ``..``, such as a bucket's key.
        """
        path = self.directory / name
        if ".." in name.split("/") or name.startswith("/"):
            raise OSError(f"{quoted(name)} leads out of {self.directory}: find out who wrote it")
        for parent in path.parents:
            if parent == self.directory:
                break
            if parent.is_symlink():
                _refuse_if_there(parent)
        return path

    def create(self, name: str, content: bytes) -> None:
        """See Store."""
        path = self._path(name)
        draft = write_draft(path, (content,))
        try:
            # link() fails if the name exists; rename() would overwrite it.
            os.link(draft, path)
        finally:
            draft.unlink()
        sync_directory(path.parent)

    def replace(self, name: str, content: bytes) -> None:
        """See Store."""
        self.stream(name, (content,))

    def stream(self, name: str, pieces: Iterable[bytes]) -> None:
        """See Store."""
        path = self._path(name)
        _refuse_if_there(path)
        draft = write_draft(path, pieces)
        try:
            os.replace(draft, path)
        except OSError:
            draft.unlink()
            raise
        sync_directory(path.parent)

    def remove(self, name: str, content: bytes | None = None) -> None:
        """See Store."""
        path = self._path(name)
        if content is not None and self.read(name) != content:
            return
        try:
            path.unlink()
        except FileNotFoundError:
            return
        sync_directory(path.parent)

    def update(self, name: str, change: Callable[[bytes | None], bytes]) -> None:
        """See Store."""
        path = self._path(name)
        make_directory(path.parent)
        with file_lock(path.with_name(f".{path.name}.lock")):
            self.replace(name, change(self.read(name)))

    def names(self, prefix: str, *last: str, since: datetime | None = None) -> list[str]:
        """See Store. ``since`` leaves none out, since a copied file may have any time."""
        found = below(self.directory / prefix, *last)
        return sorted(str(path.relative_to(self.directory)) for path in found)

    def entries(self, place: str, leap: tuple[str, str] | None = None) -> dict[str, str]:
        """See Store. Raises OSError, too, if the directory is a dangling link."""
        directory = self.directory / place
        try:
            with os.scandir(directory) as found:
                versions = {entry.name: _version(entry) for entry in found}
            return {name: version for name, version in versions.items() if version is not None}
        except FileNotFoundError:
            if directory.is_symlink():
                _refuse_if_there(directory)
            return {}

    def siblings(self) -> Sequence[DirectoryStore]:
        """See Store."""
        above = self.directory.parent
        beside = (above / name for name in sorted(DirectoryStore(above).entries("")))
        others = (each for each in beside if each.is_dir() and not _of_filesystem(each))
        stores = [DirectoryStore(each) for each in others if each != self.directory]
        return [each for each in stores if JOURNAL in each.entries("")]

    def place(self, name: str) -> str:
        """See Store."""
        return str(self.directory / name)

    def __str__(self) -> str:
        return str(self.directory)


def _version(entry: os.DirEntry[str]) -> str | None:
    """See Store.entries; None if it is gone again."""
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return ""
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def below(top: Path, *last: str) -> Iterator[Path]:
    """The files below the directory ``top``; with ``last``, whatever has one of these names, of any kind.

    None where ``top`` is missing. Raises OSError for a directory that can't be read, for a link to one, and for one
    nested deeper than any run writes: their content would be missed silently.
    """
    for directory, directories, files in os.walk(top, onerror=_raise_unless_missing):
        directories[:] = [name for name in directories if not _of_filesystem(Path(directory, name))]
        if len(Path(directory).relative_to(top).parts) > _DEEPEST:
            raise OSError(
                f"{directory} is nested deeper than any run writes: find out who created it, and remove it"
            )
        for path in (Path(directory, name) for name in directories):
            if path.is_symlink():
                _refuse_if_there(path)
        found = {*directories, *files}.intersection(last) if last else files
        yield from (Path(directory, name) for name in found)


def _of_filesystem(directory: Path) -> bool:
    """Whether it is the lost+found at the top of a file system, which only root may read (mkfs.ext4(8))."""
    return directory.name == "lost+found" and directory.parent.is_mount()


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def others_may_write(directory: Path, name: str) -> str:
    """Why somebody else may have written the file ``name`` below ``directory``, in words; empty if nobody could.

    In a directory with the sticky bit, others can't replace the file. Directories may be writable by their group, as a
    umask of 002 leaves them. Raises OSError.
    """
    path = directory / name
    for place in (path, *(parent for parent in path.parents if parent.is_relative_to(directory))):
        status = place.stat() if place == directory else place.lstat()
        if status.st_uid not in (os.geteuid(), 0):
            return f"{place} belongs to user id {status.st_uid}, not to this run's {os.geteuid()}"
        others = stat.S_IWOTH | stat.S_IWGRP
        if stat.S_ISDIR(status.st_mode):
            others = 0 if status.st_mode & stat.S_ISVTX else stat.S_IWOTH
        if status.st_mode & others:
            return f"{place} can be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""


def foreign_entry(directory: Path) -> str:
    """The entry of the output ``directory`` that no run makes, in words; empty if each is a file or directory of ours.

    No link of any kind may lead from there to a file elsewhere. Raises OSError.
    """
    if not directory.is_symlink() and not directory.exists():
        return ""
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return f"{directory} is not a directory"
    with os.scandir(directory) as entries:
        faults = (_foreign(Path(entry.path), entry.stat(follow_symlinks=False)) for entry in entries)
        return next(filter(None, faults), "")


def _foreign(path: Path, status: os.stat_result) -> str:
    if stat.S_ISDIR(status.st_mode):
        return ""
    if not stat.S_ISREG(status.st_mode):
        return f"{path} is {'a link' if stat.S_ISLNK(status.st_mode) else 'not a regular file'}"
    if status.st_nlink > 1:
        return f"{path} is a hard link to a file that has another name, too"
    if status.st_uid not in (os.geteuid(), 0):
        return f"{path} belongs to user id {status.st_uid}, not to this run's {os.geteuid()}"
    return ""


def as_store(place: Path | Store) -> Store:
    """``place`` as a store."""
    return DirectoryStore(place) if isinstance(place, Path) else place


def read_all(
    store: Store,
    names: Sequence[str],
    largest: int = LARGEST,
    unread: Callable[[str, OSError], object] | None = None,
) -> Iterator[tuple[str, bytes | None]]:
    """Each name with its content, in order, read a few in parallel. ``largest``: see Store.read.

    ``unread``: called with each name that can't be read, which is left out then; without it OSError is raised.
    """

    def read(name: str) -> bytes | OSError | None:
        try:
            return store.read(name, largest)
        except OSError as error:
            if unread is None:
                raise
            return error

    with ThreadPoolExecutor(_PARALLEL) as pool:
        for begin in range(0, len(names), _PARALLEL):
            some = names[begin : begin + _PARALLEL]
            for name, content in zip(some, pool.map(read, some), strict=True):
                if not isinstance(content, OSError):
                    yield name, content
                elif unread:
                    unread(name, content)


def replace_all(store: Store, contents: Iterable[tuple[str, bytes]]) -> None:
    """Replace the content of each name, a few in parallel. Raises OSError after all were tried.

    Only these few contents are in memory.
    """
    failed: list[BaseException] = []
    begun: deque[Future[None]] = deque()

    def end(most: int) -> None:
        while len(begun) > most:
            if error := begun.popleft().exception():
                failed.append(error)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        for name, content in contents:
            begun.append(pool.submit(store.replace, name, content))
            end(_PARALLEL)
        end(0)
    if failed:
        raise failed[0]


def read_file(path: Path, largest: int = LARGEST) -> bytes | None:
    """The content of the regular file ``path``; None if nothing has that name. ``largest``: see Store.read.

    Raises OSError if it is anything else. The message says what it is: a link, a FIFO, a directory.
    """
    try:
        descriptor = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        refuse_larger(str(path), os.fstat(descriptor).st_size, largest)
        content = within_memory(str(path), lambda: read_at_once(file, largest))
        if len(content) > largest:
            raise OSError(
                f"{path} has more than {largest} bytes, and grew while it was read: find out who writes it"
            )
        return content


def _lines_of(path: Path) -> Iterator[bytes]:
    try:
        descriptor = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "rb") as file:
        refuse_larger(str(path), os.fstat(descriptor).st_size, LARGEST_OF_LINES)
        while line := file.readline(LONGEST_LINE + 1):
            refuse_larger(f"a line of {path}", len(line), LONGEST_LINE)
            yield from line.splitlines()  # without the end, and at a lone carriage return


def refuse_larger(place: str, size: int, largest: int) -> None:
    """Raises OSError if ``size`` is more than ``largest``."""
    if size > largest:
        raise OSError(
            f"{place} has {size} bytes, and no run writes more than {largest} there: find out who put it there, and "
            "move it away"
        )


def open_appending(path: Path) -> BufferedWriter:
    """The regular file ``path``, opened for appending, readable and writable by its owner only; created if missing.

    Its descriptor may be read too. Raises OSError as ``read_file`` does.
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
    """Write the content to a new file beside ``path`` with an unpredictable name. It is durable when this returns.

    Creates the directory if needed. Raises OSError, and leaves no draft, if it can't be written.
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
    """Create ``directory`` and its parents, accessible by their owner only and durably. Raises OSError."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(_PRIVATE_DIRECTORY, exist_ok=True)
    sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in ``directory`` durable; fsync of a file covers its content only. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | _SAFE_OPEN, _PRIVATE_FILE)
    except FileNotFoundError:
        raise
    except OSError:
        _refuse_if_there(path)
        raise
    try:
        refuse_other_kinds(str(path), os.fstat(descriptor).st_mode, _NOT_OURS)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_if_there(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    refuse_other_kinds(str(path), mode, _NOT_OURS)
