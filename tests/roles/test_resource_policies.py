# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.roles import resource_policies as module
from c7n_iamusers.roles.documents import CENTER, FUNCTION, READER, RUNNER, RoleDocument
from c7n_iamusers.roles.rendering import rendered_resource_policy
from c7n_iamusers.roles.resource_policies import (
    ResourcePolicy,
    Trusted,
    reached_from_members,
    resource_policies,
)

pytestmark = pytest.mark.pure

QUEUE = "arn:aws:sqs:us-east-1:999999999999:realtime"
OF_ORGANIZATION, OF_ACCOUNTS = Trusted("o-1234567890", ("111122223333",)), Trusted("", ("111122223333", "2"))
OUTPUT = "arn:aws:s3:::out/${aws:PrincipalAccount}/*"


def allow(action: str, resource: Any, **condition: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Action": [action],
        "Resource": resource,
        **({"Condition": condition} if condition else {}),
    }


def role(kind: str, name: str, *statements: dict[str, Any], account: str = "") -> RoleDocument:
    return RoleDocument(kind, "/ops/", name, "", None, {"Statement": list(statements)}, account)


OWNED = {"StringEquals": {"aws:ResourceOrgID": "o-1234567890"}}
DOCUMENTS = (
    role(
        READER,
        "Reader",
        allow("iam:GetUser", "*"),
        allow("s3:GetObject", "arn:aws:s3:::lists/x.csv", **OWNED),
    ),
    role(FUNCTION, "F", allow("s3:PutObject", [OUTPUT], **OWNED), allow("sqs:SendMessage", [QUEUE])),
    role(
        f"{FUNCTION}-2",
        "G",
        allow("s3:PutObject", [OUTPUT]),
        allow("sqs:GetQueueAttributes", f"{QUEUE[:-8]}*"),
    ),
    role(
        RUNNER,
        "Runner",
        allow("s3:PutObject", "arn:aws:s3:::own/*"),
        allow("sqs:SendMessage", QUEUE),
        account="1",
    ),
)


def test_each_bucket_and_queue_lets_in_the_roles_that_reach_it_with_what_they_have() -> None:
    found = {each.kind: each for each in resource_policies(DOCUMENTS, OF_ORGANIZATION)}
    assert {kind: each.resource for kind, each in found.items()} == {
        "bucket-policy": "arn:aws:s3:::lists",
        "bucket-policy-2": "arn:aws:s3:::out",
        "queue-policy": QUEUE,
    }
    deny, shared = found["bucket-policy-2"].document["Statement"]
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    roles = ["arn:aws:iam::*:role/ops/F", "arn:aws:iam::*:role/ops/G"]
    # what another condition says is no matter: the owner of a bucket is not asked in its own policy
    assert shared == {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["s3:PutObject"],
        "Resource": [OUTPUT],
        "Condition": {
            "StringEquals": {"aws:PrincipalOrgID": "o-1234567890"},
            "ArnLike": {"aws:PrincipalArn": roles},
        },
    }
    # the runner of another account too, by its own ARN
    *_, runner = found["queue-policy"].document["Statement"]
    assert runner["Condition"]["ArnLike"] == {
        "aws:PrincipalArn": ["arn:aws:iam::*:role/ops/F", "arn:aws:iam::1:role/ops/Runner"]
    }


def test_without_an_organization_only_the_accounts_are_let_in() -> None:
    (_, shared), *_ = (each.document["Statement"] for each in resource_policies(DOCUMENTS, OF_ACCOUNTS))
    assert shared["Principal"] == {"AWS": ["111122223333", "2"]}
    assert "StringEquals" not in shared["Condition"]
    assert not Trusted("", ())
    assert reached_from_members(DOCUMENTS) == ("arn:aws:s3:::lists", "arn:aws:s3:::out", QUEUE)


def test_too_many_accounts_are_refused() -> None:
    many = Trusted("", tuple(f"{number:012}" for number in range(2000)))
    with pytest.raises(InvalidPolicyData, match="give --org-id in place of the accounts"):
        resource_policies(DOCUMENTS, many)


@pytest.mark.parametrize(
    ("kind", "resource", "given"),
    [
        pytest.param("bucket-policy", "arn:aws:s3:::out", {"Bucket": "out"}, id="bucket"),
        pytest.param(
            "queue-policy-2",
            QUEUE,
            {"Queues": ["https://sqs.us-east-1.amazonaws.com/999999999999/realtime"]},
            id="queue",
        ),
    ],
)
def test_the_formats(kind: str, resource: str, given: dict[str, Any]) -> None:
    policy = ResourcePolicy(kind, resource, {"Statement": [{"Resource": "${aws:PrincipalAccount}"}]})
    assert rendered_resource_policy(policy, "json") == {**given, "PolicyDocument": policy.document}
    template = rendered_resource_policy(policy, "cloudformation")["Resources"]["Policy"]
    assert template["Properties"] == {**given, "PolicyDocument": policy.document}
    ((_, module),) = rendered_resource_policy(policy, "terraform")["resource"].items()
    assert "$${aws:PrincipalAccount}" in module[kind.replace("-", "_")]["policy"]


def test_a_policy_names_only_its_own_of_what_a_role_reaches() -> None:
    both = role(
        READER,
        "Reader",
        allow("s3:GetObject", ["arn:aws:s3:::one/x", "arn:aws:s3:::two/y", "arn:aws:s3:::one/z"]),
    )
    found = {
        each.resource: each.document["Statement"][-1]["Resource"]
        for each in resource_policies((both,), OF_ORGANIZATION)
    }
    assert found == {
        "arn:aws:s3:::one": ["arn:aws:s3:::one/x", "arn:aws:s3:::one/z"],
        "arn:aws:s3:::two": ["arn:aws:s3:::two/y"],
    }


@pytest.mark.parametrize(
    ("kind", "account", "let_in"),
    [(RUNNER, "1", True), (f"{RUNNER}-2", "1", True), (RUNNER, "999999999999", False), (CENTER, "1", False)],
)
def test_which_roles_beside_members_a_queue_lets_in(kind: str, account: str, let_in: bool) -> None:
    given = role(kind, "R", allow("sqs:SendMessage", QUEUE), account=account)
    assert bool(resource_policies((given,), OF_ORGANIZATION)) is let_in


@pytest.mark.parametrize(
    ("trusted", "anybody"), [(("o-1", ()), True), (("", ("1",)), True), (("", ()), False)]
)
def test_whether_anybody_is_let_in(trusted: tuple[str, tuple[str, ...]], anybody: bool) -> None:
    assert bool(Trusted(*trusted)) is anybody


@pytest.mark.parametrize("more", [0, 1], ids=["as-long-as-may-be", "too-long"])
def test_a_policy_of_a_resource_has_a_length(monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    monkeypatch.setattr(module, "_LONGEST", len('{"a": 1}') - more)
    with pytest.raises(InvalidPolicyData, match="can have") if more else nullcontext():
        module._check_length("arn", {"a": 1})
