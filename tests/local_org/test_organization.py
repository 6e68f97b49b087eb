# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_local_org import LocalOrg, Settings, organization

MANAGEMENT, FIRST, SECOND = "123456789012", "111122223333", "444455556666"
SETTINGS = Settings(member_accounts=((FIRST, "payments"), (SECOND, "Data Research")))
REFUSED = "AccessDeniedException"


@pytest.fixture(scope="module")
def org(no_local_org: None) -> Iterator[LocalOrg]:
    with LocalOrg(SETTINGS) as running:
        yield running


@pytest.fixture
def management(org: LocalOrg) -> Any:
    organization.populate(SETTINGS)
    return org.client("organizations")


def code_of(call: Any, **parameters: Any) -> str | None:
    try:
        call(**parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


def test_the_accounts_are_those_of_the_settings(management: Any) -> None:
    found = management.list_accounts()["Accounts"]
    assert [(each["Id"], each["Name"], each["Email"], each["Status"]) for each in found] == [
        (MANAGEMENT, "management", "aws+management@example.com", "ACTIVE"),
        (FIRST, "payments", "aws+payments@example.com", "ACTIVE"),
        (SECOND, "Data Research", "aws+data-research@example.com", "ACTIVE"),
    ]
    assert [each["JoinedMethod"] for each in found] == ["INVITED", "CREATED", "CREATED"]
    # Pages go by this time, which the clock alone need not tell apart.
    assert len({each["JoinedTimestamp"].replace(second=0, microsecond=0) for each in found}) == 3
    assert management.describe_account(AccountId=FIRST)["Account"] == found[1]


def test_accounts_are_listed_by_pages(management: Any) -> None:
    pages = management.get_paginator("list_accounts").paginate(PaginationConfig={"PageSize": 1})
    assert [[each["Id"] for each in page["Accounts"]] for page in pages] == [[MANAGEMENT], [FIRST], [SECOND]]


def test_a_page_holds_twenty_accounts(management: Any) -> None:
    for number in range(20):
        management.create_account(AccountName=f"more{number}", Email=f"more{number}@example.com")
    assert len(management.list_accounts()["Accounts"]) == 20


def test_the_organization(management: Any) -> None:
    found = management.describe_organization()["Organization"]
    assert (found["MasterAccountId"], found["FeatureSet"]) == (MANAGEMENT, "ALL")
    assert found["MasterAccountEmail"] == "aws+management@example.com"


def test_members_are_in_one_unit_and_the_management_account_in_the_root(management: Any) -> None:
    (root,) = management.list_roots()["Roots"]
    (unit,) = management.list_organizational_units_for_parent(ParentId=root["Id"])["OrganizationalUnits"]
    assert unit["Name"] == "Workloads"
    within = management.list_accounts_for_parent(ParentId=unit["Id"])["Accounts"]
    assert [each["Id"] for each in within] == [FIRST, SECOND]
    parents = {each: management.list_parents(ChildId=each)["Parents"][0] for each in (MANAGEMENT, SECOND)}
    assert parents[MANAGEMENT] == {"Id": root["Id"], "Type": "ROOT"}
    assert parents[SECOND] == {"Id": unit["Id"], "Type": "ORGANIZATIONAL_UNIT"}


@pytest.mark.parametrize(
    ("operation", "parameters", "expected"),
    [
        pytest.param("describe_organization", {}, None, id="describe-organization"),
        pytest.param("list_accounts", {}, REFUSED, id="list-accounts"),
        pytest.param("list_roots", {}, REFUSED, id="list-roots"),
        pytest.param("describe_account", {"AccountId": FIRST}, REFUSED, id="describe-itself"),
        pytest.param("list_delegated_administrators", {}, REFUSED, id="list-delegated-administrators"),
        pytest.param(
            "create_account", {"AccountName": "x", "Email": "x@example.com"}, REFUSED, id="create-account"
        ),
        pytest.param("create_organization", {}, REFUSED, id="create-organization"),
    ],
)
def test_what_a_member_may_ask(
    org: LocalOrg, management: Any, operation: str, parameters: dict[str, str], expected: str | None
) -> None:
    member = org.client("organizations", FIRST)
    assert code_of(getattr(member, operation), **parameters) == expected
    assert code_of(getattr(management, operation), **parameters) != REFUSED


def test_a_delegated_administrator_reads_and_does_not_write(org: LocalOrg, management: Any) -> None:
    service = "sso.amazonaws.com"
    management.register_delegated_administrator(AccountId=FIRST, ServicePrincipal=service)
    (admin,) = management.list_delegated_administrators(ServicePrincipal=service)["DelegatedAdministrators"]
    assert admin["Id"] == FIRST
    assert organization.delegated_administrators(service) == {FIRST}
    assert organization.delegated_administrators("guardduty.amazonaws.com") == frozenset()
    delegate = org.client("organizations", FIRST)
    assert delegate.list_accounts() | {"ResponseMetadata": 0} == management.list_accounts() | {
        "ResponseMetadata": 0
    }
    assert code_of(delegate.close_account, AccountId=SECOND) == REFUSED
    assert code_of(org.client("organizations", SECOND).list_accounts) == REFUSED


def test_an_account_of_another_organization_is_not_found(management: Any) -> None:
    assert code_of(management.describe_account, AccountId="999999999999") == "AccountNotFoundException"
    assert not organization.has_active_account("999999999999")


def test_a_closed_account_is_not_active(management: Any) -> None:
    assert organization.has_active_account(SECOND)
    management.close_account(AccountId=SECOND)
    assert not organization.has_active_account(SECOND)
    organization.populate(SETTINGS)
    assert organization.has_active_account(SECOND)


def test_the_members_have_the_organizations_role_and_the_management_account_has_not(
    org: LocalOrg, management: Any
) -> None:
    role = {"RoleName": "OrganizationAccountAccessRole"}
    assert code_of(org.client("iam", FIRST).get_role, **role) is None
    assert code_of(org.client("iam").get_role, **role) == "NoSuchEntity"


def test_closed_accounts_and_those_without_an_address_are_listed(org: LocalOrg) -> None:
    organization.populate(
        dataclasses.replace(SETTINGS, suspended_accounts=(FIRST,), accounts_without_address=(SECOND,))
    )
    found = org.client("organizations").list_accounts()["Accounts"]
    assert [(each["Status"], each["State"], each["Email"]) for each in found[1:]] == [
        ("SUSPENDED", "SUSPENDED", "aws+payments@example.com"),
        ("ACTIVE", "ACTIVE", ""),
    ]
    assert not organization.has_active_account(FIRST)


def test_a_stack_set_reaches_the_units_below_and_skips_the_management_account(
    management: Any, org: LocalOrg
) -> None:
    (root,) = management.list_roots()["Roots"]
    (unit,) = management.list_organizational_units_for_parent(ParentId=root["Id"])["OrganizationalUnits"]
    below = management.create_organizational_unit(ParentId=unit["Id"], Name="Below")["OrganizationalUnit"]
    management.move_account(AccountId=SECOND, SourceParentId=unit["Id"], DestinationParentId=below["Id"])
    client = org.client("cloudformation")
    client.activate_organizations_access()
    template = {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": ROLE}}}
    client.create_stack_set(
        StackSetName="all", TemplateBody=json.dumps(template), PermissionModel="SERVICE_MANAGED"
    )
    targets = {"OrganizationalUnitIds": [root["Id"]]}
    client.create_stack_instances(StackSetName="all", DeploymentTargets=targets, Regions=["us-east-1"])
    made = client.list_stack_instances(StackSetName="all")["Summaries"]
    assert [each["Account"] for each in made] == [FIRST, SECOND]


ROLE = {
    "RoleName": "Made",
    "AssumeRolePolicyDocument": {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    },
}
