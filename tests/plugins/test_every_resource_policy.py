# SPDX-License-Identifier: Apache-2.0
"""Each kind of resource is read that moto has not, or not whole, with answers of the shapes that the SDK has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.endpoint import Endpoint
from botocore.model import Shape

from c7n_iamusers.plugins.policy_reader import PolicyReader
from c7n_iamusers.resource_policies.reading import Reading
from c7n_iamusers.resource_policies.sources import SOURCES, PolicySource
from tests.plugins.named_users import REGION, SERVICES
from tests.policies import ACCOUNT

ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
STATEMENT = {"Effect": "Allow", "Principal": {"AWS": ALICE}, "Action": "*", "Resource": "*"}
DOCUMENT = {"Version": "2012-10-17", "Statement": [STATEMENT]}
#: The members that hold a policy as text, in lower case.
POLICIES = {
    "accesspolicy",
    "deliverydestinationpolicy",
    "document",
    "options",
    "policies",
    "policy",
    "policydocument",
    "policyinjson",
    "resourcepolicy",
}
#: What would ask for a further page, in lower case.
TOKENS = {"continuationtoken", "lastevaluatedtablename", "marker", "nextmarker", "nexttoken", "position"}
#: Those that are not read from the local organization in test_policy_reader.py. Each stands with the others of its
#: service, as these are read together.
ROWS = [row for row in SOURCES if row.service not in SERVICES]
#: Those whose policy is in an answer that c7n asks for anyway.
_IN_LISTS = {"destination", "event-bus", "rest-api", "ses-email-identity", "vpc-endpoint"}
IN_ANOTHER_ANSWER = [row for row in ROWS if row.resource in _IN_LISTS]

each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.resource)
each_policy = pytest.mark.parametrize(
    "row", [row for row in ROWS if row not in IN_ANOTHER_ANSWER], ids=lambda row: row.resource
)


def answer(shape: Shape, service: str, name: str = "", above: tuple[str, ...] = ()) -> Any:
    """A value of ``shape``: one item in each list, one page, and the policy wherever one may be."""
    found: Any = shape
    if found.type_name == "structure":
        inner = (*above, found.name)
        members = {key: each for key, each in found.members.items() if key.lower() not in TOKENS}
        return {
            key: answer(each, service, key, inner) for key, each in members.items() if each.name not in inner
        }
    if found.type_name == "list":
        return [answer(found.member, service, name, above)]
    if found.type_name == "map":
        return {"x": answer(found.value, service, name, above)}
    if found.type_name == "string":
        return text(found, service, name)
    if found.type_name == "timestamp":
        return datetime(2026, 1, 1, tzinfo=timezone.utc)
    return {"boolean": False, "blob": b"x"}.get(found.type_name, 1)


def text(shape: Any, service: str, name: str) -> str:
    if name.lower() in POLICIES:
        return json.dumps(DOCUMENT)
    if shape.enum:  # c7n passes over bots and their aliases that are not available
        return "Available" if "Available" in shape.enum else str(shape.enum[0])
    start = f"arn:aws:{service}:{REGION}:{ACCOUNT}:stream/example-" if "arn" in name.lower() else ""
    return start.ljust(max(shape.metadata.get("min", 1), len(start) + 1), "x")


@contextmanager
def services(refused: Callable[[str], str]) -> Iterator[set[str]]:
    """Each service answers in its shapes. ``refused``: operation -> the code of its error, or nothing.

    It gives the operations that are asked for.
    """
    asked = set[str]()

    def made(_: Endpoint, model: Any, __: Any) -> Any:
        asked.add(model.name)
        if code := refused(model.name):
            error = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
            return mock.Mock(status_code=400, headers={}), error
        found = answer(model.output_shape, model.service_model.service_name)
        return mock.Mock(status_code=200, headers={}), {**found, "ResponseMetadata": {"HTTPStatusCode": 200}}

    with mock.patch.object(Endpoint, "make_request", made):
        yield asked


def read(row: PolicySource, refused: Callable[[str], str] = lambda _: "") -> tuple[Reading, set[str]]:
    """What is read of the service of ``row``, and the operations for it."""
    region = row.only_in or REGION
    session = boto3.Session("AKIDEXAMPLE", "example", "token", region)
    with services(refused) as asked:
        return PolicyReader.of(session, ACCOUNT, region).read([row.service], [region]), asked


def is_of_policy(service: str, operation: str) -> bool:
    """Whether an operation is asked for the policy of one resource alone."""
    actions = {
        action.partition(":")[2] for row in ROWS if row.service == service for action in row.permissions
    }
    return operation in actions and ("Polic" in operation or operation == "DescribeElasticsearchDomainConfig")


@each_row
def test_the_policy_of_each_resource_is_read(row: PolicySource) -> None:
    found, asked = read(row)
    assert not found.unread
    assert {each.service for each in found.policies} == {row.service}
    assert len(found.policies) == len([each for each in ROWS if each.service == row.service])
    assert all(each.document == DOCUMENT for each in found.policies)
    assert all(each.resource.startswith("arn:aws:") for each in found.policies)
    own = {action.partition(":")[2] for action in row.permissions}
    assert any(is_of_policy(row.service, each) for each in asked & own) is (row not in IN_ANOTHER_ANSWER)


@each_policy
def test_where_there_is_no_policy_nothing_is_unread(row: PolicySource) -> None:
    code = "NoSuchAccessPointPolicy" if row.service == "s3control" else "ResourceNotFoundException"
    found, _ = read(row, lambda operation: code if is_of_policy(row.service, operation) else "")
    assert not found.unread
    others = [each for each in IN_ANOTHER_ANSWER if each.service == row.service]
    assert len(found.policies) == len(others)


@each_policy
def test_a_policy_that_is_denied_is_unread(row: PolicySource) -> None:
    found, _ = read(row, lambda operation: "AccessDenied" if is_of_policy(row.service, operation) else "")
    assert {each.service for each in found.unread} == {row.service}
    assert all(each.resource.startswith("arn:aws:") for each in found.unread)
    assert all("AccessDenied" in each.why for each in found.unread)


@each_row
def test_a_list_that_is_denied_is_unread(row: PolicySource) -> None:
    found, _ = read(row, lambda operation: "" if is_of_policy(row.service, operation) else "AccessDenied")
    assert {each.service for each in found.unread} == {row.service}
    assert any("AccessDenied" in each.why for each in found.unread)
    assert not found.policies
