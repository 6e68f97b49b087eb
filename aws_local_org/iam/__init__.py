# SPDX-License-Identifier: Apache-2.0
"""IAM as the API reference describes it. The parts in this package extend and replace moto's IAM."""

from __future__ import annotations

from typing import Any

from moto.core.serialize import SERVICE_SPECIFIC_SERIALIZERS
from moto.iam.models import iam_backends

from aws_local_org.iam import results
from aws_local_org.iam.authorization_details import AuthorizationDetailsResponse
from aws_local_org.iam.base import dispatched_at
from aws_local_org.iam.credential_report import CredentialReportBackend, CredentialReportResponse
from aws_local_org.iam.credentials import (
    AccessKeysResponse,
    LoginProfilesResponse,
    ServiceCredentialsResponse,
    SigningCertificatesResponse,
    SshPublicKeysResponse,
)
from aws_local_org.iam.last_accessed import LastAccessedBackend, LastAccessedResponse
from aws_local_org.iam.mfa import MfaResponse
from aws_local_org.iam.policies import (
    InlinePoliciesBackend,
    InlinePoliciesResponse,
    ManagedPoliciesBackend,
    PolicyListingsResponse,
)
from aws_local_org.iam.results import WholeSecondsSerializer
from aws_local_org.iam.roles import RolesBackend, RolesResponse
from aws_local_org.iam.simulation import SimulationResponse
from aws_local_org.iam.users import GroupsBackend, GroupsResponse, UsersBackend, UsersResponse


class LocalIamResponse(
    UsersResponse,
    LoginProfilesResponse,
    AccessKeysResponse,
    MfaResponse,
    ServiceCredentialsResponse,
    SigningCertificatesResponse,
    SshPublicKeysResponse,
    GroupsResponse,
    RolesResponse,
    InlinePoliciesResponse,
    PolicyListingsResponse,
    AuthorizationDetailsResponse,
    CredentialReportResponse,
    SimulationResponse,
    LastAccessedResponse,
):
    """Every operation of IAM. Operations that no part implements are moto's."""


class LocalIAMBackend(
    UsersBackend,
    GroupsBackend,
    RolesBackend,
    ManagedPoliciesBackend,
    InlinePoliciesBackend,
    CredentialReportBackend,
    LastAccessedBackend,
):
    """The IAM of one account."""

    @property
    def _url_module(self) -> Any:
        return dispatched_at(LocalIamResponse)

    def reset(self) -> None:
        """Skips moto's rebuild, whose result is discarded."""
        self.__dict__.clear()


def install() -> None:
    """Replace moto's IAM in every account from its next use on. Idempotent."""
    iam_backends.backend = LocalIAMBackend
    SERVICE_SPECIFIC_SERIALIZERS["iam"] = {"query": WholeSecondsSerializer}


def reset() -> None:
    """Delete state that is kept outside the accounts."""
    results.forget_markers()


__all__ = ["install", "reset"]
