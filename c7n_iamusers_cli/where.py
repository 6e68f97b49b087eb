# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers where``: in which configuration of which account the ids of access keys stand, and in which files."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.text.wording import counted
from c7n_iamusers_cli.arguments import account_choice, accounts_to_read, regions_to_read, targets_in
from c7n_iamusers_cli.key_accounts import KeyAccounts
from c7n_iamusers_cli.output import end_search, format_option, print_json, print_table, progress_bar, say

if TYPE_CHECKING:
    from c7n_iamusers.key_places.key_ids import KeyPlace
    from c7n_iamusers.organization.readiness import Target

#: Accounts and Regions that are read at once.
_AT_ONCE = 16
#: Bytes of a file that are searched at once, and those of them that are searched again with the next: more than an id.
_PIECE, _OVERLAP = 1024 * 1024, 64
_COLUMNS = ("account", "region", "service", "resource", "where", "access key", "user")


@click.command()
@click.argument("asked", metavar="[KEY_ID|USER]", required=False)
@click.option("--all", "everything", is_flag=True, help="All access keys whose ids stand somewhere.")
@accounts_to_read("its accounts are read, each by its role.")
@account_choice
@regions_to_read("Only this Region. Repeatable.  [default: all that are enabled in the account]")
@click.option(
    "--decrypt",
    is_flag=True,
    help="Read the values of secrets and of SecureString parameters, too. None is printed or kept.",
)
@click.option(
    "--files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH",
    help="Search this file, or all files below this directory, such as a checkout. Repeatable.",
)
@click.option(
    "--policy", is_flag=True, help="Print the IAM policy that the role of an account needs, and end."
)
@format_option("table", "json")
def where(
    asked: str | None,
    everything: bool,
    accounts_file: Path | None,
    names: tuple[str, ...],
    tags: tuple[str, ...],
    regions: tuple[str, ...],
    decrypt: bool,
    files: tuple[Path, ...],
    policy: bool,
    output_format: str,
) -> None:
    """Show where the id of an access key stands: KEY_ID, those of USER, or --all that stand anywhere.

    It reads environment variables of functions, projects and tasks, parameters, outputs of stacks, user data, and the
    names of secrets, and changes nothing. A variable AWS_ACCESS_KEY_ID with another key is shown as "another key". Of
    what is read, nothing is printed or kept but names and the ids of keys. The command says each time what it did not
    look at, and ends with 1 if something could not be read: a key may stand there.
    """
    if policy:
        print_json(_policy(decrypt))
        return
    if bool(asked) == everything:
        raise click.UsageError("give a KEY_ID, a USER, or --all")
    if not accounts_file and not files:
        raise click.UsageError("give -c FILE with the accounts, --files PATH, or both")
    if not accounts_file and (names or tags or regions or decrypt):
        raise click.UsageError("-a, -t, -r and --decrypt are about accounts: give -c FILE too")
    search = _Search(targets_in(accounts_file, names, tags) if accounts_file else (), regions, decrypt)
    keys = None if everything else search.accounts.keys_of(str(asked))
    search.read(keys)
    for path in files:
        search.read_files(path, keys)
    if asked and search.targets and not search.found:
        search.accounts.look_up(asked)
    _print(search, output_format)
    end_search(len(search.found), search.numbers, search.unread)


def _policy(decrypt: bool) -> dict[str, Any]:
    from c7n_iamusers.key_places.readers import READERS

    more = ("ec2:DescribeRegions", "iam:GetAccessKeyLastUsed", "iam:ListAccessKeys")
    of_services = ((*each.permissions, *(each.decrypts if decrypt else ())) for each in READERS.values())
    actions = sorted({*more, *(action for its in of_services for action in its)})
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


@dataclass(frozen=True)
class _Row:
    """A place in ``account`` (its name; empty for a file). ``user``: whose key it is; empty if that is not known.

    ``account_id``: accounts can share a name.
    """

    account: str
    region: str
    service: str
    place: KeyPlace
    user: str = ""
    account_id: str = ""

    def cells(self) -> tuple[str, ...]:
        """As the table has it."""
        key = f"{self.place.key_id}{' (another key)' if self.place.other else ''}"
        place = self.place
        return (self.account, self.region, self.service, place.resource, place.where, key, self.user)

    def as_data(self) -> dict[str, Any]:
        """JSON types only."""
        place = {"resource": self.place.resource, "where": self.place.where}
        whose = {"key": self.place.key_id, "user": self.user, "other": self.place.other}
        account = {"account": self.account, "account_id": self.account_id}
        return {**account, "region": self.region, "service": self.service, **place, **whose}


@dataclass
class _Search:
    """``found``: the places. ``unread``: what could not be read, in words."""

    targets: Sequence[Target]
    regions: Sequence[str]
    decrypt: bool
    found: list[_Row] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.accounts = KeyAccounts(self.targets, self.unread)

    @property
    def numbers(self) -> str:
        """What was found, of what was asked to be read."""
        where = f" in {counted(len(self.targets), 'account')}" if self.targets else ""
        return f"{counted(len(self.found), 'place')}{where}"

    def read(self, keys: Collection[str] | None) -> None:
        """Read all accounts and Regions for ``keys``; for all if None."""
        asked = [
            (target, region)
            for target in self.targets
            for region in self.accounts.regions_of(target, self.regions)
        ]

        def read(each: tuple[Target, str]) -> tuple[list[_Row], list[str]]:
            return self._in_region(*each, keys)

        with ThreadPoolExecutor(_AT_ONCE) as pool, progress_bar("Regions of accounts") as progress:
            for number, (found, unread) in enumerate(pool.map(read, asked), 1):
                self.found += found
                self.unread += unread
                progress(number, len(asked))
        self.found = [replace(row, user=self._user_of(row)) for row in self.found]

    def _in_region(
        self, target: Target, region: str, keys: Collection[str] | None
    ) -> tuple[list[_Row], list[str]]:
        from botocore.exceptions import BotoCoreError, ClientError

        from c7n_iamusers.key_places.key_ids import Unread, places_in
        from c7n_iamusers.key_places.readers import READERS

        clients = partial(self.accounts.clients[target.account_id], region_name=region)
        found, unread = list[_Row](), list[str]()
        for service, reader in READERS.items():
            its = f"{target}, {region}: {service}: {reader.title}"
            try:
                for text in reader.read(clients, self.decrypt):
                    if isinstance(text, Unread):
                        unread.append(": ".join(filter(None, (its, text.resource, text.why))))
                    else:
                        found += (
                            _Row(target.name, region, service, each, account_id=target.account_id)
                            for each in places_in(text, keys)
                        )
            except (ClientError, BotoCoreError) as error:
                unread.append(f"{its}: {error}")
            except Exception as error:  # noqa: BLE001  # whatever a service answers, the others are read
                unread.append(f"{its}: its answer can't be read: {error!r:.300}")
        return [*dict.fromkeys(found)], unread

    def _user_of(self, row: _Row) -> str:
        """Whose key it is, by the account in which it stands."""
        (target,) = (each for each in self.targets if each.account_id == row.account_id)
        return self.accounts.user_of(row.place.key_id, target)

    def read_files(self, top: Path, keys: Collection[str] | None) -> None:
        """Search a file, or all files below a directory. Links are not followed."""
        for path in _files(top, self.unread):
            try:
                self.found += [
                    _Row("", "", "file", place, self.accounts.of_user.get(place.key_id, ""))
                    for place in _in_file(path, keys)
                ]
            except OSError as error:
                self.unread.append(f"{path}: {error}")


def _files(top: Path, unread: list[str]) -> Iterator[Path]:
    """The regular files below ``top``, or itself. ``unread``: gets the directories that can't be listed."""
    from c7n_iamusers.execution.stores import DirectoryStore

    todo = [top.resolve()]
    while todo:
        path = todo.pop()
        try:
            mode = path.lstat().st_mode
            names = sorted(DirectoryStore(path).entries(""), reverse=True) if S_ISDIR(mode) else []
        except OSError as error:
            unread.append(f"{path}: {error}")
            continue
        todo += [path / name for name in names]
        if path == top.resolve() and not (S_ISREG(mode) or S_ISDIR(mode)):
            unread.append(f"{path}: it is no file and no directory")
        if S_ISREG(mode):
            yield path


def _in_file(path: Path, keys: Collection[str] | None) -> Iterator[KeyPlace]:
    """Each key once a line. Raises OSError."""
    from c7n_iamusers.key_places.key_ids import KEY_ID, KeyPlace

    told, line, kept = set[tuple[int, str]](), 1, ""
    with path.open("rb") as file:
        piece = file.read(_PIECE)
        decoded = getincrementaldecoder(_encoding(piece))("replace").decode
        while piece:
            text, following = kept + decoded(piece), file.read(_PIECE)
            at, before = line, 0
            for match in KEY_ID.finditer(text):
                # at either end of a piece, what is beside it is in the other piece
                cut = (kept and match.start() == 0) or (following and match.end() == len(text))
                at, before, key_id = at + text.count("\n", before, match.start()), match.start(), match[0]
                if not cut and (keys is None or key_id in keys) and (at, key_id) not in told:
                    told.add((at, key_id))
                    yield KeyPlace(str(path), f"line {at}", key_id)
            kept = text[-_OVERLAP:]
            line += text.count("\n", 0, len(text) - len(kept))
            piece = following


def _encoding(begins: bytes) -> str:
    """UTF-16, as PowerShell writes files, or one that reads each byte."""
    if begins[:2] == b"\xff\xfe" or (begins[1:2] == b"\0" == begins[3:4]):
        return "utf-16-le"
    return "utf-16-be" if begins[:2] == b"\xfe\xff" or (begins[:1] == b"\0" == begins[2:3]) else "latin-1"


def _print(search: _Search, output_format: str) -> None:
    from c7n_iamusers.key_places.readers import NOT_READ

    if output_format == "json":
        places = [row.as_data() for row in search.found]
        print_json({"places": places, "unread": search.unread, "not_looked_at": [*NOT_READ]})
        return
    print_table(_COLUMNS, [row.cells() for row in search.found])
    say(f"not looked at: {'; '.join(NOT_READ)}", err=True)
