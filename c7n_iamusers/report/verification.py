# SPDX-License-Identifier: Apache-2.0
"""Whether what runs left is as they wrote it: chains of journals, snapshots, outcomes, plans, notices.

Reading for gates is tolerant, since a killed run leaves half a line. This is strict, and says what it finds. No line
holds the digest of the last one, so an end that was cut off shows in what else is there: an outcome, a snapshot, a
result whose line is missing.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from c7n_iamusers.exceptions import SnapshotInvalid
from c7n_iamusers.execution.calls import BEFORE
from c7n_iamusers.execution.journal import DECISION, GIVEN_UP, RESTORE_JOURNAL, SNAPSHOT, TRYING
from c7n_iamusers.execution.journal_format import Chain, chain_of
from c7n_iamusers.execution.outcomes import OUTCOMES, provisioned_fault, rows_of
from c7n_iamusers.execution.stores import JOURNAL, DirectoryStore, Store, read_all
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.report.journal_calls import SKEW, Call, Calls, time_of
from c7n_iamusers.report.line_checks import Checks, Lines, Restorations
from c7n_iamusers.report.outcome_matching import Changes, Ends
from c7n_iamusers.report.output_reader import IN_BUCKET, OF_CUSTODIAN, OF_RUNS, RESULT_FILE, RUNS
from c7n_iamusers.report.output_shapes import RESULT_SHAPE
from c7n_iamusers.snapshots.archive import SNAPSHOTS, unique_id_in
from c7n_iamusers.snapshots.snapshot import Snapshot, tampering
from c7n_iamusers.text.documents import LARGEST_RECORD, MOST_JSON, NotInFormat, read_json
from c7n_iamusers.text.kept import Kept
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import shown

#: What is told, and neither wrong nor to be looked at.
NOTE = "note"
PLAN = "deletion-plan.json"
#: Of a journal at most so many faults are named.
_MOST, _GZ, _GZIP_MARK = 5, ".gz", b"\x1f\x8b"
#: Characters of what is told of one thing.
_LONGEST = 2_000
_FILE = re.compile(r"(?P<place>(?:.*/)?)(?P<name>(?:restore-|undo-)?journal\.jsonl)")
_OBJECT = re.compile(
    r"(?P<place>(?:.*/)?)journal/\d{8}T\d{6}Z-[0-9a-f]{8}/[^/]+\.(?P<id>[A-Za-z0-9_]+)\.jsonl", re.ASCII
)
#: What reports and runs read as a part of a journal.
_IN_JOURNAL = re.compile(r"(?:.*/)?(?:undo-)?journal/.+", re.DOTALL)
_SEGMENT = re.compile(
    r"(?P<journal>(?P<place>(?:.*/)?)(?:undo-)?journal/\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{8})/\d{8}\.jsonl",
    re.ASCII,
)
_SNAPSHOT = re.compile(rf"(?P<place>(?:.*/)?)(?P<name>{SNAPSHOTS}/[^/]+\.json)")
#: Of provisioning: the phase of a journal's line with the SHA-256 of the run's result.
_RESULT, _RESULT_FILE = "result", "result.json"
#: Of an undo: what it did, and its journal, a file or objects.
_UNDONE, _UNDO_JOURNAL = "undone.json", re.compile(r"(?:.*/)?undo-journal(?=\.jsonl|/)", re.DOTALL)
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

    pins: defaultdict[str, dict[str, list[Line]]] = field(default_factory=lambda: defaultdict(dict))
    changed: set[str] = field(default_factory=set)
    ends: Ends = field(default_factory=Ends)
    lines: Lines = field(default_factory=Lines)
    results: set[str] = field(default_factory=set)
    decisions: list[Line] = field(default_factory=list)
    given_up: dict[str, str] = field(default_factory=dict)


@dataclass
class Verified:
    """``found``: in the order of the files. ``counts``: what was read -> how many. ``calls``: of all journals.

    ``keeps_calls``: whether these are wanted; a journal may have a million. ``decisions``: on what deletions rest, each
    with the place of its output. ``plans``: the SHA-256 of those that were read. ``changes``: of all journals.
    ``proven`` and ``unproven``: as in Lines, the latter with the place of the output.
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

    def add(self, level: str, place: str, why: str) -> None:
        """Note what was found."""
        self.found.append(Found(level, place, why))


def verify_outputs(store: Store, plan_fault: Callable[[bytes], str], verified: Verified) -> None:
    """Verify everything below ``store``. ``plan_fault``: why the content is no plan of a run; empty if it is one.

    Raises OSError if the place can't be listed. A file that can't be read is found.
    """
    _Verification(store, plan_fault, verified).run()


class _Verification:
    def __init__(self, store: Store, plan_fault: Callable[[bytes], str], verified: Verified) -> None:
        self._store, self._plan_fault, self._verified = store, plan_fault, verified
        self._outputs = defaultdict[str, _Output](_Output)
        self._present: frozenset[str] = frozenset()
        #: Places of outputs of provisioning, whose outcomes have no lines.
        self._provisioning: frozenset[str] = frozenset()

    def run(self) -> None:
        names = self._store.names("")
        self._present = frozenset(names)
        runs = (name.rpartition(f"{RUNS}/")[0] for name in names if _is_provisioning(name))
        results = (name for name in names if name.rpartition("/")[2] == RESULT_FILE)
        self._provisioning = frozenset((*runs, *(each.removesuffix(RESULT_FILE) for each in results)))
        self._packed(names)
        self._journals(names)
        self._snapshots(names)
        self._files(names)
        for place, output in self._outputs.items():
            self._verified.decisions += [(place, line) for line in output.decisions]
            self._verified.proven |= output.lines.proven
            where = self._store.place(place)
            self._verified.unproven += [(where, *each) for each in output.lines.unproven]

    def _contents(self, names: Iterable[str], largest: int | None = None) -> Iterator[tuple[str, bytes]]:
        def unread(name: str, error: OSError) -> None:
            self._verified.add(BLOCKING, self._store.place(name), f"can't be read: {error}")

        bound = {} if largest is None else {"largest": largest}
        for name, content in read_all(self._store, list(names), unread=unread, **bound):
            if (content or b"").startswith(_GZIP_MARK):
                self._verified.add(BLOCKING, self._store.place(name), _PACKED)
            else:
                yield name, content or b""

    def _packed(self, names: Iterable[str]) -> None:
        """What reports read packed, and no run packs."""
        for name in names:
            plain = name.removesuffix(_GZ)
            last = plain.rpartition("/")[2]
            if plain == name:
                continue
            place, in_directory = self._store.place(name), isinstance(self._store, DirectoryStore)
            if plain in self._present:
                self._verified.add(BLOCKING, place, "lies here twice, packed and not")
            elif last in (*OF_RUNS, PLAN) or _SNAPSHOT.fullmatch(plain) or _is_provisioning(plain):
                self._verified.add(BLOCKING, place, _PACKED)
            elif last in OF_CUSTODIAN and in_directory and not IN_BUCKET.fullmatch(plain):
                why = "Cloud Custodian packs it in a bucket alone: find out who did"
                self._verified.add(ATTENTION, place, f"is packed, and {why}")

    def _journals(self, names: Sequence[str]) -> None:
        for name, content in self._contents(name for name in names if _FILE.fullmatch(name)):
            place = str(_FILE.fullmatch(name)["place"])  # type: ignore[index]  # it matches
            chain = self._chain(place, name, content, name.endswith(RESTORE_JOURNAL))
            self._begins(name, chain, {""})
        objects = defaultdict[tuple[str, str], list[tuple[str, Chain]]](list)
        for name, content in self._contents(name for name in names if _OBJECT.fullmatch(name)):
            found = _OBJECT.fullmatch(name)
            assert found
            chain = self._chain(found["place"], name, content, only=found["id"])
            objects[found["place"], found["id"]].append((name, chain))
        for chains in objects.values():
            known = {"", *(chain.last for _, chain in chains)}
            for name, chain in chains:
                self._begins(name, chain, known)
        self._segments(names)
        for name in names:
            if _IN_JOURNAL.fullmatch(name) and not (_OBJECT.fullmatch(name) or _SEGMENT.fullmatch(name)):
                self._verified.add(BLOCKING, self._store.place(name), "no run writes an object of this name")

    def _segments(self, names: Iterable[str]) -> None:
        """The objects of a journal, one after the other, are one chain."""
        journals = defaultdict[tuple[str, str], list[bytes]](list)
        for name, content in self._contents(sorted(name for name in names if _SEGMENT.fullmatch(name))):
            found = _SEGMENT.fullmatch(name)
            assert found
            journals[found["place"], found["journal"]].append(content)
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
        of_users = not _is_provisioning(place)
        is_of_runs = of_users and (bool(only) or name == f"{place}{JOURNAL}")
        calls = Calls(where, of_users, self._verified.keeps_calls)
        others = (output.lines if is_of_runs else Restorations()) if of_users else None
        checks = Checks(calls, others, only)

        def read(line: Line) -> None:
            _note(output, line)
            checks.read(line)
            if of_users:
                self._verified.changes.read(where, line)
            if is_of_runs:
                output.ends.read(line)

        chain = chain_of(content, read, forks)
        self._verified.counts["journals"] += 1
        self._verified.counts["lines"] += chain.lines
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

    def _snapshots(self, names: Iterable[str]) -> None:
        seen = defaultdict[str, set[str]](set)
        for full, content in self._contents(
            (name for name in names if _SNAPSHOT.fullmatch(name)), LARGEST_RECORD
        ):
            found = _SNAPSHOT.fullmatch(full)
            assert found
            place, name = found["place"], found["name"]
            seen[place].add(name)
            self._verified.counts["snapshots"] += 1
            if fault := self._snapshot_fault(self._outputs[place], name, content):
                self._verified.add(*fault[:1], self._store.place(full), fault[1])
        for place, output in list(self._outputs.items()):
            for name in sorted(output.pins.keys() - seen[place]):
                if f"{place}{name}" not in self._present:
                    by, why = output.given_up.get(name), "is gone: its journal names it"
                    why += f", and that it is for good, by {by}" if by else ""
                    self._verified.add(NOTE if by else BLOCKING, self._store.place(f"{place}{name}"), why)

    def _snapshot_fault(self, output: _Output, name: str, content: bytes) -> tuple[str, str] | None:
        try:
            snapshot = Snapshot.from_json(content)
            fault = tampering(snapshot)
        except SnapshotInvalid as error:
            snapshot, fault = None, str(error)
        digest = hashlib.sha256(content).hexdigest()
        if pins := output.pins.get(name):
            if digest in pins:
                fault = fault or (_other_line(snapshot, name, pins[digest]) if snapshot else "")
                return (BLOCKING, fault) if fault else None
            return BLOCKING, f"has the SHA-256 {digest}, and its journal says {', '.join(sorted(pins))}"
        why = f"no line of a journal here has its SHA-256{f'; {fault}' if fault else ''}"
        if unique_id_in(name) in output.changed:
            return BLOCKING, f"{why}, and its user was changed"
        return ATTENTION, f"{why}: a run was killed right after it was written, or the journal was cut off"

    def _files(self, names: Iterable[str]) -> None:
        """Outcomes, plans and results of provisioning."""
        of_name = defaultdict[str, list[str]](list)
        for name in names:
            of_name[name.rpartition("/")[2]].append(name)
        for name, content in self._contents(of_name[OUTCOMES]):
            self._verified.counts["outcome files"] += 1
            self._outcomes(name, content)
        for name, content in self._contents(of_name[PLAN]):
            self._verified.counts["plans"] += 1
            self._verified.plans.add(hashlib.sha256(content).hexdigest())
            if fault := self._plan_fault(content):
                self._verified.add(BLOCKING, self._store.place(name), fault)
        for name, content in self._contents(of_name[RESULT_FILE]):
            self._verified.counts["results"] += 1
            self._provisioned(self._store.place(name), content)
        for place, output in self._outputs.items():
            if f"{place}{OUTCOMES}" not in self._present and (users := output.ends.users):
                why = f"is not there, and the journal beside it has outcomes of {of(users, 'user')}"
                self._verified.add(ATTENTION, self._store.place(f"{place}{OUTCOMES}"), why)
        self._results(of_name[_RESULT_FILE])
        self._undos(name for name in of_name[_UNDONE] if _is_provisioning(name))

    def _results(self, names: Iterable[str]) -> None:
        """The results of provisioning, and those that a journal names."""
        mine = [name for name in names if _is_provisioning(name)]
        resumed, followed = set[str](), set[str]()
        for name, content in self._contents(mine):
            self._verified.counts["results"] += 1
            place, digest = name.removesuffix(_RESULT_FILE), hashlib.sha256(content).hexdigest()
            if digest not in self._outputs[place].results:
                why = f"has the SHA-256 {digest}, and no line of its journal says so"
                self._verified.add(BLOCKING, self._store.place(name), why)
            else:
                runs = f"{place.rpartition(f'{RUNS}/')[0]}{RUNS}/"
                resumed |= {f"{runs}{run}/" for run in _lists(content, "resumes")}
                followed |= {f"{runs}{run}/" for run in _lists(content, "follows")}
        for place in sorted(followed - {name.rpartition("/")[0] + "/" for name in self._present}):
            if place not in self._outputs:
                why = "is gone: the result of the next run names it"
                self._verified.add(BLOCKING, self._store.place(place), why)
        for place, output in list(self._outputs.items()):
            if output.results and f"{place}{_RESULT_FILE}" not in self._present and place not in resumed:
                why = "is gone: its journal has its SHA-256"
                self._verified.add(BLOCKING, self._store.place(f"{place}{_RESULT_FILE}"), why)

    def _undos(self, names: Iterable[str]) -> None:
        """What undos say that they did has a journal, and each journal of an undo says what came of it."""
        told, journaled = (
            set[str](),
            {
                found[0]
                for name in self._present
                if _is_provisioning(name) and (found := _UNDO_JOURNAL.match(name))
            },
        )
        for name, content in self._contents(names):
            place = name.removesuffix(_UNDONE)
            told.add(f"{place}undo-journal")
            if f"{place}undo-journal" not in journaled and any(
                _lists(content, "removed", "returned", "failed")
            ):
                why = "says what an undo did, and no journal of an undo lies beside it"
                self._verified.add(BLOCKING, self._store.place(name), why)
        for name in sorted(journaled - told):
            why = f"no {_UNDONE} lies beside it: the undo was stopped, or that was removed"
            self._verified.add(ATTENTION, self._store.place(name), why)

    def _outcomes(self, name: str, content: bytes) -> None:
        place, ends = self._store.place(name), self._outputs[name.removesuffix(OUTCOMES)].ends
        try:
            rows = rows_of(place, content)
        except ValueError as error:
            self._verified.add(BLOCKING, place, str(error))
            return
        for level, why in ends.faults(rows, name.removesuffix(OUTCOMES) in self._provisioning):
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


def _is_provisioning(name: str) -> bool:
    """Whether a file is in a directory of provisioning's runs, which no report reads; see ``output_reader``."""
    return RUNS in name.split("/")[:-1]


def _other_line(snapshot: Snapshot, name: str, lines: Iterable[Line]) -> str:
    """Why a line with its SHA-256 is not of this snapshot; empty if each is."""
    user, taken = snapshot.user.subject, moment(snapshot.taken)
    for line in lines:
        time = time_of(line["time"])
        if (line["user"], line["arn"], line["unique_id"]) != (user.name, user.arn, unique_id_in(name)):
            return f"is of {user.arn} ({user.unique_id}), and its journal has it of {line['arn']} ({line['unique_id']})"
        if not (taken and time and taken - SKEW <= time <= taken + TRYING + SKEW):
            return f"was taken at {taken}, and its journal has it at {line['time']}"
    return ""


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
    if phase == SNAPSHOT:
        pins = output.pins[str(line.get("snapshot"))]
        pins.setdefault(str(line.get("sha256")), []).append(line)
    elif phase == GIVEN_UP:
        output.given_up[str(line.get("snapshot"))] = f"{str(line.get('by'))[:80]} on {line['time'][:16]}"
    elif phase == BEFORE:
        output.changed.add(line["unique_id"])
    elif phase == _RESULT:
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
