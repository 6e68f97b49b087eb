# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import datetime, timezone

import pytest

from c7n_iamusers.evidence.credential_report import date, flag, is_none, last_use, parse_report, report_text
from c7n_iamusers.evidence.model import LastUse
from c7n_iamusers.exceptions import EvidenceUnreadable

pytestmark = pytest.mark.pure

MADE = datetime(2026, 11, 24, 9, tzinfo=timezone.utc)
USED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"user,arn\nalice,x", id="bytes"),
        pytest.param(b"\xef\xbb\xbfuser,arn\nalice,x", id="bytes-with-mark"),
        pytest.param("user,arn\nalice,x", id="text"),
        pytest.param("dXNlcixhcm4KYWxpY2UseA==", id="base64"),
        pytest.param(b"dXNlcixhcm4KYWxpY2UseA==\n", id="base64-bytes"),
    ],
)
def test_content_in_every_form(content: bytes | str) -> None:
    assert report_text(content) == "user,arn\nalice,x"


def test_a_quote_in_a_name_does_not_spoil_the_report() -> None:
    found = parse_report('user,arn\nal"ice,x\n"bob" by,y\n', None)
    assert set(found.rows) == {'al"ice', "bob by"}


@pytest.mark.parametrize(
    "content", [b"\xff", "<html>", "", "dXNlcg"], ids=["bytes", "html", "empty", "cut-short"]
)
def test_content_that_is_none(content: bytes | str) -> None:
    with pytest.raises(
        EvidenceUnreadable, match=r"neither UTF-8 text nor base64-encoded UTF-8 text|no column `user`"
    ):
        parse_report(report_text(content), None)


def test_rows_go_by_the_header_and_not_by_place() -> None:
    text = "arn,mfa_active,user\nx,true,alice\ny,false,bob"
    report = parse_report(text, MADE)
    assert report.row("alice") == {"arn": "x", "mfa_active": "true", "user": "alice"}
    assert report.row("BOB") == {"arn": "y", "mfa_active": "false", "user": "bob"}
    assert report.row("carol") is None
    assert report.time == MADE


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeffuser,arn\na,b", id="byte-order-mark"),
        pytest.param("User, ARN\r\na,b\r\n\r\n", id="case-space-crlf-blank-line"),
        pytest.param('"user","arn"\n"a","b"\n', id="quoted"),
        pytest.param("user,arn,new_column\na,b,c,surplus\n", id="more-columns-and-longer-row"),
    ],
)
def test_the_header_is_found(text: str) -> None:
    row = parse_report(text, None).row("a")
    assert row is not None
    assert row["arn"] == "b"


def test_a_short_row_lacks_cells_rather_than_having_empty_ones() -> None:
    row = parse_report("user,arn,mfa_active\na,b\n", None).row("a")
    assert row == {"user": "a", "arn": "b"}


def test_names_with_every_allowed_character() -> None:
    assert parse_report('user,arn\n"a+b=c,d.e@f-g",x', None).row("a+b=c,d.e@f-g") is not None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("arn,mfa_active\nx,true", id="no-user"),
        pytest.param("<html>", id="html"),
    ],
)
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(EvidenceUnreadable, match="no column `user`"):
        parse_report(text, None)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        pytest.param("true", True, id="true"),
        pytest.param("TRUE", True, id="upper"),
        pytest.param("False", False, id="false"),
        pytest.param("not_supported", None, id="not-supported"),
        pytest.param("N/A", None, id="n-a"),
        pytest.param("", None, id="empty"),
    ],
)
def test_flags(cell: str, expected: bool | None) -> None:
    assert flag({"mfa_active": cell}, "mfa_active") is expected


def test_a_missing_column_says_nothing() -> None:
    assert flag({}, "mfa_active") is None
    assert date({}, "user_creation_time") is None
    assert not is_none({}, "cert_1_last_rotated")
    assert last_use({}, "password", "password_last_used") is None


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        pytest.param("N/A", LastUse(None), id="n-a"),
        pytest.param("no_information", LastUse(None), id="no-information"),
        pytest.param("2026-01-02T03:04:05+00:00", LastUse(USED, "s3", ""), id="date"),
        pytest.param("not_supported", None, id="not-supported"),
        pytest.param("", None, id="empty"),
        pytest.param("yesterday", None, id="no-date"),
    ],
)
def test_last_use_tells_never_from_unknown(cell: str, expected: LastUse | None) -> None:
    row = {
        "access_key_1_last_used_date": cell,
        "access_key_1_last_used_service": "s3",
        "access_key_1_last_used_region": "N/A",
    }
    assert last_use(row, "access_key_1", "access_key_1_last_used_date") == expected
