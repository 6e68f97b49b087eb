# SPDX-License-Identifier: Apache-2.0
"""Resources of Cloud Custodian: account data, user records, the annotation ``c7n:IamUser``.

Data of the account as a whole is read once a run, and shared with other policies through Cloud Custodian's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.exceptions import PolicyExecutionError
from c7n.utils import local_session

from c7n_iamusers import __version__
from c7n_iamusers.evidence import reader
from c7n_iamusers.evidence.assessment import ANNOTATION as ANNOTATION
from c7n_iamusers.evidence.index import ACCOUNT, USER, Inventory
from c7n_iamusers.evidence.model import Source
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.accounts import detail_attachments, home_region, read_users
from c7n_iamusers.iam.attachments import CREDENTIAL_REPORT
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import embedded_attachments

_ATTRIBUTE = "c7n_iamusers_readings"
#: The version of cached data. c7n's cache pickles classes by module and name: increase it when one of them moves.
_FORM = "2"


@contextmanager
def unreadable(manager: Any, what: str, permissions: str) -> Iterator[None]:
    """Turn an AWS error or EvidenceUnreadable in the block into a PolicyExecutionError that names ``what``, and where.

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
        self._pieces: dict[str, reader.Piece] = {}

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
        return reader.inventory_of({name: self._pieces[name] for name in wanted})

    def add(self, name: str, piece: reader.Piece) -> None:
        """Add a piece that a plugin has read itself, for the rest of the run and for other policies."""
        with _open(self._manager._cache) as cache:
            self._pieces[name] = piece
            self._share(cache, name, piece)

    def kept(self, name: str, read: Callable[[], reader.Piece]) -> reader.Piece:
        """The piece ``name``, which ``read`` reads where neither this run nor another policy's has."""
        with _open(self._manager._cache) as cache:
            if name not in self._pieces:
                piece = cache.get(self._key(name)) or read()
                self._pieces[name] = piece
                cache.save(self._key(name), piece)
        return self._pieces[name]

    def _read(self, names: list[str], backoff: Backoff) -> dict[str, reader.Piece]:
        config, session = self._manager.config, local_session(self._manager.session_factory)
        regions = {"iam": config.region, "cloudtrail": home_region(config.region)}
        services = {reader.PIECES[name].service for name in names}
        clients = {service: session.client(service, region_name=regions[service]) for service in services}
        permissions = ", ".join(
            p for name in names if reader.PIECES[name].required for p in reader.PIECES[name].permissions
        )
        with unreadable(self._manager, "groups, roles and policies", permissions):
            return reader.read_pieces(names, clients, backoff)

    def _share(self, cache: Any, name: str, piece: reader.Piece) -> None:
        if piece.source.problem:  # the next policy tries again
            return
        cache.save(self._key(name), piece)
        if name == CREDENTIAL_REPORT:
            cache.save(*_as_stock_caches(self._manager, piece))

    def _key(self, name: str) -> dict[str, str]:
        key = {"account": self._manager.config.account_id, "c7n-iamusers": name, "version": __version__}
        return {**key, "form": _FORM}


def _as_stock_caches(manager: Any, report: reader.Piece) -> tuple[dict[str, Any], dict[str, Any]]:
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


_SOURCES = "sources"


def subject_of(resource: Mapping[str, Any]) -> Subject:
    """The user of a c7n resource; of a resource ``aws.iam-access-key``, the key."""
    user = user_of(resource)
    return user.key(str(resource["AccessKeyId"])) if "AccessKeyId" in resource else user


def user_of(resource: Mapping[str, Any]) -> Subject:
    """The user of a c7n resource, which may be one of its keys."""
    return Subject(str(resource["UserName"]), str(resource["Arn"]), str(resource["UserId"]))


def annotate(resource: dict[str, Any], key: str, value: Any) -> None:
    """Set ``key`` of the resource's annotation to ``value``, for later actions and reports."""
    resource.setdefault(ANNOTATION, {})[key] = value


def set_user_source(resource: dict[str, Any], source: Source) -> None:
    """Annotate the API and the time that the resource itself comes from."""
    resource[ANNOTATION] = {_SOURCES: {USER: source.as_data()}}


def user_source(resource: Mapping[str, Any]) -> Source | None:
    """The API and the time that the resource itself comes from; None if another source than ours read it."""
    data = resource.get(ANNOTATION, {}).get(_SOURCES, {}).get(USER)
    return Source.from_data(data) if data else None


def annotate_anew(resource: dict[str, Any], data: Mapping[str, Any]) -> None:
    """Replace the resource's annotation by ``data``, except its source. c7n's cache may keep an earlier run's one."""
    source = user_source(resource)
    kept = {_SOURCES: {USER: source.as_data()}} if source else {}
    resource[ANNOTATION] = {**kept, **data}


Resource = dict[str, Any]
_LISTS = ("GetAccountAuthorizationDetails", "ListUsers")


@dataclass(frozen=True)
class UserRecord:
    """A resource and its user. ``source``: the API and the time that the user comes from."""

    resource: Resource
    user: IamUser
    source: Source


def user_records(
    manager: Any, client: Any, resources: Sequence[Resource], backoff: Backoff
) -> list[UserRecord]:
    """The records of ``resources``. Resources from another source than ours are completed from the account's lists.

    The groups and policies of a user that is in no list count as unread.
    Raises PolicyExecutionError if the lists can't be read.
    """
    sources = [user_source(resource) for resource in resources]
    if all(sources):
        return [
            _record(each, each, source) for each, source in zip(resources, sources, strict=True) if source
        ]
    listed = Source(", ".join(_LISTS), utc_now())
    permissions = " and ".join(f"iam:{name}" for name in _LISTS)
    with unreadable(manager, "groups and policies of its users", permissions):
        found = read_users(client, backoff, *reader.ACCOUNT_KINDS)
    AccountReadings.of(manager).add(ACCOUNT, reader.account_piece(found.account, listed.time or utc_now()))
    details = {detail["UserId"]: detail for detail in found.users}
    return [_record(each, {**each, **details.get(each["UserId"], {})}, listed) for each in resources]


def _record(resource: Resource, detail: Resource, source: Source) -> UserRecord:
    attachments = {**detail_attachments(detail), **embedded_attachments(detail)}
    return UserRecord(resource, IamUser(detail, attachments), source)
