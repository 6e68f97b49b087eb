# SPDX-License-Identifier: Apache-2.0
"""Reads users and policies of member accounts again, by a role in each, and checks intents against them."""

from __future__ import annotations

import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from c7n_iamusers.evidence.reader import inventory_of, read_pieces
from c7n_iamusers.evidence.working_credentials import PIECES, WorkingCredentials, credentials_of_users
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.execution.sessions import external
from c7n_iamusers.iam.accounts import PolicySource, read_aws_policies, read_policy_source
from c7n_iamusers.iam.policy_documents import PolicyInterner
from c7n_iamusers.identity_center.requests.intent_checks import PeopleAuthority, with_own_people
from c7n_iamusers.identity_center.requests.intents import Intents, UserIntent
from c7n_iamusers.lockout.denied_users import has_policies, is_denied
from c7n_iamusers.text.times import as_text
from c7n_iamusers.text.wording import shown

_ACCOUNT_ID = "{account_id}"
_ROLE = re.compile(rf"arn:aws[a-z-]*:iam::{re.escape(_ACCOUNT_ID)}:role/[!-~]+", re.ASCII)
_SESSION_NAME = "c7n-iamusers"
#: The IAM actions that reading users, policies and credentials of an account needs.
PERMISSIONS = (
    "iam:GenerateCredentialReport",
    "iam:GetAccountAuthorizationDetails",
    "iam:GetCredentialReport",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:ListServiceSpecificCredentials",
    "iam:ListUsers",
    "iam:ListVirtualMFADevices",
)
_WORKERS = 8
#: The role's session ended during the read. With chained roles it lasts an hour.
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
#: Backoff retries. botocore would make up to five attempts of each try.
_CONFIG = Config(retries={"total_max_attempts": 1})


@dataclass(frozen=True)
class LiveAccount:
    """An account, read again. ``users``: unique id -> botocore's ``UserDetail``. ``source``: policies and groups.

    ``credentials``: unique id -> what the user can sign in with, if that was read. Equal policies of all accounts
    are one shared object, which must not be changed.
    """

    source: PolicySource
    users: Mapping[str, Mapping[str, Any]]
    credentials: Mapping[str, WorkingCredentials] = field(default_factory=dict)

    def unusable(self) -> dict[str, str]:
        """Unique id of each user -> why its person has no access by it, in words; empty if it may have some."""
        reason = "is quarantined (a policy of it denies every action)"
        return {
            unique_id: reason if is_denied(detail, self.source) else ""
            for unique_id, detail in self.users.items()
        }

    def unable(self) -> dict[str, str]:
        """As ``unusable``; where credentials were read, also why nobody can use the user's policies."""
        return {
            unique_id: reason or self._inability(unique_id) for unique_id, reason in self.unusable().items()
        }

    def _inability(self, unique_id: str) -> str:
        detail, held = self.users[unique_id], self.credentials.get(unique_id)
        if not has_policies(detail, self.source):
            return "has no policies"
        if held is None:
            return "has credentials that could not be read"
        if held.kinds:
            return ""
        if held.unread:
            return f"has credentials that could not be read ({held.problem or shown(held.unread)})"
        only = f" but for {shown(held.services)}" if held.services else ""
        return f"has no working credentials{only}, by the credential report of {as_text(held.as_of)}"


@dataclass(frozen=True)
class MemberAccounts:
    """Reads member accounts. ``role``: the ARN of the role to assume, with {account_id}. ``session``: boto3's.

    ``external_id``: account id -> the sts:ExternalId in the role's trust policy; empty for none.

    The account of the session is read without the role. Raises IdentityCenterError if ``role`` is not such an ARN.
    """

    role: str
    session: Any
    backoff: Backoff
    external_id: Callable[[str], str] = lambda _: ""
    clock: Callable[[], datetime] = utc_now
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)
    _aws_policies: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _ROLE.fullmatch(self.role):
            raise IdentityCenterError(
                f"--member-role {self.role!r} is not the ARN of a role in each account: give "
                "'arn:aws:iam::{account_id}:role/NAME'"
            )

    def read(
        self, account_ids: Iterable[str], with_policies: Mapping[str, Collection[str]] | None = None
    ) -> Iterator[tuple[str, LiveAccount | str]]:
        """Each account's id, in order, with its users or why they can't be read.

        Only a few accounts are in memory at a time. ``with_policies``: the accounts whose AWS-managed policies and
        credentials are read, too -> ARNs of further such policies to read. Raises IdentityCenterError without a Region;
        ClientError and BotoCoreError of GetCallerIdentity.
        """
        if not self.session.region_name:
            raise IdentityCenterError(
                "no Region to assume --member-role in: give --region, or set AWS_DEFAULT_REGION"
            )
        sts, shared = self._client("sts"), PolicyInterner()
        own = str(self.backoff.call(sts.get_caller_identity)["Account"])
        in_flight: deque[tuple[str, Future[LiveAccount | str]]] = deque()
        with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
            for account_id in sorted(set(account_ids)):
                role = "" if account_id == own else self._role_of(account_id)
                needed = (with_policies or {}).get(account_id)
                account = _AccountRead(sts, role, self.external_id(account_id), shared, needed)
                in_flight.append((account_id, pool.submit(self._account, account_id, account)))
                if len(in_flight) == _WORKERS:
                    yield _next_result(in_flight)
            while in_flight:
                yield _next_result(in_flight)

    def _account(self, account_id: str, account: _AccountRead) -> LiveAccount | str:
        try:
            try:
                return self._read(account)
            except ClientError as error:
                if error_code(error) not in _EXPIRED:
                    raise
                return self._read(account)
        # A failure in one account does not stop the others.
        except Exception as error:  # noqa: BLE001
            how = f"by {account.role}" if account.role else "by the credentials of this run"
            return f"account {account_id} can't be read {how}: {type(error).__name__}: {error}"

    def _read(self, account: _AccountRead) -> LiveAccount:
        client = self._client("iam", **(self._assumed(account) if account.role else {}))
        if account.needed is None:
            return LiveAccount(*read_policy_source(client, self.backoff, account.shared, aws_managed=False))
        created: dict[str, Any] = {}
        source, users = read_policy_source(client, self.backoff, account.shared, created=created)
        source = self._completed(client, source, account.needed)
        inventory = inventory_of(read_pieces(PIECES, {"iam": client}, self.backoff, self.clock))
        return LiveAccount(source, users, credentials_of_users(inventory, users, created, self.clock()))

    def _completed(self, client: Any, source: PolicySource, needed: Collection[str]) -> PolicySource:
        """``source`` with the documents of the AWS-managed policies ``needed``, read once for all accounts."""
        with self._lock:
            known = {arn: self._aws_policies[arn] for arn in needed if arn in self._aws_policies}
        found = read_aws_policies(client, self.backoff, set(needed) - source.policies.keys() - known.keys())
        with self._lock:
            self._aws_policies.update(found)
        return replace(source, policies={**known, **found, **source.policies})

    def _assumed(self, account: _AccountRead) -> dict[str, str]:
        """The credentials of the assumed role, as parameters of boto3's ``client``."""
        found = self.backoff.call(
            account.sts.assume_role,
            RoleArn=account.role,
            RoleSessionName=_SESSION_NAME,
            **external(account.external_id),
        )
        credentials = found["Credentials"]
        return {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials["SessionToken"],
        }

    def _client(self, service: str, **keys: str) -> Any:
        # A session is not thread-safe, and one per account would load botocore's models again.
        with self._lock:
            return self.session.client(service, region_name=self.session.region_name, config=_CONFIG, **keys)

    def _role_of(self, account_id: str) -> str:
        return self.role.replace(_ACCOUNT_ID, account_id)


@dataclass(frozen=True)
class _AccountRead:
    """One account to read. ``role``: to assume; empty for none. ``needed``: see ``with_policies`` of ``read``."""

    sts: Any
    role: str
    external_id: str
    shared: PolicyInterner
    needed: Collection[str] | None


def _next_result(in_flight: deque[tuple[str, Future[LiveAccount | str]]]) -> tuple[str, LiveAccount | str]:
    account_id, future = in_flight.popleft()
    return account_id, future.result()


#: See ``MemberAccounts.read``.
ReadAccounts = Callable[
    [Iterable[str], Mapping[str, Collection[str]]], Iterable[tuple[str, "LiveAccount | str"]]
]


def emptied_accounts(
    account_ids: Collection[str], users: Iterable[tuple[str, str]], read: ReadAccounts | None
) -> frozenset[str]:
    """The accounts that can be read, and in which each of ``users`` is deleted or quarantined.

    ``users``: ARN and unique id.
    """
    if read is None or not account_ids:
        return frozenset()
    wanted = _ids_by_account(users)
    return frozenset(
        account_id
        for account_id, now in read(sorted(account_ids), {})
        if isinstance(now, LiveAccount)
        and wanted[account_id].isdisjoint(each for each, reason in now.unusable().items() if not reason)
    )


def roles_of(account_ids: Collection[str], read: ReadAccounts | None) -> dict[str, Mapping[str, Any] | None]:
    """Account id -> the roles of each account, see ``PolicySource``; None if it can't be read. Raises as ``read``."""
    if read is None or not account_ids:
        return dict.fromkeys(account_ids)
    found = dict(read(sorted(account_ids), {}))
    return {
        account_id: now.source.roles if isinstance(now := found.get(account_id), LiveAccount) else None
        for account_id in account_ids
    }


def deleted_users(
    users: Collection[tuple[str, str]], read: ReadAccounts | None
) -> tuple[frozenset[str], frozenset[str]]:
    """The unique ids of the deleted ones of ``users``, and of those in accounts that can't be read.

    ``users``: ARN and unique id. A renamed user still exists; another user with its name does not count. Raises as
    ``read``.
    """
    if read is None:
        return frozenset(), frozenset(unique_id for _, unique_id in users)
    wanted = _ids_by_account(users)
    deleted, unknown = set[str](), set[str]()
    for account_id, now in read(sorted(wanted), {}) if wanted else ():
        if isinstance(now, LiveAccount):
            deleted |= wanted[account_id] - now.users.keys()
        else:
            unknown |= wanted[account_id]
    return frozenset(deleted), frozenset(unknown)


def _ids_by_account(users: Iterable[tuple[str, str]]) -> defaultdict[str, set[str]]:
    """Account id -> unique ids. ``users``: ARN and unique id."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for arn, unique_id in users:
        found[arn.split(":")[4]].add(unique_id)
    return found


_TRUST = "or, if you trust everyone who can write intents, give --trust-intents"
_AGAIN = "run the policies again"


def confirmed(
    intents: list[Intents],
    read: ReadAccounts | None,
    trusted: bool = False,
    authority_of: Callable[[Intents], PeopleAuthority] | None = None,
) -> list[Intents]:
    """``intents`` with users and policies read again. Missing and unreadable users get a ``problem``.

    Changes the list ``intents`` in place, account by account, to save memory. ``trusted``: intents of unreadable
    accounts are believed. ``authority_of``: the authority on the people of intents. Raises IdentityCenterError without
    ``read`` unless ``trusted``.
    """
    if read is None:
        if not trusted:
            raise IdentityCenterError(
                "users and policies of intents are read again before anything is applied: give "
                f"--member-role 'arn:aws:iam::{{account_id}}:role/NAME', {_TRUST}"
            )
        return intents
    people = authority_of or (lambda _: PeopleAuthority(trusted=trusted))
    places: defaultdict[str, list[int]] = defaultdict(list)
    for number, each in enumerate(intents):
        places[each.account_id].append(number)
    for account_id, now in read(tuple(places), _needed_policies(intents)):
        for number in places.pop(account_id):
            intents[number] = _confirmed(intents[number], now, trusted, people(intents[number]))
    for number in (each for numbers in places.values() for each in numbers):
        intents[number] = _confirmed(
            intents[number], "its account was not read", trusted, people(intents[number])
        )
    return intents


def _needed_policies(intents: Iterable[Intents]) -> dict[str, set[str]]:
    """Account id -> the ARNs of the AWS-managed policies in the permission sets that are requested there by name."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for intent in intents:
        found[intent.account_id].update(
            intent.permission_set.managed_policies if intent.permission_set else ()
        )
    return dict(found)


def _confirmed(
    intents: Intents, now: LiveAccount | str, trusted: bool, authority: PeopleAuthority
) -> Intents:
    if isinstance(now, str):
        if trusted:
            return intents
        remedy = f"allow the role to be assumed, with {', '.join(PERMISSIONS)}"
        problem = f"was not read again: {now}: {remedy}, {_TRUST}"
        return replace(intents, users=tuple(_refused(user, problem) for user in intents.users))
    found = (_user(user, now, authority) for user in intents.users)
    users = with_own_people(found, now.users.values(), authority.names_in)
    return replace(intents, users=users, source=now.source)


def _user(user: UserIntent, now: LiveAccount, authority: PeopleAuthority) -> UserIntent:
    found = now.users.get(user.subject.unique_id)
    if found is None:
        return _refused(user, f"no longer exists (no user has the id {user.subject.unique_id}): {_AGAIN}")
    if found["Arn"] != user.subject.arn:
        return _refused(user, f"is now {found['Arn']}: {_AGAIN}")
    if reason := authority.refusal_reason(user, found):
        return _refused(user, reason)
    # Shares the texts: there may be 80,000 users.
    same = {"Arn": user.subject.arn, "UserId": user.subject.unique_id}
    if found["UserName"] == user.subject.name:
        same["UserName"] = user.subject.name
    credentials = now.credentials.get(user.subject.unique_id)
    return replace(user, detail={**found, **same}, credentials=credentials)


def _refused(user: UserIntent, problem: str) -> UserIntent:
    if user.problem:
        return user
    return replace(user, person=None, problem=problem)
