# SPDX-License-Identifier: Apache-2.0
"""The notices in the places that runs name in metadata.json, which whoever writes an account's part chooses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

from c7n_iamusers.exceptions import NoticesUnreadable, OutputUnreadable
from c7n_iamusers_cli.arguments import S3, read_accounts
from c7n_iamusers_cli.user import notices_store

if TYPE_CHECKING:
    from c7n_iamusers.execution.stores import Store
    from c7n_iamusers.notices.notices import Notices

T = TypeVar("T")
#: The account and the place of its notices.
Place = tuple[str, str]
#: Accounts whose notices are read at once.
_AT_ONCE = 8
#: Places of one account that are read. Its runs name one, or one for each kind of message.
_MOST = 8


@dataclass(frozen=True)
class NamedPlaces:
    """Reads the notices that runs name. ``given``: the place to use instead of theirs.

    ``known``: see ``known_names``. ``outputs``: the places of the outputs. ``accounts``: name of each account of the
    accounts file -> its id.
    """

    given: str | None
    known: frozenset[str] | None
    outputs: Sequence[str]
    accounts: Mapping[str, str]

    def read(
        self,
        named: Mapping[Place, bool],
        now: datetime,
        broken: Callable[[str], Callable[[str], object] | None] = lambda _: None,
    ) -> tuple[dict[Place, Notices], dict[Place, str]]:
        """What can be read of the ``named`` places, and why the others can't be, in words.

        ``named``: see ``places_of``. ``broken``: account id -> as ``Notices.read`` has it. An account may
        name any text, and a bucket that never answers: nothing is raised.
        """
        found, faults, seen = dict[Place, "Notices"](), dict[Place, str](), Counter[str]()
        few = dict[Place, bool]()
        for key, must in sorted(named.items()):
            account, _ = key
            seen[account] += 1
            if seen[account] <= _MOST or self.given:
                few[key] = must
            else:
                faults[account, ""] = (
                    f"its runs name notices in more than {_MOST} places: find out who wrote metadata.json, or give "
                    "--notices PLACE"
                )

        def read(key: Place, must: bool) -> None:
            account, place = key
            try:
                if notices := self._at(account, place, must, now, broken(account)):
                    found[key] = notices
            except NoPlace as error:
                faults[key] = str(error)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda each: read(*each), few.items()))
        return found, faults

    def _at(
        self, account: str, named: str, must: bool, now: datetime, broken: Callable[[str], object] | None
    ) -> Notices | None:
        """The notices of an account; None if there are none, and there need not be. Raises NoPlace."""
        from c7n_iamusers.notices.notices import Notices

        place = self.given or named

        def read(store: Store) -> Notices | None:
            there = place.startswith(S3) or Path(place).is_dir()
            return Notices.read(store, account, now, broken) if there else None

        found = self._opened(place, read)
        if found is None and must:
            raise NoPlace(
                f"there is no directory {place}: run this command where c7n-org ran, or give --notices PLACE"
            )
        return found

    def store(self, named: str) -> Store:
        """The store of a place of notices, a directory that need not exist yet. Raises NoPlace."""
        return self._opened(self.given or named, lambda store: store)

    def _opened(self, place: str, use: Callable[[Store], T]) -> T:
        """``use`` of the store of ``place``, whatever text that is. Raises NoPlace."""
        from c7n_iamusers.text.wording import quoted

        try:
            if not self.given and (fault := self._fault(place)):
                raise NoPlace(f"its run names notices in {quoted(place)}{fault}")
            return use(notices_store(place))
        except NoPlace:
            raise
        except (NoticesUnreadable, OutputUnreadable) as error:
            raise NoPlace(f"{error}: let this user read {place}, or correct notices") from error
        except Exception as error:
            raise NoPlace(
                f"{quoted(place)} is no place of notices: {error}: correct notices, or give --notices PLACE"
            ) from error

    def _fault(self, place: str) -> str:
        """Why a place that a run names is not read; empty if it is."""
        from c7n_iamusers.iam.accounts import region_fault

        if not place.startswith(S3):
            return self._fault_of_directory(place)
        bucket, region = _bucket_and_region(place)
        who = "find out who wrote metadata.json, name the place by a variable of the accounts file, or give --notices"
        if self.known is not None and bucket not in self.known:
            return f", and the accounts file no such bucket: {who} PLACE"
        if region and (fault := region_fault(region)):
            return f": {fault}"
        if region and self.known is not None and region not in self.known:
            return f", and the accounts file no such Region: {who} PLACE"
        return ""

    def _fault_of_directory(self, place: str) -> str:
        from c7n_iamusers.execution.output_layout import Layout

        path = Path(place).resolve()
        for output in (Path(each).resolve() for each in self.outputs if not each.startswith(S3)):
            within = path.relative_to(output).parts if path.is_relative_to(output) else ()
            if within and (account := Layout.of(within, self.accounts).of_account):
                return f", where account {account} writes its own output: find out who wrote metadata.json"
        return ""


def known_names(path: Path | None) -> frozenset[str] | None:
    """All texts of an accounts file but its accounts' names, which others choose, with the names of the buckets and the
    Regions in them; None without one.
    """
    return read_accounts(path, _names) - {""} if path else None


def _names(data: Any) -> frozenset[str]:
    if isinstance(data, Mapping):
        return frozenset[str]().union(*(_names(each) for key, each in data.items() if key != "name"))
    if isinstance(data, list):
        return frozenset[str]().union(*map(_names, data))
    text = data if isinstance(data, str) else ""
    return frozenset({text, *_bucket_and_region(text)})


def _bucket_and_region(place: str) -> tuple[str, str]:
    path, _, options = place.removeprefix(S3).partition("?")
    return path.partition("/")[0], dict(parse_qsl(options)).get("region", "")


class NoPlace(Exception):
    """Why notices are not known, in words."""
