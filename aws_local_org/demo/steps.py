# SPDX-License-Identifier: Apache-2.0
"""The steps of a demo or a rehearsal, from the announcement to the deletion, each with its checks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from aws_local_org import LocalOrg, Settings
from aws_local_org.demo import expectations as expect
from aws_local_org.demo import planted
from aws_local_org.demo.expectations import PolicyOutput, mails
from aws_local_org.demo.state import (
    AccountState,
    UserState,
    account_state,
    account_states,
    announcements,
    let_days_pass,
    people_with_access,
)
from aws_local_org.environment import no_aws_settings, without_aws
from aws_local_org.errors import LocalOrgError
from aws_local_org.iam import seeding
from aws_local_org.seed import seed
from aws_local_org.smtp_sink import SmtpSink

#: The marker file in a demo's directory, which allows the next demo to replace its content.
MARKER = ".c7n-iamusers-demo"
DEMO = "demo"
#: The number of accounts of the local organization, which are those of the checkout's accounts.yml.
EXAMPLES = len(Settings().member_accounts)
OWN = ("accounts.yml", "cache", "logs", "mailer.yml", "mails", "notices", "output", "policies", "report.html")
#: Of the mails that the package's policies send.
TEMPLATES = Path(str(files("c7n_iamusers"))) / "mailer_templates"
#: A part of the subject of a step's mails.
SUBJECTS = {
    "flag-and-notify": "to be deleted on",
    "provision": "with access through IAM Identity Center",
    "attempts": "still in use",
    "remind": ": reminder: ",
    "delete": " deleted",
}
#: The policies of each file, but for those that select nobody in the demo.
POLICY_NAMES = {
    "flag-and-notify": ("iam-users-flag",),
    "provision": ("iam-users-provision",),
    "listen": ("iam-users-listen", "iam-users-listen-people"),
    "quarantine": ("iam-users-quarantine", "iam-users-quarantine-people"),
    "remind": ("iam-users-remind-7",),
    "delete": ("iam-users-delete", "iam-users-delete-people"),
}
#: The same of the files that only the demo runs.
DEMO_POLICIES = {"attempts": ("iam-users-heard",), "release": ("iam-users-release",)}
#: Where the output of a step has another name: a deletion finds the journals of quarantines beside its own.
OUTPUTS = dict.fromkeys(("listen", "attempts", "release", "quarantine", "delete"), "removal")


@dataclass(frozen=True)
class Days:
    """Days from the announcement to the Deny, to the deactivation and to the deletion.

    ``reminder``: so many days before the deletion. ``active``: who used password or key in so many days before a step
    is active.
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
    notices in ``work``. ``before``: at the beginning; ``parting``: right before the Deny, by which users are left
    alone; ``after``: right after the deletion. ``parked``, ``gone``: account id -> names of the users that were
    quarantined and deleted. ``passed``: days since the announcement.
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

    @property
    def commands(self) -> Commands:
        """The commands, bound to this organization and the checkout."""
        return Commands(self.work, self.source, self.org.environment())

    @property
    def notices(self) -> Path:
        """Where notify-owners records whom it addressed."""
        return self.work / "notices"

    def output(self, step: str, account: AccountState) -> PolicyOutput:
        """What a step's policies left for an account."""
        name = OUTPUTS.get(step, step)
        directory = self.work / "output" / name / account.name / self.org.settings.region
        return PolicyOutput(tuple(directory / name for name in {**POLICY_NAMES, **DEMO_POLICIES}[step]))

    def reasons(self, account: AccountState, *steps: str) -> dict[str, str]:
        """User -> the reason of its outcome in the last of ``steps`` that has one."""
        return {
            row["user"]: str(row["reason"]) for step in steps for row in self.output(step, account).outcomes()
        }

    def is_exempt(self, user: UserState) -> bool:
        """Whether nobody may touch a user, as far as is known without the policies."""
        return False

    def announce(self) -> None:
        """Queue the announcements of every account's users for its owner, and record whom they address."""
        self._run("flag-and-notify")

    def provision(self) -> None:
        """Give the people among them access through Identity Center."""
        self._run("provision")

    def listen(self) -> None:
        """Deny the users everything that may go, as if the days until then had passed."""
        self.until(self.days.listening)
        self.parting = account_states(self.org)
        self._deny("listen", self.parting, self.days.listening)

    def quarantine(self) -> None:
        """Deactivate their credentials, some days later."""
        self.until(self.days.quarantine)
        self._deny("quarantine", account_states(self.org), self.days.quarantine)

    def _deny(self, step: str, states: dict[str, AccountState], days: int) -> None:
        self._run(step)
        for account_id, after in account_states(self.org).items():
            before = states[account_id]
            touched = expect.changed(before, after) | expect.deleted(before, after)
            self.parked.setdefault(account_id, set()).update(expect.changed(before, after))
            self.faults += expect.quarantine_faults(before, after, self.output(step, before))
            self.faults += self._spared(before, touched, days, "quarantined")

    def remind(self) -> None:
        """Queue the reminders, a week before the announced day."""
        self.until(self._reminder_day)
        self._run("remind")

    def delete(self) -> None:
        """Delete those who were quiet in their quarantine, as if the announced day had come."""
        self.until(self.days.deletion)
        states = account_states(self.org)
        self._run("delete")
        self.after = account_states(self.org)
        for account_id, after in self.after.items():
            before = states[account_id]
            self.gone[account_id] = expect.deleted(before, after)
            self.faults += expect.deletion_faults(before, after, self.output("delete", before))
            self.faults += self._spared(before, self.gone[account_id], self.days.deletion, "deleted")

    @property
    def _reminder_day(self) -> int:
        return max(self.days.quarantine, self.days.deletion - self.days.reminder)

    def until(self, day: int) -> None:
        """As if it were so many days after the announcement."""
        if day > self.passed:
            let_days_pass(self.org, self.notices, self.work / "output", day - self.passed)
            self.passed = day

    def _spared(self, before: AccountState, touched: set[str], days: int, done: str) -> list[str]:
        found = announcements(self.notices, before.account_id)
        return expect.sparing_faults(before, touched, found, days, done, self.is_exempt, self.days.active)

    def deliver(self, *steps: str) -> None:
        """Deliver the queued notices by c7n-mailer. ``steps``: whose notices are in the queue."""
        if code := self.commands.c7n_mailer("mailer", self.mailer_config, TEMPLATES):
            self.faults.append(f"c7n-mailer ended with {code}, see {self.work / 'logs' / 'mailer.log'}")

    def report(self) -> None:
        """Write the page over all accounts and runs; its check finds nothing that failed."""
        page = self.work / "report.html"
        if code := self.commands.report("report", self.work / "output", self.accounts, page):
            self.faults.append(
                f"c7n-iamusers report ended with {code}, see {self.work / 'logs' / 'report.log'}"
            )

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """All steps in their order, each with its title."""
        days, reminder = self.days, self._reminder_day
        return [
            ("c7n-org: announce every user without an exemption to the account's owner", self.announce),
            ("c7n-org: give people access through IAM Identity Center", self.provision),
            ("c7n-mailer: deliver both mails", lambda: self.deliver("flag-and-notify", "provision")),
            (
                f"c7n-org: {days.listening} days later, deny everything to who is unused and has a replacement",
                self.listen,
            ),
            *self.in_listening(),
            (
                f"c7n-org: {days.quarantine - days.listening} days later, deactivate their credentials",
                self.quarantine,
            ),
            (f"c7n-org: {_later(reminder - days.quarantine)}, remind the owners", self.remind),
            *self.before_deletion(),
            (
                f"c7n-org: {days.deletion - reminder} days later, delete who was quiet in quarantine",
                self.delete,
            ),
            ("c7n-mailer: deliver what was queued since", lambda: self.deliver("remind", "delete")),
            ("c7n-iamusers: report on all accounts and runs", self.report),
        ]

    def in_listening(self) -> list[tuple[str, Callable[[], None]]]:
        """Further steps while who is denied everything may call."""
        return []

    def before_deletion(self) -> list[tuple[str, Callable[[], None]]]:
        """Further steps right before the deletion."""
        return []

    def _run(self, step: str) -> None:
        policies = self.source / "policies" / f"{step}.yml"
        if code := self.commands.c7n_org(step, self.accounts, policies):
            self.faults.append(f"c7n-org ended with {code}, see {self.work / 'logs' / (step + '.log')}")
        for account in self.before.values():
            # of a quarantine and a deletion their own checks say it
            if step not in OUTPUTS and not self.output(step, account).ran:
                self.faults.append(
                    f"{account.name}: the policy did not run, see {self.output(step, account)}"
                )


@dataclass
class Demo(Workflow):
    """The steps over the seeded population, of which is known beforehand what must happen to whom.

    ``source``: a copy of the checkout's policies, since an owner's answer is written to the exemptions. ``answered``:
    unique ids of the users that an owner has exempted since the announcement.
    """

    answered: set[str] = field(default_factory=set)

    @property
    def first(self) -> AccountState:
        """The account in which somebody calls AWS under the Deny."""
        return next(iter(self.before.values()))

    def is_exempt(self, user: UserState) -> bool:
        return expect.exempt(user) or user.unique_id in self.answered

    def until(self, day: int) -> None:
        """The machines in use have called AWS in these days, and nothing was denied to them."""
        super().until(day)
        for account in self.before.values():
            self._call(account, planted.IN_USE)
            if account is self.first and self.answered:
                self._call(account, planted.CALLED)

    def _call(self, account: AccountState, user: str, expected: str = "") -> None:
        if (found := planted.call(self.org, account.account_id, user)) != expected:
            self.faults.append(
                f"{account.name}: a call of {user} ended with {found or 'success'}, not {expected or 'success'}"
            )

    def announce(self) -> None:
        super().announce()
        for account in self.before.values():
            if self.output("flag-and-notify", account).ran:
                self._check_records(account, expect.leaving(account), "announced")
            planted.plant_unannounced(self.org, account.account_id)

    def provision(self) -> None:
        super().provision()
        for account in self.before.values():
            self.faults += expect.access_faults(account, people_with_access(self.org, account.account_id))
            self._check_records(account, self._named("provision", account), "informed", "access")

    def in_listening(self) -> list[tuple[str, Callable[[], None]]]:
        name = self.first.name
        return [
            (f"c7n-org: a machine of {name} calls AWS, and is heard; c7n-mailer: mail its owner", self.hear),
            (f"c7n-org: the owner in {name} exempts the machine, and it is released", self.release),
        ]

    def hear(self) -> None:
        """Somebody calls as a user that is denied everything: the owner gets a mail, and the report's check fails."""
        self._call(self.first, planted.CALLED, "AccessDenied")
        if code := self._in_first("attempts"):
            self.faults.append(f"c7n-org ended with {code}, see {self.work / 'logs' / 'attempts.log'}")
        self.faults += expect.heard_faults(self.first, self.output("attempts", self.first), {planted.CALLED})
        self._check_records(self.first, {planted.CALLED}, "informed", "heard")
        self.deliver("attempts")
        page, log = self.work / "report.html", self.work / "logs" / "report-heard.log"
        code = self.commands.report("report-heard", self.work / "output", self.accounts, page)
        if not code or f"user {planted.CALLED} of account {self.first.account_id}" not in log.read_text():
            self.faults.append(
                f"c7n-iamusers report --check misses that {planted.CALLED} is in use, see {log}"
            )

    def release(self) -> None:
        """The owner answers by an exemption, and the user is released: it is as it was before the Deny, and works."""
        account = self.first
        (owner, *_) = self._owners[account.account_id]
        planted.exempt_caller(self.source / "policies" / "exemptions.csv", account.account_id, owner)
        template = (self.source / "policies" / "release.yml").read_text()
        named = template.replace("UserName: somebody", f"UserName: {planted.CALLED}")
        (self.source / "policies" / "release-one.yml").write_text(named)
        if code := self._in_first("release", "release-one.yml"):
            self.faults.append(f"c7n-org ended with {code}, see {self.work / 'logs' / 'release.log'}")
        parting = self.parting[account.account_id]
        now = account_state(self.org, account.account_id, account.name)
        released = self.output("release", account).users("released")
        if released != {planted.CALLED} or planted.CALLED in expect.changed(parting, now):
            self.faults.append(f"{account.name}: {planted.CALLED} is not as it was before the Deny")
        self.answered = {user.unique_id for user in now.users if user.name == planted.CALLED}
        self._call(account, planted.CALLED)

    def remind(self) -> None:
        super().remind()
        for account in self.before.values():
            self._check_records(account, self._named("remind", account), f"reminded-{self.days.reminder}")

    def before_deletion(self) -> list[tuple[str, Callable[[], None]]]:
        return [(f"c7n-org: on the day, a file STOP stops a deletion in {self.first.name}", self.stop)]

    def stop(self) -> None:
        """A deletion under a file STOP, which is removed afterwards."""
        self.until(self.days.deletion)
        account = self.first
        before = account_state(self.org, account.account_id, account.name)
        (self.notices / "STOP").touch()
        code = self._in_first("delete", "delete.yml", "-p", "iam-users-delete")
        (self.notices / "STOP").unlink()
        after = account_state(self.org, account.account_id, account.name)
        self.faults += expect.stop_faults(before, after, self.output("delete", account), code)

    def delete(self) -> None:
        super().delete()
        for account_id, account in self.before.items():
            after, parting = self.after[account_id], self.parting.get(account_id, account)
            answered = self._answered_in(account)
            self.faults += expect.population_faults(account, self.gone[account_id])
            self.faults += planted.planted_faults(after, bool(answered))
            self._check_records(account, self.gone[account_id], "informed", "deleted")
            self.faults += expect.left_faults(
                after,
                parting,
                answered | {user.name for user in after.users if expect.exempt(user)},
                self.reasons(account, "listen", "quarantine", "delete"),
                self.days.active,
            )
            self.faults += [
                f"{account.name}: {name} was deleted and has no access through Identity Center"
                for name in expect.unreplaced(parting, after)
            ]

    def report(self) -> None:
        """The page names every planted user."""
        super().report()
        page = self.work / "report.html"
        text = page.read_text() if page.exists() else ""
        self.faults += [f"the report does not name {name}" for name in planted.STORIES if name not in text]

    def _check_records(self, account: AccountState, expected: set[str], step: str, what: str = "") -> None:
        found = announcements(self.notices, account.account_id, step, what)
        named = " ".join(filter(None, ("on record as", step, what)))
        self.faults += expect.recorded_faults(account, found, expected, named)

    def _answered_in(self, account: AccountState) -> set[str]:
        return {user.name for user in account.users if user.unique_id in self.answered}

    def _in_first(self, step: str, file: str = "", *options: str) -> int:
        """c7n-org over the first account alone; its exit code."""
        policies = self.source / "policies" / (file or f"{step}.yml")
        return self.commands.c7n_org(step, self.accounts, policies, "-a", self.first.name, *options)

    @property
    def _owners(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = yaml.safe_load(self.mailer_config.read_text())["account_emails"]
        return found

    def deliver(self, *steps: str) -> None:
        """Each account's owners must have the mails of ``steps``."""
        super().deliver(*steps)
        received, owners = mails(self.work / "mails"), self._owners
        for account in self.before.values():
            for step in steps:
                if step == "attempts" and account is not self.first:
                    continue
                named, to = self._named(step, account), owners[account.account_id]
                self.faults += expect.mail_faults(account, named, to, SUBJECTS[step], received)

    def _named(self, step: str, account: AccountState) -> set[str]:
        """The users that the mails of a step must name."""
        if step == "delete":
            return self.gone[account.account_id]
        if step == "attempts":
            return {planted.CALLED}
        people = {user.name for user in account.users if user.email}
        leaving = expect.leaving(account) - self._answered_in(account)
        return leaving & people if step == "provision" else leaving


@contextmanager
def prepared(
    source: Path, work: Path, seed_number: int, users_per_account: int, accounts: int = EXAMPLES
) -> Iterator[Demo]:
    """A demo over a freshly seeded organization of so many ``accounts``: those of the checkout, then invented ones.

    What an earlier demo left in ``work`` is removed first. Raises LocalOrgError, before anything is touched, where
    ``work`` is not a demo's, or ``source`` is not a checkout whose accounts are the organization's.
    """
    check_checkout(source, DEMO, (*POLICY_NAMES, *DEMO_POLICIES))
    _check_accounts(source, Settings())
    # an assignment takes seconds in AWS; the demo compresses time anyway
    settings = Settings(member_accounts=_members(accounts), assignment_seconds=0.1)
    clear(work, DEMO, MARKER)
    with no_aws_settings(), LocalOrg(settings) as org, SmtpSink(work / "mails") as sink:
        seed(org, seed=seed_number, users_per_account=users_per_account)
        add_tempting_users(org)
        for account_id, _ in settings.member_accounts:
            planted.plant(org, account_id)
        shutil.copytree(source / "policies", work / "policies")
        accounts_file, mailer_config = work / "accounts.yml", work / "mailer.yml"
        file = _accounts_file(source, settings, work / "notices")
        accounts_file.write_text(yaml.safe_dump(file, sort_keys=False))
        config = yaml.safe_load((source / "mailer.yml").read_text())
        known = config["account_emails"]
        invented = (each for each in file["accounts"] if each["account_id"] not in known)
        owners = {each["account_id"]: [each["vars"]["owner"]] for each in invented}
        config |= {"smtp_port": sink.port, "account_emails": {**known, **owners}}
        mailer_config.write_text(yaml.safe_dump(config))
        yield Demo(work, work, org, accounts_file, mailer_config, account_states(org))


def _members(accounts: int) -> tuple[tuple[str, str], ...]:
    """So many accounts as (id, name): the examples, and further ones."""
    invented = [
        (f"{900_000_000_000 + number}", f"team-{number:02}") for number in range(EXAMPLES + 1, accounts + 1)
    ]
    return (*Settings().member_accounts, *invented)


def check_checkout(source: Path, what: str, steps: Iterable[str] = POLICY_NAMES) -> None:
    """Raises LocalOrgError where ``source`` has not all that the ``steps`` need."""
    needs = (
        "accounts.yml",
        "mailer.yml",
        "policies/exemptions.csv",
        *(f"policies/{each}.yml" for each in steps),
    )
    for needed in needs:
        if not (source / needed).exists():
            raise LocalOrgError(
                f"there is no {needed} in {source}: run the {what} in a checkout, or name one by --source"
            )


#: Whom only one guard each spares: unused for long, but nobody knows whose it is; and a role trusts it.
OWNERLESS, TRUSTED = "former.colleague", "svc-handover-old"


def add_tempting_users(org: LocalOrg) -> None:
    """Two unused users in each account that must stay, so that the checks of people and roles can find something."""
    now = datetime.now(timezone.utc)
    long_ago, later = now - timedelta(days=900), now - timedelta(days=400)
    for account_id, _ in org.settings.member_accounts:
        with org.lock:
            account = org.backend("iam", account_id)
            person = seeding.add_user(account, OWNERLESS, created=long_ago)
            seeding.set_password(person, long_ago, last_used=later)
            machine = seeding.add_user(account, TRUSTED, created=long_ago)
            key = seeding.add_access_key(account, machine, created=long_ago)
            seeding.set_access_key_last_used(key, later, service="s3", region="us-east-1")
        statement = {"Effect": "Allow", "Principal": {"AWS": machine.arn}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        org.client("iam", account_id).create_role(RoleName="handover", AssumeRolePolicyDocument=trust)


def _accounts_file(source: Path, settings: Settings, notices: Path) -> dict[str, Any]:
    """The accounts of the checkout and the invented ones, with the notices in a directory of the demo's own."""
    found: dict[str, Any] = yaml.safe_load((source / "accounts.yml").read_text())
    known = {each["account_id"] for each in found["accounts"]}
    invented = [
        {
            "name": name,
            "account_id": account_id,
            "role": f"arn:aws:iam::{account_id}:role/{settings.role_name}",
            "regions": [settings.region],
            "vars": {"account_name": name, "owner": f"{name}-owner@example.com"},
        }
        for account_id, name in settings.member_accounts
        if account_id not in known
    ]
    variables = {**found.get("vars", {}), "notices": str(notices)}
    return {**found, "vars": variables, "accounts": [*found["accounts"], *invented]}


def _check_accounts(source: Path, settings: Settings) -> None:
    """The accounts of the checkout must be the organization's: c7n-org skips the others silently."""
    try:
        accounts = yaml.safe_load((source / "accounts.yml").read_text())["accounts"]
        owners = yaml.safe_load((source / "mailer.yml").read_text())["account_emails"]
        named = {(str(each["account_id"]), str(each["name"])) for each in accounts}
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise LocalOrgError(
            f"accounts.yml or mailer.yml in {source} can't be read: {type(error).__name__}: {error}"
        ) from error
    known = set(settings.member_accounts)
    for file, found, wanted in (
        ("accounts.yml", named, known),
        ("mailer.yml", set(owners), {account_id for account_id, _ in known}),
    ):
        if found != wanted:
            raise LocalOrgError(
                f"{source / file}: the demo's accounts are {_listed(wanted)}, and not {_listed(found)}: "
                "run it in a checkout whose accounts.yml and mailer.yml are as they were"
            )


def _later(days: int) -> str:
    return f"{days} days later" if days else "on that day"


def _listed(accounts: Iterable[object]) -> str:
    return ", ".join(sorted(" ".join(each) if isinstance(each, tuple) else str(each) for each in accounts))


def clear(work: Path, what: str = DEMO, marker: str = MARKER) -> None:
    """Make ``work`` an empty directory with the ``marker``; only what the steps make is removed from a marked one.

    ``what``: a demo or a rehearsal, for messages.
    """
    try:
        marked = not work.is_symlink() and (work / marker).is_file() and not (work / marker).is_symlink()
        if not marked and (work.is_symlink() or (work.exists() and not _is_empty(work))):
            raise LocalOrgError(
                f"{work} is not empty and has no marker of a {what}, so nothing in it is changed: name another "
                f"directory by --work. If it is the work of an earlier version's {what}, remove it yourself: rm -r "
                f"{work}"
            )
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        (work / marker).touch()
        for name in OWN:
            _remove(work / name)
    except OSError as error:
        raise LocalOrgError(f"{work} can't be prepared: {error}; name another directory by --work") from error


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _remove(path: Path) -> None:
    """Removes a file, a directory, or a link (not its target)."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
        """`c7n-org run`; its exit code. The output is in ``<work>/output``, its log in ``<work>/logs``.

        The cache is in ``work``: c7n keys its cache by account id, and ids of the local organization may be real ones.
        """
        cache = self.work / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        # nothing is read from the cache: days pass between these steps in the real world
        directory = self.work / "output" / OUTPUTS.get(step, step)
        output = ["-s", str(directory), "--cache-path", str(cache), "--cache-period", "0"]
        return self._run(
            step, ["c7n-org", "run", "-c", str(accounts), "-u", str(policies), *output, *options]
        )

    def c7n_mailer(self, step: str, config: Path, templates: Path) -> int:
        """`c7n-mailer --run`: delivers what is in the queue, to this machine only: a webhook of Slack gets nothing."""
        command = ["c7n-mailer", "--run", "-c", str(config), "-t", str(templates)]
        return self._run(step, command, _NO_WAY_OUT)

    def report(self, step: str, output: Path, accounts: Path, page: Path) -> int:
        """`c7n-iamusers report --check`: one page over what c7n-org left in ``output``."""
        places = ["-s", str(output), "-c", str(accounts), "--output", str(page)]
        return self._run(step, ["c7n-iamusers", "report", *places, "--check"])

    def _run(self, step: str, command: list[str], further: Mapping[str, str] | None = None) -> int:
        program = Path(sys.executable).with_name(command[0])
        if not program.exists():
            raise LocalOrgError(
                f"{command[0]} is not installed beside {sys.executable}: pip install 'c7n_iamusers[cli,org,local]'"
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


#: Every connection but those to this machine is refused.
_NO_WAY_OUT = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9"),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
}
