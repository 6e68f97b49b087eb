# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from c7n_iamusers.policy_comparison.statements import parse_policy

pytestmark = pytest.mark.pure

ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def document(statement: Any, version: str | None = "2012-10-17") -> dict[str, Any]:
    return {**({"Version": version} if version else {}), "Statement": statement}


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(document([ALLOW]), id="decoded"),
        pytest.param(document(ALLOW), id="one-statement-without-list"),
        pytest.param(
            document([{**ALLOW, "Action": ["S3:getOBJECT"], "Resource": ["*"]}]), id="lists-and-case"
        ),
        pytest.param(document([{**ALLOW, "Sid": "Read"}]), id="labelled"),
        pytest.param(json.dumps(document(ALLOW)), id="json"),
        pytest.param(quote(json.dumps(document(ALLOW))), id="url-encoded"),
        pytest.param(document(ALLOW, None), id="without-version"),
    ],
)
def test_one_statement_in_many_forms(form: Any) -> None:
    assert parse_policy(form, "p") == parse_policy(document([ALLOW]), "other")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({**ALLOW, "Resource": "arn:aws:s3:::A"}, id="resource"),
        pytest.param({**ALLOW, "Effect": "Deny"}, id="effect"),
        pytest.param({"Effect": "Allow", "NotAction": "s3:GetObject", "Resource": "*"}, id="not-action"),
        pytest.param({**ALLOW, "Condition": {"Null": {"k": "true"}}}, id="condition"),
    ],
)
def test_different_statements(other: dict[str, Any]) -> None:
    assert parse_policy(document(other), "p") != parse_policy(document(ALLOW), "p")


def test_a_statement_says_where_it_stands() -> None:
    first, second = parse_policy(document([ALLOW, {**ALLOW, "Sid": "Read"}]), "policy Data")
    assert first.source == "policy Data, statement 1"
    assert second.source == "policy Data, statement 2 (Read)"
    assert "policy Data, statement 2 (Read)" not in {
        each.source for each in parse_policy(document(ALLOW), "x")
    }


@pytest.mark.parametrize(
    ("version", "dependent", "legacy"),
    [
        pytest.param("2012-10-17", True, False, id="variable"),
        pytest.param("2008-10-17", False, True, id="mere-text"),
        pytest.param(None, False, True, id="mere-text-by-default"),
    ],
)
def test_only_the_later_version_has_variables(version: str | None, dependent: bool, legacy: bool) -> None:
    own = {**ALLOW, "Resource": "arn:aws:s3:::home/${aws:username}/*"}
    (statement,) = parse_policy(document(own, version), "p")
    assert (statement.dependent, statement.legacy) == (dependent, legacy)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        pytest.param("{", "p: neither JSON", id="no-json"),
        pytest.param({"Version": "2012-10-17"}, "p: a policy without Statement", id="no-statement"),
        pytest.param(document(["x"]), "p: a statement that is not an object", id="no-object"),
        pytest.param(document({**ALLOW, "Effect": "allow"}), "p: Effect 'allow'", id="effect"),
        pytest.param(
            document({**ALLOW, "NotAction": "*"}), "p: a statement with Action and NotAction", id="both"
        ),
        pytest.param(document({"Effect": "Allow", "Action": "*"}), "with neither of Resource", id="neither"),
        pytest.param(document({**ALLOW, "Principal": "*"}), "p: Principal in a statement", id="principal"),
        pytest.param(
            document({**ALLOW, "Action": [1]}),
            "p: Action has a value that is not a string",
            id="action-no-text",
        ),
        pytest.param(
            document({**ALLOW, "Condition": {"Bool": 1}}), "p: a Condition that is not", id="condition"
        ),
        pytest.param(document(ALLOW, "2020-01-01"), "p: Version '2020-01-01'", id="version"),
        pytest.param(None, "p: not a policy but NoneType", id="nothing"),
        pytest.param(
            document({**ALLOW, "Resource": "a\ue000"}), "p: a private-use character", id="private-use"
        ),
    ],
)
def test_what_is_no_policy(broken: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"^p: ") as error:
        parse_policy(broken, "p")
    assert message in str(error.value)
