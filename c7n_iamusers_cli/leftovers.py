# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers leftovers``: reading the policies of accounts, and printing what is left there of users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.resource_policies.sources import EKS, SERVICES, permissions_for
from c7n_iamusers_cli.arguments import (
    account_choice,
    accounts_to_read,
    output_places,
    regions_to_read,
    targets_in,
)
from c7n_iamusers_cli.organization_checks import probes_of
from c7n_iamusers_cli.output import end_check, format_option, print_json, print_table, progress_bar, say
from c7n_iamusers_cli.user import Record

if TYPE_CHECKING:
    from c7n_iamusers.iam.user import Item
    from c7n_iamusers.organization.readiness import Target
    from c7n_iamusers.report.user_history import UserHistory
    from c7n_iamusers.resource_policies.leftovers import GoneUser, Leftover
    from c7n_iamusers.resource_policies.reading import AccessEntry, ResourcePolicy

#: Seconds that one call may wait for AWS in all.
_BUDGET = 60.0
#: What reading roles needs.
_ROLES = "iam:GetAccountAuthorizationDetails"
_COLUMNS = ("account", "region", "service", "resource", "where", "unique id", "user", "what to do")


@click.command()
@output_places
@accounts_to_read("its accounts are read, each by its role.", required=True)
@account_choice
@click.option(
    "--service",
    "services",
    multiple=True,
    type=click.Choice(SERVICES),
    metavar="SERVICE",
    help="Only policies of this service, such as s3, and of roles. Repeatable.  [default: all]",
)
@regions_to_read("Only this Region. Repeatable.  [default: all that are enabled in the account]")
@click.option(
    "--policy", is_flag=True, help="Print the IAM policy that the role of an account needs, and end."
)
@format_option("text", "json")
def leftovers(
    places: tuple[str, ...],
    accounts_file: Path,
    names: tuple[str, ...],
    tags: tuple[str, ...],
    services: tuple[str, ...],
    regions: tuple[str, ...],
    policy: bool,
    output_format: str,
) -> None:
    """Show which policies of resources and roles, and which access entries of EKS, are left of deleted users.

    The outputs say who was deleted, and who was restored with another unique id. Of each policy that shows such an id,
    the command prints what it should be: without the deleted, and with the restored by name again. Whoever is in a
    policy by an id that is on no record is shown, too. It changes nothing, and ends with 1 if something could not be
    read: there may be more.
    """
    asked = services or SERVICES
    if policy:
        more = (_ROLES, *(("eks:DescribeAccessEntry",) if EKS in asked else ()))
        actions = sorted({*more, *permissions_for(asked, not regions)})
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        print_json({"Version": "2012-10-17", "Statement": [statement]})
        return
    targets = targets_in(accounts_file, names, tags)
    record = Record(
        places, {each for at in targets for each in (at.account_id, at.name)}, targets, None, once=True
    )
    search = _Search(targets, asked, regions, record.histories(None))
    search.unread += record.problems
    search.read()
    _print(search, output_format)
    end_check(len(search.unread), 0)


@dataclass
class _Search:
    """``found``: the leftovers, each with its account. ``unread``: what could not be read, in words."""

    targets: Sequence[Target]
    services: Sequence[str]
    regions: Sequence[str]
    histories: Sequence[UserHistory]
    found: list[tuple[Target, Leftover]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._probes = probes_of(self.targets, _BUDGET)
        self._users: dict[str, Sequence[Item] | None] = {}
        self._gone: Sequence[GoneUser] = ()

    def read(self) -> None:
        """Read all accounts, one after another: each has threads for its Regions."""
        from c7n_iamusers.resource_policies.leftovers import as_of_today

        self._gone = as_of_today(_gone(self.histories), self._users_beside)
        with progress_bar("accounts") as progress:
            for number, target in enumerate(self.targets, 1):
                self._in_account(target)
                progress(number, len(self.targets))

    def _users_beside(self, user: GoneUser) -> Sequence[Item] | None:
        """The users that the account of a deleted one has; None if it is not read, which is said."""
        from botocore.exceptions import BotoCoreError, ClientError

        from c7n_iamusers.exceptions import EvidenceUnreadable
        from c7n_iamusers.iam.accounts import read_account

        account = user.arn.split(":")[4]
        target = next((each for each in self.targets if each.account_id == account), None)
        if target and account not in self._users:
            self._users[account] = None
            try:
                client = self._probes.session_in(target).client("iam")
                self._users[account] = read_account(client, self._probes.backoff, "User").users
            except (EvidenceUnreadable, ClientError, BotoCoreError) as error:
                self.unread.append(f"{target}: who was restored, and is there: {error}")
        return self._users.get(account)

    def _in_account(self, target: Target) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        from c7n_iamusers.evidence.selection import BlastRadius
        from c7n_iamusers.exceptions import EvidenceUnreadable
        from c7n_iamusers.plugins.policy_reader import PolicyReader, read_everywhere
        from c7n_iamusers.resource_policies.leftovers import leftovers as left_in

        try:
            session = self._probes.session_in(target)
        except (EvidenceUnreadable, ClientError, BotoCoreError) as error:
            self.unread.append(f"{target}: {error}")
            return
        reader = PolicyReader.of(session, target.account_id, str(session.region_name))
        reading = read_everywhere(
            reader, BlastRadius(tuple(self.services), tuple(self.regions)), self._probes.backoff
        )
        self.unread += (f"{target}: {each}" for each in reading.unread)
        policies = (*reading.policies, *self._of_roles(target, session))
        # of an account whose users are not known, an entry may be of a user that is there
        known = {each.arn: each for each in self._gone if self._users_beside(each) is not None}
        its = (each for each in reading.entries if each.principal in known)
        dated = (
            self._dated(target, session, each) if known[each.principal].restored_at else each for each in its
        )
        self.found += ((target, each) for each in left_in(policies, filter(None, dated), self._gone))

    def _of_roles(self, target: Target, session: Any) -> Iterator[ResourcePolicy]:
        """The trust policies of the account's roles."""
        from botocore.exceptions import BotoCoreError, ClientError

        from c7n_iamusers.iam.accounts import read_account
        from c7n_iamusers.resource_policies.reading import ResourcePolicy, parsed

        try:
            roles = read_account(session.client("iam"), self._probes.backoff, "Role").roles
        except (ClientError, BotoCoreError) as error:
            self.unread.append(f"{target}: trust policies of roles: {error}: allow {_ROLES}")
            return
        for role in roles:
            try:
                document = parsed(role.get("AssumeRolePolicyDocument"))
                yield ResourcePolicy("iam", str(role["Arn"]), "", document)
            except ValueError as error:
                self.unread.append(f"{target}: {role['Arn']}: its trust policy can't be read: {error}")

    def _dated(self, target: Target, session: Any, entry: AccessEntry) -> AccessEntry | None:
        """With the time of its creation; None, which is said, where that can't be read: it may be of a user that has
        the ARN now."""
        from botocore.exceptions import BotoCoreError, ClientError

        its = {"clusterName": entry.cluster.rpartition("/")[2], "principalArn": entry.principal}
        try:
            found = session.client("eks", region_name=entry.region).describe_access_entry(**its)
        except (ClientError, BotoCoreError) as error:
            self.unread.append(f"{target}: {entry.cluster}: the access entry of {entry.principal}: {error}")
            return None
        return replace(entry, created=found["accessEntry"].get("createdAt"))


def _gone(histories: Sequence[UserHistory]) -> Iterator[GoneUser]:
    """The users that were deleted, and as whom they came back: policies name users of other accounts, too."""
    from c7n_iamusers.execution.outcomes import DELETED, RESTORED
    from c7n_iamusers.resource_policies.leftovers import GoneUser

    for history in histories:
        if any(each.what == DELETED for each in history.events):
            back = [
                (each.made[-1], each.time) for each in history.events if each.what == RESTORED and each.made
            ]
            again, at = back[-1] if back else ("", None)
            if again == history.subject.unique_id:
                again, at = "", None
            yield GoneUser(history.subject.arn, history.subject.unique_id, again, at)


def _print(search: _Search, output_format: str) -> None:
    if output_format == "json":
        found = [
            {"account": at.account_id, "account_name": at.name, **left.as_data()} for at, left in search.found
        ]
        print_json({"leftovers": found, "unread": search.unread})
    else:
        rows = [row for at, left in search.found for row in _rows(at, left)]
        print_table(_COLUMNS, rows)
        for at, left in search.found:
            if left.command:
                say(f"{at}: {left.command}")
    for each in search.unread:
        say(f"could not be read: {each}", err=True)


def _rows(target: Target, left: Leftover) -> Iterator[tuple[str, ...]]:
    from c7n_iamusers.resource_policies.leftovers import BY_HAND, CHANGE, DELETE_ENTRY, DROP, RENEW_ENTRY

    words = {
        CHANGE: "save it again with the user's ARN",
        DROP: "leave out the statement",
        BY_HAND: "decide: without the user, the statement may mean others",
        DELETE_ENTRY: "delete the access entry",
        RENEW_ENTRY: "delete the access entry, and create it again",
    }
    for each in left.shown:
        said = words[each.what] if each.restored_as or each.what != CHANGE else "leave out the user"
        whose = each.arn or "not on record"
        yield target.name, left.region, left.service, left.resource, each.where, each.unique_id, whose, said
