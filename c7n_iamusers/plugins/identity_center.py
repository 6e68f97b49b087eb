# SPDX-License-Identifier: Apache-2.0
"""The filter ``identity-center``: whether an IAM user's person has access through IAM Identity Center."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.credentials import assumed_session
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.filters import Filter
from c7n.utils import local_session, type_schema

from c7n_iamusers.evidence.index import ACCOUNT
from c7n_iamusers.evidence.working_credentials import PIECES, WorkingCredentials, credentials_of_users
from c7n_iamusers.exceptions import IamUsersError, InvalidPolicyData
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.accounts import read_policy_source
from c7n_iamusers.iam.user import Item
from c7n_iamusers.identity_center import access_state
from c7n_iamusers.identity_center.access_derivation import AccessDerivation
from c7n_iamusers.identity_center.aws.access_check import PERMISSIONS, AccessReader, AccountAccess, Found
from c7n_iamusers.identity_center.aws.instance import Center, connect, username_tags
from c7n_iamusers.identity_center.model import Person
from c7n_iamusers.identity_center.requests.desired import desired_access
from c7n_iamusers.identity_center.requests.intents import Intents
from c7n_iamusers.identity_center.requests.member_accounts import PERMISSIONS as READING
from c7n_iamusers.identity_center.requests.people import Candidate
from c7n_iamusers.identity_center.sign_ins import SignIns, parse_sign_ins, require_fresh, unproven
from c7n_iamusers.plugins import provisioning_settings
from c7n_iamusers.plugins.policy_checks import (
    DAYS,
    check_options,
    is_pull,
    require_bounded,
    require_own_account,
    validate_lambda_packaging,
)
from c7n_iamusers.plugins.resources import AccountReadings, annotate, subject_of
from c7n_iamusers.plugins.run_outputs import content_at, visible_errors, write_privately
from c7n_iamusers.safeguards.gates import Calls
from c7n_iamusers.text.wording import visible_log


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


def require_keys(manager: Any, plugin: str, data: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Raises PolicyValidationError if a plugin lacks ``keys``. c7n's schema also accepts just the plugin's name."""
    if missing := [key for key in keys if key not in data]:
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: {plugin} lacks {', '.join(missing)}: write '- type: {plugin}' and, "
            f"below it, {', '.join(keys)} and what else it needs, as in custodian schema aws.iam-user"
        )


Resource = dict[str, Any]
#: What a person must have, or why that is not known.
Wanted = access_state.RequiredSet | str


#: The default of ``used-within``, in days.
USED_WITHIN = 30


@dataclass(frozen=True)
class _Use:
    """The sign-ins of the organization, the account's roles, and since when a sign-in counts."""

    sign_ins: SignIns
    roles: tuple[Item, ...]
    after: datetime

    def proven(self, found: access_state.AccessState, account_id: str, name: str) -> access_state.AccessState:
        """``found`` (PROVISIONED) as USED if the person has signed in by it; otherwise with the reason why not."""
        problem = unproven(self.sign_ins, found.user_id, account_id, name, self.roles, self.after)
        if problem:
            return replace(found, reason=f"{found.reason}, but {problem}")
        return replace(found, state=access_state.USED, reason=f"{found.reason}, and has signed in by it")


class AccessGate:
    """Reads the access of users' people in Identity Center.

    ``data``: the options of the filter ``identity-center``, except ``state``. ``manager``: the policy's resource
    manager. ``calls``: counts the calls to Identity Center.
    """

    def __init__(self, manager: Any, data: Mapping[str, Any], where: str, calls: Calls | None = None) -> None:
        self._manager, self._data, self._where, self._calls = manager, data, where, calls or Calls()
        self._identity = provisioning_settings.IdentitySettings(data, where)
        self._center: Center | None = None
        self._reader: AccessReader | None = None
        self._use: _Use | None = None

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
        details = self._data.get("derive") or self._data.get("sign-ins")
        deriving: tuple[str, ...] = ("iam:GetAccountAuthorizationDetails",) if details else ()
        derive = self._data.get("derive")
        if isinstance(derive, Mapping) and derive.get("identity-center-mfa"):
            deriving = READING
        return (
            *PERMISSIONS,
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

        Who its person is, and what it must have, is found out once. The account's assignments are read once a time.
        Raises PolicyExecutionError if the users are of another account, or anything can't be read; so does the result.
        """
        require_own_account(self._manager, resources)
        if not resources:
            return dict
        account_id = self._manager.config.account_id or subject_of(resources[0]).account_id
        with self._unreadable():
            people = self._identity.people()
            candidates = self._identity.candidates(list(resources), account_id, people)
            wanted = self._wanted_by_user(candidates, account_id)

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
        asked = (each for each in candidates if not isinstance(wanted[each.subject.arn], str))
        found = reader.people({each.person: None for each in asked if each.person}, access)
        if place := self._data.get("sign-ins"):
            self._use = self._read_use(str(place))
        return {
            each.subject.arn: self._state(each, wanted[each.subject.arn], access, found)
            for each in candidates
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
        if self._use is None or state.state != access_state.PROVISIONED:
            return state
        return self._use.proven(state, access.account_id, wanted.name)

    def _read_use(self, place: str) -> _Use:
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
        after = now - timedelta(days=self._data.get("used-within", USED_WITHIN))
        return _Use(sign_ins, roles, after)

    def _wanted(self) -> access_state.RequiredSet:
        given = self._data.get("permission-set", "")
        if isinstance(given, str):
            return access_state.RequiredSet(given)
        form = provisioning_settings.permission_set_of(given, f"{self._where}: permission-set")
        return access_state.RequiredSet(form.name, form)

    def _wanted_by_user(self, candidates: list[Candidate], account_id: str) -> Mapping[str, Wanted]:
        """The ARN of each user -> what its person must have, or why that is not known."""
        if not self._data.get("derive"):
            wanted = self._wanted()
            return {each.subject.arn: wanted for each in candidates}
        client = local_session(self._manager.session_factory).client("iam", self._manager.config.region)
        created: dict[str, Any] = {}
        source, details = read_policy_source(client, Backoff(), created=created)
        options = provisioning_settings.derivation_settings(self._data["derive"], self._where)
        credentials: Mapping[str, WorkingCredentials] = {}
        if options.get("identity-center-mfa"):
            inventory = AccountReadings.of(self._manager).inventory(PIECES, Backoff())
            credentials = credentials_of_users(inventory, details, created, utc_now())
        names_in = self._identity.names_in(self._identity.people())
        users = provisioning_settings.user_intents(candidates, details, credentials, names_in)
        intents = Intents(account_id, self._where, users, derive=options, source=source)
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


REQUIRED = ("state",)


class IdentityCenter(Filter):  # type: ignore[misc]  # c7n is untyped
    """Selects IAM users by the access that their people have through IAM Identity Center, read live.

    - ``provisioned``: username and e-mail identify the same enabled user, which has an assignment to this account with
      status SUCCEEDED, directly or through a group. With ``permission-set`` (a name, or a definition as for
      ``provision-identity-center``) or ``derive: true`` it must be exactly that permission set, provisioned in this
      account in its current form.
    - ``absent``: no user has that username and e-mail, that user is not the ``user-id`` of the people file, or the IAM
      user does not identify a person.
    - ``pending``: the user exists, and something else is missing.
    - ``used``: provisioned, and the person has signed in to this account by it in the last ``used-within`` days (30),
      by an event of its own in ``sign-ins``: the ``sign-ins.json`` that ``c7n-iamusers provision sign-ins`` writes, a
      path or ``s3://BUCKET/KEY``. If that can't be read, or ends more than 7 days ago, the policy fails and selects no
      user. The last use of the role can only refute it, as colleagues use the same role. With ``sign-ins``, users of
      the state ``used`` count as ``provisioned`` too.

    ``user``, ``people-from``, ``email-domains``, ``role`` and ``region`` are as for ``provision-identity-center``. Each
    user is annotated with ``c7n:IamUser`` -> ``identity-center``: ``state``, ``reason`` and, for those with access,
    ``username``, ``email``, ``permission-set``, ``start-url`` and ``region``, for a notice. If Identity Center can't be
    read, the policy fails and selects no user.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-with-a-better-way-in
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: unnecessary
                exempt:
                  - path: /emergency/*
                    reason: break-glass access, sealed in the safe
                    expires: "2027-12-31"
              - type: identity-center
                state: provisioned
                role: arn:aws:iam::123456789012:role/IdentityCenterReader
                region: us-east-1
                user:
                  username: tag:Email
                  email: tag:Email
                permission-set: IamMigratedReadOnly
    """

    log = visible_log("custodian.filters")
    schema = type_schema(
        "identity-center",
        required=list(REQUIRED),
        **{
            "state": {"enum": list(access_state.STATES)},
            "user": provisioning_settings.USER,
            "people-from": provisioning_settings.PEOPLE_FROM,
            "email-domains": provisioning_settings.EMAIL_DOMAINS,
            "role": provisioning_settings.TEXT,
            "region": provisioning_settings.TEXT,
            "permission-set": {"oneOf": [provisioning_settings.TEXT, provisioning_settings.PERMISSION_SET]},
            "derive": provisioning_settings.DERIVE,
            "sign-ins": provisioning_settings.TEXT,
            "used-within": DAYS,
        },
    )
    schema_alias = False

    def get_permissions(self) -> tuple[str, ...]:
        """The IAM actions that the filter needs; those of Identity Center in the account of ``role``, if given."""
        return self.gate().permissions

    def validate(self) -> IdentityCenter:
        """Raises PolicyValidationError for faults that can be found without AWS."""
        write_privately(self.manager)
        require_bounded(self.manager)
        check_options(self)
        validate_lambda_packaging(self.manager)
        require_keys(self.manager, self.type, self.data, REQUIRED)
        try:
            if self.data.get("derive") and "permission-set" in self.data:
                raise InvalidPolicyData(f"{self._where}: give either permission-set or derive, not both")
            if self.data["state"] == access_state.USED and "sign-ins" not in self.data:
                raise InvalidPolicyData(
                    f"{self._where}: state: {access_state.USED} rests on sign-ins: name the sign-ins.json that "
                    "c7n-iamusers provision sign-ins writes"
                )
            self.gate().check(not is_pull(self.manager))
        except InvalidPolicyData as error:
            raise PolicyValidationError(str(error)) from error
        return self

    @visible_errors
    def process(self, resources: list[Resource], event: Any = None) -> list[Resource]:
        """The users in the given ``state``, annotated. Raises PolicyExecutionError if that can't be read."""
        gate = self.gate()
        states = gate.states(resources)
        wanted = (
            {self.data["state"], access_state.USED}
            if self.data["state"] == access_state.PROVISIONED
            else {self.data["state"]}
        )
        selected = []
        for resource in resources:
            found = states[subject_of(resource).arn]
            annotation = {"state": found.state, "reason": found.reason}
            if found.username:
                annotation |= {"username": found.username, "email": found.email}
                annotation |= {"permission-set": found.permission_set, **gate.portal()}
            annotate(resource, "identity-center", annotation)
            if found.state in wanted:
                selected.append(resource)
        self.log.info(
            "identity-center: %d of %d users are %s", len(selected), len(resources), self.data["state"]
        )
        return selected

    @property
    def naming_tags(self) -> tuple[str, ...]:
        """The keys of the tags that may say who a user's person is."""
        return provisioning_settings.IdentitySettings(self.data, self._where).naming_tags

    def gate(self, calls: Calls | None = None) -> AccessGate:
        """The reader of users' access with this filter's options; also for an action that checks again."""
        return AccessGate(self.manager, self.data, self._where, calls)

    @property
    def _where(self) -> str:
        return f"policy {self.manager.data.get('name')}: identity-center"
