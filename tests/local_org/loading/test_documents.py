# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from aws_local_org.errors import LocalOrgError
from aws_local_org.loading.documents import (
    details_in,
    entries,
    moment,
    pages_in,
    policy_text,
    report_flag,
    report_in,
    report_rows,
    report_value,
    tags_of,
    text_of,
)

PAGE = '{"UserDetailList": []}'
CSV = "user,arn,password_enabled\nana,arn:aws:iam::111122223333:user/ana,true\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("Zoë".encode(), id="utf-8"),
        pytest.param("Zoë".encode("utf-8-sig"), id="utf-8 with a byte order mark"),
        pytest.param("Zoë".encode("utf-16"), id="utf-16 as PowerShell writes it"),
        pytest.param(b"\xfe\xff" + "Zoë".encode("utf-16-be"), id="utf-16 big endian"),
    ],
)
def test_text_is_decoded_by_its_byte_order_mark(content: bytes) -> None:
    assert text_of(content) == "Zoë"


def test_bytes_that_are_no_text_are_refused_with_their_place() -> None:
    with pytest.raises(LocalOrgError, match="line 1: is not UTF-8"):
        text_of(b"abc\xff\xfedef")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param(PAGE, 1, id="one document"),
        pytest.param(f"[{PAGE}, {PAGE}]", 2, id="a list of pages"),
        pytest.param(f"{PAGE}\n{PAGE}\n\n{PAGE}\n", 3, id="pages one after the other"),
        pytest.param(f"{PAGE},\n{PAGE}", 2, id="pages with commas between"),
        pytest.param(f"  {PAGE}  ", 1, id="white space around"),
    ],
)
def test_every_page_of_a_file_is_found(text: str, count: int) -> None:
    assert pages_in(text) == [{"UserDetailList": []}] * count


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            '{"UserDetailList": [\n  {"UserName": }]}', "line 2, column 16: Expecting value", id="broken"
        ),
        pytest.param(f'{PAGE}\n{{"Policies": [', r"line 2, column 15", id="second page cut off"),
        pytest.param("", "no JSON document", id="empty"),
        pytest.param("[]", "no JSON document", id="empty list"),
        pytest.param('"text"', "found a string", id="a string"),
        pytest.param("[1, 2]", "found a number", id="numbers"),
        pytest.param("user,arn\nana,x", "line 1, column 1", id="the other file"),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(LocalOrgError, match=message):
        pages_in(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(CSV, id="CSV"),
        pytest.param(CSV.replace("\n", "\r\n"), id="CSV with carriage returns"),
        pytest.param(CSV.replace("user,arn,password", "User,ARN,Password"), id="header in other case"),
        pytest.param(f"{CSV}\n\n", id="blank lines"),
        pytest.param(f"\ufeff{CSV}", id="byte order mark left in"),
        pytest.param(base64.b64encode(CSV.encode()).decode(), id="base64"),
        pytest.param(base64.encodebytes(CSV.encode()).decode(), id="base64 in lines"),
        pytest.param(
            json.dumps({"Content": base64.b64encode(CSV.encode()).decode(), "ReportFormat": "text/csv"}),
            id="answer of the AWS CLI",
        ),
    ],
)
def test_a_report_is_read_in_every_form_that_it_is_kept_in(text: str) -> None:
    row = {"user": "ana", "arn": "arn:aws:iam::111122223333:user/ana", "password_enabled": "true"}
    assert report_rows(text) == [row]


def test_a_row_shorter_than_the_header_lacks_the_last_columns() -> None:
    (row,) = report_rows("user,arn,mfa_active,cert_1_active\nana,arn:x")
    assert row == {"user": "ana", "arn": "arn:x"}
    assert not report_flag(row, "mfa_active")
    assert report_value(row, "cert_1_last_rotated") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "no `user` column", id="empty"),
        pytest.param("name,arn\nana,x", "no `user` column", id="other CSV"),
        pytest.param("%%%%", "no `user` column|neither CSV", id="neither CSV nor base64"),
        pytest.param("/v8A", "neither CSV", id="base64 of no text"),
        pytest.param('{"UserDetailList": []}', "no `user` column", id="the other file"),
        pytest.param('{"Content": ', "line 1, column 12", id="broken answer"),
    ],
)
def test_what_is_no_report_is_refused(text: str, message: str) -> None:
    with pytest.raises(LocalOrgError, match=message):
        report_rows(text)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("N/A", None),
        ("no_information", None),
        ("not_supported", None),
        ("", None),
        ("us-east-1", "us-east-1"),
    ],
)
def test_what_the_report_writes_for_nothing_is_none(cell: str, value: str | None) -> None:
    assert report_value({"column": cell}, "column") == value


@pytest.mark.parametrize(
    ("cell", "flag"),
    [("true", True), ("TRUE", True), ("false", False), ("not_supported", False), ("", False)],
)
def test_flags(cell: str, flag: bool) -> None:
    assert report_flag({"column": cell}, "column") is flag


POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "a%20b"}],
}
MOMENT = datetime(2013, 10, 11, 18, 19, 38, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(POLICY, id="dict"),
        pytest.param(json.dumps(POLICY), id="JSON"),
        pytest.param(quote(json.dumps(POLICY)), id="URL-encoded"),
        pytest.param(json.dumps(json.dumps(POLICY)), id="JSON of JSON"),
        pytest.param(json.dumps(POLICY, indent=4), id="JSON with line breaks"),
    ],
)
def test_policy_documents_in_every_form(value: Any) -> None:
    assert json.loads(policy_text(value)) == POLICY


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "null"),
        ("", "neither JSON nor URL-encoded JSON"),
        ("Statement: []", "neither JSON"),
        ("[1]", "a list"),
        ({}, "without Statement"),
        (7, "a number"),
    ],
)
def test_what_is_no_policy_is_said_so(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        policy_text(value)


@pytest.mark.parametrize(
    "value",
    [
        "2013-10-11T18:19:38Z",
        "2013-10-11T18:19:38+00:00",
        "2013-10-11T20:19:38+0200",
        "2013-10-11T18:19:38",
        "2013-10-11 18:19:38+00:00",
        "Fri, 11 Oct 2013 18:19:38 GMT",
        "Fri, 11 Oct 2013 20:19:38 +0200",
        1381515578,
        1381515578.0,
        "1381515578",
        1381515578000,
    ],
)
def test_one_moment_in_every_form(value: Any) -> None:
    assert moment(value) == MOMENT


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2013-10-11T18:19:38.925Z", MOMENT.replace(microsecond=925000)),
        ("2013-10-11", datetime(2013, 10, 11, tzinfo=timezone.utc)),
        ("20131011", datetime(2013, 10, 11, tzinfo=timezone.utc)),
        (None, None),
        ("N/A", None),
        ("no_information", None),
        ("not_supported", None),
        ("", None),
    ],
)
def test_other_dates(value: Any, expected: datetime | None) -> None:
    assert moment(value) == expected


@pytest.mark.parametrize("value", ["yesterday", "11/10/2013", "1e400", True, {"date": 1}, "2013-13-01"])
def test_what_is_no_date_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a date"):
        moment(value)


@pytest.mark.parametrize(
    ("value", "expected"), [(None, []), ([], []), ([1, 2], [1, 2]), ({"a": 1}, [{"a": 1}]), ("x", ["x"])]
)
def test_entries(value: Any, expected: list[Any]) -> None:
    assert entries(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param([{"Key": "Email", "Value": "a@example.com"}], {"Email": "a@example.com"}, id="IAM"),
        pytest.param([{"key": "Email", "value": "a@example.com"}], {"Email": "a@example.com"}, id="Config"),
        pytest.param(
            {"Key": "Email", "Value": "a@example.com"}, {"Email": "a@example.com"}, id="a single tag"
        ),
        pytest.param({"Email": "a@example.com"}, {"Email": "a@example.com"}, id="mapping"),
        pytest.param([{"Key": "Temporary"}], {"Temporary": ""}, id="no value"),
        pytest.param(None, {}, id="none"),
    ],
)
def test_tags(value: Any, expected: dict[str, str]) -> None:
    assert tags_of(value) == expected


@pytest.mark.parametrize("value", ["Email", [{"Name": "Email"}], [["Email", "x"]]])
def test_what_are_no_tags_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="must have Key and Value"):
        tags_of(value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_are_read_in_the_encodings_of_shells(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "file"
    path.write_text('{"UserDetailList": []}', encoding=encoding)
    assert details_in(path) == [{"UserDetailList": []}]
    path.write_text(CSV, encoding=encoding)
    assert report_in(path) == CSV


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n"UserDetailList" []}', "line 2, column 18: Expecting ':' delimiter"),
        (b"\xff\xff", "line 1: is not UTF-8"),
        (b"", "no JSON document"),
    ],
)
def test_an_error_names_the_file_and_the_place(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "details.json"
    path.write_bytes(content)
    with pytest.raises(LocalOrgError, match=re.escape(f"{path}: {message}")):
        details_in(path)


def test_a_report_is_checked_before_it_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("name,arn\n")
    with pytest.raises(LocalOrgError, match=re.escape(f"{path}: no `user` column")):
        report_in(path)


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(LocalOrgError, match="cannot be read"):
        details_in(tmp_path)
