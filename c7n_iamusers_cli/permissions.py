# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers permissions``: a least-privilege IAM policy for the role that runs given policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers_cli.arguments import any_account_id, partition_option, policy_files, targets_in
from c7n_iamusers_cli.output import print_json
from c7n_iamusers_cli.policies import loaded

if TYPE_CHECKING:
    from c7n_iamusers.iam.permissions import Needed
    from c7n_iamusers.organization.account_values import AccountValues

PACKAGE = "c7n_iamusers."
#: Permissions that are needed in the account of Identity Center, by a role of its own.
OF_CENTER = ("sso:", "identitystore:", "organizations:")
#: Calls that Cloud Custodian's own actions don't declare.
_UNDECLARED = {
    "notify": frozenset({"iam:ListAccountAliases"}),
    # it keeps the finding's id in a tag of the user
    "post-finding": frozenset({"iam:TagUser"}),
}
_READING = "s3:GetObject"
_ASSUMING = frozenset({"sts:AssumeRole"})
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@policy_files
@click.option(
    "-c",
    "--config",
    type=_FILE,
    help="c7n-org's accounts file, for a variable in the name of the bucket with the exemptions.",
)
@click.option(
    "--restore",
    is_flag=True,
    help="Include what `c7n-iamusers restore` needs, which can give policies to users.",
)
@click.option(
    "--account",
    default="*",
    show_default=True,
    metavar="ID",
    callback=any_account_id,
    help="The account of the users.",
)
@partition_option
def permissions(
    files: tuple[Path, ...], config: Path | None, restore: bool, account: str, partition: str
) -> None:
    """Print the least-privilege IAM policy for the role that runs the policies in the given files.

    It covers the calls that policies make with their own session. It does not cover calls with the credentials that run
    Cloud Custodian (notify with assume_role: false, s3 output, notices), nor the role for Identity Center.
    `c7n-iamusers roles` prints all of these.
    """
    from c7n_iamusers.iam.permissions import RESTORATION, Needed, role_policy

    needed = Needed(restoring=frozenset(RESTORATION if restore else ()))
    values = account_values(config)
    for file in files:
        for part in parts_of(loaded(file)):
            needed |= needed_in_account(part, values)
    print_json(role_policy(needed, account, partition))


def account_values(config: Path | None) -> AccountValues:
    """The values of variables in the accounts file; empty without a file."""
    from c7n_iamusers.organization.account_values import AccountValues

    return AccountValues(targets_in(config) if config else ())


def needed_in_account(part: Any, values: AccountValues) -> Needed:
    """What a source, filter or action of a policy needs by the policy's own session.

    Raises InvalidPolicyData if it reads exemptions in a bucket whose name depends on a variable without a value.
    """
    from c7n.actions import Notify

    from c7n_iamusers.iam.permissions import Needed
    from c7n_iamusers.notices.queue_counts import ATTRIBUTES, METRIC
    from c7n_iamusers.plugins.second_contacts import PERMISSION

    found, data = frozenset(part.get_permissions()), part_data(part)
    if isinstance(part, Notify):
        sending = frozenset[str]()
        if data.get("assume_role") is not False:
            # of a queue that runs watch for messages that leave
            counting = (ATTRIBUTES, METRIC) if getattr(part, "queue", "") else ()
            sending = frozenset((*Notify.get_permissions(part), *counting))
        # overdue users are also reported to a contact that is looked up in the account itself
        return Needed(_UNDECLARED["notify"] | (found & {PERMISSION}), sending)
    if not _is_own(part):
        return Needed(_UNDECLARED.get(getattr(part, "type", ""), frozenset()), found)
    elsewhere = needed_in_center(part) | (_ASSUMING if data.get("role") else frozenset())
    lists = frozenset((_READING, f"s3:::{place}") for place in _lists_in_s3(data, values))
    given_back: frozenset[str] = getattr(part, "gives_back", frozenset())
    compromised = data.get("include-compromised") is True
    return Needed(found - elsewhere - {_READING}, restoring=given_back, bound=lists, compromised=compromised)


def _lists_in_s3(data: dict[str, Any], values: AccountValues) -> Iterator[str]:
    """Bucket and key of the exemptions; in the key, a variable can be anything."""
    given = data.get("exempt-from") or ""
    if isinstance(given, dict):
        given = given.get("from") or given.get("url")
    url = given if isinstance(given, str) else ""
    if not url.startswith(("s3://", "{")):
        return
    for place in values.places("list of exemptions", url):
        if place.startswith("s3://"):
            yield place.removeprefix("s3://").partition("?")[0]


def needed_in_center(part: Any) -> frozenset[str]:
    """What a filter or action needs by a role for Identity Center; nothing if it uses the policy's own session."""
    return called_in_center(part) | commanded_in_center(part)


def called_in_center(part: Any) -> frozenset[str]:
    """What a policy's run calls there."""
    found = part.get_permissions() if _is_own(part) and part_data(part).get("role") else ()
    return frozenset(each for each in found if each.startswith(OF_CENTER))


def commanded_in_center(part: Any) -> frozenset[str]:
    """What commands beside a run call there. They can be given another role."""
    from c7n_iamusers.identity_center.aws.sign_in_events import PERMISSION

    data = part_data(part)
    if not _is_own(part):
        return frozenset()
    # `c7n-iamusers provision apply` applies the intents
    found = part.permissions_to_apply() if data.get("mode") == "intent" else ()
    # `c7n-iamusers provision sign-ins` writes this file
    signing_in = {PERMISSION} if "sign-ins" in data else frozenset()
    return frozenset(each for each in found if each.startswith(OF_CENTER)) | signing_in


def part_data(part: Any) -> dict[str, Any]:
    """The settings of a filter or action; empty for a source and for a name alone."""
    data = getattr(part, "data", None)
    return data if isinstance(data, dict) else {}


def _is_own(part: Any) -> bool:
    return type(part).__module__.startswith(PACKAGE)


def parts_of(policies: Iterable[Any]) -> Iterator[Any]:
    """What needs permissions in c7n's policies: sources, filters, even within and, or and not, and actions."""
    for policy in policies:
        manager = policy.resource_manager
        yield getattr(manager, "source", manager)
        yield from _single(manager.filters)
        yield from manager.actions


def _single(filters: Iterable[Any]) -> Iterator[Any]:
    from c7n.filters.core import BooleanGroupFilter

    for each in filters:
        if isinstance(each, BooleanGroupFilter):
            yield from _single(each.filters)
        else:
            yield each
