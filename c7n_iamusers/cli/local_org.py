# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers local-org``: start the local organization, fill it, see what was called, empty it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.cli.arguments import account_id
from c7n_iamusers.cli.endpoint import LocalOrgEndpoint, endpoint_option
from c7n_iamusers.cli.filling import load, seed, seed_option, users_option
from c7n_iamusers.cli.output import format_option, print_json, print_table

if TYPE_CHECKING:
    from aws_local_org import Settings

PORT = 5000


@click.group("local-org")
def local_org() -> None:
    """An AWS organization on this machine, to rehearse on before anything meets a real one."""


def _accounts(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    pairs = [
        (account_id(context, parameter, number), name or number)
        for number, _, name in (value.partition("=") for value in values)
    ]
    if len({number for number, _ in pairs}) != len(pairs):
        raise click.BadParameter("an account id is given twice")
    return tuple(pairs)


@local_org.command()
@click.option(
    "--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="0: any free port."
)
@click.option(
    "--member-account",
    multiple=True,
    metavar="ID[=NAME]",
    callback=_accounts,
    help="Instead of three examples.",
)
@click.option(
    "--page-limit", type=click.IntRange(1), help="At most so many items on any page of an IAM list."
)
@click.option("--latency-ms", type=click.FloatRange(0), default=0, help="Added to every call.")
@click.option("--assignment-seconds", type=click.FloatRange(0), default=1.0, help="Identity Center's delay.")
@click.option(
    "--smtp-port", default=0, type=click.IntRange(0, 65535), help="With --mail-dir; 0: any free port."
)
@click.option(
    "--mail-dir", type=click.Path(path_type=Path, file_okay=False), help="Take mail in and keep it here."
)
@click.option(
    "--env-file", type=click.Path(path_type=Path, dir_okay=False), help="Write the environment here, too."
)
@seed_option
@users_option
def serve(seed_number: int | None, users_per_account: int | None, **options: Any) -> None:
    """Serve until SIGINT or SIGTERM; print the environment to export as soon as it is ready."""
    from c7n_iamusers.cli.serving import Serving, serve_until_stopped

    mail_dir, env_file = options.pop("mail_dir"), options.pop("env_file")
    wanted = seed_number is not None or users_per_account is not None
    number = 1 if seed_number is None else seed_number
    serving = Serving(number if wanted else None, users_per_account or 30, mail_dir, env_file)
    serve_until_stopped(_settings(**options), serving)


def _settings(member_account: tuple[tuple[str, str], ...], **options: Any) -> Settings:
    from aws_local_org import Settings

    if member_account:
        options["member_accounts"] = member_account
    return Settings(**options)


@local_org.command()
@endpoint_option
@format_option
def calls(endpoint: str | None, output_format: str) -> None:
    """The AWS calls that the organization saw, oldest first."""
    records = LocalOrgEndpoint(endpoint).get("calls")
    if output_format == "json":
        print_json(records)
        return
    columns = ["time", "account", "service", "operation", "status", "error_code"]
    print_table(columns, [[record[column] for column in columns] for record in records])


@local_org.command()
@endpoint_option
def reset(endpoint: str | None) -> None:
    """Empty every account, and forget the calls."""
    LocalOrgEndpoint(endpoint).post("reset")
    click.echo("reset", err=True)


local_org.add_command(seed)
local_org.add_command(load)
