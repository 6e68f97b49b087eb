# SPDX-License-Identifier: Apache-2.0
"""One cycle: the steps that are due, each by commands that are printed first, and a check after each.

Whatever ends it, the next cycle goes on: what is due follows from the notices, and each command continues by itself.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from c7n_iamusers.cycle import command_lines
from c7n_iamusers.cycle.command_lines import Line, Run, own
from c7n_iamusers.cycle.due import Account, Mails, due_today, mails_of
from c7n_iamusers.cycle.settings import BY_CYCLE
from c7n_iamusers.cycle.steps import Step
from c7n_iamusers.cycle.waves import Waves, begun, ended, open_waves, ran, wave_of
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.report.checks import BLOCKING, FAILURE, SELECTION
from c7n_iamusers.text.wording import counted
from c7n_iamusers_cli.cycle.workspace import Records, Workspace, check_rows
from c7n_iamusers_cli.only import narrowed
from c7n_iamusers_cli.output import ATTENTION, PROBLEM
from c7n_iamusers_cli.yaml_files import as_yaml

#: Stands for all accounts.
ALL = ""
#: What became of a step.
RAN, NOTHING, BLOCKED, WAITING = "ran", "nothing is due", "blocked", "waiting"
#: The mailer's settings in a workspace.
MAILER = "mailer.yml"
Execute = Callable[[Line], int]
#: Runs a step in the accounts in which it is due.
StepRunner = Callable[["Day", Step, "list[Account]"], None]


class Ended(Exception):
    """A signal came, or the lock was lost: no further command is run."""


#: The exit code of c7n-org run if policies failed in some accounts.
_SOME_FAILED = 1


@dataclass(frozen=True)
class Choice:
    """What --only and --until leave. Empty: no limit."""

    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    waves: tuple[int, ...] = ()
    steps: tuple[str, ...] = ()
    until: str = ""

    @property
    def whole(self) -> bool:
        """Whether nothing is left out, so that its checks count for the waves."""
        return not (self.users or self.accounts or self.waves or self.steps or self.until)


@dataclass
class StepResult:
    """What became of a step. ``waiting``: why it is not due -> accounts. ``plan``: the SHA-256 that waits."""

    name: str
    status: str = NOTHING
    accounts: list[str] = field(default_factory=list)
    waiting: dict[str, list[str]] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    plan: str = ""


@dataclass
class Day:
    """A cycle over ``workspace``. ``execute``: runs a command. ``say``: prints a line. ``stopped``: whether to end.

    ``now``: the clock. ``run``: in the name of its record. ``special``: what runs the steps that are more than policies
    and a check. ``blocked``: account -> why it goes no further today; ALL for each of them. ``problems``: what
    went wrong besides, and blocks nobody. ``failing``: account -> a user that a step failed for, so that its wave is
    not clean. ``attention``: whether something is to look at.
    """

    workspace: Workspace
    execute: Execute
    say: Callable[[str], None]
    stopped: Callable[[], bool]
    now: Callable[[], datetime]
    choice: Choice = Choice()
    run: str = "cycle"
    special: Mapping[str, StepRunner] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)
    attention: bool = False
    steps: list[StepResult] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    waves: Waves = field(default_factory=lambda: Waves(()))
    mails: Mails = field(default_factory=Mails)

    def go(self) -> int:
        """Do what is due; the exit code. Raises Ended, IamUsersError."""
        self.began = self.now()
        self.records = Records(self.workspace.output, self.began, self.run)
        last = self.records.last()
        self._choose(last)
        self.record = begun(self.waves, last, self.began)
        self.records.write(self.record)
        for number, step in enumerate(self.workspace.steps, 1):
            if not self.choice.steps or step.name in self.choice.steps:
                self._step(step, number)
            if step.name == self.choice.until or ALL in self.blocked:
                break
        self._end()
        return PROBLEM if self.blocked or self.problems else ATTENTION if self.attention else 0

    # accounts

    def _choose(self, last: Any) -> None:
        self.accounts, self.waves = chosen_accounts(self.workspace, last, self.choice, self.began)
        for line in opening_lines(self.workspace, self.accounts, self.waves):
            self.say(line)
        for each in self.accounts:
            if each.announced is None:
                self.block(each.account_id, f"its notices can't be read: {each.fault}")
        self.mails = mails_of(self.accounts)

    def free(self, accounts: Iterable[Account]) -> list[Account]:
        """Those of ``accounts`` that are not blocked."""
        return (
            [] if ALL in self.blocked else [each for each in accounts if each.account_id not in self.blocked]
        )

    def block(self, account_id: str, why: str) -> None:
        """The account goes no further today; ALL for each of them."""
        if account_id in self.blocked:
            return
        self.blocked[account_id] = why
        name = next((str(each) for each in self.accounts if each.account_id == account_id), account_id)
        self.say(f"blocked today: {name or 'all accounts'}: {why}")

    # steps

    def _step(self, step: Step, number: int) -> None:
        self.result = StepResult(step.name)
        self.steps.append(self.result)
        (due,) = due_today([step], self.free(self.accounts), self.began)
        self.result.waiting = {why: [each.account_id for each in of] for why, of in due.waiting.items()}
        title = f"{number}/{len(self.workspace.steps)} {step.name}: {step.title}"
        if not due.accounts:
            why = "; ".join(f"{why} ({counted(len(of), 'account')})" for why, of in due.waiting.items())
            self.say(f"{title}: nothing is due{': ' + why if why else ', since all accounts are blocked'}")
            return
        self.say(f"{title}: {len(due.accounts)} of {counted(len(self.accounts), 'account')}")
        self.result.status, self.result.accounts = RAN, [each.account_id for each in due.accounts]
        before = set(self.blocked)
        self.special.get(step.name, plain)(self, step, list(due.accounts))
        done = self.free(due.accounts)
        if step.once or step.pause:
            self.record = ran(self.record, step.name, [each.account_id for each in done], self.now())
            self.records.write(self.record)
        if set(self.blocked) - before:
            self.result.status = BLOCKED
            names = ", ".join(map(str, self.free(self.accounts)))
            self.say(
                f"{step.name}: blocked in {counted(len(due.accounts) - len(done), 'account')}; on go: {names or 'none'}"
            )
        if self.workspace.settings.mailer == BY_CYCLE:
            self.mail()

    def policies(self, step: Step) -> dict[str, Any]:
        """The step's policies, for the users of the choice alone. Raises InvalidPolicyData."""
        data = self.workspace.policies(step)
        try:
            return narrowed(data, self.choice.users) if self.choice.users else data
        except ValueError as error:
            raise InvalidPolicyData(f"{self.workspace.policies_of(step)}: {error}") from error

    def prepared(self, step: Step, accounts: Sequence[Account]) -> Run:
        """What the step runs with: its accounts file, and its policies where they are for some users alone."""
        file, policies = own(f"{step.name}.yml"), self.workspace.policies_of(step)
        self.workspace.write_accounts(file, accounts, step.changes_users)
        if self.choice.users:
            policies = own(f"{step.name}.policies.yml")
            self.workspace.write(policies, as_yaml(self.policies(step)))
        return Run(file, policies, self.workspace.settings.output)

    # commands

    def command(self, line: Line) -> int:
        """Print a command as a shell takes it, and run it; its exit code. Raises Ended."""
        text = shlex.join(line)
        self.say(f"$ {text}")
        if self.steps and self.result is self.steps[-1]:
            self.result.commands.append(text)
        if self.stopped():
            raise Ended
        code = self.execute(line)
        if self.stopped():
            raise Ended
        return code

    def policies_and_check(
        self, run: Run, step: Step, place: str, *only: str, policies: str = "", uses: Sequence[str] = ()
    ) -> None:
        """Run policies, and check what they left. ``uses``: see Run.check_line."""
        began = self.now()
        code = self.command(run.policies_line(place, *only, policies=policies))
        file = policies or run.policies
        uses = uses or [f"{file}#{each}" for each in only] or [file]
        self.check(run.check_line([place], began, step.name, *uses), step.name, code)

    def check(self, line: Line, name: str, ran_with: int = 0) -> list[Mapping[str, Any]]:
        """Run a check, and block the accounts that it names. ``ran_with``: the exit code of what it checks.

        What it says of a user ends the cycle with an error, and blocks nobody: each step judges each user anew.
        """
        file = self.workspace.directory / own(f"{name}.check.json")
        file.unlink(missing_ok=True)
        code = self.command(line)
        try:
            rows = check_rows(file)
        except (OSError, ValueError) as error:
            self.block(ALL, f"the check ended with {code}, and nothing says what it found: {error}")
            return []
        self.attention |= code == ATTENTION
        blocking = [each for each in rows if each["level"] == BLOCKING]
        for row in blocking:
            self._take(row, str(row["account"]), f"{row['what']}: {row['why']}")
        if ran_with and not blocking:
            why = f"{name} ended with {ran_with}, and its check names nobody: see its messages above"
            if ran_with == _SOME_FAILED:
                # an account that fails, and says that it did not, may not stop the others; nor open a wave
                self.problem(why)
                self.failing = {**dict.fromkeys(self.result.accounts, why), **self.failing}
            else:
                self.block(ALL, why)
        return blocking

    def _take(self, row: Mapping[str, Any], account_id: str, why: str) -> None:
        if row["kind"] == SELECTION:  # of a run with --only, maybe days ago
            self.attention = True
            self.say(f"look: {why}")
            return
        if not row["user"]:
            self.block(account_id, why)
            return
        why = f"user {row['user']} of account {account_id}: {why}"
        if row["kind"] == FAILURE:
            self.failing.setdefault(account_id, why)
        if why not in self.problems:  # each later check finds it again
            self.problem(why)

    def problem(self, text: str) -> None:
        """Something that ends the cycle with an error, and blocks nobody."""
        self.problems.append(text)
        self.say(f"failed: {text}")

    def waits(self, step: str, sha256: str, told: Iterable[str]) -> None:
        """The step waits for an approval of a plan."""
        self.attention, self.result.status, self.result.plan = True, WAITING, sha256
        for line in told:
            self.say(f"{step}: {line}")
        self.say(f"waiting: c7n-iamusers approve {sha256}")

    def mail(self) -> None:
        """Run c7n-mailer, which sends what the step has queued."""
        if code := self.command(command_lines.mailer_line(MAILER)):
            self.problem(f"c7n-mailer ended with {code}")

    # the end

    def _end(self) -> None:
        if self.choice.whole:
            self.result = StepResult("report")
            self.steps.append(self.result)
            self.result.status, self.result.accounts = RAN, [each.account_id for each in self.accounts]
            file = own("report.yml")
            self.workspace.write_accounts(file, self.accounts, False)
            self.check(command_lines.report_line(file, self.workspace.settings.output), "report")
            waves = {each.account_id: each.wave or 0 for each in self.accounts}
            self.record = ended(self.record, waves, {**self.failing, **self.blocked}, self.now())
        else:
            self.record = self.record.closed(self.now())
        self.records.write(self.record)
        who = "the cycle runs" if self.workspace.settings.mailer == BY_CYCLE else "somebody else runs"
        self.say(f"{who} c7n-mailer; before this cycle: {self.mails}")


def chosen_accounts(
    workspace: Workspace, last: Any, choice: Choice, now: datetime
) -> tuple[list[Account], Waves]:
    """The accounts that take part, and the waves. Raises IamUsersError for a choice that leaves none."""
    of = {each.account_id: wave_of(each.tags) or 0 for each in workspace.targets}
    waves = open_waves(of.values(), last, now, workspace.settings.clean_days)
    known = {name for each in workspace.targets for name in (each.account_id, each.name)}
    if unknown := [each for each in choice.accounts if each not in known]:
        raise InvalidPolicyData(
            f"{workspace.settings.accounts} has no account {', '.join(unknown)}: correct --only"
        )
    if closed := [str(each) for each in choice.waves if each not in waves.open]:
        raise InvalidPolicyData(
            f"wave {', '.join(closed)} is not open ({waves.why or 'no account has its tag'}): correct --only"
        )
    targets = [
        each
        for each in workspace.targets
        if of[each.account_id] in (choice.waves or waves.open)
        and (not choice.accounts or {each.account_id, each.name} & set(choice.accounts))
    ]
    if not targets:
        raise InvalidPolicyData("none of the accounts is in an open wave and among those of --only")
    return workspace.accounts(targets, last, now), waves


def opening_lines(workspace: Workspace, accounts: Sequence[Account], waves: Waves) -> Iterable[str]:
    """Who takes part, in words."""
    numbers = ", ".join(str(each) for each in waves.open if each)
    yield f"{len(accounts)} of {counted(len(workspace.targets), 'account')} take part" + (
        f": wave {numbers} is open" if numbers else ""
    )
    if waves.opens is not None:
        yield f"wave {waves.opens} is not open: {waves.why}"


def plain(day: Day, step: Step, accounts: list[Account]) -> None:
    """A step of policies, and their check."""
    day.policies_and_check(day.prepared(step, accounts), step, step.place)
