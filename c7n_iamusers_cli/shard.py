# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers shard``: the part of an accounts file that one of several machines processes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import click

from c7n_iamusers.text.validators import is_account_id
from c7n_iamusers.text.wording import folded, quoted
from c7n_iamusers_cli.arguments import accounts_file, read_accounts
from c7n_iamusers_cli.output import say

#: What two accounts may not have in common, and why.
_UNIQUE = {
    "account_id": "its users would be processed twice; IAM is the same in all Regions, so remove one of the two",
    "name": "c7n-org would write the outputs of both to one place (some file systems ignore case), so give each a name "
    "of its own",
}


def shard_of(account_id: str, shards: int) -> int:
    """The index of the shard that processes an account: from 0, and the same whatever other accounts there are."""
    return int.from_bytes(hashlib.sha256(account_id.encode()).digest(), "big") % shards


@click.command()
@accounts_file
@click.option(
    "--index",
    "indexes",
    required=True,
    multiple=True,
    type=click.IntRange(min=0),
    help="Which shard, from 0 to N-1. Repeatable, for several shards in one file.",
)
@click.option(
    "--of", "shards", required=True, metavar="N", type=click.IntRange(min=1), help="How many shards."
)
def shard(config: Path, indexes: tuple[int, ...], shards: int) -> None:
    """Print the accounts file of one shard, for c7n-org run -c.

    An account's shard depends on its id and N alone: an account that is added or removed moves no other one. A shard
    may have no account; c7n-org then does nothing.
    """
    import yaml

    if max(indexes) >= shards:
        raise click.UsageError(f"--index is from 0 to {shards - 1} with --of {shards}")
    data, chosen = read_accounts(config, _checked), set(indexes)
    rows = [each for each in data["accounts"] if shard_of(each["account_id"], shards) in chosen]
    click.echo(yaml.safe_dump({**data, "accounts": rows}, sort_keys=False), nl=False)
    which = ", ".join(map(str, sorted(chosen)))
    say(f"shard {which} of {shards}: {len(rows)} of {len(data['accounts'])} rows of {config}", err=True)


def _checked(data: Any) -> dict[str, Any]:
    """Raises ValueError for an account that no shard would process, or that is not told from another."""
    from c7n_iamusers.organization.readiness import targets

    rows = data.get("accounts") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise ValueError("it has no list `accounts`: give the file that c7n-org run -c takes")
    seen: dict[tuple[str, str], str] = {}
    for number, each in enumerate(rows, 1):
        this = _account(number, each)
        for key, why in _UNIQUE.items():
            other = seen.setdefault((key, folded(each[key])), this)
            if other != this:
                raise ValueError(f"accounts {other} and {this} have the same {key}: {why}")
    targets(data)
    found: dict[str, Any] = data
    return found


def _account(number: int, entry: Any) -> str:
    """An account in words. Raises ValueError for an id that is none, and a name that can't be a directory."""
    account_id = entry.get("account_id") if isinstance(entry, dict) else None
    if not is_account_id(account_id):
        raise ValueError(
            f"account {number} has the account_id {quoted(account_id)}: write its 12 digits in quotes"
        )
    name = entry.get("name")
    if not isinstance(name, str) or {"", ".", ".."}.intersection(name.split("/")):
        raise ValueError(
            f"account {number} ({account_id}) has the name {quoted(name)}: give it one that can be a directory, since "
            "c7n-org writes the account's output there"
        )
    return f"{number} ({name}, {account_id})"
