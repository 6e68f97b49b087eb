# SPDX-License-Identifier: Apache-2.0
"""From c7n's resources, of whatever source, to records of users with their groups and policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.aws.accounts import detail_attachments, read_users
from c7n_iamusers.aws.inventory import ACCOUNT_KINDS, account_piece
from c7n_iamusers.aws.journal import utc_now
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.aws.users import embedded_attachments
from c7n_iamusers.model.annotation import user_source
from c7n_iamusers.model.evidence import Source
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.inventory import ACCOUNT
from c7n_iamusers.policy_errors import unreadable
from c7n_iamusers.sources.account_readings import AccountReadings

Resource = dict[str, Any]
_LISTS = ("GetAccountAuthorizationDetails", "ListUsers")


@dataclass(frozen=True)
class UserRecord:
    """A resource and the user that it is; ``source``: of the user's own record."""

    resource: Resource
    user: IamUser
    source: Source


def user_records(
    manager: Any, client: Any, resources: Sequence[Resource], backoff: Backoff
) -> list[UserRecord]:
    """The records of ``resources``; those of another source than ours are completed from the account's lists.

    A user that is in none of the lists has groups and policies that were not read.
    Raises PolicyExecutionError where the lists can't be read.
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
