# SPDX-License-Identifier: Apache-2.0
"""boto3 sessions: for one account, and with a role whose credentials refresh themselves."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from c7n_iamusers.exceptions import EvidenceUnreadable

#: Used if no Region is configured. IAM is global within a partition.
_REGION = "us-east-1"
_SESSION_NAME = "c7n-iamusers"


def account_session(role: str | None = None) -> boto3.Session:
    """A session with the environment's credentials, or with those of ``role`` (an ARN), assumed with them.

    Raises EvidenceUnreadable if there are no credentials, or the role can't be assumed.
    """
    try:
        session = boto3.Session()
        region = session.region_name or _REGION
        if not role:
            return boto3.Session(region_name=region)
        assumed = session.client("sts", region_name=region).assume_role(
            RoleArn=role, RoleSessionName=_SESSION_NAME
        )["Credentials"]
    except (ClientError, BotoCoreError) as error:
        what = f"role {role} can't be assumed" if role else "there is no session"
        raise EvidenceUnreadable(f"{what}: {error}") from error
    return boto3.Session(
        assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"], region_name=region
    )


def iam_client(role: str | None = None) -> Any:
    """An IAM client with the session of ``account_session``. Raises EvidenceUnreadable as that does."""
    session = account_session(role)
    try:
        return session.client("iam")
    except (ClientError, BotoCoreError) as error:
        raise EvidenceUnreadable(f"there is no session: {error}") from error


def account_of(session: boto3.Session) -> str:
    """The id of the account that ``session`` acts in. Raises EvidenceUnreadable if GetCallerIdentity fails."""
    try:
        return str(session.client("sts").get_caller_identity()["Account"])
    except (ClientError, BotoCoreError) as error:
        raise EvidenceUnreadable(
            f"the account of the credentials can't be read: {error}: check them"
        ) from error


def fleet_session(role: str | None, region: str | None) -> Any:
    """A session with the environment's credentials, or with ``role``, which is assumed again before it expires.

    1,200 assignments take Identity Center about an hour, and the credentials of a chained role expire after an hour.
    Raises NoCredentialsError.
    """
    source = botocore.session.get_session()
    if role is None:
        return boto3.Session(botocore_session=source, region_name=region)
    credentials = source.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=lambda *args, **options: source.create_client(
            *args, **{"region_name": region, **options}
        ),
        source_credentials=credentials,
        role_arn=role,
        extra_args={"RoleSessionName": _SESSION_NAME},
    )
    assumed = botocore.session.get_session()
    # boto3 has no public way to set credentials that refresh themselves.
    refreshing = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    assumed._credentials = refreshing  # type: ignore[attr-defined]
    return boto3.Session(botocore_session=assumed, region_name=region)
