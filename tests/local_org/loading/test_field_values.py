# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

import pytest

from aws_local_org.loading.field_values import entries, moment, policy_text, tags_of

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
