# SPDX-License-Identifier: Apache-2.0
"""The records of runs: the journal and the result of each, written and read."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import Journal, JournalWriter, SegmentedJournal, parsed_lines
from c7n_iamusers.execution.stores import DirectoryStore, Store, others_may_write, read_all
from c7n_iamusers.identity_center import object_records
from c7n_iamusers.identity_center.applying import record_format, served_users
from c7n_iamusers.identity_center.model import Instance
from c7n_iamusers.text.documents import MOST_JSON, NotInFormat, read_json
from c7n_iamusers.text.json_pieces import json_pieces

RUNS = "identity-center-runs"
JOURNAL, RESULT, RESULT_SCHEMA = "journal.jsonl", "result.json", 1
_SUFFIX = ".jsonl"
#: The phase of a journal's last line, with the SHA-256 of the run's result.
_PIN = "result"


@dataclass(frozen=True)
class RunDirectory:
    """The directory of the run that began at ``time``. ``resumed``: the times of the killed runs that it continues.

    ``follows``: the times of the finished runs that no other follows, so that a reader notices if they are gone. It
    does not depend on clocks which run is the last.
    """

    output: Store
    time: str
    resumed: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()

    @classmethod
    def begin(cls, output: Store, now: datetime) -> RunDirectory:
        """The directory of a new run, which continues all killed ones. Raises OSError and IdentityCenterError."""
        last, killed = _runs(output)
        return cls(output, now.strftime("%Y%m%dT%H%M%S.%fZ"), tuple(killed), tuple(last))

    @property
    def result(self) -> str:
        """The name of the run's result."""
        return f"{RUNS}/{self.time}/{RESULT}"

    def journal(self) -> AbstractContextManager[JournalWriter]:
        """The run's journal. Raises OSError."""
        return open_journal(self.output, f"{RUNS}/{self.time}/{JOURNAL}")

    def lines(self) -> Iterator[dict[str, Any]]:
        """The lines of continued runs' journals and of its own, without lines that a crash has cut off.

        An iterator: a large run has some hundred thousand lines.
        """
        return _lines_of(self.output, [f"{RUNS}/{run}/{JOURNAL}" for run in (*self.resumed, self.time)])

    def check_resumed(self, instance: Instance) -> None:
        """Raises IdentityCenterError if a continued run belongs to another instance."""
        for run in self.resumed:
            name = f"{RUNS}/{run}/{JOURNAL}"
            try:
                object_records.check_instance(
                    object_records.created_by(lines_of_journal(self.output, name)), instance
                )
            except ValueError as error:
                raise IdentityCenterError(
                    f"{self.output.place(name)}: the killed run can't be continued here: {error}: run again with the "
                    "--role and --region of that instance, or move the run's directory away; nothing was touched"
                ) from error

    def resumed_users(self) -> list[served_users.Row]:
        """The IAM users of memberships of continued runs. Raises IdentityCenterError and OSError."""
        return [row for run in self.resumed for row in users_of_killed(self.output, run)]

    def finish(self, result: dict[str, Any]) -> str:
        """Write the result's SHA-256 as the journal's last line, then the result; both are durable when this returns.

        Returns the result's SHA-256 in hex.
        """
        data = {**result, "resumes": list(self.resumed), "follows": list(self.follows)}
        subject = Subject(self.time, str(data.get("instance", "arn:aws:sso:::instance")), kind="run")
        digest = sha256()

        def content() -> Iterator[bytes]:
            for piece in json_pieces(data):
                digest.update(piece)
                yield piece
            # The result is in place only after its last piece.
            with self.journal() as journal:
                journal.write(subject, _PIN, sha256=digest.hexdigest())

        self.output.stream(self.result, content())
        return digest.hexdigest()


def users_of_killed(output: Store, time: str) -> list[served_users.Row]:
    """The IAM users of memberships of the killed run of ``time``. Raises IdentityCenterError and OSError."""
    created = object_records.created_by(lines_of_journal(output, f"{RUNS}/{time}/{JOURNAL}"))
    return served_users.read(output, f"{RUNS}/{time}", created)


def open_journal(output: Store, name: str) -> AbstractContextManager[JournalWriter]:
    """The journal ``name``; in a bucket, objects below ``name`` without its suffix. Raises OSError."""
    if isinstance(output, DirectoryStore):
        return Journal(output.directory / name)
    return SegmentedJournal(output, name.removesuffix(_SUFFIX))


def run_of_result(result: str) -> tuple[str, str]:
    """The output (a path or URL) of a run's result, and the result's name in it. The result may have been moved."""
    place, _, name = result.rpartition("/")
    runs, _, run = place.rpartition("/")
    output, _, directory = runs.rpartition("/")
    return (output, f"{RUNS}/{run}/{name}") if output and directory == RUNS else (place, name)


def time_of_result(name: str) -> str:
    """The time of the run with the result ``name``; empty if the result was moved."""
    parts = name.split("/")
    return parts[1] if parts[0] == RUNS and len(parts) == 3 else ""


def read_result(output: Store, name: str, digest: str = "") -> dict[str, Any]:
    """The result of a run. Raises IdentityCenterError if it can't be read, or has another SHA-256 than ``digest``.

    ``digest``: in hex; empty for any.
    """
    try:
        content = output.read(name)
    except OSError as error:
        raise IdentityCenterError(f"the result of a run can't be read: {error}") from error
    if content is None:
        raise IdentityCenterError(f"{output.place(name)}: no such result of a run")
    if digest and digest.lower() != (actual := sha256(content).hexdigest()):
        raise IdentityCenterError(
            f"{output.place(name)} has the SHA-256 {actual}, not {digest}: it was changed after the run"
        )
    data = _result(output.place(name), content)
    _check_pin(output, name, content)
    return data


def read_results(output: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    """Time and result of each finished run. Raises IdentityCenterError and OSError.

    It refuses a result that its journal does not pin, and one of a run that follows a missing run: nobody would know
    for which IAM users that run gave access.
    """
    names = [name for name in output.names(f"{RUNS}/", RESULT) if name.count("/") == 2]
    times = {name.split("/")[1] for name in names}
    for name, content in read_all(output, names):
        data = _result(output.place(name), content)
        _check_pin(output, name, content or b"")
        follows = set(data.get("follows", ())) - times
        for lost in sorted(follows and follows - with_journal(output)):
            raise IdentityCenterError(f"{output.place(f'{RUNS}/{lost}')} is missing: {_LOST}")
        yield name.split("/")[1], data


def check_writers(output: Store) -> None:
    """Raises IdentityCenterError if others can write the records of earlier runs in a directory.

    In a bucket, the bucket policy decides who can write.
    """
    if not isinstance(output, DirectoryStore):
        return
    for name in output.names(f"{RUNS}/"):
        if why := others_may_write(output.directory, name):
            raise IdentityCenterError(
                f"{output.place(name)} is not trusted: {why}. Nothing was touched: find out who wrote it, and make "
                f"this run's user the only owner and writer of the output, or move the file away; or, if you trust "
                "everyone who can write there, give --trust-intents"
            )


def _check_pin(output: Store, name: str, content: bytes) -> None:
    """Raises IdentityCenterError unless the last line of the journal of result ``name`` has its SHA-256; OSError."""
    journal = journals_of(name, {})[-1]
    segments = sorted(output.names(f"{journal.removesuffix(_SUFFIX)}/"))
    ((_, texts),) = _texts(output, [segments[-1] if segments else journal])
    ends = deque(texts, maxlen=1)
    last = next(parsed_lines(ends, output.place(journal)), {}) if ends else None
    if last is None:
        raise IdentityCenterError(f"{output.place(journal)} is missing or empty: {_LOST}")
    if last.get("phase") != _PIN or last.get("sha256") != sha256(content).hexdigest():
        raise IdentityCenterError(
            f"{output.place(name)} is not as the run wrote it: the last line of {output.place(journal)} does not have "
            f"its SHA-256: {_CHANGED}"
        )


def _result(place: str, content: bytes | None) -> dict[str, Any]:
    try:
        data = read_json(content or b"", most=MOST_JSON)
    except NotInFormat as error:
        raise IdentityCenterError(f"{place}: can't be read as the result of a run: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != RESULT_SCHEMA or "created" not in data:
        raise IdentityCenterError(
            f"{place} is not the overall result of a run (schema {RESULT_SCHEMA}): give the {RESULT} below {RUNS}/"
        )
    try:
        record_format.check_result(data)
    except ValueError as error:
        raise IdentityCenterError(
            f"{place}: can't be read as the result of a run: {error}: {_CHANGED}"
        ) from error
    return data


_CHANGED = "it was changed after the run; find out who did; nothing was touched"
_LOST = (
    "without the records of that run nobody knows for which IAM users it gave access; nothing was touched. Bring "
    "the records back, from a backup or from earlier versions of the objects, and stop what removes them, such as a "
    "lifecycle rule; or, if they are lost, begin in another place (--records, with --new-records): earlier "
    "assignments then count as others'"
)


def journals_of(name: str, result: Mapping[str, Any]) -> list[str]:
    """The names of the journals of a run with result ``name``: those of continued runs, then its own beside it."""
    own = f"{name[: name.rfind('/') + 1]}{JOURNAL}"
    return [*(f"{RUNS}/{run}/{JOURNAL}" for run in result.get("resumes", ())), own]


def check_journaled(output: Store, name: str, result: Mapping[str, Any]) -> None:
    """Raises IdentityCenterError if result ``name`` has objects that its runs' journals lack."""
    if kinds := _not_journaled(output, name, result):
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        raise IdentityCenterError(
            f"{output.place(name)} says that the run created or removed {counts}, but its journal "
            f"{output.place(journals_of(name, result)[-1])} does not show that. It was changed after the run, or the "
            "journal of this run, or of one that it continued, is missing: give the result in its original place; "
            "nothing was touched"
        )


def _not_journaled(output: Store, name: str, result: Mapping[str, Any]) -> Counter[str]:
    """How many objects of each kind result ``name`` has that its runs' journals lack."""
    names = journals_of(name, result)
    shown_created = {_digest(each.as_data()) for each in object_records.created_by(_lines_of(output, names))}
    shown_removed = {_digest(each.as_data()) for each in object_records.removed_by(_lines_of(output, names))}
    created = [row for row in result["created"] if _digest(row) not in shown_created]
    removed = [
        row
        for row in result.get("removed", ())
        if _digest(object_records.Removed.from_data(row).as_data()) not in shown_removed
    ]
    return Counter(row["kind"] for row in (*created, *removed))


def _digest(row: Mapping[str, Any]) -> bytes:
    return sha256(json.dumps(row, sort_keys=True).encode()).digest()


def with_journal(output: Store, journal: str = JOURNAL) -> set[str]:
    """The times of runs that have a journal of that name. Raises OSError."""
    names = (name.split("/") for name in output.names(f"{RUNS}/"))
    forms = (journal, journal.removesuffix(_SUFFIX))
    return {parts[1] for parts in names if len(parts) > 2 and parts[2] in forms}


def unfinished(output: Store) -> list[str]:
    """The times of killed runs that no other run has continued. Raises as ``read_results``."""
    return _runs(output)[1]


def _runs(output: Store) -> tuple[list[str], list[str]]:
    """The sorted times of finished runs that no other follows, and of killed ones that no other has continued.

    A copy of a run's directory under another name is neither.
    """
    finished, followed, ended = set[str](), set[str](), set[str]()
    for time, result in read_results(output):
        finished.add(time)
        followed |= {*result.get("follows", ())}
        ended |= {time, *result.get("resumes", ())}
    last, killed = finished - followed, with_journal(output) - ended
    return sorted(filter(record_format.is_run, last)), sorted(filter(record_format.is_run, killed))


def _lines_of(output: Store, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    return (line for name in names for line in lines_of_journal(output, name))


def lines_of_journal(output: Store, name: str) -> Iterator[dict[str, Any]]:
    """The lines of a journal. Raises IdentityCenterError for lines that no run writes.

    A line that a crash has cut off is left out.
    """
    segments = sorted(output.names(f"{name.removesuffix(_SUFFIX)}/"))
    for part, texts in _texts(output, [name, *segments]):
        for line in parsed_lines(texts, output.place(part)):
            try:
                record_format.check_line(line)
            except ValueError as error:
                raise IdentityCenterError(
                    f"{output.place(part)}: can't be read as the journal of a run: {error}: {_CHANGED}"
                ) from error
            yield line


def _texts(output: Store, names: Sequence[str]) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Each name with its lines. A file is read line by line; the objects in a bucket have a few lines each."""
    if isinstance(output, DirectoryStore):
        yield from ((name, output.lines(name)) for name in names)
    else:
        yield from ((name, (content or b"").splitlines()) for name, content in read_all(output, names))
