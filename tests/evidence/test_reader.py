# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from c7n_iamusers.evidence.index import VIRTUAL_MFA
from c7n_iamusers.evidence.reader import DEFAULT_PIECES, PIECES, inventory_of, read_pieces
from c7n_iamusers.iam.attachments import CREDENTIAL_REPORT, SERVICE_CREDENTIALS
from tests.fakes import ScriptedClient, Sleeps, client_error

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
MADE = datetime(2026, 11, 24, 9, tzinfo=timezone.utc)
GROUP, ROLE = {"GroupName": "Team"}, {"RoleName": "deploy"}
POLICY = {
    "Arn": "own",
    "DefaultVersionId": "v1",
    "PolicyVersionList": [{"VersionId": "v1", "Document": "{}"}],
}
DEVICE = {"SerialNumber": "mfa/alice"}
CREDENTIALS = [{"ServiceName": service, "UserName": "alice"} for service in ("a", "b")]


def scripts(**changed: Any) -> dict[str, list[Any]]:
    return {
        "get_account_authorization_details": [
            {"GroupDetailList": [GROUP], "IsTruncated": True, "Marker": "m"},
            {"RoleDetailList": [ROLE], "Policies": [POLICY]},
        ],
        "get_credential_report": [{"Content": b"user,arn\nalice,x", "GeneratedTime": MADE}],
        "list_virtual_mfa_devices": [{"VirtualMFADevices": [DEVICE]}],
        "list_service_specific_credentials": [{"ServiceSpecificCredentials": CREDENTIALS}],
        **changed,
    }


def read(**changed: Any) -> Any:
    client = ScriptedClient(**scripts(**changed))
    return inventory_of(read_pieces(DEFAULT_PIECES, {"iam": client}, Sleeps().backoff(), lambda: NOW))


def test_everything_of_an_account() -> None:
    found = read()
    assert (found.groups, found.roles, found.policies) == ({"Team": GROUP}, (ROLE,), {"own": "{}"})
    assert found.report.row("alice") == {"user": "alice", "arn": "x"}
    assert (found.virtual_mfa, found.service_credentials) == ((DEVICE,), tuple(CREDENTIALS))
    assert found.creators is None
    times = {name: source.time for name, source in found.sources.items()}
    assert times == {name: MADE if name == CREDENTIAL_REPORT else NOW for name in DEFAULT_PIECES}


@pytest.mark.parametrize(
    ("operation", "piece", "member", "permission"),
    [
        ("get_credential_report", CREDENTIAL_REPORT, "report", "iam:GenerateCredentialReport"),
        ("list_virtual_mfa_devices", VIRTUAL_MFA, "virtual_mfa", "iam:ListVirtualMFADevices"),
        (
            "list_service_specific_credentials",
            SERVICE_CREDENTIALS,
            "service_credentials",
            "iam:ListServiceSpecificCredentials",
        ),
    ],
)
def test_what_cannot_be_read_is_unknown_with_the_reason(
    operation: str, piece: str, member: str, permission: str
) -> None:
    found = read(**{operation: [client_error("AccessDenied")]})
    assert getattr(found, member) is None
    source = found.sources[piece]
    assert source.time is None
    assert source.problem.startswith("AccessDenied: it needs")
    assert permission in source.problem
    assert found.groups == {"Team": GROUP}


def test_other_problems_are_told_as_they_are() -> None:
    found = read(get_credential_report=[{"Content": b"a,b"}])
    assert "no column `user`" in found.sources[CREDENTIAL_REPORT].problem


def test_groups_and_policies_are_required() -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        read(get_account_authorization_details=[client_error("AccessDenied")])


def test_nothing_asked_for_is_nothing_read() -> None:
    assert read_pieces([], {}, Sleeps().backoff()) == {}


def test_permissions_are_of_the_service_that_is_asked() -> None:
    assert PIECES["creation"].permissions == ("cloudtrail:LookupEvents",)
    assert PIECES[CREDENTIAL_REPORT].permissions == (
        "iam:GetCredentialReport",
        "iam:GenerateCredentialReport",
    )
