# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tests.local_org.identity_center.center import Center, refusal

FULL = {
    "Description": "Lecture seule, pour l'équipe",
    "SessionDuration": "PT4H",
    "RelayState": "https://console.aws.amazon.com/ec2/home?region=us-east-1",
}


def test_what_is_created_is_described(center: Center) -> None:
    arn = center.permission_set("ReadOnly", **FULL)
    assert arn.startswith(f"arn:aws:sso:::permissionSet/{center.instance.id}/ps-")
    found = center.admin("describe_permission_set", PermissionSetArn=arn)["PermissionSet"]
    assert found["CreatedDate"] == center.clock.time
    assert {name: found[name] for name in FULL} == FULL
    assert (found["Name"], found["PermissionSetArn"]) == ("ReadOnly", arn)


def test_what_is_left_out(center: Center) -> None:
    found = center.admin("describe_permission_set", PermissionSetArn=center.permission_set())["PermissionSet"]
    assert found["SessionDuration"] == "PT1H"
    assert not {"Description", "RelayState"} & found.keys()


@pytest.mark.parametrize("name", ["A", "a" * 32, "Team_A+b=c,d.e@f-g"])
def test_legal_names(center: Center, name: str) -> None:
    assert center.permission_set(name)


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({"Name": "a" * 33}, id="name-too-long"),
        pytest.param({"Name": ""}, id="name-empty"),
        pytest.param({"Name": "a b"}, id="name-with-a-space"),
        pytest.param({"Name": "a/b"}, id="name-with-a-slash"),
        pytest.param({"Name": None}, id="name-missing"),
        pytest.param({"Name": 7}, id="name-a-number"),
        pytest.param({"Name": "X", "Description": ""}, id="description-empty"),
        pytest.param({"Name": "X", "Description": "x" * 701}, id="description-too-long"),
        pytest.param({"Name": "X", "Description": "\u4f60\u597d"}, id="description-beyond-latin-1"),
        pytest.param({"Name": "X", "RelayState": "x" * 241}, id="relay-state-too-long"),
        pytest.param({"Name": "X", "SessionDuration": "PT59M"}, id="session-too-short"),
        pytest.param({"Name": "X", "SessionDuration": "PT12H1S"}, id="session-too-long"),
        pytest.param({"Name": "X", "SessionDuration": "P1D"}, id="session-of-a-day"),
        pytest.param({"Name": "X", "SessionDuration": "-PT2H"}, id="session-negative"),
        pytest.param({"Name": "X", "SessionDuration": "3600"}, id="session-in-seconds"),
        pytest.param({"Name": "X", "Tags": [{"Key": "a", "Value": "1"}] * 2}, id="tag-key-twice"),
        pytest.param({"Name": "X", "Tags": [{"Key": "aws:a", "Value": "1"}]}, id="tag-key-reserved"),
    ],
)
def test_illegal_sets_are_not_created(center: Center, parameters: dict[str, Any]) -> None:
    refusal("ValidationException", center.admin, "create_permission_set", **parameters)
    assert center.admin("list_permission_sets")["PermissionSets"] == []


@pytest.mark.parametrize("duration", ["PT1H", "PT60M", "PT1H30M", "PT12H", "PT43200S"])
def test_legal_session_durations(center: Center, duration: str) -> None:
    arn = center.permission_set(SessionDuration=duration)
    found = center.admin("describe_permission_set", PermissionSetArn=arn)["PermissionSet"]
    assert found["SessionDuration"] == duration


def test_names_are_unique(center: Center) -> None:
    arn = center.permission_set("ReadOnly")
    error = refusal("ConflictException", center.admin, "create_permission_set", Name="ReadOnly")
    assert "PermissionSet with name ReadOnly already exists" in error["Error"]["Message"]
    assert center.permission_set("readonly") != arn


def test_the_number_of_sets_is_limited(center: Center) -> None:
    center.instance.quotas = dataclasses.replace(center.instance.quotas, permission_sets=1)
    center.permission_set("First")
    refusal("ServiceQuotaExceededException", center.admin, "create_permission_set", Name="Second")


def test_updating_changes_what_is_given_and_keeps_the_rest(center: Center) -> None:
    arn = center.permission_set("ReadOnly", **FULL)
    center.admin("update_permission_set", PermissionSetArn=arn, SessionDuration="PT2H")
    found = center.admin("describe_permission_set", PermissionSetArn=arn)["PermissionSet"]
    assert found["SessionDuration"] == "PT2H"
    assert (found["Name"], found["Description"]) == ("ReadOnly", FULL["Description"])
    refusal(
        "ValidationException",
        center.admin,
        "update_permission_set",
        PermissionSetArn=arn,
        SessionDuration="PT13H",
    )


def test_a_deleted_set_is_gone_and_its_name_free(center: Center) -> None:
    arn = center.permission_set("ReadOnly")
    center.admin("delete_permission_set", PermissionSetArn=arn)
    error = refusal(
        "ResourceNotFoundException", center.admin, "describe_permission_set", PermissionSetArn=arn
    )
    assert arn.rpartition("/")[2] in error["Error"]["Message"]
    assert center.permission_set("ReadOnly") != arn


def test_a_set_in_use_is_not_deleted(center: Center) -> None:
    arn, group = center.permission_set(), center.group()
    status = center.assign(arn, group)
    refusal("ConflictException", center.admin, "delete_permission_set", PermissionSetArn=arn)
    assert center.settled(status)["Status"] == "SUCCEEDED"
    refusal("ConflictException", center.admin, "delete_permission_set", PermissionSetArn=arn)


def test_the_list_gives_arns_page_by_page(center: Center) -> None:
    made = [center.permission_set(f"Set{number}") for number in range(5)]
    pages = (
        center.client("sso-admin")
        .get_paginator("list_permission_sets")
        .paginate(InstanceArn=center.instance.arn, PaginationConfig={"PageSize": 2})
    )
    assert [page["PermissionSets"] for page in pages] == [made[:2], made[2:4], made[4:]]


TEAM, COST = {"Key": "team", "Value": "audit"}, {"Key": "cost", "Value": ""}


def tags_of(center: Center, arn: str, **instance: str) -> list[Any]:
    found = center.client("sso-admin").list_tags_for_resource(ResourceArn=arn, **instance)
    return list(found["Tags"])


@pytest.mark.parametrize("kind", ["permission-set", "instance"])
def test_tagging_and_untagging(center: Center, kind: str) -> None:
    arn = center.permission_set() if kind == "permission-set" else center.instance.arn
    center.admin("tag_resource", ResourceArn=arn, Tags=[TEAM, COST])
    center.admin("tag_resource", ResourceArn=arn, Tags=[{"Key": "team", "Value": "ops"}])
    # InstanceArn may be left out: the resource's ARN names the instance too.
    assert tags_of(center, arn) == [{"Key": "team", "Value": "ops"}, COST]
    center.admin("untag_resource", ResourceArn=arn, TagKeys=["team", "absent"])
    assert tags_of(center, arn, InstanceArn=center.instance.arn) == [COST]


def test_tags_of_a_new_set(center: Center) -> None:
    assert tags_of(center, center.permission_set(Tags=[TEAM])) == [TEAM]


def test_fifty_tags_and_no_more(center: Center) -> None:
    arn = center.permission_set(Tags=[{"Key": f"k{number}", "Value": "v"} for number in range(50)])
    refusal("ServiceQuotaExceededException", center.admin, "tag_resource", ResourceArn=arn, Tags=[TEAM])
    center.admin("tag_resource", ResourceArn=arn, Tags=[{"Key": "k0", "Value": "changed"}])
    assert len(tags_of(center, arn)) == 50


@pytest.mark.parametrize(
    "tag",
    [
        pytest.param({"Key": "", "Value": "v"}, id="empty-key"),
        pytest.param({"Key": "a" * 129, "Value": "v"}, id="long-key"),
        pytest.param({"Key": "a", "Value": "v" * 257}, id="long-value"),
        pytest.param({"Key": "a", "Value": "v\u0000"}, id="control-character"),
        pytest.param({"Key": "a?", "Value": "v"}, id="question-mark"),
        pytest.param({"Key": "AWS:a", "Value": "v"}, id="reserved"),
        pytest.param({"Key": "a"}, id="no-value"),
    ],
)
def test_illegal_tags(center: Center, tag: dict[str, str]) -> None:
    arn = center.permission_set()
    refusal("ValidationException", center.admin, "tag_resource", ResourceArn=arn, Tags=[tag])
    assert tags_of(center, arn) == []


def test_an_unknown_resource(center: Center) -> None:
    arn = f"arn:aws:sso:::permissionSet/{center.instance.id}/ps-0123456789abcdef"
    refusal("ResourceNotFoundException", tags_of, center, arn)


READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"
BILLING = "arn:aws:iam::aws:policy/job-function/Billing"


def managed(center: Center, operation: str, permission_set: str, arn: str) -> Any:
    return center.admin(
        f"{operation}_managed_policy_{'to' if operation == 'attach' else 'from'}_permission_set",
        PermissionSetArn=permission_set,
        ManagedPolicyArn=arn,
    )


def customer(center: Center, operation: str, permission_set: str, **reference: str) -> Any:
    return center.admin(
        f"{operation}_customer_managed_policy_reference_{'to' if operation == 'attach' else 'from'}_permission_set",
        PermissionSetArn=permission_set,
        CustomerManagedPolicyReference=reference,
    )


def managed_of(center: Center, permission_set: str) -> list[Any]:
    found = center.admin("list_managed_policies_in_permission_set", PermissionSetArn=permission_set)
    return list(found["AttachedManagedPolicies"])


def customer_of(center: Center, permission_set: str) -> list[Any]:
    operation = "list_customer_managed_policy_references_in_permission_set"
    return list(center.admin(operation, PermissionSetArn=permission_set)["CustomerManagedPolicyReferences"])


def test_attaching_and_detaching_aws_managed_policies(center: Center) -> None:
    arn = center.permission_set()
    managed(center, "attach", arn, READ_ONLY)
    managed(center, "attach", arn, BILLING)
    assert managed_of(center, arn) == [
        {"Name": "ReadOnlyAccess", "Arn": READ_ONLY},
        {"Name": "Billing", "Arn": BILLING},
    ]
    managed(center, "detach", arn, READ_ONLY)
    assert [each["Arn"] for each in managed_of(center, arn)] == [BILLING]


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        pytest.param("arn:aws:iam::aws:policy/NoSuchPolicy", "ResourceNotFoundException", id="unknown"),
        pytest.param("arn:aws:iam::aws:policy/Billing", "ResourceNotFoundException", id="without-its-path"),
        pytest.param(READ_ONLY, "ConflictException", id="attached-already"),
        pytest.param("arn:aws:iam::111122223333:policy/Own", "ValidationException", id="customer-managed"),
        pytest.param("ReadOnlyAccess", "ValidationException", id="not-an-arn"),
    ],
)
def test_what_cannot_be_attached(center: Center, policy: str, code: str) -> None:
    arn = center.permission_set()
    managed(center, "attach", arn, READ_ONLY)
    refusal(code, managed, center, "attach", arn, policy)
    assert [each["Arn"] for each in managed_of(center, arn)] == [READ_ONLY]


def test_customer_managed_policies_are_references_by_name_and_path(center: Center) -> None:
    arn = center.permission_set()
    customer(center, "attach", arn, Name="Auditor")
    customer(center, "attach", arn, Name="Auditor", Path="/team/")
    assert customer_of(center, arn) == [
        {"Name": "Auditor", "Path": "/"},
        {"Name": "Auditor", "Path": "/team/"},
    ]
    refusal("ConflictException", customer, center, "attach", arn, Name="Auditor", Path="/")
    customer(center, "detach", arn, Name="Auditor")
    assert customer_of(center, arn) == [{"Name": "Auditor", "Path": "/team/"}]


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param({"Name": "a/b"}, id="slash-in-name"),
        pytest.param({"Name": "a", "Path": "team"}, id="path-without-slashes"),
        pytest.param({"Path": "/team/"}, id="no-name"),
    ],
)
def test_illegal_references(center: Center, reference: dict[str, str]) -> None:
    refusal("ValidationException", customer, center, "attach", center.permission_set(), **reference)


def test_what_is_not_attached_cannot_be_detached(center: Center) -> None:
    arn = center.permission_set()
    refusal("ResourceNotFoundException", managed, center, "detach", arn, AUDIT)
    refusal("ResourceNotFoundException", customer, center, "detach", arn, Name="Auditor")


def test_twenty_policies_of_both_kinds_together(center: Center) -> None:
    arn = center.permission_set()
    managed(center, "attach", arn, READ_ONLY)
    for number in range(19):
        customer(center, "attach", arn, Name=f"Policy{number}")
    refusal("ServiceQuotaExceededException", managed, center, "attach", arn, AUDIT)
    refusal("ServiceQuotaExceededException", customer, center, "attach", arn, Name="Policy19")
    managed(center, "detach", arn, READ_ONLY)
    managed(center, "attach", arn, AUDIT)
    assert len(managed_of(center, arn)) + len(customer_of(center, arn)) == 20


def document(padding: int = 0, filler: str = "x") -> str:
    statement = {"Sid": filler * padding, "Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, ensure_ascii=False)


def put_inline(center: Center, permission_set: str, policy: str) -> Any:
    operation = "put_inline_policy_to_permission_set"
    return center.admin(operation, PermissionSetArn=permission_set, InlinePolicy=policy)


def get_inline(center: Center, permission_set: str) -> Any:
    return center.admin("get_inline_policy_for_permission_set", PermissionSetArn=permission_set)[
        "InlinePolicy"
    ]


def dense(characters: int) -> str:
    """A policy of so many non-whitespace characters."""
    return document(characters - len("".join(document().split())))


def test_inline_put_get_replace_delete(center: Center) -> None:
    arn = center.permission_set()
    assert get_inline(center, arn) == ""
    put_inline(center, arn, document(1))
    put_inline(center, arn, document(2))
    assert get_inline(center, arn) == document(2)
    center.admin("delete_inline_policy_from_permission_set", PermissionSetArn=arn)
    assert get_inline(center, arn) == ""


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        pytest.param("", "ValidationException", id="empty"),
        pytest.param("{", "ValidationException", id="no-json"),
        pytest.param("[]", "ValidationException", id="no-object"),
        pytest.param("{}", "ValidationException", id="no-statement"),
        pytest.param(document() + " " * 32_768, "ValidationException", id="too-long"),
        pytest.param(document(17_000, "\u00e9"), "ValidationException", id="too-many-bytes"),
        pytest.param(document(1, "\u20ac"), "ValidationException", id="beyond-latin-1"),
        pytest.param(dense(10_241), "ServiceQuotaExceededException", id="too-dense"),
    ],
)
def test_refused_documents(center: Center, policy: str, code: str) -> None:
    arn = center.permission_set()
    refusal(code, put_inline, center, arn, policy)
    assert get_inline(center, arn) == ""


def test_as_large_as_it_may_be(center: Center) -> None:
    arn, largest = center.permission_set(), dense(10_240)
    put_inline(center, arn, largest + " " * (32_768 - len(largest)))
    assert get_inline(center, arn).strip() == largest


MANAGED = {"ManagedPolicyArn": "arn:aws:iam::aws:policy/PowerUserAccess"}
CUSTOMER = {"CustomerManagedPolicyReference": {"Name": "Boundary", "Path": "/security/"}}


def put_boundary(center: Center, permission_set: str, boundary: dict[str, Any]) -> Any:
    operation = "put_permissions_boundary_to_permission_set"
    return center.admin(operation, PermissionSetArn=permission_set, PermissionsBoundary=boundary)


def get_boundary(center: Center, permission_set: str) -> Any:
    operation = "get_permissions_boundary_for_permission_set"
    return center.admin(operation, PermissionSetArn=permission_set)["PermissionsBoundary"]


def test_boundary_put_replace_delete(center: Center) -> None:
    arn = center.permission_set()
    put_boundary(center, arn, MANAGED)
    assert get_boundary(center, arn) == MANAGED
    put_boundary(center, arn, CUSTOMER)
    assert get_boundary(center, arn) == CUSTOMER
    operation = "delete_permissions_boundary_from_permission_set"
    center.admin(operation, PermissionSetArn=arn)
    refusal("ResourceNotFoundException", get_boundary, center, arn)
    refusal("ResourceNotFoundException", center.admin, operation, PermissionSetArn=arn)


@pytest.mark.parametrize(
    ("boundary", "code"),
    [
        pytest.param({}, "ValidationException", id="neither"),
        pytest.param({**MANAGED, **CUSTOMER}, "ValidationException", id="both"),
        pytest.param(
            {"ManagedPolicyArn": "arn:aws:iam::aws:policy/NoSuch"},
            "ResourceNotFoundException",
            id="unknown-policy",
        ),
        pytest.param(
            {"CustomerManagedPolicyReference": {"Path": "/x/"}}, "ValidationException", id="nameless"
        ),
    ],
)
def test_refused_boundaries(center: Center, boundary: dict[str, Any], code: str) -> None:
    arn = center.permission_set()
    refusal(code, put_boundary, center, arn, boundary)
    refusal("ResourceNotFoundException", get_boundary, center, arn)
