# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.aws.identity_center import resolve_instance
from c7n_iamusers.aws.identity_store import IdentityStore
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.local_org import LocalOrg
from c7n_iamusers.local_org.identity_center import state
from c7n_iamusers.model.identity_center import KnownPerson
from tests.identity_center import ALICE


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
    assert (found.group_id, found.description, set(found.members)) == (group_id, "Ours", users)
    assert store.find_group("writers") is None


def test_a_missing_store_is_not_a_missing_person(store: IdentityStore) -> None:
    elsewhere = replace(store, instance=replace(store.instance, identity_store_id="d-0000000000"))
    with pytest.raises(store.client.exceptions.ResourceNotFoundException):
        elsewhere.find_person(ALICE)
