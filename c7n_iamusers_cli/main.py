# SPDX-License-Identifier: Apache-2.0
"""The command group ``c7n-iamusers``. A subcommand's module is imported when it runs, so ``--help`` is fast."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click
from click.shell_completion import CompletionItem

import c7n_iamusers
from c7n_iamusers.exceptions import IamUsersError
from c7n_iamusers.text.wording import visible

#: The sections of ``--help``: name of each command -> where it is (``module:attribute``), and its line there.
_SECTIONS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Setting up": {
        "init": ("c7n_iamusers_cli.init.command:init", "Write all files for an organization's first day."),
        "owners": (
            "c7n_iamusers_cli.owners:owners",
            "Show who owns each account, or write it into accounts.yml.",
        ),
        "roles": ("c7n_iamusers_cli.roles:roles", "Print the IAM roles that given policies take."),
        "permissions": (
            "c7n_iamusers_cli.permissions:permissions",
            "Print a least-privilege IAM policy for given policies.",
        ),
        "accounts": (
            "c7n_iamusers_cli.accounts:accounts",
            "Print the accounts file with another role in each account.",
        ),
        "preflight": (
            "c7n_iamusers_cli.preflight:preflight",
            "Check what is missing for a run over all accounts.",
        ),
        "guardrail": (
            "c7n_iamusers_cli.guardrail:guardrail",
            "Print a service control policy against new credentials.",
        ),
        "mailer-templates": (
            "c7n_iamusers_cli.main:mailer_templates",
            "Print the directory of the mail templates for c7n-mailer.",
        ),
    },
    "Every day": {
        "cycle": ("c7n_iamusers_cli.cycle.command:cycle", "Do what is due today in a workspace."),
        "approve": ("c7n_iamusers_cli.cycle.approve:approve", "Approve a plan that the cycle has written."),
        "digest": ("c7n_iamusers_cli.digest:digest", "Send each owner one summary over all its accounts."),
        "forward": ("c7n_iamusers_cli.forward:forward", "Forward messages of member accounts to c7n-mailer."),
        "exemptions": (
            "c7n_iamusers_cli.exemptions:exemptions",
            "Check the exemptions that owners ask for in replies.",
        ),
    },
    "Looking": {
        "evidence": ("c7n_iamusers_cli.evidence:evidence", "Show the evidence on the IAM users of accounts."),
        "plan": ("c7n_iamusers_cli.plan:plan", "Print a plan of deletions or of access for review."),
        "report": ("c7n_iamusers_cli.report:report", "Report on all accounts and runs, as one page."),
        "user": ("c7n_iamusers_cli.user:user", "Show what was done to one user, or give it back."),
        "key": ("c7n_iamusers_cli.key:key", "Show what was done to one access key, or give it back."),
        "where": ("c7n_iamusers_cli.where:where", "Show in which configuration access keys stand."),
        "usage": ("c7n_iamusers_cli.usage:usage", "Show who calls with access keys, from where."),
        "leftovers": (
            "c7n_iamusers_cli.leftovers:leftovers",
            "Show which policies still name deleted users.",
        ),
        "receipt": ("c7n_iamusers_cli.receipt:receipt", "Write what is on record of the deletion of users."),
        "verify": ("c7n_iamusers_cli.verify:verify", "Verify digests and journals, also against CloudTrail."),
    },
    "Recovering": {
        "restore": ("c7n_iamusers_cli.restore:restore", "Restore users from their snapshots."),
    },
    "By hand, or on several machines": {
        "provision": (
            "c7n_iamusers_cli.provision.commands:provision",
            "Plan, apply and audit access in Identity Center.",
        ),
        "only": ("c7n_iamusers_cli.only:only", "Print policies for the named users alone."),
        "shard": ("c7n_iamusers_cli.shard:shard", "Print the accounts file of one of several machines."),
    },
    "Practising": {
        "demo": (
            "aws_local_org.demo.command:demo",
            "Run and check the whole workflow on a local organization.",
        ),
        "local-org": (
            "aws_local_org.commands:local_org",
            "An AWS organization on this machine, for rehearsals.",
        ),
        "rehearse": (
            "aws_local_org.demo.rehearse:rehearse",
            "Rehearse the whole workflow on copies of real accounts.",
        ),
    },
}
#: The same for all of them.
SUBCOMMANDS = {name: found for section in _SECTIONS.values() for name, found in section.items()}
#: The exit code after Ctrl-C, as a shell has it.
_INTERRUPTED = 128 + signal.SIGINT


class LazyGroup(click.Group):
    """A group of the commands in SUBCOMMANDS. An error of this package ends the command with its message."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *SUBCOMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (found := SUBCOMMANDS.get(cmd_name)) is None:
            return super().get_command(ctx, cmd_name)
        command: click.Command = resolve_name(found[0])
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """By what they are for."""
        width = max(map(len, SUBCOMMANDS))
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), summary) for name, (_, summary) in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names and options, without importing each command for its help."""
        names = (each for each in self.list_commands(ctx) if each.startswith(incomplete))
        found = [CompletionItem(each, help=SUBCOMMANDS[each][1]) for each in names]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        arguments = list(ctx.args)  # which click removes
        try:
            return super().invoke(ctx)
        except IamUsersError as error:
            raise click.ClickException(visible(f"{error}{_sign_in(error)}")) from error
        except KeyboardInterrupt:
            raise _interrupted() from None
        except click.Abort as error:
            # of a prompt; at the end of the input, nobody has interrupted anything
            if isinstance(error.__context__, KeyboardInterrupt):
                raise _interrupted() from None
            raise
        except MemoryError:
            raise click.ClickException(visible(_too_large(arguments))) from None


def _sign_in(error: BaseException | None) -> str:
    """What to do about an error for want of credentials; empty for another one. botocore is not imported for it."""
    while error and type(error).__name__ != "NoCredentialsError":
        error = error.__cause__ or error.__context__
    return (
        ". Sign in (`aws sso login`, or export AWS_PROFILE), then try `aws sts get-caller-identity`"
        if error
        else ""
    )


def _interrupted() -> click.exceptions.Exit:
    click.echo("Interrupted", err=True)
    return click.exceptions.Exit(_INTERRUPTED)


def _too_large(arguments: Sequence[str]) -> str:
    """The error if this process runs out of memory. It names the files among ``arguments``, largest first."""
    files = sorted(filter(os.path.isfile, arguments), key=os.path.getsize, reverse=True)
    read = f" while it read {', '.join(files)}" if files else ""
    return f"this took more memory than the process may have{read}: find out what is large, or run where there is more"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(c7n_iamusers.__version__, prog_name="c7n-iamusers")
def main() -> None:
    """Find, replace and delete unnecessary AWS IAM users.

    Cloud Custodian's own commands do this work: see `custodian schema aws.iam-user`. Begin with `c7n-iamusers demo`,
    which needs no AWS account, or with `c7n-iamusers init DIR`.

    Exit codes: 0 done, 1 something is wrong, 2 the command line is wrong, 3 something is to look at, 130 interrupted.
    """


@click.command("mailer-templates")
def mailer_templates() -> None:
    """Print the directory of the mail and Slack templates, for a c7n-mailer elsewhere.

    A c7n-mailer installed beside this package finds them by itself. Give another one a copy as -t.
    """
    click.echo(Path(c7n_iamusers.__file__).parent / "mailer_templates")
