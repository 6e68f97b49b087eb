# SPDX-License-Identifier: Apache-2.0
"""One flow with what happens in it, run in a process of its own."""

from __future__ import annotations

import gc
import io
import json
import math
import shutil
import traceback
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from c7n.exceptions import PolicyExecutionError
from click import ClickException

from tests.explorer import actors, faults, runner
from tests.explorer.alone import CLOCK, install_dates
from tests.explorer.center import Access, CenterJudge, reading, without_lock
from tests.explorer.events import Result, Trace
from tests.explorer.facts import Facts, difference, documents, laid_over, read, secrets
from tests.explorer.flows import Flow
from tests.explorer.journals import Journal, Made
from tests.explorer.judge import Judge
from tests.explorer.mail import WORDS, MailJudge, so_of
from tests.explorer.wire import Call, Endless, Exchange, Killed, Send
from tests.explorer.world import ACCOUNT, ALICE, NOTICES, OTHER, OUTPUT, SECOND_OUTPUT, World

ALL = frozenset((reading("alice", ACCOUNT), reading("bob", ACCOUNT), reading("alice", OTHER)))
OF_ALICE = frozenset(each for each in ALL if each[0].startswith("alice"))
NONE: tuple[frozenset[Access], frozenset[Access], str] = (frozenset(), frozenset(), "")
#: By the goal of a flow: what its intents ask for, what may never be missing, and what becomes of the rest.
WANTED = {
    "provisioned": (ALL, frozenset(), "provisioned"),
    "pruned": (OF_ALICE, OF_ALICE, "provisioned"),
    "undone": (frozenset(), frozenset(), "undone"),
}
TARGET = f"{ACCOUNT}/{ALICE}"
#: How a run may end besides with success: with an error that says what AWS, or the disk, answered.
TOLD = (PolicyExecutionError, ClientError, BotoCoreError, ResponseParserError, ClickException, SystemExit)


@dataclass
class Prepared:
    """A flow whose world stands, in the working directory. ``origin``: the facts before ``prepare``."""

    world: World
    flow: Flow
    origin: Facts
    start: Facts
    aws: dict[str, str]
    calls: tuple[Call, ...] = ()

    @classmethod
    def of(cls, world: World, flow: Flow) -> Prepared:
        """Make the world of ``flow`` in the working directory, which is empty.

        The flow is run once before, so that each trace finds all modules and models loaded.
        """
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            origin = cls._prepare(world, flow)
        gc.collect()
        gc.freeze()  # so that a trace's process does not copy the pages of what stays
        return cls(world, flow, origin, read(world.org, (ACCOUNT, OTHER)), documents(world.org, ACCOUNT))

    @staticmethod
    def _prepare(world: World, flow: Flow) -> Facts:
        CLOCK.restart()
        world.wire.total = 0
        world.populate(flow.form)
        for command in (*flow.prepare, flow.command):
            command(world, OUTPUT)
        install_dates()
        shutil.rmtree(OUTPUT)
        shutil.rmtree(NOTICES)
        world.populate(flow.form)
        origin = read(world.org, (ACCOUNT, OTHER))
        for command in flow.prepare:
            command(world, OUTPUT)
        return origin


@dataclass
class Running:
    """A trace that is run, in a process of its own, whose world is this one alone."""

    prepared: Prepared
    trace: Trace
    made: list[Made] = field(default_factory=list)
    number: int = 0
    killed: bool = False
    saved: Path | None = None
    acted: bool = False
    cut: bool = False
    closed: float = math.inf
    said: dict[str, Any] = field(default_factory=dict)
    failed: bool = False
    earlier: dict[str, dict[str, Any]] = field(default_factory=dict)
    met: set[int] = field(default_factory=set)
    lasting: list[tuple[str, Call]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world, self.flow = self.prepared.world, self.prepared.flow
        is_gone = TARGET not in self.prepared.start["users"]
        origin = self.prepared.origin if self.flow.gives_back or is_gone else self.prepared.start
        restores = self.flow.goal == "restored"
        given = (self.prepared.start, self.prepared.aws, self.flow.gives_back, restores, self.flow.key)
        self.judge = Judge(TARGET, origin, *given)
        self.unique_id = self.flow.key or ALICE
        self.center = CenterJudge(
            self.prepared.origin["center"], self.prepared.start["center"], *WANTED.get(self.flow.goal, NONE)
        )
        self.judge.selected = {TARGET} if is_gone else set()  # whom an earlier run took
        self.mail = MailJudge(self.world.org, NOTICES, ACCOUNT, ALICE, WORDS.get(self.flow.goal, ""))
        runner_secret = self.world.org.environment()["AWS_SECRET_ACCESS_KEY"]
        self.secrets = {*secrets(self.world.org, (ACCOUNT, OTHER)), runner_secret}
        wire = self.world.wire
        wire.before, wire.after, wire.exchange = self._before, self._after, self._exchange

    def facts(self) -> Facts:
        """What AWS has now."""
        return read(self.world.org, (ACCOUNT, OTHER))

    def run(self) -> Result:
        """Run it, run it again until it settles, and judge."""
        CLOCK.restart()
        self._once(1)
        first = tuple(self.world.wire.calls)
        runner.mend()
        self._run_until_settled()
        self.mail.over(self._news(), self.secrets, "after all runs")
        missed = {each.at for each in self.trace.events} - {each.at for each in first}
        self.judge.no_secrets(
            self.secrets, [each for each in (OUTPUT, SECOND_OUTPUT, NOTICES) if each.exists()]
        )
        return Result(
            self.trace,
            tuple(dict.fromkeys((*self.judge.broken, *self.center.broken, *self.mail.broken))),
            first,
            ", ".join(missed),
        )

    def _run_until_settled(self) -> None:
        again = self._ran_again(2)
        calls = [each for each in self.world.wire.calls if each.changes]
        facts = self.facts()
        if calls or again:
            self._ran_again(3)
            changing = [str(each) for each in self.world.wire.calls if each.changes and self._counts(each)]
            changed = difference(without_lock(facts["center"]), without_lock(self.facts()["center"]))
            if (changing or changed) and not again:
                self.judge.note("idempotent", "run 3", f"it called {changing}, changed {changed}")

    def _ran_again(self, number: int) -> str:
        """A further run, which should end well and reach the goal; its error, in words. One that failed says so."""
        error, why, facts = self._once(number), f"run {number}", self.facts()
        if self._excused():
            return error
        if error:
            self.judge.note("converges", why, f"it failed: {error}"[:300])
        elif self.flow.center:
            self.center.reached(facts["center"], why)
        else:
            self.judge.reached(self.flow.goal, facts, CLOCK.true_time(), why)
        return error

    def _counts(self, call: Call) -> bool:
        """Whether a run that has nothing to do makes no such call: Identity Center is compared as it is."""
        return call.service == "sqs" or not self.flow.center

    def _news(self) -> str:
        """What somebody must have heard of alice by now, in a word; empty if nothing."""
        names = [each.what for each in self.trace.events]
        if any(runner.excuses(each) or each.startswith("outcomes-") for each in names):
            return ""  # what would say so was destroyed
        own = self.mail.untold(self._outcomes().get(self.unique_id, {}), self.flow.policy)
        return own or ("" if self.acted or self.failed or self._excused() else self.mail.goal)

    def _excused(self) -> bool:
        """Whether something happened after which a run need not reach the flow's goal."""
        harmless = actors.BENIGN if self.flow.takes else ()
        if self.flow.key:
            spared = ("credentials-activated",) if self.flow.takes else ()
            harmless = (
                *(each for each in harmless if each not in spared),
                *(actors.KEY_BENIGN if self.flow.takes else ()),
            )
        if (not self.flow.outcomes or self.flow.goal == "left") and any(
            each.what == "second-run-elsewhere" for each in self.trace.events
        ):
            return True  # whom another restoration, or another provisioning, made is not this one's
        return any(
            (each.what in actors.EVERYBODY and each.what not in harmless) or runner.excuses(each.what)
            for each in self.trace.events
        )

    def _once(self, number: int) -> str:
        """One run; the error that it raised, in words."""
        self._begin(number)
        try:
            error = self._ran()
        except Killed:
            self._bury()
            return "killed"
        except Endless:
            self.judge.note("ends", f"run {number}", "it makes calls without an end")
            return "endless"
        finally:
            self.world.wire.aside = True
        self._judge_end(error)
        self.failed = bool(error)
        return error

    def _begin(self, number: int) -> None:
        CLOCK.sleep(1.0)  # no two runs of a policy are in one second
        happened = [each.what for each in self.trace.events]
        # the tag is the user's that it was put on, and not that of a new one of the name
        another = any(each in ("recreated", "renamed-and-replaced") for each in happened)
        spared = self.acted and any(each in actors.LATE for each in happened) and not (self.made or another)
        # as is the name that the list of exemptions has
        listed = "stopped" in happened or "renamed" not in happened
        if number == 2 and ((self.flow.takes and spared) or self.closed < math.inf):
            self.closed = 0.0 if spared or listed else math.inf
        self.number, self.made, self.lasting, self.met, self.said = number, [], [], set(), {}
        wire = self.world.wire
        wire.calls, wire.total, wire.dead, wire.aside = [], 0, False, False
        self.earlier, self.mail.received = self._outcomes(), set()
        facts = self.facts()
        self.judge.begin(facts)
        self._hold(facts)
        path = OUTPUT / self.flow.policy / self.flow.journal
        self.journal = Journal(path, len(path.read_bytes().splitlines()) if path.exists() else 0)

    def _ran(self) -> str:
        try:
            self.flow.command(self.world, OUTPUT)
        except TOLD as told:
            return f"{type(told).__name__}: {told}"
        except Exception as crash:  # noqa: BLE001  # whatever it is, it is what is looked for
            if not (isinstance(crash, OSError) and self._happened(runner.DISK)):
                self._note_crash(crash)
            return f"{type(crash).__name__}: {crash}"
        return ""

    def _note_crash(self, crash: Exception) -> None:
        modules = [str(each.f_globals.get("__name__")) for each, _ in traceback.walk_tb(crash.__traceback__)]
        if not any(each.startswith("c7n_iamusers") for each in modules):
            return  # Cloud Custodian's own, before anything of the package runs: it can't read its role's session
        last = traceback.extract_tb(crash.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.name}"
        self.judge.note("no crash", f"run {self.number}", f"{type(crash).__name__} in {where}: {crash}"[:300])

    def _happened(self, names: tuple[str, ...]) -> bool:
        """Whether one of ``names`` happened in this run."""
        return self.number == 1 and any(each.what in names for each in self.trace.events)

    def _bury(self) -> None:
        """The disk is as it was when the process was killed."""
        self.killed = True
        if self.saved:
            for place in (OUTPUT, SECOND_OUTPUT, NOTICES):
                shutil.rmtree(place, ignore_errors=True)
                if (self.saved / place).exists():
                    shutil.copytree(self.saved / place, place)

    def _outcomes(self) -> dict[str, dict[str, Any]]:
        """The outcomes by unique id."""
        try:
            rows = json.loads((OUTPUT / self.flow.policy / "outcomes.json").read_text())
        except (OSError, ValueError):
            return {}
        return {str(row.get("unique_id")): row for row in rows}

    def _judge_end(self, error: str) -> None:
        why, before = f"run {self.number}", self.earlier
        told = self.journal.path.exists() and not self._happened(runner.UNTRUE)
        if told and (problem := self.journal.disagreement(self.made, alone=not self.acted)):
            self.judge.note("journal", why, problem)
        outcomes = self._outcomes()
        row = outcomes.get(self.unique_id, {})
        self._judge_outcome()
        if row and row != before.get(self.unique_id) and row["status"] == "failed" and not error:
            self.judge.note("told", why, "its outcome is failed, and the run ended as if all were well")
        if not error and (self.mail.unrecorded() or self.mail.untold(row, self.flow.policy)):
            self.judge.note(
                "told", why, "an owner was not told, or that is not on record; the run ended well"
            )
        silent = self.flow.outcomes and outcomes == before and not error
        if silent and any(each.applied for each in self.made):
            self.judge.note("told", why, "it changed something, and there is no outcome")

    def _judge_outcome(self) -> None:
        """Judge alice's outcome by what AWS has now, if this run wrote it: first that of a run before, then its own."""
        row = self._outcomes().get(self.unique_id, {})
        if row and row not in (self.earlier.get(self.unique_id), self.said):
            self.said = row
            self.judge.ended(row, self.facts(), CLOCK.true_time(), f"run {self.number}")

    # what happens on the wire

    def _events(self, call: Call) -> list[str]:
        return [each.what for each in self.trace.events if each.at == call.at] if self.number == 1 else []

    def _before(self, call: Call, request: Any) -> None:
        if call.changes and call.service != "sqs":
            self._judge_call(call)
        if self._events(call):
            self._judge_outcome()  # what happens from now on, it can't say
        for what in self._events(call):
            if what in actors.EVERYBODY:
                self._act(what, begun=bool(self.made) or (call.changes and call.service != "sqs"))
            elif what in runner.FAULTS:
                runner.FAULTS[what](self)
                # without the journal nobody knows what was given back
                self.cut |= what in runner.UNTRUE or (what == "journal-removed" and self.flow.goal == "left")
            elif what == "killed":
                self._kill()

    def _judge_call(self, call: Call) -> None:
        when = f"run {self.number}, {call}"
        if call.service == "iam" and not self.cut and not self.journal.announces(call.operation):
            self.judge.note("journal", when, "no line announces it")
        if CLOCK.elapsed >= self.closed:
            self.judge.note("gates", when, "somebody had spared her, or stopped all runs")
        if self.flow.goal == "deleted":
            self.judge.removes(call.operation, call.parameters, self.facts(), CLOCK.true_time(), when)

    def _act(self, what: str, *, begun: bool) -> None:
        if self.flow.takes and what in actors.GATES and not begun:
            self.closed = min(self.closed, CLOCK.elapsed + actors.GATE_SECONDS)
        before, self.acted = self.facts(), True
        with self.world.wire.others():
            actors.EVERYBODY[what](self.world)
        after = self.facts()
        did = before != after or what == "notice-removed"
        if self.flow.takes and self.flow.key and what in actors.KEY_GATES and did and not begun:
            self.closed = min(self.closed, CLOCK.elapsed)
        self.judge.others_did(before, after, CLOCK.true_time())
        self.center.others_did(before["center"], after["center"])
        self._hold(after)

    def second_run(self, output: Path) -> None:
        """Somebody starts the same command once more, with ``output``, which then ends before this run goes on."""
        before, self.acted = self.facts(), True
        with self.world.wire.others(), suppress(*TOLD):
            self.flow.command(self.world, output)
        after = self.facts()
        self._judge_state(after, "a second run")
        self.judge.run = laid_over(self.judge.run, difference(before, after))
        self.said = self._outcomes().get(self.unique_id, {})  # which the second run wrote, if any

    def _kill(self) -> None:
        self.saved = Path("saved")
        for place in (OUTPUT, SECOND_OUTPUT, NOTICES):
            if place.exists():
                shutil.copytree(place, self.saved / place)
        self.world.wire.dead = True
        raise Killed

    def _exchange(self, call: Call) -> Exchange | None:
        found = self._fault(call)
        self.met = {*self.met, call.number} if found else self.met
        return found

    def _fault(self, call: Call) -> Exchange | None:
        for what in self._events(call):
            if what in actors.EVERYBODY or what in runner.FAULTS or what in ("killed", "killed-after"):
                continue
            if faults.is_lasting(what):
                self.lasting.append((what, call))
            elif what == "stale":
                return self._stale
            else:
                return faults.exchange_of(what, self._shortened)
        for what, first in self.lasting:
            if faults.also_meets(what, first, call):
                return faults.exchange_of(what, self._shortened)
        return None

    def _stale(self, call: Call, request: Any, send: Send) -> AWSResponse:
        """The answer of the last time, if there is one: what was changed since is not yet visible."""
        last = self.world.wire.answers.get(call.question)
        return faults.response(request.url, *last) if last else send()

    def _shortened(self, send: Send) -> AWSResponse:
        before = self.world.org.settings.page_limit
        self.world.org.configure(page_limit=1)
        try:
            return send()
        finally:
            self.world.org.configure(page_limit=before)

    def _judge_state(self, facts: Facts, after: str, operation: str = "") -> None:
        self.judge.found(facts, CLOCK.true_time(), after, operation)
        if self.flow.center:
            self.center.found(facts["center"], after)
        self._hold(facts)

    def _hold(self, facts: Facts) -> None:
        self.mail.held |= {*so_of(self.flow.goal, self.judge, facts, CLOCK.true_time())}

    def _after(self, call: Call, status: int) -> None:
        if call.operation == "SendMessage":
            if 200 <= status < 300:
                received = call.number not in self.met and not self._happened(("killed-after",))
                selected = None if self.cut else self.judge.selected  # else whom an edited journal names
                self._hold(self.facts())  # also of whom the run took since the last change
                self.mail.sent(selected, f"run {self.number}, {call}", received=received)
        elif call.changes:
            self.made.append(Made(call.operation, call.parameters, 200 <= status < 300))
            self._judge_state(self.facts(), f"run {self.number}, {call}", call.operation)
        elif call.at in ("GetAccountAuthorizationDetails", "ListUsers"):  # both list whom a run selects
            self.judge.listed(self.facts())
        elif call.operation == "GetUser" and status == 200:
            self.judge.exposed.clear()
        elif call.operation in ("GetGroup", "GetPolicy") and status:
            self.judge.read(call.parameters.values())
        if "killed-after" in self._events(call):
            self._kill()
