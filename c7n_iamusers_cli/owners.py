# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers owners``: who owns each account, printed, or written into accounts.yml and mailer.yml."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.text.wording import cell, visible
from c7n_iamusers_cli.arguments import read_accounts, role_arn
from c7n_iamusers_cli.output import format_option, print_json, print_table, progress_bar, say

if TYPE_CHECKING:
    from c7n_iamusers.organization.owners import Account, AccountsFile, LookUp, Owner, OwnerSource
    from c7n_iamusers.organization.reader import OrganizationReader

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_COLUMNS = ("account", "name", "owner", "source")


#: The source that only an accounts file has.
FROM_ACCOUNTS = "accounts (vars.owner of the accounts file), "


def owner_sources(option: str, more: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option that names the sources of owners, in their order. ``more``: what there is beside AWS's own."""
    first = f"{more.partition(' ')[0]}, " if more else ""
    return click.option(
        option,
        "sources",
        multiple=True,
        callback=_sources,
        metavar="SOURCE",
        help=f"{more}tag:KEY (of the account), alternate-contact:SECURITY, alternate-contact:OPERATIONS, organization "
        "(e-mail of the root user). May be repeated: the first one that has an address counts.  "
        f"[default: {first}tag:Owner, alternate-contact:SECURITY, organization]",
    )


def _sources(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[OwnerSource, ...]:
    from c7n_iamusers.organization.owners import DEFAULT_SOURCES, parse_source

    try:
        return tuple(map(parse_source, texts)) or DEFAULT_SOURCES
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.option("-c", "--config", type=_FILE, help="c7n-org's accounts file; without it, all active accounts.")
@owner_sources("--from", FROM_ACCOUNTS)
@click.option(
    "--email-domain",
    "domains",
    multiple=True,
    metavar="DOMAIN",
    help="Take an address from a tag or an alternate contact only if it is of this domain. May be repeated.",
)
@click.option(
    "--role",
    metavar="ARN",
    callback=role_arn,
    help="Assume this role of the management account, or of a delegated administrator, to read the organization.",
)
@click.option("--write", is_flag=True, help="Write each owner into the accounts file, as vars.owner.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write that into this new file instead."
)
@click.option(
    "--mailer", type=_FILE, help="With --write: write each owner into account_emails of mailer.yml."
)
@format_option("table", "json", "csv")
def owners(
    config: Path | None,
    sources: tuple[OwnerSource, ...],
    domains: tuple[str, ...],
    role: str | None,
    write: bool,
    output: Path | None,
    mailer: Path | None,
    output_format: str,
) -> None:
    """Show the owner of each account and its source; with --write, put it into the files of c7n-org and c7n-mailer.

    Closed and suspended accounts are left out. The command fails if an account has no owner; with --write, it still
    writes the owners of the others.
    """
    _check_options(config, write, output, mailer)
    found = _found(config, sources, domains, role)
    _PRINTERS[output_format](found)
    for line in (refusal for each in found for refusal in each.refused):
        say(f"note: {line}", err=True)
    if config and (write or output):
        _refuse_any_domain(found, domains)
        _write(found, config, output or config, mailer)
    missing = [each for each in found if each.problem]
    for each in missing:
        say(f"no owner: {each.account}: {each.problem}", err=True)
    if missing:
        raise click.exceptions.Exit(1)


def _check_options(config: Path | None, write: bool, output: Path | None, mailer: Path | None) -> None:
    if write and output:
        raise click.UsageError("--write changes the accounts file, --output writes another: give one")
    if (write or output) and config is None:
        raise click.UsageError("--write and --output need the accounts file: give it by -c")
    if mailer and not write:
        raise click.UsageError("--mailer is changed only with --write: give both")
    if output and output.exists():
        raise click.UsageError(f"--output {output} exists: name a new file")


def _found(
    config: Path | None, sources: tuple[OwnerSource, ...], domains: tuple[str, ...], role: str | None
) -> list[Owner]:
    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.execution.sessions import account_session
    from c7n_iamusers.organization.owners import ACCOUNTS, AccountsFile, owner_of
    from c7n_iamusers.organization.reader import OrganizationReader

    file = AccountsFile((), {}) if config is None else read_accounts(config, _checked)
    if config and all(source.kind == ACCOUNTS for source in sources):
        return [
            owner_of(account, sources, lambda one, _: file.owner(one.account_id), ())
            for account in file.accounts
        ]
    reader = OrganizationReader(account_session(role), Backoff())
    members = reader.members()
    listed = file.accounts if config else [member.account for member in members.values()]
    look_up = _look_up(file, reader, members)
    accounts = [each for each in listed if _is_taken(each, members)]
    for account_id in members.keys() - {each.account_id for each in listed}:
        if members[account_id].is_active:
            say(f"note: {members[account_id].account} is not in {config}: c7n-org leaves it out", err=True)
    found: list[Owner] = []
    with progress_bar("owners") as progress:
        for account in accounts:
            found.append(owner_of(account, sources, look_up, domains))
            progress(len(found), len(accounts))
    return found


def _look_up(file: Any, reader: OrganizationReader, members: Mapping[str, Any]) -> LookUp:
    from c7n_iamusers.exceptions import EvidenceUnreadable
    from c7n_iamusers.organization.owners import ACCOUNTS, CONTACT, TAG

    def look_up(account: Account, source: OwnerSource) -> str:
        if source.kind == ACCOUNTS:
            return str(file.owner(account.account_id))
        if account.account_id not in members:
            raise EvidenceUnreadable("the account is not in the organization: correct its id, or remove it")
        if source.kind == TAG:
            return reader.tag(account.account_id, source.key)
        if source.kind == CONTACT:
            return reader.contact(account.account_id, source.key)
        return str(members[account.account_id].email)

    return look_up


def _is_taken(account: Account, members: Mapping[str, Any]) -> bool:
    member = members.get(account.account_id)
    if member is None or member.is_active:
        return True
    say(f"note: {account} is left out: it is {member.state}", err=True)
    return False


def _checked(data: Any) -> AccountsFile:
    """Raises ValueError, also where a role is in another account than its entry's."""
    from c7n_iamusers.organization.owners import accounts_file
    from c7n_iamusers.organization.readiness import targets

    targets(data)
    return accounts_file(data)


def _refuse_any_domain(found: list[Owner], domains: tuple[str, ...]) -> None:
    """Whoever may tag an account, or change its contacts, would choose who gets mail about its users."""
    checked = [each for each in found if each.source and each.source.is_checked]
    if checked and not domains:
        raise InvalidPolicyData(
            f"nothing was written: {checked[0].account} and {len(checked) - 1} more have their owner from a tag or an "
            "alternate contact, which others may change: give the domains of your organization by --email-domain"
        )


def _write(found: list[Owner], config: Path, target: Path, mailer: Path | None) -> None:
    from c7n_iamusers.execution.given import read_given
    from c7n_iamusers.organization.owners import ACCOUNTS
    from c7n_iamusers.organization.yaml_edits import (
        further_addresses,
        with_account_emails,
        with_owners,
    )

    owned = {each.account.account_id: each.address for each in found if each.address}
    # What the accounts file itself says, maybe for all accounts at once, stays unchanged.
    new = {
        each.account.account_id: each.address
        for each in found
        if each.source and each.source.kind != ACCOUNTS
    }
    edits = [
        (config, target, with_owners, new),
        *([(mailer, mailer, with_account_emails, owned)] if mailer else []),
    ]
    texts: list[tuple[Path, Path, bytes]] = []
    for source, path, edit, addresses in edits:
        try:
            texts.append((source, path, edit(read_given(source).decode(), addresses).encode()))
        except (OSError, ValueError) as error:
            raise InvalidPolicyData(f"nothing was written: {source}: {error}") from error
    for source, path, content in texts:
        _replace(source, path, content)
        say(f"wrote {path}, for {len(owned)} accounts with an owner", err=True)
        if path == mailer:
            for account_id, others in further_addresses(content.decode(), owned).items():
                say(
                    f"note: {path} has {', '.join(others)} for account {account_id} too, who still get its mail",
                    err=True,
                )


def _replace(source: Path, path: Path, content: bytes) -> None:
    """Writes a whole file with the permissions of ``source``; if that fails, the old file stays."""
    from c7n_iamusers.execution.stores import write_draft

    try:
        path = path.resolve()
        draft = write_draft(path, (content,))
        try:
            shutil.copymode(source, draft)
            os.replace(draft, path)
        except OSError:
            draft.unlink()
            raise
    except OSError as error:
        raise InvalidPolicyData(f"{path} can't be written: {error}") from error


def _rows(found: list[Owner]) -> list[tuple[str, ...]]:
    return [
        (each.account.account_id, each.account.name, each.address, str(each.source or "")) for each in found
    ]


def _print_json(found: list[Owner]) -> None:
    print_json(
        [
            {**dict(zip(_COLUMNS, row, strict=True)), "problem": each.problem, "refused": list(each.refused)}
            for row, each in zip(_rows(found), found, strict=True)
        ]
    )


def _print_csv(found: list[Owner]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_COLUMNS, *([cell(visible(each)) for each in row] for row in _rows(found))])
    click.echo(text.getvalue(), nl=False)


_PRINTERS: dict[str, Callable[[list[Owner]], None]] = {
    "table": lambda found: print_table(_COLUMNS, _rows(found)),
    "json": _print_json,
    "csv": _print_csv,
}
