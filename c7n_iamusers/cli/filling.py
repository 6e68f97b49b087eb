# SPDX-License-Identifier: Apache-2.0
"""``local-org seed`` and ``local-org load``: what fills the accounts of a running local organization."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from c7n_iamusers.cli.arguments import account_id
from c7n_iamusers.cli.endpoint import LocalOrgEndpoint, endpoint_option
from c7n_iamusers.cli.output import format_option, print_json, print_table

#: The counts that make a table row; the rest is in the JSON.
COLUMNS = {
    "users": "users",
    "passwords": "passwords",
    "access_keys": "access keys",
    "mfa_devices": "MFA",
    "orphaned_mfa": "orphaned MFA",
    "certificates": "certificates",
    "ssh_keys": "SSH keys",
    "service_credentials": "service credentials",
    "groups": "groups",
    "policies": "policies",
    "roles": "roles",
}

seed_option = click.option(
    "--seed", "seed_number", type=int, metavar="N", help="The same number makes the same organization."
)
users_option = click.option("--users-per-account", type=click.IntRange(1, 5000), metavar="N")


@click.command()
@endpoint_option
@seed_option
@users_option
@click.option("--now", metavar="DATE", help="Dates are this far back from here [default: today].")
@format_option
def seed(
    endpoint: str | None,
    seed_number: int | None,
    users_per_account: int | None,
    now: str | None,
    output_format: str,
) -> None:
    """Fill every member account with a realistic population."""
    given = {"seed": seed_number, "users_per_account": users_per_account, "now": now}
    arguments = {name: value for name, value in given.items() if value is not None}
    summary = LocalOrgEndpoint(endpoint).post("seed", arguments)
    if output_format == "json":
        print_json(summary)
        return
    rows = [
        [account["account"], account["name"], *_figures(account["counts"])] for account in summary["accounts"]
    ]
    print_table(["account", "name", *COLUMNS.values()], [*rows, ["all", "", *_figures(summary["totals"])]])


def _figures(counts: dict[str, int]) -> list[int]:
    return [counts[what] for what in COLUMNS]


@click.command()
@endpoint_option
@click.option(
    "--account",
    required=True,
    metavar="ID",
    callback=account_id,
    help="The account of the local organization to fill.",
)
@click.option(
    "--authorization-details", required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option("--credential-report", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@format_option
def load(
    endpoint: str | None,
    account: str,
    authorization_details: Path,
    credential_report: Path | None,
    output_format: str,
) -> None:
    """Fill an account with a copy of a real one, from its own documents.

    \b
    aws iam get-account-authorization-details > details.json
    aws iam generate-credential-report; aws iam get-credential-report > report.json
    """
    from c7n_iamusers.cli.reading import details_in, report_in

    target = LocalOrgEndpoint(endpoint)
    arguments: dict[str, Any] = {
        "account_id": account,
        "authorization_details": details_in(authorization_details),
    }
    if credential_report:
        arguments["credential_report"] = report_in(credential_report)
    summary = target.post("load", arguments)
    if output_format == "json":
        print_json(summary)
        return
    print_table(
        ["loaded", "count"], [[COLUMNS.get(what, what), count] for what, count in summary["counts"].items()]
    )
    for warning in summary["warnings"]:
        click.echo(f"warning: {warning}", err=True)
