# SPDX-License-Identifier: Apache-2.0
"""The errors of sso-admin and identitystore, as their botocore service models name them."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class ApiError(ServiceException):
    """An error that the client sees; members are the further members of its shape (`Reason`, `ResourceType`)."""

    def __init__(self, error_code: str, text: str, **members: object) -> None:
        super().__init__(error_code, text)
        # moto serializes whatever members of the modelled error shape it finds as attributes.
        self.__dict__.update(members)


def invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)


def not_found(message: str, **members: object) -> ApiError:
    return ApiError("ResourceNotFoundException", message, **members)


def conflict(message: str, **members: object) -> ApiError:
    return ApiError("ConflictException", message, **members)


def denied(message: str) -> ApiError:
    return ApiError("AccessDeniedException", message)


def over_quota(message: str) -> ApiError:
    return ApiError("ServiceQuotaExceededException", message)


def throttled(message: str) -> ApiError:
    return ApiError("ThrottlingException", message)
