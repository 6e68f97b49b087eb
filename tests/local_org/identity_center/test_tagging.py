# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.local_org.identity_center.center import Center, refusal

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
