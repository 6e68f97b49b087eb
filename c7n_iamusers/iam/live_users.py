# SPDX-License-Identifier: Apache-2.0
"""Reads users live, right before a run changes them."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Any, Generic, TypeVar

from botocore.exceptions import ClientError

from c7n_iamusers.execution.calls import ApiCall, Plan
from c7n_iamusers.execution.executor import Run, SubjectGone
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.iam.accounts import SERVICES, listed_at_once, name_of
from c7n_iamusers.iam.attachments import SERVICE_SPECIFIC_CREDENTIAL, AttachmentKind
from c7n_iamusers.iam.read_back import shows
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.iam.users import LISTED_KINDS, embedded_attachments, read_detail, read_kind

T = TypeVar("T")


class TtlCache(Generic[T]):
    """Caches the result of ``load`` for ``max_age`` seconds, counted from the start of loading.

    ``first``: a result that was loaded just now, if there is one.
    If loading takes longer than that, the result is already stale: the cache is disabled for good, so that a run
    over a large account does not keep loading what it can't use.
    """

    def __init__(
        self,
        load: Callable[[], T],
        max_age: float,
        clock: Callable[[], float] = time.monotonic,
        first: T | None = None,
    ) -> None:
        self._load, self._max_age, self._clock = load, max_age, clock
        self._lock = threading.Lock()
        self._value: tuple[T] | None = None if first is None else (first,)
        self._until = clock() + max_age if self._value else 0.0
        self._too_slow = False

    def get(self) -> T | None:
        """The result, None once disabled. Other threads wait while one loads. Raises what ``load`` raises."""
        with self._lock:
            if not self._too_slow and (self._value is None or self._clock() > self._until):
                began = self._clock()
                self._value = (self._load(),)
                self._until = began + self._max_age
                self._too_slow = self._clock() > self._until
            return None if self._too_slow or self._value is None else self._value[0]


Attachments = dict[str, tuple[Item, ...]]
#: The maximum age, in seconds, of a list that a deletion uses.
MAX_AGE = 30.0
#: Seconds to wait before reading a user again that exists although one of its lists fails with NoSuchEntity.
_RETRY_DELAYS = (0.5, 1.0, 2.0, 4.0)


class LiveUsers:
    """Reads the users of a run over ``wanted`` users. Thread-safe.

    The account-wide list of service-specific credentials is used unless it needs more calls than ``wanted`` lists of
    single users, or is stale when it is complete.
    ``judged``: the kinds that a decision depends on, which are never taken from the account-wide list.
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
        self._credentials = TtlCache(self._read_credentials, MAX_AGE, clock)

    def read(self, name: str) -> IamUser | None:
        """The user with all its attachments in full detail; None if there is no such user.

        Raises ClientError if any part of it can't be read.
        """
        shared = None if SERVICE_SPECIFIC_CREDENTIAL in self._judged else self._credentials.get()
        if shared is None:
            return self.read_fully(name)
        held = {SERVICE_SPECIFIC_CREDENTIAL.name: shared.get(name, ())}
        return self._read(name, held)

    def read_fully(self, name: str) -> IamUser | None:
        """As ``read``, from the user's own lists only, for use after a conflict."""
        return self._read(name, {})

    def name_of(self, unique_id: str) -> str | None:
        """See the function of this name."""
        return name_of(self._client, unique_id, self._backoff)

    def _read(self, name: str, shared: Attachments) -> IamUser | None:
        for delay in (*_RETRY_DELAYS, None):
            own, problem = self._read_own(name, shared)
            # GetUser comes last, so that the identity is as recent as possible when the first change is made.
            user = read_detail(self._client, name, self._backoff)
            if user is None:
                return None
            if own is not None:
                return IamUser(user, {**shared, **own, **embedded_attachments(user)})
            # The user was created or renamed just now: read again until its lists agree.
            if delay is None and problem:
                raise problem
            self._backoff.sleep(delay or 0)
        raise AssertionError("the last attempt returns or raises")

    def _read_own(self, name: str, shared: Attachments) -> tuple[Attachments | None, ClientError | None]:
        kinds = [kind for kind in LISTED_KINDS if kind.name not in shared]
        try:
            return {kind.name: read_kind(self._client, name, kind, self._backoff) for kind in kinds}, None
        except ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise
            return None, error

    def _read_credentials(self) -> Mapping[str, tuple[Item, ...]] | None:
        # A user's own list is one call; the account-wide list can take one more for each service (listed_at_once).
        if self._wanted <= len(SERVICES):
            return None
        try:
            listed = listed_at_once(_Budgeted(self._client, self._wanted), self._backoff)
        except (ClientError, _TooManyPages):
            # AllUsers may be unsupported; a user's own list raises any other error.
            return None
        if listed is None:
            return None
        found: defaultdict[str, tuple[Item, ...]] = defaultdict(tuple)
        for item in listed:
            found[item["UserName"]] += (item,)
        return found


class _TooManyPages(Exception):
    """The account-wide list costs more calls than the users' own lists."""


class _Budgeted:
    """The client, limited to ``calls`` pages of service-specific credentials."""

    def __init__(self, client: Any, calls: int) -> None:
        self._client, self._calls = client, calls

    def list_service_specific_credentials(self, **parameters: Any) -> Any:
        """As the client's. Raises _TooManyPages once the limit is reached."""
        if not self._calls:
            raise _TooManyPages
        self._calls -= 1
        return self._client.list_service_specific_credentials(**parameters)


def read_back(run: Run, user: IamUser, plan: Plan) -> tuple[IamUser, list[ApiCall]]:
    """The user as AWS shows it after ``plan``, and the calls of the plan that it does not show. Raises SubjectGone.

    IAM is eventually consistent, so it is read several times.
    """
    after, unseen = user, list(plan.calls)
    for delay in islice(run.backoff.delays(), _READS):
        live = LiveUsers(run.client, 1, run.backoff).read_fully(user.name)
        if live is None or live.unique_id != user.unique_id:
            raise SubjectGone
        after, unseen = live, [call for call in plan.calls if not shows(live, call, call.parameters)]
        if not unseen:
            break
        run.backoff.sleep(delay)
    return after, unseen


#: How often a user is read until AWS shows its quarantine or release.
_READS = 5
