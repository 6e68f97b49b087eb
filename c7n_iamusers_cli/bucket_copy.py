# SPDX-License-Identifier: Apache-2.0
"""Copies one user's records from outputs in a bucket, because ``restore`` reads and writes files.

Before each call, its journal is written to the bucket, so that another machine or directory can continue a killed run.
Meanwhile the user is locked in each of these outputs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from c7n_iamusers.text.wording import visible
from c7n_iamusers_cli.arguments import S3
from c7n_iamusers_cli.output import say

if TYPE_CHECKING:
    from c7n_iamusers.execution.calls import Subject
    from c7n_iamusers.execution.stores import Store

#: Where the copies lie.
COPIES = Path("given-back")
#: Parts of a path that lead elsewhere, and the maximum bytes of a part, with room for the name of a draft.
_ELSEWHERE, _LONGEST = frozenset(("", ".", "..")), 200


@contextmanager
def copied(outputs: Mapping[str, Store], user: Subject) -> Iterator[tuple[set[Path], Callable[[], None]]]:
    """The directories with copies of ``outputs``, by place, and a function that adds new journal lines to the bucket.

    Call it before each call. Raises ClickException, with nothing done, if a run or another restoration works on
    ``user``, or something can't be copied.
    """
    from c7n_iamusers.exceptions import IamUsersError
    from c7n_iamusers.execution.locks import holder_of
    from c7n_iamusers.execution.user_locks import UserLocks

    copies = [_Copy(place, store, user) for place, store in outputs.items() if not _is_foreign_place(place)]
    this = holder_of(f"c7n-iamusers user {user.name} --give-back")
    locks = [UserLocks(copy.store, this, alone=True) for copy in copies]

    def put_back() -> None:
        for lock, copy in zip(locks, copies, strict=True):
            lock.renew(user)
            copy.put_back()

    with ExitStack() as held:
        try:
            for lock in locks:
                held.enter_context(lock.held(user))
            directories = {copy.fetched() for copy in copies}
        except (IamUsersError, OSError) as error:
            raise click.ClickException(f"{user}: nothing was restored: {visible(str(error))}") from error
        try:
            yield directories, put_back
        finally:
            for copy in copies:
                copy.put_back()


def _is_foreign_place(place: str) -> bool:
    """Whether no run can write there. Says so, since its copy could lie in another's directory."""
    if all(map(_is_plain, place.removeprefix(S3).split("/"))):
        return False
    say(f"{place} is left out: it is no place that a run writes to: find out who wrote it", err=True)
    return True


def _is_plain(part: str) -> bool:
    return part not in _ELSEWHERE and "\0" not in part and len(part.encode()) <= _LONGEST


class _Copy:
    """Copies the user's records from ``store``, the output at ``place``."""

    def __init__(self, place: str, store: Store, user: Subject) -> None:
        from c7n_iamusers.execution.stores import DirectoryStore

        self.store, self._user = store, user
        self._files = DirectoryStore(COPIES / place.removeprefix(S3))
        self._put: bytes | None = None

    def fetched(self) -> Path:
        """The directory with the copy. A stopped run's journal of restorations stays in it."""
        from c7n_iamusers.execution.journal import RESTORE_JOURNAL

        for name in self._names():
            if content := self.store.read(name):
                self._files.replace(name, content)
        if content := self.store.read(RESTORE_JOURNAL):
            self._files.replace(RESTORE_JOURNAL, _merged(content, self._files.read(RESTORE_JOURNAL)))
        return self._files.directory

    def _names(self) -> Iterator[str]:
        """The names of the user's snapshots and journals. Names with its unique id that no run gives are reported."""
        from c7n_iamusers.execution.journal import BUCKET_JOURNALS
        from c7n_iamusers.snapshots.archive import SNAPSHOTS

        of_user = rf"[\w+=,.@-]{{1,65}}\.{re.escape(self._user.unique_id)}"
        of_run = re.compile(
            rf"{SNAPSHOTS}/{of_user}(\.\d{{1,9}})?\.json"
            rf"|{BUCKET_JOURNALS}\d{{8}}T\d{{6}}Z-[0-9a-f]{{8}}/{of_user}\.jsonl",
            re.ASCII,
        )
        for name in [*self.store.names(f"{SNAPSHOTS}/"), *self.store.names(BUCKET_JOURNALS)]:
            if of_run.fullmatch(name):
                yield name
            elif f".{self._user.unique_id}." in name:
                say(
                    f"{self.store.place(name)} is left out: no run gives this name: find out who wrote it",
                    err=True,
                )

    def put_back(self) -> None:
        """Add the new lines of the journal of restorations to the bucket's journal, to which other machines add, too.

        Raises JournalRefused.
        """
        from c7n_iamusers.exceptions import JournalRefused
        from c7n_iamusers.execution.journal import RESTORE_JOURNAL

        content = self._files.read(RESTORE_JOURNAL)
        if not content or content == self._put:
            return
        try:
            self.store.update(RESTORE_JOURNAL, lambda held: _merged(held, content))
        except OSError as error:
            raise JournalRefused(
                f"{self._user}: the journal can't be written ({error}): nothing further was touched; allow "
                "s3:GetObject and s3:PutObject there, and run again"
            ) from error
        self._put = content


def _merged(held: bytes | None, more: bytes | None) -> bytes:
    """A journal of the lines of ``held``, and of those in ``more`` that it lacks."""
    lines = [*(held or b"").splitlines(), *(more or b"").splitlines()]
    return b"".join(line + b"\n" for line in dict.fromkeys(lines))
