# SPDX-License-Identifier: Apache-2.0
"""A membership that was removed, and made anew, is for those for whom it was made anew, in all that reads records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.identity_center.applying.run_history import read_served
from c7n_iamusers.identity_center.aws.access_check import AccessReader
from c7n_iamusers.identity_center.planning.replacements import RunHistory
from c7n_iamusers.identity_center.requests.intents import Intents
from tests.access_center import ACCOUNT, OTHER_ACCOUNT, READ_ONLY
from tests.desired import intents, person, readers, user
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import create_user, join, user_id
from tests.identity_center.test_former_members import accounts_with, audited, pruned
from tests.identity_center.undo.test_undoing import incomplete
from tests.interference import Killed, deny, on_call

TEAM = "team@example.com"
VIEW_ONLY = "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"
WIDER = replace(readers(), managed_policies=frozenset({READ_ONLY, VIEW_ONLY}))
SECOND_OF_BOB = replace(user(ACCOUNT, "bob-2", person("bob")), on_file=True)
GROUPS = {"own": f"iam-{ACCOUNT}-Readers", "shared": "Sales"}


def people(form: str, **persons: str) -> Intents:
    """IAM users and the names of their people, in a group of their own or a shared one."""
    shared: dict[str, Any] = {"group": "Sales", "shared_group": True} if form == "shared" else {}
    users = tuple(user(ACCOUNT, name, person(of)) for name, of in persons.items())
    return intents(ACCOUNT, **shared, users=users)


def existing(*names: str) -> Callable[[Iterable[str]], Mapping[str, Mapping[str, str]]]:
    """What an undo reads: the IAM users of these names exist."""
    return lambda accounts: {
        account: {each.subject.unique_id: "" for each in intents(account, *names).users}
        for account in accounts
    }


def given_to_alice(fleet: FleetRehearsal, form: str, how: str) -> None:
    """Alice's tag has the address of the team, whose membership is then removed."""
    create_user(fleet, TEAM)
    fleet.provisioned(people(form, carol="carol"))
    fleet.leave(people(form, carol="carol", alice="team"))
    if how == "killed-by-hand":
        fleet.killed(1)
    else:
        assert fleet.run() == []
    result = fleet.results()[-1]
    assert TEAM in fleet.members()[GROUPS[form]]
    if how.endswith("by-hand"):
        fleet.remove_member(GROUPS[form], TEAM)
    elif how == "undo":
        assert fleet.undo(result) == []
    else:
        fleet.provisioned(people(form, carol="carol", alice="alice"), prune=True, lock_out=True)
        if how == "prune-undo-prune":
            assert fleet.undo(fleet.results()[-1]) == []
            assert TEAM in fleet.members()[GROUPS[form]]
            assert fleet.run(prune=True, lock_out=True) == []
    assert TEAM not in fleet.members()[GROUPS[form]]


@pytest.mark.parametrize(
    ("form", "how"),
    [
        pytest.param(form, how, id=f"{form}-{how}")
        for form in ("own", "shared")
        for how in ("undo", "prune", "prune-undo-prune", "by-hand", "killed-by-hand")
        # What a run added to a shared group, another run does not remove while its IAM user has intents.
        if not (form == "shared" and how.startswith("prune"))
    ],
)
def test_who_is_given_it_is_not_who_had_it_before(
    fleet: FleetRehearsal, on_day: Callable[[int], None], form: str, how: str
) -> None:
    given_to_alice(fleet, form, how)
    fleet.leave(people(form, carol="carol", alice="alice", bob="team"))
    for _ in range(2):
        assert fleet.run() == []
    assert fleet.run(dry=True, prune=True) == []
    assert is_own(fleet, "bob")
    fleet.leave(people(form, carol="carol", alice="alice"))
    read = accounts_with("carol", "alice")
    on_day(0)
    (line,) = audited(fleet, read, ["AIDA-OF-ANOTHER"])
    assert line.endswith("(0 days)")
    on_day(45)
    assert pruned(fleet, read) == []
    assert TEAM not in fleet.members()[GROUPS[form]]


def is_own(fleet: FleetRehearsal, name: str) -> bool:
    """Whether the access of the team is that IAM user's own, to the filter identity-center."""
    center = fleet.center()
    known = center_person(fleet)
    runs = read_served([fleet.store], center.instance)
    subject = user(ACCOUNT, name, None).subject
    return AccessReader.of(center).of_another(subject, person("team"), known, runs) == ""


def center_person(fleet: FleetRehearsal) -> Any:
    found, _ = AccessReader.of(fleet.center()).store.find_person(person("team"))
    assert found
    return found


def test_what_an_undo_brings_back_is_whose_it_was(fleet: FleetRehearsal) -> None:
    given_to_alice(fleet, "own", "prune")
    assert fleet.undo(fleet.results()[-1]) == []
    fleet.leave(people("own", carol="carol", alice="alice", bob="team"))
    (failure,) = fleet.run()
    assert f"an earlier run gave {TEAM} access for other IAM users of account {ACCOUNT}: alice" in failure
    assert [is_own(fleet, name) for name in ("alice", "bob")] == [True, False]


@pytest.mark.parametrize("moved", [False, True], ids=["exists", "deleted-by-this-tool"])
def test_a_leaver_is_not_who_has_moved(
    fleet: FleetRehearsal, on_day: Callable[[int], None], moved: bool
) -> None:
    given_to_alice(fleet, "own", "prune")
    staying: Mapping[str, str] = {"carol": "carol"} if moved else {"carol": "carol", "alice": "alice"}
    fleet.provisioned(people("own", **staying, bob="team"))
    fleet.leave(people("own", **staying))
    read = accounts_with(*staying)
    deleted: Collection[str] = {user(ACCOUNT, "alice", None).subject.unique_id} if moved else ()
    on_day(0)
    lines = audited(fleet, read, deleted)
    assert [line.endswith("(0 days)") for line in lines if TEAM in line] == [True]
    on_day(45)
    assert pruned(fleet, read, deleted=deleted) == []
    assert TEAM not in fleet.members()[GROUPS["own"]]


@pytest.mark.parametrize("prunings", [1, 2])
def test_an_undo_takes_back_the_membership_of_its_run(fleet: FleetRehearsal, prunings: int) -> None:
    """An undo of an earlier pruning had brought back the one before it."""
    group, read_users = GROUPS["own"], existing("ann", "bob")
    fleet.provisioned(intents(ACCOUNT, "ann", "bob"))
    fleet.provisioned(intents(ACCOUNT, "bob"), prune=True, lock_out=True)
    for _ in range(prunings - 1):
        assert fleet.undo(fleet.results()[-1]) == []
        assert fleet.run(prune=True, lock_out=True) == []
    fleet.provisioned(intents(ACCOUNT, "ann", "bob"))
    assert fleet.undo(fleet.results()[-1], read_users=read_users) == []
    assert fleet.members() == {group: {"bob@example.com"}}


def test_an_undo_says_that_the_membership_was_made_anew(fleet: FleetRehearsal) -> None:
    """And not that its IAM user of then has been deleted."""
    given_to_alice(fleet, "own", "prune")
    of_alice = fleet.results()[1]
    fleet.provisioned(people("own", carol="carol", bob="team"))
    assert incomplete(fleet.undo(of_alice, read_users=existing("carol", "bob"))) == 1
    (line,) = fleet.lines("!")
    assert line.endswith("it was recreated since")
    assert TEAM in fleet.members()[GROUPS["own"]]


def test_an_assignment_rests_on_the_present_iam_users(fleet: FleetRehearsal) -> None:
    """Of a shared group whose member was another IAM user's person before."""
    given_to_alice(fleet, "shared", "undo")
    fleet.provisioned(people("shared", carol="carol", bob="team"))
    more = intents(
        OTHER_ACCOUNT,
        group="Sales",
        shared_group=True,
        users=(user(OTHER_ACCOUNT, "bob", person("team")), user(OTHER_ACCOUNT, "carol", person("carol"))),
    )
    fleet.provisioned(more)
    assert fleet.undo(fleet.results()[-1], read_users=existing("carol", "bob")) == []
    assert {account for account, _, _ in fleet.assigned()} == {ACCOUNT}


@pytest.mark.parametrize("form", ["own", "shared"])
def test_settings_rest_on_the_present_iam_users(fleet: FleetRehearsal, form: str) -> None:
    """The run gave Alice the membership that was removed by hand, and a later run made it for Bob."""
    create_user(fleet, TEAM)
    fleet.provisioned(people(form, carol="carol"))
    fleet.provisioned(replace(people(form, carol="carol", alice="team"), permission_set=WIDER))
    of_run = fleet.results()[-1]
    fleet.remove_member(GROUPS[form], TEAM)
    fleet.provisioned(replace(people(form, carol="carol", bob="team"), permission_set=WIDER))
    assert incomplete(fleet.undo(of_run, read_users=existing("carol", "bob"))) == 1
    (kept,) = fleet.lines("!")
    assert kept.endswith("it was recreated since")
    (known,) = (each for each in fleet.instance.permission_sets.values() if each.name == "Readers")
    assert set(known.managed_policies) == {READ_ONLY}


@pytest.mark.parametrize("form", ["own", "shared"])
def test_what_others_made_anew_may_be_for_who_had_it(fleet: FleetRehearsal, form: str) -> None:
    create_user(fleet, TEAM)
    fleet.provisioned(people(form, carol="carol", alice="team"))
    fleet.remove_member(GROUPS[form], TEAM)
    join(fleet, GROUPS[form], user_id(fleet, TEAM))
    bob = people(form, carol="carol", bob="team")
    fleet.leave(bob)
    (failure,) = fleet.run()
    assert f"an earlier run gave {TEAM} access for other IAM users of account {ACCOUNT}: alice" in failure
    assert not is_own(fleet, "bob")
    fleet.provisioned(replace(bob, users=tuple(replace(each, on_file=True) for each in bob.users)))
    fleet.provisioned(bob)
    assert is_own(fleet, "bob")


def undone_of_alice(fleet: FleetRehearsal, form: str, how: str) -> None:
    """Alice's tag had the address of the team; the run is undone, and the team has a membership that others made."""
    group = GROUPS[form]
    create_user(fleet, TEAM)
    fleet.provisioned(people(form, carol="carol"))
    if how == "met":
        join(fleet, group, user_id(fleet, TEAM))
    fleet.provisioned(people(form, carol="carol", alice="team"))
    of_alice = fleet.results()[-1]
    if how == "made-anew-before-the-undo":
        fleet.remove_member(group, TEAM)
        join(fleet, group, user_id(fleet, TEAM))
    fleet.undo(of_alice)
    if how == "made-anew":
        join(fleet, group, user_id(fleet, TEAM))
    assert TEAM in fleet.members()[group]


@pytest.mark.parametrize("form", ["own", "shared"])
@pytest.mark.parametrize("how", ["met", "made-anew", "made-anew-before-the-undo"])
def test_what_an_undone_run_gave_refuses_nobody(
    fleet: FleetRehearsal, on_day: Callable[[int], None], form: str, how: str
) -> None:
    """Whose address it is gets access, and loses it after leaving."""
    on_day(0)
    undone_of_alice(fleet, form, how)
    fleet.leave(people(form, carol="carol", alice="alice", bob="team"))
    for _ in range(2):
        assert fleet.run() == []
    assert is_own(fleet, "bob")
    fleet.leave(people(form, carol="carol", alice="alice"))
    read = accounts_with("carol", "alice")
    audited(fleet, read, ["AIDA-OF-ANOTHER"])
    on_day(45)
    if form == "own":
        assert pruned(fleet, read) == []
        # Alice may still rest on what the undone run only met.
        assert (TEAM in fleet.members()[GROUPS[form]]) == (how == "met")
        fleet.run(prune=True, lock_out=True)
        assert TEAM not in fleet.members()[GROUPS[form]]


@pytest.mark.parametrize("form", ["own", "shared"])
@pytest.mark.parametrize("how", ["kept", "refused", "killed"])
def test_what_an_undo_left_refuses_as_before(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, form: str, how: str
) -> None:
    """A membership that somebody may need, or whose deletion failed; others then made it anew."""
    create_user(fleet, TEAM)
    for names in ({"carol": "carol"}, {"carol": "carol", "alice": "team"}):
        fleet.provisioned(people(form, **names))
    with monkeypatch.context() as patch:
        if how == "kept":
            assert incomplete(fleet.undo(fleet.results()[-1], read_users=existing("carol", "bob"))) >= 1
        elif how == "refused":
            deny(patch, "DeleteGroupMembership")
            assert fleet.undo(fleet.results()[-1]) != []
        else:
            on_call(patch, "DeleteGroupMembership", killed)
            with pytest.raises(Killed):
                fleet.undo(fleet.results()[-1])
    fleet.remove_member(GROUPS[form], TEAM)
    join(fleet, GROUPS[form], user_id(fleet, TEAM))
    fleet.leave(people(form, carol="carol", bob="team"))
    (failure,) = fleet.run()
    assert f"an earlier run gave {TEAM} access for other IAM users of account {ACCOUNT}: alice" in failure
    assert not is_own(fleet, "bob")
    assert fleet.undo(fleet.results()[1]) != []
    assert fleet.run() == []
    assert is_own(fleet, "bob")


def killed() -> None:
    raise Killed


@pytest.mark.parametrize("carol", [("carol",), ()], ids=["undone", "nothing-to-undo"])
@pytest.mark.parametrize("ends", ["former", "unrequested"])
def test_nobody_loses_access_on_which_an_iam_user_rests_whom_an_undone_run_met(
    fleet: FleetRehearsal, on_day: Callable[[int], None], carol: Collection[str], ends: str
) -> None:
    """Alice has two IAM users. The run that met the second is undone because of Carol; this tool has deleted it."""
    first, second = (replace(user(ACCOUNT, name, person("alice")), on_file=True) for name in ("alice", "cli"))
    others = [user(ACCOUNT, name, person(name)) for name in ("bob", *carol)]
    on_day(0)
    for users in ((first, others[0]), (first, second, *others)):
        fleet.provisioned(intents(ACCOUNT, users=users))
    alice, of_cli = "alice@example.com", [second.subject.unique_id]
    read_users = {ACCOUNT: {each.subject.unique_id: "" for each in (first, *others)}}
    assert fleet.undo(fleet.results()[-1], read_users=lambda _: read_users) == []
    if ends == "former":
        fleet.leave(intents(ACCOUNT, "bob"))
        read = accounts_with("bob")
        (line,) = audited(fleet, read, of_cli)
        assert "this tool deleted its IAM users, so it is no leaver's" in line
        on_day(45)
        assert pruned(fleet, read, deleted=of_cli) == []
    else:
        moved = intents(ACCOUNT, users=(first,), set_name="Other", policy="p2", place=f"{ACCOUNT}/p2")
        fleet.provisioned(intents(ACCOUNT, "bob"), moved, prune=True)
    assert alice in fleet.members()[GROUPS["own"]]


def of_bob(account: str, form: str) -> Intents:
    given: dict[str, Any] = {} if form == "own" else {"group": "Sales", "shared_group": True}
    return intents(account, "bob", external=form == "external", **given)


def of_provider(fleet: FleetRehearsal, group: str, username: str) -> None:
    """The user is in the group, as an identity provider makes them."""
    fleet.make_group(group)
    join(fleet, group, create_user(fleet, username))


@pytest.mark.parametrize("met", [False, True], ids=["met-by-no-run", "met-for-another-user"])
@pytest.mark.parametrize(
    ("form", "changed"),
    [
        ("shared", "assignment"),
        ("external", "assignment"),
        ("own", "settings"),
        ("shared", "settings"),
        ("external", "settings"),
    ],
)
def test_for_whom_others_made_it_anew_is_not_known_to_an_undo(
    fleet: FleetRehearsal, form: str, changed: str, met: bool
) -> None:
    """It may be for those of before, whose IAM users are deleted."""
    bob, group = "bob@example.com", GROUPS[form if form == "own" else "shared"]
    if form == "external":
        of_provider(fleet, group, bob)
    first = of_bob(ACCOUNT, form)
    fleet.provisioned(first)
    second = of_bob(OTHER_ACCOUNT, form) if changed == "assignment" else replace(first, permission_set=WIDER)
    fleet.provisioned(second)
    of_run, before = fleet.results()[-1], given(fleet)
    fleet.remove_member(group, bob)
    join(fleet, group, user_id(fleet, bob))
    if met:
        fleet.leave_only(replace(second if changed == "settings" else first, users=(SECOND_OF_BOB,)))
        fleet.run()
        assert SECOND_OF_BOB.subject.arn in fleet.results()[-1].read_text()
    read_users = {ACCOUNT: {SECOND_OF_BOB.subject.unique_id: ""}, OTHER_ACCOUNT: {}}
    assert incomplete(fleet.undo(of_run, read_users=lambda _: read_users)) == 1
    assert given(fleet) == before
    assert met or any(f"for the present membership of {bob}" in line for line in fleet.lines("!"))
    fleet.undo(of_run)
    assert given(fleet) != before


def given(fleet: FleetRehearsal) -> Any:
    """All assignments, and the managed policies of the permission set."""
    sets = fleet.instance.permission_sets.values()
    return fleet.assigned(), *({*each.managed_policies} for each in sets if each.name == "Readers")


@pytest.mark.pure
@pytest.mark.parametrize(
    ("identifier", "users"),
    [
        pytest.param("m-1", {"a": "A", "lost": "L"}, id="of-a-run"),
        pytest.param("m-2", {"b": "B"}, id="that-a-run-is-known-to-have-made"),
        pytest.param("m-3", {"lost": "L"}, id="that-no-run-knows"),
        pytest.param("m-4", None, id="that-a-run-made-for-nobody-that-is-known"),
        pytest.param("", {"a": "A", "b": "B", "lost": "L"}, id="whose-id-is-not-known"),
    ],
)
def test_whose_id_no_run_knows_counts_for_each(identifier: str, users: Mapping[str, str] | None) -> None:
    key = "g-1", "u-1"
    known = {"m-1": {"a": "A"}, "m-2": {"b": "B"}, "": {"lost": "L"}}
    assert RunHistory({key: known}, joined=frozenset({"m-2", "m-4"})).users_of(key, identifier) == users
    assert RunHistory().users_of(key, identifier) == {}


@pytest.mark.pure
def test_of_which_other_memberships_alone_are_known_is_not_nobodys() -> None:
    """It was made anew, and nobody knows for whom."""
    key = "g-1", "u-1"
    assert RunHistory({key: {"m-1": {"a": "A"}}}).users_of(key, "m-2") is None
