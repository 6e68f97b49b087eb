# SPDX-License-Identifier: Apache-2.0
"""IAM's errors: code and message here, HTTP status from botocore's model of IAM."""

from __future__ import annotations

from functools import cache

from moto.core.utils import get_service_model

from aws_local_org.errors import AwsError


@cache
def _statuses() -> dict[str, int]:
    shapes = get_service_model("iam").error_shapes
    errors = (shape.metadata.get("error", {}) for shape in shapes)
    return {error["code"]: error["httpStatusCode"] for error in errors if "httpStatusCode" in error}


def iam_error(code: str, message: str) -> AwsError:
    return AwsError(code, message, _statuses().get(code, 400))


def no_such_entity(message: str) -> AwsError:
    return iam_error("NoSuchEntity", message)


def already_exists(message: str) -> AwsError:
    return iam_error("EntityAlreadyExists", message)


def delete_conflict(message: str) -> AwsError:
    return iam_error("DeleteConflict", message)


def quota_exceeded(quota: str, limit: int) -> AwsError:
    """LimitExceeded in AWS's wording, e.g. for quota `AccessKeysPerUser`."""
    return iam_error("LimitExceeded", f"Cannot exceed quota for {quota}: {limit}")


def validation_error(message: str) -> AwsError:
    return iam_error("ValidationError", message)


def invalid_input(message: str) -> AwsError:
    return iam_error("InvalidInput", message)


def access_denied(message: str) -> AwsError:
    return AwsError("AccessDenied", message, 403)
