# SPDX-License-Identifier: Apache-2.0
"""Where a run keeps what must outlive it: snapshots, journal, outcomes, plans."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class Store(Protocol):
    """A place for named contents; a name may have ``/`` in it. Every method raises OSError where it fails."""

    def read(self, name: str) -> bytes | None:
        """The content; None where there is none of that name."""

    def create(self, name: str, content: bytes) -> None:
        """Durable when this returns. Raises FileExistsError, and changes nothing, where the name is taken."""

    def replace(self, name: str, content: bytes) -> None:
        """Durable when this returns; a reader sees the old content or the new one, never a part."""

    def place(self, name: str) -> str:
        """Where ``name`` is found, for people: a path or a URL."""


class DirectoryStore:
    """Files in ``directory``, which is made when the first one is written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, name: str) -> bytes | None:
        """See Store."""
        try:
            return (self.directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def create(self, name: str, content: bytes) -> None:
        """See Store."""
        path = self.directory / name
        draft = self._draft(path, content)
        try:
            # link() refuses an existing name where rename() would overwrite it.
            os.link(draft, path)
        finally:
            draft.unlink()
        sync_directory(path.parent)

    def replace(self, name: str, content: bytes) -> None:
        """See Store."""
        path = self.directory / name
        os.replace(self._draft(path, content), path)
        sync_directory(path.parent)

    def place(self, name: str) -> str:
        """See Store."""
        return str(self.directory / name)

    def __str__(self) -> str:
        return str(self.directory)

    def _draft(self, path: Path, content: bytes) -> Path:
        make_directory(path.parent)
        draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return draft


def make_directory(directory: Path) -> None:
    """Makes ``directory`` and what it lies in; durable when this returns. Raises OSError where it can't."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Makes the names in ``directory`` durable: fsync of a file says nothing of its name. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
