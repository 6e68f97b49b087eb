# SPDX-License-Identifier: Apache-2.0
"""The action ``provision-identity-center``: the people behind IAM users get a better way in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.actions import BaseAction
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.utils import type_schema

from c7n_iamusers.actions.access_provisioning import AccessProvisioning
from c7n_iamusers.actions.identity_center_session import identity_center_session
from c7n_iamusers.actions.provisioning_outcomes import failed
from c7n_iamusers.actions.provisioning_schema import PERMISSIONS, PROPERTIES, REQUIRED
from c7n_iamusers.actions.provisioning_settings import ProvisioningSettings
from c7n_iamusers.actions.run_output import (
    JOURNAL,
    annotate,
    fail_at_the_end,
    output_directory,
    write_outcomes,
)
from c7n_iamusers.actions.shared_access import SharedAccess
from c7n_iamusers.aws.executor import Executor
from c7n_iamusers.aws.identity_center import resolve_instance
from c7n_iamusers.aws.journal import Journal
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.decisions.people import Candidate, identify
from c7n_iamusers.exceptions import IamUsersError, InvalidPolicyData
from c7n_iamusers.lambda_packaging import validate_lambda_packaging
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.identity_center import Access, Instance
from c7n_iamusers.model.outcome import Outcome

Resource = dict[str, Any]


class ProvisionIdentityCenter(BaseAction):  # type: ignore[misc]  # c7n is untyped
    """Gives the people behind IAM users access through IAM Identity Center, for one account at a time.

    Finds or creates the permission set, the group, the group's assignment to the users' account (waiting
    until it has SUCCEEDED), and each person's user and membership. A second run changes nothing.

    Nobody gets more than was asked for:

    - An existing user is adopted only where username and e-mail both lead to it; otherwise the IAM user is
      refused. Tags are claims: whoever holds iam:TagUser can name somebody else in them.
    - An existing group is used only if this action made it for this account (its description begins
      ``Managed by c7n-iamusers for account``), it holds nothing but this permission set in this account,
      and, before it is first assigned, it has no members from elsewhere. ``shared-group: true`` lifts all
      three. A group of an external identity provider needs only the second.
    - An existing permission set is changed only if it has the tag ``c7n-iamusers=managed``; what differs is
      mended and provisioned to every account that has the set.

    ``identity-source`` says where people come from, since no API tells: ``identity-center`` creates them
    there; under ``external`` (an identity provider, Active Directory) users, groups and memberships are
    looked up only, and each user's outcome says what the provider's owner must add.

    ``user`` says where to find what of a person: ``tag:Key`` or a JMESPath over the user, or a list of
    them, of which the first that yields a text counts. The names default to ``UserName``.

    ``role`` is assumed for the Identity Center calls, with the credentials of whoever runs Cloud Custodian
    and not with the member account's role that c7n-org assumes: its trust policy must name that runner.
    Without it the policy's own session is used. It should be a role of the management account: a
    delegated administrator can't assign in that account, and can't ask what else a group is assigned to.
    To assign in the management account itself, the role needs, beside this action's permissions, those on
    IAM roles under ``aws-reserved/sso.amazonaws.com/`` that the user guide of Identity Center lists
    (AttachRolePolicy, CreateRole, GetRole, ListAttachedRolePolicies, ListRolePolicies, PutRolePolicy,
    UpdateRole and so on) and iam:GetSAMLProvider, iam:ListRoles, iam:ListPolicies.

    The policy's output directory then holds ``journal.jsonl`` (a line before and after each call) and
    ``outcomes.json`` (a row a user: provisioned, unchanged, skipped or failed, with the reason). The same
    stands on the resource, as ``c7n:IamUser`` -> ``provisioning``, for a ``notify`` that follows. One
    user's failure touches no other; the run ends with an error after the later actions have run. Where
    Identity Center itself is not as it must be, nothing is touched and the policy ends at once.

    Identity Center sends no mail to users created so: the notice must say how to sign in the first time.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-provision
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: unnecessary
            actions:
              - type: provision-identity-center
                identity-source: identity-center
                role: arn:aws:iam::123456789012:role/IdentityCenterProvisioning
                region: us-east-1
                user:
                  username: tag:Email
                  email: tag:Email
                  given-name: [tag:GivenName, UserName]
                  family-name: [tag:FamilyName, UserName]
                  display-name: UserName
                group: iam-{account_id}-readonly
                permission-set:
                  name: IamMigratedReadOnly
                  description: Reads what the IAM users of an account could read
                  session-duration: PT1H
                  managed-policies:
                    - arn:aws:iam::aws:policy/ReadOnlyAccess
    """

    schema = type_schema("provision-identity-center", required=REQUIRED, **PROPERTIES)
    schema_alias = False
    permissions = PERMISSIONS

    def get_permissions(self) -> tuple[str, ...]:
        """The IAM actions that are needed: those of Identity Center in the role's account, where there is a role."""
        return (*self.permissions, "sts:AssumeRole") if self.data.get("role") else self.permissions

    def validate(self) -> ProvisionIdentityCenter:
        """Raises PolicyValidationError for what can be told without AWS."""
        validate_lambda_packaging(self.manager)
        mode = self.manager.data.get("mode", {}).get("type", "pull")
        try:
            self._settings().check(in_lambda=mode != "pull")
        except InvalidPolicyData as error:
            raise PolicyValidationError(str(error)) from error
        return self

    def process(self, resources: list[Resource]) -> None:
        """Provision each user. Raises PolicyExecutionError before anything is touched where that can't be done."""
        if not resources:
            return
        directory = output_directory(self.manager)
        settings = self._settings()
        users = [(_subject(resource), settings.texts(resource)) for resource in resources]
        account_id = self.manager.config.account_id or users[0][0].account_id
        candidates = identify(users, settings.told_keys, account_id)
        try:
            with Journal(directory / JOURNAL) as journal:
                access = settings.access(account_id)
                outcomes, instance = self._provision(access, candidates, journal)
        except (IamUsersError, ClientError, BotoCoreError) as error:
            write_outcomes(directory, [failed(candidate.subject, error) for candidate in candidates])
            raise PolicyExecutionError(self._told(account_id, error)) from error
        self._record(resources, candidates, outcomes, access, instance)
        write_outcomes(directory, outcomes)
        fail_at_the_end(self.manager, self.type, outcomes)

    def _settings(self) -> ProvisioningSettings:
        return ProvisioningSettings(self.data, f"policy {self.manager.data.get('name')}: {self.type}")

    def _provision(
        self, access: Access, candidates: Sequence[Candidate], journal: Journal
    ) -> tuple[list[Outcome], Instance]:
        region = self.data.get("region") or self.manager.config.region
        session = identity_center_session(self.manager, self.data.get("role"), region)
        clients = {name: session.client(name, region_name=region) for name in ("sso-admin", "identitystore")}
        backoff, timeout = Backoff(), self.data.get("timeout", 300)
        instance = resolve_instance(clients["sso-admin"], backoff)
        executor = Executor(clients, journal, backoff, timeout=timeout)
        shared = SharedAccess.through(clients, access, instance, executor, backoff, timeout)
        return AccessProvisioning(shared)(candidates), instance

    def _told(self, account_id: str, error: Exception) -> str:
        role = self.data.get("role")
        who = f"role {role} (assumed by whoever runs Cloud Custodian)" if role else "the policy's own session"
        return (
            f"policy {self.manager.data.get('name')}: account {account_id}: {self.type} through {who}: {error}. "
            "Nothing was touched. Where access is denied, give that role the permissions that this action declares, "
            "and let its trust policy name whoever runs Cloud Custodian"
        )

    def _record(
        self,
        resources: list[Resource],
        candidates: list[Candidate],
        outcomes: list[Outcome],
        access: Access,
        instance: Instance,
    ) -> None:
        for resource, candidate, outcome in zip(resources, candidates, outcomes, strict=True):
            person = candidate.person
            annotate(
                resource,
                "provisioning",
                {
                    "status": outcome.status,
                    "reason": outcome.reason,
                    "username": person.username if person else "",
                    "email": person.email if person else "",
                    "group": access.group,
                    "permission-set": access.permission_set.name,
                    "start-url": instance.portal,
                },
            )
            self.log.info("%s: %s %s %s", self.type, outcome.arn, outcome.status, outcome.reason)


def _subject(resource: Resource) -> Subject:
    return Subject(str(resource["UserName"]), str(resource["Arn"]), str(resource["UserId"]))
