# SPDX-License-Identifier: Apache-2.0
"""Reading many users live, right before something is done to each, with few calls.

Policies, groups and service-specific credentials of all users come in pages of a thousand, read again every
half minute; what has no such list, and what a decision rests on, is read user by user, and who the user is,
last of all.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.aws.accounts import PAGE_SIZE, detail_attachments
from c7n_iamusers.aws.fresh import Fresh
from c7n_iamusers.aws.paging import items, pages
from c7n_iamusers.aws.retries import Backoff, error_code
from c7n_iamusers.aws.service_credentials import SERVICES, listed_at_once
from c7n_iamusers.aws.users import LISTED_KINDS, embedded_attachments, read_detail, read_kind, read_user
from c7n_iamusers.model.attachment_rows import AttachmentKind
from c7n_iamusers.model.attachments import (
    ATTACHED_POLICY,
    GROUP,
    INLINE_POLICY,
    SERVICE_SPECIFIC_CREDENTIAL,
)
from c7n_iamusers.model.iam_user import IamUser, Item

Attachments = Mapping[str, tuple[Item, ...]]
_DETAIL_KINDS = (GROUP, ATTACHED_POLICY, INLINE_POLICY)
#: Seconds; what is older is never what a deletion rests on.
MAX_AGE = 30.0
_EMPTY: Mapping[str, list[Any]] = {"GroupList": [], "AttachedManagedPolicies": [], "UserPolicyList": []}


class LiveUsers:
    """Reads the users of a run over ``wanted`` of them. Safe for several threads.

    A list of all users is given up where it has more pages than reading ``wanted`` users one by one costs, or
    takes so long that it is stale when it ends.
    ``judged``: the kinds that a decision rests on, which are never taken from such a list.
    """

    def __init__(
        self,
        client: Any,
        wanted: int,
        backoff: Backoff,
        clock: Callable[[], float] = time.monotonic,
        *,
        judged: Collection[AttachmentKind] = (),
    ) -> None:
        self._client, self._wanted, self._backoff, self._judged = client, wanted, backoff, judged
        self._details = Fresh(self._read_details, MAX_AGE, clock)
        self._credentials = Fresh(self._read_credentials, MAX_AGE, clock)

    def read(self, name: str) -> IamUser | None:
        """The user with all its attachments in full detail; None where there is no such user.

        Raises ClientError where anything of it can't be read.
        """
        details = self._details.get() if self._unjudged(_DETAIL_KINDS) else None
        credentials = self._credentials.get() if self._unjudged([SERVICE_SPECIFIC_CREDENTIAL]) else None
        shared = [
            *(_DETAIL_KINDS if details is not None else ()),
            *([SERVICE_SPECIFIC_CREDENTIAL] if credentials is not None else ()),
        ]
        kinds = [kind for kind in LISTED_KINDS if kind not in shared or kind in self._judged]
        own = self._read_own(name, kinds)
        # Who it is comes last, so that as little as possible lies between that and the first change.
        user = read_detail(self._client, name, self._backoff)
        if user is None or own is None:
            return None
        if details is not None and user["UserId"] not in details:
            return self.read_fully(name)  # made since the lists were read
        known = (details or {}).get(user["UserId"], {})
        held = {} if credentials is None else {SERVICE_SPECIFIC_CREDENTIAL.name: credentials.get(name, ())}
        return IamUser(user, {**known, **held, **own, **embedded_attachments(user)})

    def read_fully(self, name: str) -> IamUser | None:
        """As ``read``, from the user's own lists only: what a conflict calls for."""
        return read_user(self._client, name, self._backoff)

    def name_of(self, unique_id: str) -> str | None:
        """The name that the user of ``unique_id`` has now; None where there is no such user. Raises ClientError."""
        users = items(self._client, "ListUsers", "Users", self._backoff, MaxItems=PAGE_SIZE)
        return next((str(user["UserName"]) for user in users if user["UserId"] == unique_id), None)

    def _unjudged(self, kinds: Collection[AttachmentKind]) -> list[AttachmentKind]:
        return [kind for kind in kinds if kind not in self._judged]

    def _read_own(self, name: str, kinds: list[AttachmentKind]) -> Attachments | None:
        try:
            return {kind.name: read_kind(self._client, name, kind, self._backoff) for kind in kinds}
        except ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise
            return None

    def _read_details(self) -> Mapping[str, Attachments] | None:
        found: dict[str, Attachments] = {}
        reading = pages(
            self._client,
            "GetAccountAuthorizationDetails",
            self._backoff,
            Filter=["User"],
            MaxItems=PAGE_SIZE,
        )
        for page in islice(reading, len(self._unjudged(_DETAIL_KINDS)) * self._wanted):
            for detail in page.get("UserDetailList", ()):
                found[detail["UserId"]] = detail_attachments({**_EMPTY, **detail})
            if not page.get("IsTruncated"):
                return found
        return None

    def _read_credentials(self) -> Mapping[str, tuple[Item, ...]] | None:
        # A user's own list is one call; this may be one more for each service (see listed_at_once).
        if self._wanted <= len(SERVICES):
            return None
        try:
            listed = listed_at_once(_Budgeted(self._client, self._wanted), self._backoff)
        except (ClientError, _TooManyPages):
            # Not every service of every partition takes AllUsers; a user's own list will say what is wrong.
            return None
        if listed is None:
            return None
        found: defaultdict[str, tuple[Item, ...]] = defaultdict(tuple)
        for item in listed:
            found[item["UserName"]] += (item,)
        return found


class _TooManyPages(Exception):
    """A list of all users costs more than their own lists."""


class _Budgeted:
    """The client, for as many pages of service-specific credentials."""

    def __init__(self, client: Any, calls: int) -> None:
        self._client, self._calls = client, calls

    def list_service_specific_credentials(self, **parameters: Any) -> Any:
        """The client's. Raises _TooManyPages."""
        if not self._calls:
            raise _TooManyPages
        self._calls -= 1
        return self._client.list_service_specific_credentials(**parameters)
