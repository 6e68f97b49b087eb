# SPDX-License-Identifier: Apache-2.0
"""Flag, notify, provision, delete: the main job over the local organization's accounts, checked step by step."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

import c7n_iamusers
from c7n_iamusers.exceptions import LocalOrgError
from c7n_iamusers.local_org import LocalOrg, Settings
from c7n_iamusers.local_org.seed import seed
from c7n_iamusers.local_org.smtp_sink import SmtpSink
from c7n_iamusers.rehearsal import expectations as expect
from c7n_iamusers.rehearsal.commands import Commands
from c7n_iamusers.rehearsal.outputs import PolicyOutput, mails
from c7n_iamusers.rehearsal.state import AccountState, account_states, people_with_access

TEMPLATES = Path(c7n_iamusers.__file__).parent / "mailer_templates"
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
        """Delete them, as if the announced thirty days had passed."""
        text = (self.source / "policies" / "delete.yml").read_text()
        early = self.work / "policies" / "delete.yml"
        early.parent.mkdir(parents=True, exist_ok=True)
        early.write_text(text.replace("skew: 0", "skew: 30"))
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
                told = account if step != "provision" else _people_of(account)
                self.faults += expect.mail_faults(told, owners[account.account_id], SUBJECTS[step], received)

    def _run(self, step: str, policies: Path) -> None:
        if code := self.commands.c7n_org(step, self.source / "accounts.yml", policies):
            self.faults.append(f"c7n-org ended with {code}, see {self.work / 'logs' / (step + '.log')}")


def _people_of(account: AccountState) -> AccountState:
    people = tuple(user for user in account.users if user.email)
    return AccountState(account.account_id, account.name, people, account.orphaned_mfa)


@contextmanager
def prepared(source: Path, work: Path, seed_number: int, users_per_account: int) -> Iterator[Demo]:
    """A demo over a freshly seeded organization; ``work`` is emptied first."""
    for needed in ("accounts.yml", "mailer.yml", *(f"policies/{step}.yml" for step in SUBJECTS)):
        if not (source / needed).exists():
            raise LocalOrgError(
                f"there is no {needed} in {source}: run the demo in a checkout, or name one by --source"
            )
    if work.exists():
        shutil.rmtree(work)
    work.mkdir(parents=True)
    with LocalOrg(Settings()) as org, SmtpSink(work / "mails") as sink:
        seed(org, seed=seed_number, users_per_account=users_per_account)
        config = yaml.safe_load((source / "mailer.yml").read_text())
        mailer_config = work / "mailer.yml"
        mailer_config.write_text(yaml.safe_dump({**config, "smtp_port": sink.port}))
        yield Demo(source, work, org, mailer_config, account_states(org))
