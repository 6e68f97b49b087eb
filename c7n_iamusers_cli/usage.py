# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers usage``: who calls with access keys, from where and by which tool; and the query for Athena."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.text.wording import counted
from c7n_iamusers_cli.arguments import S3, account_choice, accounts_to_read, regions_to_read, targets_in
from c7n_iamusers_cli.kept_readings import KeptReadings
from c7n_iamusers_cli.key_accounts import NO_ACCOUNT_HAS_IT, KeyAccounts
from c7n_iamusers_cli.output import end_check, format_option, print_json, print_table, progress_bar, say

if TYPE_CHECKING:
    from c7n_iamusers.execution.stores import Store
    from c7n_iamusers.key_usage.callers import Caller
    from c7n_iamusers.key_usage.event_lookup import EventLookup
    from c7n_iamusers.key_usage.history_reading import Reading
    from c7n_iamusers.key_usage.model import KeyUsage
    from c7n_iamusers.organization.readiness import Target

_COLUMNS = (
    "access key",
    "account",
    "user",
    "from",
    "tool",
    "credentials",
    "services",
    "regions",
    "last",
    "calls",
    "refused",
)
#: What was read longer ago is not called the use of today.
_RECENT = timedelta(hours=1)
#: The days of CloudTrail's event history; the query's, unless --days says otherwise.
_DAYS = 90


@click.command()
@click.argument("asked", metavar="[KEY_ID|USER]", required=False)
@click.option("--all", "everything", is_flag=True, help="All keys that have calls in the files of --from.")
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="PLACE",
    help="A result of the query, or a log file of CloudTrail; a path or s3://BUCKET/KEY. A directory, or a prefix that "
    "ends with /, stands for all such files below it. Repeatable.  [default: CloudTrail's event history]",
)
@click.option(
    "--ranges",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Names of networks: a list with cidr and name, in CSV, JSON or YAML; or AWS's ip-ranges.json.",
)
@accounts_to_read("whose keys these are, and whose event history is read.")
@account_choice
@regions_to_read("Of the event history: this Region. Repeatable.  [default: that of the key's last use]")
@click.option(
    "--pages", type=click.IntRange(1, 1_000), default=1, help="Of the event history: pages of 50 calls a key."
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Of the event history: keep in FILE what was read, and read on from there: so many pages more.",
)
@click.option(
    "--athena-query", "table", metavar="TABLE", help="Print the query for this table of Athena, and end."
)
@click.option(
    "--days",
    type=click.IntRange(1, 3_650),
    default=_DAYS,
    show_default=True,
    help="Of the query: days back from today.",
)
@format_option("table", "json")
def usage(
    asked: str | None,
    everything: bool,
    sources: tuple[str, ...],
    ranges: Path | None,
    accounts_file: Path | None,
    names: tuple[str, ...],
    tags: tuple[str, ...],
    regions: tuple[str, ...],
    pages: int,
    resume: Path | None,
    table: str | None,
    days: int,
    output_format: str,
) -> None:
    """Show who calls AWS with access keys: with KEY_ID, those of USER, or --all in the files of --from.

    For each caller: the address and what it is, the tool and where its credentials came from, as the SDK reports, and
    what it called. Calls that AWS refused are attempts, and told apart. It changes nothing, and ends with 1 if
    something could not be read: there may be more calls. CloudTrail's event history has management events alone, of
    90 days.
    """
    targets = targets_in(accounts_file, names, tags) if accounts_file else ()
    if table is not None:
        _print_query(table, days, [target.account_id for target in targets], asked)
        return
    if bool(asked) == everything:
        raise click.UsageError("give a KEY_ID, a USER, or --all")
    if not sources and (everything or not accounts_file):
        raise click.UsageError(
            "give --from PLACE, or -c FILE with a KEY_ID or USER, whose event history is read then"
        )
    if sources and (regions or pages > 1 or resume):
        raise click.UsageError("-r, --pages and --resume are about the event history: leave out --from")
    search = _Usage(targets, _ranges(ranges), KeptReadings(resume))
    keys = None if everything else search.accounts.keys_of(str(asked))
    if sources:
        search.read_files(sources, keys)
    else:
        search.read_history(keys or (), regions, pages)
    _print(search, output_format)
    end_check(len(search.unread), 0)


def _print_query(table: str, days: int, accounts: Sequence[str], asked: str | None) -> None:
    from c7n_iamusers.execution.journal import utc_now
    from c7n_iamusers.key_places.key_ids import KEY_ID
    from c7n_iamusers.key_usage.athena_query import athena_query, is_table

    if not is_table(table):
        raise click.UsageError(
            f"--athena-query: {table!r} is no name of a table, such as cloudtrail_logs_pp or db.table"
        )
    if asked and not KEY_ID.fullmatch(asked):
        raise click.UsageError("--athena-query takes a KEY_ID, or none: the query does not know users")
    since = utc_now().date() - timedelta(days=days)
    click.echo(athena_query(table, since, accounts, [asked] if asked else ()), nl=False)


def _ranges(path: Path | None) -> Sequence[tuple[Any, str]]:
    from c7n_iamusers.execution.given import parsed_file
    from c7n_iamusers.exemptions import format_of
    from c7n_iamusers.key_usage.ranges import parse_ranges

    if path is None:
        return ()
    form = format_of(str(path))
    if not form:
        raise click.UsageError(f"--ranges {path}: its name does not end with .csv, .json, .yaml or .yml")
    try:
        return parsed_file(path, lambda data: parse_ranges(data, form))
    except ValueError as error:
        raise click.ClickException(f"--ranges {path}: {error}") from error


@dataclass(frozen=True)
class _Key:
    """``account``: of its ``user``, where it is known. ``usages``: what each source says of the key.

    ``last_use``: by GetAccessKeyLastUsed, where that was asked. ``data_plane_only``: its last use was with a service
    whose everyday calls the event history does not have, and no call was found.
    """

    key_id: str
    user: str
    usages: Sequence[KeyUsage]
    callers: Sequence[Caller]
    last_use: Mapping[str, Any] | None = None
    data_plane_only: bool = False
    account: Target | None = None

    def as_data(self) -> dict[str, Any]:
        """JSON types only."""
        callers = [caller.as_data() for caller in self.callers]
        sources = [usage.as_data() for usage in self.usages]
        account = self.account.account_id if self.account else ""
        whose = {"key": self.key_id, "account": account, "user": self.user}
        return {**whose, "callers": callers, "sources": sources, "data_plane_only": self.data_plane_only}

    def without_calls(self) -> str:
        """What is said of a key of which no call was found."""
        if any(usage.problem or usage.more for usage in self.usages):
            return "its calls are unknown"
        at, service = (self.last_use or {}).get("LastUsedDate"), (self.last_use or {}).get("ServiceName")
        last = f": IAM says that it was last used on {at:%Y-%m-%d}, with {service}" if at else ""
        if self.data_plane_only:
            return f"data plane only{last}, of whose everyday calls the event history has no events"
        if self.last_use is not None and not at:
            return "IAM knows of no use"
        where = " and ".join(usage.source for usage in self.usages) or "what was read"
        return f"no entry in {where}{last}"

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """As the table has it."""
        for caller in self.callers:
            place = f"{caller.address or 'unknown'}{f' ({caller.place_name})' if caller.place_name else ''}"
            agent, services, regions = caller.agent, ", ".join(caller.services), ", ".join(caller.regions)
            least = "at least " if caller.at_least else ""
            account = self.account.name if self.account else ""
            whose = (
                self.key_id,
                account,
                self.user,
                place,
                str(agent) or "unknown",
                agent.credentials or "unknown",
            )
            counts = (f"{least}{caller.calls - caller.denied}", caller.denied)
            yield *whose, services, regions, f"{caller.last:%Y-%m-%d}", *counts


@dataclass
class _Usage:
    """``found``: the keys that were asked for, or that have calls. ``unread``: what could not be read, in words.

    ``notes``: what of the event history nobody asked to read, in words.
    """

    targets: Sequence[Target]
    ranges: Sequence[tuple[Any, str]]
    kept: KeptReadings
    found: list[_Key] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.accounts = KeyAccounts(self.targets, self.unread)

    def read_files(self, sources: Sequence[str], keys: Collection[str] | None) -> None:
        """Count the calls in files, of ``keys`` or of all."""
        from c7n_iamusers.execution.journal import utc_now
        from c7n_iamusers.key_usage.callers import Places, callers_of
        from c7n_iamusers.key_usage.event_places import read_event_places
        from c7n_iamusers.key_usage.tally import Tally

        tally, places = Tally(keys), [*map(_place, sources)]
        with progress_bar("files") as progress:
            read = read_event_places(places, tally, utc_now(), _s3, _store, progress)
        self.unread += read.problems
        for key_id in sorted(keys if keys is not None else tally.found):
            usage = read.usage_of(key_id)
            callers = callers_of(usage, Places(None, self.ranges))
            user = self._user_of(key_id)
            self.found.append(
                _Key(key_id, user, [usage], callers, account=self.accounts.account_of.get(key_id))
            )

    def _user_of(self, key_id: str) -> str:
        """Whose it is, in the first account that knows it."""
        users = (self.accounts.user_of(key_id, target) for target in self.targets)
        return next(filter(None, users), "")

    def read_history(self, keys: Collection[str], regions: Sequence[str], pages: int) -> None:
        """Look the calls of ``keys`` up in the event history of the accounts that have them."""
        histories = {target.account_id: _History(self, target, pages) for target in self.targets}
        with progress_bar("keys") as progress:
            for number, key_id in enumerate(sorted(keys), 1):
                found = [
                    key
                    for target in self.targets
                    if (key := histories[target.account_id].of(key_id, regions))
                ]
                self.found += found
                if not found:
                    self.unread.append(f"access key {key_id} {NO_ACCOUNT_HAS_IT}")
                progress(number, len(keys))


@dataclass
class _History:
    """The event history of one account."""

    whole: _Usage
    target: Target
    pages: int
    _lookups: dict[str, EventLookup] = field(default_factory=dict)
    _own: dict[str, Mapping[str, str] | None] = field(default_factory=dict)

    def of(self, key_id: str, regions: Sequence[str]) -> _Key | None:
        """What it says of a key; None if the account does not have it."""
        from c7n_iamusers.key_usage.callers import Places, callers_of
        from c7n_iamusers.key_usage.combination import combined
        from c7n_iamusers.key_usage.data_plane import is_data_plane

        last = self._last_use(key_id)
        if last is None:
            return None
        use = last.get("AccessKeyLastUsed") or {}
        used_in = [] if use.get("Region") in (None, "N/A") else [str(use["Region"])]
        usages = [self._read_on(key_id, each) for each in regions or used_in]
        self.whole.unread += (f"{self.target}: {usage.problem}" for usage in usages if usage.problem)
        together = combined(key_id, usages)
        if not together.groups:
            self.whole.unread += (
                f"{self.target}: {key_id}: {usage.source} has events that were not read: give more --pages"
                for usage in usages
                if usage.more and not usage.problem
            )
        owned = [self._addresses(each) for each in regions or used_in] if together.groups else []
        own = (
            None
            if None in owned
            else {address: name for each in owned if each for address, name in each.items()}
        )
        callers = callers_of(together, Places(own, self.whole.ranges))
        only = not callers and is_data_plane(str(use.get("ServiceName") or ""))
        return _Key(key_id, str(last.get("UserName") or ""), usages, callers, use, only, self.target)

    def _read_on(self, key_id: str, region: str) -> KeyUsage:
        from c7n_iamusers.execution.journal import utc_now

        account_id, kept, now = self.target.account_id, self.whole.kept, utc_now()
        for reading in self._lookup(region).read_on(kept.of(account_id, region, key_id), now):
            kept.keep(account_id, reading)
        if reading.usage.more and not reading.problem and reading.groups:
            on = "the same command reads on" if kept.path else "give more --pages, or --resume FILE"
            self._note(reading, f"there are calls before {reading.back_to:%Y-%m-%d %H:%M} UTC: {on}")
        if reading.as_of and reading.as_of < now - _RECENT:
            since = f"{reading.as_of:%Y-%m-%d %H:%M} UTC"
            self._note(reading, f"{kept.path} has no calls since {since}: give another file for these")
        return reading.usage

    def _note(self, reading: Reading, text: str) -> None:
        self.whole.notes.append(f"{self.target}: {reading.key_id}: {reading.usage.source}: {text}")

    def _last_use(self, key_id: str) -> Mapping[str, Any] | None:
        from botocore.exceptions import BotoCoreError, ClientError

        from c7n_iamusers.execution.retries import error_code
        from c7n_iamusers.iam.users import NO_KEY_OR_DENIED

        client = self.whole.accounts.clients.get(self.target.account_id)
        try:
            return client("iam").get_access_key_last_used(AccessKeyId=key_id) if client else None
        except (ClientError, BotoCoreError) as error:
            if error_code(error) not in NO_KEY_OR_DENIED:
                self.whole.unread.append(f"{self.target}: {key_id}: {error}")
            return None

    def _lookup(self, region: str) -> EventLookup:
        from c7n_iamusers.execution.retries import Backoff
        from c7n_iamusers.key_usage.event_lookup import EventLookup

        if region not in self._lookups:
            client = self.whole.accounts.clients[self.target.account_id]("cloudtrail", region_name=region)
            self._lookups[region] = EventLookup(client, region, Backoff(), self.pages)
        return self._lookups[region]

    def _addresses(self, region: str) -> Mapping[str, str] | None:
        """The account's own addresses there; None if they can't be read, which is said once."""
        from botocore.exceptions import BotoCoreError, ClientError

        from c7n_iamusers.execution.retries import Backoff
        from c7n_iamusers.key_usage.own_addresses import read_own_addresses

        if region not in self._own:
            client = self.whole.accounts.clients[self.target.account_id]("ec2", region_name=region)
            try:
                self._own[region] = read_own_addresses(client, Backoff())
            except (ClientError, BotoCoreError) as error:
                self._own[region] = None
                self.whole.unread.append(f"{self.target}, {region}: which addresses are its own: {error}")
        return self._own[region]


def _place(source: str) -> str:
    """A directory stands for all below it, as a place that ends with / does."""
    return f"{source}/" if not source.endswith("/") and Path(source).is_dir() else source


def _s3(region: str | None) -> Any:
    from c7n_iamusers.execution.sessions import fleet_session

    return fleet_session(None, None).client("s3", region_name=region)


def _store(place: str) -> Store:
    from c7n_iamusers.execution.bucket_store import bucket_output
    from c7n_iamusers.execution.sessions import fleet_session
    from c7n_iamusers.execution.stores import DirectoryStore

    if place.startswith(S3):
        return bucket_output(place, fleet_session(None, None))
    return DirectoryStore(Path(place).expanduser())


def _print(search: _Usage, output_format: str) -> None:
    if output_format == "json":
        print_json({"keys": [key.as_data() for key in search.found], "unread": search.unread})
        return
    print_table(_COLUMNS, [row for key in search.found for row in key.rows()])
    for key in search.found:
        if not key.callers:
            say(f"{key.key_id}: {key.without_calls()}", err=True)
    for each in search.notes:
        say(each, err=True)
    for each in search.unread:
        say(f"not read: {each}", err=True)
    read = ", as far as it was read" if search.unread else ""
    callers = sum(len(key.callers) for key in search.found)
    say(f"{counted(len(search.found), 'key')}, {counted(callers, 'caller')}{read}", err=True)
