# SPDX-License-Identifier: Apache-2.0
"""Reads the calls in files at the places that somebody names: a file, or all files below a directory or prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPException
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.execution.given import is_directory, pieces_of, shown_place
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.key_usage.event_files import count_events
from c7n_iamusers.key_usage.model import KeyUsage
from c7n_iamusers.key_usage.tally import Tally
from c7n_iamusers.text.wording import shown

#: How the names of log files and results end, below a directory.
_ENDINGS = (".json", ".json.gz", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz")
#: What CloudTrail writes beside its log files ("CloudTrail log file examples"): hashes, and unusual rates.
_OTHERS = ("CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-Aggregated")
#: Problems that are told of each key; all are in ``EventPlaces.problems``.
_MOST_PROBLEMS = 3
#: What reading a place raises. NotInFormat is a ValueError.
_UNREADABLE = (OSError, ValueError, HTTPException, ClientError, BotoCoreError)


@dataclass
class EventPlaces:
    """``tally``: the calls in all files that were read. ``problems``: what could not be read, each with its place."""

    tally: Tally
    as_of: datetime
    places: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)

    @property
    def source(self) -> str:
        """What it is called in ``KeyUsage.source``."""
        return f"calls in {shown([shown_place(place) for place in self.places])}"

    def usage_of(self, key_id: str) -> KeyUsage:
        """The calls of one key. If something could not be read, there may be more: ``more``, with the ``problem``.

        ``more`` too where the key has more groups than are kept, so that not all its callers are known.
        """
        return KeyUsage(
            key_id,
            self.tally.groups_of(key_id),
            self.source,
            self.as_of,
            more=bool(self.problems) or key_id in self.tally.overfull,
            problem=shown(self.problems, _MOST_PROBLEMS, "; "),
        )


def read_event_places(
    places: Sequence[str],
    tally: Tally,
    now: datetime,
    s3: Callable[[str | None], Any],
    store: Callable[[str], Store],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> EventPlaces:
    """Count the calls in all files at ``places``. One that can't be read hides no other.

    A place that ends with / stands for all log files and results below it. ``s3``: makes a client for a Region.
    ``store``: of a place that ends with /. ``progress``: gets how many files of the place are read, of how many.
    """
    found = EventPlaces(tally, now, tuple(places))
    for place in places:
        try:
            files = list(_files(place, store))
        except _UNREADABLE as error:
            found.problems.append(f"{shown_place(place)}: {error}")
            continue
        for number, file in enumerate(files, 1):
            _count(file, found, s3)
            progress(number, len(files))
    if tally.left_out:
        calls = "1 call is" if tally.left_out == 1 else f"{tally.left_out} calls are"
        found.problems.append(f"there are more keys than can be counted: {calls} left out")
    return found


def _count(file: str, found: EventPlaces, s3: Callable[[str | None], Any]) -> None:
    try:
        faults = count_events(pieces_of(file, s3), found.tally)
    except _UNREADABLE as error:
        found.problems.append(f"{shown_place(file)}: {error}")
        return
    if faults.number:
        found.problems.append(f"{shown_place(file)}: {faults}")


def _files(place: str, store: Callable[[str], Store]) -> Iterator[str]:
    if not is_directory(place):
        yield place
        return
    held = store(place)
    names = [
        name
        for name in sorted(held.names(""))
        if name.endswith(_ENDINGS) and not any(other in name for other in _OTHERS)
    ]
    if not names:
        raise ValueError(f"there is no file below it whose name ends with {shown(_ENDINGS, len(_ENDINGS))}")
    yield from map(held.place, names)
