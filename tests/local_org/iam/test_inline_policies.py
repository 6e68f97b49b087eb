# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local_org.iam.attachments import DOCUMENT
from tests.local_org.refusals import message, refusal


def document(characters: int, padding: str = "") -> str:
    """A policy of so many characters that are not white space."""
    empty = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::"}]}'
    )
    text = empty.replace('s3:::"', "s3:::" + "b" * (characters - len(empty)) + '"')
    return text.replace(",", "," + padding)


def put(iam: Any, kind: str, name: str, text: str) -> tuple[str, int] | None:
    call = getattr(iam, f"put_{kind}_policy")
    owner = {f"{kind.capitalize()}Name": "x"}
    return refusal(call, **owner, PolicyName=name, PolicyDocument=text)


@pytest.fixture(autouse=True)
def owners(iam: Any) -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "ec2.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    iam.create_user(UserName="x")
    iam.create_group(GroupName="x")
    iam.create_role(RoleName="x", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))


@pytest.mark.parametrize(("kind", "limit"), [("user", 2048), ("group", 5120), ("role", 10240)])
def test_sizes(iam: Any, kind: str, limit: int) -> None:
    assert put(iam, kind, "whole", document(limit, padding=" \n")) is None
    assert put(iam, kind, "whole", document(limit)) is None
    assert put(iam, kind, "whole", document(limit + 1)) == ("LimitExceeded", 409)


def test_the_policies_of_a_user_count_together(iam: Any) -> None:
    assert put(iam, "user", "first", document(1024)) is None
    assert put(iam, "user", "second", document(1024)) is None
    assert put(iam, "user", "third", document(150)) == ("LimitExceeded", 409)
    assert put(iam, "user", "first", document(800)) is None
    assert put(iam, "user", "third", document(150)) is None
    too_long = {"UserName": "x", "PolicyName": "p", "PolicyDocument": document(2049)}
    assert message(iam.put_user_policy, **too_long) == "Maximum policy size of 2048 bytes exceeded for user x"


def test_a_policy_comes_back_as_it_was_put(iam: Any) -> None:
    put(iam, "user", "inline", DOCUMENT)
    assert iam.list_user_policies(UserName="x")["PolicyNames"] == ["inline"]
    shown = iam.get_user_policy(UserName="x", PolicyName="inline")
    assert shown["PolicyDocument"] == json.loads(DOCUMENT)
    iam.delete_user_policy(UserName="x", PolicyName="inline")
    assert iam.list_user_policies(UserName="x")["PolicyNames"] == []
    again = refusal(iam.delete_user_policy, UserName="x", PolicyName="inline")
    assert again == ("NoSuchEntity", 404)


STATEMENT = {"Effect": "Deny", "Action": "*", "Resource": "*"}


def statement(**fields: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": {**STATEMENT, **fields}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{", "Syntax errors in policy.", id="no JSON"),
        pytest.param('{"Statement": []', "Syntax errors in policy.", id="half of it"),
        pytest.param('{"Version": "2012-10-17"}', "Syntax errors in policy.", id="no statement"),
        pytest.param(statement(a=1), "Syntax errors in policy.", id="an unknown element"),
        pytest.param(
            statement(Action="GetObject"),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            id="an action without its service",
        ),
        pytest.param(
            statement(Action="s3:Get:Object"),
            "Actions/Condition can contain only one colon.",
            id="two colons",
        ),
        pytest.param(
            statement(Resource="bucket"), 'Resource bucket must be in ARN format or "*".', id="no ARN"
        ),
        pytest.param(
            statement(Resource="arn:error:s3:::bucket"),
            'Partition "error" is not valid for resource "arn:error:s3:::bucket".',
            id="no partition",
        ),
        pytest.param(
            json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*"}}),
            "Policy statement must contain resources.",
            id="no resource",
        ),
        pytest.param(
            statement(Principal="*"), "Policy document should not specify a principal.", id="a principal"
        ),
        pytest.param(
            statement(Sid="Deny all"),
            "Statement IDs (SID) must be alpha-numeric. "  # codespell:ignore
            "Check that your input satisfies the regular expression [0-9A-Za-z]*",
            id="a space in the Sid",
        ),
        pytest.param(
            statement(Sid="DenyAll", Condition={"Bool": {"aws:ViaAWSService": "false"}}), "", id="well"
        ),
    ],
)
@pytest.mark.parametrize("kind", ["user", "group", "role"])
def test_a_malformed_policy(iam: Any, kind: str, text: str, expected: str) -> None:
    refused = put(iam, kind, "inline", text)
    assert refused == (("MalformedPolicyDocument", 400) if expected else None)
    owner = {f"{kind.capitalize()}Name": "x", "PolicyName": "inline"}
    assert message(getattr(iam, f"put_{kind}_policy"), **owner, PolicyDocument=text) == expected


def test_what_is_malformed_is_not_called_too_long(iam: Any) -> None:
    assert put(iam, "user", "inline", document(2049)[1:]) == ("MalformedPolicyDocument", 400)
