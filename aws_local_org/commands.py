# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers local-org``: starts the local organization, fills it, shows its calls, empties it."""

from __future__ import annotations

import ipaddress
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from aws_local_org.environment import TOKEN_HEADER, TOKEN_VARIABLE
from aws_local_org.errors import LocalOrgError
from aws_local_org.loading.documents import details_in, report_in
from aws_local_org.settings import Settings, members
from c7n_iamusers_cli.arguments import account_id, account_ids
from c7n_iamusers_cli.output import format_option, print_json, print_table, say

PORT = 5000
#: The port in mailer.yml. If nothing listens there, c7n-mailer loses the mails and ends without an error.
SMTP_PORT = 2525

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
endpoint_option = click.option(
    "--endpoint",
    envvar="AWS_ENDPOINT_URL",
    show_envvar=True,
    metavar="URL",
    help="Where the local organization listens; on this machine only.",
)
users_option = click.option("--users-per-account", type=click.IntRange(1, 5000), metavar="N")


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """A LocalOrgError ends the command with its message and exit code 1."""
    try:
        yield
    except LocalOrgError as error:
        raise click.ClickException(str(error)) from error


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        with errors_as_messages():
            return super().invoke(ctx)


@click.group("local-org", cls=_Group)
def local_org() -> None:
    """An emulated AWS organization on this machine, to test policies before they run against a real one."""


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
    "--accounts",
    type=click.IntRange(1, 5000),
    metavar="N",
    help="So many accounts, instead: the examples, and further ones.",
)
@click.option(
    "--suspended",
    "suspended_accounts",
    multiple=True,
    metavar="ID",
    callback=account_ids,
    help="An account that is closed, and still listed. Repeatable.",
)
@click.option(
    "--without-address",
    "accounts_without_address",
    multiple=True,
    metavar="ID",
    callback=account_ids,
    help="An account whose root user has no address, so that nobody is known to own it. Repeatable.",
)
@click.option(
    "--region",
    default=Settings.region,
    show_default=True,
    metavar="NAME",
    help="Of Identity Center and the queue. In us-gov-west-1 or cn-north-1 all accounts are of that partition.",
)
@click.option(
    "--identity-center-region",
    default="",
    metavar="NAME",
    help="Of Identity Center, if it is another one.",
)
@click.option(
    "--page-limit", type=click.IntRange(1), help="The maximum number of items on a page of an IAM list."
)
@click.option("--latency-ms", type=click.FloatRange(0), default=0, help="Added to every call.")
@click.option("--assignment-seconds", type=click.FloatRange(0), default=1.0, help="Identity Center's delay.")
@click.option(
    "--enforce",
    is_flag=True,
    help="Deny what the policies of a role or user do not allow. The roles here have AdministratorAccess at first.",
)
@click.option(
    "--smtp-port",
    default=SMTP_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="With --mail-dir, as smtp_port in mailer.yml; 0: any free port.",
)
@click.option(
    "--mail-dir", type=click.Path(path_type=Path, file_okay=False), help="Receive mail and keep it here."
)
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the environment to this file, which only its owner can read, instead of printing it.",
)
@seed_option
@users_option
def serve(seed_number: int | None, users_per_account: int | None, **options: Any) -> None:
    """Serve until SIGINT or SIGTERM; print the environment to export as soon as it is ready."""
    from aws_local_org.serving import Serving, serve_until_stopped

    mail_dir, env_file = options.pop("mail_dir"), options.pop("env_file")
    wanted = seed_number is not None or users_per_account is not None
    number = 1 if seed_number is None else seed_number
    serving = Serving(number if wanted else None, users_per_account or 30, mail_dir, env_file)
    serve_until_stopped(_settings(**options), serving)


def _settings(member_account: tuple[tuple[str, str], ...], accounts: int | None, **options: Any) -> Settings:
    if member_account and accounts:
        raise click.UsageError("--member-account and --accounts name the accounts: give one of them")
    if found := member_account or (members(accounts) if accounts else ()):
        options["member_accounts"] = found
    settings = Settings(**options)
    for named in (*settings.suspended_accounts, *settings.accounts_without_address):
        if named not in settings.account_ids[1:]:
            raise click.UsageError(f"{named} is no member account here")
    return settings


@local_org.command()
@endpoint_option
@seed_option
@users_option
@click.option("--now", metavar="DATE", help="Dates are relative to this day [default: today].")
@format_option("table", "json")
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


@local_org.command()
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
@format_option("table", "json")
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
        say(f"warning: {warning}", err=True)


@local_org.command()
@endpoint_option
@format_option("table", "json")
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
    """Empty every account and the call log."""
    LocalOrgEndpoint(endpoint).post("reset")
    click.echo("reset", err=True)


# The client of a running organization. It only calls this machine.

START_IT = "start one with `c7n-iamusers local-org serve` and export what it prints or writes to --env-file"
TIMEOUT_SECONDS = 600  # loading the documents of a very large account


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect could lead to another machine."""

    def redirect_request(self, *_: Any) -> None:
        return None


class LocalOrgEndpoint:
    """Calls the control routes of the local organization at ``url``, with the token in the environment.

    Raises LocalOrgError at once if ``url`` is missing or not on loopback, so that nothing is ever sent to AWS.
    """

    def __init__(self, url: str | None) -> None:
        if not url:
            raise LocalOrgError(f"no endpoint: give --endpoint or set AWS_ENDPOINT_URL; {START_IT}")
        _refuse_other_machines(url)
        self.url = url.rstrip("/")
        # Nor a proxy, which would be another machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())

    def get(self, route: str) -> Any:
        return self._ask("GET", route, None)

    def post(self, route: str, arguments: Mapping[str, Any] | None = None) -> Any:
        return self._ask("POST", route, json.dumps(arguments or {}).encode())

    def _ask(self, method: str, route: str, body: bytes | None) -> Any:
        headers = {"Content-Type": "application/json", TOKEN_HEADER: os.environ.get(TOKEN_VARIABLE, "")}
        request = urllib.request.Request(f"{self.url}/_local_org/{route}", body, headers, method=method)
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return self._content(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                refusal = self._content(error.read())
            raise LocalOrgError(self._reason(refusal)) from error
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise LocalOrgError(
                f"no local organization answers at {self.url} ({reason}); {START_IT}"
            ) from error

    def _content(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except ValueError as error:
            raise LocalOrgError(self._not_a_local_org()) from error

    def _reason(self, refusal: Any) -> str:
        reason = refusal.get("error") if isinstance(refusal, dict) else None
        return reason if isinstance(reason, str) else self._not_a_local_org()

    def _not_a_local_org(self) -> str:
        return f"what answers at {self.url} is not a local organization; {START_IT}"


def _refuse_other_machines(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LocalOrgError(f"the endpoint {url!r} is not a URL such as http://127.0.0.1:5000")
    if not _is_loopback(parts.hostname):
        raise LocalOrgError(
            f"the endpoint {url} is not on this machine; a local organization listens on loopback only, and nothing "
            f"else may be seeded, loaded or reset"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
