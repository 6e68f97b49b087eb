# SPDX-License-Identifier: Apache-2.0
"""Whether the people behind IAM users have their access already, for filters and for actions that insist on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.exceptions import PolicyExecutionError
from c7n.utils import local_session

from c7n_iamusers.actions.identity_center_session import identity_center_session
from c7n_iamusers.actions.identity_settings import IdentitySettings, user_intents
from c7n_iamusers.actions.provisioning_settings import (
    asked_for_tags,
    derivation_settings,
    permission_set_of,
)
from c7n_iamusers.aws.access_check import PERMISSIONS, AccessReader, AccountAccess
from c7n_iamusers.aws.access_control_attributes import username_tags
from c7n_iamusers.aws.policy_source import read_policy_source
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.decisions.access_state import ABSENT, PENDING, AccessState, Wanted, access_state
from c7n_iamusers.decisions.derivation.standing import StandingProofs
from c7n_iamusers.decisions.desired_access import desired_access
from c7n_iamusers.decisions.earlier_names import may_stand_for
from c7n_iamusers.decisions.people import Candidate
from c7n_iamusers.exceptions import IamUsersError
from c7n_iamusers.fleet.center import Center, connect
from c7n_iamusers.fleet.deriving import Deriving
from c7n_iamusers.model.access import Claim
from c7n_iamusers.model.annotation import subject_of
from c7n_iamusers.model.identity_center import KnownPermissionSet
from c7n_iamusers.model.intents import Intents

Resource = dict[str, Any]


class AccessGate:
    """Reads Identity Center live.

    ``data``: what the filter ``identity-center`` takes, less ``state``. ``manager``: the policy's resource manager.
    """

    def __init__(self, manager: Any, data: Mapping[str, Any], where: str) -> None:
        self._manager, self._data, self._where = manager, data, where
        self._identity = IdentitySettings(data, where)
        self._center: Center | None = None
        self._reader: AccessReader | None = None
        self._proofs = StandingProofs()
        self._claims: dict[str, Claim] = {}

    def check(self, in_lambda: bool) -> None:
        """Raises InvalidPolicyData for what can be told without AWS."""
        self._identity.check(in_lambda)
        self._wanted()
        if self._data.get("derive"):
            derivation_settings(self._data["derive"], self._where)

    @property
    def permissions(self) -> tuple[str, ...]:
        """The IAM actions that a reading needs: those of Identity Center in the role's account."""
        assuming = ("sts:AssumeRole",) if self._data.get("role") else ()
        deriving = ("iam:GetAccountAuthorizationDetails",) if self._data.get("derive") else ()
        return (*PERMISSIONS, *assuming, *deriving, *asked_for_tags(self._data))

    def states(self, resources: Sequence[Resource]) -> dict[str, AccessState]:
        """ARN -> the state of each user's person, all by one reading of the account's assignments.

        Raises PolicyExecutionError where anything of it can't be read: then nobody's state is known.
        """
        if not resources:
            return {}
        try:
            return self._states(list(resources))
        except (IamUsersError, ClientError, BotoCoreError) as error:
            raise PolicyExecutionError(
                f"{self._where}: account {self._manager.config.account_id}: Identity Center can't be read: {error}. No "
                f"user was selected or touched. Give the role {', '.join(self.permissions)}, or run again"
            ) from error

    def _states(self, resources: list[Resource]) -> dict[str, AccessState]:
        account_id = self._manager.config.account_id or subject_of(resources[0]).account_id
        candidates = self._identity.candidates(resources, account_id, self._identity.people())
        wanted = self._wanted_by_user(candidates, account_id)
        reader = self._connected()
        known = [each for each in wanted.values() if isinstance(each, Wanted)]
        earlier = {claim.earlier.grant.permission_set for claim in self._claims.values() if claim.earlier}
        names = {each.name for each in known} | earlier
        whole = bool(earlier) or any(each.form for each in known)
        access = reader.account(account_id, () if "" in names else names, whole)
        return {
            each.subject.arn: self._state(each, wanted[each.subject.arn], access, reader)
            for each in candidates
        }

    def _state(
        self, candidate: Candidate, wanted: Wanted | str, access: AccountAccess, reader: AccessReader
    ) -> AccessState:
        if candidate.person is None:
            return AccessState(ABSENT, f"{candidate.subject}: {candidate.problem}")
        if isinstance(wanted, str):
            return AccessState(PENDING, wanted)
        by_username, by_email, groups = reader.person(candidate.person)
        held = access.of(by_username.user_id, groups) if by_username else ()
        if earlier := self._earlier(candidate.subject.arn, held):
            wanted = Wanted(earlier)
        return access_state(candidate.person, by_username, by_email, held, access.account_id, wanted)

    def _earlier(self, arn: str, held: Iterable[KnownPermissionSet]) -> str:
        """The name of a set that the version before named, and that the person still has its access by."""
        claim = self._claims.get(arn)
        if claim is None or claim.earlier is None:
            return ""
        name = claim.earlier.grant.permission_set
        found = (each for each in held if each.settings.name == name)
        return next((name for each in found if may_stand_for(claim, each, self._proofs)), "")

    def _wanted(self) -> Wanted:
        given = self._data.get("permission-set", "")
        if isinstance(given, str):
            return Wanted(given)
        form = permission_set_of(given, f"{self._where}: permission-set")
        return Wanted(form.name, form)

    def _wanted_by_user(self, candidates: list[Candidate], account_id: str) -> Mapping[str, Wanted | str]:
        """What each user's person must have, or why that can't be told."""
        if not self._data.get("derive"):
            wanted = self._wanted()
            return {each.subject.arn: wanted for each in candidates}
        client = local_session(self._manager.session_factory).client("iam", self._manager.config.region)
        source, details = read_policy_source(client, Backoff())
        users = user_intents(candidates, details)
        options = derivation_settings(self._data["derive"], self._where)
        intents = Intents(account_id, self._where, users, derive=options, source=source)
        deriving = Deriving(self._username_tags)
        desired = desired_access([intents], deriving)
        self._proofs = deriving.proofs
        self._claims = {claim.subject.arn: claim for claim in desired.claims}
        found: dict[str, Wanted | str] = {each.subject.arn: each.reason for each in desired.refused}
        return {
            **found,
            **{claim.subject.arn: Wanted(claim.grant.permission_set) for claim in desired.claims},
        }

    def _username_tags(self) -> frozenset[str]:
        center = self._connected_center()
        return username_tags(center.clients["sso-admin"], center.instance, center.backoff)

    def _connected_center(self) -> Center:
        if self._center is None:
            region = self._data.get("region") or self._manager.config.region
            session = identity_center_session(self._manager, self._data.get("role"), region)
            self._center = connect(session, region, Backoff())
        return self._center

    def _connected(self) -> AccessReader:
        if self._reader is None:
            center = self._connected_center()
            self._reader = AccessReader.through(center.clients, center.instance, center.backoff)
        return self._reader
