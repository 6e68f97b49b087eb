# SPDX-License-Identifier: Apache-2.0
"""The filter ``unnecessary``: any IAM user is, unless a rule with a reason and an end says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timezone
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.exceptions import PolicyValidationError
from c7n.filters import Filter
from c7n.utils import local_session, type_schema

from c7n_iamusers.aws.accounts import detail_attachments, user_details
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.aws.users import LISTED_KINDS, embedded_attachments, list_kind
from c7n_iamusers.decisions.exemptions import FIELDS, find_exemption, parse_rules
from c7n_iamusers.decisions.findings import findings_of
from c7n_iamusers.exceptions import EvidenceUnreadable, InvalidPolicyData
from c7n_iamusers.lambda_packaging import validate_lambda_packaging
from c7n_iamusers.model.exemption import Exemption, ExemptionRule
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.policy_errors import unreadable

ANNOTATION = "c7n:IamUser"
Resource = dict[str, Any]


class Unnecessary(Filter):  # type: ignore[misc]  # c7n is untyped
    """Flags every IAM user of the account, less those that ``exempt`` rules protect.

    A rule has one pattern (``user``, ``path``, ``group``, or ``tag`` as ``Key=pattern``: case-sensitive
    shell globs), a ``reason``, optionally an ``owner``, and ``expires``: the last day, in UTC, on which it
    protects. After that day the user is flagged again, with the finding ``expired-exemption``.

    Each flagged user is annotated with ``c7n:IamUser``: ``findings`` (a list of id, severity, text),
    ``attachments`` (kind -> count) and ``exemption``. A user of whom something can't be read is not
    flagged, and the log says so; where groups or the account as a whole can't be read, the policy fails.

    Tags are claims: whoever holds iam:TagUser can exempt a user from a ``tag`` rule's policy.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-unnecessary
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: unnecessary
                exempt:
                  - path: /emergency/*
                    reason: break-glass access, sealed in the safe
                    owner: security@example.com
                    expires: 2027-12-31
                  - tag: Purpose=codecommit
                    reason: CodeCommit has no replacement for its credentials yet
                    expires: 2027-06-30
    """

    schema = type_schema(
        "unnecessary",
        exempt={
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {} for name in (*FIELDS, "reason", "owner", "expires")},
            },
        },
    )
    schema_alias = False
    max_workers = 8

    def __init__(self, data: Any, manager: Any = None) -> None:
        super().__init__(data, manager)
        for rule in self.data.get("exempt") or ():
            # YAML reads an unquoted date as one, which c7n can write neither into its metadata nor into a
            # notice; as text it means the same.
            if isinstance(rule, dict) and type(rule.get("expires")) is date:
                rule["expires"] = rule["expires"].isoformat()
        self._backoff = Backoff()

    def get_permissions(self) -> list[str]:
        """The IAM actions that flagging and its annotations need."""
        operations = sorted({kind.reading.operation for kind in LISTED_KINDS if kind.reading})
        return [f"iam:{name}" for name in ("GetAccountAuthorizationDetails", *operations)]

    def validate(self) -> Unnecessary:
        """Raises PolicyValidationError that names each faulty rule, and the mend."""
        validate_lambda_packaging(self.manager)
        self.rules()
        return self

    def rules(self) -> tuple[ExemptionRule, ...]:
        """The policy's exemption rules. Raises PolicyValidationError where one is faulty."""
        where = f"policy {self.manager.data.get('name')}: filter unnecessary: exempt"
        try:
            return parse_rules(self.data.get("exempt", []), where)
        except InvalidPolicyData as error:
            raise PolicyValidationError(str(error)) from error

    def process(self, resources: list[Resource], event: Any = None) -> list[Resource]:
        """The users that no rule protects today, annotated. Raises PolicyExecutionError where that can't be told."""
        rules, today = self.rules(), datetime.now(timezone.utc).date()
        client = local_session(self.manager.session_factory).client("iam", self.manager.config.region)
        judged = [
            self._judge(resource, user, rules, today) for resource, user in self._records(client, resources)
        ]
        unprotected = [verdict for verdict in judged if verdict]
        self.log.info("unnecessary: %d of %d users are not exempt", len(unprotected), len(resources))
        with self.executor_factory(max_workers=self.max_workers) as pool:
            flagged = list(pool.map(lambda verdict: self._flag(client, *verdict), unprotected))
        return [resource for resource in flagged if resource is not None]

    def _judge(
        self, resource: Resource, user: IamUser, rules: Sequence[ExemptionRule], today: date
    ) -> tuple[Resource, IamUser, Exemption] | None:
        try:
            exemption = find_exemption(user, rules, today)
        except EvidenceUnreadable as error:
            self.log.warning("unnecessary: %s is left alone: %s", user.subject, error)
            return None
        resource[ANNOTATION] = {"exemption": exemption.rule and exemption.rule.as_data()}
        return None if exemption.rule else (resource, user, exemption)

    def _records(self, client: Any, resources: Sequence[Resource]) -> list[tuple[Resource, IamUser]]:
        known = {resource["UserId"]: detail_attachments(resource) for resource in resources}
        if not all(known.values()):
            with unreadable(
                self.manager, "groups and policies of its users", "iam:GetAccountAuthorizationDetails"
            ):
                known |= {d["UserId"]: detail_attachments(d) for d in user_details(client, self._backoff)}
        return [
            (resource, IamUser(resource, {**known[resource["UserId"]], **embedded_attachments(resource)}))
            for resource in resources
        ]

    def _flag(self, client: Any, resource: Resource, user: IamUser, exemption: Exemption) -> Resource | None:
        try:
            rest = {
                kind.name: list_kind(client, user.name, kind, self._backoff)
                for kind in LISTED_KINDS
                if kind.name not in user.attachments
            }
        except (ClientError, BotoCoreError) as error:
            self.log.warning(
                "unnecessary: %s is left alone, what is attached to it can't be read: %s", user.subject, error
            )
            return None
        known = IamUser(user.detail, {**user.attachments, **rest})
        resource[ANNOTATION] |= {
            "findings": [finding.as_data() for finding in findings_of(known, exemption)],
            "attachments": known.counts(),
        }
        return resource
