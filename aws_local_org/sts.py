# SPDX-License-Identifier: Apache-2.0
"""STS with the roles that exist and their trust policies; moto's lets every caller assume every role."""

from __future__ import annotations

import dataclasses
import datetime
import fnmatch
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.iam.models import Role, iam_backends
from moto.iam.utils import generate_access_key_id_from_account_id, random_alphanumeric
from moto.sts.models import STSBackend, sts_backends
from moto.sts.responses import TokenResponse
from moto.sts.utils import random_session_token

from aws_local_org import credentials, organization, settings
from aws_local_org.credentials import Principal
from aws_local_org.errors import AwsError

_ROLE_ARN = re.compile(r"^arn:(aws[a-z-]*):iam::(\d{12}):role/(?:.*/)?([\w+=,.@-]{1,64})$")
_SESSION_NAME = re.compile(r"^[\w+=,.@-]{2,64}$")


class LocalTokenResponse(TokenResponse):
    """The STS operations that decide or report who the caller is.

    Source of rules and wording: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html.
    """

    @property
    def caller(self) -> Principal:
        caller: Principal = self.normalized_request.environ[credentials.ENVIRON_KEY]
        return caller

    def assume_role(self) -> ActionResult:
        role_arn, session_name = self._get_param("RoleArn"), self._get_param("RoleSessionName")
        if not _SESSION_NAME.match(session_name or ""):
            raise _invalid(session_name, "roleSessionName", r"[\w+=,.@-]*")
        role = self._trusting_role(role_arn)
        principal = self._principal(role, session_name, self._duration(role))
        keys = _new_keys(principal)
        credentials.issue(keys["AccessKeyId"], principal)
        return ActionResult(
            {
                "Credentials": {**keys, "Expiration": principal.expires},
                "AssumedRoleUser": {"AssumedRoleId": principal.user_id, "Arn": principal.arn},
            }
        )

    def _trusting_role(self, role_arn: str) -> Role:
        role = _find_role(role_arn)
        request = TrustRequest(self.caller, self._get_param("ExternalId"))
        closed = role is not None and not organization.has_active_account(role.account_id)
        if role is None or closed or not trusts(role.assume_role_policy_document, request):
            # The same answer for a role that is missing or in a closed account, and one that does not trust the caller.
            raise AwsError(
                "AccessDenied",
                f"User: {self.caller.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
                403,
            )
        return role

    def _duration(self, role: Role) -> int:
        seconds = int(self._get_param("DurationSeconds") or 3600)
        if not 900 <= seconds <= 43200:
            raise AwsError(
                "ValidationError",
                f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: "
                "Member must have value between 900 and 43200",
            )
        if seconds > int(role.max_session_duration or 3600):
            raise AwsError(
                "ValidationError",
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            )
        return seconds

    def _principal(self, role: Role, session_name: str, seconds: int) -> Principal:
        return Principal(
            account=role.account_id,
            arn=f"arn:{role.partition}:sts::{role.account_id}:assumed-role/{role.name}/{session_name}",
            user_id=f"{role.id}:{session_name}",
            role_arn=role.arn,
            expires=utcnow() + datetime.timedelta(seconds=seconds),
        )

    def get_session_token(self) -> ActionResult:
        """A user's session: it acts as the user, "cannot be restricted" and outlives none of its hours."""
        if self.caller.role_arn is not None:
            raise AwsError("AccessDenied", "Cannot call GetSessionToken with session credentials", 403)
        seconds = int(self._get_param("DurationSeconds") or 43200)
        expires = utcnow() + datetime.timedelta(seconds=seconds)
        principal = dataclasses.replace(self.caller, expires=expires)
        keys = _new_keys(principal)
        credentials.issue(keys["AccessKeyId"], principal)
        return ActionResult({"Credentials": {**keys, "Expiration": expires}})

    def get_caller_identity(self) -> ActionResult:
        return ActionResult(
            {"UserId": self.caller.user_id, "Account": self.caller.account, "Arn": self.caller.arn}
        )

    def assume_role_with_saml(self) -> ActionResult:
        raise NotImplementedError

    def assume_role_with_web_identity(self) -> ActionResult:
        raise NotImplementedError

    def get_federation_token(self) -> ActionResult:
        raise NotImplementedError


class LocalSTSBackend(STSBackend):
    @property
    def _url_module(self) -> Any:
        return SimpleNamespace(
            url_bases=[r"https?://sts\.(.*\.)?amazonaws\.com"],
            url_paths={"{0}/$": LocalTokenResponse.dispatch},
        )


def install() -> None:
    sts_backends.backend = LocalSTSBackend


def _find_role(role_arn: str) -> Role | None:
    named = _ROLE_ARN.match(role_arn or "")
    if named is None:
        raise AwsError("ValidationError", f"{role_arn} is invalid")
    current = settings.current()
    if named[1] != current.partition or named[2] not in current.account_ids:
        return None
    roles = iam_backends[named[2]][current.partition].get_roles()
    return next((role for role in roles if role.arn == role_arn), None)


def _new_keys(principal: Principal) -> dict[str, str]:
    return {
        "AccessKeyId": generate_access_key_id_from_account_id(principal.account, prefix="ASIA"),
        "SecretAccessKey": random_alphanumeric(40),
        "SessionToken": random_session_token(),
    }


def _invalid(value: str | None, where: str, pattern: str) -> AwsError:
    return AwsError(
        "ValidationError",
        f"1 validation error detected: Value '{value}' at '{where}' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {pattern}",
    )


#: The action that a trust policy has to allow.
ASSUME_ROLE = "sts:AssumeRole"


@dataclass(frozen=True)
class TrustRequest:
    caller: Principal
    external_id: str | None = None


def trusts(document: str, request: TrustRequest) -> bool:
    """Whether a trust policy document (JSON) allows sts:AssumeRole. An explicit Deny wins; the default is to deny.

    AWS principals and the condition keys sts:ExternalId, aws:PrincipalArn and aws:PrincipalAccount are understood;
    any other condition key counts as absent from the request, so conditions that need it do not match.
    Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition".
    """
    statements = _listed(json.loads(document).get("Statement", []))
    effects = {statement.get("Effect") for statement in statements if _applies(statement, request)}
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: dict[str, Any], request: TrustRequest) -> bool:
    actions = (str(action).lower() for action in _listed(statement.get("Action", [])))
    return (
        any(fnmatch.fnmatchcase(ASSUME_ROLE.lower(), action) for action in actions)
        and _names(statement.get("Principal", {}), request.caller)
        and all(
            _condition_holds(operator, key, _listed(wanted), request)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _names(principal: Any, caller: Principal) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, dict):
        return False
    root = f"arn:{settings.current().partition}:iam::{caller.account}:root"
    mine = {"*", caller.account, root, caller.arn, caller.role_arn}
    return any(named in mine for named in _listed(principal.get("AWS", [])))


def _condition_holds(operator: str, key: str, wanted: list[Any], request: TrustRequest) -> bool:
    present = {
        "sts:externalid": request.external_id,
        "aws:principalarn": request.caller.role_arn or request.caller.arn,
        "aws:principalaccount": request.caller.account,
    }.get(key.lower())
    name, if_exists = re.subn(r"IfExists$", "", operator)
    if present is None:
        return bool(if_exists) or "Not" in name
    compare = _OPERATORS.get(name.removeprefix("ForAnyValue:"))
    if compare is None:
        return False
    matched = any(compare(present, str(value)) for value in wanted)
    return not matched if "Not" in name else matched


def _equals(present: str, wanted: str) -> bool:
    return present == wanted


def _like(present: str, wanted: str) -> bool:
    return fnmatch.fnmatchcase(present, wanted.replace("[", "[[]"))


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": _equals,
    "StringNotEquals": _equals,
    "StringLike": _like,
    "StringNotLike": _like,
    "ArnEquals": _like,
    "ArnNotEquals": _like,
    "ArnLike": _like,
    "ArnNotLike": _like,
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
