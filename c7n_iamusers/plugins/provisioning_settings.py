# SPDX-License-Identifier: Apache-2.0
"""The options of ``provision-identity-center``: their JSON Schema, checks and records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from c7n_iamusers import defaults
from c7n_iamusers.derivation.acceptances import acceptance_data, parse_acceptances
from c7n_iamusers.derivation.model import PER_ACCOUNT, PER_MAP
from c7n_iamusers.derivation.requested_permission_set import (
    PermissionSet,
    duration_seconds,
    parse_permission_set,
)
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.execution.given import read_given
from c7n_iamusers.identity_center.aws.instance import PERMISSION
from c7n_iamusers.identity_center.requests.intents import Intents
from c7n_iamusers.plugins.people_of_users import EMAIL_DOMAINS, PEOPLE_FROM, TEXT, USER, IdentitySettings
from c7n_iamusers.text.documents import NotInFormat, read_json

PERMISSION_SET = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": TEXT,
        "description": TEXT,
        "session-duration": TEXT,
        "relay-state": TEXT,
        "managed-policies": {"type": "array", "items": TEXT, "uniqueItems": True},
        "inline-policy": {"type": "object"},
        "inline-policy-file": TEXT,
        "tags": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
#: YAML may turn expires into a date, so the parser checks the rows.
ACCEPT = {"type": "array", "items": {"type": "object"}}
#: See derivation.model.DerivationOptions.
_COUNT = {"type": "integer", "minimum": 1}
DERIVE = {
    "oneOf": [
        {"type": "boolean"},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "session-duration": TEXT,
                "policies-per-set": _COUNT,
                "policies-per-role": _COUNT,
                "inline-characters": _COUNT,
                "inline-bytes": _COUNT,
                "accept": ACCEPT,
                "identity-center-mfa": {"type": "boolean"},
                "username-tag": {"type": "string"},
                "write-out": {"type": "boolean"},
                "group-by": {"enum": [PER_ACCOUNT, PER_MAP]},
            },
        },
    ]
}
REQUIRED = ["identity-source"]
PROPERTIES = {
    "mode": {"enum": ["apply", "intent"]},
    "identity-source": {"enum": ["identity-center", "external"]},
    "role": TEXT,
    "region": TEXT,
    "user": USER,
    "people-from": PEOPLE_FROM,
    "email-domains": EMAIL_DOMAINS,
    "group": {"type": "string", "minLength": 1, "maxLength": 1024},
    "shared-group": {"type": "boolean"},
    "permission-set": PERMISSION_SET,
    "derive": DERIVE,
    "accept": ACCEPT,
    "timeout": {"type": "integer", "minimum": 1},
}
PERMISSIONS = (
    "identitystore:CreateGroup",
    "identitystore:CreateGroupMembership",
    "identitystore:CreateUser",
    "identitystore:DescribeGroup",
    "identitystore:DescribeUser",
    "identitystore:GetGroupId",
    "identitystore:GetGroupMembershipId",
    "identitystore:GetUserId",
    "identitystore:ListGroupMemberships",
    "identitystore:ListGroups",
    "identitystore:ListUsers",
    "sso:AttachCustomerManagedPolicyReferenceToPermissionSet",
    "sso:AttachManagedPolicyToPermissionSet",
    "sso:CreateAccountAssignment",
    "sso:CreatePermissionSet",
    "sso:DeleteInlinePolicyFromPermissionSet",
    "sso:DeletePermissionSet",
    "sso:DescribeAccountAssignmentCreationStatus",
    "sso:DescribeAccountAssignmentDeletionStatus",
    "sso:DescribeInstance",
    "sso:DescribePermissionSet",
    "sso:DescribePermissionSetProvisioningStatus",
    "sso:DetachManagedPolicyFromPermissionSet",
    "sso:GetInlinePolicyForPermissionSet",
    "sso:GetPermissionsBoundaryForPermissionSet",
    "sso:ListAccountAssignmentCreationStatus",
    "sso:ListAccountAssignmentDeletionStatus",
    "sso:ListAccountAssignments",
    "sso:ListAccountAssignmentsForPrincipal",
    "sso:ListAccountsForProvisionedPermissionSet",
    "sso:ListCustomerManagedPolicyReferencesInPermissionSet",
    "sso:ListInstances",
    "sso:ListManagedPoliciesInPermissionSet",
    "sso:ListPermissionSetProvisioningStatus",
    "sso:ListPermissionSets",
    "sso:ListPermissionSetsProvisionedToAccount",
    "sso:ListTagsForResource",
    "sso:ProvisionPermissionSet",
    "sso:PutInlinePolicyToPermissionSet",
    "sso:PutPermissionsBoundaryToPermissionSet",
    "sso:TagResource",
    "sso:UpdatePermissionSet",
    "sts:GetCallerIdentity",
)
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/\S+")
_VARIABLE = re.compile(r"\{(\w+)\}")
#: Values for variables in `custodian validate`, which runs before they are expanded.
_VALUES = {"account_id": "0" * 12, "partition": "aws", "region": "us-east-1"}
APPLY, INTENT = "apply", "intent"


class ProvisioningSettings:
    """All options. ``data``: of the action. ``where``: for errors."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._data, self._where = data, where
        self.identity = IdentitySettings(data, where)

    @property
    def mode(self) -> str:
        """APPLY or INTENT."""
        return str(self._data.get("mode", APPLY))

    @property
    def derives(self) -> bool:
        """Whether permission sets are derived from users' policies."""
        return bool(self._data.get("derive"))

    def check(self, in_lambda: bool) -> None:
        """Raises InvalidPolicyData for faults that can be found without AWS, before variables are expanded."""
        self.identity.check(in_lambda)
        self._check_alternatives()
        if in_lambda and self.mode == INTENT:
            raise InvalidPolicyData(
                f"{self._where}: mode: intent writes a file, which a Lambda function does not keep: use mode: apply, "
                "or run the policy with c7n-org"
            )
        self._accepted()
        if self.derives:
            self._derivation()
            return
        settings = self._data["permission-set"]
        if in_lambda and "inline-policy-file" in settings:
            raise InvalidPolicyData(
                f"{self._where}: permission-set: inline-policy-file is not available in AWS Lambda: use inline-policy"
            )
        self._permission_set(_with_values(settings))

    def intents(self, account_id: str, policy: str) -> Intents:
        """The intents without users. Raises InvalidPolicyData, also for undefined variables."""
        settings, role = self._data.get("permission-set") or {}, self._data.get("role", "")
        for text in (
            role,
            self._data.get("group", ""),
            settings.get("name", ""),
            settings.get("description", ""),
        ):
            if left := _VARIABLE.search(text):
                raise InvalidPolicyData(f"{self._where}: {text!r} has the undefined variable {left.group(0)}")
        if role and not _ROLE.fullmatch(role):
            raise InvalidPolicyData(
                f"{self._where}: role {role!r} is not the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME)"
            )
        return Intents(
            account_id,
            policy,
            (),
            external=self._data["identity-source"] == "external",
            shared_group=self._data.get("shared-group", False),
            group=self._data.get("group", ""),
            permission_set=None if self.derives else self._permission_set(settings),
            derive=self._derivation() if self.derives else None,
            accept=self._accepted(),
        )

    def _check_alternatives(self) -> None:
        given = {key for key in ("group", "permission-set", "shared-group") if key in self._data}
        if self.derives and given:
            raise InvalidPolicyData(
                f"{self._where}: derive names sets and groups itself: leave out {', '.join(sorted(given))}"
            )
        if self.derives and "accept" in self._data:
            raise InvalidPolicyData(
                f"{self._where}: accept is for a permission set by name: write it as derive: {{accept: [...]}}"
            )
        if not self.derives and not {"group", "permission-set"} <= given:
            raise InvalidPolicyData(f"{self._where}: give either group and permission-set, or derive: true")

    def _accepted(self) -> tuple[dict[str, str], ...]:
        """The rows of ``accept:``. Raises InvalidPolicyData."""
        rows = parse_acceptances({"accept": self._data.get("accept", ())}, self._where, for_all=True)
        return tuple(acceptance_data(row) for row in rows)

    def _derivation(self) -> dict[str, Any]:
        return derivation_settings(self._data["derive"], self._where)

    def _permission_set(self, settings: Mapping[str, Any]) -> PermissionSet:
        return permission_set_of(settings, f"{self._where}: permission-set")


def derivation_settings(derive: Any, where: str) -> dict[str, Any]:
    """The options of ``derive:``; empty for true. Raises InvalidPolicyData."""
    options = {} if derive is True else dict(derive)
    duration = options.get("session-duration", defaults.SESSION_DURATION)
    if not 3600 <= (duration_seconds(duration) or 0) <= 12 * 3600:
        raise InvalidPolicyData(
            f"{where}: derive: session-duration {duration!r} must be an ISO 8601 duration from PT1H to PT12H"
        )
    accepted = parse_acceptances(options, f"{where}: derive")
    return {**options, "accept": [acceptance_data(row) for row in accepted]} if accepted else options


def username_tag_permission(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The IAM action that ``derive: {username-tag: ...}`` needs; empty without it."""
    derive = data.get("derive")
    return (PERMISSION,) if isinstance(derive, Mapping) and derive.get("username-tag") else ()


def permission_set_of(settings: Mapping[str, Any], where: str) -> PermissionSet:
    """The permission set of ``permission-set:``. Raises InvalidPolicyData with all faults."""
    if {"inline-policy", "inline-policy-file"} <= settings.keys():
        raise InvalidPolicyData(f"{where}: give either inline-policy or inline-policy-file, not both")
    if "inline-policy-file" in settings:
        path = Path(settings["inline-policy-file"])
        return parse_permission_set(
            settings, _read_document(path, where), where, f"{where}: inline-policy-file {path}"
        )
    return parse_permission_set(settings, settings.get("inline-policy"), where, f"{where}: inline-policy")


def _with_values(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_values(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_values(part) for part in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda variable: _VALUES.get(variable.group(1), "x"), value)
    return value


def _read_document(path: Path, where: str) -> Any:
    try:
        return read_json(read_given(path))
    except NotInFormat as error:
        raise InvalidPolicyData(f"{where}: inline-policy-file {path}, {error}") from error
    except OSError as error:
        raise InvalidPolicyData(
            f"{where}: inline-policy-file {path.absolute()} can't be read: {error}; it is looked up from the directory "
            "in which Cloud Custodian runs"
        ) from error
