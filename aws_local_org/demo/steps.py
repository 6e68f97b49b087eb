# SPDX-License-Identifier: Apache-2.0
"""The steps that a demo and a rehearsal share, from the announcement to the deletion, each with its checks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.text import Text

from aws_local_org import LocalOrg
from aws_local_org.demo import expectations as expect
from aws_local_org.demo.after_deletion import deletions, receipt_faults, receipts_in
from aws_local_org.demo.expectations import PolicyOutput, mails
from aws_local_org.demo.state import (
    AccountState,
    UserState,
    account_states,
    announcements,
    let_days_pass,
)
from aws_local_org.demo.workspace import DEMO_POLICIES, KEY_POLICIES, POLICY_NAMES, place_of
from aws_local_org.environment import without_aws
from aws_local_org.errors import LocalOrgError
from c7n_iamusers.cycle.steps import REMOVAL
from c7n_iamusers_cli.output import ATTENTION

#: The templates of the mails that the package's policies send.
TEMPLATES = Path(str(files("c7n_iamusers"))) / "mailer_templates"
#: The maximum of printed faults.
MOST_FAULTS = 20
COMPRESSED = (
    "Time is compressed: instead of waiting, last uses, notices and quarantines are moved into the past, as if nobody "
    "used an IAM user in these days"
)

_POLICIES = {**POLICY_NAMES, **DEMO_POLICIES, **KEY_POLICIES}

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Days:
    """Days from the announcement to the Deny, to the deactivation and to the deletion.

    ``reminder``: days before the deletion. ``active``: a user whose password or key was used in this many days before
    a step is active.
    """

    listening: int = 16
    quarantine: int = 23
    deletion: int = 30
    reminder: int = 7
    active: int = expect.ACTIVE_DAYS


@dataclass
class Workflow:
    """The steps over any accounts, each followed by the checks that hold for all users.

    ``source``: the checkout with ``policies/``; ``work``: what it writes. ``accounts``: the accounts file, with the
    notices in ``work``. ``before``: at the beginning; ``parting``: right before the Deny, which decides who is left
    alone; ``after``: right after the deletion. ``parked``, ``gone``: account id -> names of the quarantined, and the
    deleted users. ``passed``: days since the announcement. ``counted``: the number in the last step, such as ``16
    users``; empty without one.
    """

    source: Path
    work: Path
    org: LocalOrg
    accounts: Path
    mailer_config: Path
    before: dict[str, AccountState]
    days: Days = Days()
    parting: dict[str, AccountState] = field(default_factory=dict)
    parked: dict[str, set[str]] = field(default_factory=dict)
    gone: dict[str, set[str]] = field(default_factory=dict)
    after: dict[str, AccountState] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    passed: int = 0
    counted: str = ""

    @property
    def commands(self) -> Commands:
        """The commands, bound to this organization and the checkout."""
        return Commands(self.work, self.source, self.org.environment())

    @property
    def notices(self) -> Path:
        """Where notify-owners records whom it addressed."""
        return self.work / "notices"

    def output(self, step: str, account: AccountState) -> PolicyOutput:
        """The outputs of a step's policies for an account."""
        directory = self.work / "output" / place_of(step) / account.name / self.org.settings.region
        return PolicyOutput(tuple(directory / name for name in _POLICIES[step]))

    def reasons(self, account: AccountState, *steps: str) -> dict[str, str]:
        """User -> the reason of its outcome in the last of ``steps`` that has one."""
        return {
            row["user"]: str(row["reason"]) for step in steps for row in self.output(step, account).outcomes()
        }

    def is_exempt(self, user: UserState) -> bool:
        """Whether a user must stay unchanged, as far as is known without the policies."""
        return False

    def announce(self) -> None:
        """Queue the announcements of every account's users for its owner, and record whom they address."""
        self._run("announce")
        self._count("users", (announcements(self.notices, account_id) for account_id in self.before))

    def provision(self) -> None:
        """Give those users' people access through Identity Center."""
        self._run("provision")
        self._count(
            "users", (self.output("provision", each).users("provisioned") for each in self.before.values())
        )

    def daily(self, days: int = 1) -> None:
        """Let so many days pass, each with the run that checks whether messages have left the mailer's queue."""
        for _ in range(days):
            self.until(self.passed + 1)
            self._run("remind")

    def listen(self) -> None:
        """Deny everything to the users that may be deleted, after the days until then."""
        self.until(self.days.listening)
        self.parting = account_states(self.org)
        self._deny("listen", self.parting, self.days.listening)

    def quarantine(self) -> None:
        """Deactivate their credentials some days later."""
        self.until(self.days.quarantine)
        self._deny("quarantine", account_states(self.org), self.days.quarantine)

    def _deny(self, step: str, states: dict[str, AccountState], days: int) -> None:
        self._run(step)
        changed = dict[str, set[str]]()
        for account_id, after in account_states(self.org).items():
            before = states[account_id]
            changed[account_id] = expect.changed(before, after)
            touched = changed[account_id] | expect.deleted(before, after)
            self.parked.setdefault(account_id, set()).update(changed[account_id])
            self.faults += expect.quarantine_faults(before, after, self.output(step, before))
            self.faults += self._spared(before, touched, days, "quarantined")
        self._count("users", changed.values())

    def remind(self) -> None:
        """Queue the reminders, a week before the announced day."""
        self.until(self._reminder_day)
        self._run("remind")
        step = f"reminded-{self.days.reminder}"
        self._count("users", (announcements(self.notices, account_id, step) for account_id in self.before))

    def delete(self) -> None:
        """Delete the users that were quiet in quarantine, on the announced day."""
        self.until(self.days.deletion)
        states = account_states(self.org)
        self._run("delete")
        self.after = account_states(self.org)
        for account_id, after in self.after.items():
            before = states[account_id]
            self.gone[account_id] = expect.deleted(before, after)
            self.faults += expect.deletion_faults(before, after, self.output("delete", before))
            self.faults += self._spared(before, self.gone[account_id], self.days.deletion, "deleted")
        self._count("users", self.gone.values())

    @property
    def _reminder_day(self) -> int:
        return max(self.days.quarantine, self.days.deletion - self.days.reminder)

    def until(self, day: int) -> None:
        """Go on to a day after the announcement."""
        if day > self.passed:
            let_days_pass(self.org, self.notices, self.work / "output", day - self.passed)
            self.passed = day

    def _spared(self, before: AccountState, touched: set[str], days: int, done: str) -> list[str]:
        found = announcements(self.notices, before.account_id)
        return expect.sparing_faults(before, touched, found, days, done, self.is_exempt, self.days.active)

    def deliver(self, *steps: str) -> None:
        """Deliver the queued notices by c7n-mailer. ``steps``: whose notices are in the queue."""
        known = len(mails(self.work / "mails"))
        if code := self.commands.c7n_mailer("mailer", self.mailer_config, TEMPLATES):
            self.faults.append(f"c7n-mailer ended with {code}, see {self.work / 'logs' / 'mailer.log'}")
        self._count("mails", [mails(self.work / "mails")[known:]])

    def _count(self, what: str, found: Iterable[Sized]) -> None:
        number = sum(map(len, found))
        self.counted = f"{number} {what.removesuffix('s') if number == 1 else what}"

    def report(self) -> None:
        """Write the page over all accounts and runs; its check finds nothing that failed."""
        page = self.work / "report.html"
        code = self.commands.report("report", self.work / "output", self.accounts, page)
        if code not in (0, ATTENTION):
            self.faults.append(
                f"c7n-iamusers report ended with {code}, see {self.work / 'logs' / 'report.log'}"
            )

    def receipts(self) -> None:
        """Write the receipts: of exactly who is gone, with the request ids of AWS's own events."""
        made, gone = self.work / "receipts", {key: names for key, names in self.gone.items() if names}
        if gone and (code := self.commands.receipts("receipts", self.work / "output", self.accounts, made)):
            self.faults.append(
                f"c7n-iamusers receipt ended with {code}, see {self.work / 'logs' / 'receipts.log'}"
            )
        found = {account_id: receipts_in(made / account_id) for account_id in self.before}
        for account_id, receipts in found.items():
            events = deletions(self.org, account_id)
            self.faults += receipt_faults(account_id, gone.get(account_id, set()), events, receipts)
        self._count("receipts", found.values())

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """All steps in their order, each with its title."""
        days, reminder = self.days, self._reminder_day
        return [
            ("cycle: announce every user without an exemption to the account's owner", self.announce),
            ("cycle: give people access through IAM Identity Center", self.provision),
            *self.after_announcement(),
            ("c7n-mailer: deliver these mails", lambda: self.deliver("announce", "provision")),
            ("cycle: on the next two days, read that the mails have left the queue", lambda: self.daily(2)),
            (
                f"cycle: on day {days.listening}, deny everything to users that are unused and replaced",
                self.listen,
            ),
            *self.after_deny(),
            ("c7n-mailer: tell the owners whose access has stopped", lambda: self.deliver("listen")),
            ("cycle: on the next two days, read that these mails have left", lambda: self.daily(2)),
            *self.in_listening(),
            (
                f"cycle: {days.quarantine - days.listening} days later, deactivate their credentials",
                self.quarantine,
            ),
            (f"cycle: {_later(reminder - days.quarantine)}, remind the owners", self.remind),
            ("c7n-mailer: deliver the reminders", lambda: self.deliver("remind")),
            ("cycle: on the next two days, read that they have left the queue", lambda: self.daily(2)),
            *self.before_deletion(),
            (
                f"cycle: on day {days.deletion}, delete the users that were quiet in quarantine",
                self.delete,
            ),
            *self.after_deletion(),
            ("cycle: on the next day, tell the owners who is overdue", self.daily),
            ("c7n-mailer: deliver what was queued since", lambda: self.deliver("delete", "overdue")),
            ("c7n-iamusers: report on all accounts and runs", self.report),
            ("c7n-iamusers: a receipt of each deleted user", self.receipts),
        ]

    def after_announcement(self) -> list[tuple[str, Callable[[], None]]]:
        """Further steps on the day of the announcement."""
        return []

    def after_deny(self) -> list[tuple[str, Callable[[], None]]]:
        """Further steps on the day of the Deny."""
        return []

    def after_deletion(self) -> list[tuple[str, Callable[[], None]]]:
        """Further steps right after the deletion."""
        return []

    def in_listening(self) -> list[tuple[str, Callable[[], None]]]:
        """Further steps while users under the Deny may still call."""
        return []

    def before_deletion(self) -> list[tuple[str, Callable[[], None]]]:
        """Further steps right before the deletion."""
        return []

    def _run(self, step: str) -> None:
        if (code := self.commands.cycle(step)) not in (0, ATTENTION):
            self.faults.append(f"the cycle ended with {code}, see {self.work / 'logs' / (step + '.log')}")
        for account in self.before.values():
            # the checks of a quarantine and of a deletion report it themselves
            if place_of(step) != REMOVAL and not self.output(step, account).ran:
                self.faults.append(
                    f"{account.name}: the policy did not run, see {self.output(step, account)}"
                )


def _later(days: int) -> str:
    return f"{days} days later" if days else "on that day"


@dataclass(frozen=True)
class Commands:
    """The real c7n-org and c7n-mailer, with their output kept in files.

    ``work``: where everything is written. ``source``: the checkout, in which they run. ``environment``: the local
    organization's, so that no command can reach a real AWS.
    """

    work: Path
    source: Path
    environment: Mapping[str, str]

    def c7n_org(self, step: str, accounts: Path, policies: Path, *options: str) -> int:
        """Runs `c7n-org run`. Returns its exit code. The output is in ``<work>/output``, its log in ``<work>/logs``.

        The cache is in ``work``: c7n keys its cache by account id, and ids of the local organization may be real ones.
        """
        cache = self.work / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        # read nothing from the cache: in reality, days pass between these steps
        directory = self.work / "output" / place_of(step)
        output = ["-s", str(directory), "--cache-path", str(cache), "--cache-period", "0"]
        return self._run(
            step, ["c7n-org", "run", "-c", str(accounts), "-u", str(policies), *output, *options]
        )

    def cycle(self, step: str) -> int:
        """`c7n-iamusers cycle` for one step, as it is due on this day; its exit code. The workspace is ``work``."""
        return self._run(step, ["c7n-iamusers", "cycle", "-w", str(self.work), "--only", f"step={step}"])

    def c7n_mailer(self, step: str, config: Path, templates: Path) -> int:
        """`c7n-mailer --run`: delivers the queue's messages, only to this machine: a Slack webhook gets nothing."""
        command = ["c7n-mailer", "--run", "-c", str(config), "-t", str(templates)]
        return self._run(step, command, _NO_WAY_OUT)

    def only(self, step: str, policies: Path, user: str, output: Path) -> int:
        """`c7n-iamusers only`: ``policies`` for one user, written to ``output``."""
        given = ["-u", str(policies), "--user", user, "-o", str(output)]
        return self._run(step, ["c7n-iamusers", "only", *given])

    def report(self, step: str, output: Path, accounts: Path, page: Path) -> int:
        """`c7n-iamusers report --check`: one file, in the format of its suffix, on c7n-org's ``output``."""
        places = ["-s", str(output), "-c", str(accounts), "--output", str(page), "--format", page.suffix[1:]]
        return self._run(step, ["c7n-iamusers", "report", *places, "--check"])

    def give_back_key(self, step: str, key_id: str, output: Path, accounts: Path) -> int:
        """`c7n-iamusers key --give-back` by c7n-org's ``output``."""
        return self._run(
            step, ["c7n-iamusers", "key", key_id, "-s", str(output), "-c", str(accounts), "--give-back"]
        )

    def receipts(self, step: str, output: Path, accounts: Path, directory: Path) -> int:
        """`c7n-iamusers receipt --all` on c7n-org's ``output``, into ``directory``."""
        places = ["-s", str(output), "-c", str(accounts), "-o", str(directory)]
        return self._run(step, ["c7n-iamusers", "receipt", "--all", *places])

    def _run(self, step: str, command: list[str], further: Mapping[str, str] | None = None) -> int:
        program = Path(sys.executable).with_name(command[0])
        if not program.exists():
            raise LocalOrgError(
                f"{command[0]} is not installed beside {sys.executable}; in the checkout: "
                "pip install '.[cli,org,local]'"
            )
        log = self.work / "logs" / f"{step}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            print("$", *command, file=file, flush=True)
            process = subprocess.Popen(
                [str(program), *command[1:]],
                cwd=self.source,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**without_aws(os.environ), **self.environment, **(further or {})},
                start_new_session=True,
            )
            try:
                return process.wait()
            except BaseException:
                # an interrupt: c7n-org's workers must not go on without their organization
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise


#: Refuses every connection except to this machine.
_NO_WAY_OUT = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9"),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
}


# Options and output that the commands demo and rehearse share.

#: --source of a demo and a rehearsal.
source_option = click.option(
    "--source",
    type=click.Path(path_type=Path, exists=True),
    default=Path(),
    show_default="here",
    help="The checkout with policies/, accounts.yml and mailer.yml.",
)


def work_option(what: str) -> Callable[[F], F]:
    """--work of a demo or a rehearsal."""
    return click.option(
        "--work",
        type=click.Path(path_type=Path),
        default=Path(f".{what}"),
        show_default=True,
        help=f"The directory for output, logs and mails. Files of an earlier {what} in it are removed, nothing else.",
    )


def show_step(console: Console, title: str, step: Callable[[], None], rehearsal: Workflow) -> None:
    known, started, rehearsal.counted = len(rehearsal.faults), time.monotonic(), ""
    with console.status(title):
        step()
    faults = len(rehearsal.faults) - known
    mark = f"[red]{faults} faults[/]" if faults else "[green]done[/]"
    mark += f", {rehearsal.counted}" if rehearsal.counted else ""
    console.print(f"{title}: {mark} ({time.monotonic() - started:.1f} s)", highlight=False, soft_wrap=True)


def explain(console: Console, rehearsal: Workflow) -> None:
    """The first faults, and the end of the last command's log, which shows the cause."""
    for fault in rehearsal.faults[:MOST_FAULTS]:
        console.print(Text("fault: ", style="red").append(fault, style="default"), soft_wrap=True)
    if (more := len(rehearsal.faults) - MOST_FAULTS) > 0:
        console.print(f"and {more} more faults")
    logs = sorted((rehearsal.work / "logs").glob("*.log"), key=lambda path: path.stat().st_mtime)
    if rehearsal.faults and logs:
        tail = "\n".join(logs[-1].read_text().splitlines()[-15:])
        console.print(f"The end of {logs[-1]}:\n{tail}", highlight=False, markup=False, soft_wrap=True)


def places(work: Path) -> str:
    there = work / "output" / "removal" / "<account>" / "us-east-1" / "<policy>"
    found = {
        "Report": work / "report.html",
        "Receipts": work / "receipts",
        "Mails": work / "mails",
        "Notices": work / "notices",
        "Snapshots": there / "snapshots",
        "Journals": there / "journal.jsonl",
        "Logs": work / "logs",
    }
    return "\n".join(f"{name + ':':<11} {place}" for name, place in found.items())
