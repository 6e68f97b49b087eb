# SPDX-License-Identifier: Apache-2.0
"""Reads the access of IAM users' people through IAM Identity Center, for a filter, and for actions that ask again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.credentials import assumed_session
from c7n.exceptions import PolicyExecutionError
from c7n.utils import local_session

from c7n_iamusers import defaults
from c7n_iamusers.evidence.index import ACCOUNT
from c7n_iamusers.evidence.working_credentials import PIECES, WorkingCredentials, credentials_of_users
from c7n_iamusers.exceptions import IamUsersError, IdentityCenterError
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.accounts import PolicySource, read_account, read_policy_source
from c7n_iamusers.identity_center import access_state
from c7n_iamusers.identity_center.access_derivation import AccessDerivation
from c7n_iamusers.identity_center.applying.run_history import read_served
from c7n_iamusers.identity_center.applying.run_records import check_writers
from c7n_iamusers.identity_center.aws.access_check import (
    PERMISSIONS,
    WITH_RECORDS,
    AccessReader,
    AccountAccess,
    Found,
)
from c7n_iamusers.identity_center.aws.instance import Center, connect, username_tags
from c7n_iamusers.identity_center.fleet import without_records
from c7n_iamusers.identity_center.model import Person
from c7n_iamusers.identity_center.planning.replacements import RunHistory
from c7n_iamusers.identity_center.requests.desired import desired_access
from c7n_iamusers.identity_center.requests.intent_checks import with_own_people
from c7n_iamusers.identity_center.requests.intents import Intents
from c7n_iamusers.identity_center.requests.member_accounts import PERMISSIONS as READING
from c7n_iamusers.identity_center.requests.people import Candidate
from c7n_iamusers.identity_center.sign_ins import parse_sign_ins, require_fresh
from c7n_iamusers.plugins import people_of_users, provisioning_settings
from c7n_iamusers.plugins.policy_checks import NONE, require_own_account
from c7n_iamusers.plugins.resources import AccountReadings, subject_of
from c7n_iamusers.plugins.run_outputs import content_at, records_at
from c7n_iamusers.safeguards.gate_readings import Calls


def identity_center_session(manager: Any, role: str | None, region: str | None) -> Any:
    """A boto3 session with ``role``, or the policy's own session if there is none.

    The role is assumed with the credentials that Cloud Custodian runs with, as ``notify`` does with
    ``assume_role: false``, and not with the member account's role of c7n-org, which the management account should not
    have to trust. (If accounts.yml chains roles, c7n-org puts the last role's credentials into the environment, and
    these are used.)

    Raises ClientError, BotoCoreError if the role can't be assumed.
    """
    factory = manager.session_factory
    if role is None:
        return local_session(factory)
    name = getattr(factory, "session_name", "CloudCustodian")
    session = assumed_session(role, name, session=factory(assume=False), region=region)
    # c7n's user agent and its count of API calls, where the factory is c7n's own.
    return factory.update(session) if hasattr(factory, "update") else session


Resource = dict[str, Any]
#: What a person must have, or why that is not known.
Wanted = access_state.RequiredSet | str


@dataclass(frozen=True)
class _Account:
    """The users of the account: unique id -> ``UserDetail``. ``created``: unique id -> CreateDate."""

    details: Mapping[str, Mapping[str, Any]]
    created: Mapping[str, Any] = field(default_factory=dict)
    source: PolicySource = field(default_factory=PolicySource)


class AccessGate:
    """Reads the access of users' people in Identity Center.

    ``data``: the options of the filter ``identity-center``, except ``state``. ``manager``: the policy's resource
    manager. ``calls``: counts the calls to Identity Center.
    """

    def __init__(self, manager: Any, data: Mapping[str, Any], where: str, calls: Calls | None = None) -> None:
        self._manager, self._data, self._where, self._calls = manager, data, where, calls or Calls()
        self._identity = people_of_users.IdentitySettings(data, where)
        self._center: Center | None = None
        self._reader: AccessReader | None = None
        self._use: access_state.RequiredUse | None = None
        self._runs = RunHistory()

    def check(self, in_lambda: bool) -> None:
        """Raises InvalidPolicyData for faults that can be found without AWS."""
        self._identity.check(in_lambda)
        self._wanted()
        if self._data.get("derive"):
            provisioning_settings.derivation_settings(self._data["derive"], self._where)

    @property
    def permissions(self) -> tuple[str, ...]:
        """The IAM actions that reading needs; those of Identity Center in the account of ``role``."""
        assuming = ("sts:AssumeRole",) if self._data.get("role") else ()
        deriving: tuple[str, ...] = ("iam:GetAccountAuthorizationDetails",)
        derive = self._data.get("derive")
        if isinstance(derive, Mapping) and derive.get("identity-center-mfa"):
            deriving = READING
        return (
            *PERMISSIONS,
            *(WITH_RECORDS if self._data.get("records", NONE) != NONE else ()),
            *assuming,
            *deriving,
            *provisioning_settings.username_tag_permission(self._data),
        )

    def portal(self) -> dict[str, str]:
        """Where people sign in, for a notice: ``start-url`` and ``region``. Raises what connecting raises."""
        instance = self._connected_center().instance
        return {"start-url": instance.portal, "region": instance.region}

    def states(self, resources: Sequence[Resource]) -> dict[str, access_state.AccessState]:
        """ARN of each user -> the access of its person. Raises PolicyExecutionError as ``reading`` does."""
        return self.reading(resources)()

    def reading(self, resources: Sequence[Resource]) -> Callable[[], dict[str, access_state.AccessState]]:
        """Reads ARN of each user -> the access of its person, each time anew.

        People, the access that they must have, and what runs gave are found out once. Each reading reads the account's
        assignments.
        Raises PolicyExecutionError if the users are of another account, or anything can't be read; so does the result.
        """
        require_own_account(self._manager, resources)
        if not resources:
            return dict
        account_id = self._manager.config.account_id or subject_of(resources[0]).account_id
        with self._unreadable():
            people = self._identity.people()
            found = self._identity.candidates(list(resources), account_id, people)
            account = self._read_account(found)
            candidates = list(
                with_own_people(found, account.details.values(), self._identity.names_in(people))
            )
            wanted = self._wanted_by_user(candidates, account_id, account)
            self._runs = self._read_runs()

        def read() -> dict[str, access_state.AccessState]:
            with self._unreadable():
                return self._states(candidates, wanted, account_id)

        return read

    @contextmanager
    def _unreadable(self) -> Iterator[None]:
        try:
            yield
        except (IamUsersError, OSError, ClientError, BotoCoreError) as error:
            raise PolicyExecutionError(
                f"{self._where}: account {self._manager.config.account_id}: Identity Center can't be read: {error}. No "
                f"user was selected or touched. Give the role {', '.join(self.permissions)}, or run again"
            ) from error

    def _states(
        self, candidates: list[Candidate], wanted: Mapping[str, Wanted], account_id: str
    ) -> dict[str, access_state.AccessState]:
        reader = self._connected()
        known = [each for each in wanted.values() if isinstance(each, access_state.RequiredSet)]
        names = {each.name for each in known}
        whole = any(each.form for each in known)
        named = len(reader.names)
        access = reader.account(account_id, () if "" in names else names, whole)
        self._calls.not_again(len(reader.names) - named)
        asked = (candidate for candidate in candidates if not isinstance(wanted[candidate.subject.arn], str))
        found = reader.people({each.person: None for each in asked if each.person}, access)
        if place := self._data.get("sign-ins"):
            self._use = self._read_use(str(place))
        return {
            candidate.subject.arn: self._state(candidate, wanted[candidate.subject.arn], access, found)
            for candidate in candidates
        }

    def _state(
        self,
        candidate: Candidate,
        wanted: Wanted,
        access: AccountAccess,
        found: Mapping[Person, Found],
    ) -> access_state.AccessState:
        if candidate.person is None:
            return access_state.AccessState(access_state.ABSENT, f"{candidate.subject}: {candidate.problem}")
        if isinstance(wanted, str):
            return access_state.AccessState(access_state.PENDING, wanted)
        by_username, by_email, groups = found[candidate.person]
        held = access.of(by_username.user_id, groups) if by_username else ()
        state = access_state.access_state(
            candidate.person, by_username, by_email, held, access.account_id, wanted, candidate.user_id
        )
        if state.state != access_state.PROVISIONED:
            return state
        if by_username and not candidate.on_file:
            why = self._connected().of_another(candidate.subject, candidate.person, by_username, self._runs)
            if why:
                return access_state.AccessState(access_state.ABSENT, f"{candidate.subject}: {why}")
        names = {wanted.name} if wanted.name else {each.settings.name for each in held}
        return self._use.proven(state, access.account_id, names) if self._use else state

    def _read_use(self, place: str) -> access_state.RequiredUse:
        """The sign-ins of the file, and the account's roles. Raises IdentityCenterError, OSError, ClientError."""
        try:
            self._calls.add(place.startswith("s3://"))
            content = content_at(self._manager, place)
        except OSError as error:
            raise OSError(
                f"sign-ins {place} can't be read ({error}): c7n-iamusers provision sign-ins writes it"
            ) from error
        sign_ins, now = parse_sign_ins(content, place), utc_now()
        require_fresh(sign_ins, self._connected_center().instance.identity_store_id, now, place)
        roles = AccountReadings.of(self._manager).inventory((ACCOUNT,), Backoff()).roles or ()
        after = now - timedelta(days=self._data.get("used-within", defaults.USED_WITHIN))
        return access_state.RequiredUse(sign_ins, roles, after)

    def _wanted(self) -> access_state.RequiredSet:
        given = self._data.get("permission-set", "")
        if isinstance(given, str):
            return access_state.RequiredSet(given)
        form = provisioning_settings.permission_set_of(given, f"{self._where}: permission-set")
        return access_state.RequiredSet(form.name, form)

    def _read_account(self, candidates: list[Candidate]) -> _Account:
        """All users of the account, by pages: for one selected user, others count too. With ``derive``, its policies.

        Raises ClientError.
        """
        client = local_session(self._manager.session_factory).client("iam", self._manager.config.region)
        if self._data.get("derive"):
            created: dict[str, Any] = {}
            source, details = read_policy_source(client, Backoff(), created=created)
            return _Account(details, created, source)
        if not any(candidate.person and not candidate.on_file for candidate in candidates):
            return _Account({})
        return _Account({user["UserId"]: user for user in read_account(client, Backoff(), "User").users})

    def _read_runs(self) -> RunHistory:
        """What access runs gave. Raises IdentityCenterError if others can write that, or there is none."""
        place = self._data.get("records", NONE)
        if place == NONE:
            return RunHistory()
        stores, center = records_at(self._manager, place), self._connected_center()
        for store in stores:
            check_writers(store)
        if why := without_records(stores, center):
            raise IdentityCenterError(
                f"{why}: give the place where runs left identity-center-runs/ as records; or, if these are lost, "
                f"records: {NONE}"
            )
        return read_served(stores, center.instance)

    def _wanted_by_user(
        self, candidates: list[Candidate], account_id: str, account: _Account
    ) -> Mapping[str, Wanted]:
        """The ARN of each user -> what its person must have, or why that is not known."""
        if not self._data.get("derive"):
            wanted = self._wanted()
            return {candidate.subject.arn: wanted for candidate in candidates}
        options = provisioning_settings.derivation_settings(self._data["derive"], self._where)
        credentials: Mapping[str, WorkingCredentials] = {}
        if options.get("identity-center-mfa"):
            inventory = AccountReadings.of(self._manager).inventory(PIECES, Backoff())
            credentials = credentials_of_users(inventory, account.details, account.created, utc_now())
        names_in = self._identity.names_in(self._identity.people())
        users = people_of_users.user_intents(candidates, account.details, credentials, names_in)
        intents = Intents(account_id, self._where, users, derive=options, source=account.source)
        derivation = AccessDerivation(lambda: username_tags(self._connected_center()), clock=time.monotonic)
        desired = desired_access([intents], derivation)
        found: dict[str, Wanted] = {each.subject.arn: each.reason.text for each in desired.refused}
        for claim in desired.claims:
            name = claim.grant.permission_set
            found[claim.subject.arn] = access_state.RequiredSet(name, desired.permission_sets[name])
        return found

    def _connected_center(self) -> Center:
        if self._center is None:
            region = self._data.get("region") or self._manager.config.region
            session = identity_center_session(self._manager, self._data.get("role"), region)
            self._center = connect(session, region, Backoff())
            for client in self._center.clients.values():
                self._calls.attach(client)
        return self._center

    def _connected(self) -> AccessReader:
        if self._reader is None:
            self._reader = AccessReader.of(self._connected_center())
        return self._reader
