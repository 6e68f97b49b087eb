# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers shard``: the part of an accounts file that one of several machines processes."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import click

from c7n_iamusers.cli.output import say
from c7n_iamusers.exceptions import InvalidPolicyData

_ACCOUNT_ID = re.compile(r"[0-9]{12}")
#: What two accounts may not have in common, and why.
_UNIQUE = {
    "account_id": "its users would be processed twice; IAM is the same in all Regions, so remove one of the two",
    "name": "c7n-org would write the outputs of both to one place, so give each a name of its own",
}


def shard_of(account_id: str, shards: int) -> int:
    """The index of the shard that processes an account: from 0, and the same whatever other accounts there are."""
    return int.from_bytes(hashlib.sha256(account_id.encode()).digest(), "big") % shards


@click.command()
@click.option(
    "-c",
    "--config",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="c7n-org's accounts file.",
)
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
    data, chosen = _read(config), set(indexes)
    rows = [each for each in data["accounts"] if shard_of(each["account_id"], shards) in chosen]
    click.echo(yaml.safe_dump({**data, "accounts": rows}, sort_keys=False, allow_unicode=True), nl=False)
    which = ", ".join(map(str, sorted(chosen)))
    say(f"shard {which} of {shards}: {len(rows)} of {len(data['accounts'])} rows of {config}", err=True)


def _read(path: Path) -> dict[str, Any]:
    """Raises InvalidPolicyData for an account that no shard would process, or that is not told from another."""
    import yaml

    from c7n_iamusers.organization.readiness import targets

    try:
        data = yaml.safe_load(path.read_bytes())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InvalidPolicyData(f"{path}: can't be read as c7n-org's accounts file: {error}") from error
    rows = data.get("accounts") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise InvalidPolicyData(
            f"{path} has no list `accounts`: give the accounts file that c7n-org run -c takes"
        )
    seen: dict[tuple[str, str], str] = {}
    for number, each in enumerate(rows, 1):
        account_id = each.get("account_id") if isinstance(each, dict) else None
        if not (isinstance(account_id, str) and _ACCOUNT_ID.fullmatch(account_id)):
            raise InvalidPolicyData(
                f"{path}: account {number} has the account_id {account_id!r}: write its 12 digits in quotes"
            )
        this = f"{number} ({each.get('name')}, {account_id})"
        for key, why in _UNIQUE.items():
            other = seen.setdefault((key, str(each.get(key))), this)
            if other != this:
                raise InvalidPolicyData(f"{path}: accounts {other} and {this} have the same {key}: {why}")
    try:
        targets(data)
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidPolicyData(f"{path}: {error}") from error
    found: dict[str, Any] = data
    return found
