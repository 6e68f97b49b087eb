# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers guardrail``: a service control policy against new long-term credentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from c7n_iamusers_cli.arguments import account_choice, partition_option, targets_in
from c7n_iamusers_cli.output import format_option, print_json, say


@click.command()
@click.option(
    "--spare",
    "spared",
    multiple=True,
    required=True,
    metavar="NAME",
    help="A role that may create users, and create, activate and deactivate credentials, such as the one for "
    "quarantine and restore. May be repeated.",
)
@click.option(
    "--admin",
    "admins",
    multiple=True,
    metavar="NAME",
    help="A role that may change the named roles: which deploys them, such as stacksets-exec-*. May be repeated.",
)
@click.option(
    "--no-admin",
    is_flag=True,
    help="Let nobody change the named roles, nor create them in a further account, while the policy is attached.",
)
@click.option(
    "--protect",
    "protected",
    multiple=True,
    metavar="NAME",
    help="A further role, such as that of a function: others may neither create nor change it, nor give it to a "
    "function. It is not spared. May be repeated.",
)
@click.option(
    "--deployer",
    "deployers",
    multiple=True,
    default=("IamUsersDeployer",),
    show_default=True,
    metavar="NAME",
    help="The role that deploys functions. May be repeated.",
)
@click.option(
    "--queue",
    "queues",
    multiple=True,
    default=("iam-users-realtime",),
    show_default=True,
    metavar="NAME",
    help="The queue that the functions send to, in whichever account it is. May be repeated.",
)
@click.option(
    "--trail",
    "trails",
    multiple=True,
    metavar="NAME",
    help="A trail of the accounts themselves. Members can't change the organization's. May be repeated.",
)
@click.option(
    "--bearer-tokens",
    is_flag=True,
    help="Print the second policy, which denies calls with bearer tokens, such as Bedrock's API keys, and keys of "
    "Lightsail's buckets.",
)
@click.option(
    "--check",
    "checks",
    is_flag=True,
    help="Instead of the policy, print whose calls of the last 90 days it would have denied, by CloudTrail. Needs -c, "
    "with roles that may call cloudtrail:LookupEvents.",
)
@click.option(
    "--athena",
    metavar="TABLE",
    help="Instead of the policy, print an Athena query for the same, over a table of CloudTrail's events.",
)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="With --check: c7n-org's accounts file.",
)
@account_choice
@partition_option
@format_option("json", "cloudformation", "terraform")
def guardrail(
    spared: tuple[str, ...],
    admins: tuple[str, ...],
    partition: str,
    output_format: str,
    **more: Any,
) -> None:
    """Print a service control policy that denies creating IAM users, and creating or activating credentials.

    Only the roles given as --spare may do so, in each account that the policy is attached to. Only they can also
    deactivate credentials. Everybody can still delete credentials, and deny a user everything. Only they and the roles
    given as --admin may create or change roles with these names, and those given as --protect. Only the deployer and
    --admin may change or invoke the functions custodian-iam-users-*, and change their rules, their queue and the trail.
    A name includes its path, if it has one, and may contain a * after its beginning. Each denied and each spared action
    is checked before the policy is printed.

    It binds neither the management account nor service-linked roles, and existing credentials keep working.

    --check prints lines, or with --format json their values, and how many accounts were read. It ends with 3 if
    somebody would have been denied, and with 1 if an account could not be read.
    """
    from c7n_iamusers.roles.bearer_tokens import bearer_tokens
    from c7n_iamusers.roles.guardrail import FORMERLY_LONGEST, LONGEST, Ours
    from c7n_iamusers.roles.guardrail import guardrail as policy
    from c7n_iamusers.roles.guardrail_history import athena_query
    from c7n_iamusers.roles.rendering import rendered_guardrail
    from c7n_iamusers_cli.guardrail_check import check

    _check_options(more, admins)
    guarded = Ours(more["protected"], more["deployers"], more["queues"], more["trails"])
    second = more["bearer_tokens"]
    found = bearer_tokens(spared, partition) if second else policy(spared, admins, partition, guarded)
    if more["athena"]:
        click.echo(athena_query(more["athena"], spared, partition))
        return
    if more["checks"]:
        given = (
            click.get_current_context().get_parameter_source("output_format") is ParameterSource.COMMANDLINE
        )
        check(
            found, targets_in(more["config"], more["names"], more["tags"]), given and output_format == "json"
        )
        return
    print_json(rendered_guardrail(found, output_format))
    say(f"checked: {found.checks} decisions of this policy", err=True)
    if found.length > FORMERLY_LONGEST:
        say(
            f"it has {found.length} characters. AWS takes {LONGEST} since May 2026, by its announcement, and copies "
            f"of its page still say {FORMERLY_LONGEST}: if Organizations refuses it, give fewer roles, or create it "
            "without white space",
            err=True,
        )


def _check_options(given: Mapping[str, Any], admins: Sequence[str]) -> None:
    """Raises click.UsageError for options that don't go together, or would lock out the deployers of our roles."""
    from c7n_iamusers.roles.guardrail_history import TABLE

    asked = [each for each in ("checks", "athena", "bearer_tokens") if given[each]]
    if len(asked) > 1:
        raise click.UsageError(
            "--check and --athena are about new credentials, and exclude each other: events don't say which calls had "
            "a bearer token"
        )
    if admins and given["no_admin"]:
        raise click.UsageError("--admin and --no-admin exclude each other")
    if not (asked or admins or given["no_admin"]):
        raise click.UsageError(
            "without --admin nobody could change the named roles, or create them in a further account, while the "
            "policy is attached: give the role by which you deploy them, such as --admin 'stacksets-exec-*' for a "
            "stack set of the organization, or that of your pipeline; or --no-admin, if that is what you want"
        )
    if given["checks"] != bool(given["config"]):
        raise click.UsageError("--check needs the accounts, and nothing else does: give -c FILE with it")
    if given["athena"] and not TABLE.fullmatch(given["athena"]):
        raise click.UsageError(
            f"--athena {given['athena']!r} is not the name of a table, such as default.cloudtrail_logs"
        )
