# SPDX-License-Identifier: Apache-2.0
"""The instance of a local organization, with shorthands for what most tests begin with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from aws_local_org import LocalOrg, Settings
from aws_local_org.identity_center import provisioning, state

MANAGEMENT = "123456789012"
PAYMENTS, RESEARCH, PLATFORM = "111122223333", "444455556666", "777788889999"
SETTINGS = Settings(assignment_seconds=60)

#: One attempt, so that a test sees the error itself; no checks by boto3, so that the service's own are tested.
AS_SENT = Config(retries={"total_max_attempts": 1}, parameter_validation=False)


class ManualClock:
    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Center:
    """Clients of any account, one of each, and the instance."""

    org: LocalOrg
    clock: ManualClock
    clients: dict[tuple[str, str, str], Any]
    instance: state.Instance = field(init=False)

    def __post_init__(self) -> None:
        (self.instance,) = state.instances

    def client(self, service: str, account: str = MANAGEMENT, region: str = SETTINGS.region) -> Any:
        key = (service, account, region)
        if key not in self.clients:
            self.clients[key] = self.org.client(service, account, region_name=region, config=AS_SENT)
        return self.clients[key]

    def admin(self, operation: str, account: str = MANAGEMENT, **parameters: Any) -> Any:
        """An sso-admin operation on the instance."""
        call = getattr(self.client("sso-admin", account), operation)
        return call(**{"InstanceArn": self.instance.arn, **parameters})

    def store(self, operation: str, account: str = MANAGEMENT, **parameters: Any) -> Any:
        """An identitystore operation on the instance's identity store."""
        call = getattr(self.client("identitystore", account), operation)
        return call(**{"IdentityStoreId": self.instance.store.id, **parameters})

    def permission_set(self, name: str = "ReadOnly", **parameters: Any) -> str:
        made = self.admin("create_permission_set", Name=name, **parameters)
        return str(made["PermissionSet"]["PermissionSetArn"])

    def group(self, name: str = "auditors") -> str:
        return str(self.store("create_group", DisplayName=name)["GroupId"])

    def user(self, name: str = "ann", **parameters: Any) -> str:
        person = {"Name": {"GivenName": "Ann", "FamilyName": "Lee"}, "DisplayName": "Ann Lee"}
        return str(self.store("create_user", UserName=name, **{**person, **parameters})["UserId"])

    def assign(self, permission_set: str, principal: str, account: str = PAYMENTS, **parameters: Any) -> Any:
        made = self.admin(
            "create_account_assignment",
            **{
                "TargetId": account,
                "TargetType": "AWS_ACCOUNT",
                "PermissionSetArn": permission_set,
                "PrincipalType": "GROUP",
                "PrincipalId": principal,
                **parameters,
            },
        )
        return made["AccountAssignmentCreationStatus"]

    def creation(self, request_id: str) -> Any:
        status = self.admin(
            "describe_account_assignment_creation_status", AccountAssignmentCreationRequestId=request_id
        )
        return status["AccountAssignmentCreationStatus"]

    def settled(self, status: Any) -> Any:
        """The status of a creation once it is over."""
        self.clock.advance(SETTINGS.assignment_seconds)
        return self.creation(status["RequestId"])

    def assigned(
        self, permission_set: str, principal: str, account: str = PAYMENTS, **parameters: Any
    ) -> None:
        status = self.settled(self.assign(permission_set, principal, account, **parameters))
        assert status["Status"] == "SUCCEEDED", status

    def remove_reserved_roles(self) -> None:
        for instance in state.instances:
            for account, arn in list(instance.provisioned):
                provisioning.remove(instance, arn, account)

    def reserved_roles(self, account: str = PAYMENTS) -> list[Any]:
        roles = self.client("iam", account).list_roles(PathPrefix="/aws-reserved/")["Roles"]
        return list(roles)


def refusal(code: str, call: Callable[..., Any], *positional: Any, **parameters: Any) -> dict[str, Any]:
    """The error response of a call; the test fails unless the call is refused with this code."""
    with pytest.raises(ClientError) as caught:
        call(*positional, **parameters)
    response: Any = caught.value.response
    assert response["Error"]["Code"] == code, caught.value
    return dict(response)
