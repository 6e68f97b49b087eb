# SPDX-License-Identifier: Apache-2.0
"""Resources of Cloud Custodian: account data, user records, the annotation ``c7n:IamUser``, what messages have of them.

Data of the account as a whole is read once a run, and shared with other policies through Cloud Custodian's cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from c7n_iamusers.notices.stock_rows import is_for_stock
from c7n_iamusers.reasons import NO_QUARANTINE, read_reason
from c7n_iamusers.text.addresses import foreign_domain, is_address
from c7n_iamusers.text.wording import all_visible

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
    """The user of a c7n resource."""
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


#: Members with whole policy documents. c7n-mailer's own templates would print them into mails and channels.
LEFT_OUT = frozenset({"UserPolicyList"})
#: What the package's templates and c7n-mailer itself read of a user, and of its annotation.
_SENT = frozenset({"UserName", "UserId", "Arn", "Path", "CreateDate", "PasswordLastUsed", "Tags"})
_SENT_OF_ANNOTATION = frozenset(
    {
        "kind",
        "replacement",
        "findings",
        "last_activity",
        "attachments",
        "unread",
        "attempts",
        "created",
        "would-be-exempt",
        "used",
        "notice",
        "provisioning",
        "identity-center",
        "outcome",
    }
)
_TEMPLATES = ("iam-users-", "slack_iam_users")


def without_documents(resources: Iterable[Resource]) -> list[Resource]:
    """Copies of ``resources`` without the members in LEFT_OUT, which later actions still find on the originals."""
    return [{key: value for key, value in resource.items() if key not in LEFT_OUT} for resource in resources]


def reason_for_owners(outcome: Mapping[str, Any]) -> str:
    """Why an action left a user as it is, for the owner of its account: without what operators have to do.

    ``outcome``: its annotation. ``earlier`` in it: why the user was not put in quarantine, if that is known.
    """
    reason, earlier = read_reason(outcome), outcome.get("earlier")
    if earlier and reason.code in NO_QUARANTINE:
        return f"it was not put in quarantine: {earlier}"
    return reason.for_owners


def for_message(resources: Iterable[Resource], action: Mapping[str, Any]) -> list[Resource]:
    """Copies of ``resources`` with what a message by ``action``, the data of one of our actions, needs.

    The package's own templates, and c7n-mailer's, need less than half of a user, so that many users fit one message,
    and reasons in owners' words. Another template may need everything but whole policy documents. Every text is made
    visible. With ``email-domains``, tags with addresses of other domains are left out, since c7n-mailer writes to the
    addresses that it finds in tags. It publishes to topics in tags too: the package's own actions leave those tags out.
    """
    templates = [str(value) for key, value in action.items() if key.endswith("template")]
    ours = "template" in action and all(template.startswith(_TEMPLATES) for template in templates)
    trimmed = ours or is_for_stock(action)
    found = [_trimmed(resource) for resource in resources] if trimmed else without_documents(resources)
    if domains := action.get("email-domains"):
        for each in found:
            each["Tags"] = [tag for tag in each.get("Tags") or () if _may_be_sent(str(tag["Value"]), domains)]
    if action.get("type", "notify") != "notify":
        for each in (each for each in found if each.get("Tags")):
            each["Tags"] = [tag for tag in each["Tags"] if not str(tag["Value"]).startswith("arn:")]
    return [all_visible(each) for each in found]


def _trimmed(resource: Resource) -> Resource:
    known = resource.get(ANNOTATION, {})
    sent = {key: value for key, value in known.items() if key in _SENT_OF_ANNOTATION}
    if outcome := known.get("outcome"):
        told = {key: value for key, value in outcome.items() if key not in ("earlier", "for_owners")}
        sent["outcome"] = {**told, "reason": reason_for_owners(outcome)}
    return {**{key: value for key, value in resource.items() if key in _SENT}, ANNOTATION: sent}


def _may_be_sent(value: str, domains: Sequence[str]) -> bool:
    return "@" not in value or (is_address(value) and not foreign_domain(value, domains))


_SEVERITIES = ("low", "medium", "high")


def by_risk(resources: Iterable[Resource]) -> list[Resource]:
    """``resources`` with the highest severity of their findings first, otherwise in their order."""

    def risk(resource: Resource) -> int:
        found = [each.get("severity") for each in resource.get(ANNOTATION, {}).get("findings", ())]
        return max((_SEVERITIES.index(each) for each in found if each in _SEVERITIES), default=-1)

    return sorted(resources, key=risk, reverse=True)
