# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from aws_local_org import LocalOrg
from aws_local_org.load import load
from tests.local_org.sample_account import ANA, BOT, DETAILS, REPORT_COLUMNS, ROOT, TARGET, report


def test_credentials_come_from_the_report(org: LocalOrg) -> None:
    summary = load(org, TARGET, DETAILS, report(ROOT, ANA, BOT))
    iam = org.client("iam", TARGET)
    assert summary["warnings"] == []
    assert summary["report_rows"] == 2
    assert iam.get_login_profile(UserName="ana")["LoginProfile"]["CreateDate"].year == 2025
    assert iam.get_user(UserName="ana")["User"]["PasswordLastUsed"].day == 5
    assert (
        iam.list_mfa_devices(UserName="ana")["MFADevices"][0]["SerialNumber"]
        == f"arn:aws:iam::{TARGET}:mfa/ana"
    )
    keys = {key["Status"]: key for key in iam.list_access_keys(UserName="ana")["AccessKeyMetadata"]}
    assert {status: key["CreateDate"].year for status, key in keys.items()} == {
        "Active": 2024,
        "Inactive": 2025,
    }
    used = iam.get_access_key_last_used(AccessKeyId=keys["Active"]["AccessKeyId"])["AccessKeyLastUsed"]
    assert (used["LastUsedDate"].day, used["Region"], used["ServiceName"]) == (6, "eu-west-1", "s3")
    unused = iam.get_access_key_last_used(AccessKeyId=keys["Inactive"]["AccessKeyId"])["AccessKeyLastUsed"]
    assert "LastUsedDate" not in unused
    assert [item["Status"] for item in iam.list_signing_certificates(UserName="ana")["Certificates"]] == [
        "Active"
    ]
    assert iam.list_access_keys(UserName="bot")["AccessKeyMetadata"] == []
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_login_profile(UserName="bot")


def test_the_account_makes_the_same_report_again(org: LocalOrg) -> None:
    org.configure(report_seconds=0)
    load(org, TARGET, DETAILS, report(ROOT, ANA, BOT))
    iam = org.client("iam", TARGET)
    iam.generate_credential_report()
    header, _root, ana, bot = iam.get_credential_report()["Content"].decode().splitlines()
    assert header == REPORT_COLUMNS
    assert ANA.items() <= dict(zip(header.split(","), ana.split(","), strict=True)).items()
    assert BOT.items() <= dict(zip(header.split(","), bot.split(","), strict=True)).items()


@pytest.mark.parametrize(
    ("row", "warning"),
    [
        pytest.param(
            {**ANA, "user": "ANA"},
            "user is written differently in the credential report: ana, ANA",
            id="case",
        ),
        pytest.param(
            {**BOT, "user": "carl"}, "is missing from the details, not loaded: carl", id="unknown user"
        ),
        pytest.param(
            BOT, "is missing from the credential report, so it got no credentials: ana", id="no row"
        ),
        pytest.param(
            {**ANA, "password_last_used": "recently"},
            "password_last_used of the credential report is not a date, taken as unknown: ana",
            id="no date",
        ),
        pytest.param(
            {**ANA, "additional_credentials_info": "3 more access keys"},
            "has more credentials than the report lists, not loaded: ana (3 more access keys)",
            id="additional credentials",
        ),
    ],
)
def test_differences_of_the_report_are_said(org: LocalOrg, row: dict[str, str], warning: str) -> None:
    columns = f"{REPORT_COLUMNS},additional_credentials_info"
    warnings = load(org, TARGET, DETAILS, report(row, columns=columns))["warnings"]
    assert [line for line in warnings if warning in line], warnings


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        pytest.param("user,password_enabled", "ana,TRUE", id="capitals"),
        pytest.param("mfa_active,password_enabled,user", "false,true,ana", id="columns in another order"),
        pytest.param(
            "user,password_enabled,mfa_active,cert_1_active", "ana,true", id="row shorter than the header"
        ),
        pytest.param("user,password_enabled,new_column", "ana,true,7", id="a column of tomorrow"),
    ],
)
def test_the_header_says_what_a_column_is(org: LocalOrg, columns: str, row: str) -> None:
    counts = load(org, TARGET, DETAILS, f"{columns}\n{row}")["counts"]
    assert (counts["passwords"], counts["mfa_devices"], counts["access_keys"]) == (1, 0, 0)
