# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from aws_local_org import LocalOrg
from aws_local_org.identity_center import state
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.aws.identity_store import IdentityStore
from c7n_iamusers.identity_center.aws.instance import resolve_instance
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.model import KnownPerson
from tests.access_center import ALICE


@pytest.fixture
def store(org: LocalOrg) -> IdentityStore:
    instance = resolve_instance(org.client("sso-admin"), Backoff())
    return IdentityStore(org.client("identitystore"), instance, Backoff())


def create_user(store: IdentityStore, username: str, *emails: str) -> str:
    created: dict[str, Any] = store.client.create_user(
        IdentityStoreId=store.instance.identity_store_id,
        UserName=username,
        Name={"GivenName": "G", "FamilyName": "F"},
        DisplayName=username,
        **({"Emails": [{"Value": email, "Primary": True} for email in emails]} if emails else {}),
    )
    return str(created["UserId"])


def test_nobody(store: IdentityStore) -> None:
    assert store.find_person(ALICE) == (None, None)


def test_by_username(store: IdentityStore) -> None:
    user_id = create_user(store, ALICE.username, "Alice@Example.com")
    expected = KnownPerson(user_id, ALICE.username, "Alice@Example.com")
    assert store.find_person(ALICE) == (expected, None)


def test_by_username_without_an_email(store: IdentityStore) -> None:
    user_id = create_user(store, ALICE.username)
    assert store.find_person(ALICE) == (KnownPerson(user_id, ALICE.username, ""), None)


@pytest.mark.parametrize(
    ("held", "asked"),
    [
        pytest.param("alice@example.com", "alice@example.com", id="as-it-stands"),
        pytest.param("alice@example.com", "Alice@Example.com", id="in-another-case"),
    ],
)
def test_by_email(store: IdentityStore, held: str, asked: str) -> None:
    user_id = create_user(store, "somebody", held)
    person = replace(ALICE, email=asked)
    assert store.find_person(person) == (None, KnownPerson(user_id, "somebody", held))


def test_a_disabled_user(store: IdentityStore) -> None:
    user_id = create_user(store, ALICE.username, ALICE.email)
    state.instances[0].store.users[user_id].attributes["UserStatus"] = "DISABLED"
    found, _ = store.find_person(ALICE)
    assert found is not None
    assert not found.enabled


def test_a_group_with_more_members_than_a_page(store: IdentityStore) -> None:
    store_id = store.instance.identity_store_id
    group_id = store.client.create_group(IdentityStoreId=store_id, DisplayName="readers", Description="Ours")[
        "GroupId"
    ]
    users = {create_user(store, f"user-{number}", f"{number}@example.com") for number in range(120)}
    for user_id in users:
        store.client.create_group_membership(
            IdentityStoreId=store_id, GroupId=group_id, MemberId={"UserId": user_id}
        )
    found = store.find_group("readers")
    assert found is not None
    assert (found.group_id, found.description) == (group_id, "Ours")
    assert store.members(group_id) == users
    assert store.group(group_id) == replace(found, members=frozenset(users))
    assert store.find_group("writers") is None


def test_a_missing_store_is_not_a_missing_person(store: IdentityStore) -> None:
    elsewhere = replace(store, instance=replace(store.instance, identity_store_id="d-0000000000"))
    with pytest.raises(store.client.exceptions.ResourceNotFoundException):
        elsewhere.find_person(ALICE)


def test_everybody_and_every_group_over_pages(store: IdentityStore, org: LocalOrg) -> None:
    for number in range(5):
        create_user(store, f"User-{number}", f"U{number}@Example.com")
        store.client.create_group(
            IdentityStoreId=store.instance.identity_store_id, DisplayName=f"G{number}", Description="x"
        )
    create_user(store, "nobody")
    org.configure(page_limit=2)
    usernames, emails = store.all_people()
    assert usernames.keys() == {*(f"user-{number}" for number in range(5)), "nobody"}
    assert emails.keys() == {f"u{number}@example.com" for number in range(5)}
    assert usernames["user-3"] == emails["u3@example.com"]
    groups = store.all_groups()
    assert {name: group.name for name, group in groups.items()} == {f"g{n}": f"G{n}" for n in range(5)}


def test_a_membership(store: IdentityStore) -> None:
    store_id, user_id = store.instance.identity_store_id, create_user(store, "u", "u@example.com")
    group_id = store.client.create_group(IdentityStoreId=store_id, DisplayName="g")["GroupId"]
    assert (store.membership_id(group_id, user_id), store.groups_of(user_id)) == (None, frozenset())
    made = store.client.create_group_membership(
        IdentityStoreId=store_id, GroupId=group_id, MemberId={"UserId": user_id}
    )
    assert store.membership_id(group_id, user_id) == made["MembershipId"]
    assert store.groups_of(user_id) == {group_id}


def test_what_is_gone(store: IdentityStore) -> None:
    store_id, user_id = store.instance.identity_store_id, create_user(store, "u", "u@example.com")
    assert store.username_id("U") == user_id
    store.client.delete_user(IdentityStoreId=store_id, UserId=user_id)
    assert store.user_attributes(user_id) is None
    assert store.group(user_id) is None


def test_nobody_is_in_a_group_that_is_gone_and_who_is_gone_in_none(store: IdentityStore) -> None:
    """AWS keeps the assignments of a group that was deleted, and a directory may list who was."""
    gone, store_id = "12345678-1234-1234-1234-123456789012", store.instance.identity_store_id
    user_id = create_user(store, "u", "u@example.com")
    group_id = store.client.create_group(IdentityStoreId=store_id, DisplayName="g")["GroupId"]
    store.client.create_group_membership(
        IdentityStoreId=store_id, GroupId=group_id, MemberId={"UserId": user_id}
    )
    assert store.members_within(5, [gone, group_id]) == {user_id: {group_id}}
    assert store.memberships(gone) is None
    assert store.members(gone) == frozenset()
    assert store.groups_of(gone) == frozenset()
    elsewhere = replace(store, instance=replace(store.instance, identity_store_id="d-0000000000"))
    asked = (
        elsewhere.memberships,
        elsewhere.groups_of,
        lambda each: elsewhere.members_within(5, [each]),
    )
    for ask in asked:
        with pytest.raises(store.client.exceptions.ResourceNotFoundException):
            ask(gone)


@pytest.mark.parametrize("others", [0, 200], ids=["listed", "one-by-one"])
def test_usernames_of_many_take_no_list_of_a_large_store(
    store: IdentityStore, org: LocalOrg, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    """Users whose names differ in case alone are two, if AWS has such."""
    monkeypatch.setattr("c7n_iamusers.identity_center.aws.reader._FEW", 3)
    names = ["pat", "kim", "sam", "lee"]
    ids = [create_user(store, name) for name in names]
    (instance,) = state.instances
    instance.store.users[ids[-1]].attributes["UserName"] = names[-1] = "Pat"
    for number in range(others):
        create_user(store, f"other{number}")
    unused: Any = None
    org.clear_calls()
    found = CenterReader(unused, store, unused).usernames(ids)
    assert {user: found.get(user) for user in ids} == dict(zip(ids, names, strict=True))
    calls = Counter(call.operation for call in org.calls)
    assert calls == ({"ListUsers": 2, "DescribeUser": 4} if others else {"ListUsers": 1})
