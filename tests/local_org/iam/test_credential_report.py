# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import datetime
import time
from typing import Any

import pytest

from aws_local_org import LocalOrg
from aws_local_org.iam import seeding
from aws_local_org.seeding.key_material import CERTIFICATES
from tests.local_org.refusals import refusal

LATER = datetime.datetime(2025, 6, 7, 8, 9, 10, tzinfo=datetime.timezone.utc)
EARLIER = datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
AT_LATER, AT_EARLIER = "2025-06-07T08:09:10+00:00", "2024-01-02T03:04:05+00:00"

HEADER = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,"
    "access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,"
    "access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)


@pytest.fixture(autouse=True)
def _at_once(org: LocalOrg) -> None:
    org.configure(report_seconds=0)


def report(iam: Any) -> list[dict[str, str]]:
    iam.generate_credential_report()
    text = iam.get_credential_report()["Content"].decode()
    return list(csv.DictReader(text.splitlines()))


def row_of(iam: Any, name: str) -> dict[str, str]:
    return next(row for row in report(iam) if row["user"] == name)


def test_no_report_yet(iam: Any) -> None:
    assert refusal(iam.get_credential_report) == ("ReportNotPresent", 410)


def test_a_report_takes_its_time(org: LocalOrg, iam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org.configure(report_seconds=60)
    started = iam.generate_credential_report()
    assert (started["State"], bool(started["Description"])) == ("STARTED", True)
    assert refusal(iam.get_credential_report) == ("ReportInProgress", 404)
    assert iam.generate_credential_report()["State"] == "INPROGRESS"
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + 61)
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    got = iam.get_credential_report()
    assert got["ReportFormat"] == "text/csv"
    assert abs(got["GeneratedTime"] - datetime.datetime.now(datetime.timezone.utc)).total_seconds() < 60


def test_a_report_is_kept_for_hours(org: LocalOrg, iam: Any) -> None:
    assert [row["user"] for row in report(iam)] == ["<root_account>"]
    iam.create_user(UserName="ada")
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    assert [row["user"] for row in report(iam)] == ["<root_account>"]
    org.configure(report_ttl_seconds=0)
    assert iam.generate_credential_report()["State"] == "STARTED"
    assert [row["user"] for row in report(iam)] == ["<root_account>", "ada"]


def test_a_report_expires(org: LocalOrg, iam: Any) -> None:
    iam.generate_credential_report()
    org.configure(report_expiry_seconds=0)
    assert refusal(iam.get_credential_report) == ("ReportExpired", 410)


def test_the_header_and_no_final_newline(iam: Any) -> None:
    iam.generate_credential_report()
    text = iam.get_credential_report()["Content"].decode()
    assert text.splitlines()[0] == HEADER
    assert not text.endswith("\n")


def test_root_comes_first_and_users_by_name(iam: Any) -> None:
    for name in ("bob", "Ada", "carol", "Bea"):
        iam.create_user(UserName=name)
    assert [row["user"] for row in report(iam)] == ["<root_account>", "Ada", "Bea", "bob", "carol"]


def test_the_root_user(iam: Any, account: Any) -> None:
    seeding.add_root_mfa_device(account, LATER)
    root = row_of(iam, "<root_account>")
    assert root.pop("arn") == "arn:aws:iam::111122223333:root"
    assert root["mfa_active"] == "true"
    assert {name for name, value in root.items() if value == "not_supported"} == {
        "password_enabled",
        "password_last_changed",
        "password_next_rotation",
    }
    assert root["access_key_1_active"] == "false"


def test_a_user_without_anything(iam: Any, account: Any) -> None:
    seeding.add_user(account, "ada", path="/eng/", created=EARLIER)
    row = row_of(iam, "ada")
    assert row.pop("user_creation_time") == AT_EARLIER
    assert row.pop("arn") == "arn:aws:iam::111122223333:user/eng/ada"
    assert {name for name, value in row.items() if value == "N/A"} == {
        name for name in row if not name.endswith("_active") and name not in ("user", "password_enabled")
    }
    assert {value for name, value in row.items() if name.endswith(("_active", "_enabled"))} == {"false"}


def test_a_user_with_everything(iam: Any, account: Any) -> None:
    user = seeding.add_user(account, "ada", created=EARLIER)
    seeding.set_password(user, EARLIER, last_used=LATER)
    newer = seeding.add_access_key(account, user, created=LATER)
    older = seeding.add_access_key(account, user, created=EARLIER, active=False)
    seeding.set_access_key_last_used(older, LATER, service="s3", region="N/A")
    assert newer.last_used is None
    seeding.add_signing_certificate(user, CERTIFICATES[0], uploaded=LATER, active=False)
    seeding.add_fido_device(account, user, "yubikey", LATER)
    row = row_of(iam, "ada")
    assert [row[name] for name in HEADER.split(",")[2:]] == [
        *(AT_EARLIER, "true", AT_LATER, AT_EARLIER, "N/A", "true"),
        *("false", AT_EARLIER, AT_LATER, "N/A", "s3"),
        *("true", AT_LATER, "N/A", "N/A", "N/A"),
        *("false", AT_LATER, "false", "N/A"),
    ]


@pytest.mark.parametrize(("days", "expected"), [(None, "N/A"), (90, "2024-04-01T03:04:05+00:00")])
def test_password_rotation(iam: Any, account: Any, days: int | None, expected: str) -> None:
    if days:
        iam.update_account_password_policy(MaxPasswordAge=days)
    seeding.set_password(seeding.add_user(account, "ada"), EARLIER)
    row = row_of(iam, "ada")
    assert (row["password_last_used"], row["password_next_rotation"]) == ("no_information", expected)


def test_accounts_have_reports_of_their_own(org: LocalOrg, iam: Any) -> None:
    iam.generate_credential_report()
    other = org.client("iam", "444455556666")
    assert refusal(other.get_credential_report) == ("ReportNotPresent", 410)
