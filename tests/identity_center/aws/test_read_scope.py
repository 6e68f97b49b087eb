# SPDX-License-Identifier: Apache-2.0
"""Which groups and assignments are read, and which are this package's; and what an account's access says of a user."""

from __future__ import annotations

import pytest

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.identity_center.aws.access_check import AccountAccess
from c7n_iamusers.identity_center.aws.read_scope import concerns, is_for, shared_groups
from c7n_iamusers.identity_center.model import (
    MANAGED_GROUP,
    SHARED_GROUP,
    DesiredAccess,
    Group,
    KnownGroup,
    KnownPermissionSet,
    Principal,
)
from tests.access_center import ACCOUNT, OTHER_ACCOUNT

pytestmark = [pytest.mark.pure, pytest.mark.whole]

OF_ONE = f"{MANAGED_GROUP} for account {ACCOUNT}"


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        pytest.param(OF_ONE, True, id="of-the-account"),
        pytest.param(f"{MANAGED_GROUP} for account {OTHER_ACCOUNT}", False, id="of-another"),
        pytest.param(f"{MANAGED_GROUP} for 2 accounts", True, id="of-several"),
        pytest.param(SHARED_GROUP, True, id="shared"),
        pytest.param("", False, id="somebody-else's"),
        pytest.param(f"Not {OF_ONE}", False, id="somebody-else's-of-the-account"),
    ],
)
def test_whose_group_it_is(description: str, expected: bool) -> None:
    assert is_for(KnownGroup("g", "G", description), [ACCOUNT]) is expected


GROUPS = {
    "ours": KnownGroup("ours", "Ours", OF_ONE),
    "theirs": KnownGroup("theirs", "Theirs", members=frozenset({"bob"})),
    "alice's": KnownGroup("alice's", "Alice's", members=frozenset({"alice", "bob"})),
    # an id of a user that is one of a group, too
    "carol": KnownGroup("carol", "Carol's", OF_ONE),
}


@pytest.mark.parametrize(
    ("principals", "expected"),
    [
        pytest.param([], False, id="nobody"),
        pytest.param([("USER", "alice")], True, id="a-person"),
        pytest.param([("USER", "bob")], False, id="another-person"),
        pytest.param([("GROUP", "ours")], True, id="a-managed-group"),
        pytest.param([("GROUP", "theirs")], False, id="a-group-of-others"),
        pytest.param([("GROUP", "alice's")], True, id="a-group-of-a-person"),
        pytest.param([("GROUP", "unknown")], False, id="a-group-that-was-not-read"),
        pytest.param([("GROUP", "alice")], False, id="a-group-with-the-id-of-a-person"),
        pytest.param([("USER", "carol")], False, id="a-user-with-the-id-of-a-group"),
        pytest.param([("GROUP", "always")], True, id="always"),
        pytest.param([("USER", "bob"), ("GROUP", "ours")], True, id="one-of-two"),
    ],
)
def test_what_concerns_the_people(principals: list[Principal], expected: bool) -> None:
    assert concerns(principals, GROUPS, {"alice"}, {"always"}) is expected


def test_shared_groups_are_those_that_are_requested_as_such() -> None:
    names = ("Shared", "Own", "Unrequested")
    named = {name: KnownGroup(name.lower(), name) for name in names}
    groups = {name: Group(name, frozenset(), shared=name == "Shared") for name in names[:2]}
    found = shared_groups(named, DesiredAccess(groups=groups))
    assert found == {"shared": named["Shared"]}


def test_the_access_of_a_user_is_its_own_and_that_of_its_groups() -> None:
    sets = {name: KnownPermissionSet(name, PermissionSet(name)) for name in ("own", "group's", "others'")}
    access = AccountAccess(
        ACCOUNT,
        sets,
        {
            "own": frozenset({("USER", "alice")}),
            "group's": frozenset({("GROUP", "staff"), ("USER", "bob")}),
            "others'": frozenset({("GROUP", "alice"), ("USER", "staff")}),
        },
    )
    assert access.groups == {"staff", "alice"}
    assert access.of("alice", frozenset({"staff"})) == (sets["own"], sets["group's"])
    assert access.of("alice", frozenset()) == (sets["own"],)
