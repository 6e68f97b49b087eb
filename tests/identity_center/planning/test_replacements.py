# SPDX-License-Identifier: Apache-2.0
"""A membership goes only if each IAM user that it was made for has other access, or its lack is a decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.evidence.working_credentials import WorkingCredentials
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.planning.replacements import Replacements, RunHistory
from c7n_iamusers.identity_center.requests.intents import Intents, UserIntent
from tests.access_center import ACCOUNT, MARK
from tests.derivation.users import allow
from tests.derived import derived, holder
from tests.desired import intents, person, user
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import create_user, join, user_id

ALICE, BOB = "alice@example.com", "bob@example.com"
UNREAD = WorkingCredentials(unread=("access-key",), problem="AccessDenied")
VIEW_ONLY = "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"


def now(found: Intents) -> Intents:
    return replace(found, time=datetime.now(timezone.utc).replace(microsecond=0))


def of_alice(name: str, actions: str) -> UserIntent:
    return replace(holder(ACCOUNT, name, allow(actions), who=person("alice")), on_file=True)


FIRST, SECOND = of_alice("first", "s3:Get*"), of_alice("second", "ec2:Describe*")


@pytest.mark.parametrize(
    "first",
    [
        pytest.param((), id="deleted"),
        pytest.param((replace(FIRST, credentials=UNREAD),), id="credentials-unread"),
        pytest.param((replace(FIRST, detail=None),), id="policies-unread"),
        pytest.param((replace(FIRST, problem="was not read again", person=None),), id="account-unread"),
    ],
)
def test_another_user_of_the_person_replaces_nothing(
    fleet: FleetRehearsal, first: tuple[UserIntent, ...]
) -> None:
    fleet.provisioned(now(derived(ACCOUNT, FIRST, SECOND)))
    before = fleet.members()
    assert len(before) == 2
    fleet.leave_only(now(derived(ACCOUNT, *first, SECOND)))
    fleet.run(prune=True)
    assert fleet.members() == before
    assert [call.operation for call in fleet.mutations()] == []


def test_changed_policies_of_the_same_user_replace_it(fleet: FleetRehearsal) -> None:
    fleet.provisioned(now(derived(ACCOUNT, FIRST, SECOND)))
    before = fleet.members()
    fleet.forget()
    fleet.provisioned(now(derived(ACCOUNT, of_alice("first", "s3:List*"), SECOND)), prune=True)
    after = fleet.members()
    assert len(after) == len(before) == 2
    assert len(after.keys() & before.keys()) == 1


def test_a_set_that_can_not_be_compared_by_now_is_not_replaced(fleet: FleetRehearsal) -> None:
    """By two policies, one user's person has a derived set and one by name."""
    requested = PermissionSet("Viewers", "x", managed_policies=frozenset({VIEW_ONLY}), tags=MARK)
    alice = holder(ACCOUNT, "alice", allow("s3:* ec2:*"))
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}],
    }

    def leave(source: PolicySource) -> None:
        fleet.forget()
        named = intents(
            ACCOUNT,
            set_name="Viewers",
            users=(alice,),
            permission_set=requested,
            accept=(),
            source=source,
        )
        fleet.leave(named, now(derived(ACCOUNT, alice)))

    leave(PolicySource({}, {VIEW_ONLY: document}))
    assert fleet.run() == []
    before = fleet.members()
    assert len(before) == 2
    leave(PolicySource({}, {}))
    fleet.run(prune=True)
    assert fleet.members() == before


@pytest.mark.parametrize("results_lost", [False, True])
def test_not_even_lock_out_takes_what_could_not_be_judged(fleet: FleetRehearsal, results_lost: bool) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice", "bob"))
    before = fleet.members()
    if results_lost:
        for each in fleet.results():
            each.unlink()
            (each.parent / "journal.jsonl").unlink()
    fleet.new_records = results_lost
    found = intents(ACCOUNT, "alice", "bob")
    alice, bob = found.users
    fleet.leave_only(replace(found, users=(alice, replace(bob, credentials=UNREAD))))
    fleet.run(prune=True, lock_out=True)
    assert fleet.members() == before
    said = "\n".join(fleet.said)
    assert f"user bob of account {ACCOUNT}): correct that and run again" in said
    fleet.forget()
    fleet.provisioned(intents(ACCOUNT, "alice"), prune=True, lock_out=True)
    assert list(fleet.members().values()) == [{ALICE}]


def claim(name: str, unique_id: str, group: str = "new") -> model.Claim:
    subject = Subject(name, f"arn:aws:iam::{ACCOUNT}:user/{name}", unique_id)
    return model.Claim(subject, (ALICE, ALICE), group, model.Grant(ACCOUNT, "Readers"))


def test_users_are_known_by_their_unique_ids() -> None:
    """A renamed user is the same one, and another user with its name is not."""
    made = {("old", ALICE): {f"arn:aws:iam::{ACCOUNT}:user/u1": "AIDA1"}}
    renamed, other = claim("u2", "AIDA1"), claim("u1", "AIDA2")
    key = ("old", ALICE, (ALICE, ALICE), [ACCOUNT])
    assert Replacements([renamed], (), made).claims(*key) == [renamed]
    assert Replacements([other], (), made).claims(*key) == []


def test_what_it_gives_elsewhere_is_not_replaced() -> None:
    made = {("old", ALICE): {f"arn:aws:iam::{ACCOUNT}:user/u1": "AIDA1"}}
    key = ("old", ALICE, (ALICE, ALICE), [ACCOUNT, "999999999999"])
    assert Replacements([claim("u1", "AIDA1")], (), made).claims(*key) == []


def test_without_a_record_nothing_is_replaced() -> None:
    key = ("old", ALICE, (ALICE, ALICE), [ACCOUNT])
    assert Replacements([claim("u1", "AIDA1")], (), {}).claims(*key) == []


@pytest.mark.parametrize(("theirs", "goes"), [("s3:*", True), ("ec2:*", False)])
def test_without_a_record_other_access_must_give_as_much(
    fleet: FleetRehearsal, theirs: str, goes: bool
) -> None:
    """Somebody put bob into alice's group by hand."""
    fleet.provisioned(
        derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:Get*")), holder(ACCOUNT, "bob", allow(theirs)))
    )
    (group,) = (name for name, people in fleet.members().items() if people == {ALICE})
    join(fleet, group, user_id(fleet, BOB))
    assert len(fleet.run(prune=True)) == (not goes)
    assert (BOB not in fleet.members()[group]) is goes


def of_team(name: str, *actions: str) -> UserIntent:
    return holder(ACCOUNT, name, *map(allow, actions), who=person("team"))


@pytest.mark.parametrize(
    ("then", "given"),
    [
        pytest.param(of_team("bob", "s3:Get*"), False, id="another-user"),
        pytest.param(replace(of_team("bob", "s3:Get*"), on_file=True), True, id="on-the-people-file"),
        pytest.param(
            replace(
                of_team("bob", "s3:Get*"),
                subject=replace(of_team("bob").subject, unique_id=of_team("alice").subject.unique_id),
            ),
            True,
            id="renamed",
        ),
        pytest.param(
            replace(
                of_team("alice", "s3:Get*"), subject=replace(of_team("alice").subject, unique_id="AIDANEW")
            ),
            True,
            id="made-again",
        ),
    ],
)
def test_access_of_another_user_is_not_inherited(
    fleet: FleetRehearsal, then: UserIntent, given: bool
) -> None:
    then = replace(then, detail={**(then.detail or {}), "UserId": then.subject.unique_id})
    fleet.provisioned(now(derived(ACCOUNT, of_team("alice", "*"))))
    before = fleet.members()
    fleet.leave(now(derived(ACCOUNT, then)))
    failures = fleet.run()
    assert (fleet.members() != before) is given
    assert any("alice (group iam-" in each for each in failures) is not given


def test_access_that_was_undone_is_not_inherited(fleet: FleetRehearsal) -> None:
    fleet.provisioned(now(derived(ACCOUNT, of_team("alice", "*"))))
    assert fleet.undo(fleet.results()[-1]) == []
    fleet.provisioned(now(derived(ACCOUNT, of_team("bob", "s3:Get*"))))
    assert list(fleet.members().values()) == [{"team@example.com"}]


MARRIED = "alice.smith@example.com"


def rename(fleet: FleetRehearsal, username: str, then: str) -> None:
    """The owner of the directory renames a user."""
    fleet.org.client("identitystore").update_user(
        IdentityStoreId=fleet.instance.store.id,
        UserId=user_id(fleet, username),
        Operations=[
            {"AttributePath": "userName", "AttributeValue": then},
            {"AttributePath": "emails", "AttributeValue": [{"Value": then, "Primary": True}]},
        ],
    )


RENAMED = "nobody has that username now"
RECYCLED = "has that username now"


@pytest.mark.parametrize("iam_user", ["alice", "alice2"], ids=["same-iam-user", "another-iam-user"])
@pytest.mark.parametrize("hired", [False, True], ids=["renamed", "address-given-to-another"])
def test_a_username_of_another_human_gets_nothing(fleet: FleetRehearsal, iam_user: str, hired: bool) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    before = fleet.members()
    rename(fleet, ALICE, MARRIED)
    if hired:
        create_user(fleet, ALICE)
    fleet.leave(intents(ACCOUNT, users=(user(ACCOUNT, iam_user, person("alice")),)))
    (failure,) = fleet.run(prune=True)
    assert f"now {MARRIED}" in failure
    assert (RECYCLED if hired else RENAMED) in failure
    assert fleet.mutations() == []
    assert fleet.members() == {group: {MARRIED} for group in before}


def test_a_new_human_with_the_username_of_a_deleted_one_gets_nothing(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice", "bob"))
    fleet.delete_user(ALICE)
    create_user(fleet, ALICE)
    (failure,) = fleet.run()
    assert "now deleted" in failure
    assert list(fleet.members().values()) == [{BOB}]
    fleet.provisioned(intents(ACCOUNT, users=(user(ACCOUNT, "new", person("alice")),)))
    assert list(fleet.members().values()) == [{ALICE, BOB}], "of another IAM user, it is the new human's"


def test_a_deleted_user_is_created_anew(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    fleet.delete_user(ALICE)
    assert fleet.run() == []
    assert fleet.run() == []
    assert list(fleet.members().values()) == [{ALICE}]


def test_a_tag_that_follows_the_rename_serves(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    rename(fleet, ALICE, MARRIED)
    create_user(fleet, ALICE)
    alice = replace(person("alice"), username=MARRIED, email=MARRIED)
    fleet.provisioned(intents(ACCOUNT, users=(user(ACCOUNT, "alice", alice),)), prune=True)
    assert list(fleet.members().values()) == [{MARRIED}]


def test_the_people_file_gives_a_recycled_address_but_takes_nothing_from_its_former_holder(
    fleet: FleetRehearsal,
) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    rename(fleet, ALICE, MARRIED)
    create_user(fleet, ALICE)
    on_file = replace(user(ACCOUNT, "alice", person("alice")), on_file=True)
    # the file may be older than the change of the directory
    for user_id_on_file, told in (
        ("", RECYCLED),
        (user_id(fleet, MARRIED), "the people file says that it is user id"),
    ):
        row = replace(on_file, user_id=user_id_on_file)
        fleet.leave(intents(ACCOUNT, users=(row,), set_name="Writers"))
        assert any(told in each for each in fleet.run(prune=True))
        assert fleet.mutations() == []
    row = replace(on_file, user_id=user_id(fleet, ALICE))
    fleet.leave(intents(ACCOUNT, users=(row,), set_name="Writers"))
    fleet.run(prune=True)
    assert fleet.members() == {f"iam-{ACCOUNT}-Readers": {MARRIED}, f"iam-{ACCOUNT}-Writers": {ALICE}}


def test_who_had_a_username_that_somebody_else_or_nobody_has_now() -> None:
    served = {
        name: {user: frozenset({"AIDA"}) for user in users}
        for name, users in (
            ("same", ["u-1"]),
            ("other", ["u-2", "u-3"]),
            ("gone", ["u-4"]),
            ("unasked", ["u-5"]),
        )
    }
    usernames = {
        "same": model.KnownPerson("u-1", "same", ""),
        "other": model.KnownPerson("u-9", "other", ""),
        "new": model.KnownPerson("u-8", "new", ""),
    }
    claims: list[Any] = [SimpleNamespace(person=(name, "")) for name in ("same", "other", "gone", "new")]
    state = model.CenterState(usernames=usernames)
    assert RunHistory(served=served).served_as_others(claims, state) == {"u-2", "u-3", "u-4"}
