# SPDX-License-Identifier: Apache-2.0
"""The action ``provision-identity-center``: gives IAM users' people access through IAM Identity Center."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.actions import BaseAction
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.utils import local_session, type_schema

from c7n_iamusers import defaults, reasons
from c7n_iamusers.evidence.working_credentials import PIECES, credentials_of_users
from c7n_iamusers.exceptions import IamUsersError, IdentityCenterError, InvalidPolicyData
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.outcomes import FAILED, Outcome, failure_reason, write_outcomes
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.execution.stores import DirectoryStore, Store
from c7n_iamusers.iam.accounts import read_aws_policies, read_policy_source
from c7n_iamusers.identity_center.access_derivation import AccessDerivation
from c7n_iamusers.identity_center.applying.access_run import AccessRun, apply_and_record
from c7n_iamusers.identity_center.applying.center_lock import LockUnavailable
from c7n_iamusers.identity_center.applying.run_history import read_history
from c7n_iamusers.identity_center.applying.run_lock import instance_lock, lock_of_center
from c7n_iamusers.identity_center.aws import organization_policies
from c7n_iamusers.identity_center.aws.instance import Center, connect
from c7n_iamusers.identity_center.model import DesiredAccess
from c7n_iamusers.identity_center.output.plan_files import refuse_unreviewed
from c7n_iamusers.identity_center.output.reports import write_people_to_add
from c7n_iamusers.identity_center.output.run_report import Report, refused_outcome
from c7n_iamusers.identity_center.planning.plan_input import PlanEvidence
from c7n_iamusers.identity_center.requests.desired import desired_access
from c7n_iamusers.identity_center.requests.intent_checks import PeopleAuthority
from c7n_iamusers.identity_center.requests.intent_files import write_intents
from c7n_iamusers.identity_center.requests.intents import INTENDED, INTENTS_FILE, Intents, readable
from c7n_iamusers.identity_center.requests.member_accounts import PERMISSIONS as READING
from c7n_iamusers.identity_center.requests.people import AGAINST, hints
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from c7n_iamusers.plugins import people_of_users, provisioning_settings
from c7n_iamusers.plugins.access_gate import identity_center_session
from c7n_iamusers.plugins.identity_center import require_keys
from c7n_iamusers.plugins.lambda_packaging import validate_lambda_packaging
from c7n_iamusers.plugins.policy_checks import acts_on, check_options, is_pull, require_bounded
from c7n_iamusers.plugins.resources import AccountReadings, annotate, subject_of
from c7n_iamusers.plugins.run_outputs import fail_at_the_end, output_directory, run_store, visible_errors
from c7n_iamusers.text.wording import visible, visible_log

_REVIEW = "use mode: intent, and apply a reviewed plan with c7n-iamusers provision apply --plan"


def noticed_access(
    username: str = "", email: str = "", group: str = "", permission_set: str = ""
) -> dict[str, str]:
    """The access of a user's person, for a notice. By default that of a refused user."""
    return {"username": username, "email": email, "group": group, "permission-set": permission_set}


def refuse_as_a_whole(report: Report) -> None:
    """Raises IdentityCenterError if all users are refused because of a group or permission set that they share."""
    plan = report.plan
    shared = next((each for each in plan.refused if each.shared), None)
    if shared and not (plan.served or plan.missing):
        raise IdentityCenterError(str(dict(shared.reason.parameters)["why"]))


def intended_outcomes(intents: Intents, desired: DesiredAccess, scope: str = "") -> list[Outcome]:
    """The outcomes of users whose intents were written. ``desired``: what these intents alone come to.

    ``scope``: see ``Outcome``.

    A user that is refused by these will be refused by ``provision``, too, unless it changes until then.
    """
    refused = {each.subject.arn: refused_outcome(each) for each in desired.refused}
    verdicts = {claim.subject.arn: claim.verdict for claim in desired.claims}
    outcomes = [
        refused.get(user.subject.arn)
        or Outcome.of(
            user.subject,
            INTENDED,
            reasons.INTENDED(user=user.subject, file=INTENTS_FILE),
            verdict=verdicts.get(user.subject.arn, ""),
        )
        for user in intents.users
    ]
    return [replace(outcome, scope=scope) if outcome.verdict else outcome for outcome in outcomes]


def intended_claims(intents: Intents, desired: DesiredAccess) -> dict[str, Mapping[str, str]]:
    """ARN -> the requested access of the user's person, for a notice. Nothing for refused users."""
    refused = {each.subject.arn for each in desired.refused}
    name = intents.permission_set.name if intents.permission_set else ""
    return {
        user.subject.arn: noticed_access(user.person.username, user.person.email, intents.group, name)
        for user in intents.users
        if user.person and user.subject.arn not in refused
    }


def access_by_user(report: Report) -> dict[str, Mapping[str, str]]:
    """ARN -> the access of the user's person, for a notice. It is planned access if the run failed."""
    claims = ((claim, report.desired.people[claim.person]) for claim in report.desired.claims)
    return {
        claim.subject.arn: noticed_access(
            person.username, person.email, claim.group, claim.grant.permission_set
        )
        for claim, person in claims
    }


Resource = dict[str, Any]


class ProvisionIdentityCenter(BaseAction):  # type: ignore[misc]  # c7n is untyped
    """Gives the people of IAM users access through IAM Identity Center.

    Finds or creates the permission set, the group, the group's assignment to the users' account (until it has
    SUCCEEDED), and each person's user and membership. A second run changes nothing, and the next run continues a killed
    one. It keeps to Identity Center's limits: 20 calls per second, 15 assignments in progress.

    ``mode: intent`` does not call Identity Center. It writes ``identity-center-intents.json``, and ``c7n-iamusers
    provision apply -s OUTPUT_DIR -u POLICIES --member-role 'arn:aws:iam::{account_id}:role/NAME'`` applies the intents
    of all accounts: it accepts them for a day, reads users and policies again by that role, and checks the settings
    against POLICIES. Use it for many accounts, since all processes of c7n-org share the limits. ``mode: apply``
    (default) applies the same plan at once, for one account, and fails if a person has more than the IAM users by then.

    A user gets nothing if it has no console password and no active access key or signing certificate, by the account's
    credential report, or is in quarantine: nobody could use what its policies allow. It is skipped, and a row of
    ``accept`` with ``verdict: no-working-credentials`` or ``quarantined`` accepts it by name. If that can't be read, or
    the user was created after the report, it fails.

    No person gets more access than requested:

    - An existing user is adopted only if it has both the username and the e-mail; otherwise the IAM user is refused.
      Everyone with iam:TagUser can put another person into tags, so ``people-from`` overrides them: a csv, json or yaml
      file with the columns account, user, email, username, given-name, family-name, display-name, and user-id (of the
      person in the identity store, if the address was another's before). The e-mail is enough:
      it is the username, and the names are taken from it. Contradicting tags are reported. Of two users with the same
      username or e-mail, only the one that is not in the file is refused. Several users of the account with one address
      (selected or not, and those whose access by an earlier run the person still has) are refused unless the file has a
      row for each of them, as a team's address would be one person with all access. With ``mode: apply``, managed
      access without a record in this policy's output counts as another user's: keep one output for all its runs.
      ``people-from: {file: people.csv, only: true}`` refuses users that are not in the file. ``email-domains`` refuses
      addresses of other domains. Addresses that mix scripts, look like another's, or are not in Unicode form NFKC are
      refused. With ``mode: intent``, ``c7n-iamusers provision apply -u`` uses these settings of the policy; without
      ``-u`` give them as ``--people-from`` and ``--email-domain``. It accepts a person only if the file or the account
      (``--email-tag``) confirms it.
    - An existing group is used only if this action made it for this account (its description begins with
      ``Managed by c7n-iamusers for account``), it has only this permission set in this account, and, before it is first
      assigned, it has no other members. ``shared-group: true`` lifts all three. A group of an external identity
      provider needs only the second.
    - An existing permission set is changed only if it has the tag ``c7n-iamusers=managed``. Differences are corrected
      and provisioned to all its accounts.

    Instead of ``group`` and ``permission-set``, ``derive: true`` (or its options) derives both from each user's
    policies. A user is refused if the derived set would allow more, or if that can't be decided. ``derive: {accept:
    [{account: "111122223333", user: NAME, verdict: wider, remark: WHY, expires: 2027-12-31}]}`` accepts that for one
    user until the end of that day. A permission set by name is compared with each user's policies in the same way, and
    ``accept`` beside it takes the same rows; ``account: "*"`` and ``user: "*"`` accept it for all. The row of
    ``outcomes.json`` has the ``verdict``. ``username-tag`` counts only if Identity Center has an attribute for access
    control with that key and the value ``${path:userName}``.

    ``identity-source`` says where people come from, as no API returns it: ``identity-center`` creates them; with
    ``external`` (an identity provider, Active Directory) users, groups and memberships are only looked up, and
    ``people-to-add.csv`` says what the owner of the provider must add.

    ``user`` says where to find the texts of a person: ``tag:Key`` or a JMESPath over the user, or a list of these, of
    which the first with a text counts. The names default to ``UserName``.

    ``role`` is assumed for the Identity Center calls, with the credentials that Cloud Custodian runs with and not with
    the member account's role of c7n-org: its trust policy must name these. Without it the policy's own session is used.
    It should be a role of the management account: a delegated administrator can't assign in that account, and can't
    list the assignments of a group. To assign in the management account itself, the role also needs the permissions on
    IAM roles under ``aws-reserved/sso.amazonaws.com/`` that the user guide of Identity Center lists (AttachRolePolicy,
    CreateRole, GetRole, ListAttachedRolePolicies, ListRolePolicies, PutRolePolicy, UpdateRole and so on) and
    iam:GetSAMLProvider, iam:ListRoles, iam:ListPolicies.

    A run lock lets one process of a user on a machine plan and write at a time. The others wait up to ``timeout``
    seconds for each one before them; then their users fail, with the holder of the lock. If no lock can be made, as in
    AWS Lambda, a warning is logged, and the run continues.

    The policy's output directory, or with s3 output ``PREFIX/<account id>/<policy>/``, has ``outcomes.json`` (one row
    per user: provisioned, unchanged, skipped, intended or failed, with the reason) and, for a run with changes,
    ``identity-center-runs/<time>/`` with ``journal.jsonl`` (a line before and after each call; with s3 output the
    objects ``journal/*/*.jsonl``) and ``result.json``, for ``c7n-iamusers provision undo``. The outcome is also on
    the resource, as ``c7n:IamUser`` -> ``provisioning``, for a ``notify`` that follows. The failure of one user does
    not affect others; the run ends with an error after the later actions. If Identity Center itself can't be used,
    nothing is changed and the policy fails at once.

    Identity Center sends no mail to users that are created by API: the notice must say how to sign in the first time.

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
                derive: true
    """

    log = visible_log("custodian.actions")
    schema = type_schema(
        "provision-identity-center",
        required=list(provisioning_settings.REQUIRED),
        **provisioning_settings.PROPERTIES,
    )
    schema_alias = False
    permissions = provisioning_settings.PERMISSIONS

    def __init__(self, data: Any = None, manager: Any = None, log_dir: Any = None) -> None:
        super().__init__(data, manager, log_dir)
        derive = self.data.get("derive")
        rows = derive.get("accept") if isinstance(derive, dict) else self.data.get("accept")
        for row in rows or ():
            # YAML turns an unquoted date into a date object, which c7n can't write into its metadata.
            if isinstance(row, dict) and type(row.get("expires")) is date:
                row["expires"] = row["expires"].isoformat()

    def get_permissions(self) -> tuple[str, ...]:
        """The IAM actions that the action needs; those of Identity Center in the account of ``role``, if given."""
        if self._settings().mode == provisioning_settings.INTENT:
            return READING
        assuming = ("sts:AssumeRole",) if self.data.get("role") else ()
        return (*self.permissions_to_apply(), *assuming, *READING)

    def permissions_to_apply(self) -> tuple[str, ...]:
        """The IAM actions that planning and writing need in the account of Identity Center, in each mode."""
        return (
            *self.permissions,
            *provisioning_settings.username_tag_permission(self.data),
            *organization_policies.PERMISSIONS,
        )

    def validate(self) -> ProvisionIdentityCenter:
        """Raises PolicyValidationError for faults that can be found without AWS."""
        require_bounded(self.manager)
        check_options(self)
        validate_lambda_packaging(self.manager)
        require_keys(self.manager, self.type, self.data, provisioning_settings.REQUIRED)
        try:
            self._settings().check(not is_pull(self.manager))
        except InvalidPolicyData as error:
            raise PolicyValidationError(str(error)) from error
        return self

    @visible_errors
    def process(self, resources: list[Resource]) -> None:
        """Provision each user. In a Region that leaves IAM to another Region of the run, no user is provisioned.

        Raises PolicyExecutionError before the first change if Identity Center can't be used.
        """
        if not acts_on(self, resources) or not resources:
            return
        output = self._output()
        account_id = self.manager.config.account_id or subject_of(resources[0]).account_id
        with ExitStack() as locks:
            try:
                intents = readable(self._intents(resources, account_id))
                by_intents = self._settings().mode == provisioning_settings.INTENT
                planned = None if by_intents else self._plan(intents, output, locks)
                desired, scope = self._desired(intents) if by_intents else (DesiredAccess(), "")
            except (IamUsersError, ClientError, BotoCoreError) as error:
                failures = [
                    Outcome.of(user, FAILED, failure_reason(user, error), error=error_code(error))
                    for user in map(subject_of, resources)
                ]
                write_outcomes(output, [failure.at(utc_now()) for failure in failures])
                raise PolicyExecutionError(self._error_text(account_id, error)) from error
            if planned is None:
                self._write_intents(output, resources, intents, desired, scope)
            else:
                self._apply(output, resources, *planned)

    def _output(self) -> Store:
        """The output directory; with s3 output the prefix that all runs of the policy share."""
        if getattr(self.manager.ctx.output, "type", "") == "s3":
            return run_store(self.manager).store
        return DirectoryStore(output_directory(self.manager))

    def _settings(self) -> provisioning_settings.ProvisioningSettings:
        return provisioning_settings.ProvisioningSettings(
            self.data, f"policy {self.manager.data.get('name')}: {self.type}"
        )

    def asked(self, account_id: str) -> Intents:
        """The intents of the policy without users. Raises InvalidPolicyData, also for undefined variables."""
        return self._settings().intents(account_id, str(self.manager.data.get("name")))

    def authority(self) -> PeopleAuthority:
        """The policy's authority on people, for a run that applies its intents. Raises InvalidPolicyData."""
        return self._settings().identity.authority()

    def _intents(self, resources: list[Resource], account_id: str) -> Intents:
        settings, intents = self._settings(), self.asked(account_id)
        people = settings.identity.people()
        for fault in people.fault_lines() if people else ():
            self.log.warning("%s: %s", self.type, fault)
        candidates = settings.identity.candidates(resources, account_id, people)
        for candidate in candidates:
            if AGAINST in candidate.rests_on:
                self.log.warning(
                    "%s: %s rests on %s", self.type, candidate.subject, visible(candidate.rests_on)
                )
        for hint in hints(candidates):
            self.log.warning("%s: %s", self.type, hint)
        backoff, created = Backoff(), dict[str, Any]()
        client = local_session(self.manager.session_factory).client("iam", self.manager.config.region)
        source, details = read_policy_source(client, backoff, created=created)
        named = intents.permission_set.managed_policies if intents.permission_set else frozenset()
        documents = read_aws_policies(client, backoff, named - source.policies.keys())
        source = replace(source, policies={**documents, **source.policies})
        inventory = AccountReadings.of(self.manager).inventory(PIECES, backoff)
        selected = {candidate.subject.unique_id for candidate in candidates}
        asked = {key: detail for key, detail in details.items() if key in selected}
        credentials = credentials_of_users(inventory, asked, created, utc_now())
        names_in = settings.identity.names_in(people)
        users = people_of_users.user_intents(candidates, details, credentials, names_in)
        return replace(intents, users=users, source=source)

    def _desired(self, intents: Intents) -> tuple[DesiredAccess, str]:
        """What the intents come to by themselves, and the scope of the verdicts.

        Whether Identity Center has the username tag is not known here.
        """
        tag = str((intents.derive or {}).get("username-tag", ""))
        derivation = AccessDerivation(lambda: frozenset({tag}), clock=time.monotonic)
        desired = desired_access([intents], derivation, derivation.checks([intents]))
        return desired, derivation.scope(intents.account_id)

    def _write_intents(
        self,
        output: Store,
        resources: list[Resource],
        intents: Intents,
        desired: DesiredAccess,
        scope: str,
    ) -> None:
        path = write_intents(output, intents)
        self.log.info("%s: the intents of %d users are in %s", self.type, len(intents.users), path)
        outcomes, claims = intended_outcomes(intents, desired, scope), intended_claims(intents, desired)
        self._end(output, resources, outcomes, claims, {"start-url": ""})

    def _plan(self, intents: Intents, output: Store, locks: ExitStack) -> tuple[Center, AccessRun, Report]:
        region = self.data.get("region") or self.manager.config.region
        session = identity_center_session(self.manager, self.data.get("role"), region)
        center = connect(session, region, Backoff())
        self._take_lock(center, output, locks)
        derivation = AccessDerivation.at(lambda: center, time.monotonic)
        desired = desired_access([intents], derivation, derivation.checks([intents]))
        history = read_history(output, center.instance)
        run = AccessRun(center, desired, PlanEvidence(derivation.proofs, history, elsewhere=True))
        for warning in derivation.warnings:
            self.log.warning("%s: %s", self.type, warning)
        for line in derivation.scope_lines():
            self.log.info("%s: %s", self.type, line)
        report = run.plan()
        refuse_as_a_whole(report)
        refuse_unreviewed(report.plan, _REVIEW, changes_only=True)
        return center, run, report

    def _take_lock(self, center: Center, output: Store, locks: ExitStack) -> None:
        """Take the run locks: processes of c7n-org plan and apply one after the other, and find each other's objects.

        Those of other machines wait at the lock in Identity Center.
        """
        try:
            locks.enter_context(instance_lock(center.instance, output, self._timeout))
            locks.enter_context(lock_of_center(center, output, timeout=self._timeout))
        except LockUnavailable as error:
            self.log.warning(
                "%s: %s. The run continues without a lock: make sure that nothing else writes",
                self.type,
                error,
            )

    @property
    def _timeout(self) -> float:
        return float(self.data.get("timeout", defaults.ASSIGNMENT_TIMEOUT))

    def _apply(
        self, output: Store, resources: list[Resource], center: Center, run: AccessRun, report: Report
    ) -> None:
        with Interruption() as interruption:
            options = ApplyOptions(self._timeout, stopped=interruption.stopped)
            report, _ = apply_and_record(run, report, center, output, options)
        write_people_to_add(output, report.desired, report.plan.missing)
        outcomes = [outcome for _, outcome in report.outcomes()]
        portal = {"start-url": center.instance.portal, "region": center.instance.region}
        self._end(output, resources, outcomes, access_by_user(report), portal, report.faults())
        interruption.exit_if_stopped()

    def _end(
        self,
        output: Store,
        resources: list[Resource],
        outcomes: Iterable[Outcome],
        access: Mapping[str, Mapping[str, str]],
        portal: Mapping[str, str],
        faults: Iterable[str] = (),
    ) -> None:
        by_arn = {outcome.arn: outcome for outcome in outcomes}
        ordered = [by_arn[subject_of(resource).arn] for resource in resources]
        write_outcomes(output, [outcome.at(utc_now()) for outcome in ordered])
        for resource, outcome in zip(resources, ordered, strict=True):
            reason = outcome.reason.text
            annotation = {"status": outcome.status, **outcome.reason.as_data(), **portal}
            annotation.pop("also", None)
            annotate(resource, "provisioning", {**annotation, **access.get(outcome.arn, noticed_access())})
            self.log.info("%s: %s %s %s", self.type, outcome.arn, outcome.status, visible(reason))
        fail_at_the_end(self.manager, self.type, ordered, faults)

    def _error_text(self, account_id: str, error: Exception) -> str:
        role = self.data.get("role")
        who = (
            f"role {role} (assumed with the credentials that Cloud Custodian runs with)"
            if role
            else "the policy's own session"
        )
        return (
            f"policy {self.manager.data.get('name')}: account {account_id}: {self.type} through {who}: {error}. "
            "Nothing was touched. If access is denied, give that role the permissions that this action declares, and "
            "let its trust policy name the credentials that Cloud Custodian runs with"
        )
