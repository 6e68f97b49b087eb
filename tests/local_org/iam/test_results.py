# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aws_local_org import LocalOrg
from aws_local_org.iam import results, seeding
from aws_local_org.seeding.key_material import CERTIFICATES, SSH_PUBLIC_KEYS
from tests.local_org.iam.attachments import DOCUMENT
from tests.local_org.refusals import refusal


@pytest.mark.parametrize("value", ["a & b", "<tag>", '"quoted"', "größe", "", "]]>"])
def test_text_survives_the_wire(iam: Any, account: Any, value: str) -> None:
    seeding.add_user(account, "ada", tags={"note": value})
    assert iam.get_user(UserName="ada")["User"]["Tags"] == [{"Key": "note", "Value": value}]


def test_every_response_has_a_request_id_of_its_own(iam: Any) -> None:
    """Both those that we write and those that are moto's."""
    metadata = [
        call()["ResponseMetadata"]["RequestId"] for call in (iam.list_users, iam.list_roles, iam.list_users)
    ]
    assert len(set(metadata)) == 3
    assert all(metadata)


ADA = {"UserName": "ada"}
POLICY = "arn:aws:iam::111122223333:policy/p0"
SERIAL = "arn:aws:iam::111122223333:mfa/m"
TRUST = '{"Statement": [{"Effect": "Allow", "Principal": {"Service": "x.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'


def fill(iam: Any, account: Any) -> None:
    """Five of everything that a user, a group, a role or the account may hold so many of; else as many as it may."""
    ada = seeding.add_user(account, "ada", tags={f"k{number}": "v" for number in range(5)})
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    for number in range(5):
        _fill_account(iam, account, number)
        _fill_ada(iam, account, ada, number)
    for body in CERTIFICATES[:2]:
        seeding.add_signing_certificate(ada, body)
        seeding.add_access_key(account, ada)


def _fill_account(iam: Any, account: Any, number: int) -> None:
    seeding.add_user(account, f"user{number}")
    iam.create_group(GroupName=f"g{number}")
    iam.create_policy(PolicyName=f"p{number}", PolicyDocument=DOCUMENT)
    iam.create_instance_profile(InstanceProfileName=f"i{number}")
    certificate = {"CertificateBody": CERTIFICATES[0], "PrivateKey": "none"}
    iam.upload_server_certificate(ServerCertificateName=f"c{number}", **certificate)
    iam.add_role_to_instance_profile(InstanceProfileName=f"i{number}", RoleName="app")
    for kind, name in (("group", "g0"), ("role", "app")):
        owner = {f"{kind.capitalize()}Name": name}
        getattr(iam, f"put_{kind}_policy")(**owner, PolicyName=f"n{number}", PolicyDocument=DOCUMENT)
        policy = f"arn:aws:iam::111122223333:policy/p{number}"
        getattr(iam, f"attach_{kind}_policy")(**owner, PolicyArn=policy)
    iam.add_user_to_group(GroupName="g0", UserName=f"user{number}")
    iam.attach_user_policy(UserName=f"user{number}", PolicyArn=POLICY)
    if number:
        iam.create_policy_version(PolicyArn=POLICY, PolicyDocument=DOCUMENT)
    iam.tag_role(RoleName="app", Tags=[{"Key": f"k{number}", "Value": "v"}])
    iam.tag_policy(PolicyArn=POLICY, Tags=[{"Key": f"k{number}", "Value": "v"}])


def _fill_ada(iam: Any, account: Any, ada: Any, number: int) -> None:
    iam.add_user_to_group(GroupName=f"g{number}", UserName="ada")
    iam.put_user_policy(UserName="ada", PolicyName=f"n{number}", PolicyDocument=DOCUMENT)
    iam.attach_user_policy(UserName="ada", PolicyArn=f"arn:aws:iam::111122223333:policy/p{number}")
    seeding.add_mfa_device(account, ada, f"{SERIAL}{number}", ada.create_date)
    seeding.add_ssh_public_key(ada, SSH_PUBLIC_KEYS[number % len(SSH_PUBLIC_KEYS)])
    seeding.add_service_credential(ada, "bedrock.amazonaws.com", ada.create_date)


#: operation, its parameters, how many entries there are.
LISTS = [
    ("GetGroup", {"GroupName": "g0"}, 6),
    ("ListAccessKeys", ADA, 2),
    ("ListAttachedGroupPolicies", {"GroupName": "g0"}, 5),
    ("ListAttachedRolePolicies", {"RoleName": "app"}, 5),
    ("ListAttachedUserPolicies", ADA, 5),
    ("ListEntitiesForPolicy", {"PolicyArn": POLICY}, 8),
    ("ListGroupPolicies", {"GroupName": "g0"}, 5),
    ("ListGroups", {}, 5),
    ("ListGroupsForUser", ADA, 5),
    ("ListInstanceProfiles", {}, 5),
    ("ListInstanceProfilesForRole", {"RoleName": "app"}, 5),
    ("ListMFADevices", ADA, 5),
    ("ListPolicies", {"Scope": "Local"}, 5),
    ("ListPolicyTags", {"PolicyArn": POLICY}, 5),
    ("ListPolicyVersions", {"PolicyArn": POLICY}, 5),
    ("ListRolePolicies", {"RoleName": "app"}, 5),
    ("ListRoles", {}, 3),
    ("ListRoleTags", {"RoleName": "app"}, 5),
    ("ListServerCertificates", {}, 5),
    ("ListServiceSpecificCredentials", {"AllUsers": True}, 5),
    ("ListSigningCertificates", ADA, 2),
    ("ListSSHPublicKeys", ADA, 5),
    ("ListUserPolicies", ADA, 5),
    ("ListUsers", {}, 6),
    ("ListUserTags", ADA, 5),
    ("ListVirtualMFADevices", {}, 5),
]


@pytest.fixture(scope="module")
def filled(local_org: LocalOrg, clients: dict[str, Any]) -> Any:
    """A client of the filled account, which these tests only read."""
    local_org.reset()
    fill(clients["iam"], local_org.backend("iam", "111122223333"))
    return clients["iam"]


@pytest.fixture(autouse=True)
def _page_limit_of_no_other_test(local_org: LocalOrg) -> Any:
    yield
    local_org.configure(page_limit=None)


def call_of(iam: Any, operation: str) -> Callable[..., Any]:
    names = {iam.meta.method_to_api_mapping[name]: name for name in iam.meta.method_to_api_mapping}
    return getattr(iam, names[operation])  # type: ignore[no-any-return]


def pages_of(call: Callable[..., Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    pages = [call(**options)]
    while pages[-1]["IsTruncated"]:
        pages.append(call(**options, Marker=pages[-1]["Marker"]))
    return pages


def entries_of(operation: str, page: dict[str, Any]) -> list[Any]:
    return [entry for member in results.paged_members(operation) for entry in page.get(member, [])]


@pytest.mark.parametrize(("operation", "options", "count"), LISTS, ids=[row[0] for row in LISTS])
@pytest.mark.parametrize("by", ["MaxItems", "page_limit"])
def test_every_list_pages(
    local_org: LocalOrg, filled: Any, operation: str, options: dict[str, Any], count: int, by: str
) -> None:
    call = call_of(filled, operation)
    whole = call(**options)
    assert len(entries_of(operation, whole)) == count
    assert (whole["IsTruncated"], "Marker" in whole) == (False, False)
    if by == "page_limit":
        local_org.configure(page_limit=2)
        pages = pages_of(call, {**options, "MaxItems": 1000})
    else:
        pages = pages_of(call, {**options, "MaxItems": 2})
    assert [len(entries_of(operation, page)) for page in pages] == [
        min(2, count - at) for at in range(0, count, 2)
    ]
    together = [entry for page in pages for entry in entries_of(operation, page)]
    assert together == entries_of(operation, whole)


def test_no_list_with_a_paginator_goes_untested(filled: Any) -> None:
    """But for those of SAML and OpenID providers, aliases and simulation, which users lack."""
    paginators = results._paginators()
    untested = set(paginators) - {row[0] for row in LISTS} - {"GetAccountAuthorizationDetails"}
    assert untested == {
        "ListAccountAliases",
        "ListInstanceProfileTags",
        "ListMFADeviceTags",
        "ListOpenIDConnectProviderTags",
        "ListSAMLProviderTags",
        "ListServerCertificateTags",
        "SimulateCustomPolicy",
        "SimulatePrincipalPolicy",
    }


def test_a_hundred_entries_unless_asked_for_more(iam: Any, account: Any) -> None:
    for number in range(1001):
        seeding.add_user(account, f"user{number}")
    sizes = [
        len(iam.list_users(**options)["Users"]) for options in ({}, {"MaxItems": 150}, {"MaxItems": 1000})
    ]
    assert sizes == [100, 150, 1000]


@pytest.mark.parametrize("size", [0, 1001])
def test_page_sizes_refused(filled: Any, size: int) -> None:
    assert refusal(filled.list_users, MaxItems=size) == ("ValidationError", 400)


def test_markers_refused(filled: Any) -> None:
    marker = filled.list_users(MaxItems=1)["Marker"]
    assert refusal(filled.list_users, Marker=marker) is None
    assert refusal(filled.list_users, Marker="made up") == ("ValidationError", 400)
    assert refusal(filled.list_users, Marker="") == ("ValidationError", 400)
    assert refusal(filled.list_groups, Marker=marker) == ("ValidationError", 400)


def test_deleting_between_pages_skips_nobody(iam: Any) -> None:
    names = [f"user{number}" for number in range(7)]
    for name in names:
        iam.create_user(UserName=name)
    seen: list[str] = []
    options: dict[str, Any] = {"MaxItems": 2}
    while True:
        page = iam.list_users(**options)
        for user in page["Users"]:
            seen.append(user["UserName"])
            iam.delete_user(UserName=user["UserName"])
        if not page["IsTruncated"]:
            break
        options["Marker"] = page["Marker"]
    assert seen == names
    assert iam.list_users()["Users"] == []


def test_entities_come_by_name_and_credentials_by_age(iam: Any, account: Any) -> None:
    for name in ("bob", "Ada", "carol"):
        seeding.add_user(account, name)
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["Ada", "bob", "carol"]
    bob = account.get_user("bob")
    for key_id, year in (("AKIAAAAAAAAAAAAAAAAA", 2025), ("AKIAZZZZZZZZZZZZZZZZ", 2024)):
        key = seeding.add_access_key(account, bob, key_id=key_id)
        seeding.set_create_date(key, key.create_date.replace(year=year))
    keys = [key["AccessKeyId"] for key in iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]]
    assert keys == ["AKIAZZZZZZZZZZZZZZZZ", "AKIAAAAAAAAAAAAAAAAA"]


def test_what_nothing_identifies_is_a_mistake() -> None:
    request = results.PageRequest("ListUsers", None, 10)
    with pytest.raises(TypeError, match="nothing identifies"):
        results.page_of(request, {"Users": [{"Colour": "red"}]})
