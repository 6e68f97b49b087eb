# SPDX-License-Identifier: Apache-2.0
"""The action ``composite-delete``: a user goes with everything attached to it, or not at all unnoticed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.actions import BaseAction
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.utils import local_session, type_schema

from c7n_iamusers.actions.run_output import (
    ANNOTATION,
    JOURNAL,
    SNAPSHOTS,
    annotate,
    fail_at_the_end,
    output_directory,
    write_outcomes,
)
from c7n_iamusers.actions.user_deletion import UserDeletion
from c7n_iamusers.aws.executor import Executor
from c7n_iamusers.aws.journal import Journal
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.aws.snapshots import SnapshotDirectory
from c7n_iamusers.decisions.deletion_guards import unprovisioned
from c7n_iamusers.lambda_packaging import validate_lambda_packaging
from c7n_iamusers.model.attachments import ATTACHMENT_KINDS
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.outcome import SKIPPED, Outcome

Resource = dict[str, Any]
#: Beside what the kinds need: who acts and on whom, the Deny-all in its three forms, and the end.
_OWN_PERMISSIONS = (
    "sts:GetCallerIdentity",
    "iam:GetUser",
    "iam:ListVirtualMFADevices",
    "iam:PutUserPolicy",
    "iam:AttachUserPolicy",
    "iam:PutUserPermissionsBoundary",
    "iam:DeleteUser",
)


class CompositeDelete(BaseAction):  # type: ignore[misc]  # c7n is untyped
    """Deletes an IAM user together with everything attached to it, which DeleteUser alone refuses.

    For each user, at the last moment: it is read live (same unique id, same account, still not exempt, not
    the caller itself, no AWSCompromisedKeyQuarantine policy on it, its replacement not refused by a
    ``provision-identity-center`` before this action), a snapshot of it is made durable, and
    then, in this order: a Deny on everything, its password, keys, certificates, SSH keys, service-specific
    credentials, MFA devices (virtual ones deleted, not orphaned), groups, policies, the Deny, the user.

    The policy's output directory then holds ``snapshots/*.json``, ``journal.jsonl`` (a line before and
    after each call) and ``outcomes.json`` (a row a user: deleted, skipped or failed, with the reason). The
    outcome also stands on the resource, as ``c7n:IamUser`` -> ``outcome``, for a ``notify`` that follows.
    One user's failure touches no other; the run ends with an error after the later actions have run, and
    running it again carries on.

    ``custodian run --dryrun`` runs no action, so it shows the users and not the calls. The policy must
    have the filter ``unnecessary`` at its top level: a bare delete is not on offer.

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
                    expires: 2027-12-31
            actions:
              - type: composite-delete
    """

    schema = type_schema("composite-delete")
    schema_alias = False
    max_workers = 8
    permissions = tuple(
        sorted(
            {f"iam:{name}" for kind in ATTACHMENT_KINDS for name in kind.reads | kind.removing}.union(
                _OWN_PERMISSIONS
            )
        )
    )

    def validate(self) -> CompositeDelete:
        """Raises PolicyValidationError where the policy does not say, by ``unnecessary``, whom it spares."""
        validate_lambda_packaging(self.manager)
        if self.manager.data.get("mode", {}).get("type", "pull") != "pull":
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: composite-delete runs in pull mode only: a Lambda keeps no "
                "directory in which a snapshot would outlive it. Flag and notify by event, delete by a run"
            )
        if not any(found.type == "unnecessary" for found in self.manager.filters):
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: composite-delete needs the filter unnecessary at the top "
                "level of filters (not inside and, or, not): add '- type: unnecessary' with its exempt rules"
            )
        return self

    def process(self, resources: list[Resource]) -> None:
        """Delete each user. Raises PolicyExecutionError before anything is touched where that can't be done safely."""
        directory = output_directory(self.manager)
        client = local_session(self.manager.session_factory).client("iam", self.manager.config.region)
        caller = self._caller_arn()
        with Journal(directory / JOURNAL) as journal:
            backoff = Backoff()
            delete = UserDeletion(
                client,
                Executor({"iam": client}, journal, backoff),
                SnapshotDirectory(directory / SNAPSHOTS),
                backoff,
                self._rules(),
                caller,
            )
            with self.executor_factory(max_workers=self.max_workers) as pool:
                outcomes = list(
                    pool.map(lambda resource: _skipped(resource) or delete(_subject(resource)), resources)
                )
        self._record(resources, outcomes)
        write_outcomes(directory, outcomes)
        fail_at_the_end(self.manager, self.type, outcomes)

    def _rules(self) -> tuple[Any, ...]:
        found = [each for each in self.manager.filters if each.type == "unnecessary"]
        return tuple(rule for each in found for rule in each.rules())

    def _caller_arn(self) -> str:
        session = local_session(self.manager.session_factory)
        try:
            return str(session.client("sts", self.manager.config.region).get_caller_identity()["Arn"])
        except (ClientError, BotoCoreError) as error:
            raise PolicyExecutionError(
                f"policy {self.manager.data.get('name')}: account {self.manager.config.account_id}: who is acting "
                f"can't be told: {error}. Nothing was touched: mend the role or credentials of the run"
            ) from error

    def _record(self, resources: list[Resource], outcomes: list[Outcome]) -> None:
        for resource, outcome in zip(resources, outcomes, strict=True):
            annotate(resource, "outcome", outcome.as_data())
            self.log.info("composite-delete: %s %s %s", outcome.arn, outcome.status, outcome.reason)


def _skipped(resource: Mapping[str, Any]) -> Outcome | None:
    """The outcome of a user whose replacement failed in an action before this one: people keep their way in."""
    reason = unprovisioned(resource.get(ANNOTATION, {}).get("provisioning"))
    return Outcome(resource["UserName"], resource["Arn"], SKIPPED, reason) if reason else None


def _subject(resource: Mapping[str, Any]) -> Subject:
    return Subject(str(resource["UserName"]), str(resource["Arn"]), str(resource["UserId"]))
