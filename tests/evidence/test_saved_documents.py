# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.evidence.account_report import read_details, read_report, saved_user
from c7n_iamusers.exceptions import EvidenceUnreadable

pytestmark = pytest.mark.pure

ARN = "arn:aws:iam::111122223333:user/eng/alice"
ALICE = {"UserName": "alice", "UserId": "AIDA1", "Arn": ARN, "Path": "/eng/"}
PAGE = {
    "UserDetailList": [ALICE],
    "GroupDetailList": [{"GroupName": "Team"}],
    "IsTruncated": True,
    "Marker": "m",
}
LAST = {"UserDetailList": [{**ALICE, "UserName": "bob"}], "RoleDetailList": {"RoleName": "single"}}
WRITTEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return tmp_path / "saved"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.utime(path, (WRITTEN.timestamp(), WRITTEN.timestamp()))
    return path


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(json.dumps(PAGE) + "\n" + json.dumps(LAST), id="appended"),
        pytest.param(json.dumps([PAGE, LAST]), id="list"),
        pytest.param(("\ufeff" + json.dumps([PAGE, LAST])).encode("utf-16-le"), id="powershell"),
        pytest.param(("\ufeff" + json.dumps([PAGE, LAST])).encode(), id="byte-order-mark"),
    ],
)
def test_all_pages_are_read(saved: Path, content: str | bytes) -> None:
    found = read_details(write(saved, content))
    assert [user["UserName"] for user in found.users] == ["alice", "bob"]
    assert [role["RoleName"] for role in found.entries["RoleDetailList"]] == ["single"]
    assert (found.time, found.truncated) == (WRITTEN, False)


def test_missing_pages_are_noticed(saved: Path) -> None:
    assert read_details(write(saved, json.dumps(PAGE))).truncated


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("", "has no UserDetailList: save `aws iam get-account", id="empty"),
        pytest.param("{}", "has no UserDetailList", id="other-document"),
        pytest.param('{"UserDetailList": [\n}', "line 2, column 1", id="broken"),
        pytest.param("[7]", "must hold objects with UserDetailList, not 7", id="number"),
        pytest.param('{"UserDetailList": ["alice"]}', "UserDetailList must be a list of objects", id="names"),
        pytest.param(b"\xff\xff", "line 1: is not UTF-8, .*: save it as UTF-8", id="bytes"),
    ],
)
def test_what_are_no_details_is_told_with_the_file(saved: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(EvidenceUnreadable, match=f"saved: {message}"):
        read_details(write(saved, content))


def test_a_user_without_a_name_is_refused(saved: Path) -> None:
    with pytest.raises(EvidenceUnreadable, match="a user without UserName and Arn"):
        assert read_details(write(saved, '{"UserDetailList": [{}]}')).users


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param({"Arn": ARN}, {"UserName": "alice", "UserId": "", "Path": "/"}, id="name-from-the-arn"),
        pytest.param({"UserName": "x"}, {"Arn": "arn:aws:iam:::user/x"}, id="no-arn"),
        pytest.param(ALICE, {"GroupList": [], "UserPolicyList": [], "Tags": []}, id="empty-lists-left-out"),
        pytest.param({**ALICE, "GroupList": None, "Tags": None}, {"GroupList": [], "Tags": []}, id="null"),
        pytest.param({**ALICE, "GroupList": "Team"}, {"GroupList": ["Team"]}, id="single-group"),
        pytest.param(
            {**ALICE, "AttachedManagedPolicies": {"PolicyName": "p"}},
            {"AttachedManagedPolicies": [{"PolicyName": "p"}]},
            id="single-policy",
        ),
        pytest.param(
            {**ALICE, "Tags": {"Team": "core"}}, {"Tags": [{"Key": "Team", "Value": "core"}]}, id="tag-map"
        ),
        pytest.param(
            {**ALICE, "Tags": [{"key": "Team", "value": None}]},
            {"Tags": [{"Key": "Team", "Value": ""}]},
            id="tag-case",
        ),
        pytest.param(
            {**ALICE, "PermissionsBoundary": "arn:b"},
            {"PermissionsBoundary": {"PermissionsBoundaryArn": "arn:b"}},
            id="boundary-as-arn",
        ),
        pytest.param(
            {**ALICE, "PermissionsBoundary": {}}, {"PermissionsBoundary": None}, id="empty-boundary"
        ),
    ],
)
def test_users_in_the_wild(entry: dict[str, Any], expected: dict[str, Any]) -> None:
    found = saved_user(entry)
    assert {key: found[key] for key in expected} == expected


CSV = "user,arn\nalice,x"
ENCODED = base64.b64encode(CSV.encode()).decode()


@pytest.mark.parametrize(
    ("content", "time"),
    [
        pytest.param(CSV, WRITTEN, id="csv"),
        pytest.param("\ufeff" + CSV.replace("\n", "\r\n"), WRITTEN, id="csv-with-mark"),
        pytest.param(ENCODED, WRITTEN, id="base64"),
        pytest.param(json.dumps({"Content": ENCODED}), WRITTEN, id="answer-without-time"),
        pytest.param(
            json.dumps({"Content": ENCODED, "GeneratedTime": "2025-05-05T05:05:05+00:00"}),
            datetime(2025, 5, 5, 5, 5, 5, tzinfo=timezone.utc),
            id="answer",
        ),
        pytest.param(json.dumps({"Content": CSV}), WRITTEN, id="answer-decoded-by-a-tool"),
    ],
)
def test_reports(saved: Path, content: str, time: datetime) -> None:
    report = read_report(write(saved, content))
    assert report.row("alice") == {"user": "alice", "arn": "x"}
    assert report.time == time


@pytest.mark.parametrize("content", ["", "{", "x", "a,b", "{}", "[]"])
def test_what_is_no_report_is_told_with_the_file(saved: Path, content: str) -> None:
    with pytest.raises(EvidenceUnreadable, match="saved: is not a credential report"):
        read_report(write(saved, content))


def test_a_file_that_is_not_there(saved: Path) -> None:
    for read in (read_details, read_report):
        with pytest.raises(EvidenceUnreadable, match="saved: No such file"):
            read(saved)
