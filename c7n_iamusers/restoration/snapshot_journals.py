# SPDX-License-Identifier: Apache-2.0
"""What the journals of outputs say of snapshots, and whose users each output may tell of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from c7n_iamusers.execution.journal import GIVEN_UP, RESTORE_JOURNAL, SNAPSHOT, JournalReader
from c7n_iamusers.execution.output_layout import DATE, DATE_PARTS, REGION, Layout, Owner
from c7n_iamusers.execution.stores import JOURNAL, DirectoryStore, read_file
from c7n_iamusers.snapshots.archive import SNAPSHOTS
from c7n_iamusers.snapshots.before_deny import given_up
from c7n_iamusers.text.documents import NotInFormat, read_json
from c7n_iamusers.text.validators import is_account_id
from c7n_iamusers.text.wording import shown

#: A user: its account's id and its unique id. Who writes for one account can name the unique ids of others' users.
Key = tuple[str, str]
#: Cloud Custodian's record of the run.
_METADATA = "metadata.json"
#: The directories that say whose an output is: the account's name, the Region, and the policy's own.
_OWN_PARTS = 3


def key_of(arn: str, unique_id: str) -> Key:
    return arn.split(":")[4], unique_id


@dataclass(frozen=True)
class Pins:
    """What a run's journal says of snapshots. ``digests``: name -> SHA-256. ``names``: key of a user -> names.

    ``arns``: key -> ARN. ``given_up``: see ``before_deny.given_up``. ``refused``: why lines about some users are
    left out; empty if none are.
    """

    digests: Mapping[str, set[str]]
    names: Mapping[Key, set[str]]
    arns: Mapping[Key, str]
    given_up: Mapping[str, datetime]
    refused: str = ""


def owner_of(run: Path, paths: Sequence[Path], known: Mapping[str, str]) -> Owner:
    """Whose users the output ``run`` may tell of, by its place below the one of ``paths`` that it was found in.

    The path's own name counts, too: a shell makes ``output/*`` the directories of the accounts, or of their Regions,
    and ``output/*/*/*`` the outputs themselves. So does each directory below the one that all paths have in common.
    """
    place = next((path for path in paths if run != path and run.is_relative_to(path)), None)
    if place:
        above = place.parent.parent if REGION.fullmatch(place.name) else place.parent
    else:
        above = [*run.parents][: _OWN_PARTS + (DATE_PARTS if _is_date(run) else 0)][-1]
    top = next(each for each in (run, *run.parents) if all(path.is_relative_to(each) for path in paths))
    above = top if above.is_relative_to(top) else above
    try:
        content = read_file(run / _METADATA) or b"{}"
        account = str(read_json(content)["config"]["account_id"])
    except (OSError, NotInFormat, KeyError, TypeError):
        account = ""
    return Layout.of(run.relative_to(above).parts, known, above.parts).owner(
        known, account if is_account_id(account) else ""
    )


def _is_date(run: Path) -> bool:
    return DATE.fullmatch("/".join(run.parts[-DATE_PARTS:])) is not None


class Journals:
    """The journals of outputs, each read once, on first use. ``of_run``: see ``owner_of``."""

    def __init__(self, of_run: Callable[[Path], Owner]) -> None:
        self.owner = cache(of_run)
        self.of = dict[Path, JournalReader]()
        self.versions = dict[Path, Any]()
        self._pins = dict[Path, Pins | OSError]()

    def pins(self, run: Path) -> Pins | OSError:
        """What the journal of ``run`` says of snapshots, or the error if it can't be read."""
        if run not in self.of:
            self.versions[run] = version_of(run)
            self.of[run] = journal_of(run)
            self._pins[run] = pins_of(self.of[run], self.owner(run))
        return self._pins[run]

    def refused(self) -> Iterator[str]:
        """What the journals that were read tell and nobody believes, in words."""
        for run in sorted(self.of):
            if isinstance(pins := self._pins[run], Pins) and pins.refused:
                yield f"{run / JOURNAL} {pins.refused}"

    def unread(self, runs: Iterable[Path]) -> Iterator[str]:
        """Those of the ``runs`` not read so far whose journal can't be read, in words."""
        for run in sorted({*runs} - self.of.keys()):
            if isinstance(fault := self.pins(run), OSError):
                yield f"{run}: it is unknown whether a snapshot of a user is missing there: {fault}"

    def missing(self, user: Key, runs: Iterable[Path] | None = None) -> dict[str, datetime | None]:
        """The user's snapshots that a journal (of ``runs``, or any) names and its output lacks.

        Each with the time of its writing if it was given up, else None.
        """
        pins = {run: self.pins(run) for run in sorted(self.of if runs is None else runs)}
        return {
            str(place): of_run.given_up.get(name)
            for run, of_run in pins.items()
            if isinstance(of_run, Pins)
            for name in sorted(of_run.names.get(user, ()))
            if not (place := run / SNAPSHOTS / PurePosixPath(name).name).exists()
        }

    def told_without_files(self, runs: Set[Path], others: Set[Key]) -> Iterator[tuple[str, str]]:
        """The users in the journals of ``runs``, except ``others``, whose snapshots are missing.

        Each with its ARN and a sentence.
        """
        pins = (each for run in runs if isinstance(each := self.pins(run), Pins))
        arns = {key: arn for each in pins for key, arn in each.arns.items()}
        for key in sorted(arns.keys() - others):
            if places := self.missing(key, runs):
                yield arns[key], f"{arns[key]}: not restored: {told_missing(places)}"


def told_missing(places: Iterable[str]) -> str:
    return (
        f"snapshots in the journal are missing here: {shown([*places])}: bring them back; to restore from an earlier "
        "one anyway, copy that file to a directory of its own, and give that"
    )


def journal_of(run: Path) -> JournalReader:
    return JournalReader(lambda: [DirectoryStore(run)])


def pins_of(journal: JournalReader, owner: Owner) -> Pins | OSError:
    """The pins, or the error of an unreadable journal, so that it is read once and not for each user."""
    try:
        return _pinned(journal, owner)
    except OSError as error:
        return error


def _pinned(journal: JournalReader, owner: Owner) -> Pins:
    digests, names = defaultdict[str, set[str]](set), defaultdict[Key, set[str]](set)
    arns, gone, refused = dict[Key, str](), list[Mapping[str, Any]](), ""
    for line in journal.lines():
        if why := owner.refuses(line.get("arn")):
            refused = refused or why
            continue
        if line.get("phase") in (SNAPSHOT, GIVEN_UP):
            gone.append({name: line.get(name) for name in ("phase", "snapshot", "time")})
        if line.get("phase") == SNAPSHOT:
            name = str(line.get("snapshot"))
            digests[name].add(str(line.get("sha256")))
            key = key_of(line["arn"], line["unique_id"])
            names[key].add(name)
            arns[key] = line["arn"]
    return Pins(digests, names, arns, given_up(gone), refused)


def version_of(run: Path) -> Any:
    """A value that changes with the journals in the output ``run``."""
    found = DirectoryStore(run).entries("")
    return [found.get(name) for name in (JOURNAL, RESTORE_JOURNAL)]
