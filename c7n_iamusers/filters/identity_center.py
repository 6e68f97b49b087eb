# SPDX-License-Identifier: Apache-2.0
"""The filter ``identity-center``: whether the person behind an IAM user has access through Identity Center already."""

from __future__ import annotations

from typing import Any

from c7n.exceptions import PolicyValidationError
from c7n.filters import Filter
from c7n.utils import type_schema

from c7n_iamusers.actions.access_gate import AccessGate
from c7n_iamusers.actions.provisioning_schema import (
    DERIVE,
    EMAIL_DOMAINS,
    PEOPLE_FROM,
    PERMISSION_SET,
    TEXT,
    USER,
)
from c7n_iamusers.actions.user_policy import require_keys
from c7n_iamusers.decisions.access_state import STATES
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.lambda_packaging import is_pull, validate_lambda_packaging
from c7n_iamusers.model.annotation import annotate, subject_of

Resource = dict[str, Any]
REQUIRED = ("state",)


class IdentityCenter(Filter):  # type: ignore[misc]  # c7n is untyped
    """Selects IAM users by how far their people have come in IAM Identity Center, read live.

    - ``provisioned``: username and e-mail lead to the same enabled user, who, directly or through a group, holds
      an assignment to this account that SUCCEEDED. With ``permission-set`` (a name, or all of it as
      ``provision-identity-center`` takes it) or ``derive: true`` it must be exactly that set, provisioned here in
      its current form.
    - ``absent``: nobody has that username and e-mail, or the IAM user says nothing of a person.
    - ``pending``: the user exists, and something of the rest is missing.

    ``user``, ``people-from``, ``email-domains``, ``role`` and ``region`` are those of ``provision-identity-center``.
    Each user is annotated with ``c7n:IamUser`` -> ``identity-center``: ``state``, ``reason``, and of those who have
    access ``username`` and ``permission-set``, for a notice. Where Identity Center can't be read the policy fails,
    and nobody is selected.

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

    schema = type_schema(
        "identity-center",
        required=list(REQUIRED),
        **{
            "state": {"enum": list(STATES)},
            "user": USER,
            "people-from": PEOPLE_FROM,
            "email-domains": EMAIL_DOMAINS,
            "role": TEXT,
            "region": TEXT,
            "permission-set": {"oneOf": [TEXT, PERMISSION_SET]},
            "derive": DERIVE,
        },
    )
    schema_alias = False

    def get_permissions(self) -> tuple[str, ...]:
        """The IAM actions that are needed: those of Identity Center in the role's account, where there is a role."""
        return self.gate().permissions

    def validate(self) -> IdentityCenter:
        """Raises PolicyValidationError for what can be told without AWS."""
        validate_lambda_packaging(self.manager)
        require_keys(self.manager, self.type, self.data, REQUIRED)
        try:
            if self.data.get("derive") and "permission-set" in self.data:
                raise InvalidPolicyData(f"{self._where}: give either permission-set or derive, not both")
            self.gate().check(not is_pull(self.manager))
        except InvalidPolicyData as error:
            raise PolicyValidationError(str(error)) from error
        return self

    def process(self, resources: list[Resource], event: Any = None) -> list[Resource]:
        """The users in the wanted state, annotated. Raises PolicyExecutionError where that can't be read."""
        states = self.gate().states(resources)
        selected = []
        for resource in resources:
            found = states[subject_of(resource).arn]
            told = {"state": found.state, "reason": found.reason}
            if found.username:
                told |= {"username": found.username, "permission-set": found.permission_set}
            annotate(resource, "identity-center", told)
            if found.state == self.data["state"]:
                selected.append(resource)
        self.log.info(
            "identity-center: %d of %d users are %s", len(selected), len(resources), self.data["state"]
        )
        return selected

    def gate(self) -> AccessGate:
        """What tells the state of users, as this filter is set; for an action that checks again at the last moment."""
        return AccessGate(self.manager, self.data, self._where)

    @property
    def _where(self) -> str:
        return f"policy {self.manager.data.get('name')}: identity-center"
