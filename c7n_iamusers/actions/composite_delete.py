# SPDX-License-Identifier: Apache-2.0
"""The action ``composite-delete``: a user goes with everything attached to it, or not at all unnoticed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.utils import type_schema

from c7n_iamusers.actions.deletion_proposal import propose
from c7n_iamusers.actions.live_judgement import live_judgement, no_judgement
from c7n_iamusers.actions.reviewed_plan import reviewed_plan
from c7n_iamusers.actions.user_deletion import UserDeletion
from c7n_iamusers.actions.user_policy import (
    DAYS,
    active_within,
    exemption_rules,
    record_places,
    require_exemptions,
    require_lasting_output,
)
from c7n_iamusers.actions.user_records import UserRecords
from c7n_iamusers.actions.user_run import Run, UserAction, Work
from c7n_iamusers.aws.accounts import read_account
from c7n_iamusers.aws.live_users import LiveUsers
from c7n_iamusers.decisions.access_state import PROVISIONED, AccessState
from c7n_iamusers.decisions.deletion_guards import Guards, unprovisioned
from c7n_iamusers.model.annotation import ANNOTATION
from c7n_iamusers.model.attachments import SERVICE_SPECIFIC_CREDENTIAL
from c7n_iamusers.model.permissions import DELETION
from c7n_iamusers.policy_errors import unreadable


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
        require_lasting_output(self.manager, self.type)
        require_exemptions(self.manager, self.type, rules=not self.data.get("plan-only"))
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
        with unreadable(self.manager, "its roles and groups", "iam:GetAccountAuthorizationDetails"):
            account = read_account(run.client, run.backoff, "Role", "Group")
        places = record_places(self.manager, run.store, self.data.get("record-from"))
        records = UserRecords(places, run.journal, account, str(self.manager.data.get("name")))
        guards, judgement = self._guards(run), live_judgement(self.manager, run, account)
        held = judgement.asks or guards.quarantined_for is not None
        judged = {SERVICE_SPECIFIC_CREDENTIAL} if held else set()
        users = LiveUsers(run.client, run.count, run.backoff, judged=judged)
        judge = judgement.problem if judgement.asks else no_judgement
        return UserDeletion(run, users, records, guards, reviewed, judge, self.data.get("adopt", False))

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
            exemption_rules(self.manager),
            active_within(self.manager, self.data),
            self.data.get("quarantined-for"),
            self.data.get("include-compromised", False),
        )
