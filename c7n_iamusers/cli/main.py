# SPDX-License-Identifier: Apache-2.0
"""The command group ``c7n-iamusers``; a subcommand's module is imported when it runs, so ``--help`` is quick."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import click

from c7n_iamusers import __version__
from c7n_iamusers.exceptions import IamUsersError
from c7n_iamusers.text.wording import visible


@dataclass(frozen=True)
class Subcommand:
    """Where a subcommand lives, and its one line in the list of them."""

    module: str
    attribute: str
    summary: str


SUBCOMMANDS: dict[str, Subcommand] = {
    "demo": Subcommand(
        "aws_local_org.demo.command", "demo", "The whole job on a local organization, checked."
    ),
    "evidence": Subcommand(
        "c7n_iamusers.cli.evidence", "evidence", "What is known of one account's users, each with its source."
    ),
    "local-org": Subcommand(
        "aws_local_org.commands", "local_org", "An AWS organization on this machine, to rehearse on."
    ),
    "permissions": Subcommand(
        "c7n_iamusers.cli.permissions", "permissions", "The least IAM policy for the role that runs policies."
    ),
    "plan": Subcommand(
        "c7n_iamusers.cli.plan", "plan", "A plan of deletions or of access, for a reviewer to read."
    ),
    "report": Subcommand(
        "c7n_iamusers.cli.report", "report", "One page over all accounts and runs; a check for waves."
    ),
    "restore": Subcommand("c7n_iamusers.cli.restore", "restore", "Brings users back from their snapshots."),
    "mailer-templates": Subcommand(
        "c7n_iamusers.cli.mailer_templates",
        "mailer_templates",
        "Where the notices' templates lie, for c7n-mailer.",
    ),
    "provision": Subcommand(
        "c7n_iamusers.cli.provision", "command", "People's access in IAM Identity Center, over all accounts."
    ),
}


class LazyGroup(click.Group):
    """A group whose subcommands are named in SUBCOMMANDS; errors of this package end the command with their message."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *SUBCOMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (found := SUBCOMMANDS.get(cmd_name)) is None:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(importlib.import_module(found.module), found.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUBCOMMANDS[name].summary) for name in sorted(SUBCOMMANDS)])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except IamUsersError as error:
            raise click.ClickException(visible(str(error))) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="c7n-iamusers")
def main() -> None:
    """Find, replace and delete unnecessary AWS IAM users.

    The work itself is done by Cloud Custodian's own commands; see `custodian schema aws.iam-user`.
    """
