# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.model import Grant
from c7n_iamusers.identity_center.requests.intents import Intents
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import desired, intents, person, readers, told, user

ALICE, BOB = person("alice"), person("bob")


def test_one_person_of_two_accounts_is_one() -> None:
    found = desired(intents(ACCOUNT, "alice", "bob"), intents(OTHER_ACCOUNT, "alice"))
    assert set(found.people) == {ALICE.key, BOB.key}
    assert [
        (claim.subject.account_id, claim.group) for claim in found.claims if claim.person == ALICE.key
    ] == [
        (ACCOUNT, f"iam-{ACCOUNT}-Readers"),
        (OTHER_ACCOUNT, f"iam-{OTHER_ACCOUNT}-Readers"),
    ]
    assert found.members(f"iam-{ACCOUNT}-Readers") == {ALICE.key, BOB.key}
    assert found.refused == ()


def test_the_order_of_accounts_changes_nothing() -> None:
    given = [
        intents(ACCOUNT, "alice", "bob"),
        intents(OTHER_ACCOUNT, "alice"),
        intents(OTHER_ACCOUNT, "bob", set_name="Writers"),
    ]
    assert len({repr(desired(*order)) for order in permutations(given)}) == 1


def test_a_user_listed_by_two_regions_is_one_claim_for_each() -> None:
    twice = [intents(ACCOUNT, "alice", place=place) for place in ("us-east-1", "us-west-2")]
    found = desired(*twice)
    assert [claim.place for claim in found.claims] == ["us-east-1", "us-west-2"]
    assert len(found.groups) == len(found.permission_sets) == len(found.people) == 1


def test_an_invalid_intent_leaves_nothing_behind() -> None:
    faulty = replace(
        intents(ACCOUNT, set_name="Alone"), users=(user(ACCOUNT, "robot", None, "no email: tag the user"),)
    )
    found = desired(faulty, intents(OTHER_ACCOUNT, "alice"))
    assert set(found.groups) == {f"iam-{OTHER_ACCOUNT}-Readers"}
    assert set(found.permission_sets) == {"Readers"}
    assert told(found) == {
        f"{ACCOUNT}/robot": f"user robot of account {ACCOUNT}: no email: tag the user (requested by "
        f"{ACCOUNT}/provision-Alone/identity-center-intents.json)"
    }


def test_two_people_with_one_email_in_two_accounts() -> None:
    mallory = replace(ALICE, username="mallory")
    theirs = replace(intents(OTHER_ACCOUNT), users=(user(OTHER_ACCOUNT, "m", mallory),))
    found = desired(intents(ACCOUNT, "alice", "bob"), theirs)
    assert set(found.people) == {BOB.key}
    assert told(found).keys() == {f"{ACCOUNT}/alice", f"{OTHER_ACCOUNT}/m"}
    assert f"alice of account {ACCOUNT}, m of account {OTHER_ACCOUNT}" in told(found)[f"{ACCOUNT}/alice"]


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        pytest.param(
            intents(OTHER_ACCOUNT, "bob", permission_set=replace(readers(), session_duration="PT8H")),
            "permission set Readers is requested in 2 different forms",
            id="one-set-name-two-forms",
        ),
        pytest.param(
            intents(
                OTHER_ACCOUNT,
                "bob",
                permission_set=replace(readers(), tags={"c7n-iamusers": "managed", "a": "b"}),
            ),
            "permission set Readers is requested in 2 different forms",
            id="one-set-name-other-tags",
        ),
        pytest.param(
            intents(OTHER_ACCOUNT, "bob", group=f"iam-{ACCOUNT}-Readers"),
            f"group iam-{ACCOUNT}-Readers is requested with different access",
            id="one-group-two-accounts",
        ),
        pytest.param(
            intents(ACCOUNT, "bob", group=f"iam-{ACCOUNT}-Readers", set_name="Writers"),
            f"group iam-{ACCOUNT}-Readers is requested with different access",
            id="one-group-two-sets",
        ),
        pytest.param(
            intents(ACCOUNT, "bob", shared_group=True),
            "is requested with different access",
            id="shared-in-one-policy-only",
        ),
    ],
)
def test_what_contradicts_itself_is_refused_by_name_and_the_others_go_on(
    second: Intents, reason: str
) -> None:
    bystander = intents("777788889999", "carol", set_name="Other")
    found = desired(intents(ACCOUNT, "alice"), second, bystander)
    assert {name.split("/")[1] for name in told(found)} == {"alice", "bob"}
    assert all(reason in text for text in told(found).values())
    assert [claim.subject.name for claim in found.claims] == ["carol"]
    assert set(found.permission_sets) == {"Other"}


def test_a_shared_group_gathers_what_all_its_policies_give() -> None:
    shared = [
        intents(account, name, group="everybody", shared_group=True)
        for account, name in ((ACCOUNT, "alice"), (OTHER_ACCOUNT, "bob"))
    ]
    found = desired(*shared)
    assert found.groups["everybody"].grants == {Grant(ACCOUNT, "Readers"), Grant(OTHER_ACCOUNT, "Readers")}
    assert found.refused == ()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("Team", "team", id="case"),
        pytest.param("Team", "Team ", id="a-space"),
        pytest.param("\u00e9quipe", "e\u0301quipe", id="forms-of-unicode"),
        pytest.param("stra\u00dfe", "STRASSE", id="case-beyond-ascii"),
        pytest.param("team", "t\u0435am", id="a-cyrillic-letter"),
    ],
)
@pytest.mark.parametrize("account", [ACCOUNT, OTHER_ACCOUNT])
@pytest.mark.parametrize("shared", [False, True])
def test_names_of_groups_that_may_be_one(first: str, second: str, account: str, shared: bool) -> None:
    found = desired(
        intents(ACCOUNT, "alice", group=first, shared_group=shared),
        intents(account, "bob", set_name="Admins", group=second, shared_group=shared),
        intents("777788889999", "carol", group="teams"),
    )
    assert told(found).keys() == {f"{ACCOUNT}/alice", f"{account}/bob"}
    for reason in told(found).values():
        assert f"{ACCOUNT}/provision-Readers" in reason
        assert f"{account}/provision-Admins" in reason
        assert "may be one name to Identity Center" in reason
    assert set(found.groups) == {"teams"}


def test_a_user_whom_two_policies_take_for_two_people() -> None:
    second = replace(intents(ACCOUNT, set_name="Writers"), users=(user(ACCOUNT, "alice", BOB),))
    found = desired(intents(ACCOUNT, "alice"), second)
    assert found.claims == ()
    assert "has different people in different policies (alice@example.com, bob@example.com)" in " ".join(
        told(found).values()
    )


def test_policies_that_differ_on_the_identity_source() -> None:
    with pytest.raises(IdentityCenterError, match="have different identity-source"):
        desired(intents(ACCOUNT, "alice"), intents(OTHER_ACCOUNT, "bob", external=True))


def test_external_ones_are_marked() -> None:
    found = desired(intents(ACCOUNT, "alice", external=True))
    assert found.external
    assert all(group.external for group in found.groups.values())
