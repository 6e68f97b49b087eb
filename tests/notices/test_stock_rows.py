# SPDX-License-Identifier: Apache-2.0
"""What a row of c7n-mailer's own templates says of a user."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.notices.stock_rows import rows


def row(**known: Any) -> dict[str, Any]:
    (found,) = rows([{"UserName": "alice", "Path": "/eng/", "c7n:IamUser": known}], {"to": ["a@example.com"]})
    return found


@pytest.mark.parametrize(
    ("known", "told"),
    [
        pytest.param({}, "-", id="nothing"),
        pytest.param({"notice": {"was-exempt": "was exempt"}}, "was exempt", id="was-exempt"),
        pytest.param({"notice": {"was-exempt": "", "came-back": "came back"}}, "came back", id="came-back"),
        pytest.param(
            {"created": {"text": "a key"}, "used": {"text": "by root"}}, "a key; by root", id="news"
        ),
        pytest.param({"created": None, "used": {"time": "x"}}, "-", id="news-without-words"),
        pytest.param(
            {
                "attempts": {
                    "attempts": [
                        {"service": "s3", "action": "GetObject", "time": "2026-11-24T18:00:05+00:00"},
                        {"service": "sqs", "time": "2026-11-25T18:00:05+00:00"},
                    ]
                }
            },
            "still in use: s3 GetObject on 2026-11-24 18:00 UTC",
            id="the-first-attempt",
        ),
        pytest.param(
            {"attempts": {"attempts": [{"time": "2026-11-24T18:00:05+00:00"}]}},
            "still in use: a call on 2026-11-24 18:00 UTC",
            id="attempt-of-an-unknown-call",
        ),
        pytest.param({"attempts": {"attempts": None}}, "-", id="no-attempts"),
        pytest.param(
            {
                "outcome": {"status": "browned-out", "reason": "until noon"},
                "provisioning": {"status": "failed"},
            },
            "browned out: until noon",
            id="outcome-before-provisioning",
        ),
        pytest.param({"outcome": {}, "provisioning": {"status": "failed"}}, "failed", id="provisioning"),
        pytest.param(
            {
                "identity-center": {
                    "state": "pending",
                    "username": "ada",
                    "permission-set": "Readers",
                    "reason": "not said beside these",
                }
            },
            "pending: user ada, permission set Readers",
            id="access",
        ),
        pytest.param({"outcome": {"reason": "no status"}}, "-", id="reason-alone"),
    ],
)
def test_what_is_known(known: dict[str, Any], told: str) -> None:
    assert row(**known)["What is known"] == told


def test_the_other_columns() -> None:
    findings = [
        {"id": "iam-user", "text": "is a user", "severity": "high"},
        {"id": "old-key", "text": "old <key>", "severity": "medium"},
        {"id": "path", "text": "odd path", "severity": "low"},
    ]
    known = {"kind": "mixed", "findings": findings, "last_activity": {"time": "2026-11-24T18:00:05+00:00"}}
    assert row(notice={"day": "2026-12-24"}, **known) == {
        "UserName": "alice",
        "Path": "/eng/",
        "Deletion on or after": "2026-12-24",
        "What is known": "-",
        "Kind": "person and program",
        "Findings": "old &lt;key&gt;",
        "Last seen": "2026-11-24",
    }
    assert row(kind="robot")["Kind"] == "robot"


@pytest.mark.parametrize(
    ("action", "tagged"),
    [
        pytest.param({"to": ["resource-owner"]}, True, id="to"),
        pytest.param({"to": ["a@example.com"], "cc": ["resource-owner"]}, True, id="cc"),
        pytest.param({"to": ["a@example.com"]}, False, id="neither"),
    ],
)
def test_tags_are_there_only_where_the_mailer_looks_for_an_owner(
    action: dict[str, Any], tagged: bool
) -> None:
    tags = [{"Key": "OwnerContact", "Value": "a@example.com"}]
    (found,) = rows([{"UserName": "alice", "Tags": tags}], action)
    assert found.get("Tags") == (tags if tagged else None)
    (found,) = rows([{"UserName": "alice"}], action)
    assert found.get("Tags") == ([] if tagged else None)


@pytest.mark.parametrize(
    ("status", "used", "known", "seen"),
    [
        pytest.param("retired", "2026-08-01T10:00:00+00:00", "deleted: why", "2026-08-01", id="deleted"),
        pytest.param("deactivated", False, "made inactive: why", "never", id="inactive"),
        pytest.param("activated", None, "given back: why", "unknown", id="given-back"),
    ],
)
def test_a_row_says_in_plain_words_what_became_of_a_key(
    status: str, used: Any, known: str, seen: str
) -> None:
    about = {"key": {"used": used}, "outcome": {"status": status, "reason": "why"}}
    (row,) = rows([{"UserName": "bot", "AccessKeyId": "AKIA1", "c7n:IamUser": about}], {})
    assert (row["AccessKeyId"], row["What is known"], row["Last seen"]) == ("AKIA1", known, seen)


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({}, "-"),
        ({"last_activity": {"time": "2026-11-24T18:00:05"}}, "2026-11-24"),
        ({"key": {"id": "AKIA"}}, "unknown"),
        ({"key": {"id": "AKIA", "used": False}}, "never"),
    ],
    ids=["nothing", "a-user", "a-key", "a-key-without-use"],
)
def test_when_something_was_seen_last(known: dict[str, Any], told: str) -> None:
    assert row(**known)["Last seen"] == told
