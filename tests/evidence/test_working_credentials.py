# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.evidence.credential_report import CredentialReport
from c7n_iamusers.evidence.index import VIRTUAL_MFA, Inventory
from c7n_iamusers.evidence.model import Source
from c7n_iamusers.evidence.working_credentials import (
    OLDEST_REPORT,
    WorkingCredentials,
    credentials_of_users,
)
from c7n_iamusers.iam.attachments import CREDENTIAL_REPORT, SERVICE_CREDENTIALS
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord, deletion_sids

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
READ = NOW - timedelta(hours=3)
CREATED = datetime(2024, 1, 31, tzinfo=timezone.utc)
NOBODY = {
    "user": "alice",
    "user_creation_time": "2024-01-31T00:00:00+00:00",
    "password_enabled": "false",
    "password_last_used": "N/A",
    "mfa_active": "false",
    "access_key_1_active": "false",
    "access_key_1_last_rotated": "N/A",
    "access_key_1_last_used_date": "N/A",
    "access_key_2_active": "false",
    "access_key_2_last_rotated": "N/A",
    "access_key_2_last_used_date": "N/A",
    "cert_1_active": "false",
    "cert_1_last_rotated": "N/A",
    "cert_2_active": "false",
    "cert_2_last_rotated": "N/A",
}
GIT = {
    "UserName": "alice",
    "ServiceName": "codecommit.amazonaws.com",
    "Status": "Active",
    "ServiceSpecificCredentialId": "ACCA1",
}
INACTIVE_KEY = {"access_key_1_active": "false", "access_key_1_last_rotated": "2024-02-01T00:00:00+00:00"}


def deny(sid: str) -> dict[str, Any]:
    return {"PolicyName": DENY_ALL_NAME, "PolicyDocument": deny_all_document(sid)}


def held(
    row: dict[str, str] | None = None,
    services: tuple[dict[str, str], ...] = (),
    policies: tuple[dict[str, Any], ...] = (),
    **changes: Any,
) -> WorkingCredentials:
    """What alice has by a report with ``row``; ``changes`` of the inventory."""
    rows = {} if row is None else {"alice": {**NOBODY, **row}}
    sources = {name: Source(name, READ) for name in (CREDENTIAL_REPORT, VIRTUAL_MFA, SERVICE_CREDENTIALS)}
    found = Inventory(
        report=CredentialReport(rows, READ), virtual_mfa=(), service_credentials=services, sources=sources
    )
    detail = {
        "UserName": "alice",
        "UserId": "AIDA1",
        "Arn": "arn:aws:iam::111122223333:user/alice",
        "UserPolicyList": list(policies),
    }
    created = {"AIDA1": changes.pop("created", CREATED)}
    now = changes.pop("now", NOW)
    return credentials_of_users(replace(found, **changes), {"AIDA1": detail}, created, now)["AIDA1"]


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        pytest.param({}, (), id="nothing"),
        pytest.param(INACTIVE_KEY, (), id="inactive-key"),
        pytest.param({"password_enabled": "true"}, ("login-profile",), id="password"),
        pytest.param({"access_key_2_active": "true"}, ("access-key",), id="second-key"),
        pytest.param({"cert_1_active": "true"}, ("signing-certificate",), id="certificate"),
        pytest.param(
            {"password_enabled": "true", "access_key_1_active": "true"},
            ("access-key", "login-profile"),
            id="both",
        ),
        pytest.param({"mfa_active": "true"}, (), id="a-device-alone"),
    ],
)
def test_what_works(row: dict[str, str], kinds: tuple[str, ...]) -> None:
    found = held(row)
    assert (found.kinds, found.services, found.unread, found.problem) == (kinds, (), (), "")
    assert found.as_of == READ


def test_a_credential_for_one_service_is_told_apart() -> None:
    found = held({}, (GIT,))
    assert (found.kinds, found.services) == ((), ("codecommit.amazonaws.com",))
    assert held({}, ({**GIT, "Status": "Inactive"},)).services == ()


@pytest.mark.parametrize(
    ("row", "virtual", "mfa"),
    [
        pytest.param({}, (), False, id="none"),
        pytest.param({"mfa_active": "true"}, (), True, id="by-the-report"),
        pytest.param(
            {}, ({"SerialNumber": "s", "User": {"UserName": "alice"}},), True, id="newer-than-the-report"
        ),
        pytest.param({}, None, None, id="list-unread"),
    ],
)
def test_mfa(row: dict[str, str], virtual: Any, mfa: bool | None) -> None:
    assert held(row, virtual_mfa=virtual).mfa is mfa


@pytest.mark.parametrize(
    ("row", "changes", "told"),
    [
        pytest.param(None, {}, "has no row for the user, which was created later", id="created-since"),
        pytest.param(
            {"password_enabled": "true"},
            {"created": NOW},
            "has no row for the user, which was created later",
            id="made-again-under-the-name",
        ),
        pytest.param(
            {"password_enabled": "true"},
            {"now": READ + OLDEST_REPORT * 2},
            "older than AWS keeps one",
            id="stale",
        ),
        pytest.param(
            {"password_enabled": "true"},
            {
                "report": None,
                "sources": {CREDENTIAL_REPORT: Source("GetCredentialReport", None, "AccessDenied")},
            },
            "AccessDenied",
            id="denied",
        ),
    ],
)
def test_what_the_report_does_not_say_is_unknown(
    row: dict[str, str] | None, changes: dict[str, Any], told: str
) -> None:
    found = held(row, **changes)
    assert found.kinds == ()
    assert {"login-profile", "access-key", "signing-certificate"} <= set(found.unread)
    assert told in found.problem


def test_a_user_in_our_quarantine_counts_as_before_it() -> None:
    key, git = "AKIAIOSFODNN7EXAMPLE", "ACCAIOSFODNN7EXAMPLE"
    (sid, journaled) = QuarantineRecord(READ, "p", "r", (key,)).sids
    assert held(INACTIVE_KEY, policies=(deny(sid),)).kinds == ("access-key",)
    only_git = QuarantineRecord(READ, "p", "r", (git,)).sids[0]
    found = held({}, policies=(deny(only_git),))
    assert (found.kinds, found.services) == ((), ("service-specific-credential",))
    unknown = held(INACTIVE_KEY, policies=(deny(journaled),))
    assert (unknown.kinds, unknown.unread) == ((), ("access-key",))
    assert "journal of its quarantine" in unknown.problem


@pytest.mark.parametrize(
    "policies",
    [
        pytest.param((deny("Quarantined"),), id="no-record"),
        pytest.param((deny("Somebody"),), id="a-statement-id-of-others"),
        pytest.param(
            (
                {
                    "PolicyName": "Mine",
                    "PolicyDocument": deny_all_document("Quarantined20261128T090000ZxAKIA1"),
                },
            ),
            id="another-name",
        ),
        pytest.param(
            (deny(deletion_sids(QuarantineRecord(READ, "p", "r", ("AKIA1",)), NOW)[0]),), id="being-deleted"
        ),
    ],
)
def test_what_is_not_our_quarantine_gives_nothing_back(policies: tuple[dict[str, Any], ...]) -> None:
    assert held(INACTIVE_KEY, policies=policies).kinds == ()


def test_they_are_what_they_were_after_a_file() -> None:
    found = held({"password_enabled": "true", "mfa_active": "true"}, (GIT,))
    assert WorkingCredentials.from_data(found.as_data()) == found
