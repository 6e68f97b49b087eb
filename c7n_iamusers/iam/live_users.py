# SPDX-License-Identifier: Apache-2.0
"""Reading users live, right before something is done to each."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

from botocore.exceptions import ClientError

from c7n_iamusers.execution.client import Backoff, error_code, items
from c7n_iamusers.iam.accounts import PAGE_SIZE, SERVICES, listed_at_once
from c7n_iamusers.iam.attachments import SERVICE_SPECIFIC_CREDENTIAL, AttachmentKind
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.iam.users import LISTED_KINDS, embedded_attachments, read_detail, read_kind

T = TypeVar("T")


class Fresh(Generic[T]):
    """What ``load`` gives, read again once it is older than ``max_age`` seconds.

    Age counts from the start of a reading. One that takes longer than that is stale when it ends: it is given
    up for good, so that a run over a large account does not spend its time reading what it can't use.
    """

    def __init__(
        self, load: Callable[[], T], max_age: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._load, self._max_age, self._clock = load, max_age, clock
        self._lock = threading.Lock()
        self._value: tuple[T] | None = None
        self._until = 0.0
        self._too_slow = False

    def get(self) -> T | None:
        """The reading, None once given up; other threads wait while one reads. Raises what ``load`` raises."""
        with self._lock:
            if not self._too_slow and (self._value is None or self._clock() > self._until):
                began = self._clock()
                self._value = (self._load(),)
                self._until = began + self._max_age
                self._too_slow = self._clock() > self._until
            return None if self._too_slow or self._value is None else self._value[0]


Attachments = dict[str, tuple[Item, ...]]
#: Seconds; what is older is never what a deletion rests on.
MAX_AGE = 30.0
#: Seconds before a user is read again that exists although one of its lists says that it does not.
_SOON = (0.5, 1.0, 2.0, 4.0)


class LiveUsers:
    """Reads the users of a run over ``wanted`` of them. Safe for several threads.

    The list of all service-specific credentials is given up where it has more pages than reading ``wanted`` users
    one by one costs, or takes so long that it is stale when it ends.
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
        self._credentials = Fresh(self._read_credentials, MAX_AGE, clock)

    def read(self, name: str) -> IamUser | None:
        """The user with all its attachments in full detail; None where GetUser knows no such user.

        Raises ClientError where anything of it can't be read.
        """
        shared = None if SERVICE_SPECIFIC_CREDENTIAL in self._judged else self._credentials.get()
        if shared is None:
            return self.read_fully(name)
        held = {SERVICE_SPECIFIC_CREDENTIAL.name: shared.get(name, ())}
        return self._read(name, held)

    def read_fully(self, name: str) -> IamUser | None:
        """As ``read``, from the user's own lists only: what a conflict calls for."""
        return self._read(name, {})

    def name_of(self, unique_id: str) -> str | None:
        """The name that the user of ``unique_id`` has now; None where there is no such user. Raises ClientError."""
        users = items(self._client, "ListUsers", "Users", self._backoff, MaxItems=PAGE_SIZE)
        return next((str(user["UserName"]) for user in users if user["UserId"] == unique_id), None)

    def _read(self, name: str, shared: Attachments) -> IamUser | None:
        for delay in (*_SOON, None):
            own, problem = self._read_own(name, shared)
            # Who it is comes last, so that as little as possible lies between that and the first change.
            user = read_detail(self._client, name, self._backoff)
            if user is None:
                return None
            if own is not None:
                return IamUser(user, {**shared, **own, **embedded_attachments(user)})
            # Made a moment ago, or renamed to this: its lists must say the same before it is believed.
            if delay is None and problem:
                raise problem
            self._backoff.sleep(delay or 0)
        raise AssertionError("the last look returns or raises")

    def _read_own(self, name: str, shared: Attachments) -> tuple[Attachments | None, ClientError | None]:
        kinds = [kind for kind in LISTED_KINDS if kind.name not in shared]
        try:
            return {kind.name: read_kind(self._client, name, kind, self._backoff) for kind in kinds}, None
        except ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise
            return None, error

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
