# SPDX-License-Identifier: Apache-2.0
"""What preflight tells of accounts, buckets and queues, by what AWS answers to single questions."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.permissions import Needed
from c7n_iamusers.organization.preflight_checks import Probes
from c7n_iamusers.organization.readiness import ATTENTION, HOLE, OK, UNKNOWN, Target
from c7n_iamusers.roles.resource_policies import ResourcePolicy
from tests.fakes import client_error

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ops/Function"
TARGET = Target(ACCOUNT, "payments", (ROLE,), "", "", ("us-east-1",), {})
BUCKET, QUEUE = "arn:aws:s3:::lists", f"arn:aws:sqs:eu-west-1:{ACCOUNT}:realtime"


class Client:
    """Answers each operation; an error is raised."""

    def __init__(self, region: str | None, **answers: Any) -> None:
        self.meta, self._answers = SimpleNamespace(region_name=region or "us-east-1"), answers

    def __getattr__(self, operation: str) -> Any:
        def call(**_: Any) -> Any:
            answer = self._answers[operation]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def probes(**answers: Any) -> Probes:
    session: Any = SimpleNamespace(client=lambda service, region_name, **_: Client(region_name, **answers))
    return Probes(session, "arn:runner", Backoff(sleep=lambda _: None))


def policy(resource: str) -> dict[str, Any]:
    allowed = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["sqs:SendMessage"],
        "Resource": [resource],
        "Condition": {},
    }
    return {"Version": "2012-10-17", "Statement": [allowed]}


@pytest.mark.parametrize(
    ("resource", "answer", "status", "told"),
    [
        pytest.param(BUCKET, {"Policy": json.dumps(policy(BUCKET))}, OK, "lists lets in", id="bucket"),
        pytest.param(BUCKET, client_error("NoSuchBucket"), HOLE, "lists does not exist", id="no-bucket"),
        pytest.param(BUCKET, client_error("NoSuchBucketPolicy"), HOLE, "does not let in", id="no-policy"),
        pytest.param(BUCKET, client_error("AccessDenied"), UNKNOWN, "not checked", id="denied"),
        pytest.param(
            QUEUE, {"Attributes": {"Policy": json.dumps(policy(QUEUE))}}, OK, "realtime lets in", id="queue"
        ),
        pytest.param(QUEUE, {}, HOLE, "does not let in", id="queue-without-attributes"),
        pytest.param(
            QUEUE, {"Attributes": {"Policy": ""}}, HOLE, "does not let in", id="queue-without-a-policy"
        ),
        pytest.param(QUEUE, client_error("AccessDenied"), UNKNOWN, "not checked", id="queue-denied"),
    ],
)
def test_who_may_reach_a_bucket_or_queue(resource: str, answer: Any, status: str, told: str) -> None:
    wanted = ResourcePolicy("bucket-policy", resource, policy(resource))
    found = probes(get_bucket_policy=answer, get_queue_attributes=answer).lets_in(wanted)
    assert (found.status, told in found.text) == (status, True), found
    assert bool(found.remedy) is (status != OK)


@pytest.mark.parametrize(
    ("place", "answer", "status"),
    [
        pytest.param("s3:::b/a/x.csv", {}, OK, id="there"),
        pytest.param("s3:::b/a/x.csv", client_error("404"), HOLE, id="missing"),
        pytest.param("s3:::b/*/x.csv", client_error("404"), UNKNOWN, id="one-for-each-account"),
    ],
)
def test_the_list_of_functions(place: str, answer: Any, status: str) -> None:
    found = probes(head_object=answer).list_of_functions(place)
    assert found.status == status
    assert f"s3://{place.removeprefix('s3:::')}" in found.text


@pytest.mark.parametrize(
    ("url", "answer", "status", "told"),
    [
        pytest.param("s3://b/x", None, OK, "s3://b/x in us-east-1", id="where-runs-ask"),
        pytest.param("s3://b/x", "", OK, "in us-east-1", id="as-aws-names-its-oldest"),
        pytest.param("s3://b?region=eu-west-1", "EU", OK, "in eu-west-1", id="as-it-named-the-next"),
        pytest.param("s3://b?region=eu-west-1", "eu-west-2", ATTENTION, "is in eu-west-2", id="elsewhere"),
        pytest.param("s3://b", client_error("NoSuchBucket"), HOLE, "NoSuchBucket", id="missing"),
        pytest.param("s3://b", client_error("AccessDenied"), UNKNOWN, "is not checked", id="denied"),
    ],
)
def test_the_bucket_of_an_output(url: str, answer: Any, status: str, told: str) -> None:
    given = answer if isinstance(answer, Exception) else {"LocationConstraint": answer}
    found = probes(get_bucket_location=given).bucket(url)
    assert (found.status, told in found.text) == (status, True), found


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        pytest.param({"Arn": ROLE}, OK, ROLE, id="there"),
        pytest.param({"Arn": ROLE, "by": "ec2.amazonaws.com"}, HOLE, "can't be assumed", id="for-others"),
        pytest.param({"Arn": ROLE.replace("ops/", "")}, HOLE, "the role of this name is", id="another-path"),
        pytest.param(client_error("NoSuchEntity"), HOLE, "does not exist", id="missing"),
        pytest.param(client_error("AccessDenied"), UNKNOWN, "not checked", id="denied"),
    ],
)
def test_the_role_of_a_function(answer: Any, status: str, told: str) -> None:
    if not isinstance(answer, Exception):
        trust = {"Effect": "Allow", "Principal": {"Service": answer.get("by", "lambda.amazonaws.com")}}
        document = {"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]}
        answer = {"Role": {"Arn": answer["Arn"], "AssumeRolePolicyDocument": document}}
    for role in ("ops/Function", ROLE):
        found = probes()._function_role(TARGET, Client(None, get_role=answer), role)
        assert (found.status, told in found.text) == (status, True), found
    elsewhere = probes()._function_role(TARGET, Client(None), ROLE.replace(ACCOUNT, "999999999999"))
    assert (elsewhere.status, "is in another account" in elsewhere.text) == (HOLE, True)


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        pytest.param({"get_credential_report": {}}, OK, id="there"),
        pytest.param(
            {"get_credential_report": client_error("ReportNotPresent"), "generate_credential_report": {}},
            OK,
            id="made",
        ),
        pytest.param({"get_credential_report": client_error("ReportInProgress")}, OK, id="being-made"),
        pytest.param({"get_credential_report": client_error("AccessDenied")}, HOLE, id="denied"),
        pytest.param(
            {
                "get_credential_report": client_error("ReportExpired"),
                "generate_credential_report": client_error("AccessDenied"),
            },
            HOLE,
            id="may-not-be-made",
        ),
    ],
)
def test_the_credential_report(answers: dict[str, Any], status: str) -> None:
    found = probes()._report("here", Client(None, **answers))
    assert (found.status, bool(found.remedy)) == (status, status != OK)


@pytest.mark.parametrize("by_role", [True, False])
def test_the_role_that_was_assumed_is_named(by_role: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Probes, "clients", lambda *_: lambda service: Client(None, get_account_authorization_details={})
    )
    monkeypatch.setattr(Probes, "_report", lambda *_: None)
    target = TARGET if by_role else replace(TARGET, roles=(), profile="of-payments")
    role, read, _ = probes().account(target, None)
    assert (role.name, role.status, role.text) == ("role", OK, ROLE if by_role else "profile of-payments")
    assert read.status == OK
    if not by_role:
        assert probes()._permissions(target, Client(None), Needed()).status == UNKNOWN
