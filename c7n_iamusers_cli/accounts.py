# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers accounts``: the accounts file with another role in each account."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import click

from c7n_iamusers.text.wording import quoted
from c7n_iamusers_cli.arguments import accounts_file, read_accounts
from c7n_iamusers_cli.output import say
from c7n_iamusers_cli.yaml_files import as_yaml, output_options, put

#: Path and RoleName: IAM API reference, CreateRole.
_ROLE = re.compile(r"([\w+=,.@-]+/)*[\w+=,.@-]{1,64}", re.ASCII)
#: The name of a variable, as Cloud Custodian fills it in.
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
#: A number, such as of days, but no account id.
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?")


def _role(_: click.Context, __: click.Parameter, value: str) -> str:
    if not _ROLE.fullmatch(value):
        raise click.BadParameter(
            f"{value!r} is not the name of a role: give it as in IAM, such as IamUsersRemover, after its path if it "
            "has one (team/IamUsersRemover), and without the account"
        )
    return value


def _variables(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in values:
        key, equals, value = each.partition("=")
        if not equals or not _VARIABLE.fullmatch(key):
            raise click.BadParameter(f"{each!r} is no KEY=VALUE, such as announce_days=45")
        if key in found:
            raise click.BadParameter(f"{key} is given twice")
        number = _NUMBER.fullmatch(value)
        found[key] = value if not number else float(value) if number[2] else int(value)
    return found


def variables_option(about: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --set, which gives variables of an accounts file a value. ``about``: its help."""
    return click.option(
        "--set", "variables", multiple=True, metavar="KEY=VALUE", callback=_variables, help=about
    )


@click.command()
@accounts_file
@click.option(
    "--role",
    required=True,
    metavar="NAME",
    callback=_role,
    help="The new role in each account, with its path if it has one.",
)
@variables_option("Also give this variable (vars) of the file another value, in all accounts. Repeatable.")
@output_options
def accounts(config: Path, role: str, variables: dict[str, Any], output: Path | None, force: bool) -> None:
    """Print the accounts file with another role in each account, for the policies that need it.

    The account and the partition of each role stay; in a chain of roles, the last one changes. The command fails, and
    writes nothing, if an entry would not change: it has no role, or has this one already.
    """
    changed = read_accounts(config, lambda data: with_role(data, role, variables))
    put(as_yaml(changed), config, output, force)
    say(f"{config}, with the role {role} in {len(changed['accounts'])} accounts", err=True)


def with_role(data: Any, role: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The content of an accounts file with ``role`` in each entry, and ``variables`` in all.

    Raises ValueError for another file, an entry that would not change, or a variable that the file does not have.
    """
    from c7n_iamusers.organization.readiness import targets

    found = targets(data)
    if not found:
        raise ValueError("nothing was written: it has no accounts")
    entries: list[dict[str, Any]] = []
    faults: list[str] = []
    for entry, target in zip(data["accounts"], found, strict=True):
        arn = f"arn:{target.partition}:iam::{target.account_id}:role/{role}"
        if not target.roles:
            faults.append(f"{target} has no role")
        elif target.roles[-1] == arn:
            faults.append(f"{target} has the role {quoted(role)} already")
        chain = [*target.roles[:-1], arn]
        own = {key: variables.get(key, value) for key, value in (entry.get("vars") or {}).items()}
        new = {**deepcopy(dict(entry)), "role": chain if isinstance(entry.get("role"), list) else arn}
        entries.append({**new, "vars": own} if own else new)
    if faults:
        raise ValueError(f"nothing was written: {'; '.join(faults)}: correct these entries")
    known = sorted({name for each in found for name in each.variables})
    if unknown := [variable for variable in variables if variable not in known]:
        raise ValueError(
            f"nothing was written: it has no variable {', '.join(unknown)}, but {', '.join(known) or 'none'}: correct "
            "--set, or write the variable into the file first"
        )
    shared = {**(data.get("vars") or {}), **variables}
    return {**deepcopy(dict(data)), **({"vars": shared} if shared else {}), "accounts": entries}
