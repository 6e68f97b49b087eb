# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from aws_local_org import LocalOrg
from tests.interference import deny
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


def resources(cache: str = "", **data: Any) -> dict[str, dict[str, Any]]:
    """A policy's resources by name; ``cache``: the file of c7n's cache, none by default."""
    options: dict[str, Any] = {"cache": cache, "cache_period": 15} if cache else {}
    return {each["UserName"]: each for each in policy(data, **options).resource_manager.resources()}


def test_resources_have_what_the_stock_source_gives_and_more(users: Any) -> None:
    stock, ours = resources(source="describe"), resources()
    assert ours.keys() == stock.keys()
    for name, resource in ours.items():
        assert {key: resource[key] for key in stock[name] if key != "Tags"} == {
            key: value for key, value in stock[name].items() if key != "Tags"
        }
        assert resource.get("Tags", []) == stock[name].get("Tags", [])
        extra = resource.keys() - stock[name].keys() - {"Tags"}
        assert extra == {
            "GroupList",
            "AttachedManagedPolicies",
            "UserPolicyList",
            "c7n:Groups",
            "c7n:IamUser",
        }
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
    whole = resources()
    expected = [whole["a+b=c,d.e@f-g"], whole["user-1"]]
    found = source.get_resources(["a+b=c,d.e@f-g", "gone", "user-1"])
    assert _differences(found, expected) <= {"Tags", "c7n:Groups", "c7n:IamUser"}


def test_events_name_users_by_their_unique_ids_too(users: Any) -> None:
    """A name that looks like an unique id is a name all the same, and a user that was renamed is found."""
    source = policy({}).resource_manager.source
    client = users
    ids = {each["UserName"]: each["UserId"] for each in client.list_users()["Users"]}
    client.update_user(UserName="user-1", NewUserName="AIDA1")

    def names(*given: str) -> list[str]:
        return [each["UserName"] for each in source.get_resources(list(given))]

    assert names("user-1", ids["user-1"]) == names(ids["user-1"]) == names("AIDA1") == ["AIDA1"]
    assert names("user-2", ids["user-1"]) == ["user-2", "AIDA1"]
    assert names("AIDANOBODY") == names("user-1") == []


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


def test_each_resource_has_its_source_and_time(users: Any) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    user = resources()["user-1"]["c7n:IamUser"]["sources"]["user"]
    assert user["source"] == "GetAccountAuthorizationDetails, ListUsers"
    assert before <= datetime.fromisoformat(user["time"]) <= datetime.now(timezone.utc)
    (event,) = policy({}).resource_manager.source.get_resources(["user-1"])
    assert event["c7n:IamUser"]["sources"]["user"]["source"] == "GetUser"


STOCK_FILTERS = [
    pytest.param({"type": "group", "key": "GroupName", "value": "Developers"}, id="group"),
    pytest.param({"type": "group", "key": "Arn", "value": ".*group/Dev.*", "op": "regex"}, id="group-arn"),
    pytest.param({"not": [{"type": "group", "key": "GroupName", "value": "Developers"}]}, id="not-in-group"),
    pytest.param({"type": "mfa-device", "value": "empty"}, id="no-mfa"),
    pytest.param({"type": "mfa-device", "value": "not-null"}, id="mfa"),
    pytest.param({"type": "mfa-device", "value": []}, id="no-mfa-as-list"),
    pytest.param({"type": "mfa-device", "value": [], "op": "ne"}, id="mfa-as-list"),
    pytest.param(
        {"type": "credential", "report_delay": 0.4, "key": "mfa_active", "value": True}, id="report"
    ),
    pytest.param(
        {"type": "credential", "report_delay": 0.4, "key": "password_enabled", "value": False},
        id="report-false",
    ),
    pytest.param(
        {"type": "credential", "report_delay": 0.4, "key": "access_keys.active", "value": True},
        id="report-keys",
    ),
]
PER_USER = {"GetUser", "ListGroupsForUser", "ListMFADevices"}


@pytest.fixture
def people(org: LocalOrg) -> Any:
    """Users in all states that these filters tell apart; nobody has a device that is not virtual."""
    iam = org.client("iam", ACCOUNT)
    for name in ("plain", "grouped", "protected", "keyed", "twin"):
        iam.create_user(UserName=name)
    iam.create_group(GroupName="Developers")
    iam.add_user_to_group(UserName="grouped", GroupName="Developers")
    iam.create_access_key(UserName="keyed")
    iam.create_login_profile(UserName="protected", Password="correct-Horse-7-battery")
    for name, devices in [("protected", 1), ("twin", 2)]:
        for number in range(devices):
            virtual = iam.create_virtual_mfa_device(VirtualMFADeviceName=f"{name}-{number}")
            serial = virtual["VirtualMFADevice"]["SerialNumber"]
            codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
            iam.enable_mfa_device(UserName=name, SerialNumber=serial, **codes)
    return iam


@pytest.mark.parametrize("chosen", STOCK_FILTERS)
def test_stock_filters_find_the_same_without_a_call_for_each_user(
    people: Any, org: LocalOrg, tmp_path: Path, chosen: dict[str, Any]
) -> None:
    expected = {
        "GenerateCredentialReport",
        "GetAccountAuthorizationDetails",
        "GetCredentialReport",
        "ListUsers",
    }
    stock = resources(source="describe", filters=[chosen])
    org.clear_calls()
    ours = resources(filters=[chosen], cache=str(tmp_path / "cache.db"))
    assert ours.keys() == stock.keys()
    assert 0 < len(ours) < 5
    made = [call.operation for call in org.calls if call.service == "iam"]
    assert not PER_USER & set(made)
    assert set(made) <= expected | {"ListVirtualMFADevices"}
    assert made.count("GetCredentialReport") <= 2


def test_devices_in_no_list_are_read_for_each_user(people: Any, org: LocalOrg) -> None:
    codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
    people.enable_mfa_device(UserName="plain", SerialNumber="GAHT12345678", **codes)
    org.clear_calls()
    found = resources(filters=[{"type": "mfa-device", "value": "not-null"}])
    assert found.keys() == {"plain", "protected", "twin"}
    asked = [call.parameters["UserName"] for call in org.calls if call.operation == "ListMFADevices"]
    assert asked == ["plain"]


@pytest.mark.parametrize("filter_first", [True, False])
def test_the_number_of_devices_is_asked_for_whatever_the_cache_has(
    people: Any, org: LocalOrg, tmp_path: Path, filter_first: bool
) -> None:
    """A policy that asks for any device must not leave its half-known lists to one that counts them."""
    count = {"type": "mfa-device", "value_type": "size", "value": 2}
    some = {"type": "mfa-device", "value": "not-null"}
    cache = str(tmp_path / "cache.db")
    for chosen, names in [(some, {"protected", "twin"}), (count, {"twin"})][:: 1 if filter_first else -1]:
        assert resources(filters=[chosen], cache=cache).keys() == names
    assert [call.operation for call in org.calls].count("ListMFADevices") == 5


def test_the_cache_serves_later_policies(people: Any, org: LocalOrg, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache.db")
    first = resources(filters=["unnecessary"], cache=cache)
    org.clear_calls()
    again = resources(filters=["unnecessary"], cache=cache)
    assert again.keys() == first.keys() == {"plain", "grouped", "protected", "keyed", "twin"}
    kinds = {name: resource["c7n:IamUser"]["kind"] for name, resource in again.items()}
    assert kinds == {name: resource["c7n:IamUser"]["kind"] for name, resource in first.items()}
    assert {call.operation for call in org.calls if call.service == "iam"} <= {"ListSSHPublicKeys"}
    report = {"type": "credential", "report_delay": 0.4, "key": "access_keys.active", "value": True}
    assert resources(source="describe", filters=[report], cache=cache).keys() == {"keyed"}
    assert "GetCredentialReport" not in {call.operation for call in org.calls}


def test_what_could_not_be_read_is_not_cached(
    people: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = str(tmp_path / "cache.db")
    with monkeypatch.context() as denied:
        deny(denied, "GetCredentialReport")
        first = resources(filters=["unnecessary"], cache=cache)
    assert first["keyed"]["c7n:IamUser"]["kind"] == "unknown"
    assert resources(filters=["unnecessary"], cache=cache)["keyed"]["c7n:IamUser"]["kind"] == "machine"


def test_one_policy_reads_the_account_once(people: Any, org: LocalOrg) -> None:
    org.clear_calls()
    filters = [
        {"type": "mfa-device", "value": "empty"},
        "unnecessary",
        {"or": ["unnecessary", "unnecessary"]},
    ]
    assert resources(filters=filters).keys() == {"plain", "grouped", "keyed"}
    made = [call.operation for call in org.calls]
    assert made.count("ListVirtualMFADevices") == 1
    assert made.count("GenerateCredentialReport") == 1
    assert made.count("GetAccountAuthorizationDetails") == 1


@pytest.mark.parametrize(
    ("filters", "needed"),
    [
        pytest.param([], set(), id="none"),
        pytest.param([{"type": "mfa-device", "value": "empty"}], {"iam:ListVirtualMFADevices"}, id="mfa"),
        pytest.param(
            [{"or": [{"type": "credential", "report_delay": 0.4, "key": "user", "value": "x"}]}],
            {"iam:GetCredentialReport"},
            id="report",
        ),
    ],
)
def test_permissions_are_those_of_the_policy(org: LocalOrg, filters: list[Any], needed: set[str]) -> None:
    permissions = set(policy({"filters": filters}).resource_manager.source.get_permissions())
    assert permissions & {"iam:ListVirtualMFADevices", "iam:GetCredentialReport"} >= needed
    assert bool(needed) is bool(permissions & {"iam:ListVirtualMFADevices", "iam:GetCredentialReport"})
