# SPDX-License-Identifier: Apache-2.0
"""boto3 sessions for one account or with refreshing credentials; and the principals behind a session.

STS does not report who assumed a role. The configuration does: the session that assumed c7n's role, and the
``source_profile`` or ``credential_source`` of a profile with ``role_arn`` ("Using an IAM role in the AWS CLI", AWS CLI
User Guide), resolved as botocore does it (``botocore.credentials.AssumeRoleProvider``).
"""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.loaders import create_loader

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.retries import answered

#: Used if no Region is configured, and nothing says which partition it is.
_REGION = "us-east-1"
_SESSION_NAME = "c7n-iamusers"


def account_session(role: str | None = None, external_id: str = "", region: str = "") -> boto3.Session:
    """A session with the environment's credentials, or with those of ``role`` (an ARN), assumed with them.

    ``external_id``: what the trust policy of ``role`` asks for as sts:ExternalId, if anything. ``region``: for an
    environment without one; by default the partition of ``role`` gives it.

    Raises EvidenceUnreadable if there are no credentials, or the role can't be assumed.
    """
    try:
        session = boto3.Session()
        region = session.region_name or region or _region_of(role)
        if not role:
            return boto3.Session(region_name=region)
        sts = session.client("sts", region_name=region)
        given = {"RoleArn": role, "RoleSessionName": _SESSION_NAME, **external(external_id)}
        assumed = answered(sts.assume_role, **given)["Credentials"]
    except (ClientError, BotoCoreError) as error:
        what = f"role {role} can't be assumed" if role else "there is no session"
        raise EvidenceUnreadable(f"{what}: {error}") from error
    return boto3.Session(
        assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"], region_name=region
    )


def _region_of(role: str | None) -> str:
    """The Region that the SDKs use for global services in the partition of ``role``. IAM is global within it."""
    partition = role.split(":")[1] if role else ""
    known = create_loader().load_data("partitions")["partitions"]
    regions = {each["id"]: str(each["outputs"]["implicitGlobalRegion"]) for each in known}
    return regions.get(partition, _REGION)


def external(external_id: str) -> dict[str, str]:
    """The parameter of AssumeRole for ``external_id``; none if it is empty."""
    return {"ExternalId": external_id} if external_id else {}


def iam_client(role: str | None = None) -> Any:
    """An IAM client with the session of ``account_session``. Raises EvidenceUnreadable as that does."""
    session = account_session(role)
    try:
        return session.client("iam")
    except (ClientError, BotoCoreError) as error:
        raise EvidenceUnreadable(f"there is no session: {error}") from error


def fleet_session(role: str | None, region: str | None, external_id: str = "") -> Any:
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
        extra_args={"RoleSessionName": _SESSION_NAME, **external(external_id)},
    )
    assumed = botocore.session.get_session()
    # boto3 has no public way to set credentials that refresh themselves.
    refreshing = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    assumed._credentials = refreshing  # type: ignore[attr-defined]
    return boto3.Session(botocore_session=assumed, region_name=region)
