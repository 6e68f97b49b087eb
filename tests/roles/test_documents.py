# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.iam.permissions import Needed
from c7n_iamusers.notices.queue_counts import queue_arn
from c7n_iamusers.policy_comparison.evaluation import ALLOWED, Request, decision
from c7n_iamusers.roles import documents as documents_module
from c7n_iamusers.roles.documents import (
    CENTER,
    DEPLOYER,
    FUNCTION,
    READER,
    REMOVER,
    RESTORER,
    RUNNER,
    Functions,
    RoleDocument,
    RoleNeeds,
    RoleSettings,
    role_documents,
)
from c7n_iamusers.roles.places import Places, _bucket_and_key

pytestmark = pytest.mark.pure

RUNNER_ARN = "arn:aws:iam::123456789012:role/ops/Runner"
CENTER_ARN = "arn:aws:iam::999999999999:role/Center"
READS = Needed(frozenset({"iam:GetUser"}))
REMOVES = Needed(frozenset({"iam:DeleteUser", "iam:AttachUserPolicy"}))
RESTORES = Needed(restoring=frozenset({"iam:AddUserToGroup"}))
ALL = RoleNeeds(READS, REMOVES, RESTORES, frozenset({"sso:ListInstances"}))


def documents(
    needs: RoleNeeds = ALL, places: Places | None = None, **settings: Any
) -> dict[str, RoleDocument]:
    names = {"reader": "Reader", "remover": "Remover", "restorer": "Restorer", "center": CENTER_ARN}
    given = RoleSettings(**{"runners": (RUNNER_ARN,), **names, **settings})
    found = role_documents(needs, given, places or Places())
    return {each.kind: each for each in found}


def statements(role: RoleDocument) -> dict[str, Any]:
    """First action -> resource of each statement."""
    return {each["Action"][0]: each["Resource"] for each in role.policy["Statement"]}


def test_there_is_a_document_for_each_role_that_is_needed() -> None:
    assert {kind: (each.path, each.name) for kind, each in documents().items()} == {
        READER: ("/", "Reader"),
        REMOVER: ("/", "Remover"),
        RESTORER: ("/", "Restorer"),
        CENTER: ("/", "Center"),
        RUNNER: ("/ops/", "Runner"),
    }
    assert set(documents(RoleNeeds(READS))) == {READER, RUNNER}


def test_the_runner_is_trusted_by_its_arn_and_members_want_the_external_id() -> None:
    found = documents(external_id="e-1")
    trusts = {kind: each.trust["Statement"] for kind, each in found.items() if each.trust}
    assert [(kind, len(trust)) for kind, trust in trusts.items()] == [
        (READER, 1),
        (REMOVER, 1),
        (RESTORER, 1),
        (CENTER, 1),
    ]
    assert {trust[0]["Principal"]["AWS"] for trust in trusts.values()} == {RUNNER_ARN}
    wanted = {"StringEquals": {"sts:ExternalId": "e-1"}}
    # Cloud Custodian gives no external id where it assumes the role for Identity Center
    assert [trust[0].get("Condition") for trust in trusts.values()] == [wanted, wanted, wanted, None]


@pytest.mark.parametrize(
    ("principal", "trusted", "account"),
    [
        pytest.param("", None, None, id="exists"),
        pytest.param("arn:aws:iam::1:role/CI", {"AWS": "arn:aws:iam::1:role/CI"}, None, id="role"),
        *(
            pytest.param(
                f"{service}.amazonaws.com", {"Service": f"{service}.amazonaws.com"}, account, id=service
            )
            for service, account in (
                ("codebuild", "123456789012"),
                ("ecs-tasks", "123456789012"),
                ("scheduler", "123456789012"),
                ("states", "123456789012"),
                ("states.us-east-1", "123456789012"),
                # these give no account, or AWS does not say that they do: the condition could lock them out
                ("ec2", None),
                ("lambda", None),
                ("glue", None),
            )
        ),
    ],
)
def test_who_may_be_the_runner(principal: str, trusted: Any, account: str | None) -> None:
    trust = documents(runner_principal=principal)[RUNNER].trust
    if trust is None:
        assert trusted is None
        return
    (statement,) = trust["Statement"]
    wanted = {"StringEquals": {"aws:SourceAccount": account}} if account else None
    assert (statement["Principal"], statement.get("Condition")) == (trusted, wanted)


def test_the_runner_assumes_these_roles_and_no_others() -> None:
    assert statements(documents()[RUNNER]) == {
        "sts:AssumeRole": [
            *(f"arn:aws:iam::*:role/{name}" for name in ("Reader", "Remover", "Restorer")),
            CENTER_ARN,
        ]
    }
    assert statements(documents(RoleNeeds(READS))[RUNNER]) == {
        "sts:AssumeRole": ["arn:aws:iam::*:role/Reader"]
    }


def test_the_runner_deploys_functions_and_does_not_assume_their_role() -> None:
    functions = Functions("team/Functions", ("f",), READS, Places())
    found = documents(RoleNeeds(READS, functions=(functions,)), deployer="Deployer")
    assumed = [f"arn:aws:iam::*:role/{name}" for name in ("Deployer", "Reader")]
    assert statements(found[RUNNER]).keys() == {"sts:AssumeRole"}
    assert sorted(statements(found[RUNNER])["sts:AssumeRole"]) == assumed
    assert (found[FUNCTION].path, found[FUNCTION].name) == ("/team/", "Functions")
    assert statements(found[DEPLOYER])["iam:PassRole"] == ["arn:aws:iam::*:role/team/Functions"]


def test_several_runners_have_a_document_each_and_some_of_them_may_restore() -> None:
    """The daily runner is not trusted by what may give anybody anything."""
    on_call = "arn:aws:iam::123456789012:role/OnCall"
    found = documents(runners=(RUNNER_ARN, on_call), restore_by=(on_call,))
    assert [(kind, each.name) for kind, each in found.items()][-2:] == [
        (RUNNER, "Runner"),
        ("runner-2", "OnCall"),
    ]
    trusted = {
        kind: each.trust["Statement"][0]["Principal"]["AWS"] for kind, each in found.items() if each.trust
    }
    both = [RUNNER_ARN, on_call]
    assert trusted == {READER: both, REMOVER: both, RESTORER: on_call, CENTER: both}
    restorer = "arn:aws:iam::*:role/Restorer"
    assert [restorer in statements(found[kind])["sts:AssumeRole"] for kind in (RUNNER, "runner-2")] == [
        False,
        True,
    ]


def test_the_runner_writes_where_it_is_told() -> None:
    places = Places(
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/mailer",),
        ("s3://notices/all", "s3://runs/of/*/x/?region=eu-west-1", "s3://own"),
        ("s3://notices/records",),
        ("s3://one/sign-ins",),
        ("s3://runs/of/*/",),
    )
    found = documents(places=places)[RUNNER].policy["Statement"]
    assert [(each["Action"], each["Resource"], each.get("Condition")) for each in found[1:]] == [
        (["sqs:SendMessage"], ["arn:aws:sqs:eu-west-1:123456789012:mailer"], None),
        *(
            (["s3:ListBucket"], [f"arn:aws:s3:::{bucket}"], listed and {"StringLike": {"s3:prefix": listed}})
            for bucket, listed in (
                ("notices", ["all/*", "records/*"]),
                ("runs", ["of/*/", "of/*/x/*"]),
                ("own", None),
                ("one", ["sign-ins"]),
            )
        ),
        (
            ["s3:GetObject"],
            [
                f"arn:aws:s3:::{each}"
                for each in ("notices/all/*", "notices/records/*", "one/sign-ins", "own/*", "runs/of/*/x/*")
            ],
            None,
        ),
        (
            ["s3:PutObject", "s3:PutObjectAcl"],
            [f"arn:aws:s3:::{each}" for each in ("notices/all/*", "own/*", "runs/of/*/x/*")],
            None,
        ),
    ]


ORG = "o-a1b2c3d4e5"
MEMBER = "arn:aws:iam::111122223333:role/Reader"


@pytest.mark.parametrize(
    ("kind", "action", "resource", "context"),
    [
        pytest.param(RUNNER, "s3:PutObject", "arn:aws:s3:::notices/all/x", {}, id="write"),
        pytest.param(RUNNER, "s3:GetObject", "arn:aws:s3:::notices/all/x", {}, id="read"),
        pytest.param(RUNNER, "s3:ListBucket", "arn:aws:s3:::notices", {"s3:prefix": "all/x"}, id="list"),
        pytest.param(RUNNER, "s3:DeleteObject", "arn:aws:s3:::notices/all/.preflight-1", {}, id="probe"),
        pytest.param(RUNNER, "sts:AssumeRole", MEMBER, {}, id="assume"),
        pytest.param(READER, "s3:GetObject", "arn:aws:s3:::lists/x.csv", {}, id="exemptions"),
    ],
)
def test_buckets_and_roles_are_those_of_the_organization(
    kind: str, action: str, resource: str, context: dict[str, str]
) -> None:
    reads = READS | Needed(bound=frozenset({("s3:GetObject", "s3:::lists/x.csv")}))

    def allowed(role: RoleDocument, **more: str) -> bool:
        given = {**context, **{f"aws:{key}": value for key, value in more.items()}}
        return decision(Request(action, resource, given), [role.policy]) == ALLOWED

    for organization in ("", ORG):
        needs, places = RoleNeeds(reads, setup=True), Places(written=("s3://notices/all",))
        role = documents(needs, places, organization=organization)[kind]
        assert allowed(role, resourceorgid=ORG)
        assert allowed(role, resourceorgid="o-another111") == (not organization)
        assert allowed(role) == (not organization)


def test_the_runner_is_trusted_within_the_organization() -> None:
    found = documents(organization=ORG, external_id="e-1", runner_principal="arn:aws:iam::1:role/CI")
    trusts = {kind: each.trust["Statement"][0].get("Condition") for kind, each in found.items() if each.trust}
    of_organization = {"aws:PrincipalOrgID": ORG}
    assert trusts == {
        READER: {"StringEquals": {**of_organization, "sts:ExternalId": "e-1"}},
        REMOVER: {"StringEquals": {**of_organization, "sts:ExternalId": "e-1"}},
        RESTORER: {"StringEquals": {**of_organization, "sts:ExternalId": "e-1"}},
        CENTER: {"StringEquals": of_organization},
        # whoever starts the runner can be outside
        RUNNER: None,
    }


@pytest.mark.parametrize("url", ["s3://*/x", "s3://{account_id}-runs/x", "s3:///x", "output"])
def test_what_is_no_place(url: str) -> None:
    with pytest.raises(InvalidPolicyData, match="is no place in S3: give s3://BUCKET/PREFIX"):
        documents(places=Places(written=(url,)))


def test_restoring_lifts_the_conditions_and_keeps_the_resources() -> None:
    def attaching(needed: Needed) -> Any:
        (found,) = [
            each
            for each in documents(RoleNeeds(remover=needed))[REMOVER].policy["Statement"]
            if "iam:AttachUserPolicy" in each["Action"]
        ]
        return found["Resource"], "Condition" in found

    users = "arn:aws:iam::*:user/*"
    assert attaching(REMOVES) == (users, True)
    assert attaching(REMOVES | Needed(restoring=frozenset({"iam:AttachUserPolicy"}))) == (
        users,
        False,
    )


def test_the_partition_is_the_runners() -> None:
    found = documents(runners=("arn:aws-cn:iam::123456789012:role/Runner",))
    assert statements(found[READER]) == {"iam:GetUser": "arn:aws-cn:iam::*:user/*"}
    assert "arn:aws-cn:iam::*:role/Reader" in statements(found[RUNNER])["sts:AssumeRole"]


@pytest.mark.parametrize(
    ("queue", "arn"),
    [
        ("arn:aws:sqs:us-east-1:1:q", "arn:aws:sqs:us-east-1:1:q"),
        ("https://sqs.us-west-2.amazonaws.com/1/q", "arn:aws:sqs:us-west-2:1:q"),
        ("https://eu-west-1.queue.amazonaws.com/1/q", "arn:aws:sqs:eu-west-1:1:q"),
        ("https://queue.amazonaws.com/1/q", "arn:aws:sqs:us-east-1:1:q"),
    ],
)
def test_queues(queue: str, arn: str) -> None:
    assert queue_arn(queue, "aws") == arn


@pytest.mark.parametrize("queue", ["q", "https://sqs.us-east-1.amazonaws.com/q", "https://example.com/1/q"])
def test_what_is_no_queue(queue: str) -> None:
    with pytest.raises(InvalidPolicyData, match="is not the ARN or the https URL of a queue"):
        queue_arn(queue, "aws")


def test_what_cannot_be_made() -> None:
    with pytest.raises(
        InvalidPolicyData, match="the ARN of the policies' role for IAM Identity Center is unknown"
    ):
        documents(center="")
    long = Needed(frozenset(f"iam:Get{number:0200}" for number in range(50)))
    with pytest.raises(InvalidPolicyData, match=r"role Reader has \d+ characters, and a role can have 10240"):
        documents(RoleNeeds(long))


@pytest.mark.parametrize("more", [0, 1], ids=["as-long-as-may-be", "too-long"])
def test_a_role_has_no_longer_policy_than_aws_takes(monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    role: Any = SimpleNamespace(name="r", policy={"Statement": ["a b"]})
    monkeypatch.setattr(documents_module, "_LONGEST_POLICY", len('{"Statement":["ab"]}') - more)
    with pytest.raises(InvalidPolicyData, match="a role can have") if more else nullcontext():
        documents_module._check_length(role)


@pytest.mark.parametrize("url", ["https://bucket/x", "s3://B/x", "bucket", ""])
def test_what_is_no_place_in_a_bucket(url: str) -> None:
    with pytest.raises(InvalidPolicyData, match="is no place in S3"):
        _bucket_and_key(url)
