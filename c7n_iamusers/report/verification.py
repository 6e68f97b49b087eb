# SPDX-License-Identifier: Apache-2.0
"""Whether what runs left is as they wrote it: chains of journals, snapshots, outcomes, plans, notices.

Reading for gates is tolerant, since a killed run leaves half a line. This is strict, and says what it finds. No line
holds the digest of the last one, so an end that was cut off shows in what else is there: an outcome, a snapshot, a
result whose line is missing.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from c7n_iamusers.execution.journal import DECISION, RESTORE_JOURNAL
from c7n_iamusers.execution.journal_format import Chain, chain_of
from c7n_iamusers.execution.outcomes import OUTCOMES, provisioned_fault, rows_of
from c7n_iamusers.execution.output_layout import Layout
from c7n_iamusers.execution.stores import JOURNAL, DirectoryStore, Store, read_all
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.report.derived_status import Asked, Denials
from c7n_iamusers.report.journal_calls import Call, Calls
from c7n_iamusers.report.key_lines import KeyRecords
from c7n_iamusers.report.line_checks import Checks, Lines, Restorations
from c7n_iamusers.report.outcome_matching import Changes, Ends
from c7n_iamusers.report.output_names import (
    JOURNALS,
    OBJECT,
    OF_CUSTODIAN,
    PLAN,
    RESULT,
    RESULT_FILE,
    RUNS,
    SEGMENT,
    STRAY,
    UNDO_JOURNAL,
    UNDONE,
    OutputName,
    what_is,
)
from c7n_iamusers.report.output_names import SNAPSHOT as SNAPSHOT_FILE
from c7n_iamusers.report.output_shapes import RESULT_SHAPE
from c7n_iamusers.report.snapshot_checks import SnapshotLines
from c7n_iamusers.text.documents import LARGEST_RECORD, MOST_JSON, NotInFormat, read_json
from c7n_iamusers.text.kept import Kept
from c7n_iamusers.text.wording import shown

#: What is told, and neither wrong nor to be looked at.
NOTE = "note"
#: Of a journal at most so many faults are named.
_MOST, _GZIP_MARK = 5, b"\x1f\x8b"
#: Characters of what is told of one thing.
_LONGEST = 2_000
#: Of provisioning: the phase of a journal's line with the SHA-256 of the run's result.
_RESULT = "result"
_PACKED = "is packed, and no run packs it: reports read it, and what it says is proven by nothing"
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """One line of what was found. ``level``: BLOCKING, ATTENTION or NOTE. ``place``: the file. ``why``: in words."""

    level: str
    place: str
    why: str

    def __post_init__(self) -> None:
        for name, text in (("place", self.place), ("why", self.why)):
            if len(text) > _LONGEST:  # whoever wrote a line chose what is told of it
                object.__setattr__(self, name, f"{text[:_LONGEST]}...")

    def as_data(self) -> dict[str, str]:
        """JSON types only."""
        return {"level": self.level, "place": self.place, "why": self.why}


@dataclass
class _Output:
    """What the journals of one directory say."""

    snapshots: SnapshotLines = field(default_factory=SnapshotLines)
    ends: Ends = field(default_factory=Ends)
    lines: Lines = field(default_factory=Lines)
    results: set[str] = field(default_factory=set)
    decisions: list[Line] = field(default_factory=list)


@dataclass
class Verified:
    """``found``: in the order of the files. ``counts``: what was read -> how many. ``calls``: of all journals.

    ``keeps_calls``: whether these are wanted; a journal may have a million. ``decisions``: on what deletions rest, each
    with the place of its output. ``plans``: the SHA-256 of those that were read. ``changes``: of all journals.
    ``proven``, ``unproven`` and ``asked``: as in Lines, the latter two with the place of the output. ``denials``
    and ``keys``: by all journals.
    """

    keeps_calls: bool = False

    found: list[Found] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    calls: list[Call] = field(default_factory=list)
    decisions: list[tuple[str, Line]] = field(default_factory=list)
    plans: set[str] = field(default_factory=set)
    changes: Changes = field(default_factory=Changes)
    proven: set[tuple[str, datetime | str]] = field(default_factory=set)
    unproven: list[tuple[str, str, datetime | str, str]] = field(default_factory=list)
    denials: Denials = field(default_factory=Denials)
    asked: list[tuple[str, Asked]] = field(default_factory=list)
    keys: KeyRecords = field(default_factory=KeyRecords)

    def read(self, place: str, output: str, line: Line) -> None:
        """Take the next line of the journal at ``place``, which is of users, of the output at ``output``."""
        self.keys.read(place, output, line)
        self.changes.read(place, line)
        self.denials.read(place, line)

    def add(self, level: str, place: str, why: str) -> None:
        """Note what was found."""
        self.found.append(Found(level, place, why))


def verify_outputs(
    store: Store,
    plan_fault: Callable[[bytes], str],
    verified: Verified,
    known: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Verify everything below ``store``. ``plan_fault``: why the content is no plan of a run; empty if it is one.

    ``known``: the name of each account of the accounts file -> its id. In the directory of an account, lines on users
    of another are found, and neither prove nor contradict anything. Raises OSError if the place can't be listed. A file
    that can't be read is found.
    """
    _Verification(store, plan_fault, verified, known).run()


class _Verification:
    def __init__(
        self,
        store: Store,
        plan_fault: Callable[[bytes], str],
        verified: Verified,
        known: Mapping[str, str],
    ) -> None:
        self._store, self._plan_fault, self._verified, self._known = store, plan_fault, verified, known
        self._outputs = defaultdict[str, _Output](_Output)
        self._present: frozenset[str] = frozenset()
        #: What a file is -> those files.
        self._of = defaultdict[str, list[OutputName]](list)
        #: Places of outputs of provisioning, whose outcomes have no lines.
        self._provisioning: frozenset[str] = frozenset()

    def run(self) -> None:
        files = [what_is(name) for name in self._store.names("")]
        self._present = frozenset(each.full for each in files)
        self._provisioning = frozenset(
            each.full.rpartition(f"{RUNS}/")[0] if each.provisions else each.place
            for each in files
            if each.provisions or each.what == RESULT_FILE
        )
        for each in files:
            self._named(each)
            self._of[each.what].append(each)
        self._journals()
        self._snapshots()
        self._files()
        for place, output in self._outputs.items():
            self._verified.decisions += [(place, line) for line in output.decisions]
            self._verified.proven |= output.lines.proven
            where = self._store.place(place)
            self._verified.unproven += [(where, *each) for each in output.lines.unproven]
            self._verified.asked += [(where, each) for each in output.lines.asked]

    def _contents(
        self, files: Iterable[OutputName], largest: int | None = None
    ) -> Iterator[tuple[OutputName, bytes]]:
        """Each file that is not packed, and its content. Reports read no packed ones of these."""

        def unread(name: str, error: OSError) -> None:
            self._verified.add(BLOCKING, self._store.place(name), f"can't be read: {error}")

        bound = {} if largest is None else {"largest": largest}
        of_name = {each.full: each for each in files if not each.is_packed}
        for name, content in read_all(self._store, list(of_name), unread=unread, **bound):
            if (content or b"").startswith(_GZIP_MARK):
                self._verified.add(BLOCKING, self._store.place(name), _PACKED)
            else:
                yield of_name[name], content or b""

    def _named(self, file: OutputName) -> None:
        """Note what is wrong with the name of a file: reports read packed files, and no run packs its own."""
        place, in_directory = self._store.place(file.full), isinstance(self._store, DirectoryStore)
        if file.fault:
            self._verified.add(BLOCKING, place, file.fault)
        elif file.what == STRAY:
            self._verified.add(BLOCKING, place, "no run writes an object of this name")
        elif not (file.is_packed and (file.what or file.provisions)):
            return
        elif f"{file.place}{file.within}" in self._present:
            self._verified.add(BLOCKING, place, "lies here twice, packed and not")
        elif file.what not in OF_CUSTODIAN:
            self._verified.add(BLOCKING, place, _PACKED)
        elif in_directory and not file.is_dated:
            why = "Cloud Custodian packs it in a bucket alone: find out who did"
            self._verified.add(ATTENTION, place, f"is packed, and {why}")

    def _journals(self) -> None:
        for file, content in self._contents(each for kind in JOURNALS for each in self._of[kind]):
            chain = self._chain(file.place, file.full, content, forks=file.what == RESTORE_JOURNAL)
            self._begins(file.full, chain, {""})
        objects = defaultdict[tuple[str, str], list[tuple[str, Chain]]](list)
        for file, content in self._contents(self._of[OBJECT]):
            chain = self._chain(file.place, file.full, content, only=file.of)
            objects[file.place, file.of].append((file.full, chain))
        for chains in objects.values():
            known = {"", *(chain.last for _, chain in chains)}
            for name, chain in chains:
                self._begins(name, chain, known)
        self._segments()

    def _segments(self) -> None:
        """The objects of a journal, one after the other, are one chain."""
        journals = defaultdict[tuple[str, str], list[bytes]](list)
        for file, content in self._contents(sorted(self._of[SEGMENT], key=lambda each: each.full)):
            journals[file.place, f"{file.place}{file.of}"].append(content)
        for (place, journal), contents in journals.items():
            self._begins(journal, self._chain(place, journal, b"".join(contents)), {""})

    def _begins(self, name: str, chain: Chain, known: Collection[str]) -> None:
        if 1 in chain.torn and chain.lines > 1:
            why = "its first line is incomplete: a run was killed there, or what was before it was removed"
            self._verified.add(ATTENTION, self._store.place(name), why)
        elif chain.lines and 1 not in (*chain.torn, *chain.faults) and chain.first not in known:
            why = "its first line follows one that is not there: what was before it was removed"
            self._verified.add(BLOCKING, self._store.place(name), why)

    def _chain(self, place: str, name: str, content: bytes, forks: bool = False, only: str = "") -> Chain:
        """``only``: the unique id of the user whose lines these are, by the object's name; empty for all."""
        output, where = self._outputs[place], self._store.place(name)
        of_users = RUNS not in place.split("/")
        is_of_runs = of_users and (bool(only) or name == f"{place}{JOURNAL}")
        calls = Calls(where, of_users, self._verified.keeps_calls, restores=not is_of_runs)
        others = (output.lines if is_of_runs else Restorations()) if of_users else None
        checks = Checks(calls, others, only)

        def read(line: Line) -> None:
            _note(output, line)
            checks.read(line)
            if of_users:
                self._verified.read(where, self._store.place(place).rstrip("/"), line)
            if is_of_runs:
                output.ends.read(line)

        chain = self._read(place, name, content, read, forks)
        self._verified.calls += calls.ended()
        self._tell(chain, where)
        # two machines that restore from one bucket have a clock each, and are hours apart
        faults = checks.faults + ([] if chain.forked else checks.disorder)
        self._tell_several(where, faults, "more lines are contradicted by others")
        for doubt in checks.doubts[:_MOST]:
            self._verified.add(ATTENTION, where, doubt)
        if calls.open:
            why = f"{of(calls.open, 'call')} without an answer: a run was stopped there"
            self._verified.add(ATTENTION, where, why)
        return chain

    def _read(
        self, place: str, name: str, content: bytes, read: Callable[[Line], None], forks: bool
    ) -> Chain:
        """The chain of a journal. ``read`` takes each line, but for those on users of another account."""
        owner = Layout.of([*filter(None, place.split("/"))], self._known).owner(self._known, "")
        foreign = list[str]()

        def take(line: Line) -> None:
            if RUNS not in place.split("/") and owner.is_of_another(line["arn"]):
                foreign.append(line["arn"])
            else:
                read(line)

        chain = chain_of(content, take, forks)
        self._verified.counts["journals"] += 1
        self._verified.counts["lines"] += chain.lines
        if foreign:
            self._verified.add(BLOCKING, self._store.place(name), owner.refusal(foreign))
        return chain

    def _tell_several(self, where: str, faults: Sequence[str], more: str) -> None:
        for fault in faults[:_MOST]:
            self._verified.add(BLOCKING, where, fault)
        if len(faults) > _MOST:
            self._verified.add(BLOCKING, where, f"{len(faults) - _MOST} {more}")

    def _tell(self, chain: Chain, where: str) -> None:
        add = self._verified.add
        faults = [f"line {number}: {fault}" for number, fault in chain.faults.items()]
        self._tell_several(where, faults, "more lines are not as a run wrote them")
        if chain.cut:
            add(ATTENTION, where, "its last line is incomplete: a run was killed, or the end was cut off")
        if torn := [number for number in chain.torn if number < chain.lines]:
            which = ", ".join(map(str, torn[:_MOST]))
            why = "incomplete since a run was killed: the next line proves what is before"
            add(NOTE, where, f"line {which}: {why}")
        if chain.forked:
            which = ", ".join(map(str, chain.forked[:_MOST]))
            why = "written while another machine wrote, too: in which order is not proven"
            add(ATTENTION, where, f"line {which}: {why}")

    def _snapshots(self) -> None:
        seen = defaultdict[str, set[str]](set)
        for output in self._outputs.values():
            output.snapshots.end()
        for file, content in self._contents(self._of[SNAPSHOT_FILE], LARGEST_RECORD):
            seen[file.place].add(file.within)
            self._verified.counts["snapshots"] += 1
            if fault := self._outputs[file.place].snapshots.fault(file.within, content):
                self._verified.add(*fault[:1], self._store.place(file.full), fault[1])
        for place, output in list(self._outputs.items()):
            for name in sorted(output.snapshots.pins.keys() - seen[place]):
                file = what_is(f"{place}{name}")
                if (file.what, file.place) != (SNAPSHOT_FILE, place):
                    why = "is named as a snapshot by the journal, and no run gives one such a name"
                    self._verified.add(BLOCKING, self._store.place(file.full), why)
                elif file.full not in self._present:
                    by, why = output.snapshots.given_up.get(name), "is gone: its journal names it"
                    why += f", and that it is for good, by {by}" if by else ""
                    self._verified.add(NOTE if by else BLOCKING, self._store.place(file.full), why)

    def _files(self) -> None:
        """Outcomes, plans and results of provisioning."""
        for file, content in self._contents(self._of[OUTCOMES]):
            self._verified.counts["outcome files"] += 1
            self._outcomes(file, content)
        for file, content in self._contents(self._of[PLAN]):
            self._verified.counts["plans"] += 1
            self._verified.plans.add(hashlib.sha256(content).hexdigest())
            if fault := self._plan_fault(content):
                self._verified.add(BLOCKING, self._store.place(file.full), fault)
        for file, content in self._contents(self._of[RESULT_FILE]):
            self._verified.counts["results"] += 1
            self._provisioned(self._store.place(file.full), content)
        for place, output in self._outputs.items():
            if f"{place}{OUTCOMES}" not in self._present and (users := output.ends.users):
                why = f"is not there, and the journal beside it has outcomes of {of(users, 'user')}"
                self._verified.add(ATTENTION, self._store.place(f"{place}{OUTCOMES}"), why)
        self._results()
        self._undos()

    def _results(self) -> None:
        """The results of provisioning, and those that a journal names."""
        resumed, followed = set[str](), set[str]()
        for file, content in self._contents(self._of[RESULT]):
            self._verified.counts["results"] += 1
            digest = hashlib.sha256(content).hexdigest()
            if digest not in self._outputs[file.place].results:
                why = f"has the SHA-256 {digest}, and no line of its journal says so"
                self._verified.add(BLOCKING, self._store.place(file.full), why)
            else:
                runs = f"{file.place.rpartition(f'{RUNS}/')[0]}{RUNS}/"
                resumed |= {f"{runs}{run}/" for run in _lists(content, "resumes")}
                followed |= {f"{runs}{run}/" for run in _lists(content, "follows")}
        for place in sorted(followed - {name.rpartition("/")[0] + "/" for name in self._present}):
            if place not in self._outputs:
                why = "is gone: the result of the next run names it"
                self._verified.add(BLOCKING, self._store.place(place), why)
        for place, output in list(self._outputs.items()):
            if output.results and f"{place}{RESULT}" not in self._present and place not in resumed:
                why = "is gone: its journal has its SHA-256"
                self._verified.add(BLOCKING, self._store.place(f"{place}{RESULT}"), why)

    def _undos(self) -> None:
        """Whether each result of an undo has a journal, and each journal of an undo has a result."""
        directory = UNDO_JOURNAL.removesuffix(".jsonl")
        parts = (each for kind in (SEGMENT, STRAY) for each in self._of[kind])
        of_parts = (each for each in parts if each.within.startswith(f"{directory}/"))
        journals = [*self._of[UNDO_JOURNAL], *of_parts]
        journaled, told = {each.place for each in journals if each.provisions}, set[str]()
        for file, content in self._contents(self._of[UNDONE]):
            told.add(file.place)
            if file.place not in journaled and any(_lists(content, "removed", "returned", "failed")):
                why = "says what an undo did, and no journal of an undo lies beside it"
                self._verified.add(BLOCKING, self._store.place(file.full), why)
        for place in sorted(journaled - told):
            why = f"no {UNDONE} lies beside it: the undo was stopped, or that was removed"
            self._verified.add(ATTENTION, self._store.place(f"{place}{directory}"), why)

    def _outcomes(self, file: OutputName, content: bytes) -> None:
        place, ends = self._store.place(file.full), self._outputs[file.place].ends
        try:
            rows = rows_of(place, content)
        except ValueError as error:
            self._verified.add(BLOCKING, place, str(error))
            return
        for level, why in ends.faults(rows, file.place in self._provisioning):
            self._verified.add(level, place, why)

    def _provisioned(self, place: str, content: bytes) -> None:
        try:
            found = read_json(content, Kept(("users", "arn", "status", "history")).of, MOST_JSON)
            RESULT_SHAPE(found, "a result of provisioning")
            faults = [fault for row in found["users"] if (fault := provisioned_fault(row))]
        except ValueError as error:
            faults = [str(error)]
        if faults:
            self._verified.add(
                BLOCKING, place, f"is not a result of provisioning that a run leaves: {shown(faults)}"
            )


def _lists(content: bytes, *names: str) -> Iterator[Any]:
    """What is in the lists ``names`` of a JSON object, as far as it has them."""
    try:
        found = read_json(content, Kept(names).of, MOST_JSON)
    except NotInFormat:
        return
    for name in names if isinstance(found, Mapping) else ():
        yield from found[name] if isinstance(found.get(name), list) else ()


def _note(output: _Output, line: Line) -> None:
    phase = line["phase"]
    output.snapshots.read(line)
    if phase == _RESULT:
        output.results.add(str(line.get("sha256")))
    elif phase == DECISION:
        output.decisions.append(_decision(line))


def _decision(line: Line) -> Line:
    """What is read of it, of a line that may be as long as its writer likes."""
    kept = {"plan": ("place", "sha256"), "announcement": ("notice", "sha256")}
    told = {name: {key: line[name].get(key) for key in keys} for name, keys in kept.items() if line.get(name)}
    return {"arn": line["arn"], **told}


def of(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
