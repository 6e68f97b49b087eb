# SPDX-License-Identifier: Apache-2.0
"""The settings of a local organization, and which of them may change while it runs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from aws_local_org.errors import LocalOrgError

FOUR_HOURS = 4 * 60 * 60
#: Prefix of the names of Regions -> partition; all others are of aws ("Partitions", AWS Fault Isolation Boundaries).
_PARTITIONS = {"us-gov-": "aws-us-gov", "cn-": "aws-cn"}
#: Partition -> the Region of IAM's endpoint ("IAM endpoints and quotas", AWS General Reference).
_HOME_REGIONS = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}

#: Settings that decide accounts or sockets, so that they are only read at start.
FIXED_WHILE_RUNNING = frozenset(
    {
        *("management_account", "member_accounts", "suspended_accounts", "accounts_without_address"),
        *("region", "identity_center_region", "port", "role_name", "smtp_port"),
    }
)


@dataclass(frozen=True)
class Settings:
    """One local organization.

    member_accounts: (account id, name) pairs, besides the management account.
    suspended_accounts: those of them that are closed and still listed.
    accounts_without_address: those whose root user has no e-mail address that ListAccounts shows.
    region: of the queue and sessions; its partition, such as aws-us-gov, is that of all accounts.
    identity_center_region: of Identity Center; empty for region.
    port, smtp_port: 0 means any free port.
    page_limit: at most so many items on any page of any IAM list, whatever MaxItems asks for, because IAM
        "might return fewer results, even when there are more results available" (IAM API reference, MaxItems).
    latency_ms: added to every AWS call, in milliseconds.
    assignment_seconds: how long an Identity Center assignment or provisioning stays IN_PROGRESS.
    enforce: whether a request needs a policy that allows it. Otherwise whoever may assume a role may do everything.
    role_name: the role that the management account may assume in every account.
    throttled, resets, conflicts: the shares, from 0 to 1, of IAM calls that are refused with Throttling, whose
        connection breaks (half of them after the call was applied), and, of those that change something, that are
        refused with a temporary conflict. Which calls these are follows from the calls and fault_seed alone.
    faulty_accounts: the only accounts with these faults; empty for all.
    report_seconds: how long a credential report stays INPROGRESS.
    report_ttl_seconds: a report younger than this is returned again instead of a new one (GenerateCredentialReport:
        "once every four hours").
    report_expiry_seconds: GetCredentialReport answers ReportExpired for an older one.
    """

    management_account: str = "123456789012"
    member_accounts: tuple[tuple[str, str], ...] = (
        ("111122223333", "payments"),
        ("444455556666", "research"),
        ("777788889999", "platform"),
    )
    suspended_accounts: tuple[str, ...] = ()
    accounts_without_address: tuple[str, ...] = ()
    region: str = "us-east-1"
    identity_center_region: str = ""
    port: int = 0
    smtp_port: int = 0
    page_limit: int | None = None
    latency_ms: float = 0
    assignment_seconds: float = 1.0
    throttled: float = 0.0
    resets: float = 0.0
    conflicts: float = 0.0
    fault_seed: int = 1
    faulty_accounts: tuple[str, ...] = ()
    enforce: bool = False
    role_name: str = "CloudCustodian"
    report_seconds: float = 0.2
    report_ttl_seconds: float = FOUR_HOURS
    report_expiry_seconds: float = FOUR_HOURS

    @property
    def account_ids(self) -> tuple[str, ...]:
        """The management account first, then the members in their order."""
        return (self.management_account, *(account for account, _ in self.member_accounts))

    @property
    def partition(self) -> str:
        """The partition of all accounts."""
        return partition_of(self.region)

    @property
    def home_region(self) -> str:
        """The Region in which CloudTrail records the events of services with one endpoint, such as IAM."""
        return _HOME_REGIONS[self.partition]

    def changed(self, **changes: Any) -> Settings:
        """These settings with changes that may be made while running.

        Raises LocalOrgError for an unknown setting, or one that is read only at start.
        """
        known = {field.name for field in dataclasses.fields(self)} - FIXED_WHILE_RUNNING
        if refused := sorted(set(changes) - known):
            raise LocalOrgError(
                f"cannot change {', '.join(refused)} while the local organization runs; "
                f"these can be changed: {', '.join(sorted(known))}"
            )
        return dataclasses.replace(self, **changes)


def members(count: int) -> tuple[tuple[str, str], ...]:
    """``count`` accounts as (id, name): the examples, and then invented ones."""
    examples = Settings.member_accounts
    invented = [(f"{900_000_000_000 + number}", f"team-{number:02}") for number in range(1, count + 1)]
    return (*examples[:count], *invented[len(examples) :])


def partition_of(region: str) -> str:
    """The partition of a Region."""
    return next((name for prefix, name in _PARTITIONS.items() if region.startswith(prefix)), "aws")


_current = Settings()


def current() -> Settings:
    """The settings of the running local organization: a global of the process, like moto's backends."""
    return _current


def make_current(settings: Settings) -> None:
    """Only LocalOrg calls it, at start and at every change."""
    global _current
    _current = settings
