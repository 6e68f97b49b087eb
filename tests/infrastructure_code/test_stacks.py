# SPDX-License-Identifier: Apache-2.0
"""What CloudFormation says of users and keys."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber

from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.infrastructure_code import stacks
from c7n_iamusers.infrastructure_code.model import ACCESS_KEY, USER, Managed
from c7n_iamusers.infrastructure_code.stacks import Stacks

REGION = "eu-west-1"
STACK_ID = f"arn:aws:cloudformation:{REGION}:111122223333:stack/users/51af3dc0-da77-11e4-872e-1234567db123"
ROOT_ID = (
    f"arn:aws:cloudformation:{REGION}:111122223333:stack/landing-zone/1b2c3d40-da77-11e4-872e-1234567db123"
)


def a_resource(
    physical_id: str, kind: str = "AWS::IAM::User", status: str = "CREATE_COMPLETE"
) -> dict[str, Any]:
    return {
        **{
            "StackName": "users",
            "StackId": STACK_ID,
            "LogicalResourceId": f"L{physical_id}".replace("-", ""),
        },
        **{"PhysicalResourceId": physical_id, "ResourceType": kind, "ResourceStatus": status},
        "Timestamp": "2026-01-01T00:00:00Z",
    }


class Asked:
    """The stacks of one Region, whose answers are given in advance."""

    def __init__(self) -> None:
        self.client = boto3.client("cloudformation", REGION, aws_access_key_id="x", aws_secret_access_key="x")
        self.stub = Stubber(self.client)
        self.stub.activate()
        self.stacks = Stacks({REGION: self.client}, Backoff(sleep=lambda _: None, budget=2))

    def with_resources(self, *resources: dict[str, Any]) -> Asked:
        self.stub.add_response("describe_stack_resources", {"StackResources": [*resources]})
        return self

    def with_no_stack(self) -> Asked:
        self.stub.add_response("describe_stacks", {"Stacks": []}, {"StackName": STACK_ID})
        return self

    def with_root(self, root: str = "") -> Asked:
        stack = {"StackName": "users", "StackId": STACK_ID, "CreationTime": "2026-01-01T00:00:00Z"}
        more = {"RootId": root, "ParentId": root} if root else {}
        found = {**stack, "StackStatus": "CREATE_COMPLETE", **more}
        self.stub.add_response("describe_stacks", {"Stacks": [found]}, {"StackName": STACK_ID})
        return self

    def with_error(self, operation: str, code: str, message: str = "", status: int = 400) -> Asked:
        self.stub.add_client_error(operation, code, message, status)
        return self

    def of(self, what: str, physical_id: str) -> Managed:
        return self.stacks.of(what, physical_id)[REGION]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "PER_SECOND", 10_000.0)


def test_the_stack_of_a_user_among_others_of_its_stack() -> None:
    asked = Asked().with_resources(a_resource("role", "AWS::IAM::Role"), a_resource("ci")).with_root()
    (found,) = asked.of(USER, "ci").found
    assert (found.by, found.where) == ("CloudFormation", f"stack users in {REGION}")
    assert "or that fails" in found.text


def test_a_stack_that_is_its_own_root_or_gone_is_nested_in_none() -> None:
    own = Asked().with_resources(a_resource("ci")).with_root(STACK_ID)
    assert own.of(USER, "ci").found[0].where == f"stack users in {REGION}"
    gone = Asked().with_resources(a_resource("ci")).with_no_stack()
    assert gone.of(USER, "ci").found[0].where == f"stack users in {REGION}"


def test_a_nested_stack_names_its_root_and_asks_once() -> None:
    asked = Asked().with_resources(a_resource("ci")).with_root(ROOT_ID).with_resources(a_resource("cd"))
    for name in ("ci", "cd"):
        (found,) = asked.of(USER, name).found
        assert found.where == f"stack users in {REGION}, nested in stack landing-zone in {REGION}"
    asked.stub.assert_no_pending_responses()


def test_a_key_by_its_id() -> None:
    asked = Asked().with_resources(a_resource("AKIAIOSFODNN7EXAMPLE", "AWS::IAM::AccessKey")).with_root()
    (found,) = asked.of(ACCESS_KEY, "AKIAIOSFODNN7EXAMPLE").found
    assert found.what == ACCESS_KEY


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(a_resource("ci", status="DELETE_COMPLETE"), id="deleted"),
        pytest.param(a_resource("ci", status="DELETE_SKIPPED"), id="let-go"),
    ],
)
def test_what_no_stack_manages(resource: dict[str, Any]) -> None:
    assert Asked().with_resources(resource).of(USER, "ci") == Managed()


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(a_resource("ci", "AWS::S3::Bucket"), id="another-type"),
        pytest.param(a_resource("CI"), id="another-name"),
    ],
)
def test_another_stack_may_have_it_where_aws_shows_something_else_of_that_id(
    resource: dict[str, Any],
) -> None:
    found = Asked().with_resources(resource).of(USER, "ci")
    (why,) = found.unread
    assert "a resource of another type with this id, in stack users" in why
    assert found.is_known is None


def test_what_a_stack_let_go_and_has_again() -> None:
    again = {**a_resource("ci"), "LogicalResourceId": "Again"}
    asked = Asked().with_resources(a_resource("ci", status="DELETE_SKIPPED"), again).with_root()
    assert asked.of(USER, "ci").is_known


def test_no_stack_has_it() -> None:
    said = "Stack for ci does not exist"
    assert Asked().with_error("describe_stack_resources", "ValidationError", said).of(USER, "ci") == Managed()


def test_another_validation_error_is_no_answer() -> None:
    said = "1 validation error detected"
    assert (
        Asked().with_error("describe_stack_resources", "ValidationError", said).of(USER, "ci").is_known
        is None
    )


def test_a_question_that_is_refused_stops_no_other() -> None:
    asked = Asked().with_error("describe_stack_resources", "ValidationError", "1 validation error detected")
    assert asked.of(USER, "strange").is_known is None
    assert asked.with_resources(a_resource("ci")).with_root().of(USER, "ci").is_known


def test_a_denied_region_is_unknown_and_not_asked_again() -> None:
    asked = Asked().with_error("describe_stack_resources", "AccessDenied", "no", 403)
    assert asked.of(USER, "ci").is_known is None
    (why,) = asked.of(USER, "other").unread
    assert "it needs cloudformation:DescribeStackResources" in why


def test_a_region_that_does_not_answer_is_unknown_and_says_nothing_of_rights() -> None:
    asked = Asked().with_error("describe_stack_resources", "InternalFailure", "no", 400)
    assert asked.of(USER, "ci").unread == ("InternalFailure",)
    assert asked.of(USER, "other").unread == ("InternalFailure",)


def test_an_answer_without_resources_or_message_names_no_stack() -> None:
    assert Asked().with_resources().of(USER, "ci") == Managed()
    asked = Asked().with_error("describe_stack_resources", "ValidationError", "")
    assert asked.of(USER, "ci").unread == ("ValidationError",)


def test_beyond_what_aws_shows_of_a_stack_is_unknown() -> None:
    asked = Asked().with_resources(*(a_resource(f"r{number}", "AWS::IAM::Role") for number in range(100)))
    (why,) = asked.of(USER, "ci").unread
    fewer = Asked().with_resources(*(a_resource(f"r{number}", "AWS::IAM::Role") for number in range(99)))
    assert "beyond" not in fewer.of(USER, "ci").unread[0]
    assert "beyond the 100 resources that AWS shows of stack users" in why


def test_without_the_right_to_read_the_stack_its_root_is_unknown() -> None:
    asked = Asked().with_resources(a_resource("ci")).with_error("describe_stacks", "AccessDenied", "no", 403)
    (found,) = asked.of(USER, "ci").found
    assert "whether it is nested is unknown: AccessDenied" in found.where


class Answers:
    """A client whose answers lack what CloudFormation's have, which a Stubber would refuse."""

    def __init__(self, resources: Any, error: Exception | None = None) -> None:
        self.resources, self.error = resources, error

    def describe_stack_resources(self, **_: Any) -> dict[str, Any]:
        if self.error:
            raise self.error
        return {"StackResources": self.resources}

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        return {"Stacks": None}


def refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DescribeStackResources")


def asked(monkeypatch: pytest.MonkeyPatch, client: Answers) -> tuple[Managed, list[Any]]:
    """What the client's Region says, and the clients with a rate limit."""
    limited = list[Any]()
    limit = SimpleNamespace(attach=limited.append)
    monkeypatch.setattr(stacks, "RateLimit", lambda _: limit)
    found = Stacks({REGION: client}, Backoff(sleep=lambda _: None, budget=2)).of(USER, "ci")[REGION]
    return found, limited


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({}, "stack "),
        ({"StackName": "users"}, "stack users"),
        ({"StackId": STACK_ID}, f"stack users in {REGION}"),
    ],
    ids=["neither", "name", "id"],
)
def test_a_stack_of_which_little_is_said(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, str], where: str
) -> None:
    its = {"PhysicalResourceId": "ci", "ResourceType": "AWS::IAM::User", **more}
    client = Answers([its])
    found, limited = asked(monkeypatch, client)
    assert found.found[0].where == where
    assert limited == [client]


def test_no_resources_are_no_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, Answers(None))[0] == Managed()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (EndpointConnectionError(endpoint_url="https://x"), "EndpointConnectionError"),
        (ClientError({}, "DescribeStackResources"), "Unknown"),
        (refusal("ValidationError", ""), "ValidationError"),
        (refusal("Other", "Stack for ci does not exist"), "Other"),
    ],
    ids=["no-answer", "no-error", "no-message", "another-code"],
)
def test_what_is_no_answer_is_unknown(monkeypatch: pytest.MonkeyPatch, error: Exception, why: str) -> None:
    assert asked(monkeypatch, Answers([], error))[0].unread == (why,)
