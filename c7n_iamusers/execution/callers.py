# SPDX-License-Identifier: Apache-2.0
"""Who makes the calls of a run: the session's own caller, and the users behind it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.session
from botocore.credentials import (
    CredentialResolver,
)
from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.retries import answered

#: botocore's names for credentials from AWS itself or from an identity provider: no IAM user is behind them.
_NO_USER_BEHIND = frozenset({"iam-role", "container-role", "sso", "assume-role-with-web-identity"})


#: ``credential_source`` -> botocore's name of the credential provider.
_PROVIDERS = {"Environment": "env", "Ec2InstanceMetadata": "iam-role", "EcsContainer": "container-role"}


_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


def caller_of(session: boto3.Session) -> str:
    """The ARN that ``session`` acts as. Raises EvidenceUnreadable if GetCallerIdentity fails."""
    try:
        return _arn(session)
    except (ClientError, BotoCoreError) as error:
        raise EvidenceUnreadable(f"there are no valid credentials: {error}: sign in first") from error


def account_of(session: boto3.Session) -> str:
    """The id of the account that ``session`` acts in. Raises EvidenceUnreadable as ``caller_of``."""
    return caller_of(session).split(":")[4]


@dataclass(frozen=True)
class Callers:
    """``arns``: the principals behind a run; the first one acts in the account.

    ``unknown``: which principals could not be found out, in words, each with the reason.
    """

    arns: tuple[str, ...]
    unknown: tuple[str, ...] = ()


class _UnknownCaller(Exception):
    """The principal behind a session can't be found out. The message names the session and the reason."""


def callers(session_factory: Any, acting_session: Any, region: str) -> Callers:
    """The principals behind ``acting_session``, which c7n's ``session_factory`` created.

    Raises ClientError or BotoCoreError if GetCallerIdentity fails for that session, or for the one that assumed c7n's
    role.
    """
    assumes = getattr(session_factory, "assume_role", None)
    sessions = [acting_session, *([session_factory(assume=False)] if assumes else [])]
    arns, unknown = [_arn(session, region) for session in sessions], []
    try:
        arns.extend(_behind(sessions[-1], arns[-1], region))
    except _UnknownCaller as error:
        unknown.append(str(error))
    return Callers(tuple(dict.fromkeys(arns)), tuple(unknown))


def _behind(session: Any, arn: str, region: str) -> Iterator[str]:
    """The principals behind ``session``, which acts as ``arn``. Raises _UnknownCaller."""
    method = getattr(session.get_credentials(), "method", "")
    if method == "assume-role":
        profile = session.profile_name
        try:
            source = _source(profile, region)
            found = _arn(source, region) if source else None
        # OSError, ValueError: a credential_process that is missing, or prints no JSON
        except (BotoCoreError, ClientError, OSError, ValueError) as error:
            raise _UnknownCaller(f"who assumes the role of profile {profile}: {error}") from error
        if found:
            yield found
            yield from _behind(source, found, region)
    elif (
        _is_of_a_role(arn) and method not in _NO_USER_BEHIND and "AWS_LAMBDA_FUNCTION_NAME" not in os.environ
    ):
        raise _UnknownCaller(f"who obtained the session {arn}: credentials of method {method!r} don't say")


def _source(profile: str, region: str) -> boto3.Session | None:
    """A session with the first credentials of the role chain of ``profile``; None if no IAM user can be behind it.

    The roles in between are skipped: they are no users, and assuming them again could ask for an MFA code.
    """
    profiles = botocore.session.Session().full_config["profiles"]
    name, config, visited = profile, profiles.get(profile, {}), {profile}
    while source := config.get("source_profile"):
        if source not in profiles or (source in visited and source != name):
            raise _UnknownCaller(
                f"who assumes the role of profile {profile}: source_profile {source} leads nowhere"
            )
        itself, name, config = source == name, source, profiles[source]
        visited.add(name)
        # botocore prefers the keys of a source profile to its role.
        if itself or any(key in config for key in _KEYS):
            return boto3.Session(**{key: config.get(key) for key in _KEYS}, region_name=region)
        if "web_identity_token_file" in config:
            return None
        if "role_arn" not in config:
            return boto3.Session(profile_name=name, region_name=region)
    return _provided(profile, config, region)


def _provided(profile: str, config: Mapping[str, Any], region: str) -> boto3.Session:
    """A session with the credentials that ``credential_source`` names."""
    name = str(config.get("credential_source"))
    if name not in _PROVIDERS:
        raise _UnknownCaller(
            f"who assumes the role of profile {profile}: credential_source {name} is not known here"
        )
    # without a profile, botocore uses the environment too
    session = botocore.session.Session()
    provider = session.get_component("credential_provider").get_provider(_PROVIDERS[name])
    session.register_component("credential_provider", CredentialResolver([provider]))
    return boto3.Session(botocore_session=session, region_name=region)


def _is_of_a_role(arn: str) -> bool:
    """True for sessions of roles and federated users, which an IAM user may have obtained.

    False for roles of permission sets, which only Identity Center assumes.
    """
    return arn.split(":")[2] == "sts" and ":assumed-role/AWSReservedSSO_" not in arn


def _arn(session: Any, region: str | None = None) -> str:
    return str(answered(session.client("sts", region).get_caller_identity)["Arn"])
