# SPDX-License-Identifier: Apache-2.0
"""Where runs that change something leave their journal and their result, each in a directory of its own.

A run that was killed has a journal and no result. The next one sees its work through, so it takes over what that
one created into its own result, and what is to be undone is found in one place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from c7n_iamusers.aws.bucket_journal import SegmentedJournal
from c7n_iamusers.aws.journal import Journal, JournalWriter
from c7n_iamusers.aws.journal_reader import parsed
from c7n_iamusers.aws.stores import DirectoryStore, Store, read_all
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.fleet.json_pieces import json_pieces

RUNS = "identity-center-runs"
JOURNAL, RESULT, RESULT_SCHEMA = "journal.jsonl", "result.json", 1
_SUFFIX = ".jsonl"


@dataclass(frozen=True)
class RunDirectory:
    """Of the run that began at ``time``. ``resumed``: the times of the killed runs that it carries on."""

    output: Store
    time: str
    resumed: tuple[str, ...] = ()

    @classmethod
    def begin(cls, output: Store, now: datetime) -> RunDirectory:
        """A new one. Raises OSError and IdentityCenterError."""
        return cls(output, now.strftime("%Y%m%dT%H%M%S.%fZ"), tuple(unfinished(output)))

    @property
    def result(self) -> str:
        """The name of the run's result."""
        return f"{RUNS}/{self.time}/{RESULT}"

    def journal(self) -> AbstractContextManager[JournalWriter]:
        """The run's journal. Raises OSError."""
        return open_journal(self.output, f"{RUNS}/{self.time}/{JOURNAL}")

    def lines(self) -> Iterator[dict[str, Any]]:
        """The lines of the journals that it carries on, and of its own; a line cut off by a crash is left out.

        One after the other: a large run leaves some hundred thousand.
        """
        runs = (*self.resumed, self.time)
        return (line for run in runs for line in _lines(self.output, f"{RUNS}/{run}/{JOURNAL}"))

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result; durable when this returns."""
        self.output.stream(self.result, json_pieces({**result, "resumes": list(self.resumed)}))


def open_journal(output: Store, name: str) -> AbstractContextManager[JournalWriter]:
    """The file ``name``, to append to; in a bucket objects below ``name`` less its suffix. Raises OSError."""
    if isinstance(output, DirectoryStore):
        return Journal(output.directory / name)
    return SegmentedJournal(output, name.removesuffix(_SUFFIX))


def run_of_result(result: str) -> tuple[str, str]:
    """The output, a path or URL, that a run's result lies in, or where it was moved to; and its name there."""
    place, _, name = result.rpartition("/")
    runs, _, run = place.rpartition("/")
    output, _, directory = runs.rpartition("/")
    return (output, f"{RUNS}/{run}/{name}") if output and directory == RUNS else (place, name)


def read_result(output: Store, name: str) -> dict[str, Any]:
    """A run's result. Raises IdentityCenterError where it is none."""
    try:
        content = output.read(name)
    except OSError as error:
        raise IdentityCenterError(f"{error}: so the result of a run can't be read") from error
    if content is None:
        raise IdentityCenterError(f"{output.place(name)}: there is no result of a run")
    return _result(output.place(name), content)


def read_results(output: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    """The time and result of each run that has ended. Raises IdentityCenterError and OSError."""
    names = [name for name in output.names(f"{RUNS}/", RESULT) if name.count("/") == 2]
    for name, content in read_all(output, names):
        yield name.split("/")[1], _result(output.place(name), content)


def _result(place: str, content: bytes | None) -> dict[str, Any]:
    try:
        data = json.loads(content or b"")
    except ValueError as error:
        raise IdentityCenterError(f"{place}: can't be read as the result of a run: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != RESULT_SCHEMA or "created" not in data:
        raise IdentityCenterError(
            f"{place} is not the overall result of a run (schema {RESULT_SCHEMA}): give the {RESULT} below {RUNS}/"
        )
    return data


def unfinished(output: Store) -> list[str]:
    """The times of the runs in ``output`` that were killed and that no other has carried on. Raises as above."""
    names = [name.split("/") for name in output.names(f"{RUNS}/")]
    begun = {
        parts[1] for parts in names if len(parts) > 2 and parts[2] in (JOURNAL, JOURNAL.removesuffix(_SUFFIX))
    }
    finished: set[str] = set()
    for time, result in read_results(output):
        finished |= {time, *result.get("resumes", ())}
    return sorted(begun - finished)


def _lines(output: Store, name: str) -> Iterator[dict[str, Any]]:
    segments = sorted(output.names(f"{name.removesuffix(_SUFFIX)}/"))
    for _, content in read_all(output, [name, *segments]):
        yield from parsed(content or b"")
