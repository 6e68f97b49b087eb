# SPDX-License-Identifier: Apache-2.0
"""Intents checked against their accounts' present users and policies, read by a role in each."""

from __future__ import annotations

import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.client import Backoff, error_code
from c7n_iamusers.iam.accounts import PolicySource, read_policy_source
from c7n_iamusers.iam.policy_documents import PolicyInterner
from c7n_iamusers.identity_center.claimed_people import PeopleAuthority
from c7n_iamusers.identity_center.intents import Intents, UserIntent

_ACCOUNT_ID = "{account_id}"
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[!-~]+", re.ASCII)
_SESSION_NAME = "c7n-iamusers"
_WORKERS = 8
#: The role's session ended while its account was read, as it does after an hour where roles are chained.
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
#: Retries are Backoff's alone: botocore's beneath them would make a throttled call five times for each of its own.
_CONFIG = Config(retries={"total_max_attempts": 1})


@dataclass(frozen=True)
class AccountNow:
    """An account as it is: ``users`` by unique id as botocore's ``UserDetail``, and what their policies need.

    Policies that say the same are one object in all accounts, which nobody may change.
    """

    source: PolicySource
    users: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class MemberAccounts:
    """``role``: the ARN of the role in each, with {account_id}; ``session``: boto3's of who may assume them.

    The session's own account is read as it is. Raises IdentityCenterError for a role that is none.
    """

    role: str
    session: Any
    backoff: Backoff
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if _ACCOUNT_ID not in self.role or not _ROLE.fullmatch(self._role_of("0" * 12)):
            raise IdentityCenterError(
                f"--member-role {self.role!r} is not the ARN of a role in each account: give "
                "'arn:aws:iam::{account_id}:role/NAME'"
            )

    def read(
        self, account_ids: Iterable[str], with_policies: Collection[str] = ()
    ) -> Iterator[tuple[str, AccountNow | str]]:
        """Each account's id and what is there now, or why that can't be read, in the order of their ids.

        No more than a few accounts are in memory at once. ``with_policies``: the accounts of which policies and
        groups are wanted, too. Raises IdentityCenterError without a Region, and what asking for the caller raises.
        """
        if not self.session.region_name:
            raise IdentityCenterError(
                "no Region to assume --member-role in: give --region, or set AWS_DEFAULT_REGION"
            )
        sts, shared = self._client("sts"), PolicyInterner()
        own = str(self.backoff.call(sts.get_caller_identity)["Account"])
        under_way: deque[tuple[str, Future[AccountNow | str]]] = deque()
        with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
            for account_id in sorted(set(account_ids)):
                role = "" if account_id == own else self._role_of(account_id)
                wanted = _Wanted(sts, role, shared, account_id not in with_policies)
                under_way.append((account_id, pool.submit(self._account, account_id, wanted)))
                if len(under_way) == _WORKERS:
                    yield _landed(under_way)
            while under_way:
                yield _landed(under_way)

    def _account(self, account_id: str, wanted: _Wanted) -> AccountNow | str:
        try:
            try:
                return self._read(wanted)
            except ClientError as error:
                if error_code(error) not in _EXPIRED:
                    raise
                return self._read(wanted)
        # Whatever is wrong with one account's answers, the others are read all the same.
        except Exception as error:  # noqa: BLE001
            how = f"by {wanted.role}" if wanted.role else "by the credentials of this run"
            return f"account {account_id} can't be read {how}: {type(error).__name__}: {error}"

    def _read(self, wanted: _Wanted) -> AccountNow:
        client = self._client("iam", **(self._assumed(wanted) if wanted.role else {}))
        return AccountNow(*read_policy_source(client, self.backoff, wanted.shared, wanted.users_alone))

    def _assumed(self, wanted: _Wanted) -> dict[str, str]:
        """The keys of a session of the role, as boto3's ``client`` takes them."""
        found = self.backoff.call(wanted.sts.assume_role, RoleArn=wanted.role, RoleSessionName=_SESSION_NAME)
        credentials = found["Credentials"]
        return {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials["SessionToken"],
        }

    def _client(self, service: str, **keys: str) -> Any:
        # A session makes clients for one thread at a time. One for each account would read botocore's models anew.
        with self._lock:
            return self.session.client(service, region_name=self.session.region_name, config=_CONFIG, **keys)

    def _role_of(self, account_id: str) -> str:
        return self.role.replace(_ACCOUNT_ID, account_id)


@dataclass(frozen=True)
class _Wanted:
    """``role``: the one to assume, empty for none."""

    sts: Any
    role: str
    shared: PolicyInterner
    users_alone: bool


def _landed(under_way: deque[tuple[str, Future[AccountNow | str]]]) -> tuple[str, AccountNow | str]:
    account_id, future = under_way.popleft()
    return account_id, future.result()


#: Reads accounts by their ids, one after the other, and those of a second collection with their policies: see
#: ``MemberAccounts.read``.
Reading = Callable[[Iterable[str], Collection[str]], Iterable[tuple[str, "AccountNow | str"]]]

_TRUST = "or, where you trust whoever wrote the intents, give --trust-intents"
_AGAIN = "run the policies again"


def confirmed(
    intents: list[Intents],
    read: Reading | None,
    trusted: bool = False,
    authority_of: Callable[[Intents], PeopleAuthority] | None = None,
) -> list[Intents]:
    """The intents with users and policies as they are now; who is not there, or can't be read, has a problem.

    ``intents`` itself is changed, account by account: what was and what is would be twice as much to hold. ``trusted``:
    who can't be read is taken at the intents' word. ``authority_of``: what is believed of their people. Raises
    IdentityCenterError where nobody can be read, and nobody is trusted.
    """
    if read is None:
        if not trusted:
            raise IdentityCenterError(
                "intents are claims, and users and their policies are read again before any of it is applied: give "
                f"--member-role 'arn:aws:iam::{{account_id}}:role/NAME', {_TRUST}"
            )
        return intents
    people = authority_of or (lambda _: PeopleAuthority(trusted=trusted))
    places: defaultdict[str, list[int]] = defaultdict(list)
    for number, each in enumerate(intents):
        places[each.account_id].append(number)
    deriving = {each.account_id for each in intents if each.derive is not None}
    for account_id, now in read(tuple(places), deriving):
        for number in places.pop(account_id):
            intents[number] = _confirmed(intents[number], now, trusted, people(intents[number]))
    for number in (each for numbers in places.values() for each in numbers):
        intents[number] = _confirmed(
            intents[number], "nothing was read of its account", trusted, people(intents[number])
        )
    return intents


def _confirmed(intents: Intents, now: AccountNow | str, trusted: bool, authority: PeopleAuthority) -> Intents:
    if isinstance(now, str):
        if trusted:
            return intents
        mend = "let that role be assumed, and have iam:GetAccountAuthorizationDetails"
        told = f"was not read again: {now}: {mend}, {_TRUST}"
        return replace(intents, users=tuple(_refused(user, told) for user in intents.users))
    users = tuple(_user(user, now, intents.derive is not None, authority) for user in intents.users)
    return replace(intents, users=users, source=now.source if intents.derive is not None else intents.source)


def _user(user: UserIntent, now: AccountNow, derives: bool, authority: PeopleAuthority) -> UserIntent:
    found = now.users.get(user.subject.unique_id)
    if found is None:
        return _refused(user, f"is there no longer (no user has the id {user.subject.unique_id}): {_AGAIN}")
    if found["Arn"] != user.subject.arn:
        return _refused(user, f"is {found['Arn']} by now: {_AGAIN}")
    if doubt := authority.doubt(user, found):
        return _refused(user, doubt)
    if not derives:
        return user
    # The same texts once, of 80,000 users.
    same = {"Arn": user.subject.arn, "UserId": user.subject.unique_id}
    return replace(user, detail={**found, **same})


def _refused(user: UserIntent, problem: str) -> UserIntent:
    if user.problem:
        return user
    return replace(user, person=None, problem=problem)
