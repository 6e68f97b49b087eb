# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers shard``: the part of an accounts file that one of several machines processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import click

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.text.validators import is_account_id
from c7n_iamusers.text.wording import folded, quoted
from c7n_iamusers_cli.arguments import accounts_file, read_accounts
from c7n_iamusers_cli.output import end_check, say

#: The cost of an account beside its users, in users: its role, its report, its lists.
_OF_ACCOUNT = 50
#: What two accounts must not share, and why.
_UNIQUE = {
    "account_id": "its users would be processed twice; IAM is the same in all Regions, so remove one of the two",
    "name": "c7n-org would write the outputs of both to one place (some file systems ignore case), so give each a name "
    "of its own",
}


def shard_of(account_id: str, shards: int) -> int:
    """The index, from 0, of the shard that processes an account. It does not depend on other accounts."""
    return int.from_bytes(hashlib.sha256(account_id.encode()).digest(), "big") % shards


def balanced(accounts: Iterable[str], users: Mapping[str, int], shards: int) -> dict[str, int]:
    """The index of the shard of each account: each shard has about as many users.

    ``users``: account id -> number, if known; other accounts count as average. Equal numbers give equal shards.
    """
    average = sum(users.values()) // len(users) if users else 0
    weights = {each: _OF_ACCOUNT + users.get(each, average) for each in accounts}
    loads = [(0, index) for index in range(shards)]
    found = {}
    for each in sorted(weights, key=lambda each: (-weights[each], each)):
        load, found[each] = heappop(loads)
        heappush(loads, (load + weights[each], found[each]))
    return found


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
@click.option(
    "--users",
    "users_file",
    metavar="FILE",
    help="The file of `report --users-output`, also s3://BUCKET/KEY: all shards then have about the same number of "
    "users. If there is no such file, ids alone decide.",
)
def shard(config: Path, indexes: tuple[int, ...], shards: int, users_file: str | None) -> None:
    """Print the accounts file of one shard, for c7n-org run -c.

    An account's shard depends only on its id and N: adding or removing an account moves no other. With --users it
    depends on all accounts and these numbers, so give all shards of a run the same file. For a shard without accounts,
    with which c7n-org does nothing, the command ends with 3.
    """
    import yaml

    if max(indexes) >= shards:
        raise click.UsageError(f"--index is from 0 to {shards - 1} with --of {shards}")
    data, chosen = read_accounts(config, _checked), set(indexes)
    ids = [str(each["account_id"]) for each in data["accounts"]]
    users = _users(users_file) if users_file else {}
    index = balanced(ids, users, shards) if users else {each: shard_of(each, shards) for each in ids}
    rows = [each for each in data["accounts"] if index[each["account_id"]] in chosen]
    click.echo(yaml.safe_dump({**data, "accounts": rows}, sort_keys=False), nl=False)
    which = ", ".join(map(str, sorted(chosen)))
    empty = "" if rows else ": c7n-org run -c does nothing with it"
    say(
        f"shard {which} of {shards}: {len(rows)} of {len(data['accounts'])} rows of {config}{empty}", err=True
    )
    end_check(0, not rows)


def _users(place: str) -> dict[str, int]:
    """Account id -> the number of its users; empty without a file. Raises InvalidPolicyData."""
    from c7n_iamusers.text.documents import read_json
    from c7n_iamusers_cli.report import file_target

    store, name = file_target(place)
    try:
        content = store.read(name)
        found = read_json(content) if content else {}
    except (OSError, ValueError) as error:
        raise InvalidPolicyData(f"{place} can't be read: {error}: leave out --users") from error
    if not isinstance(found, dict) or not all(type(each) is int and each >= 0 for each in found.values()):
        raise InvalidPolicyData(f"{place} is not what `report --users-output` writes: leave out --users")
    return found


def _checked(data: Any) -> dict[str, Any]:
    """Raises ValueError for an account that no shard would process, or that looks like another."""
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
    """An account in words. Raises ValueError for an invalid id, and for a name that can't be a directory."""
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
