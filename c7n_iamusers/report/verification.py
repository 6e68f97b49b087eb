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

from c7n_iamusers.exceptions import NoticesUnreadable, SnapshotInvalid
from c7n_iamusers.execution.calls import AFTER, BEFORE, TRIED
from c7n_iamusers.execution.journal import DECISION, GIVEN_UP, OUTCOME, RESTORE_JOURNAL, SNAPSHOT
from c7n_iamusers.execution.journal_format import Chain, chain_of
from c7n_iamusers.execution.outcomes import BROWNED_OUT, DELETED, OUTCOMES, QUARANTINED, RELEASED, rows_of
from c7n_iamusers.execution.stores import Store, read_all
from c7n_iamusers.notices.notices import ANNOUNCED, Notices
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.report.output_reader import RUNS
from c7n_iamusers.snapshots.archive import SNAPSHOTS, unique_id_in
from c7n_iamusers.snapshots.snapshot import Snapshot, tampering
from c7n_iamusers.text.documents import LARGEST_RECORD
from c7n_iamusers.text.wording import shown

#: What is told, and neither wrong nor to be looked at.
NOTE = "note"
PLAN = "deletion-plan.json"
#: Of a journal at most so many faults are named.
_MOST, _GZ = 5, ".gz"
#: Characters of what is told of one thing.
_LONGEST = 2_000
_FILE = re.compile(r"(?P<place>(?:.*/)?)(?P<name>(?:restore-|undo-)?journal\.jsonl)")
_OBJECT = re.compile(
    r"(?P<place>(?:.*/)?)journal/\d{8}T\d{6}Z-[0-9a-f]{8}/[^/]+\.(?P<id>[A-Za-z0-9_]+)\.jsonl", re.ASCII
)
#: What a run may read as a part of a journal.
_IN_JOURNAL = re.compile(r"(?:.*/)?(?:undo-)?journal/.+\.jsonl", re.DOTALL)
_SEGMENT = re.compile(
    r"(?P<journal>(?P<place>(?:.*/)?)(?:undo-)?journal/\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{8})/\d{8}\.jsonl",
    re.ASCII,
)
_SNAPSHOT = re.compile(rf"(?P<place>(?:.*/)?)(?P<name>{SNAPSHOTS}/[^/]+\.json)")
#: Of provisioning: the phase of a journal's line with the SHA-256 of the run's result.
_RESULT, _RESULT_FILE = "result", "result.json"
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


@dataclass(frozen=True)
class Call:
    """An answer of AWS to a changing call, as its journal has it, or that there is none.

    ``time``: right before the call, as text; ``answered``: when the answer was written, empty if none was. ``result``:
    of the line after the call; TRIED for a try that was repeated; empty without a line.
    """

    place: str
    user: str
    arn: str
    service: str
    operation: str
    time: str
    answered: str = ""
    result: str = ""
    code: str = ""
    request_id: str = ""
    caller: str = ""


@dataclass
class _Output:
    """What the journals of one directory say."""

    pins: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    changed: set[str] = field(default_factory=set)
    outcomes: set[tuple[str, str]] = field(default_factory=set)
    results: set[str] = field(default_factory=set)
    decisions: list[Line] = field(default_factory=list)
    given_up: dict[str, str] = field(default_factory=dict)


@dataclass
class Verified:
    """``found``: in the order of the files. ``counts``: what was read -> how many. ``calls``: of all journals.

    ``keeps_calls``: whether these are wanted; a journal may have a million. ``decisions``: on what deletions rest, each
    with the place of its output. ``plans``: the SHA-256 of those that were read.
    """

    keeps_calls: bool = False

    found: list[Found] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    calls: list[Call] = field(default_factory=list)
    decisions: list[tuple[str, Line]] = field(default_factory=list)
    plans: set[str] = field(default_factory=set)

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

    def run(self) -> None:
        names = self._store.names("")
        self._present = frozenset(names)
        self._journals(names)
        self._snapshots(names)
        self._files(names)
        for place, output in self._outputs.items():
            self._verified.decisions += [(place, line) for line in output.decisions]

    def _contents(self, names: Iterable[str], largest: int | None = None) -> Iterator[tuple[str, bytes]]:
        def unread(name: str, error: OSError) -> None:
            self._verified.add(BLOCKING, self._store.place(name), f"can't be read: {error}")

        bound = {} if largest is None else {"largest": largest}
        for name, content in read_all(self._store, list(names), unread=unread, **bound):
            yield name, content or b""

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
            if name.endswith(_GZ) and name.removesuffix(_GZ) in self._present:
                self._verified.add(BLOCKING, self._store.place(name), "lies here twice, packed and not")

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
        calls, strangers = _Calls(where, self._verified.keeps_calls), set[str]()

        def read(line: Line) -> None:
            if only and line["unique_id"] != only:
                strangers.add(line["unique_id"])
            _note(output, line)
            calls.read(line)

        chain = chain_of(content, read, forks)
        self._verified.counts["journals"] += 1
        self._verified.counts["lines"] += chain.lines
        self._verified.calls += calls.ended()
        self._tell(chain, where)
        if strangers:
            why = f"it is of user {only} by its name, and has lines about {shown(sorted(strangers))}"
            self._verified.add(BLOCKING, where, why)
        if calls.open:
            why = f"{_of(calls.open, 'call')} without an answer: a run was stopped there"
            self._verified.add(ATTENTION, where, why)
        return chain

    def _tell(self, chain: Chain, where: str) -> None:
        add = self._verified.add
        for number, fault in list(chain.faults.items())[:_MOST]:
            add(BLOCKING, where, f"line {number}: {fault}")
        if len(chain.faults) > _MOST:
            add(BLOCKING, where, f"{len(chain.faults) - _MOST} more lines are not as a run wrote them")
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
            fault = tampering(Snapshot.from_json(content))
        except SnapshotInvalid as error:
            fault = str(error)
        digest = hashlib.sha256(content).hexdigest()
        if pins := output.pins.get(name):
            if digest in pins:
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
        for name, content in self._contents(name for name in of_name[_RESULT_FILE] if f"{RUNS}/" in name):
            self._verified.counts["results"] += 1
            digest, output = (
                hashlib.sha256(content).hexdigest(),
                self._outputs[name.removesuffix(_RESULT_FILE)],
            )
            if digest not in output.results:
                why = f"has the SHA-256 {digest}, and no line of its journal says so"
                self._verified.add(BLOCKING, self._store.place(name), why)

    def _outcomes(self, name: str, content: bytes) -> None:
        place, known = self._store.place(name), self._outputs[name.removesuffix(OUTCOMES)].outcomes
        try:
            rows = rows_of(place, content)
        except ValueError as error:
            self._verified.add(BLOCKING, place, str(error))
            return
        missing = [
            f"{each.get('status')} of {row['arn']} at {each.get('time')}"
            for row in rows
            for each in (*row.get("history", ()), row)
            # a run writes a line of each outcome with calls before its row
            if isinstance(each, Mapping)
            and each.get("calls")
            and each.get("status") in (DELETED, QUARANTINED, RELEASED, BROWNED_OUT)
            and (str(row["unique_id"]), str(each.get("time"))) not in known
        ]
        if missing:
            why = f"no line of its journal has {shown(missing)}: the journal was cut off, or this was changed"
            self._verified.add(BLOCKING, place, why)


def _note(output: _Output, line: Line) -> None:
    phase = line["phase"]
    if phase == SNAPSHOT:
        output.pins[str(line.get("snapshot"))].add(str(line.get("sha256")))
    elif phase == GIVEN_UP:
        output.given_up[str(line.get("snapshot"))] = f"{str(line.get('by'))[:80]} on {line['time'][:16]}"
    elif phase == BEFORE:
        output.changed.add(line["unique_id"])
    elif phase == OUTCOME:
        output.outcomes.add((line["unique_id"], line["time"]))
    elif phase == _RESULT:
        output.results.add(str(line.get("sha256")))
    elif phase == DECISION:
        output.decisions.append(_decision(line))


def _decision(line: Line) -> Line:
    """What is read of it, of a line that may be as long as its writer likes."""
    kept = {"plan": ("place", "sha256"), "announcement": ("notice", "sha256")}
    told = {name: {key: line[name].get(key) for key in keys} for name, keys in kept.items() if line.get(name)}
    return {"arn": line["arn"], **told}


@dataclass
class _Calls:
    """The calls of one journal. ``open``: those that have no line after them."""

    place: str
    keeps: bool
    done: list[Call] = field(default_factory=list)
    begun: dict[tuple[str, str, str], Line] = field(default_factory=dict)

    @property
    def open(self) -> int:
        return len(self.begun)

    def read(self, line: Line) -> None:
        """Take the next line of the journal."""
        if line["phase"] not in (BEFORE, TRIED, AFTER):
            return
        parameters = line.get("parameters") or {}
        key = (line["unique_id"], str(line.get("operation")), str(sorted(parameters.items(), key=str)))
        if line["phase"] == BEFORE:
            if key in self.begun:
                self._keep(self.begun[key])
            self.begun[key] = line
            return
        begun = self.begun.get(key, line)
        answer = {name: str(line.get(name) or "") for name in ("code", "request_id", "caller")}
        result = TRIED if line["phase"] == TRIED else str(line.get("result") or "")
        self._keep(begun, answered=line["time"], result=result, **answer)
        if line["phase"] == AFTER:
            self.begun.pop(key, None)

    def ended(self) -> Iterator[Call]:
        """All calls, those without an answer at the end."""
        for line in self.begun.values():
            self._keep(line)
        yield from self.done

    def _keep(self, line: Line, **answer: str) -> None:
        if not self.keeps:
            return
        what = {name: str(line.get(name) or "") for name in ("service", "operation", "time")}
        self.done.append(Call(self.place, line["user"], line["arn"], **what, **answer))


def verify_plans(verified: Verified, plans: Collection[str]) -> None:
    """Whether the plans by which users were deleted are at hand. ``plans``: the SHA-256 of those that are."""
    missing = Counter[str]()
    for _, line in verified.decisions:
        plan = line.get("plan")
        if plan and plan.get("sha256") not in plans:
            missing[f"{plan.get('place')}, SHA-256 {plan.get('sha256')}"] += 1
    for plan, users in missing.items():
        why = f"the plan that {_of(users, 'user')} was deleted by is not here: give --plan FILE"
        verified.add(ATTENTION, plan, why)


def verify_notices(verified: Verified, stores: Mapping[str, Store], now: datetime) -> None:
    """Whether the notices on which deletions rest are as they were then, and the others such as a run writes.

    ``stores``: account id -> where its notices are; without an account of which that is not known.
    """
    rested = defaultdict[str, dict[tuple[str, str], str]](dict)
    for _, line in verified.decisions:
        if told := line.get("announcement"):
            account = line["arn"].split(":")[4]
            rested[account].setdefault((str(told.get("notice")), str(told.get("sha256"))), line["arn"])
    for account in sorted({*rested, *stores}):
        if account not in stores:
            why = f"deletions rest on {_of(len(rested[account]), 'notice')} whose place is not known"
            verified.add(ATTENTION, f"account {account}", f"{why}: give --notices PLACE")
            continue
        store = stores[account]
        for (name, digest), arn in rested[account].items():
            if fault := _notice_fault(store, name, digest, arn):
                verified.add(BLOCKING, store.place(name), fault)
        _others(verified, store, account, {name for name, _ in rested[account]}, now)


def _notice_fault(store: Store, name: str, digest: str, arn: str) -> str:
    """Why a notice is not the one that the deletion of ``arn`` rests on; empty if it is."""
    try:
        content = store.read(name, LARGEST_RECORD)
    except OSError as error:
        return f"can't be read: {error}"
    if content is None:
        return f"is gone: {arn} was deleted on the strength of it"
    now = hashlib.sha256(content).hexdigest()
    if now == digest:
        return ""
    return f"has the SHA-256 {now}, and had {digest} when {arn} was deleted on the strength of it"


def _others(verified: Verified, store: Store, account: str, rested: Collection[str], now: datetime) -> None:
    place = store.place(account)
    try:
        notices = Notices.read(store, account, now, lambda fault: verified.add(BLOCKING, place, fault))
    except NoticesUnreadable as error:
        verified.add(BLOCKING, place, str(error))
        return
    verified.counts["notices"] += len(notices.all)
    if others := sum(each.step == ANNOUNCED and each.name not in rested for each in notices.all):
        why = f"no digest of {_of(others, 'announcement')} is on record: no deletion here rests on them"
        verified.add(NOTE, place, why)


def _of(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
