# SPDX-License-Identifier: Apache-2.0
"""Reads who calls with the access keys of flagged users, as ``usage`` and ``usage-from`` of the filters ask."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from http.client import HTTPException
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.utils import local_session

from c7n_iamusers.evidence.assessment import KEYS_UNLISTED
from c7n_iamusers.evidence.credential_report import CredentialReport, is_row_of
from c7n_iamusers.evidence.key_findings import listed_keys, live_keys
from c7n_iamusers.evidence.model import KeyEvidence, Source, UsedKey
from c7n_iamusers.evidence.reader import Piece
from c7n_iamusers.evidence.selection import AskedUsage
from c7n_iamusers.execution.given import read_place, shown_place
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.exemptions import format_of
from c7n_iamusers.iam.attachments import ACCESS_KEY, CREDENTIAL_REPORT
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.iam.users import list_kind, read_key_use
from c7n_iamusers.key_usage import own_addresses
from c7n_iamusers.key_usage.callers import Places, callers_of
from c7n_iamusers.key_usage.combination import combined
from c7n_iamusers.key_usage.event_lookup import EventLookup
from c7n_iamusers.key_usage.event_places import EventPlaces, read_event_places
from c7n_iamusers.key_usage.model import KeyUsage
from c7n_iamusers.key_usage.own_addresses import read_own_addresses
from c7n_iamusers.key_usage.ranges import parse_ranges
from c7n_iamusers.key_usage.tally import Tally
from c7n_iamusers.plugins.code_owners import store_at
from c7n_iamusers.plugins.resources import AccountReadings
from c7n_iamusers.text.wording import VisibleLog, shown

#: The name of each source that was asked for, in ``sources`` of an annotation, begins with it.
SOURCE = "usage "
#: That of the files of ``usage-from``.
FILES = "usage-from"
#: That of the file of ``usage-ranges``.
RANGES = "usage-ranges"
#: Regions that are read at once.
_AT_ONCE = 8
#: Who calls with the keys of a user, None if they could not be listed; and the sources that were asked.
Answer = tuple[tuple[UsedKey, ...] | None, dict[str, Source]]


@dataclass
class _Known:
    """The keys of one user; None if they can't be listed: ``problem``."""

    keys: list[KeyEvidence] | None = None
    problem: str = ""


@dataclass
class UsageReader:
    """One run's answers. ``client``: of IAM. ``keys_of``: a user's keys by ListAccessKeys, where they are read already.

    Each Region is asked for one key after the other, at the two calls a second that AWS allows; the Regions at once.
    """

    manager: Any
    client: Any
    asked: AskedUsage
    backoff: Backoff
    clock: Callable[[], datetime]
    log: VisibleLog
    keys_of: Callable[[IamUser], Sequence[Item] | None] = lambda _: None
    _own: dict[str, Piece] = field(default_factory=dict)
    _named: Piece | None = None

    def of_users(self, users: Sequence[IamUser], pool: Executor) -> list[Answer]:
        """The answers about ``users``, in their order. ``pool``: for calls that read single users. It raises nothing
        of AWS: what can't be read is in the sources."""
        report = AccountReadings.of(self.manager).inventory((CREDENTIAL_REPORT,), self.backoff).report
        known = list(pool.map(lambda user: self._known(user, report), users))
        asked = dict[str, list[str]]()
        for key in (key for each in known for key in each.keys or () if self.asked.history):
            for region in self._regions(key):
                asked.setdefault(region, []).append(key.key_id)
        for region, key_ids in asked.items():
            self.log.info(
                "unnecessary: account %s: CloudTrail in %s is asked who calls with %d access keys, two a second",
                *(self._account, region, len(key_ids)),
            )
        found = self._looked_up(asked)
        self._tell(found)
        if unlisted := [
            (user.name, each.problem) for user, each in zip(users, known, strict=True) if each.problem
        ]:
            names = shown([name for name, _ in unlisted])
            self.log.warning(
                "unnecessary: account %s: access keys of %d users can't be listed: %s: %s",
                *(self._account, len(unlisted), names, unlisted[0][1]),
            )
        files = self._files({key.key_id for each in known for key in each.keys or ()})
        return [self._answer(each, found, files) for each in known]

    @property
    def _account(self) -> str:
        return str(self.manager.config.account_id)

    def _warn(self, what: str, why: object) -> None:
        self.log.warning("unnecessary: account %s: %s: %s", self._account, what, why)

    def _known(self, user: IamUser, report: CredentialReport | None) -> _Known:
        try:
            items = self.keys_of(user)
            if items is None:
                items = list_kind(self.client, user.name, ACCESS_KEY, self.backoff)
            keys = self._with_use(user, items, report)
        except (ClientError, BotoCoreError) as error:
            if error_code(error) == "NoSuchEntity":
                return _Known([])
            return _Known(problem=str(error))
        except Exception as error:  # noqa: BLE001  # one user's error must not affect the others
            return _Known(problem=repr(error))
        return _Known(keys)

    def _with_use(
        self, user: IamUser, items: Sequence[Item], report: CredentialReport | None
    ) -> list[KeyEvidence]:
        """The keys with their last use, by the credential report; where it does not say, by GetAccessKeyLastUsed."""
        row = report.row(user.name) if report else None
        row = row if row and is_row_of(user, row) else None
        keys = listed_keys(items, row, report.time if report else None)
        if not any(key.doubt for key in keys):
            return keys
        now = self.clock()
        with_keys = IamUser(user.detail, {**user.attachments, ACCESS_KEY.name: tuple(items)})
        try:
            return live_keys(items, read_key_use(self.client, with_keys, self.backoff), now)
        except (ClientError, BotoCoreError):
            return keys  # their doubt says why the use is unknown

    def _regions(self, key: KeyEvidence) -> Iterable[str]:
        """That of its last use, and those that the policy names. Never those of a file, which anybody may write: a
        Region is a part of the name of the host that is asked."""
        used = key.last_use.region if key.last_use and key.last_use.at else ""
        own = (used,) if used and used != "N/A" else ()
        return dict.fromkeys((*own, *self.asked.regions))

    def _looked_up(self, asked: Mapping[str, Sequence[str]]) -> dict[str, dict[str, KeyUsage]]:
        """Region -> key -> its calls there."""
        session = local_session(self.manager.session_factory)
        lookups = {
            region: EventLookup(
                session.client("cloudtrail", region_name=region), region, self.backoff, self.asked.pages
            )
            for region in asked
        }

        def in_region(region: str) -> dict[str, KeyUsage]:
            return {key_id: lookups[region].usage_of(key_id, self.clock()) for key_id in asked[region]}

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return dict(zip(asked, pool.map(in_region, asked), strict=True))

    def _files(self, key_ids: Collection[str]) -> EventPlaces | None:
        """The calls of these keys in the files of ``usage-from``, if there are any."""
        if not self.asked.place or not key_ids:
            return None
        found = read_event_places(
            [self.asked.place],
            Tally(key_ids),
            self.clock(),
            self._s3,
            partial(store_at, self.manager),
        )
        for problem in found.problems:
            self._warn("calls by access keys can't be read in full", problem)
        return found

    def _tell(self, found: Mapping[str, Mapping[str, KeyUsage]]) -> None:
        """Log what can't be read, once each."""
        problems = dict.fromkeys(
            usage.problem for by_key in found.values() for usage in by_key.values() if usage.problem
        )
        for problem in problems:
            self._warn("who calls with access keys is unknown", problem)

    def _answer(
        self, known: _Known, found: Mapping[str, Mapping[str, KeyUsage]], files: EventPlaces | None
    ) -> Answer:
        if known.keys is None:
            return None, {KEYS_UNLISTED: Source("ListAccessKeys", None, known.problem)}
        sources, used = dict[str, Source](), list[UsedKey]()
        for key in known.keys:
            by_source = {
                f"{SOURCE}{region}": by_key[key.key_id]
                for region, by_key in found.items()
                if key.key_id in by_key
            }
            if files:
                by_source[FILES] = files.usage_of(key.key_id)
            for name, usage in by_source.items():
                _note(sources, name, _source(usage))
            told = tuple(by_source.values())
            places = self._places(key, sources) if any(usage.groups for usage in told) else Places()
            used.append(UsedKey(key, told, callers_of(combined(key.key_id, told), places)))
        return tuple(used), sources

    def _places(self, key: KeyEvidence, sources: dict[str, Source]) -> Places:
        """What the addresses in calls are. The account's own are those in the Regions that the key is looked up in.
        Unless all of them are read, it is unknown which are its own."""
        pieces = {region: self._own_in(region) for region in self._regions(key)}
        for region, piece in pieces.items():
            _note(sources, f"{SOURCE}addresses {region}", piece.source)
        ranges = self._ranges()
        if self.asked.ranges:
            _note(sources, RANGES, ranges.source)
        if not pieces or any(piece.value is None for piece in (*pieces.values(), ranges)):
            return Places(None, ranges.value or ())
        own = {address: name for piece in pieces.values() for address, name in piece.value.items()}
        return Places(own, ranges.value)

    def _ranges(self) -> Piece:
        """The networks of ``usage-ranges``, read once; none where that is not asked. If they can't be read, it is
        unknown what any address is but the account's own."""
        if self._named is None:
            self._named = (
                self._read_ranges(self.asked.ranges) if self.asked.ranges else Piece((), Source("", None))
            )
        return self._named

    def _read_ranges(self, place: str) -> Piece:
        began, name = self.clock(), f"ranges in {shown_place(place)}"
        try:
            content = read_place(place, {}, self._s3)
            return Piece(parse_ranges(content, format_of(place) or "csv"), Source(name, began))
        except (OSError, ValueError, HTTPException, ClientError, BotoCoreError) as error:
            self._warn(f"{name} can't be read", error)
            return Piece(None, Source(name, None, str(error)))

    def _s3(self, region: str | None) -> Any:
        """With the credentials that Cloud Custodian runs with, as files are rarely in the member account."""
        return self.manager.session_factory(assume=False).client("s3", region_name=region)

    def _own_in(self, region: str) -> Piece:
        """The addresses that the account has in ``region``; once a run, and for all policies with c7n's cache."""
        if region not in self._own:
            name = f"addresses of the account in {region}"
            readings = AccountReadings.of(self.manager)
            try:
                piece = readings.kept(f"own-addresses:{region}", lambda: self._read_addresses(name, region))
            except (ClientError, BotoCoreError) as error:  # not kept: the next policy tries again
                needed = shown(own_addresses.PERMISSIONS)
                piece = Piece(None, Source(name, None, f"{error_code(error)} in {region}: it needs {needed}"))
                self._warn("which addresses are the account's own is unknown", piece.source.problem)
            self._own[region] = piece
        return self._own[region]

    def _read_addresses(self, name: str, region: str) -> Piece:
        began = self.clock()
        client = local_session(self.manager.session_factory).client("ec2", region_name=region)
        return Piece(read_own_addresses(client, self.backoff), Source(name, began))


def _source(usage: KeyUsage) -> Source:
    """Of what was read in part too: the problem says so."""
    return Source(usage.source, None if usage.problem else usage.as_of, usage.problem)


def _note(sources: dict[str, Source], name: str, source: Source) -> None:
    """A source that can't be read for one of the keys stays unread."""
    if not (name in sources and sources[name].problem):
        sources[name] = source
