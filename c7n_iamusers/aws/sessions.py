# SPDX-License-Identifier: Apache-2.0
"""A session in the account that a command looks at."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.exceptions import EvidenceUnreadable

#: IAM is one for a partition; where no Region is set, the first one leads there.
_REGION = "us-east-1"
_SESSION_NAME = "c7n-iamusers"


def iam_client(role: str | None = None) -> Any:
    """A client of iam with the credentials at hand, or with those of ``role``, an ARN, assumed by them.

    Raises EvidenceUnreadable where there are none, or the role can't be assumed.
    """
    try:
        session = boto3.Session()
        region = session.region_name or _REGION
        if not role:
            return session.client("iam", region_name=region)
        assumed = session.client("sts", region_name=region).assume_role(
            RoleArn=role, RoleSessionName=_SESSION_NAME
        )["Credentials"]
    except (ClientError, BotoCoreError) as error:
        what = f"role {role} can't be assumed" if role else "there is no session"
        raise EvidenceUnreadable(f"{what}: {error}") from error
    return boto3.client(
        "iam",
        region_name=region,
        aws_access_key_id=assumed["AccessKeyId"],
        aws_secret_access_key=assumed["SecretAccessKey"],
        aws_session_token=assumed["SessionToken"],
    )
