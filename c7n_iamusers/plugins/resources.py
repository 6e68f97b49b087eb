# SPDX-License-Identifier: Apache-2.0
"""c7n's IAM user resources: user records from them, the annotation ``c7n:IamUser``, what ``notify`` sends of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.evidence.assessment import ANNOTATION as ANNOTATION
from c7n_iamusers.evidence.index import ACCOUNT, USER
from c7n_iamusers.evidence.model import Source
from c7n_iamusers.evidence.reader import ACCOUNT_KINDS, account_piece
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.accounts import detail_attachments, read_users
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import embedded_attachments
from c7n_iamusers.plugins.account_readings import AccountReadings, unreadable
from c7n_iamusers.plugins.news import reason_for_owners
from c7n_iamusers.text.addresses import foreign_domain, is_address

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
        found = read_users(client, backoff, *ACCOUNT_KINDS)
    AccountReadings.of(manager).add(ACCOUNT, account_piece(found.account, listed.time or utc_now()))
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
        "notice",
        "provisioning",
        "identity-center",
        "outcome",
    }
)
_TEMPLATES = ("iam-users-", "slack_iam_users")


def without_documents(resources: Iterable[Resource]) -> list[Resource]:
    """Copies of ``resources`` without the members in LEFT_OUT, which later actions still find on the originals."""
    return [{key: value for key, value in each.items() if key not in LEFT_OUT} for each in resources]


def for_message(resources: Iterable[Resource], action: Mapping[str, Any]) -> list[Resource]:
    """Copies of ``resources`` with what a message by ``action``, the data of a ``notify``, needs.

    The package's own templates need less than half of a user, so that many users fit one message, and reasons in
    owners' words. Another template may need everything but whole policy documents. With ``email-domains``, tags with
    addresses of other domains are left out, since c7n-mailer writes to the addresses that it finds in tags.
    """
    templates = [str(value) for key, value in action.items() if key.endswith("template")]
    if "template" in action and all(each.startswith(_TEMPLATES) for each in templates):
        found = [_trimmed(each) for each in resources]
    else:
        found = without_documents(resources)
    if domains := action.get("email-domains"):
        for each in found:
            each["Tags"] = [tag for tag in each.get("Tags") or () if _may_be_sent(str(tag["Value"]), domains)]
    return found


def _trimmed(resource: Resource) -> Resource:
    known = resource.get(ANNOTATION, {})
    sent = {key: value for key, value in known.items() if key in _SENT_OF_ANNOTATION}
    if outcome := known.get("outcome"):
        told = {key: value for key, value in outcome.items() if key != "earlier"}
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


def register_messages(notify: Any) -> None:
    """Add ``prepare_iam_user`` to c7n's class ``Notify``, which calls it for resources of that type.

    c7n has such methods for other types. If it gets one for users, that is still called. Calling this again changes
    nothing.
    """
    stock = getattr(notify, "prepare_iam_user", None)
    if getattr(stock, "c7n_iamusers", False):
        return

    def prepare_iam_user(self: Any, resources: list[Resource]) -> list[Resource]:
        left = for_message(resources, self.data)
        return stock(self, left) if stock else left

    prepare_iam_user.c7n_iamusers = True  # type: ignore[attr-defined]
    notify.prepare_iam_user = prepare_iam_user
