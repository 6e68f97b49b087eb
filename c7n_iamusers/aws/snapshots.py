# SPDX-License-Identifier: Apache-2.0
"""Snapshots: a user as it was before anything was taken from it, on disk before the first mutating call."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from c7n_iamusers.aws.journal import utc_now
from c7n_iamusers.exceptions import SnapshotRefused
from c7n_iamusers.model.attachments import ATTACHMENT_KINDS
from c7n_iamusers.model.iam_user import IamUser, Item

SCHEMA_VERSION = 1


class SnapshotDirectory:
    """Snapshot files ``<user name>.<unique id>[.<n>].json`` in ``directory``.

    A file that is there is complete (it appears by an atomic link) and is never written again. Where a
    user has gained something since its last snapshot, a further file with the next number holds it.
    """

    def __init__(self, directory: Path, now: Callable[[], datetime] = utc_now) -> None:
        self._directory = directory
        self._now = now

    def save(self, user: IamUser, passing: frozenset[str] = frozenset()) -> Path:
        """The path of a durable snapshot that covers ``user``, an earlier one where it does.

        ``passing``: names of policies that our own work put there, which are not the user's.
        Raises SnapshotRefused where it cannot be made durable.
        """
        record = self._record(user, passing)
        with self._refusing(user):
            self._directory.mkdir(parents=True, exist_ok=True)
            earlier = list(self._files(user))
            covering = next((path for path in earlier if _covers(_load(path), record)), None)
            return covering or self._write(user, record, len(earlier) + 1)

    def recorded(self, user: IamUser, kind: str) -> list[Item]:
        """The items of ``kind`` in earlier snapshots of this same user (by unique id).

        Raises SnapshotRefused where an earlier file can't be read.
        """
        with self._refusing(user):
            return [item for path in self._files(user) for item in _load(path)["attachments"].get(kind, ())]

    @contextmanager
    def _refusing(self, user: IamUser) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SnapshotRefused(
                f"{user.subject}: no durable snapshot in {self._directory} ({error!r}): nothing further was touched; "
                "make the directory writable, move a broken file away, and run again"
            ) from error

    def _record(self, user: IamUser, passing: frozenset[str]) -> dict[str, Any]:
        attachments = {
            kind.name: [
                item for item in user.attachments[kind.name] if item.get(kind.identifier) not in passing
            ]
            for kind in ATTACHMENT_KINDS
        }
        head = {"schema_version": SCHEMA_VERSION, "taken": self._now(), "account_id": user.subject.account_id}
        data: dict[str, Any] = json.loads(
            json.dumps({**head, "user": dict(user.detail), "attachments": attachments}, default=_as_text)
        )
        return data

    def _files(self, user: IamUser) -> Iterator[Path]:
        stem = f"{user.name}.{user.unique_id}"
        number, path = 1, self._directory / f"{stem}.json"
        while path.exists():
            yield path
            number += 1
            path = self._directory / f"{stem}.{number}.json"

    def _write(self, user: IamUser, record: dict[str, Any], number: int) -> Path:
        suffix = ".json" if number == 1 else f".{number}.json"
        path = self._directory / f"{user.name}.{user.unique_id}{suffix}"
        draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(record, file, indent=2, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        # link() refuses an existing name where rename() would overwrite it.
        os.link(draft, path)
        draft.unlink()
        _sync_directory(self._directory)
        return path


def _covers(earlier: dict[str, Any], record: dict[str, Any]) -> bool:
    """True where everything attached in ``record`` stands in ``earlier`` too, to the letter."""
    return all(
        item in earlier["attachments"].get(kind, ())
        for kind, found in record["attachments"].items()
        for item in found
    )


def _load(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
