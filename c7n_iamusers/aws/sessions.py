# SPDX-License-Identifier: Apache-2.0
"""A session in the account that a command works on."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.exceptions import EvidenceUnreadable

#: IAM is one for a partition; where no Region is set, the first one leads there.
_REGION = "us-east-1"
_SESSION_NAME = "c7n-iamusers"


def account_session(role: str | None = None) -> boto3.Session:
    """A session with the credentials at hand, or with those of ``role``, an ARN, assumed by them.

    Raises EvidenceUnreadable where there are none, or the role can't be assumed.
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
    """A client of iam in the session of ``account_session``, whose errors it raises."""
    session = account_session(role)
    try:
        return session.client("iam")
    except (ClientError, BotoCoreError) as error:
        raise EvidenceUnreadable(f"there is no session: {error}") from error


def account_of(session: boto3.Session) -> str:
    """The id of the account that ``session`` acts in. Raises EvidenceUnreadable where that can't be told."""
    try:
        return str(session.client("sts").get_caller_identity()["Account"])
    except (ClientError, BotoCoreError) as error:
        raise EvidenceUnreadable(f"who is acting can't be told: {error}: mend the credentials") from error
