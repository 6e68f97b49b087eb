# SPDX-License-Identifier: Apache-2.0
"""The session of a fleet run: the person's own, or a role's that outlives the hour that chained roles last."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import NoCredentialsError

_SESSION_NAME = "c7n-iamusers"


def fleet_session(role: str | None, region: str | None) -> Any:
    """A boto3 session of the environment's credentials, or of ``role``, assumed by them again before it expires.

    1,200 assignments take Identity Center about an hour, which is all that a chained role's credentials last.
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
    # boto3 has no public way to give a session credentials that refresh themselves.
    refreshing = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    assumed._credentials = refreshing  # type: ignore[attr-defined]
    return boto3.Session(botocore_session=assumed, region_name=region)
