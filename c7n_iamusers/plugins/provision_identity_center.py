# SPDX-License-Identifier: Apache-2.0
"""The action ``provision-identity-center``: the people behind IAM users get access through Identity Center."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.actions import BaseAction
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.utils import local_session, type_schema

from c7n_iamusers.exceptions import IamUsersError, IdentityCenterError, InvalidPolicyData
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.client import Backoff, describe, error_code
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.execution.outcomes import FAILED, Outcome, write_outcomes
from c7n_iamusers.execution.stores import DirectoryStore, Store
from c7n_iamusers.iam.accounts import PolicySource, read_policy_source
from c7n_iamusers.identity_center.access_run import AccessRun, Report
from c7n_iamusers.identity_center.aws.instance import Center, connect, username_tags
from c7n_iamusers.identity_center.claimed_people import PeopleAuthority
from c7n_iamusers.identity_center.deriving import Deriving
from c7n_iamusers.identity_center.desired import desired_access
from c7n_iamusers.identity_center.intent_files import write_intents
from c7n_iamusers.identity_center.intents import INTENDED, INTENTS_FILE, Intents
from c7n_iamusers.identity_center.model import Instance
from c7n_iamusers.identity_center.people import AGAINST
from c7n_iamusers.identity_center.plan import Evidence
from c7n_iamusers.identity_center.plan_files import refuse_unreviewed
from c7n_iamusers.identity_center.reports import write_people_to_add
from c7n_iamusers.identity_center.run_lock import NoPlaceForLock, only_writer
from c7n_iamusers.identity_center.run_records import apply_and_record, asks_to_stop
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from c7n_iamusers.plugins.identity_center import identity_center_session, require_keys
from c7n_iamusers.plugins.lambda_packaging import is_pull, validate_lambda_packaging
from c7n_iamusers.plugins.provisioning_settings import (
    INTENT,
    PERMISSIONS,
    PROPERTIES,
    REQUIRED,
    ProvisioningSettings,
    asked_for_tags,
    user_intents,
)
from c7n_iamusers.plugins.resources import annotate, subject_of
from c7n_iamusers.plugins.run_outputs import fail_at_the_end, output_directory, run_store
from c7n_iamusers.plugins.user_action import idle_region
from c7n_iamusers.text.wording import visible

_REVIEW = "use mode: intent, and apply by c7n-iamusers provision a plan that was reviewed (--plan)"
#: What a notice is told of a user who was refused.
NOTHING: Mapping[str, str] = dict.fromkeys(("username", "email", "group", "permission-set"), "")


def failed(subject: Subject, error: Exception) -> Outcome:
    """The failure of ``subject`` by ``error``, naming user and account."""
    return Outcome(subject.name, subject.arn, FAILED, describe(subject, error), code=error_code(error))


def refuse_as_a_whole(report: Report) -> None:
    """Raises IdentityCenterError where nothing can be done for anybody, because of what all of them share."""
    plan = report.plan
    shared = next((each for each in plan.refused if each.shared), None)
    if shared and not (plan.served or plan.missing):
        raise IdentityCenterError(shared.reason)


def intended_outcomes(intents: Intents) -> list[Outcome]:
    """A user whose person can't be told has failed; what the others need is on record."""
    return [
        Outcome(user.subject.name, user.subject.arn, INTENDED, f"{user.subject}: see {INTENTS_FILE}")
        if user.person
        else Outcome(
            user.subject.name,
            user.subject.arn,
            FAILED,
            f"{user.subject}: {user.problem}",
            code="InvalidPerson",
        )
        for user in intents.users
    ]


def intended_claims(intents: Intents) -> dict[str, Mapping[str, str]]:
    """ARN -> what the user's person is to have, for a notice."""
    wanted = intents.permission_set.name if intents.permission_set else ""
    return {
        user.subject.arn: {
            "username": user.person.username if user.person else "",
            "email": user.person.email if user.person else "",
            "group": intents.group,
            "permission-set": wanted,
        }
        for user in intents.users
    }


def access_by_user(report: Report) -> dict[str, Mapping[str, str]]:
    """ARN -> what the user's person has, or would have, for a notice."""
    found: dict[str, Mapping[str, str]] = {}
    for claim in report.desired.claims:
        person = report.desired.people[claim.person]
        found[claim.subject.arn] = {
            "username": person.username,
            "email": person.email,
            "group": claim.group,
            "permission-set": claim.grant.permission_set,
        }
    return found


Resource = dict[str, Any]


class ProvisionIdentityCenter(BaseAction):  # type: ignore[misc]  # c7n is untyped
    """Gives the people behind IAM users access through IAM Identity Center.

    The permission set, the group, the group's assignment to the users' account (until it has SUCCEEDED), and each
    person's user and membership are found or created. A second run changes nothing, and one that was killed is
    carried on by the next. 20 calls a second, 15 assignments at once: what Identity Center allows.

    ``mode: intent`` calls Identity Center not at all: it writes ``identity-center-intents.json``, and
    ``c7n-iamusers provision -s OUTPUT_DIR -u POLICIES --member-role 'arn:aws:iam::{account_id}:role/NAME'`` brings
    about what all accounts ask for: the file is a claim, good for a day, that role reads users and their policies
    again, and what is asked for must be what POLICIES ask for. Over many accounts that is the way, since those limits
    are shared by all of c7n-org's processes. ``mode: apply`` (default) does it at once, for one account, by the same
    plan.

    Nobody gets more than was asked for:

    - An existing user is adopted only where username and e-mail both lead to it; otherwise the IAM user is
      refused. Tags are claims: whoever holds iam:TagUser can name somebody else in them. ``people-from``, a csv,
      json or yaml file with the columns account, user, email, username, given-name, family-name, display-name,
      outranks them. The e-mail alone suffices: it is the username, and the names are taken from it. Where a tag
      says otherwise the file counts, and that is reported; of two users who claim one username or e-mail, only the
      one that rests on tags alone is refused. ``people-from: {file: people.csv, only: true}`` refuses whom the file
      does not name. ``email-domains`` refuses addresses of other domains. Addresses that mix scripts are refused.
      With ``mode: intent``, ``c7n-iamusers provision -u`` takes these settings from the policy's file; without ``-u``
      give it the same, as ``--people-from`` and ``--email-domain``: it takes nobody's word for who a person is but the
      account's (``--email-tag``) and that file's.
    - An existing group is used only if this action made it for this account (its description begins
      ``Managed by c7n-iamusers for account``), it holds nothing but this permission set in this account,
      and, before it is first assigned, it has no members from elsewhere. ``shared-group: true`` lifts all
      three. A group of an external identity provider needs only the second.
    - An existing permission set is changed only if it has the tag ``c7n-iamusers=managed``; what differs is
      mended and provisioned to every account that has the set.

    Instead of ``group`` and ``permission-set``, ``derive: true`` (or its options) derives both from each user's
    own policies, and refuses whom it would give more than that, or of whom that can't be decided. ``derive:
    {accept: [{account: "111122223333", user: NAME, verdict: wider, remark: WHY, expires: 2027-12-31}]}`` lets one
    user have its set all the same, until the end of that day. ``username-tag`` counts only where Identity Center has
    an attribute for access control of that key whose value is ``${path:userName}``.

    ``identity-source`` says where people come from, since no API tells: ``identity-center`` creates them
    there; under ``external`` (an identity provider, Active Directory) users, groups and memberships are
    looked up only, and ``people-to-add.csv`` says what the provider's owner must add.

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

    Of all processes of a user on a machine one plans and writes at a time; the others wait up to ``timeout`` seconds
    for each one before them, then fail their users and say who writes. Where no lock can be made, as in AWS Lambda, a
    warning says so, and the run goes on.

    The policy's output directory, or with s3 output ``PREFIX/<account id>/<policy>/``, then holds ``outcomes.json``
    (a row a user: provisioned, unchanged, skipped, intended or failed, with the reason) and, for a run that changed
    anything, ``identity-center-runs/<time>/`` with ``journal.jsonl`` (a line before and after each call; with s3
    output the objects ``journal/*/*.jsonl``) and ``result.json``, which ``c7n-iamusers provision --undo`` takes. The
    outcome also stands on the resource, as ``c7n:IamUser`` -> ``provisioning``, for a ``notify`` that follows. One
    user's failure touches no other; the run ends with an error after the later actions have run. Where Identity
    Center itself is not as it must be, nothing is touched and the policy ends at once.

    Identity Center sends no mail to users created so: the notice must say how to sign in the first time.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-provision
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: unnecessary
                exempt:
                  - path: /emergency/*
                    reason: break-glass access, sealed in the safe
                    expires: "2027-12-31"
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

    schema = type_schema("provision-identity-center", required=list(REQUIRED), **PROPERTIES)
    schema_alias = False
    permissions = PERMISSIONS

    def __init__(self, data: Any = None, manager: Any = None, log_dir: Any = None) -> None:
        super().__init__(data, manager, log_dir)
        derive = self.data.get("derive")
        for row in (derive.get("accept") if isinstance(derive, dict) else None) or ():
            # YAML reads an unquoted date as one, which c7n can't write into its metadata.
            if isinstance(row, dict) and type(row.get("expires")) is date:
                row["expires"] = row["expires"].isoformat()

    def get_permissions(self) -> tuple[str, ...]:
        """The IAM actions that are needed: those of Identity Center in the role's account, where there is a role."""
        reading = ("iam:GetAccountAuthorizationDetails",) if self._settings().derives else ()
        if self._settings().mode == INTENT:
            return reading
        assuming = ("sts:AssumeRole",) if self.data.get("role") else ()
        return (*self.permissions, *assuming, *reading, *asked_for_tags(self.data))

    def validate(self) -> ProvisionIdentityCenter:
        """Raises PolicyValidationError for what can be told without AWS."""
        validate_lambda_packaging(self.manager)
        require_keys(self.manager, self.type, self.data, REQUIRED)
        try:
            self._settings().check(not is_pull(self.manager))
        except InvalidPolicyData as error:
            raise PolicyValidationError(str(error)) from error
        return self

    def process(self, resources: list[Resource]) -> None:
        """Provision each user; nobody in a Region that leaves IAM to another one of the run.

        Raises PolicyExecutionError before anything is touched where that can't be done.
        """
        if not resources:
            return
        if idle := idle_region(self.manager):
            self.log.info("%s: %s", self.type, idle)
            return
        output = self._output()
        account_id = self.manager.config.account_id or subject_of(resources[0]).account_id
        with ExitStack() as locks:
            try:
                intents = self._intents(resources, account_id)
                planned = None if self._settings().mode == INTENT else self._plan(intents, output, locks)
            except (IamUsersError, ClientError, BotoCoreError) as error:
                write_outcomes(output, [failed(subject_of(resource), error) for resource in resources])
                raise PolicyExecutionError(self._told(account_id, error)) from error
            if planned is None:
                self._leave_intents(output, resources, intents)
            else:
                self._apply(output, resources, *planned)

    def _output(self) -> Store:
        """The output directory; with s3 output the prefix that is the same for every run of the policy."""
        if getattr(self.manager.ctx.output, "type", "") == "s3":
            return run_store(self.manager).store
        return DirectoryStore(output_directory(self.manager))

    def _settings(self) -> ProvisioningSettings:
        return ProvisioningSettings(self.data, f"policy {self.manager.data.get('name')}: {self.type}")

    def asked(self, account_id: str) -> Intents:
        """What is asked for in the account, its users left out. Raises InvalidPolicyData, also for variables left."""
        return self._settings().intents(account_id, str(self.manager.data.get("name")))

    def authority(self) -> PeopleAuthority:
        """What the policy says of people, for whoever applies its intents. Raises InvalidPolicyData."""
        return self._settings().identity.authority()

    def _intents(self, resources: list[Resource], account_id: str) -> Intents:
        settings, intents = self._settings(), self.asked(account_id)
        people = settings.identity.people()
        for fault in people.told_faults() if people else ():
            self.log.warning("%s: %s", self.type, fault)
        candidates = settings.identity.candidates(resources, account_id, people)
        for each in candidates:
            if AGAINST in each.rests_on:
                self.log.warning("%s: %s rests on %s", self.type, each.subject, visible(each.rests_on))
        details: dict[str, Mapping[str, Any]] = {}
        source = PolicySource()
        if settings.derives:
            client = local_session(self.manager.session_factory).client("iam", self.manager.config.region)
            source, details = read_policy_source(client, Backoff())
        return replace(intents, users=user_intents(candidates, details), source=source)

    def _leave_intents(self, output: Store, resources: list[Resource], intents: Intents) -> None:
        path = write_intents(output, intents)
        self.log.info("%s: the intents of %d users are in %s", self.type, len(intents.users), path)
        self._end(output, resources, intended_outcomes(intents), intended_claims(intents), "")

    def _plan(self, intents: Intents, output: Store, locks: ExitStack) -> tuple[Center, AccessRun, Report]:
        region = self.data.get("region") or self.manager.config.region
        session = identity_center_session(self.manager, self.data.get("role"), region)
        center = connect(session, region, Backoff())
        self._take_turn(center.instance, output, locks)
        deriving = Deriving(
            lambda: username_tags(center.clients["sso-admin"], center.instance, center.backoff)
        )
        run = AccessRun(center, desired_access([intents], deriving), Evidence(deriving.proofs))
        for warning in deriving.warnings:
            self.log.warning("%s: %s", self.type, warning)
        report = run.plan()
        refuse_as_a_whole(report)
        refuse_unreviewed(report.plan, _REVIEW, changes_only=True)
        return center, run, report

    def _take_turn(self, instance: Instance, output: Store, locks: ExitStack) -> None:
        """c7n-org's processes plan and apply one after the other: what one makes, the next one finds."""
        try:
            locks.enter_context(only_writer(instance, output, self._timeout))
        except NoPlaceForLock as error:
            self.log.warning("%s: %s. Going on without: see that nothing else writes", self.type, error)

    @property
    def _timeout(self) -> float:
        return float(self.data.get("timeout", 300))

    def _apply(
        self, output: Store, resources: list[Resource], center: Center, run: AccessRun, report: Report
    ) -> None:
        with Interruption() as interruption:
            options = ApplyOptions(self._timeout, stopped=lambda: asks_to_stop(interruption))
            report, _ = apply_and_record(run, report, center, output, options)
        write_people_to_add(output, report.desired, report.plan.missing)
        outcomes = [outcome for _, outcome in report.outcomes()]
        portal = center.instance.portal
        self._end(output, resources, outcomes, access_by_user(report), portal, report.strangers)
        interruption.exit_if_stopped()

    def _end(
        self,
        output: Store,
        resources: list[Resource],
        outcomes: Iterable[Outcome],
        access: Mapping[str, Mapping[str, str]],
        portal: str,
        faults: Iterable[str] = (),
    ) -> None:
        by_arn = {outcome.arn: outcome for outcome in outcomes}
        found = [by_arn[subject_of(resource).arn] for resource in resources]
        write_outcomes(output, found)
        for resource, outcome in zip(resources, found, strict=True):
            told = {"status": outcome.status, "reason": outcome.reason, "start-url": portal}
            annotate(resource, "provisioning", {**told, **access.get(outcome.arn, NOTHING)})
            self.log.info("%s: %s %s %s", self.type, outcome.arn, outcome.status, visible(outcome.reason))
        fail_at_the_end(self.manager, self.type, found, faults)

    def _told(self, account_id: str, error: Exception) -> str:
        role = self.data.get("role")
        who = f"role {role} (assumed by whoever runs Cloud Custodian)" if role else "the policy's own session"
        return (
            f"policy {self.manager.data.get('name')}: account {account_id}: {self.type} through {who}: {error}. "
            "Nothing was touched. Where access is denied, give that role the permissions that this action declares, "
            "and let its trust policy name whoever runs Cloud Custodian"
        )
