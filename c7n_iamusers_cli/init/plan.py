# SPDX-License-Identifier: Apache-2.0
"""The workspace that is to be: names of buckets and roles, accounts with their waves and owners. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.iam.accounts import home_region
from c7n_iamusers.organization.readiness import name_faults
from c7n_iamusers.text.wording import folded
from c7n_iamusers_cli.init.questions import PEOPLE, Answers, center_of, chosen, parts
from c7n_iamusers_cli.init.reading import CenterFound, Found

#: The names of the roles, as in docs/roles.md.
READER, REMOVER, RESTORER = "IamUsersReader", "IamUsersRemover", "IamUsersRestorer"
RUNNER, ON_CALL, MAILER, DEPLOYER = "Runner", "OnCall", "IamUsersMailer", "IamUsersDeployer"
CENTER_READER, PROVISIONER = "IdentityCenterReader", "IdentityCenterProvisioner"
QUEUE, REALTIME_QUEUE = "iam-users-mails", "iam-users-realtime"
#: The share of the accounts, after the first one, that the second wave has.
_SECOND = 10
#: Partition -> the end of the names of AWS's hosts.
_HOSTS = {"aws-cn": "amazonaws.com.cn"}


@dataclass(frozen=True)
class Member:
    """An account of the workspace. ``name``: by which c7n-org knows it. ``owner``: empty where nobody was found."""

    account_id: str
    name: str
    path: str
    wave: int
    owner: str = ""


@dataclass(frozen=True)
class Plan:
    """``runner``: the id of the runner's account. ``region``: of its stack. ``output``: where runs leave their files.

    ``variables``: further ones for accounts.yml. ``day``: on which the workspace was begun, YYYY-MM-DD.
    """

    found: Found
    answers: Answers
    members: tuple[Member, ...]
    runner: str
    region: str
    output: str
    day: str
    variables: Mapping[str, Any]

    @property
    def partition(self) -> str:
        return self.found.partition

    @property
    def home(self) -> str:
        """IAM's Region, in which each account is processed and stack sets make roles."""
        return home_region(self.region)

    @property
    def center(self) -> CenterFound | None:
        return center_of(self.found)

    @property
    def provisions(self) -> bool:
        return PEOPLE in chosen(self.answers)

    @property
    def domains(self) -> list[str]:
        return parts(self.answers["email-domain"])

    @property
    def contact(self) -> str:
        return self.answers["contact"]

    @property
    def notices_bucket(self) -> str:
        return f"iam-users-notices-{self.runner}-{self.region}"

    @property
    def output_bucket(self) -> str:
        """Of what nobody may change afterwards; empty where the output is a directory."""
        return self.output.removeprefix("s3://").split("/")[0] if self.output.startswith("s3://") else ""

    @property
    def makes_bucket(self) -> bool:
        """Whether the bucket of the output is made by the runner's stack, and is not one that is there."""
        return self.output == default_output(self.runner, self.region)

    @property
    def realtime_bucket(self) -> str:
        return f"iam-users-realtime-{self.runner}"

    def role(self, account_id: str, name: str) -> str:
        """The ARN of a role."""
        return f"arn:{self.partition}:iam::{account_id}:role/{name}"

    def queue(self, name: str, region: str) -> str:
        """The URL of a queue of the runner's account."""
        host = _HOSTS.get(self.partition, "amazonaws.com")
        return f"https://sqs.{region}.{host}/{self.runner}/{name}"

    def below_output(self, directory: str) -> str:
        """A directory of the output, with the Region of its bucket."""
        place, mark, query = self.output.partition("?")
        return f"{place.rstrip('/')}/{directory}{mark}{query}"


def default_output(runner: str, region: str) -> str:
    """The bucket in the runner's stack."""
    return f"s3://iam-users-output-{runner}-{region}/output?region={region}"


def named(found: Found) -> tuple[dict[str, str], list[str]]:
    """Account id -> the name by which c7n-org knows it, and what is to be said of those that can't have theirs.

    c7n-org makes a directory of the name, and mails have it: who has an account chooses its name.
    """
    counts = Counter(folded(each.account.name) for each in found.active)
    names, told = dict[str, str](), list[str]()
    for each in found.active:
        account_id, name = each.account.account_id, each.account.name
        names[account_id] = name
        if faults := [*name_faults(name, account_id)]:
            names[account_id] = account_id
            told.append(f"{each.account} is named by its id: its name has {', '.join(faults)}")
        elif counts[folded(name)] > 1:
            names[account_id] = f"{name}-{account_id}"
            told.append(f"{each.account} is named {names[account_id]}: another account has its name, too")
    made = Counter(map(folded, names.values()))
    for account_id, name in names.items():
        if made[folded(name)] > 1:  # somebody chose the name that this account is given
            names[account_id] = account_id
            told.append(f"account {account_id} is named by its id: {name} would be the name of two accounts")
    return names, told


def waves(account_ids: Sequence[str], first: str, own: str, recorded: Mapping[str, int]) -> dict[str, int]:
    """Account id -> its wave: one account, then a tenth of the rest, then all others and the management account.

    ``account_ids``: in the order in which they come. ``own``: the management account. ``recorded``: of the last run,
    which stay, as long as the first account does; a new account comes last.
    """
    if recorded.get(first) == 1 and [*recorded.values()].count(1) == 1:
        last = max(recorded.values())
        return {each: recorded.get(each, max(last, 2)) for each in account_ids}
    rest = [each for each in account_ids if each not in (first, own)]
    second = max(1, len(rest) // _SECOND)
    found = {first: 1, **{each: 2 if number < second else 3 for number, each in enumerate(rest)}}
    if own in account_ids and own != first:
        found[own] = max(found.values()) if rest else 2
    return {each: found[each] for each in account_ids}
