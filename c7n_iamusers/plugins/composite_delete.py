# SPDX-License-Identifier: Apache-2.0
"""The action ``composite-delete``, with the plan for review (``plan-only``) and its application (``plan``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.utils import type_schema

from c7n_iamusers.deletion.reviewed_plan import (
    Asked,
    DeletionPlan,
    PlannedDeletion,
    load_plan,
    readable,
    usable_plan,
)
from c7n_iamusers.deletion.user_deletion import UserDeletion
from c7n_iamusers.exceptions import PlanInvalid
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.executor import Applied, Run
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.execution.journal import JournalReader, NoJournal, utc_now
from c7n_iamusers.execution.outcomes import PLANNED, Outcome, Work, outcome_of
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.iam.attachments import SERVICE_SPECIFIC_CREDENTIAL
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.iam.permissions import DELETION
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.plugins.policy_checks import (
    DAYS,
    acts_on,
    check_numbers,
    check_options,
    is_pull,
)
from c7n_iamusers.plugins.resources import ANNOTATION, subject_of
from c7n_iamusers.plugins.run_outputs import (
    content_at,
    fail_at_the_end,
    run_store,
    visible_errors,
    why_in_no_quarantine,
)
from c7n_iamusers.plugins.safeguarded_action import INCLUDE_MANAGED, OPTIONS, RECORD_OPTIONS, TakingAction
from c7n_iamusers.plugins.user_action import UserAction
from c7n_iamusers.reasons import MANAGED_NEVERTHELESS, NO_QUARANTINE, PLANNED_CALLS, Reason
from c7n_iamusers.safeguards import reasons_to_spare
from c7n_iamusers.safeguards.live_recheck import no_recheck
from c7n_iamusers.snapshots.user_records import unfinished_deletions
from c7n_iamusers.text.times import moment

PLAN_FILE = "deletion-plan.json"
Resource = dict[str, Any]
Proposal = tuple[PlannedDeletion, Outcome]


def propose(
    action: UserAction, deletion: Callable[[Run], UserDeletion], resources: Sequence[Resource]
) -> None:
    """Write the plan of ``action`` over ``resources`` to ``deletion-plan.json`` in the policy's output.

    ``deletion``: run -> the object that deletes its users.
    Raises PolicyExecutionError if the account can't be read, or the plan can't be written.
    """
    manager = action.manager
    if not acts_on(action, resources):
        return
    store = run_store(manager).store
    with Interruption() as interruption:
        run = action.new_run(store, NoJournal(), interruption, len(resources))
        proposal = partial(_proposal, deletion(run), interruption)
        with action.executor_factory(max_workers=action.max_workers) as pool:
            proposals = list(pool.map(proposal, resources))
    interruption.exit_if_stopped()
    users = tuple(planned for planned, _ in proposals)
    name, asked = str(manager.data.get("name")), _asked(manager)
    _write(manager, store, DeletionPlan(run.account_id, name, utc_now(), users, asked=asked))
    outcomes = [outcome for _, outcome in proposals]
    action.report(resources, outcomes)
    fail_at_the_end(manager, action.type, outcomes)


def _proposal(deletion: UserDeletion, interruption: Interruption, resource: Resource) -> Proposal:
    subject, found = subject_of(resource), []

    def work(evidence: Subject, _: Applied) -> tuple[str, Reason]:
        proposed = replace(deletion.propose(evidence), breaks=_breaks(resource))
        found.append(readable(proposed))
        planned = found[0]
        if planned.skipped:
            return reasons_to_spare.left_alone(planned.skipped), planned.skipped
        return PLANNED, PLANNED_CALLS(count=len(planned.calls))

    outcome = outcome_of(subject, work, interruption)
    # Users that could not be read are in the plan too, so that it lists all users.
    return (found[0] if found else PlannedDeletion(subject, skipped=outcome.reason)), outcome


def _asked(manager: Any) -> Asked:
    """What the filters ``unnecessary`` of the policy ask. Raises PolicyExecutionError as they do."""
    options = [each.options() for each in manager.filters if each.type == "unnecessary"]
    stacks = (region for each in options for region in each.code.regions)
    states = (place for each in options for place in each.code.states)
    named = (service for each in options for service in each.blast_radius.services)
    return Asked(*(tuple(dict.fromkeys(each)) for each in (stacks, states, named)))


def _breaks(resource: Resource) -> tuple[str, ...]:
    """What names the user, as the filter annotated it; empty if nobody asked for that."""
    known = resource.get(ANNOTATION, {})
    if "named_by" in known and known["named_by"] is None:
        return ("it is not known: not all policies of resources could be read",)
    return tuple(f"{each['resource']} ({each['where']})" for each in known.get("named_by", ()))


def _write(manager: Any, store: Store, plan: DeletionPlan) -> None:
    content = plan.as_json().encode()
    try:
        load_plan(content)
        store.replace(PLAN_FILE, content)
    except (OSError, PlanInvalid) as error:
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: account {plan.account_id}: the plan can't be written to "
            f"{store.place(PLAN_FILE)}: {error}"
        ) from error


def reviewed_plan(manager: Any, place: str, account_id: str, digest: str | None = None) -> DeletionPlan:
    """The plan at ``place``: a path (relative to the working directory), or ``s3://bucket/key``.

    S3 is read with the credentials that Cloud Custodian runs with, as c7n's S3 output is written with them.
    Raises PolicyExecutionError if it can't be read, or used: see usable_plan.
    """
    try:
        return usable_plan(content_at(manager, place), place, account_id, digest)
    except (OSError, ClientError, BotoCoreError, PlanInvalid) as error:
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: account {account_id}: the reviewed plan {place} can't be used: "
            f"{error}. Nothing was touched: make one by plan-only: true, review it by c7n-iamusers plan, then name it"
        ) from error


class CompositeDelete(TakingAction):
    """Deletes an IAM user together with everything attached to it.

    Right before the deletion each user is read live. It is skipped if its unique id or account differs from the flagged
    user's, if it is exempt now, if the run acts as it, if AWS attached an AWSCompromisedKeyQuarantine policy to it, or
    if an earlier ``provision-identity-center`` in the policy failed for it. The criteria of the filter ``unnecessary``
    (``kinds``, ``unused-for``, ``min-age``, ``findings``) are checked again on live data.

    Exemption lists, notices, ``STOP`` and access are checked right before the first change of each user. They are read
    for all users together, at most 30 seconds before; access of very many people, which takes more than ten calls in
    each half-minute, at most 15 minutes before. If they can't be read, users fail, untouched.

    Then a snapshot is written durably, with the documents of its policies. If these can't be read, the user is skipped.
    The calls are made in this order: a Deny on everything is put on the user (an inline policy
    ``c7n-iamusers-deny-all``; if there is no room for it, AWSDenyAll attached, or as the permissions boundary);
    password, access keys, certificates, SSH keys, service-specific credentials, MFA devices (virtual ones are deleted),
    group memberships and policies are removed; the user is deleted. After the Deny, after every pause and before
    DeleteUser, the unique id is verified. If the name belongs to a new user, that one is left alone, and the outcome
    names the calls that may have changed it; after a killed run, that of the next run does. A user that is exempt now
    and whose deletion was stopped half-way fails in each run until it is restored.

    - ``active-within``: skip users whose password or access key was used in this many days, 30 by default; ``none``
      skips nobody for it. IAM does not report the use of certificates, SSH keys and service-specific credentials
    - ``trusted-by-role: true``: also users that the trust policy of a role in the account names, or that meet its
      conditions on its name, ARN, id or tags. Without it they are skipped: a restored user may not be trusted again
    - ``quarantined-for``: only users that the action ``quarantine`` has held for so many days, without interruption and
      without a recorded use. The record is in the Deny, in the journals beside this output, or in ``record-from``:
      another output, a directory or ``s3://BUCKET/PREFIX``
    - ``noticed: 30``: only users about whom the action ``notify-owners`` addressed the owners so many days ago, by the
      record in ``notices`` (a directory or ``s3://BUCKET/PREFIX``), and whose announced day has come. A file ``STOP``
      there, or in the account's directory there, makes each further user fail, untouched. ``noticed: none``: also
      users whose owner was not told; ``notices`` is then the place of ``STOP`` alone
    - ``delivery: unchecked``: announcements count even if nothing shows that their message left the queue, see
      ``notify-owners``
    - ``require: provisioned``: read Identity Center again as the policy's filter ``identity-center`` does, and skip
      users without working access. ``used`` also skips those whose people have not signed in by it. ``none`` accepts
      people without any other access
    - ``quiet: proven``: only users that the policy's filter ``attempts`` found quiet since their quarantine.
      ``none-seen`` also accepts users that no source could have shown (``unobservable``), as when a quarantine has
      deactivated their credentials. Users with attempts, or whose attempts could not be read, are skipped with the
      reason
    - ``include-managed: true``: also users that a stack, a Terraform state or another tool manages, by their tags or by
      what ``managed-by`` of the filter ``unnecessary`` asks, and users of which that could not be read. Such a user
      comes back at the next deploy. Without it they are skipped
    - ``include-compromised: true``: also users with an AWSCompromisedKeyQuarantine policy
    - ``plan-only: true``: change nothing, and write ``deletion-plan.json``: for each user the calls in their order, or
      why it would be skipped. ``c7n-iamusers plan FILE`` prints it. (``custodian run --dryrun`` runs no action, so it
      shows the users, but no calls)
    - ``plan: FILE`` or ``s3://BUCKET/KEY``: delete only what is in this reviewed plan. Users that have changed since
      are skipped. ``plan-sha256``: refuse a plan with another SHA-256
    - ``adopt: true``: continue a deletion that began with another output, which is lost, or delete a user under an
      ``AWSDenyAll`` that no journal here shows as ours, or one whose restoration did not end and is given up. What was
      removed before is in no snapshot; the new one is marked as partial. Without it such users fail

    The output has ``snapshots/*.json`` (for ``c7n-iamusers restore``), ``journal.jsonl`` (a line before and after each
    call) and ``outcomes.json`` (a row for each user: deleted, skipped or failed, with the reason). With
    ``-s s3://BUCKET/PREFIX``, which Lambda modes need, they are written at once under
    ``PREFIX/<account id>/<policy>/``, with s3:GetObject, s3:PutObject and s3:ListBucket of the credentials that run
    Cloud Custodian. The annotation ``c7n:IamUser`` -> ``outcome`` serves a ``notify`` that follows. After a failure the
    other users and the later actions are still processed, then the policy ends with an error. Running it again
    continues.

    The policy must have the filter ``unnecessary`` at its top level with an exemption rule, a list of them, or
    ``exempt: none``. It must state ``noticed``, and ``require`` unless the filter's ``kinds`` leave out human, mixed
    and unknown. With ``plan-only`` all of this may be missing.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-delete
            resource: aws.iam-user
            source: authorization-details
            max-resources: 10
            filters:
              - type: unnecessary
                kinds: [machine, no-credentials]
                findings:
                  none-of: [role-trusts-user]
                exempt:
                  - path: /emergency/*
                    reason: break-glass access, sealed in the safe
                    expires: "2027-12-31"
              - "tag:Email": absent
            actions:
              - type: composite-delete
                active-within: 30
                quarantined-for: 14
                noticed: 30
                notices: s3://governance/iam-users/notices
    """

    schema = type_schema(
        "composite-delete",
        **{
            "plan-only": {"type": "boolean"},
            "plan": {"type": "string", "minLength": 1},
            "plan-sha256": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
            **OPTIONS,
            "quarantined-for": DAYS,
            **INCLUDE_MANAGED,
            **RECORD_OPTIONS,
            "quiet": {"enum": [reasons_to_spare.PROVEN, reasons_to_spare.NONE_SEEN]},
        },
    )
    schema_alias = False
    permissions = DELETION
    ends_sessions = True
    #: With quiet: see Guards.
    _listened: Mapping[str, datetime | None] | None = None

    def validate(self) -> CompositeDelete:
        """Raises PolicyValidationError for missing exemptions, an output that does not last, contradicting options."""
        check_options(self)
        self.require_lasting_output()
        self.require_exemptions(rules=not self.data.get("plan-only"))
        self.require_notices()
        self.require_numbers()
        if not self.data.get("plan-only"):
            self.require_statements()
        if self.data.get("plan") and self.data.get("plan-only"):
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: composite-delete: plan applies a plan and plan-only makes "
                "one: leave one of them out"
            )
        self._require_plan_of_digest(PolicyValidationError)
        self.require_access_filter()
        if self.data.get("quiet"):
            self._require_attempts()
        return self

    @visible_errors
    def process(self, resources: list[dict[str, Any]]) -> None:
        """Delete, or plan to delete, each user.

        Raises PolicyExecutionError, before anything is changed, if the run is not safe.
        """
        check_numbers(self, PolicyExecutionError)
        self._resources = resources
        if self.data.get("quiet"):
            self._listened = {str(resource["UserId"]): _listened_since(resource) for resource in resources}
        if self.data.get("plan-only"):
            propose(self, self.deletion, resources)
        else:
            super().process(resources)

    def prepare(self, run: Run) -> Work:
        """See UserAction."""
        return self.deletion(run).delete

    def unfinished(self, users: Sequence[IamUser]) -> frozenset[str]:
        """The unique ids of those ``users`` whose deletion began with this output, by its journal, and did not end.

        ``users``: as the account's lists have them. The filter ``unnecessary`` asks for the exempt, and for those that
        it would leave out: without what was removed, they may be of another kind, or have no finding. Raises
        PolicyExecutionError if the journal can't be read.
        """
        if not is_pull(self.manager):
            return frozenset()
        try:
            store = run_store(self.manager).store
        except PolicyExecutionError:
            return frozenset()  # process() raises it again if users are selected
        try:
            return unfinished_deletions(JournalReader(lambda: [store]), users)
        except OSError as error:
            raise PolicyExecutionError(
                f"policy {self.manager.data.get('name')}: the users with an unfinished deletion can't be read: "
                f"{error}. Nothing was touched: make {store} readable, and run again"
            ) from error

    def _spared(self, resource: Mapping[str, Any]) -> Reason | None:
        """Why a user is spared: it is in use, or its replacement failed. None if neither holds, or is asked for."""
        annotation = resource.get(ANNOTATION, {})
        # CloudTrail shows an event minutes late, so asking it again would say no more than the filter did.
        attempts = annotation.get("attempts") or {}
        used = (
            reasons_to_spare.unquiet(annotation.get("attempts"), self.data["quiet"])
            if self.data.get("quiet")
            else None
        )
        if used and not attempts.get("quarantined"):
            # Being in use says more than not being in quarantine.
            used = (
                reasons_to_spare.seen_active(annotation.get("last_activity"), self.active_within(), utc_now())
                or used
            )
        return used or reasons_to_spare.unprovisioned(annotation.get("provisioning"))

    def report(self, resources: Sequence[Resource], outcomes: Sequence[Outcome]) -> None:
        """See UserAction. A user that is not in quarantine also gets ``earlier``: why another policy skipped it."""
        super().report(resources, outcomes)
        told = [resource[ANNOTATION]["outcome"] for resource in resources]
        left = [each for each in told if each["code"] in NO_QUARANTINE]
        earlier = why_in_no_quarantine(run_store(self.manager).store, self.log) if left else {}
        for each in left:
            if reason := earlier.get(each["unique_id"]):
                each["earlier"] = reason.for_owners

    def deletion(self, run: Run) -> UserDeletion:
        """The object that deletes users of ``run``. Raises PolicyExecutionError if the account can't be read."""
        self._require_plan_of_digest(PolicyExecutionError)
        plan, digest, account_id = self.data.get("plan"), self.data.get("plan-sha256"), run.account_id
        reviewed = reviewed_plan(self.manager, plan, account_id, digest) if plan else None
        account = self.account(run)
        records = self.user_records(run, account)
        gates, recheck = self.gates(run, self._guards(run)), self.recheck(run, account)
        held = recheck.needed or "quarantined-for" in self.data
        judged = {SERVICE_SPECIFIC_CREDENTIAL} if held else set()
        users = LiveUsers(run.client, run.count, run.backoff, judged=judged)
        problem = recheck.problem if recheck.needed else no_recheck
        adopt, sessions = self.data.get("adopt", False), self.sign_in_sessions(run)
        return UserDeletion(
            run,
            users,
            records,
            gates,
            reviewed,
            problem,
            adopt,
            sessions=sessions,
            note_exempt=self.note_exempt,
            noted=self.managed_notes(MANAGED_NEVERTHELESS),
            spared={
                str(resource["UserId"]): reason
                for resource in self._resources
                if (reason := self._spared(resource))
            },
        )

    def _require_plan_of_digest(self, error: type[Exception]) -> None:
        if "plan-sha256" in self.data and not self.data.get("plan"):
            raise error(
                f"policy {self.manager.data.get('name')}: composite-delete: plan-sha256 without plan would delete all "
                "users that the filters select, without a review: name the plan by plan, or leave plan-sha256 out"
            )

    def _require_attempts(self) -> None:
        """Raises PolicyValidationError unless a filter ``attempts`` says what happened in a quarantine of some days."""
        if "quarantined-for" not in self.data:
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: composite-delete: quiet needs a length: give "
                "quarantined-for, in days"
            )
        types = [each.type for each in self.manager.filters]
        asked = [each for each in self.manager.filters if each.type == "attempts"]
        last = len(types) - types[::-1].index("unnecessary") - 1 if "unnecessary" in types else -1
        if "attempts" in types[last + 1 :] and all(each.listens_to_quarantine for each in asked):
            return
        raise PolicyValidationError(
            f"policy {self.manager.data.get('name')}: composite-delete: quiet needs the filter attempts with since: "
            "quarantine: add '- type: attempts' at the top level of filters, after unnecessary"
        )

    def _guards(self, run: Run) -> reasons_to_spare.Guards:
        """The guards that stay the same during a run; gates give the others."""
        return reasons_to_spare.Guards(
            run.callers,
            (),
            self.active_within(),
            self.data.get("quarantined-for"),
            self.data.get("include-compromised", False),
            self.days("noticed"),
            listened=self._listened,
            managed=self.managed(),
        )


def _listened_since(resource: Mapping[str, Any]) -> datetime | None:
    return moment((resource.get(ANNOTATION, {}).get("attempts") or {}).get("since"))
