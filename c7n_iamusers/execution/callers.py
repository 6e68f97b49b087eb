# SPDX-License-Identifier: Apache-2.0
"""On whose behalf a run acts: who acts in the account, and who stands behind that as far as it can be known.

A role's session does not tell who assumed it. What tells is the configuration: the session that assumed c7n's role,
and the ``source_profile`` or ``credential_source`` of a profile with ``role_arn`` ("Using an IAM role in the AWS
CLI", AWS CLI User Guide), which botocore resolves the same way (``botocore.credentials.AssumeRoleProvider``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.session
from botocore.credentials import CredentialResolver
from botocore.exceptions import BotoCoreError, ClientError

#: botocore's names of how credentials come from AWS itself or an identity provider: no IAM user is behind them.
_NO_USER_BEHIND = frozenset({"iam-role", "container-role", "sso", "assume-role-with-web-identity"})
#: ``credential_source`` -> botocore's name of what provides the credentials.
_PROVIDERS = {"Environment": "env", "Ec2InstanceMetadata": "iam-role", "EcsContainer": "container-role"}
_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


@dataclass(frozen=True)
class Callers:
    """``arns``: of those on whose behalf a run acts, first who acts in the account.

    ``unknown``: whom nothing tells, in words, with the reason.
    """

    arns: tuple[str, ...]
    unknown: tuple[str, ...] = ()


class _Untold(Exception):
    """Nothing tells who is behind a session; the message says of which, and why."""


def callers(session_factory: Any, acting_session: Any, region: str) -> Callers:
    """On whose behalf ``acting_session``, which c7n's ``session_factory`` made, acts.

    Raises ClientError or BotoCoreError where that session, or the one that assumed c7n's role, can't tell who it
    is. Whatever stands behind these is told as far as it can be.
    """
    assumes = getattr(session_factory, "assume_role", None)
    sessions = [acting_session, *([session_factory(assume=False)] if assumes else [])]
    arns, unknown = [_arn(session, region) for session in sessions], []
    try:
        arns.extend(_behind(sessions[-1], arns[-1], region))
    except _Untold as error:
        unknown.append(str(error))
    return Callers(tuple(dict.fromkeys(arns)), tuple(unknown))


def _behind(session: Any, arn: str, region: str) -> Iterator[str]:
    """Who is behind ``session``, which acts as ``arn``."""
    method = getattr(session.get_credentials(), "method", "")
    if method == "assume-role":
        profile = session.profile_name
        try:
            source = _source(profile, region)
            found = _arn(source, region) if source else None
        # OSError, ValueError: of a credential_process that is missing, or prints no JSON
        except (BotoCoreError, ClientError, OSError, ValueError) as error:
            raise _Untold(f"who assumes the role of profile {profile}: {error}") from error
        if found:
            yield found
            yield from _behind(source, found, region)
    elif (
        _is_of_a_role(arn) and method not in _NO_USER_BEHIND and "AWS_LAMBDA_FUNCTION_NAME" not in os.environ
    ):
        raise _Untold(f"who obtained the session {arn}: credentials of method {method!r} don't tell")


def _source(profile: str, region: str) -> boto3.Session | None:
    """A session of who begins the chain of roles that ends in that of ``profile``; None where no user can be it.

    The roles between are no users, and assuming them again could ask for an MFA code.
    """
    profiles = botocore.session.Session().full_config["profiles"]
    name, config, visited = profile, profiles.get(profile, {}), {profile}
    while source := config.get("source_profile"):
        if source not in profiles or (source in visited and source != name):
            raise _Untold(f"who assumes the role of profile {profile}: source_profile {source} leads nowhere")
        itself, name, config = source == name, source, profiles[source]
        visited.add(name)
        # The keys of a source precede a role of its own.
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
        raise _Untold(
            f"who assumes the role of profile {profile}: credential_source {name} is not known here"
        )
    # without a profile, botocore looks into the environment too
    session = botocore.session.Session()
    provider = session.get_component("credential_provider").get_provider(_PROVIDERS[name])
    session.register_component("credential_provider", CredentialResolver([provider]))
    return boto3.Session(botocore_session=session, region_name=region)


def _is_of_a_role(arn: str) -> bool:
    """True for sessions of roles and federated users, which an IAM user may have obtained.

    Not for roles of permission sets: those only Identity Center assumes.
    """
    return arn.split(":")[2] == "sts" and ":assumed-role/AWSReservedSSO_" not in arn


def _arn(session: Any, region: str) -> str:
    return str(session.client("sts", region).get_caller_identity()["Arn"])
