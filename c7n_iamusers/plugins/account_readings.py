# SPDX-License-Identifier: Apache-2.0
"""Data of an account as a whole: read once a run, and shared with other policies through c7n's cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.exceptions import PolicyExecutionError
from c7n.utils import local_session

from c7n_iamusers import __version__
from c7n_iamusers.evidence.index import Inventory
from c7n_iamusers.evidence.reader import PIECES, Piece, inventory_of, read_pieces
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.accounts import home_region
from c7n_iamusers.iam.attachments import CREDENTIAL_REPORT

_ATTRIBUTE = "c7n_iamusers_readings"
#: The version of cached data. c7n's cache pickles classes by module and name: increase it when one of them moves.
_FORM = "2"


@contextmanager
def unreadable(manager: Any, what: str, permissions: str) -> Iterator[None]:
    """Turn an AWS error or EvidenceUnreadable in the block into a PolicyExecutionError.

    That says what could not be read, and where.

    c7n-org drops all later policies of the account after a ClientError with AccessDenied. A PolicyExecutionError only
    fails this policy.
    """
    try:
        yield
    except (ClientError, BotoCoreError, EvidenceUnreadable) as error:
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: account {manager.config.account_id}: {what} can't be read: {error}. "
            f"No user was selected or touched. Give the policy's role {permissions}, or run again if AWS was at fault"
        ) from error


class AccountReadings:
    """The pieces of account data that one policy's run has read. ``of`` returns the same object to all its plugins."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._pieces: dict[str, Piece] = {}

    @classmethod
    def of(cls, manager: Any) -> AccountReadings:
        """The readings of the run that ``manager`` belongs to."""
        readings: AccountReadings = manager.__dict__.setdefault(_ATTRIBUTE, cls(manager))
        return readings

    def inventory(self, names: Iterable[str], backoff: Backoff) -> Inventory:
        """The pieces ``names`` (keys of ``evidence.reader.PIECES``), from this run, from c7n's cache, or from AWS.

        Raises PolicyExecutionError if a required piece can't be read.
        """
        wanted = list(names)
        with _open(self._manager._cache) as cache:
            for name in wanted:
                if name not in self._pieces and (cached := cache.get(self._key(name))):
                    self._pieces[name] = cached
            missing = [name for name in wanted if name not in self._pieces]
            for name, piece in self._read(missing, backoff).items() if missing else ():
                self._pieces[name] = piece
                self._share(cache, name, piece)
        return inventory_of({name: self._pieces[name] for name in wanted})

    def add(self, name: str, piece: Piece) -> None:
        """Add a piece that a plugin has read itself, for the rest of the run and for other policies."""
        with _open(self._manager._cache) as cache:
            self._pieces[name] = piece
            self._share(cache, name, piece)

    def _read(self, names: list[str], backoff: Backoff) -> dict[str, Piece]:
        config, session = self._manager.config, local_session(self._manager.session_factory)
        regions = {"iam": config.region, "cloudtrail": home_region(config.region)}
        services = {PIECES[name].service for name in names}
        clients = {service: session.client(service, region_name=regions[service]) for service in services}
        permissions = ", ".join(
            p for name in names if PIECES[name].required for p in PIECES[name].permissions
        )
        with unreadable(self._manager, "groups, roles and policies", permissions):
            return read_pieces(names, clients, backoff)

    def _share(self, cache: Any, name: str, piece: Piece) -> None:
        if piece.source.problem:  # the next policy tries again
            return
        cache.save(self._key(name), piece)
        if name == CREDENTIAL_REPORT:
            cache.save(*_as_stock_caches(self._manager, piece))

    def _key(self, name: str) -> dict[str, str]:
        key = {"account": self._manager.config.account_id, "c7n-iamusers": name, "version": __version__}
        return {**key, "form": _FORM}


def _as_stock_caches(manager: Any, report: Piece) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cache key and value of the credential report, as c7n's own filter ``credential`` reads them."""
    # Imported here: importing it runs the start-up hook, which needs this module complete.
    from c7n.resources.iam import UserCredentialReport

    rows = report.value.rows.values()
    processed = {row["user"]: UserCredentialReport.process_user_record(dict(row)) for row in rows}
    return {"account": manager.config.account_id, "iam-credential-report": True}, processed


@contextmanager
def _open(cache: Any) -> Iterator[Any]:
    """c7n's cache, opened. Unlike c7n's own context manager, it leaves a connection open that was open before."""
    was_open = getattr(cache, "conn", None) is not None
    cache.load()
    try:
        yield cache
    finally:
        if not was_open:
            cache.close()
