# SPDX-License-Identifier: Apache-2.0
"""The steps of the demo: flag, notify, provision and delete, each followed by its checks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import yaml

from aws_local_org import LocalOrg, Settings
from aws_local_org.demo import expectations as expect
from aws_local_org.demo.expectations import PolicyOutput, mails
from aws_local_org.demo.state import AccountState, account_states, let_days_pass, people_with_access
from aws_local_org.errors import LocalOrgError
from aws_local_org.seed import seed
from aws_local_org.smtp_sink import SmtpSink

#: The marker file in a demo's directory, which allows the next demo to replace its content.
MARKER = ".c7n-iamusers-demo"
OWN = ("cache", "logs", "mailer.yml", "mails", "output", "policies")
#: Of the mails that the package's policies send.
TEMPLATES = Path(str(files("c7n_iamusers"))) / "mailer_templates"
#: From the notice to the deletion, as policies/flag-and-notify.yml has it.
DAYS = 30
SUBJECTS = {
    "flag-and-notify": "IAM users of your AWS account are to be deleted",
    "provision": "Sign in to your AWS account through IAM Identity Center",
    "delete": "IAM users of your AWS account were deleted",
}
POLICY_NAMES = {
    "flag-and-notify": "iam-users-flag",
    "provision": "iam-users-provision",
    "delete": "iam-users-delete",
}


@dataclass
class Demo:
    """``source``: the checkout with ``policies/``, ``accounts.yml`` and ``mailer.yml``; ``work``: what it writes."""

    source: Path
    work: Path
    org: LocalOrg
    mailer_config: Path
    before: dict[str, AccountState]
    faults: list[str] = field(default_factory=list)

    @property
    def commands(self) -> Commands:
        """The commands, bound to this organization."""
        return Commands(self.work, self.org.environment())

    def output(self, step: str, account: AccountState) -> PolicyOutput:
        """What a step's policy left for an account."""
        region = self.org.settings.region
        return PolicyOutput(self.work / "output" / step / account.name / region / POLICY_NAMES[step])

    def flag(self) -> None:
        """Flag every account's users and mark them for the day of their deletion."""
        self._run("flag-and-notify", self.source / "policies" / "flag-and-notify.yml")
        for account in self.before.values():
            self.faults += expect.flag_faults(account, self.output("flag-and-notify", account))

    def provision(self) -> None:
        """Give the people among them access through Identity Center."""
        self._run("provision", self.source / "policies" / "provision.yml")
        for account in self.before.values():
            self.faults += expect.access_faults(account, people_with_access(self.org, account.account_id))

    def delete(self) -> None:
        """Delete them, as if the announced thirty days had passed without any use of an IAM user."""
        let_days_pass(self.org, DAYS)
        text = (self.source / "policies" / "delete.yml").read_text()
        early = self.work / "policies" / "delete.yml"
        early.parent.mkdir(parents=True, exist_ok=True)
        early.write_text(text.replace("skew: 0", f"skew: {DAYS}"))
        self._run("delete", early)
        after = account_states(self.org)
        for account in self.before.values():
            self.faults += expect.deletion_faults(
                account, after[account.account_id], self.output("delete", account)
            )

    def deliver(self, *steps: str) -> None:
        """Deliver the queued notices by c7n-mailer; each account's owners must have those of ``steps``."""
        if code := self.commands.c7n_mailer("mailer", self.mailer_config, TEMPLATES):
            self.faults.append(f"c7n-mailer ended with {code}, see {self.work / 'logs' / 'mailer.log'}")
        received = mails(self.work / "mails")
        owners = yaml.safe_load(self.mailer_config.read_text())["account_emails"]
        for account in self.before.values():
            for step in steps:
                named = account if step != "provision" else _people_of(account)
                self.faults += expect.mail_faults(named, owners[account.account_id], SUBJECTS[step], received)

    def _run(self, step: str, policies: Path) -> None:
        if code := self.commands.c7n_org(step, self.source / "accounts.yml", policies):
            self.faults.append(f"c7n-org ended with {code}, see {self.work / 'logs' / (step + '.log')}")


def _people_of(account: AccountState) -> AccountState:
    people = tuple(user for user in account.users if user.email)
    return AccountState(account.account_id, account.name, people, account.orphaned_mfa)


@contextmanager
def prepared(source: Path, work: Path, seed_number: int, users_per_account: int) -> Iterator[Demo]:
    """A demo over a freshly seeded organization.

    What an earlier demo left in ``work`` is removed first. Raises LocalOrgError, before anything is touched, where
    ``work`` is not a demo's, or ``source`` is not a checkout whose accounts are the organization's.
    """
    for needed in ("accounts.yml", "mailer.yml", *(f"policies/{step}.yml" for step in SUBJECTS)):
        if not (source / needed).exists():
            raise LocalOrgError(
                f"there is no {needed} in {source}: run the demo in a checkout, or name one by --source"
            )
    settings = Settings()
    _check_accounts(source, settings)
    clear(work)
    with LocalOrg(settings) as org, SmtpSink(work / "mails") as sink:
        seed(org, seed=seed_number, users_per_account=users_per_account)
        config = yaml.safe_load((source / "mailer.yml").read_text())
        mailer_config = work / "mailer.yml"
        mailer_config.write_text(yaml.safe_dump({**config, "smtp_port": sink.port}))
        yield Demo(source, work, org, mailer_config, account_states(org))


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

    ``work``: where everything is written. ``environment``: the local organization's, so that no command can reach a
    real AWS.
    """

    work: Path
    environment: Mapping[str, str]

    def c7n_org(self, step: str, accounts: Path, policies: Path) -> int:
        """`c7n-org run`; its exit code. The output is in ``<work>/output/<step>``, its log in ``<work>/logs``.

        The cache is in ``work``: c7n keys its cache by account id, and ids of the local organization may be real ones.
        """
        cache = self.work / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        # nothing is read from the cache: days pass between these steps in the real world
        output = ["-s", str(self.work / "output" / step), "--cache-path", str(cache), "--cache-period", "0"]
        return self._run(step, ["c7n-org", "run", "-c", str(accounts), "-u", str(policies), *output])

    def c7n_mailer(self, step: str, config: Path, templates: Path) -> int:
        """`c7n-mailer --run`: delivers what is in the queue."""
        return self._run(step, ["c7n-mailer", "--run", "-c", str(config), "-t", str(templates)])

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
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**_without_aws(os.environ), **self.environment},
            ).returncode


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the profile, credentials and endpoint of the person who runs the demo."""
    return {name: value for name, value in environment.items() if not name.startswith(("AWS_", "C7N_"))}
