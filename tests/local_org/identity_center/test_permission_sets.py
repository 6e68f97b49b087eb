# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
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
