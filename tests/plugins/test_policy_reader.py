# SPDX-License-Identifier: Apache-2.0
"""Policies of real resources of the local organization, read by Cloud Custodian's own filters, and whom they name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError
from c7n.exceptions import PolicyValidationError

from aws_local_org import LocalOrg
from c7n_iamusers.plugins.policy_reader import PolicyReader
from c7n_iamusers.resource_policies.reading import AccessEntry, Reading
from tests.fakes import client_error
from tests.plugins.named_users import BLAST, REGION, SERVICES, NamedUsers, allow, document
from tests.policies import ACCOUNT, policy
from tests.readme import ROOT
from tests.used_permissions import observed

Answer = Callable[[Any, dict[str, Any]], Any]
#: The calls of lists whose action has another name than the operation.
OTHER_NAMES = {
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "resourcegroupstaggingapi:GetResources": "tag:GetResources",
}


@pytest.fixture
def alice(org: LocalOrg) -> str:
    """Her ARN."""
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="bob")
    arn: str = iam.create_user(UserName="alice")["User"]["Arn"]
    return arn


def read(org: LocalOrg, *services: str) -> Reading:
    return PolicyReader.of(org.session(ACCOUNT), ACCOUNT, REGION).read(services or SERVICES, [REGION])


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Answer], None]:
    """Lets an operation be answered by a function of the original call and its parameters."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]
    answers = dict[str, Answer]()

    def call(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if operation in answers:
            return answers[operation](lambda: original(self, operation, parameters), parameters)
        return original(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    return answers.__setitem__


@pytest.mark.parametrize("service", SERVICES)
def test_the_policies_of_a_service_are_read_as_they_are(org: LocalOrg, alice: str, service: str) -> None:
    NamedUsers(org, allow(alice))
    found = read(org, service)
    assert not found.unread
    named = [each for each in found.policies if alice in json.dumps(each.document)]
    assert [each.document for each in named] == [json.loads(document(allow(alice)))]
    assert named[0].resource.startswith(f"arn:aws:{service}:")
    assert (named[0].service, named[0].region) == (service, REGION)


def test_a_reading_takes_a_call_for_a_resource_and_some_for_lists(org: LocalOrg, alice: str) -> None:
    NamedUsers(org, allow(alice))
    calls = {service: read(org, service).calls for service in SERVICES}
    # of two resources each: docs/blast-radius.md
    assert calls == {"ecr": 5, "kms": 7, "s3": 7, "secretsmanager": 5, "sns": 4, "sqs": 4}


def test_a_bucket_of_another_region_is_read_once(org: LocalOrg, alice: str) -> None:
    s3 = org.client("s3", ACCOUNT)
    s3.create_bucket(Bucket="abroad", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_policy(Bucket="abroad", Policy=document(allow(alice)))
    reader = PolicyReader.of(org.session(ACCOUNT), ACCOUNT, REGION)
    found = reader.read(["s3"], [REGION, "eu-west-1"])
    assert [(each.resource, each.region) for each in found.policies] == [("arn:aws:s3:::abroad", "eu-west-1")]
    assert not found.unread


def test_access_entries_are_read_by_cluster(
    org: LocalOrg, alice: str, answering: Callable[[str, Answer], None]
) -> None:
    answering("ListClusters", lambda _, __: {"clusters": ["shop", "old"]})

    def entries(_: Any, parameters: dict[str, Any]) -> Any:
        if parameters["clusterName"] == "old":
            raise client_error("InvalidRequestException")
        return {"accessEntries": [alice]}

    answering("ListAccessEntries", entries)
    found = read(org, "eks")
    cluster = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/shop"
    assert found.entries == (AccessEntry(cluster, REGION, alice),)
    (unread,) = found.unread
    assert (unread.service, unread.resource) == ("eks", "old")
    assert "aws-auth" in unread.why


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("s3", "ListBuckets"),
        ("s3", "GetBucketPolicy"),
        ("kms", "GetKeyPolicy"),
        ("sqs", "ListQueues"),
        ("sns", "GetTopicAttributes"),
        ("secretsmanager", "GetResourcePolicy"),
        ("ecr", "GetRepositoryPolicy"),
        ("efs", "DescribeFileSystemPolicy"),
    ],
)
def test_what_is_denied_is_unread_whatever_c7n_makes_of_it(
    org: LocalOrg, alice: str, service: str, operation: str
) -> None:
    NamedUsers(org, allow(alice))
    org.client("efs", ACCOUNT).create_file_system(CreationToken="x")
    with denied(operation):
        found = read(org, service)
    assert found.unread
    assert all("AccessDenied" in str(each) for each in found.unread)
    assert {each.service for each in found.unread} == {service}
    assert not [each for each in found.policies if alice in json.dumps(each.document)]


class denied:
    """The SDK gets AccessDenied from an operation, as an answer of the service."""

    def __init__(self, operation: str) -> None:
        from botocore.endpoint import Endpoint

        original = Endpoint.make_request

        def make_request(self: Any, model: Any, request: Any) -> Any:
            if model.name != operation:
                return original(self, model, request)
            response = mock.Mock(status_code=403, headers={})
            error = {
                "Code": "AccessDeniedException"
                if model.service_model.service_name != "s3"
                else "AccessDenied"
            }
            return response, {
                "Error": {**error, "Message": "no"},
                "ResponseMetadata": {"HTTPStatusCode": 403},
            }

        self._patch = mock.patch.object(Endpoint, "make_request", make_request)

    def __enter__(self) -> None:
        self._patch.start()

    def __exit__(self, *_: object) -> None:
        self._patch.stop()


def test_one_service_that_fails_hides_no_other(org: LocalOrg, alice: str) -> None:
    NamedUsers(org, allow(alice))
    with denied("ListQueues"):
        found = read(org)
    assert {each.service for each in found.unread} == {"sqs"}
    assert len([each for each in found.policies if alice in json.dumps(each.document)]) == len(SERVICES) - 1


@pytest.mark.parametrize("text", ["not JSON {", "[]", '{"Version": "2012-10-17"}'])
def test_a_policy_that_is_not_json_is_told_with_its_resource(
    org: LocalOrg, alice: str, text: str, answering: Callable[[str, Answer], None]
) -> None:
    NamedUsers(org, allow(alice))
    answering("GetKeyPolicy", lambda _, __: {"Policy": text})
    found = read(org, "kms")
    assert not found.policies
    assert {each.resource.split(":")[2] for each in found.unread} == {"kms"}
    assert all("is not a policy in JSON" in each.why for each in found.unread)


def test_an_answer_that_no_filter_foresees_is_unread(
    org: LocalOrg, alice: str, answering: Callable[[str, Answer], None]
) -> None:
    NamedUsers(org, allow(alice))
    answering("GetKeyPolicy", lambda _, __: {})
    assert {"KeyError('Policy')" in each.why for each in read(org, "kms").unread} == {True}


def flagged(**options: Any) -> dict[str, dict[str, Any]]:
    filters = [{"type": "unnecessary", "exempt": "none", **options}]
    found = policy({"filters": filters}).resource_manager.resources()
    return {resource["UserName"]: resource["c7n:IamUser"] for resource in found}


def test_flagged_users_are_annotated_with_what_names_them(org: LocalOrg, alice: str) -> None:
    NamedUsers(org, allow(alice))
    found = flagged(**BLAST)
    assert sorted(each["service"] for each in found["alice"]["named_by"]) == [*SERVICES]
    bucket = {"service": "s3", "resource": "arn:aws:s3:::invoices", "region": REGION}
    assert {**bucket, "where": "Principal of statement 1"} in found["alice"]["named_by"]
    (text,) = (
        each["text"] for each in found["alice"]["findings"] if each["id"] == "resource-policy-names-user"
    )
    assert text.startswith("Policies of these resources name it and break when it is deleted: arn:aws:")
    assert found["bob"]["named_by"] == []
    source = found["bob"]["sources"]["resource-policies"]
    assert source["time"]
    assert "problem" not in source


def test_nobody_is_said_to_be_named_by_nothing_where_something_was_not_read(
    org: LocalOrg, alice: str
) -> None:
    NamedUsers(org, allow(alice))
    with denied("ListQueues"):
        found = flagged(**BLAST)
    assert found["bob"]["named_by"] is None
    assert "resource-policy-names-user" in found["bob"]["unknown_findings"]
    assert "sqs in us-east-1" in found["bob"]["sources"]["resource-policies"]["problem"]
    assert len(found["alice"]["named_by"]) == len(SERVICES) - 1
    (text,) = (
        each["text"] for each in found["alice"]["findings"] if each["id"] == "resource-policy-names-user"
    )
    assert "there may be more" in text
    with denied("ListQueues"):
        chosen = flagged(**BLAST, findings={"none-of": ["resource-policy-names-user"]})
    assert chosen == {}


def test_the_selection_can_rest_on_it(org: LocalOrg, alice: str) -> None:
    NamedUsers(org, allow(alice))
    assert flagged(**BLAST, findings={"none-of": ["resource-policy-names-user"]}).keys() == {"bob"}
    assert flagged(**BLAST, findings=["resource-policy-names-user"]).keys() == {"alice"}


def test_without_the_option_nothing_is_read(org: LocalOrg, alice: str) -> None:
    NamedUsers(org, allow(alice))
    with observed() as used:
        found = flagged()
    assert {each.partition(":")[0] for each in used} <= {"iam", "sts"}
    assert "named_by" not in found["alice"]
    assert "resource-policies" not in found["alice"]["sources"]


def test_a_run_stays_within_its_declared_permissions(org: LocalOrg, alice: str, tmp_path: Path) -> None:
    NamedUsers(org, allow(alice))
    filters = [{"type": "unnecessary", "exempt": "none", **BLAST}]
    found = policy({"filters": filters}, tmp_path)
    with observed() as used:
        found.run()
    asked = {OTHER_NAMES.get(each, each) for each in used} - {"sts:AssumeRole", "s3:PutObject"}
    assert asked <= found.get_permissions()
    assert {"kms:GetKeyPolicy", "s3:GetBucketPolicy", "sqs:GetQueueAttributes"} <= asked


def test_all_enabled_regions_are_read_unless_some_are_named(
    org: LocalOrg, alice: str, answering: Callable[[str, Answer], None]
) -> None:
    regions = [{"RegionName": each} for each in (REGION, "eu-west-1")]
    answering("DescribeRegions", lambda _, __: {"Regions": regions})
    queue = org.session(ACCOUNT).client("sqs", region_name="eu-west-1")
    queue.create_queue(QueueName="abroad", Attributes={"Policy": document(allow(alice))})
    (place,) = flagged(**{"blast-radius": ["sqs"]})["alice"]["named_by"]
    assert (place["region"], place["service"]) == ("eu-west-1", "sqs")


def test_a_region_that_the_sdk_does_not_know_is_asked_all_the_same(
    org: LocalOrg, alice: str, answering: Callable[[str, Answer], None]
) -> None:
    def unreachable(call: Any, given: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="https://sqs.eu-wst-1.amazonaws.com")

    answering("ListQueues", unreachable)
    reader = PolicyReader.of(org.session(ACCOUNT), ACCOUNT, REGION)
    (unread,) = reader.read(("sqs",), ["eu-wst-1"]).unread
    assert (unread.service, unread.region) == ("sqs", "eu-wst-1")


def test_regions_that_can_not_be_listed_make_it_unknown(org: LocalOrg, alice: str) -> None:
    with denied("DescribeRegions"):
        found = flagged(**{"blast-radius": ["sqs"]})
    assert found["alice"]["named_by"] is None
    assert "allow ec2:DescribeRegions" in found["alice"]["sources"]["resource-policies"]["problem"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param({"blast-radius": ["s4"]}, "there is no 's4'", id="service"),
        pytest.param({"blast-radius": "s3"}, "must be a list", id="no-list"),
        pytest.param({"blast-radius-regions": ["eu-west-1"]}, "needs blast-radius", id="regions-alone"),
        pytest.param(
            {"blast-radius": "all", "blast-radius-regions": [5]},
            "'5' is no Region",
            id="regions",
        ),
        pytest.param(
            {"blast-radius": "all", "blast-radius-regions": ["EU-WEST-1"]},
            r"no Region that the installed botocore knows: correct it \(eu-west-1\?\)",
            id="region",
        ),
        pytest.param(
            {"findings": {"none-of": ["resource-policy-names-user"]}}, "needs blast-radius", id="finding"
        ),
    ],
)
def test_options_are_checked(org: LocalOrg, options: dict[str, Any], told: str) -> None:
    with pytest.raises(PolicyValidationError, match=told):
        policy({"filters": [{"type": "unnecessary", "exempt": "none", **options}]})


def test_the_policy_of_the_page_is_valid(org: LocalOrg) -> None:
    page = (ROOT / "docs" / "blast-radius.md").read_text(encoding="utf-8")
    (data,) = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])["policies"]
    assert "s3:GetBucketPolicy" in policy(data).get_permissions()


def test_a_function_can_not_ask_for_it(org: LocalOrg) -> None:
    event = {"source": "iam.amazonaws.com", "event": "CreateUser", "ids": "responseElements.user.userName"}
    mode = {"type": "cloudtrail", "role": f"arn:aws:iam::{ACCOUNT}:role/x", "events": [event]}
    mode |= {"packages": ["c7n_iamusers"], "handler": "c7n_iamusers.handler.run"}
    data = {"mode": mode, "filters": [{"type": "unnecessary", "exempt": "none", "blast-radius": "all"}]}
    with pytest.raises(PolicyValidationError, match="blast-radius takes hundreds of calls"):
        policy(data)


def test_a_plan_says_what_breaks(org: LocalOrg, alice: str, tmp_path: Path) -> None:
    NamedUsers(org, allow(alice))
    action = {"type": "composite-delete", "plan-only": True}
    filters = [{"type": "unnecessary", "exempt": "none", **BLAST}]
    policy({"filters": filters, "actions": [action]}, tmp_path).run()
    plan = json.loads((tmp_path / "under-test" / "deletion-plan.json").read_text())
    breaks = {each["user"]: each.get("breaks", []) for each in plan["users"]}
    assert len(breaks["alice"]) == len(SERVICES)
    assert "arn:aws:s3:::invoices (Principal of statement 1)" in breaks["alice"]
    assert breaks["bob"] == []
    assert plan["asked"] == {"stacks": [], "terraform_states": [], "resource_policies": list(SERVICES)}


def test_a_deletion_judges_the_user_by_the_same_policies(org: LocalOrg, alice: str, tmp_path: Path) -> None:
    NamedUsers(org, allow(alice))
    filters = [
        {"type": "unnecessary", "exempt": "none", **BLAST, "findings": ["resource-policy-names-user"]},
        {"type": "unnecessary", "exempt": "none", "blast-radius": ["sns"], "blast-radius-regions": [REGION]},
    ]
    found = policy({"filters": filters, "actions": ["composite-delete"]}, tmp_path).run()
    (outcome,) = (each["c7n:IamUser"]["outcome"] for each in found)
    assert outcome["status"] == "deleted", outcome
