# SPDX-License-Identifier: Apache-2.0
"""STS with existing roles and their trust policies; moto's lets every caller assume every role.

Sources: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html and API_GetSessionToken.html.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import secrets
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.iam.models import Role, iam_backends
from moto.iam.utils import generate_access_key_id_from_account_id, random_alphanumeric
from moto.sts.models import STSBackend, sts_backends
from moto.sts.responses import TokenResponse

from aws_local_org import credentials, organization, settings
from aws_local_org.authorization import listed_tags, requests
from aws_local_org.aws_request import AwsRequest
from aws_local_org.credentials import Principal
from aws_local_org.enforcement import policies_for
from aws_local_org.errors import AwsError, access_denied, validation_error
from aws_local_org.iam.base import entity_of
from aws_local_org.iam.policies import check_document, default_document
from c7n_iamusers.policy_comparison.evaluation import ALLOWED, decision, undecided

_ROLE_ARN = re.compile(r"^arn:(aws[a-z-]*):iam::(\d{12}):role/(?:.*/)?([\w+=,.@-]{1,64})$")
_SESSION_NAME = re.compile(r"^[\w+=,.@-]{2,64}$")
#: "The plaintext that you use for both inline and managed session policies can't exceed 2,048 characters", and "you can
#: provide up to 10 managed policy ARNs".
LONGEST_POLICY, MOST_POLICIES = 2_048, 10
#: "Role chaining limits your ... role session to a maximum of one hour".
CHAINED_SECONDS = 3_600


class LocalTokenResponse(TokenResponse):
    """The STS operations that decide or report who the caller is."""

    @property
    def caller(self) -> Principal:
        caller: Principal = self.normalized_request.environ[credentials.ENVIRON_KEY]
        return caller

    def assume_role(self) -> ActionResult:
        role_arn, session_name = self._get_param("RoleArn"), self._get_param("RoleSessionName")
        if not _SESSION_NAME.match(session_name or ""):
            raise _invalid(session_name, "roleSessionName", r"[\w+=,.@-]*")
        role = self._trusting_role(role_arn)
        principal = self._principal(role, session_name, self._role_seconds(role))
        keys = _new_keys(principal)
        credentials.issue(keys["AccessKeyId"], principal, keys["SessionToken"])
        return ActionResult(
            {
                "Credentials": {**keys, "Expiration": principal.expires},
                "AssumedRoleUser": {"AssumedRoleId": principal.user_id, "Arn": principal.arn},
                "SourceIdentity": principal.source_identity,
            }
        )

    def _trusting_role(self, role_arn: str) -> Role:
        role = _find_role(role_arn)
        closed = role is not None and not organization.has_active_account(role.account_id)
        why = ""
        if role is not None and not closed:
            found = distrust(role.assume_role_policy_document, self.caller, self.params)
            if found is None:
                return role
            why = found
        # The same answer for a role that is missing or in a closed account, and one that does not trust the caller.
        raise access_denied(
            f"User: {self.caller.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}{why}"
        )

    def _role_seconds(self, role: Role) -> int:
        seconds = self._seconds(3600, 43200)
        if seconds > int(role.max_session_duration or 3600):
            raise validation_error(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            )
        if self.caller.role_arn is not None and seconds > CHAINED_SECONDS:
            raise validation_error(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
            )
        return seconds

    def _seconds(self, default: int, longest: int) -> int:
        seconds = int(self._get_param("DurationSeconds") or default)
        if not 900 <= seconds <= longest:
            raise validation_error(
                f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: "
                f"Member must have value between 900 and {longest}"
            )
        return seconds

    def _principal(self, role: Role, session_name: str, seconds: int) -> Principal:
        now, caller = utcnow(), self.caller
        identity = self._get_param("SourceIdentity") or caller.source_identity
        if caller.source_identity not in (None, identity):
            raise access_denied(
                f"The source identity {caller.source_identity} of a session can't be changed."
            )
        kept = {key: value for key, value in caller.session_tags if key in caller.transitive_tags}
        return Principal(
            account=role.account_id,
            arn=f"arn:{role.partition}:sts::{role.account_id}:assumed-role/{role.name}/{session_name}",
            user_id=f"{role.id}:{session_name}",
            role_arn=role.arn,
            expires=now + datetime.timedelta(seconds=seconds),
            session_policies=self._session_policies(role),
            session_tags=tuple({**listed_tags(self._get_param("Tags")), **kept}.items()),
            transitive_tags=frozenset({*(self._get_param("TransitiveTagKeys") or ()), *kept}),
            source_identity=identity,
            mfa_since=now if self._has_mfa() else None,
        )

    def _session_policies(self, role: Role) -> tuple[str, ...] | None:
        """The documents that limit the session to their intersection with the role's policies."""
        inline, arns = (
            self._get_param("Policy"),
            [each["arn"] for each in self._get_param("PolicyArns") or ()],
        )
        if inline is None and not arns:
            return None
        if len(arns) > MOST_POLICIES or len(inline or "") > LONGEST_POLICY:
            raise validation_error(
                f"A session can have {MOST_POLICIES} PolicyArns and a Policy of {LONGEST_POLICY} characters."
            )
        known: Mapping[str, Any] = iam_backends[role.account_id][role.partition].managed_policies
        if missing := [arn for arn in arns if arn not in known]:
            raise validation_error(
                f"The managed policy {missing[0]} does not exist in account {role.account_id}."
            )
        if inline is not None:
            check_document(inline)
        documents = [default_document(known[arn]) for arn in arns]
        return (*([] if inline is None else [inline]), *documents)

    def _has_mfa(self) -> bool:
        """Whether the call has a code of one of the user's devices. Any six digits count."""
        serial, code = self._get_param("SerialNumber"), self._get_param("TokenCode")
        if not serial and not code:
            return False
        user = entity_of(self.caller.arn) if self.caller.user_name else None
        if serial not in getattr(user, "mfa_devices", ()) or not re.fullmatch(r"\d{6}", code or ""):
            raise access_denied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
        return True

    def get_session_token(self) -> ActionResult:
        """A user's session, which acts as the user. No policy can deny it."""
        if self.caller.is_session:
            raise access_denied("Cannot call GetSessionToken with session credentials")
        now = utcnow()
        expires = now + datetime.timedelta(seconds=self._seconds(43200, 129600))
        since = now if self._has_mfa() else None
        principal = dataclasses.replace(self.caller, expires=expires, mfa_since=since)
        keys = _new_keys(principal)
        credentials.issue(keys["AccessKeyId"], principal, keys["SessionToken"])
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
        "SessionToken": secrets.token_urlsafe(256),
    }


def _invalid(value: str | None, where: str, pattern: str) -> AwsError:
    return AwsError(
        "ValidationError",
        f"1 validation error detected: Value '{value}' at '{where}' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {pattern}",
    )


def distrust(document: str, caller: Principal, parameters: Mapping[str, Any]) -> str | None:
    """None if a trust policy (JSON) lets the caller assume the role with these ``parameters`` of AssumeRole.

    Otherwise the end of the message: unknown facts of the request that decide; empty if none do.
    """
    asked = AwsRequest("sts", "AssumeRole", "query", settings.current().region, None, dict(parameters))
    policies = list(policies_for(document, caller, resource="*"))
    denied = [request for request in requests(caller, asked) if decision(request, policies) != ALLOWED]
    reasons = sorted({reason for each in denied for reason in undecided(each, policies)})
    if not denied:
        return None
    return f" (unsupported {', '.join(reasons)} in the local organization)" if reasons else ""
