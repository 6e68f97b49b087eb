# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.derivation.requested_permission_set import (
    PermissionSet,
    duration_seconds,
    parse_permission_set,
)
from c7n_iamusers.exceptions import InvalidPolicyData
from tests.access_center import AUDIT, MARK, READ_ONLY

VERSION = {"Version": "2012-10-17"}
STATEMENT = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}


def parse(document: Any = None, **data: Any) -> PermissionSet:
    given = {"name": "Migrated", **{key.replace("_", "-"): value for key, value in data.items()}}
    return parse_permission_set(given, document, "policy p: permission-set", "policy p: inline-policy")


def test_a_whole_permission_set() -> None:
    found = parse(
        {"Version": "2012-10-17", "Statement": [STATEMENT]},
        description="Reads",
        session_duration="PT8H",
        relay_state="https://console.aws.amazon.com/s3",
        managed_policies=[READ_ONLY, AUDIT],
        tags={"Team": "platform"},
    )
    assert found == PermissionSet(
        "Migrated",
        "Reads",
        "PT8H",
        "https://console.aws.amazon.com/s3",
        frozenset({READ_ONLY, AUDIT}),
        '{"Statement":[{"Action":"s3:Get*","Effect":"Allow","Resource":"*"}],"Version":"2012-10-17"}',
        {"Team": "platform", **MARK},
    )


def test_what_is_left_out() -> None:
    assert parse() == PermissionSet("Migrated", tags=MARK)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        pytest.param({"name": "x" * 33}, "must be 1 to 32 letters", id="name-too-long"),
        pytest.param({"name": "a b"}, "name 'a b' must be", id="name-with-a-space"),
        pytest.param({"name": "Lesezugriffé"}, "must be 1 to 32 letters", id="name-not-ascii"),
        pytest.param({"description": "x" * 701}, "description must be 1 to 700", id="description-too-long"),
        pytest.param({"description": "snowman \u2603"}, "Latin-1", id="description-not-latin-1"),
        pytest.param({"session_duration": "PT13H"}, "from PT1H to PT12H", id="too-long"),
        pytest.param({"session_duration": "PT59M"}, "from PT1H to PT12H", id="too-short"),
        pytest.param(
            {"session_duration": "1h"}, "session-duration '1h' must be an ISO 8601", id="no-duration"
        ),
        pytest.param({"session_duration": "PT"}, "must be an ISO 8601", id="empty-duration"),
        pytest.param({"relay_state": "https://x/<>"}, "relay-state", id="relay-state"),
        pytest.param(
            {"managed_policies": ["arn:aws:iam::111122223333:policy/team/Read"]},
            "is customer-managed, and Identity Center attaches only AWS-managed policies by ARN",
            id="customer-managed",
        ),
        pytest.param(
            {"managed_policies": ["ReadOnlyAccess"]}, "'ReadOnlyAccess' is not the ARN", id="no-arn"
        ),
        pytest.param({"tags": {"c7n-iamusers": "x"}}, "is reserved", id="the-mark"),
        pytest.param({"tags": {"aws:x": "y"}}, "not beginning with aws:", id="reserved-tag"),
        pytest.param({"tags": {"k": "<y>"}}, "value '<y>' of k", id="tag-value"),
        pytest.param({"tags": {str(number): "" for number in range(50)}}, "at most 49", id="too-many-tags"),
    ],
)
def test_faults_of_the_set(data: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidPolicyData, match="policy p: permission-set: ") as error:
        parse(**data)
    assert fault in str(error.value)


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        pytest.param([STATEMENT], "must be a JSON object with a Statement", id="list"),
        pytest.param({}, "must be a JSON object with a Statement", id="empty"),
        pytest.param({"Statement": [STATEMENT]}, "must have the Version 2012-10-17", id="no-version"),
        pytest.param({**VERSION, "Statement": []}, "Statement that is not empty", id="no-statement"),
        pytest.param(
            {**VERSION, "Statement": ["Allow"]}, "Statement 1 must be an object", id="statement-text"
        ),
        pytest.param(
            {**VERSION, "Statement": [STATEMENT, {**STATEMENT, "Effect": "allow"}]},
            "Statement 2 must have the Effect",
        ),
        pytest.param(
            {**VERSION, "Statement": {"Effect": "Allow", "Action": "*"}},
            "either Resource or NotResource",
            id="single",
        ),
        pytest.param(
            {**VERSION, "Statement": {**STATEMENT, "NotAction": "x"}},
            "either Action or NotAction",
            id="both-actions",
        ),
        pytest.param(
            {**VERSION, "Statement": {**STATEMENT, "Principal": "*"}}, "no Principal", id="principal"
        ),
        pytest.param(
            {**VERSION, "Statement": [{**STATEMENT, "Resource": "x" * 10_241}]},
            "characters without white space",
            id="too-long",
        ),
    ],
)
def test_faults_of_the_document(document: Any, fault: str) -> None:
    with pytest.raises(InvalidPolicyData, match="policy p: inline-policy: ") as error:
        parse(document)
    assert fault in str(error.value)


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(InvalidPolicyData) as error:
        parse({}, name="a b", session_duration="1h")
    assert str(error.value).count(";") == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("PT1H", 3600, id="hour"),
        pytest.param("PT60M", 3600, id="minutes"),
        pytest.param("PT1H30M15S", 5415, id="all"),
        pytest.param("P1D", None, id="days-are-beyond-any-session"),
        pytest.param("PT1.5H", None, id="fraction"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_durations(text: str, seconds: int | None) -> None:
    assert duration_seconds(text) == seconds
