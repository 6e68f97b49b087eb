# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers demo``: the main job on a seeded local organization, step by step, with a table at the end."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import yaml
from rich.console import Console

from aws_local_org import LocalOrg, Settings
from aws_local_org.commands import errors_as_messages
from aws_local_org.demo import after_deletion, planted, planted_keys, steps, workspace
from aws_local_org.demo import expectations as expect
from aws_local_org.demo.expectations import mails
from aws_local_org.demo.state import (
    AccountState,
    UserState,
    account_state,
    account_states,
    announced_groups,
    announcements,
    people_with_access,
)
from aws_local_org.environment import no_aws_settings
from aws_local_org.errors import LocalOrgError
from aws_local_org.loading.documents import yaml_file
from aws_local_org.seed import seed
from aws_local_org.settings import members
from aws_local_org.smtp_sink import SmtpSink
from c7n_iamusers_cli.output import PROBLEM, print_table

#: The marker file in a demo's directory, which allows the next demo to replace its content.
MARKER = ".c7n-iamusers-demo"
DEMO = "demo"
#: The number of accounts of the local organization, which are those of the checkout's accounts.yml.
EXAMPLES = len(Settings().member_accounts)
LEFT = (
    "Left alone: Active, whose password or key was used in the 30 days before the quarantine. No replacement, people "
    "without access through Identity Center. Others, such as users that a role trusts, users whose owner was not "
    "addressed, and Bedrock API keys, whose use AWS does not tell."
)


@click.command()
@steps.source_option
@steps.work_option(DEMO)
@click.option("--seed", type=int, default=1, show_default=True, help="The same number gives the same users.")
@click.option("--users-per-account", type=click.IntRange(12, 5000), default=30, show_default=True)
@click.option(
    "--accounts",
    type=click.IntRange(EXAMPLES, 200),
    default=EXAMPLES,
    show_default=True,
    help="The first ones are those of accounts.yml, the others are invented.",
)
def demo(source: Path, work: Path, seed: int, users_per_account: int, accounts: int) -> None:
    """Announce, provision, listen, quarantine, remind and delete, by `cycle`, with the real c7n-org and c7n-mailer.

    Some users are planted: a machine in use, one that calls AWS under its Deny, two with forged tags. So are single
    access keys in the first account: one is given back, one deleted, others stay, each for another reason. Time is
    compressed: thirty days pass within two or three minutes. Exits with 1 if a check fails.
    """
    with errors_as_messages():
        faults = _run(source.resolve(), work, seed, users_per_account, accounts)
    raise SystemExit(1 if faults else 0)


def _run(source: Path, work: Path, seed: int, users_per_account: int, count: int) -> list[str]:
    console = Console()
    started = time.monotonic()
    with prepared(source, work.absolute(), seed, users_per_account, count) as rehearsal:
        accounts, users = len(rehearsal.before), sum(len(state.users) for state in rehearsal.before.values())
        console.print(
            f"A local organization with {accounts} accounts and {users} IAM users is up: {users_per_account} in each "
            f"account, and {users - accounts * users_per_account} planted ones. {accounts} more are planted after the "
            "announcement.",
            soft_wrap=True,
            highlight=False,
        )
        console.print(f"{steps.COMPRESSED}, but for the planted machines.", soft_wrap=True, highlight=False)
        for title, step in rehearsal.steps():
            steps.show_step(console, title, step, rehearsal)
            if rehearsal.faults:
                break
        _print_before_and_after(rehearsal)
        if rehearsal.after:
            _print_planted(rehearsal)
            print_table(*planted_keys.table(rehearsal.keys, rehearsal.keys_after, rehearsal.reported))
            click.echo()
    console.print(f"{LEFT}\n{steps.places(work)}", soft_wrap=True, highlight=False)
    console.print(f"{time.monotonic() - started:.0f} seconds, {len(rehearsal.faults)} faults")
    steps.explain(console, rehearsal)
    return rehearsal.faults


def _print_before_and_after(rehearsal: Demo) -> None:
    after = rehearsal.after or account_states(rehearsal.org)
    received = mails(rehearsal.work / "mails")
    rows = [
        [
            f"{account_id} {before.name}",
            len(after[account_id].users) + len(rehearsal.gone.get(account_id, ())),
            *_counts(rehearsal, rehearsal.parting.get(account_id, before)),
            len(expect.unreplaced(rehearsal.parting.get(account_id, before), after[account_id])),
            len(after[account_id].users),
            sum(account_id in str(mail.get_content()) for mail in received),
        ]
        for account_id, before in rehearsal.before.items()
    ]
    columns = [
        "Account",
        "Users",
        "Exempt",
        "Active",
        "No replacement",
        "Others",
        "Deleted",
        "Deleted without access (must be 0)",
        "Left",
        "Mails",
    ]
    numbers = zip(*(row[1:] for row in rows), strict=True)
    print_table(columns, [*rows, ["all accounts", *map(sum, numbers)]])


def _print_planted(rehearsal: Demo) -> None:
    """The result for each planted user, and the reason why it is left, from the first run that spared it."""
    rows = list[list[Any]]()
    for name, story in planted.STORIES.items():
        left = [each for each in rehearsal.after.values() if name in each.names]
        said = rehearsal.reasons(left[0], "delete", "quarantine", "listen").get(name, "") if left else ""
        if name == planted.CALLED and left:
            said = "seen, mailed, exempted by its owner, released; its calls succeed"
        gone = len(rehearsal.after) - len(left)
        rows.append([name, story, ", ".join(each.name for each in left[:3]), len(left), gone, said])
    click.echo()
    print_table(["Planted user", "Story", "Left in", "Left", "Deleted", "Why it is left"], rows)
    click.echo()


def _counts(rehearsal: Demo, account: AccountState) -> list[int]:
    """The remaining users, each under its first reason, and the number of deleted users."""
    reasons = {"exempt": 0, "active": 0, "without": 0, "others": 0, "gone": 0}
    for user in account.users:
        if user.name in rehearsal.gone.get(account.account_id, ()):
            reasons["gone"] += 1
        elif rehearsal.is_exempt(user):
            reasons["exempt"] += 1
        elif expect.active(user, account.at):
            reasons["active"] += 1
        elif expect.without_replacement(user, account):
            reasons["without"] += 1
        else:
            reasons["others"] += 1
    return list(reasons.values())


@contextmanager
def prepared(
    source: Path, work: Path, seed_number: int, users_per_account: int, accounts: int = EXAMPLES
) -> Iterator[Demo]:
    """A demo over a freshly seeded organization with this many ``accounts``: the checkout's, then invented ones.

    It first removes an earlier demo's files from ``work``. Raises LocalOrgError, before anything is touched, where
    ``work`` is not a demo's, or ``source`` is not a checkout whose accounts are the organization's.
    """
    workspace.check_checkout(source, DEMO, (*workspace.POLICY_NAMES, *workspace.DEMO_POLICIES, "keys"))
    _check_accounts(source, Settings())
    # in AWS an assignment takes seconds, but the demo compresses time
    settings = Settings(member_accounts=members(accounts), assignment_seconds=0.1)
    workspace.clear(work, DEMO, MARKER)
    with no_aws_settings(), LocalOrg(settings) as org, SmtpSink(work / "mails") as sink:
        seed(org, seed=seed_number, users_per_account=users_per_account)
        planted.add_tempting_users(org)
        for account_id, _ in settings.member_accounts:
            planted.plant(org, account_id)
        keys = planted_keys.plant(org, settings.member_accounts[0][0])
        workspace.make_workspace(source, work, settings.role_name)
        planted.exempt_clients(work / "policies" / "exemptions.csv")
        _say_that_mfa_is_required(work / "policies" / "provision.yml")
        _tell_of_machines(work / "policies" / "keys.yml")
        accounts_file, mailer_config = work / "accounts.yml", work / "mailer.yml"
        file = _accounts_file(source, settings, work / "notices")
        accounts_file.write_text(yaml.safe_dump(file, sort_keys=False))
        config = yaml_file(source / "mailer.yml")
        known = config["account_emails"]
        invented = (each for each in file["accounts"] if each["account_id"] not in known)
        owners = {each["account_id"]: [each["vars"]["owner"]] for each in invented}
        config |= {"smtp_port": sink.port, "account_emails": {**known, **owners}}
        mailer_config.write_text(yaml.safe_dump(config))
        yield Demo(work, work, org, accounts_file, mailer_config, account_states(org), keys=keys)


def _say_that_mfa_is_required(policies: Path) -> None:
    """Most seeded people may do nothing without MFA, so their access is derived only if it needs MFA, too."""
    text = policies.read_text()
    said = text.replace("derive: true", "derive: {identity-center-mfa: true}")
    policies.write_text(said)


def _tell_of_machines(policies: Path) -> None:
    """The demo runs the policies on keys of machines only, and a message tells of policies that have run."""
    people = re.compile(
        r"(?<=of: \[iam-keys-park), iam-keys-park-people, (iam-keys-retire), iam-keys-retire-people"
    )
    policies.write_text(people.sub(r", \1", policies.read_text()))


def _accounts_file(source: Path, settings: Settings, notices: Path) -> dict[str, Any]:
    """The accounts of the checkout and the invented ones, with the notices in a directory of the demo's own."""
    found = yaml_file(source / "accounts.yml")
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
        listed = yaml_file(source / "accounts.yml")["accounts"]
        named = {(str(each["account_id"]), str(each["name"])) for each in listed}
        owners = yaml_file(source / "mailer.yml")["account_emails"]
    except (KeyError, TypeError) as error:
        raise LocalOrgError(f"accounts.yml or mailer.yml in {source} can't be read: {error}") from error
    known = set(settings.member_accounts)
    for file, found, wanted in (
        ("accounts.yml", named, known),
        ("mailer.yml", set(owners), {account_id for account_id, _ in known}),
    ):
        if found != wanted:
            raise LocalOrgError(
                f"{source / file}: the demo's accounts are {_listed(wanted)}, and not {_listed(found)}: run it in a "
                "checkout with the original accounts.yml and mailer.yml"
            )


def _listed(accounts: Iterable[object]) -> str:
    return ", ".join(
        sorted(" ".join(account) if isinstance(account, tuple) else str(account) for account in accounts)
    )


@dataclass
class Demo(steps.Workflow):
    """The steps over the seeded population, in which each user's fate is known beforehand.

    ``source``: a copy of the checkout's policies, since an owner's answer is written to the exemptions. ``answered``:
    unique ids of the users that an owner has exempted since the announcement. ``keys``: the planted access keys;
    ``keys_after``: what AWS shows of the account's keys after the last run on them. ``reported``: the report, in JSON.
    """

    answered: set[str] = field(default_factory=set)
    keys: planted_keys.Keys = field(default_factory=lambda: planted_keys.Keys({}, {}))
    keys_after: dict[str, planted_keys.KeyState] = field(default_factory=dict)
    reported: dict[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> AccountState:
        """The account in which a user calls AWS under the Deny."""
        return next(iter(self.before.values()))

    def is_exempt(self, user: UserState) -> bool:
        return expect.exempt(user) or user.unique_id in self.answered

    def until(self, day: int) -> None:
        """The machines in use call AWS in these days, and are denied nothing."""
        super().until(day)
        planted_keys.use(self.org, self.first.account_id, self.keys)
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
            if self.output("announce", account).ran:
                self._check_records(account, expect.leaving(account), "announced")
            planted.plant_unannounced(self.org, account.account_id)

    def provision(self) -> None:
        super().provision()
        for account in self.before.values():
            self.faults += expect.access_faults(account, people_with_access(self.org, account.account_id))
            served = {user.name for user in account.users if expect.served(user)}
            self._check_records(account, served, "informed", "access")

    def listen(self) -> None:
        """The denied users are those of the announcement, and those whose people have got access since."""
        super().listen()
        for account_id, before in self.parting.items():
            said = announced_groups(self.notices, account_id)
            self.faults += expect.announced_faults(before, self.parked[account_id], said)

    def after_announcement(self) -> list[tuple[str, Callable[[], None]]]:
        return [(f"c7n-org: announce single access keys in {self.first.name}", self.announce_keys)]

    def after_deny(self) -> list[tuple[str, Callable[[], None]]]:
        return [("c7n-org: on that day, make announced keys inactive, and announce another", self.park_keys)]

    def after_deletion(self) -> list[tuple[str, Callable[[], None]]]:
        return [("c7n-org: on that day, delete keys that were inactive for two weeks", self.retire_keys)]

    def announce_keys(self) -> None:
        """Nothing is done to a key on that day."""
        self._on_keys("keys-announce", {}, planted_keys.FIRST)
        self._count("keys", [self._announced_keys])

    def park_keys(self) -> None:
        """The announced keys that nobody uses are made inactive."""
        wanted = dict.fromkeys(planted_keys.ON_TIME, planted_keys.INACTIVE)
        done = self._on_keys("keys-park", wanted, (*planted_keys.FIRST, planted_keys.NEW))
        self._count("keys", [done])

    def give_key_back(self) -> None:
        """The owner asks for a key, and whoever is on call gives it back."""
        account_id, key_id = self.first.account_id, self.keys.told[planted_keys.RETURNED]
        before = planted_keys.key_states(self.org, account_id)
        if code := self.commands.give_back_key("give-back", key_id, self.work / "output", self.accounts):
            self.faults.append(
                f"c7n-iamusers key ended with {code}, see {self.work / 'logs' / 'give-back.log'}"
            )
        done = planted_keys.changed(before, planted_keys.key_states(self.org, account_id))
        if done != {key_id: planted_keys.ACTIVE}:
            self.faults.append(f"{self.first.name}: giving back {key_id} has done this to keys: {done}")

    def retire_keys(self) -> None:
        """The keys that were inactive until now are deleted, but for the last one of a user in use."""
        planted_keys.delete_other(self.org, self.first.account_id, self.keys, planted_keys.LAST)
        wanted = {planted_keys.PARKED: planted_keys.INACTIVE, planted_keys.RETIRED: planted_keys.GONE}
        done = self._on_keys("keys-retire", wanted, (*planted_keys.FIRST, planted_keys.NEW))
        self._count("keys", [done])

    def _on_keys(self, step: str, wanted: dict[str, str], announced: Iterable[str]) -> dict[str, str]:
        """Run the policies of a step on keys, which must have done what is ``wanted``; what AWS shows of changed keys.

        ``announced``: whose keys must be on record as announced afterwards, among the planted ones.
        """
        account_id = self.first.account_id
        before = planted_keys.key_states(self.org, account_id)
        since = datetime.now(timezone.utc)
        policies = self.source / "policies" / "keys.yml"
        named = [each for name in workspace.KEY_POLICIES[step] for each in ("-p", name)]
        if code := self.commands.c7n_org(step, self.accounts, policies, "-a", self.first.name, *named):
            self.faults.append(f"c7n-org ended with {code}, see {self.work / 'logs' / (step + '.log')}")
        output = self.output(step, self.first)
        if not output.ran:
            self.faults.append(f"{self.first.name}: a policy did not run, see {output}")
        rows = [
            row
            for row in output.outcomes()
            if datetime.fromisoformat(row["time"]) >= since.replace(microsecond=0)
        ]
        self.keys_after = planted_keys.key_states(self.org, account_id)
        found = planted_keys.run_faults(
            self.keys, before, self.keys_after, rows, self._announced_keys, wanted
        )
        told = self._announced_keys.keys() & self.keys.ids(planted_keys.STORIES)
        if told != self.keys.ids(announced):
            found.append(f"the owners of these keys were addressed: {sorted(told)}")
        self.faults += [f"{self.first.name}: {each}" for each in found]
        return planted_keys.changed(before, self.keys_after)

    @property
    def _announced_keys(self) -> dict[str, datetime]:
        return announcements(self.notices, self.first.account_id, keys=True)

    def in_listening(self) -> list[tuple[str, Callable[[], None]]]:
        name = self.first.name
        return [
            (f"c7n-org: a machine of {name} calls AWS, and is seen; c7n-mailer: mail its owner", self.hear),
            (f"c7n-org: the owner in {name} exempts the machine, and it is released", self.release),
            ("c7n-iamusers key: an inactive key is asked for, and given back", self.give_key_back),
            ("cycle: on the next day, read that the mail has left the queue", self.daily),
        ]

    def hear(self) -> None:
        """A user under the Deny calls AWS: the owner gets a mail, and the report's check fails."""
        self._call(self.first, planted.CALLED, "AccessDenied")
        if code := self._in_first("attempts"):
            self.faults.append(f"c7n-org ended with {code}, see {self.work / 'logs' / 'attempts.log'}")
        self.faults += expect.attempted_faults(
            self.first, self.output("attempts", self.first), {planted.CALLED}
        )
        self._check_records(self.first, {planted.CALLED}, "informed", "attempted")
        self.deliver("attempts")
        page, log = self.work / "report.html", self.work / "logs" / "report-attempts.log"
        code = self.commands.report("report-attempts", self.work / "output", self.accounts, page)
        if (
            code != PROBLEM
            or f"user {planted.CALLED} of account {self.first.account_id}" not in log.read_text()
        ):
            self.faults.append(
                f"c7n-iamusers report --check misses that {planted.CALLED} is in use, see {log}"
            )

    def release(self) -> None:
        """The owner exempts the user, and it is released: it is the same as before the Deny, and its calls succeed."""
        account = self.first
        (owner, *_) = self._owners[account.account_id]
        planted.exempt_caller(self.source / "policies" / "exemptions.csv", account.account_id, owner)
        policies = self.source / "policies"
        code = self.commands.only(
            "release", policies / "release.yml", planted.CALLED, policies / "release-one.yml"
        )
        if code := code or self._in_first("release", "release-one.yml"):
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
        """The page names every planted user. Report, terminal and mails have AWS's own numbers."""
        super().report()
        page, data = self.work / "report.html", self.work / "report.json"
        text = page.read_text() if page.exists() else ""
        self.faults += [f"the report does not name {name}" for name in planted.STORIES if name not in text]
        self.commands.report("report", self.work / "output", self.accounts, data)
        numbers = {
            account_id: expect.numbers_of(
                before,
                self.after[account_id],
                len(announcements(self.notices, account_id)),
                self.is_exempt,
            )
            for account_id, before in self.before.items()
        }
        self.reported = json.loads(data.read_text())
        found = planted_keys.end_faults(self.keys, self.keys_after, self._announced_keys, self.reported)
        received, owners = mails(self.work / "mails"), self._owners[self.first.account_id]
        told = {*self._announced_keys}
        found += expect.mail_faults(self.first, told, owners, r"access keys? .*to be ", received)
        self.faults += [f"{self.first.name}: {each}" for each in found]
        said = (self.work / "logs" / "report.log").read_text()
        self.faults += expect.number_faults(numbers, self.reported, said, mails(self.work / "mails"))

    def _check_records(self, account: AccountState, expected: set[str], step: str, what: str = "") -> None:
        found = announcements(self.notices, account.account_id, step, what)
        named = " ".join(filter(None, ("on record as", step, what)))
        self.faults += expect.recorded_faults(account, found, expected, named)

    def _answered_in(self, account: AccountState) -> set[str]:
        return {user.name for user in account.users if user.unique_id in self.answered}

    def _in_first(self, step: str, file: str = "", *options: str) -> int:
        """Runs c7n-org over the first account only. Returns its exit code."""
        policies = self.source / "policies" / (file or f"{step}.yml")
        return self.commands.c7n_org(step, self.accounts, policies, "-a", self.first.name, *options)

    @property
    def _owners(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = yaml_file(self.mailer_config)["account_emails"]
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
                self.faults += expect.mail_faults(account, named, to, expect.SUBJECTS[step], received)

    def _named(self, step: str, account: AccountState) -> set[str]:
        """The users that the mails of a step must name."""
        if step == "delete":
            return self.gone[account.account_id]
        if step == "listen":
            return self.parked[account.account_id]
        if step == "attempts":
            return {planted.CALLED}
        if step == "overdue":
            now = account_state(self.org, account.account_id, account.name)
            told = announcements(self.notices, account.account_id)
            named = after_deletion.overdue(now, told, self.is_exempt, self.days.active)
            self._check_records(account, named, "overdue")
            return named
        people = {user.name for user in account.users if user.email}
        leaving = expect.leaving(account) - self._answered_in(account)
        return leaving & people if step == "provision" else leaving
