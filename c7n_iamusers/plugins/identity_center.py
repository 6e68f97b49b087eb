# SPDX-License-Identifier: Apache-2.0
"""The filter ``identity-center``: whether an IAM user's person has access through IAM Identity Center."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from c7n.exceptions import PolicyValidationError
from c7n.filters import Filter
from c7n.utils import type_schema

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.identity_center import access_state
from c7n_iamusers.plugins import people_of_users, provisioning_settings
from c7n_iamusers.plugins.access_gate import AccessGate
from c7n_iamusers.plugins.lambda_packaging import validate_lambda_packaging
from c7n_iamusers.plugins.policy_checks import DAYS, check_options, is_pull, require_bounded
from c7n_iamusers.plugins.resources import annotate, subject_of
from c7n_iamusers.plugins.run_outputs import visible_errors, write_privately
from c7n_iamusers.safeguards.gate_readings import Calls
from c7n_iamusers.text.wording import visible_log


def require_keys(manager: Any, plugin: str, data: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Raises PolicyValidationError if a plugin lacks ``keys``. c7n's schema also accepts just the plugin's name."""
    if missing := [key for key in keys if key not in data]:
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: {plugin} lacks {', '.join(missing)}: write '- type: {plugin}' and, "
            f"below it, {', '.join(keys)} and what else it needs, as in custodian schema aws.iam-user"
        )


Resource = dict[str, Any]
REQUIRED = ("state",)
#: Selects every user, so that a policy about all of them knows what access their people have.
ANY = "any"


class IdentityCenter(Filter):  # type: ignore[misc]  # c7n is untyped
    """Selects IAM users by the access that their people have through IAM Identity Center, read live.

    - ``provisioned``: username and e-mail identify the same enabled user, which has an assignment to this account with
      status SUCCEEDED, directly or through a group. With ``permission-set`` (a name, or a definition as for
      ``provision-identity-center``) or ``derive: true`` it must be exactly that permission set, provisioned in this
      account in its current form.
    - ``absent``: no user has that username and e-mail, that user is not the ``user-id`` of the people file, or the IAM
      user shares its person, as for ``provision-identity-center``: another user of the account, selected or not, has
      the same e-mail, or a run gave the access for others (``records``).
    - ``pending``: the user exists, but something else is missing.
    - ``used``: provisioned, and the person has signed in to this account by it in the last ``used-within`` days (30),
      by an event of its own in ``sign-ins``: the ``sign-ins.json`` that ``c7n-iamusers provision sign-ins`` writes, a
      path or ``s3://BUCKET/KEY``. If that can't be read, or ends more than 7 days ago, the policy fails and selects no
      user. The last use of the role can only refute it, as colleagues use the same role. With ``sign-ins``, users of
      the state ``used`` count as ``provisioned`` too.

    - ``any``: every user: ``notify-owners`` announces all, and says who has no access yet.

    ``records`` is where runs of ``c7n-iamusers provision`` leave ``identity-center-runs/``: a directory, one that has
    such directories somewhere below it, or ``s3://BUCKET/PREFIX``. They say for which IAM users, deleted ones included,
    runs made memberships. An action with ``require`` needs it, or ``records: none``.

    ``user``, ``people-from``, ``email-domains``, ``role`` and ``region`` are as for ``provision-identity-center``. Each
    user is annotated with ``c7n:IamUser`` -> ``identity-center``: ``state``, ``reason`` and, for those with access,
    ``username``, ``email``, ``permission-set``, ``start-url`` and ``region``, for a notice. If Identity Center can't be
    read, the policy fails and selects no user.

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
                records: output/provisioning
    """

    log = visible_log("custodian.filters")
    schema = type_schema(
        "identity-center",
        required=list(REQUIRED),
        **{
            "state": {"enum": [*access_state.STATES, ANY]},
            "user": people_of_users.USER,
            "people-from": people_of_users.PEOPLE_FROM,
            "email-domains": people_of_users.EMAIL_DOMAINS,
            "role": people_of_users.TEXT,
            "region": people_of_users.TEXT,
            "permission-set": {"oneOf": [people_of_users.TEXT, provisioning_settings.PERMISSION_SET]},
            "derive": provisioning_settings.DERIVE,
            "sign-ins": people_of_users.TEXT,
            "used-within": DAYS,
            "records": people_of_users.TEXT,
        },
    )
    schema_alias = False

    def get_permissions(self) -> tuple[str, ...]:
        """The IAM actions that the filter needs; those of Identity Center in the account of ``role``, if given."""
        return self.gate().permissions

    def validate(self) -> IdentityCenter:
        """Raises PolicyValidationError for faults that can be found without AWS."""
        write_privately(self.manager)
        require_bounded(self.manager)
        check_options(self)
        validate_lambda_packaging(self.manager)
        require_keys(self.manager, self.type, self.data, REQUIRED)
        try:
            if self.data.get("derive") and "permission-set" in self.data:
                raise InvalidPolicyData(f"{self._where}: give either permission-set or derive, not both")
            if self.data["state"] == access_state.USED and "sign-ins" not in self.data:
                raise InvalidPolicyData(
                    f"{self._where}: state: {access_state.USED} needs sign-ins: name the sign-ins.json that "
                    "c7n-iamusers provision sign-ins writes"
                )
            self.gate().check(not is_pull(self.manager))
        except InvalidPolicyData as error:
            raise PolicyValidationError(str(error)) from error
        return self

    @visible_errors
    def process(self, resources: list[Resource], event: Any = None) -> list[Resource]:
        """The users in the given ``state``, annotated. Raises PolicyExecutionError if that can't be read."""
        gate = self.gate()
        states = gate.states(resources)
        wanted = (
            {self.data["state"], access_state.USED}
            if self.data["state"] == access_state.PROVISIONED
            else {self.data["state"]}
        )
        selected = []
        for resource in resources:
            found = states[subject_of(resource).arn]
            annotation = {"state": found.state, "reason": found.reason}
            if found.username:
                annotation |= {"username": found.username, "email": found.email}
                annotation |= {"permission-set": found.permission_set, **gate.portal()}
            annotate(resource, "identity-center", annotation)
            if found.state in wanted or self.data["state"] == ANY:
                selected.append(resource)
        self.log.info(
            "identity-center: %d of %d users are %s", len(selected), len(resources), self.data["state"]
        )
        return selected

    @property
    def naming_tags(self) -> tuple[str, ...]:
        """The keys of the tags that may say who a user's person is."""
        return people_of_users.IdentitySettings(self.data, self._where).naming_tags

    def gate(self, calls: Calls | None = None) -> AccessGate:
        """The reader of users' access with this filter's options; also for an action that checks again."""
        return AccessGate(self.manager, self.data, self._where, calls)

    @property
    def _where(self) -> str:
        return f"policy {self.manager.data.get('name')}: identity-center"
