# SPDX-License-Identifier: Apache-2.0
"""The action ``composite-delete``, its plan for review (``plan-only``) and the reviewed plan it takes (``plan``)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from botocore.exceptions import BotoCoreError, ClientError
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.utils import type_schema

from c7n_iamusers.deletion.deleting import UserDeletion
from c7n_iamusers.deletion.reviewed_plan import DeletionPlan, PlannedDeletion, load_plan
from c7n_iamusers.exceptions import PlanInvalid
from c7n_iamusers.execution.bucket_store import BucketStore
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.executor import Applied
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.execution.journal import NoJournal, utc_now
from c7n_iamusers.execution.outcomes import FAILED, PLANNED, SKIPPED, Outcome
from c7n_iamusers.execution.stores import Store, read_file
from c7n_iamusers.execution.user_run import Run, Work, outcome_of
from c7n_iamusers.iam.attachments import SERVICE_SPECIFIC_CREDENTIAL
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.iam.permissions import DELETION
from c7n_iamusers.identity_center.access_state import PROVISIONED, AccessState
from c7n_iamusers.plugins.resources import ANNOTATION, subject_of
from c7n_iamusers.plugins.run_outputs import fail_at_the_end, run_store
from c7n_iamusers.plugins.user_action import DAYS, UserAction, idle_region
from c7n_iamusers.safeguards.guards import Guards, unprovisioned
from c7n_iamusers.safeguards.recheck import no_recheck
from c7n_iamusers.text.wording import visible

PLAN_FILE = "deletion-plan.json"
Resource = dict[str, Any]
Proposal = tuple[PlannedDeletion, Outcome]


def propose(
    action: UserAction, deletion: Callable[[Run], UserDeletion], resources: Sequence[Resource]
) -> None:
    """Write the plan of ``action`` over ``resources`` to ``deletion-plan.json`` in the policy's output.

    ``deletion``: what would delete a user of the run.
    Raises PolicyExecutionError where the account can't be read, or the plan not be written.
    """
    manager = action.manager
    if idle := idle_region(manager):
        action.log.info("%s: %s", action.type, idle)
        return
    store = run_store(manager).store
    with Interruption() as interruption:
        run = action.tools(store, NoJournal(), interruption, len(resources))
        proposal = partial(_proposal, action, deletion(run), interruption)
        with action.executor_factory(max_workers=action.max_workers) as pool:
            proposals = list(pool.map(proposal, resources))
    interruption.exit_if_stopped()
    users = tuple(planned for planned, _ in proposals)
    _write(manager, store, DeletionPlan(run.account_id, str(manager.data.get("name")), utc_now(), users))
    outcomes = [outcome for _, outcome in proposals]
    action.tell(resources, outcomes)
    fail_at_the_end(manager, action.type, outcomes)


def _proposal(
    action: UserAction, deletion: UserDeletion, interruption: Interruption, resource: Resource
) -> Proposal:
    subject, found = subject_of(resource), []

    def work(evidence: Subject, _: Applied) -> tuple[str, str]:
        reason = action.spared(resource)
        found.append(PlannedDeletion(evidence, skipped=reason) if reason else deletion.propose(evidence))
        planned = found[0]
        return (SKIPPED, planned.skipped) if planned.skipped else (PLANNED, f"{len(planned.calls)} calls")

    outcome = outcome_of(subject, work, interruption)
    # Who could not be read stands in the plan too, so that a reviewer misses nobody.
    failed = outcome.status == FAILED or not found
    return (PlannedDeletion(subject, skipped=outcome.reason) if failed else found[0]), outcome


def _write(manager: Any, store: Store, plan: DeletionPlan) -> None:
    try:
        store.replace(PLAN_FILE, plan.as_json().encode())
    except OSError as error:
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: account {plan.account_id}: the plan can't be written to "
            f"{store.place(PLAN_FILE)}: {error}"
        ) from error


def reviewed_plan(manager: Any, place: str, account_id: str, digest: str | None = None) -> DeletionPlan:
    """The plan at ``place``: a path (relative to the working directory), or ``s3://bucket/key``.

    ``digest``: the SHA-256, in hex, of what was reviewed, where the policy pins it. S3 is read by the session of
    whoever runs Cloud Custodian, which also writes c7n's output there.
    Raises PolicyExecutionError where it can't be read, is not of ``account_id``, or no run could have made it.
    """
    try:
        content = _content(manager, place)
        found = hashlib.sha256(content).hexdigest()
        if digest is not None and found != digest.lower():
            raise PlanInvalid(
                f"its SHA-256 is {found}, not that of plan-sha256: it was changed since the review"
            )
        plan = load_plan(content)
        if plan.account_id != account_id:
            raise PlanInvalid(
                f"it is of account {visible(plan.account_id)}: a plan may be named by {{account_id}}"
            )
    except (OSError, ClientError, BotoCoreError, PlanInvalid) as error:
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: account {account_id}: the reviewed plan {place} can't be used: "
            f"{error}. Nothing was touched: make one by plan-only: true, review it by c7n-iamusers plan, name it here"
        ) from error
    return plan


def _content(manager: Any, place: str) -> bytes:
    if place.startswith("s3://"):
        url = urlparse(place)
        client = manager.session_factory(assume=False).client("s3")
        content = BucketStore(client, url.netloc, "", {}).read(url.path.lstrip("/"))
    else:
        # Whoever named it may have named a link, as volumes of Kubernetes are made of; it must lead to a file.
        content = read_file(Path(os.path.realpath(place)))
    if content is None:
        raise FileNotFoundError("No such file or object")
    return content


class CompositeDelete(UserAction):
    """Deletes an IAM user together with everything attached to it, which DeleteUser alone refuses.

    For each user, at the last moment: it is read live (same unique id, same account, still not exempt, not
    the caller itself, no AWSCompromisedKeyQuarantine policy on it, its replacement not refused by a
    ``provision-identity-center`` before this action), a snapshot of it is made durable, and
    then, in this order: a Deny on everything goes on it (an inline policy ``c7n-iamusers-deny-all``; AWSDenyAll
    attached where there is no room, or as its permissions boundary where that has none either), its password,
    keys, certificates, SSH keys, service-specific credentials, MFA devices (virtual ones deleted, not orphaned),
    groups, policies go, at last the user.

    Whether the name still belongs to the same user is asked again right after the Deny, after every pause, and
    before DeleteUser: a new user of the name is left alone, and what may have hit it is told. What the filter
    ``unnecessary`` was asked to judge (``kinds``, ``unused-for``, ``min-age``, ``findings``) is judged again, live.

    Further guards, each checked live too: ``active-within`` leaves a user alone whose password or access key
    was used in the last so many days (by default the filter's ``unused-for``); ``quarantined-for`` asks that the
    action ``quarantine`` has held it for so many days, unbroken and without a sign of use (by the record in its Deny
    or in the journals beside this policy's output; ``record-from`` names another output, a directory or
    ``s3://BUCKET/PREFIX``); ``require: provisioned`` reads Identity Center again, as the policy's filter
    ``identity-center`` says, and spares whoever has no working access yet.
    ``include-compromised: true`` lets go of users of whom AWS saw a key leaked. (IAM tells no use of
    certificates, SSH keys and service-specific credentials.)

    ``plan-only: true`` touches nothing and writes ``deletion-plan.json``: for each user the exact calls in
    their order, or why it would stay. ``c7n-iamusers plan FILE`` prints it. ``plan: FILE`` (or
    ``s3://BUCKET/KEY``) then deletes only what was reviewed: a user that has changed since is skipped, and with
    ``plan-sha256`` beside it, a plan that was changed is refused; so is one that no run could have made.
    A user whose deletion was begun with another output is skipped. Only where that output is lost, ``adopt: true``
    carries on; what was removed before is then in no snapshot, which is marked partial.
    ``custodian run --dryrun`` runs no action at all, so it shows the users and not the calls.

    The policy's output then holds ``snapshots/*.json`` (``c7n-iamusers restore`` brings users back from them),
    ``journal.jsonl`` (a line before and after each call) and ``outcomes.json`` (a row a user: deleted, skipped
    or failed, with the reason). With ``-s s3://BUCKET/PREFIX`` they are put there at once, under
    ``PREFIX/<account id>/<policy>/`` (by s3:GetObject, s3:PutObject and s3:ListBucket of whoever runs Cloud
    Custodian); Lambda modes need that. The outcome also stands on the resource, as
    ``c7n:IamUser`` -> ``outcome``, for a ``notify`` that follows. One user's failure touches no other; the run
    ends with an error after the later actions have run, and running it again carries on.

    The policy must have the filter ``unnecessary`` at its top level: a bare delete is not on offer. It must have
    an exemption rule there, or a list of them, or say ``exempt: none``; ``plan-only`` needs neither.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-delete
            resource: aws.iam-user
            source: authorization-details
            max-resources: 10
            filters:
              - type: unnecessary
                exempt:
                  - path: /emergency/*
                    reason: break-glass access, sealed in the safe
                    expires: "2027-12-31"
            actions:
              - type: composite-delete
                active-within: 30
                quarantined-for: 14
    """

    schema = type_schema(
        "composite-delete",
        **{
            "plan-only": {"type": "boolean"},
            "plan": {"type": "string", "minLength": 1},
            "plan-sha256": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
            "active-within": DAYS,
            "quarantined-for": DAYS,
            "include-compromised": {"type": "boolean"},
            "adopt": {"type": "boolean"},
            "record-from": {"type": "string", "minLength": 1},
            "require": {"enum": [PROVISIONED]},
        },
    )
    schema_alias = False
    permissions = DELETION
    #: For each identity-center filter: ARN -> how far the person behind a user has come, where that is required.
    _access: Sequence[Mapping[str, AccessState]] = ()

    def validate(self) -> CompositeDelete:
        """Raises PolicyValidationError where the policy does not say whom it spares, or keeps no receipts."""
        self.require_lasting_output()
        self.require_exemptions(rules=not self.data.get("plan-only"))
        if self.data.get("plan") and self.data.get("plan-only"):
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: composite-delete: plan applies a plan and plan-only makes "
                "one: leave one of them out"
            )
        self._require_plan_of_digest(PolicyValidationError)
        if self.data.get("require") and not self._access_filters():
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: composite-delete: require: {PROVISIONED} reads Identity "
                f"Center as the filter identity-center says: add it, state: {PROVISIONED}, at the top level of filters"
            )
        return self

    def process(self, resources: list[dict[str, Any]]) -> None:
        """Delete, or plan to delete, each user.

        Raises PolicyExecutionError before anything is touched where that can't be done safely.
        """
        if self.data.get("require"):
            self._access = [each.gate().states(resources) for each in self._access_filters()]
        if self.data.get("plan-only"):
            propose(self, self.deletion, resources)
        else:
            super().process(resources)

    def prepare(self, run: Run) -> Work:
        """See UserAction."""
        return self.deletion(run).delete

    def spared(self, resource: Mapping[str, Any]) -> str | None:
        """Who has no replacement yet keeps the user: people keep their way in."""
        failed = unprovisioned(resource.get(ANNOTATION, {}).get("provisioning"))
        missing = (self._missing_access(states[str(resource["Arn"])]) for states in self._access)
        return failed or next(filter(None, missing), None)

    def deletion(self, run: Run) -> UserDeletion:
        """What deletes a user of ``run``. Raises PolicyExecutionError where the account can't be read."""
        self._require_plan_of_digest(PolicyExecutionError)
        plan, digest, account_id = self.data.get("plan"), self.data.get("plan-sha256"), run.account_id
        reviewed = reviewed_plan(self.manager, plan, account_id, digest) if plan else None
        account = self.account(run)
        records = self.user_records(run, account)
        guards, recheck = self._guards(run), self.recheck(run, account)
        held = recheck.needed or guards.quarantined_for is not None
        judged = {SERVICE_SPECIFIC_CREDENTIAL} if held else set()
        users = LiveUsers(run.client, run.count, run.backoff, judged=judged)
        problem = recheck.problem if recheck.needed else no_recheck
        return UserDeletion(run, users, records, guards, reviewed, problem, self.data.get("adopt", False))

    def _require_plan_of_digest(self, error: type[Exception]) -> None:
        if "plan-sha256" in self.data and not self.data.get("plan"):
            raise error(
                f"policy {self.manager.data.get('name')}: composite-delete: plan-sha256 without plan would delete "
                "whatever the filters find, unreviewed: name the plan by plan, or leave plan-sha256 out"
            )

    def _access_filters(self) -> list[Any]:
        found = [each for each in self.manager.filters if each.type == "identity-center"]
        return [each for each in found if each.data["state"] == PROVISIONED]

    def _missing_access(self, found: AccessState) -> str | None:
        if found.state == PROVISIONED:
            return None
        return f"its access through Identity Center is {found.state}: {found.reason}"

    def _guards(self, run: Run) -> Guards:
        return Guards(
            run.callers,
            self.exemption_rules(),
            self.active_within(),
            self.data.get("quarantined-for"),
            self.data.get("include-compromised", False),
        )
