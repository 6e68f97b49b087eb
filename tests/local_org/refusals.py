# SPDX-License-Identifier: Apache-2.0
"""How a call was refused, as a value that a test can compare."""

from __future__ import annotations

from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

#: One attempt, so that a test sees the error itself; no checks by boto3, so that the service's own are tested.
AS_SENT = Config(retries={"total_max_attempts": 1}, parameter_validation=False)


def refusal(call: Any, **parameters: Any) -> tuple[str, int] | None:
    """Error code and HTTP status of a refused call; None where it went through."""
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None


def message(call: Any, **parameters: Any) -> str:
    """The message of a refused call; empty where it went through."""
    try:
        call(**parameters)
    except ClientError as error:
        return str(error.response["Error"]["Message"])
    return ""
