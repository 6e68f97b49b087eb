# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from c7n_iamusers.local_org import LocalOrg
from tests.policies import ACCOUNT, policy

ALLOW = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'


@pytest.fixture
def users(org: LocalOrg) -> Any:
    """Seven users, one of them with everything that a source can tell."""
    iam = org.client("iam", ACCOUNT)
    for number in range(6):
        iam.create_user(UserName=f"user-{number}")
    boundary = "arn:aws:iam::aws:policy/PowerUserAccess"
    tags = [{"Key": "Email", "Value": "a@example.com"}]
    iam.create_user(UserName="a+b=c,d.e@f-g", Path="/eng/x/", PermissionsBoundary=boundary, Tags=tags)
    iam.create_group(GroupName="Developers")
    iam.add_user_to_group(UserName="a+b=c,d.e@f-g", GroupName="Developers")
    iam.put_user_policy(UserName="a+b=c,d.e@f-g", PolicyName="s3", PolicyDocument=ALLOW)
    iam.attach_user_policy(UserName="a+b=c,d.e@f-g", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    return iam


def resources(**data: Any) -> dict[str, dict[str, Any]]:
    return {resource["UserName"]: resource for resource in policy(data).resource_manager.resources()}


def test_resources_have_what_the_stock_source_gives_and_more(users: Any) -> None:
    stock, ours = resources(source="describe"), resources()
    assert ours.keys() == stock.keys()
    for name, resource in ours.items():
        assert {key: resource[key] for key in stock[name] if key != "Tags"} == {
            key: value for key, value in stock[name].items() if key != "Tags"
        }
        assert resource.get("Tags", []) == stock[name].get("Tags", [])
        extra = resource.keys() - stock[name].keys()
        assert extra - {"Tags"} == {"GroupList", "AttachedManagedPolicies", "UserPolicyList"}
    rich = ours["a+b=c,d.e@f-g"]
    assert rich["GroupList"] == ["Developers"]
    assert [policy["PolicyName"] for policy in rich["AttachedManagedPolicies"]] == ["ReadOnlyAccess"]
    assert rich["UserPolicyList"][0]["PolicyDocument"]["Statement"][0]["Action"] == "s3:*"


@pytest.mark.parametrize("page_limit", [1, 2, 3, None])
def test_every_page_is_read(users: Any, org: LocalOrg, page_limit: int | None) -> None:
    org.configure(page_limit=page_limit)
    assert len(resources()) == 7


def test_calls_grow_by_pages_and_not_by_users(users: Any, org: LocalOrg) -> None:
    found = policy({})
    org.clear_calls()
    found.resource_manager.resources()
    made = [call.operation for call in org.calls if call.service == "iam"]
    assert made == ["GetAccountAuthorizationDetails", "ListUsers"]


def test_events_name_users_and_get_the_same_resources(users: Any) -> None:
    source = policy({}).resource_manager.source
    names = ["a+b=c,d.e@f-g", "gone", "user-1"]
    whole = resources()
    assert source.get_resources(names) == [whole["a+b=c,d.e@f-g"], whole["user-1"]] or _differences(
        source.get_resources(names), [whole["a+b=c,d.e@f-g"], whole["user-1"]]
    ) == {"Tags"}


def _differences(some: list[dict[str, Any]], others: list[dict[str, Any]]) -> set[str]:
    pairs = list(zip(some, others, strict=True))
    return {
        key for one, other in pairs for key in one.keys() | other.keys() if one.get(key) != other.get(key)
    }


def test_an_account_that_cannot_be_read_fails_the_policy(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = policy({})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODYKNOWSTHIS1")
    found.session_factory.assume_role = None
    with pytest.raises(
        PolicyExecutionError, match=r"under-test: account 111122223333: .* can't be read.*No user was"
    ):
        found.resource_manager.resources()


def test_other_resource_types_are_refused(org: LocalOrg) -> None:
    with pytest.raises(PolicyValidationError, match="lists IAM users only, not iam-role"):
        policy({"resource": "aws.iam-role"})
