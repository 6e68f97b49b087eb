# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.iam.accounts import (
    detail_attachments,
    read_account,
    read_policy_source,
    read_users,
    region_fault,
    users_by_name,
    users_by_name_or_id,
)
from tests.fakes import ScriptedClient, Sleeps, client_error
from tests.policies import ACCOUNT

ALICE = {"UserId": "AIDA1", "UserName": "alice"}
BOB = {"UserId": "AIDA2", "UserName": "bob"}


def page(members: dict[str, Any], marker: str = "") -> dict[str, Any]:
    return {**members, "IsTruncated": bool(marker), **({"Marker": marker} if marker else {})}


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("eu-wst-1", "correct it (eu-west-1?), or update botocore if it is new"),
        ("EU-WEST-1", "(eu-west-1?)"),
        ("cn-nort-1", "(cn-north-1?)"),
        (" ", "correct it, or update botocore if it is new"),
        ("aws-global", "is no Region"),
    ],
)
def test_a_name_of_no_region_is_told_with_the_nearest_one(given: str, right: str) -> None:
    assert region_fault(given).startswith(f"{given!r} is no Region that the installed botocore knows: ")
    assert right in region_fault(given)


@pytest.mark.parametrize("given", ["eu-west-1", "cn-north-1", "us-gov-west-1"])
def test_a_region_of_any_partition_has_no_fault(given: str) -> None:
    assert region_fault(given) == ""


def test_details_and_listing_complete_each_other() -> None:
    client = ScriptedClient(
        get_account_authorization_details=[
            page({"UserDetailList": [{**ALICE, "GroupList": ["Team"]}]}, "m"),
            page({"UserDetailList": [BOB], "GroupDetailList": [{"GroupName": "Team"}]}),
        ],
        list_users=[page({"Users": [{**ALICE, "PasswordLastUsed": "then"}, BOB]})],
    )
    found = read_users(client, Sleeps().backoff(), "Group")
    empty: dict[str, list[Any]] = {"AttachedManagedPolicies": [], "UserPolicyList": []}
    assert found.users == [
        {**ALICE, "GroupList": ["Team"], "PasswordLastUsed": "then", **empty},
        {**BOB, "GroupList": [], **empty},
    ]
    assert found.account.groups == {"Team": {"GroupName": "Team"}}
    assert [name for name, _ in client.calls].count("get_account_authorization_details") == 2
    assert all(parameters["MaxItems"] == 1000 for _, parameters in client.calls)


def test_a_user_in_one_list_only_is_read_by_name() -> None:
    client = ScriptedClient(
        get_account_authorization_details=[page({"UserDetailList": [ALICE]})],
        list_users=[page({"Users": [BOB]})],
        get_user=[client_error("NoSuchEntity"), {"User": BOB}],
        list_groups_for_user=[page({"Groups": [{"GroupName": "Team"}]})],
        list_attached_user_policies=[page({"AttachedPolicies": []})],
        list_user_policies=[page({"PolicyNames": []})],
    )
    found = read_users(client, Sleeps().backoff()).users
    assert [(each["UserName"], each["GroupList"]) for each in found] == [("bob", ["Team"])]


def test_nobody_by_name_makes_no_call() -> None:
    client = ScriptedClient()
    assert users_by_name(client, [], Sleeps().backoff()) == []
    assert client.calls == []


def test_who_is_renamed_as_often_as_it_is_read_is_an_error(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = org.client("iam", ACCOUNT)
    names = [f"bob-{number}" for number in range(9)]
    unique_id = client.create_user(UserName=names[0])["User"]["UserId"]
    ask = client.list_users

    def renaming(**parameters: Any) -> Any:
        found = ask(**parameters)
        client.update_user(UserName=names.pop(0), NewUserName=names[0])
        return found

    monkeypatch.setattr(client, "list_users", renaming)
    with pytest.raises(EvidenceUnreadable, match=rf"user {unique_id}, last listed as bob-\d, can't be read"):
        users_by_name_or_id(client, [unique_id], Sleeps().backoff())


def test_what_a_detail_does_not_say_was_not_read() -> None:
    assert detail_attachments(ALICE) == {}
    assert detail_attachments({"GroupList": [], "UserPolicyList": [{"PolicyName": "s3"}]}) == {
        "group": (),
        "inline-policy": ({"PolicyName": "s3"},),
    }


DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


@pytest.mark.parametrize("page_limit", [None, 1])
def test_roles_and_groups_come_whole(org: LocalOrg, page_limit: int | None) -> None:
    org.configure(page_limit=page_limit)
    client: Any = org.client("iam", ACCOUNT)
    for name in ("Developers", "Admins"):
        client.create_group(GroupName=name, Path="/teams/")
    client.put_group_policy(GroupName="Admins", PolicyName="s3", PolicyDocument=json.dumps(DOCUMENT))
    found = read_account(client, Sleeps().backoff(), "Role", "Group")
    assert found.users == found.policies == ()
    assert {role["RoleName"] for role in found.roles} == {"CloudCustodian", "OrganizationAccountAccessRole"}
    admins = found.groups["Admins"]
    assert admins["Path"] == "/teams/"
    assert admins["GroupPolicyList"] == [{"PolicyName": "s3", "PolicyDocument": DOCUMENT}]


def test_groups_have_the_policies_that_a_user_has_of_them() -> None:
    own = {"PolicyName": "own", "PolicyDocument": {"Statement": []}}
    attached = [{"PolicyArn": "arn:aws:iam::aws:policy/X"}]
    held = [
        {"GroupName": "ops", "GroupId": "AGPA1", "GroupPolicyList": [own]},
        {"GroupName": "dev", "AttachedManagedPolicies": attached},
    ]
    client = ScriptedClient(get_account_authorization_details=[page({"GroupDetailList": held})])
    groups = read_policy_source(client, Sleeps().backoff(), aws_managed=False)[0].groups
    assert groups["ops"].keys() == {"GroupPolicyList", "AttachedManagedPolicies"}
    assert [each["PolicyName"] for each in groups["ops"]["GroupPolicyList"]] == ["own"]
    assert groups["dev"] == {"GroupPolicyList": [], "AttachedManagedPolicies": attached}
