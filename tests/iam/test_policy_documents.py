# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from c7n_iamusers.iam.policy_documents import default_documents, listed, objects, parse_document, statements

pytestmark = pytest.mark.pure

DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:Get%20", "Resource": "*"}],
}
TEXT = json.dumps(DOCUMENT)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(DOCUMENT, id="mapping"),
        pytest.param(TEXT, id="json"),
        pytest.param(json.dumps(TEXT), id="json-in-json"),
        pytest.param(quote(TEXT), id="url-encoded"),
        pytest.param(quote(TEXT, safe=""), id="url-encoded-to-the-last"),
    ],
)
def test_every_form_gives_the_document(value: Any) -> None:
    assert parse_document(value) == DOCUMENT


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("", "neither JSON", id="empty"),
        pytest.param("{", "neither JSON", id="broken"),
        pytest.param("%7B", "neither JSON", id="broken-url-encoded"),
        pytest.param(None, "not a policy but NoneType", id="missing"),
        pytest.param([DOCUMENT], "not a policy but list", id="list"),
        pytest.param("3", "not a policy but int", id="number"),
        pytest.param({"Version": "2012-10-17"}, "without Statement", id="no-statement"),
    ],
)
def test_what_is_no_policy_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_document(value)


def test_statements_may_be_one_or_many() -> None:
    one = {"Effect": "Allow"}
    assert statements({"Statement": one}) == statements({"Statement": [one]}) == (one,)
    with pytest.raises(ValueError, match="not an object"):
        statements({"Statement": ["Allow"]})


def test_lists_may_be_single_or_missing() -> None:
    assert listed(None) == ()
    assert listed("a") == ("a",)
    assert listed(["a", {}]) == ("a", {})
    assert objects(["a", {}]) == ({},)
    assert objects({"a": 1}) == ({"a": 1},)


VERSIONS = [
    {"VersionId": "v2", "IsDefaultVersion": False, "Document": "two"},
    {"VersionId": "v1", "IsDefaultVersion": True, "Document": "one"},
]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param({"DefaultVersionId": "v1", "PolicyVersionList": VERSIONS}, {"arn": "one"}, id="by-id"),
        pytest.param({"PolicyVersionList": VERSIONS}, {"arn": "one"}, id="by-mark"),
        pytest.param({"PolicyVersionList": VERSIONS[1]}, {"arn": "one"}, id="single"),
        pytest.param({"DefaultVersionId": "v3", "PolicyVersionList": VERSIONS}, {}, id="version-missing"),
        pytest.param({"DefaultVersionId": "v1"}, {}, id="no-versions"),
        pytest.param({"PolicyVersionList": [{"IsDefaultVersion": True}]}, {}, id="no-document"),
    ],
)
def test_the_document_in_force(policy: dict[str, Any], expected: dict[str, Any]) -> None:
    assert default_documents([{"Arn": "arn", **policy}]) == expected
