# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers roles``: the IAM roles for given policies, with trust policies and exact permissions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers_cli.arguments import (
    check_principal,
    external_id,
    identity_store,
    instance_arn,
    organization_id,
    policy_files,
    role_arn,
    role_arns,
    role_name,
)
from c7n_iamusers_cli.mailer import MailerOptions, mailer_options, mailer_role
from c7n_iamusers_cli.output import format_option, print_json, say
from c7n_iamusers_cli.permissions import (
    account_values,
)
from c7n_iamusers_cli.policies import loaded
from c7n_iamusers_cli.role_documents import documents_of

if TYPE_CHECKING:
    from c7n_iamusers.organization.account_values import AccountValues
    from c7n_iamusers.roles.documents import RoleDocument

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
#: What is printed. ``_NUMBERED`` ones can be several: function, function-2, ...
_NUMBER = re.compile(r"-([2-9]|[1-9]\d+)\Z", re.ASCII)
_NUMBERED = ("function", "runner", "bucket-policy", "queue-policy")
_KINDS = (
    "member-reader",
    "member-remover",
    "member-restorer",
    "deployer",
    "identity-center",
    "mailer",
    *_NUMBERED,
)


@click.command()
@policy_files
@click.option(
    "--runner",
    "runners",
    required=True,
    multiple=True,
    metavar="ARN",
    callback=role_arns,
    help="The role that runs c7n-org; the others trust it. Repeatable: they trust each.",
)
@click.option(
    "--restore-by",
    multiple=True,
    metavar="ARN",
    callback=role_arns,
    help="Which of the runners may assume the restorer. Repeatable.  [default: each]",
)
@click.option(
    "-c", "--config", type=_FILE, help="c7n-org's accounts file, for the variables that the policies use."
)
@click.option("--reader", default="IamUsersReader", show_default=True, metavar="NAME", callback=role_name)
@click.option("--remover", default="IamUsersRemover", show_default=True, metavar="NAME", callback=role_name)
@click.option("--restorer", default="IamUsersRestorer", show_default=True, metavar="NAME", callback=role_name)
@click.option("--deployer", default="IamUsersDeployer", show_default=True, metavar="NAME", callback=role_name)
@click.option(
    "--identity-center-role",
    "center",
    metavar="ARN",
    callback=role_arn,
    help="Instead of the one that the policies and the accounts file name.",
)
@click.option(
    "--runner-principal",
    default="",
    metavar="ARN|SERVICE",
    help="Who may assume the runner's role, such as ec2.amazonaws.com. Without it the role must exist, and gets a "
    "policy only.",
)
@click.option(
    "--external-id",
    default="",
    metavar="TEXT",
    callback=external_id,
    help="As external_id in the accounts file.",
)
@click.option(
    "--org-id",
    "organization",
    default="",
    metavar="ID",
    callback=organization_id,
    help="The organization of the buckets, the roles and the runner: any other is denied.",
)
@click.option(
    "--instance",
    default="",
    metavar="ARN",
    callback=instance_arn,
    help="The instance of Identity Center: its role reaches no other.",
)
@click.option(
    "--identity-store",
    default="",
    metavar="ID",
    callback=identity_store,
    help="The id of its identity store, such as d-1234567890: its role reaches no other.",
)
@click.option(
    "--output-dir", "-s", "outputs", multiple=True, metavar="URL", help="The runner's s3:// output."
)
@mailer_options
@click.option(
    "--restore",
    is_flag=True,
    help="Let the restorer also run `c7n-iamusers restore`, which can give any policy to users.",
)
@click.option(
    "--undo",
    is_flag=True,
    help="Let the role for Identity Center run `c7n-iamusers provision prune` and `undo`, which delete.",
)
@click.option(
    "--setup",
    is_flag=True,
    help="Let the roles also run `c7n-iamusers owners` and `preflight`, which read the organization and the roles' "
    "own permissions.",
)
@click.option(
    "--role",
    "only",
    metavar="KIND",
    callback=lambda _, __, value: _kind_given(value),
    help="Print this one alone, such as member-reader, function or, of several, function-2.",
)
@format_option("cloudformation", "terraform", "json")
def roles(
    files: tuple[Path, ...],
    runners: tuple[str, ...],
    config: Path | None,
    center: str | None,
    outputs: tuple[str, ...],
    restore: bool,
    undo: bool,
    setup: bool,
    only: str | None,
    output_format: str,
    **settings: Any,
) -> None:
    """Print the roles that the policies in the given files need, one document each.

    member-reader, member-remover and member-restorer are for each member account, identity-center for the account that
    administers Identity Center, and runner for the account in which c7n-org runs; further runners are runner-2, ...
    Policies that give users back what they had, such as with release, are the restorer's. Others that change users are
    the remover's. All others are the reader's, and also belong to the role that runs their file. Policies with a Lambda
    mode run as the role that mode.role names, here function (if they name several, also function-2, ..., in the order
    of the files), and c7n-org deploys them as deployer. These are for each member account. Each role's permissions are
    those that its filters and actions declare. With --mailer there is also mailer, the role of c7n-mailer, with the
    permissions that this file needs. The printed JSON has a member for each role; with --role it is only that document.

    The buckets and queues that roles of member accounts reach need policies, too: bucket-policy and queue-policy, ...
    These admit only these roles, of the accounts in the accounts file or, with --org-id, of the organization. Each
    replaces the policy that the bucket or queue has.
    """
    from c7n_iamusers.roles.documents import RoleSettings
    from c7n_iamusers.roles.rendering import rendered_role

    by_file = [[*loaded(file)] for file in files]
    mailer = MailerOptions(**{field.name: settings.pop(field.name) for field in fields(MailerOptions)})
    _check(runners, settings, only)
    values = account_values(config)
    of_mailer = mailer_role(mailer, runners[0], setup)
    known = RoleSettings(runners, center=center or "", mailer=of_mailer.arn if of_mailer else "", **settings)
    taken = documents_of(by_file, values, known, outputs, restore=restore, undo=undo, setup=setup)
    documents = [*taken, *([of_mailer.document()] if of_mailer else [])]
    found = {
        **{document.kind: rendered_role(document, output_format) for document in documents},
        **_of_resources(documents, settings["organization"], values, output_format),
    }
    _print(found, only, {document.kind: f" ({document.name})" for document in documents})


def _print(found: Mapping[str, Any], only: str | None, names: Mapping[str, str]) -> None:
    """Print all, or ``only`` this one. ``names``: of roles, by their kinds. Raises InvalidPolicyData."""
    if not only:
        print_json(found)
        return
    if only not in found:
        raise InvalidPolicyData(
            f"the policies need no role {only}; they need {', '.join(found)}, and with --mailer FILE also mailer"
        )
    several = [each for each in found if _NUMBER.sub("", each) == only]
    if len(several) > 1:
        told = ", ".join(f"{each}{names.get(each, '')}" for each in several)
        say(f"there are several: {told}. Printed is {only}{names.get(only, '')}", err=True)
    print_json(found[only])


def _kind_given(value: str | None) -> str | None:
    """Raises click.BadParameter for a document that never exists."""
    if not value or value in _KINDS or (_NUMBER.search(value) and _NUMBER.sub("", value) in _NUMBERED):
        return value
    numbered = ", ".join(f"{each}-2" for each in _NUMBERED)
    raise click.BadParameter(f"{value!r} is none of {', '.join(_KINDS)}; of several also {numbered}, ...")


def _of_resources(
    documents: Sequence[RoleDocument], organization: str, values: AccountValues, output_format: str
) -> dict[str, Any]:
    """The policies of buckets and queues, by kind; a warning instead without accounts or an organization."""
    from c7n_iamusers.roles.rendering import rendered_resource_policy
    from c7n_iamusers.roles.resource_policies import Trusted, reached_from_members, resource_policies

    trusted = Trusted(organization, tuple(dict.fromkeys(each.account_id for each in values.targets)))
    if trusted:
        found = resource_policies(documents, trusted)
        return {each.kind: rendered_resource_policy(each, output_format) for each in found}
    if places := reached_from_members(documents):
        say(
            f"not printed: the policies of {', '.join(places)}, which must let in the roles of member accounts: give "
            "the accounts by -c, or the organization by --org-id",
            err=True,
        )
    return {}


def _check(runners: Sequence[str], settings: Mapping[str, Any], only: str | None) -> None:
    """Raises click.UsageError for options that would make a role useless or too wide."""
    names = ("reader", "remover", "restorer", "deployer")
    if len({settings[name] for name in names}) < len(names) and not only:
        raise click.UsageError(
            "--reader, --remover, --restorer and --deployer are four roles: give them different names, or print one by "
            "--role"
        )
    if strangers := [each for each in settings["restore_by"] if each not in runners]:
        raise click.UsageError(
            f"--restore-by {strangers[0]} is none of the runners, and needs what they may read and send: also give it "
            "as --runner"
        )
    if settings["runner_principal"] and len(runners) > 1:
        raise click.UsageError(
            "--runner-principal is for one role: give one --runner, or print each by itself"
        )
    for each in runners:
        check_principal("--runner-principal", settings["runner_principal"], each)
