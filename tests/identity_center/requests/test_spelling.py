# SPDX-License-Identifier: Apache-2.0
"""Proofs count with the spelling of usernames that people's sessions have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.identity_center.model import Person
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.derivation.users import allow
from tests.desired import intents
from tests.identity_center.applying.test_races_on_groups import once
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.requests.test_others import derived_intents, provision, refusals, role_in, user_in
from tests.interference import on_call

LOWER, UPPER = "alice@example.com", "Alice@Example.com"


def made(fleet: FleetRehearsal, username: str, email: str = "") -> None:
    """An Identity Center user that exists before."""
    fleet.org.client("identitystore").create_user(
        IdentityStoreId=fleet.instance.store.id,
        UserName=username,
        DisplayName="Alice",
        Name={"GivenName": "Alice", "FamilyName": "Liddell"},
        Emails=[{"Value": email or username, "Type": "work", "Primary": True}],
    )


def spelled(user: Any, username: str) -> Any:
    return replace(user, person=Person(username, LOWER, "Alice", "Liddell", "Alice"))


def role_for(fleet: FleetRehearsal, account: str, username: str) -> str:
    return role_in(fleet.org, account, "Admin", Condition={"StringLike": {"aws:userid": f"AROA*:{username}"}})


@pytest.mark.parametrize(
    ("existing", "trusted", "given"),
    [
        pytest.param(UPPER, UPPER, False, id="of-the-existing-user"),
        pytest.param(UPPER, LOWER, False, id="of-the-intents"),
        pytest.param(LOWER, UPPER, True, id="of-nobody"),
        pytest.param("", UPPER, True, id="nobody-exists"),
        pytest.param("", LOWER, False, id="of-the-one-to-create"),
        pytest.param(UPPER, "carol@example.com", True, id="of-a-colleague"),
    ],
)
def test_a_role_for_a_username_counts_as_the_existing_user_is_spelled(
    fleet: FleetRehearsal, existing: str, trusted: str, given: bool
) -> None:
    if existing:
        made(fleet, existing)
    alice = user_in(fleet.org, ACCOUNT, "alice", allow("sts:AssumeRole"))
    fleet.leave(derived_intents(ACCOUNT, alice))
    role_for(fleet, ACCOUNT, trusted)
    applied = provision(fleet)
    assert (applied.exit_code == 0) == given, applied.output
    assert bool(refusals(applied)) != given
    assert [len(each) for each in fleet.members().values()] == ([1] if given else [])
    audited = provision(fleet, "audit")
    assert (audited.exit_code == 0) == given, audited.output
    if existing == trusted == UPPER:
        (refused,) = refusals(applied)
        assert f"spells its person's username {UPPER}, the intents {LOWER}" in refused
        assert f"spell it {UPPER} where the policy reads it" in refused


def test_an_acceptance_covers_the_spelling_of_the_existing_user(fleet: FleetRehearsal) -> None:
    made(fleet, UPPER)
    alice = user_in(fleet.org, ACCOUNT, "alice", allow("sts:AssumeRole"))
    row = {
        "account": ACCOUNT, "user": "alice", "verdict": "wider", "remark": "SEC-1", "expires": "2099-01-01",
    }  # fmt: skip
    fleet.leave(derived_intents(ACCOUNT, alice, accept=[row]))
    role_for(fleet, ACCOUNT, UPPER)
    applied = provision(fleet)
    assert not refusals(applied), applied.output
    assert list(fleet.members().values()) == [{UPPER}]


@pytest.mark.parametrize(("existing", "given"), [("alice", True), ("Alice", False), ("", True)])
def test_the_session_tag_has_the_username_as_the_existing_user_is_spelled(
    fleet: FleetRehearsal, existing: str, given: bool
) -> None:
    attribute = {"Key": "UserName", "Value": {"Source": ["${path:userName}"]}}
    fleet.org.client("sso-admin").create_instance_access_control_attribute_configuration(
        InstanceArn=fleet.instance.arn,
        InstanceAccessControlAttributeConfiguration={"AccessControlAttributes": [attribute]},
    )
    if existing:
        made(fleet, existing, LOWER)
    own = allow("s3:*", "arn:aws:s3:::home/${aws:username}/*")
    alice = spelled(user_in(fleet.org, ACCOUNT, "alice", own), "alice")
    fleet.leave(derived_intents(ACCOUNT, alice, username_tag="UserName"))
    applied = provision(fleet)
    assert bool(refusals(applied)) != given, applied.output
    assert list(fleet.members().values()) == ([{"alice"}] if given else [])


def test_accounts_that_spell_a_new_person_otherwise_have_one_spelling(fleet: FleetRehearsal) -> None:
    first = spelled(user_in(fleet.org, ACCOUNT, "alice", allow("s3:Get*")), UPPER)
    other = spelled(user_in(fleet.org, OTHER_ACCOUNT, "alice", allow("sts:AssumeRole")), LOWER)
    fleet.leave(derived_intents(ACCOUNT, first), derived_intents(OTHER_ACCOUNT, other))
    admin = role_for(fleet, OTHER_ACCOUNT, UPPER)
    applied = provision(fleet)
    (refused,) = refusals(applied)
    assert f"account {OTHER_ACCOUNT}" in refused
    assert f"trust policy of {admin}" in refused
    assert list(fleet.members().values()) == [{UPPER}]


def test_who_is_spelled_otherwise_and_whose_policies_do_not_say_so_is_adopted(fleet: FleetRehearsal) -> None:
    made(fleet, UPPER)
    fleet.leave(derived_intents(ACCOUNT, user_in(fleet.org, ACCOUNT, "alice", allow("s3:Get*"))))
    role_in(fleet.org, ACCOUNT, "Admin")
    applied = provision(fleet)
    assert not refusals(applied), applied.output
    assert list(fleet.members().values()) == [{UPPER}]


@pytest.mark.parametrize(("made_meanwhile", "joined"), [(UPPER, False), (LOWER, True)])
def test_a_user_that_others_make_meanwhile_is_joined_only_if_it_is_spelled_as_in_the_plan(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, made_meanwhile: str, joined: bool
) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    on_call(monkeypatch, "CreateUser", once(fleet, lambda each: made(each, made_meanwhile)))
    failures = fleet.run()
    assert ["was created after the plan" in each for each in failures] == ([] if joined else [True])
    assert fleet.members() == {f"iam-{ACCOUNT}-Readers": {made_meanwhile} if joined else set()}
