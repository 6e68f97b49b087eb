# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers guardrail``: a service control policy against new long-term credentials."""

from __future__ import annotations

import click

from c7n_iamusers_cli.arguments import partition_option
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
    help="A role that may change the named roles, such as stacksets-exec-*. May be repeated.",
)
@click.option(
    "--protect",
    "protected",
    multiple=True,
    metavar="NAME",
    help="A further role that others may neither create, change nor give to a function, such as that of a function. It "
    "is not spared. May be repeated.",
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
    help="A trail of the accounts themselves. Members can't change that of the organization. May be repeated.",
)
@partition_option
@format_option("json", "cloudformation", "terraform")
def guardrail(
    spared: tuple[str, ...],
    admins: tuple[str, ...],
    partition: str,
    output_format: str,
    **ours: tuple[str, ...],
) -> None:
    """Print a service control policy that denies creating IAM users, and creating or activating credentials.

    Only the roles given as --spare may do so, in each account that the policy is attached to. They alone can also
    deactivate credentials; deleting them, and denying a user everything, stays open to all. Nobody but these and the
    roles given as --admin may create or change roles of these names, and those given as --protect. Nobody but the
    deployer and --admin may change, or invoke, the functions custodian-iam-users-*, or change their rules, their queue
    and the trail. A name has its path, if it has one, and can have a * after its beginning. Each denied and each spared
    action is checked before the policy is printed.

    It does not bind the management account and service-linked roles, and existing credentials keep working.
    """
    from c7n_iamusers.roles.guardrail import FORMERLY_LONGEST, LONGEST, Ours
    from c7n_iamusers.roles.guardrail import guardrail as policy
    from c7n_iamusers.roles.rendering import rendered_guardrail

    guarded = Ours(ours["protected"], ours["deployers"], ours["queues"], ours["trails"])
    found = policy(spared, admins, partition, guarded)
    print_json(rendered_guardrail(found, output_format))
    say(f"checked: {found.checks} decisions of this policy", err=True)
    if found.length > FORMERLY_LONGEST:
        say(
            f"it has {found.length} characters. AWS takes {LONGEST} since May 2026, by its announcement, and copies "
            f"of its page still say {FORMERLY_LONGEST}: if Organizations refuses it, give fewer roles, or create it "
            "without white space",
            err=True,
        )
