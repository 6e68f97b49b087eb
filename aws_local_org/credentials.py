# SPDX-License-Identifier: Apache-2.0
"""Identifies callers: the base credentials, sessions that STS issued, and access keys of IAM users.

It checks session tokens but no signatures: any process of this machine reaches a server on loopback. Credentials that
don't expire, which are the base credentials and access keys of IAM users, need the random token of this run, which only
its owner can read. On AWS a user's key has no session token.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.core.utils import utcnow
from moto.iam.models import iam_backends

from aws_local_org import settings as settings_module
from aws_local_org.errors import AwsError
from aws_local_org.settings import Settings

#: The role in the management account whose session the base credentials are.
OPERATOR_ROLE = "LocalOrgOperator"


@dataclass(frozen=True)
class Keys:
    access_key_id: str
    secret_access_key: str
    session_token: str


BASE_KEY_ID = "ASIALOCALORGOPERATOR"


def base(run_token: str) -> Keys:
    """The base credentials of the run that has this token. They are not valid on AWS."""
    return Keys(BASE_KEY_ID, "not-a-secret-of-the-local-organization", run_token)


@dataclass(frozen=True)
class Principal:
    """A caller.

    arn: as GetCallerIdentity gives it. expires: naive UTC, None for what does not expire.
    role_arn: the IAM role behind a session; user_name: the IAM user: one of them is None.
    For a session: its policies' documents, None if it has none; its tags; the keys of tags that its own sessions keep;
    the time of its MFA code, naive UTC.
    """

    account: str
    arn: str
    user_id: str
    role_arn: str | None = None
    user_name: str | None = None
    expires: datetime | None = None
    session_policies: tuple[str, ...] | None = None
    session_tags: tuple[tuple[str, str], ...] = ()
    transitive_tags: frozenset[str] = frozenset()
    source_identity: str | None = None
    mfa_since: datetime | None = None

    @property
    def entity_id(self) -> str:
        """The unique id of the user or role."""
        return self.user_id.partition(":")[0]

    @property
    def is_session(self) -> bool:
        """Whether the credentials are temporary."""
        return self.role_arn is not None or self.expires is not None


#: The key in the WSGI environ with the caller, for STS's GetCallerIdentity.
ENVIRON_KEY = "aws_local_org.principal"

_sessions: dict[str, Principal] = {}
#: Access key id of a session -> its session token.
_tokens: dict[str, str] = {}
_run_token = ""


def reset(settings: Settings, operator_role_id: str, run_token: str) -> None:
    """Forget every issued session; the base credentials act in the management account."""
    global _run_token
    _run_token = run_token
    _sessions.clear()
    _tokens.clear()
    account, partition = settings.management_account, settings.partition
    _sessions[BASE_KEY_ID] = Principal(
        account=account,
        arn=f"arn:{partition}:sts::{account}:assumed-role/{OPERATOR_ROLE}/operator",
        user_id=f"{operator_role_id}:operator",
        role_arn=f"arn:{partition}:iam::{account}:role/{OPERATOR_ROLE}",
    )


def is_operator(principal: Principal) -> bool:
    """Whether these are the base credentials, which may do everything."""
    return principal == _sessions.get(BASE_KEY_ID)


def issue(access_key_id: str, principal: Principal, token: str) -> None:
    """Let a session's keys act as ``principal``. ``token``: the session token."""
    _sessions[access_key_id], _tokens[access_key_id] = principal, token


def resolve(access_key_id: str | None, token: str, region: str | None = None) -> Principal:
    """The caller behind an access key id. ``token``: a request's session token; empty for none. ``region``: its Region.

    Raises AwsError MissingAuthenticationToken, InvalidClientTokenId or ExpiredToken in the words of
    https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html. Credentials are unknown in other partitions.
    """
    if not access_key_id:
        raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    expected = _tokens.get(access_key_id, _run_token)
    principal = _sessions.get(access_key_id) or _user_of(access_key_id)
    elsewhere = region and settings_module.partition_of(region) != settings_module.current().partition
    if principal is None or elsewhere or not hmac.compare_digest(token.encode(), expected.encode()):
        raise AwsError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    if principal.expires is not None and principal.expires <= utcnow():
        raise AwsError("ExpiredToken", "The security token included in the request is expired", 403)
    return principal


def _user_of(access_key_id: str) -> Principal | None:
    partition = settings_module.current().partition
    for account_id, partitions in list(iam_backends.items()):
        key: Any = partitions[partition].access_keys.get(access_key_id)
        if key is None or key.status != "Active":
            continue
        user = partitions[partition].users.get(key.user_name)
        if user is not None:
            return Principal(account_id, user.arn, user.id, user_name=user.name)
    return None
