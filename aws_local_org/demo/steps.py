# SPDX-License-Identifier: Apache-2.0
"""The steps of the demo: announce, provision, quarantine, remind and delete, each followed by its checks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from aws_local_org import LocalOrg, Settings
from aws_local_org.demo import expectations as expect
from aws_local_org.demo.expectations import PolicyOutput, mails
from aws_local_org.demo.state import (
    AccountState,
    account_states,
    announcements,
    let_days_pass,
    people_with_access,
)
from aws_local_org.errors import LocalOrgError
from aws_local_org.iam import seeding
from aws_local_org.seed import seed
from aws_local_org.smtp_sink import SmtpSink

#: The marker file in a demo's directory, which allows the next demo to replace its content.
MARKER = ".c7n-iamusers-demo"
OWN = ("accounts.yml", "cache", "logs", "mailer.yml", "mails", "notices", "output", "policies", "report.html")
#: Of the mails that the package's policies send.
TEMPLATES = Path(str(files("c7n_iamusers"))) / "mailer_templates"
#: Days from the announcement to the quarantine and to the deletion, and from the quarantine to the reminder.
UNTIL_QUARANTINE, UNTIL_DELETION, UNTIL_REMINDER = 16, 30, 7
#: A part of the subject of a step's mails.
SUBJECTS = {
    "flag-and-notify": "to be deleted on",
    "provision": "Sign in to your AWS account through IAM Identity Center",
    "remind": ": reminder: ",
    "delete": "IAM users of your AWS account were deleted",
}
#: The policies of each file, but for those that select nobody in the demo.
POLICY_NAMES = {
    "flag-and-notify": ("iam-users-flag",),
    "provision": ("iam-users-provision",),
    "quarantine": ("iam-users-quarantine", "iam-users-quarantine-people"),
    "remind": ("iam-users-remind-7",),
    "delete": ("iam-users-delete", "iam-users-delete-people"),
}
#: Where the output of a step has another name: a deletion finds the journals of quarantines beside its own.
OUTPUTS = {"quarantine": "removal", "delete": "removal"}


@dataclass
class Demo:
    """``source``: the checkout with ``policies/`` and ``mailer.yml``; ``work``: what it writes.

    ``accounts``: the checkout's accounts file, but with the notices in ``work``. ``before``: at the beginning;
    ``parting``: right before the quarantine, by which users are left alone.
    """

    source: Path
    work: Path
    org: LocalOrg
    accounts: Path
    mailer_config: Path
    before: dict[str, AccountState]
    parting: dict[str, AccountState] = field(default_factory=dict)
    gone: dict[str, set[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

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
        return PolicyOutput(tuple(directory / name for name in POLICY_NAMES[step]))

    def announce(self) -> None:
        """Queue the announcements of every account's users for its owner, and record whom they address."""
        self._run("flag-and-notify")
        for account in self.before.values():
            found = announcements(self.notices, account.account_id)
            self.faults += expect.announcement_faults(account, self.output("flag-and-notify", account), found)

    def provision(self) -> None:
        """Give the people among them access through Identity Center."""
        self._run("provision")
        for account in self.before.values():
            self.faults += expect.access_faults(account, people_with_access(self.org, account.account_id))

    def quarantine(self) -> None:
        """Put the users in quarantine that may go, as if the days until then had passed."""
        self._wait(UNTIL_QUARANTINE)
        self.parting = account_states(self.org)
        self._run("quarantine")
        for account_id, after in account_states(self.org).items():
            before = self.parting[account_id]
            touched = expect.changed(before, after) | expect.deleted(before, after)
            self.faults += expect.quarantine_faults(before, after, self.output("quarantine", before))
            self.faults += self._spared(before, touched, UNTIL_QUARANTINE, "quarantined")

    def remind(self) -> None:
        """Queue the reminders, a week before the announced day."""
        self._wait(UNTIL_REMINDER)
        self._run("remind")
        for account in self.before.values():
            if not self.output("remind", account).ran:
                self.faults.append(
                    f"{account.name}: the policy did not run, see {self.output('remind', account)}"
                )

    def delete(self) -> None:
        """Delete those who were quiet in their quarantine, as if the announced day had come."""
        self._wait(UNTIL_DELETION - UNTIL_QUARANTINE - UNTIL_REMINDER)
        states = account_states(self.org)
        self._run("delete")
        for account_id, after in account_states(self.org).items():
            before = states[account_id]
            self.gone[account_id] = expect.deleted(before, after)
            self.faults += expect.deletion_faults(before, after, self.output("delete", before))
            self.faults += self._spared(before, self.gone[account_id], UNTIL_DELETION, "deleted")

    def _wait(self, days: int) -> None:
        let_days_pass(self.org, self.notices, self.work / "output", days)

    def _spared(self, before: AccountState, touched: set[str], days: int, done: str) -> list[str]:
        found = announcements(self.notices, before.account_id)
        return expect.sparing_faults(before, touched, found, days, done)

    def deliver(self, *steps: str) -> None:
        """Deliver the queued notices by c7n-mailer; each account's owners must have those of ``steps``."""
        if code := self.commands.c7n_mailer("mailer", self.mailer_config, TEMPLATES):
            self.faults.append(f"c7n-mailer ended with {code}, see {self.work / 'logs' / 'mailer.log'}")
        received = mails(self.work / "mails")
        owners = yaml.safe_load(self.mailer_config.read_text())["account_emails"]
        for account in self.before.values():
            for step in steps:
                named, to = self._named(step, account), owners[account.account_id]
                self.faults += expect.mail_faults(account, named, to, SUBJECTS[step], received)

    def report(self) -> None:
        """Write the page over all accounts and runs; its check finds nothing that failed."""
        page = self.work / "report.html"
        if code := self.commands.report("report", self.work / "output", self.accounts, page):
            self.faults.append(
                f"c7n-iamusers report ended with {code}, see {self.work / 'logs' / 'report.log'}"
            )

    def _named(self, step: str, account: AccountState) -> set[str]:
        """The users that the mails of a step must name."""
        if step == "delete":
            return self.gone[account.account_id]
        people = {user.name for user in account.users if user.email}
        return expect.leaving(account) & people if step == "provision" else expect.leaving(account)

    def _run(self, step: str) -> None:
        policies = self.source / "policies" / f"{step}.yml"
        if code := self.commands.c7n_org(step, self.accounts, policies):
            self.faults.append(f"c7n-org ended with {code}, see {self.work / 'logs' / (step + '.log')}")


@contextmanager
def prepared(source: Path, work: Path, seed_number: int, users_per_account: int) -> Iterator[Demo]:
    """A demo over a freshly seeded organization.

    What an earlier demo left in ``work`` is removed first. Raises LocalOrgError, before anything is touched, where
    ``work`` is not a demo's, or ``source`` is not a checkout whose accounts are the organization's.
    """
    needs = (
        "accounts.yml",
        "mailer.yml",
        "policies/exemptions.csv",
        *(f"policies/{each}.yml" for each in POLICY_NAMES),
    )
    for needed in needs:
        if not (source / needed).exists():
            raise LocalOrgError(
                f"there is no {needed} in {source}: run the demo in a checkout, or name one by --source"
            )
    # an assignment takes seconds in AWS; the demo compresses time anyway
    settings = Settings(assignment_seconds=0.1)
    _check_accounts(source, settings)
    clear(work)
    with LocalOrg(settings) as org, SmtpSink(work / "mails") as sink:
        seed(org, seed=seed_number, users_per_account=users_per_account)
        add_tempting_users(org)
        config = yaml.safe_load((source / "mailer.yml").read_text())
        mailer_config = work / "mailer.yml"
        mailer_config.write_text(yaml.safe_dump({**config, "smtp_port": sink.port}))
        accounts = work / "accounts.yml"
        accounts.write_text(yaml.safe_dump(_with_notices(source, work / "notices"), sort_keys=False))
        yield Demo(source, work, org, accounts, mailer_config, account_states(org))


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


def _with_notices(source: Path, notices: Path) -> dict[str, Any]:
    """The accounts of the checkout, with the notices in a directory of the demo's own."""
    found: dict[str, Any] = yaml.safe_load((source / "accounts.yml").read_text())
    return {**found, "vars": {**found.get("vars", {}), "notices": str(notices)}}


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


def _listed(accounts: Iterable[object]) -> str:
    return ", ".join(sorted(" ".join(each) if isinstance(each, tuple) else str(each) for each in accounts))


def clear(work: Path) -> None:
    """Make ``work`` an empty directory with the marker; only what a demo makes is removed from a marked one."""
    try:
        marked = not work.is_symlink() and (work / MARKER).is_file() and not (work / MARKER).is_symlink()
        if not marked and (work.is_symlink() or (work.exists() and not _is_empty(work))):
            raise LocalOrgError(
                f"{work} is not empty and has no marker of a demo, so nothing in it is changed: name another directory "
                f"by --work. If it is the work of an earlier version's demo, remove it yourself: rm -r {work}"
            )
        work.mkdir(parents=True, exist_ok=True)
        (work / MARKER).touch()
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

    def c7n_org(self, step: str, accounts: Path, policies: Path) -> int:
        """`c7n-org run`; its exit code. The output is in ``<work>/output``, its log in ``<work>/logs``.

        The cache is in ``work``: c7n keys its cache by account id, and ids of the local organization may be real ones.
        """
        cache = self.work / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        # nothing is read from the cache: days pass between these steps in the real world
        directory = self.work / "output" / OUTPUTS.get(step, step)
        output = ["-s", str(directory), "--cache-path", str(cache), "--cache-period", "0"]
        return self._run(step, ["c7n-org", "run", "-c", str(accounts), "-u", str(policies), *output])

    def c7n_mailer(self, step: str, config: Path, templates: Path) -> int:
        """`c7n-mailer --run`: delivers what is in the queue."""
        return self._run(step, ["c7n-mailer", "--run", "-c", str(config), "-t", str(templates)])

    def report(self, step: str, output: Path, accounts: Path, page: Path) -> int:
        """`c7n-iamusers report --check`: one page over what c7n-org left in ``output``."""
        places = ["-s", str(output), "-c", str(accounts), "--output", str(page)]
        return self._run(step, ["c7n-iamusers", "report", *places, "--check"])

    def _run(self, step: str, command: list[str]) -> int:
        program = Path(sys.executable).with_name(command[0])
        if not program.exists():
            raise LocalOrgError(
                f"{command[0]} is not installed beside {sys.executable}: pip install 'c7n_iamusers[cli,org,local]'"
            )
        log = self.work / "logs" / f"{step}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            print("$", *command, file=file, flush=True)
            return subprocess.run(
                [str(program), *command[1:]],
                cwd=self.source,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**_without_aws(os.environ), **self.environment},
            ).returncode


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the profile, credentials and endpoint of the person who runs the demo."""
    return {name: value for name, value in environment.items() if not name.startswith(("AWS_", "C7N_"))}
