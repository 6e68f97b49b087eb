# SPDX-License-Identifier: Apache-2.0
"""People who have access only by what an earlier run made for IAM users that are deleted: their age, and their end."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import journal_line
from c7n_iamusers.execution.outcomes import DELETED, Outcome, write_outcomes
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center import former_members, provisioning
from c7n_iamusers.identity_center.access_plan import Choices
from c7n_iamusers.identity_center.audit import audit
from c7n_iamusers.identity_center.fleet import Fleet, TrustOptions, read_fleet
from c7n_iamusers.identity_center.former_members import Deletions, FormerMembers, parse, updated
from c7n_iamusers.identity_center.provisioning import RunOptions, provision
from c7n_iamusers.identity_center.requests.intents import Intents
from c7n_iamusers.identity_center.requests.member_accounts import LiveAccount
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from tests.access_center import ACCOUNT, AUDIT, OTHER_ACCOUNT
from tests.desired import intents, user
from tests.identity_center.fleet_rehearsal import NOW, FleetRehearsal
from tests.identity_center.planning.test_access_review import assign, create_user, join, set_by_hand

ALICE, BOB = "alice@example.com", "bob@example.com"
GROUP = f"iam-{ACCOUNT}-Readers"
Happening = Callable[[FleetRehearsal], None]


@dataclass(frozen=True)
class LiveUsers:
    """Every account has these IAM users: the last part of the unique id, and the name; but for ``unreadable``."""

    users: tuple[tuple[str, str], ...]
    unreadable: tuple[str, ...] = ()

    def __call__(self, accounts: Iterable[str], _: object) -> Iterator[tuple[str, LiveAccount | str]]:
        for account in accounts:
            users = {
                f"AIDA{account}{each.upper()}": {
                    "Arn": f"arn:aws:iam::{account}:user/{name}",
                    "UserName": name,
                }
                for each, name in self.users
            }
            yield account, "no answer" if account in self.unreadable else LiveAccount(PolicySource(), users)


def accounts_with(*names: str, unreadable: Collection[str] = ()) -> LiveUsers:
    """Every account has these IAM users."""
    return LiveUsers(tuple((each, each) for each in names), tuple(unreadable))


def found_by(fleet: FleetRehearsal, deleted: Collection[str] = ()) -> Fleet:
    """All intents; this tool deleted the IAM users ``deleted``."""
    found = read_fleet(fleet.store, trust=TrustOptions(trusted=True))
    return replace(found, deleted=frozenset(deleted).intersection)


def audited(fleet: FleetRehearsal, read: LiveUsers, deleted: Collection[str] = ()) -> list[str]:
    def run() -> list[str]:
        fleet.org.clear_calls()
        return audit(found_by(fleet, deleted), fleet.center(), fleet.said.append, read)

    fleet.once(("audited", read, tuple(deleted)), run)
    return [line for line in fleet.lines("=") if " in group " in line]


def pruned(
    fleet: FleetRehearsal, read: LiveUsers, days: int = 30, dry: bool = False, deleted: Collection[str] = ()
) -> list[str]:
    def run() -> list[str]:
        fleet.org.clear_calls()
        options = None if dry else ApplyOptions(30.0)
        more = RunOptions(Choices(former_days=days), read=read)
        return provision(found_by(fleet, deleted), fleet.center(), fleet.said.append, options, more)

    return fleet.once(("pruned", read, days, dry, tuple(deleted)), run)


def bob_leaves(fleet: FleetRehearsal) -> None:
    """The IAM users of both had access by a run, and then bob's was deleted."""
    fleet.provisioned(intents(ACCOUNT, "alice", "bob"))
    fleet.leave(intents(ACCOUNT, "alice"))


def test_former_people_go_after_so_many_days(fleet: FleetRehearsal, on_day: Callable[[int], None]) -> None:
    bob_leaves(fleet)
    read = accounts_with("alice")
    on_day(0)
    (line,) = audited(fleet, read)
    assert line.startswith(
        f"= {BOB} in group {GROUP} (account {ACCOUNT}): an earlier run made the membership"
    )
    assert line.endswith("its IAM users are deleted since 2026-11-28 or earlier (0 days)")
    on_day(29)
    (line,) = audited(fleet, read)
    assert line.endswith("(29 days)")
    assert pruned(fleet, read) == []
    assert fleet.members() == {GROUP: {ALICE, BOB}}
    on_day(30)
    assert pruned(fleet, read, dry=True) == []
    assert fleet.members() == {GROUP: {ALICE, BOB}}
    assert f"- membership {BOB} in {GROUP}" in fleet.lines("-")
    assert pruned(fleet, read) == []
    assert fleet.members() == {GROUP: {ALICE}}
    assert BOB in fleet.usernames()
    assert [call.operation for call in fleet.mutations()] == ["DeleteGroupMembership"]
    assert fleet.undo(fleet.results()[-1]) == []
    assert fleet.members() == {GROUP: {ALICE, BOB}}


@pytest.mark.parametrize("undone_on", [30, 400], ids=["the-same-day", "a-year-later"])
def test_an_undo_holds_until_the_age_is_reached_anew(
    fleet: FleetRehearsal, on_day: Callable[[int], None], undone_on: int
) -> None:
    bob_leaves(fleet)
    read = accounts_with("alice")
    on_day(0)
    audited(fleet, read)
    on_day(30)
    assert pruned(fleet, read) == []
    assert fleet.members() == {GROUP: {ALICE}}
    on_day(undone_on)
    assert fleet.undo(fleet.results()[-1]) == []
    assert fleet.members() == {GROUP: {ALICE, BOB}}
    assert any("count anew" in each for each in fleet.said)
    for day in (1, 30):
        on_day(undone_on + day)
        assert pruned(fleet, read) == []
        assert fleet.members() == {GROUP: {ALICE, BOB}}
    on_day(undone_on + 31)
    assert pruned(fleet, read) == []
    assert fleet.members() == {GROUP: {ALICE}}


@pytest.mark.parametrize("whole", [False, True], ids=["one-of-two", "the-last"])
@pytest.mark.parametrize("by_age", [False, True], ids=["prune", "prune-former"])
def test_who_is_given_more_since_the_plan_stays(
    fleet: FleetRehearsal,
    on_day: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    whole: bool,
    by_age: bool,
) -> None:
    staying = () if whole else ("alice",)
    others = intents(ACCOUNT, "carol", set_name="Writers")
    fleet.provisioned(intents(ACCOUNT, *staying, "bob"), others)
    fleet.leave(intents(ACCOUNT, *staying), others)
    read = accounts_with(*staying, "carol")
    on_day(0)
    audited(fleet, read)
    on_day(31)
    theirs = set_by_hand(fleet, "Theirs", "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess")
    group_id = fleet.group_id(GROUP)
    original = provisioning._apply

    def apply(*given: Any) -> list[str]:
        assign(fleet, theirs, group_id, OTHER_ACCOUNT, "GROUP")
        return original(*given)

    before = fleet.members()
    with monkeypatch.context() as patch:
        patch.setattr(provisioning, "_apply", apply)
        failures = pruned(fleet, read) if by_age else fleet.run(prune=True, lock_out=True)
    assert f"- membership {BOB} in {GROUP}" in fleet.lines("-")
    assert fleet.members() == before
    assert {account for account, _, _ in fleet.assigned()} == {ACCOUNT, OTHER_ACCOUNT}
    assert not [call for call in fleet.mutations() if call.operation.startswith("Delete")]
    assert failures[0] == (
        f"membership {BOB} in {GROUP} is kept: the group has been assigned since it was read (Theirs in account "
        f"{OTHER_ACCOUNT}): find out who did this, and run again"
    )


def test_without_a_record_nobody_is_old(fleet: FleetRehearsal, on_day: Callable[[int], None]) -> None:
    bob_leaves(fleet)
    on_day(400)
    assert pruned(fleet, accounts_with("alice")) == []
    assert fleet.members() == {GROUP: {ALICE, BOB}}
    on_day(430)
    assert pruned(fleet, accounts_with("alice")) == []
    assert fleet.members() == {GROUP: {ALICE}}


@pytest.mark.parametrize(
    ("now", "recorded"),
    [
        pytest.param(accounts_with("alice", "bob"), False, id="the-user-exists-again"),
        pytest.param(accounts_with("alice", unreadable=[ACCOUNT]), True, id="the-account-is-not-readable"),
    ],
)
def test_whose_iam_user_is_not_known_to_be_deleted_stays(
    fleet: FleetRehearsal, on_day: Callable[[int], None], now: LiveUsers, recorded: bool
) -> None:
    bob_leaves(fleet)
    on_day(0)
    audited(fleet, accounts_with("alice"))
    on_day(60)
    assert pruned(fleet, now) == []
    assert fleet.members() == {GROUP: {ALICE, BOB}}
    record = json.loads((fleet.output / former_members.FILE).read_text())["former"]
    assert bool(record) is recorded


def test_an_account_whose_users_are_all_gone(fleet: FleetRehearsal, on_day: Callable[[int], None]) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"), intents(OTHER_ACCOUNT, "bob"))
    fleet.leave_only(intents(ACCOUNT, "alice"))
    on_day(0)
    (line,) = audited(fleet, accounts_with("alice"))
    assert line.startswith(f"= {BOB} in group iam-{OTHER_ACCOUNT}-Readers")
    on_day(31)
    assert pruned(fleet, accounts_with("alice")) == []
    assert fleet.members() == {GROUP: {ALICE}, f"iam-{OTHER_ACCOUNT}-Readers": set()}


def test_a_group_that_gives_more_by_now_keeps_its_members(
    fleet: FleetRehearsal, on_day: Callable[[int], None]
) -> None:
    bob_leaves(fleet)
    on_day(0)
    audited(fleet, accounts_with("alice"))
    group = next(each.id for each in fleet.instance.store.groups.values())
    admin = set_by_hand(fleet, "Theirs", "arn:aws:iam::aws:policy/ReadOnlyAccess")
    assign(fleet, admin, group, OTHER_ACCOUNT, "GROUP")
    on_day(31)
    pruned(fleet, accounts_with("alice"))
    assert fleet.members() == {GROUP: {ALICE, BOB}}


def test_the_oldest_come_first(fleet: FleetRehearsal, on_day: Callable[[int], None]) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice", "bob", "zoe"))
    fleet.leave(intents(ACCOUNT, "alice"))
    on_day(0)
    audited(fleet, accounts_with("alice", "bob"))
    on_day(10)
    lines = audited(fleet, accounts_with("alice"))
    assert [line.split()[1] for line in lines] == ["zoe@example.com", BOB]
    assert ["(10 days)" in lines[0], "(0 days)" in lines[1]] == [True, True]


def test_a_record_that_can_not_be_read(fleet: FleetRehearsal) -> None:
    bob_leaves(fleet)
    for content in ("{", '{"schema": 2}', '{"schema": 1, "instance": "i", "former": [{"group": "g"}]}'):
        fleet.store.replace(former_members.FILE, content.encode())
        with pytest.raises(IdentityCenterError, match="can't be read as the record of former memberships"):
            pruned(fleet, accounts_with("alice"))
    row = {"group": GROUP, "username": BOB, "since": "2020-01-01T00:00:00"}
    data = {"schema": 1, "instance": fleet.instance.arn, "former": [row]}
    with pytest.raises(IdentityCenterError, match="has no time zone"):
        parse(json.dumps(data).encode(), "former.json", fleet.instance.arn)
    row["since"] = "2020-01-01T00:00:00+00:00"
    assert parse(json.dumps(data).encode(), "former.json", "another") == {}
    assert fleet.mutations() == []


def test_what_was_not_reviewed_keeps_its_time() -> None:
    earlier = {("a", "x"): NOW, ("b", "x"): NOW, ("c", "x"): NOW}
    later = NOW + timedelta(days=1)
    found = updated(earlier, {("a", "x"), ("d", "x")}, {("c", "x")}, {"a", "b", "c", "d"}, later)
    assert found == {("a", "x"): NOW, ("c", "x"): NOW, ("d", "x"): later}
    assert updated(earlier, (), (), (), later) == earlier


def test_a_run_without_an_audit_ends_the_time_of_who_came_back(
    fleet: FleetRehearsal, on_day: Callable[[int], None]
) -> None:
    bob_leaves(fleet)
    on_day(0)
    audited(fleet, accounts_with("alice"))
    on_day(1)
    fleet.leave(intents(ACCOUNT, "alice", "bob"))
    assert fleet.run(dry=True) == []
    assert json.loads((fleet.output / former_members.FILE).read_text())["former"]
    assert fleet.run() == []
    assert json.loads((fleet.output / former_members.FILE).read_text())["former"] == []
    fleet.leave(intents(ACCOUNT, "alice"))
    on_day(40)
    assert pruned(fleet, accounts_with("alice")) == []
    assert fleet.members() == {GROUP: {ALICE, BOB}}
    on_day(70)
    assert pruned(fleet, accounts_with("alice")) == []
    assert fleet.members() == {GROUP: {ALICE}}


def test_who_is_back_and_refused_is_back(fleet: FleetRehearsal, on_day: Callable[[int], None]) -> None:
    bob_leaves(fleet)
    on_day(0)
    audited(fleet, accounts_with("alice"))
    found = intents(ACCOUNT, "alice", "bob")
    alice, bob = found.users
    fleet.leave(replace(found, users=(alice, replace(bob, credentials=None))))
    assert fleet.run() != []
    assert json.loads((fleet.output / former_members.FILE).read_text())["former"] == []


@pytest.mark.parametrize(
    ("read", "stays"),
    [
        pytest.param(LiveUsers((("alice", "alice"), ("bob", "robert"))), True, id="renamed"),
        pytest.param(
            LiveUsers((("alice", "alice"), ("another", "bob"))), False, id="another-user-of-the-name"
        ),
    ],
)
def test_users_are_known_by_their_unique_ids(
    fleet: FleetRehearsal, on_day: Callable[[int], None], read: LiveUsers, stays: bool
) -> None:
    bob_leaves(fleet)
    on_day(0)
    audited(fleet, read)
    on_day(31)
    assert pruned(fleet, read) == []
    assert (BOB in fleet.members()[GROUP]) is stays


def test_what_a_colleague_assigned_in_the_same_account_keeps_the_members(
    fleet: FleetRehearsal, on_day: Callable[[int], None]
) -> None:
    bob_leaves(fleet)
    on_call = set_by_hand(fleet, "OnCall", "arn:aws:iam::aws:policy/PowerUserAccess")
    assign(fleet, on_call, fleet.group_id(GROUP), ACCOUNT, "GROUP")
    on_day(0)
    (line,) = [each for each in audited(fleet, accounts_with("alice")) if each.startswith(f"= {BOB}")]
    assert f"the group also has OnCall in account {ACCOUNT}, which no run assigned" in line
    on_day(31)
    pruned(fleet, accounts_with("alice"))
    assert fleet.members() == {GROUP: {ALICE, BOB}}
    fleet.unassign(ACCOUNT, on_call, fleet.group_id(GROUP))
    assert pruned(fleet, accounts_with("alice")) == []
    assert fleet.members() == {GROUP: {ALICE}}


def test_who_was_hired_under_a_former_name_is_somebody_else(
    fleet: FleetRehearsal, on_day: Callable[[int], None]
) -> None:
    bob_leaves(fleet)
    on_day(0)
    audited(fleet, accounts_with("alice"))
    fleet.delete_user(BOB)
    join(fleet, GROUP, create_user(fleet, BOB))
    on_day(31)
    pruned(fleet, accounts_with("alice"))
    assert fleet.members() == {GROUP: {ALICE, BOB}}
    (line,) = [each for each in fleet.lines("!") if "unexpected" in each]
    assert f"{BOB} in group {GROUP}" in line
    assert "no run with results here made it" in line


def test_former_people_whose_membership_was_undone_and_restored(
    fleet: FleetRehearsal, on_day: Callable[[int], None]
) -> None:
    bob_leaves(fleet)
    on_day(0)
    audited(fleet, accounts_with("alice"))
    on_day(31)
    assert pruned(fleet, accounts_with("alice")) == []
    assert fleet.undo(fleet.results()[-1]) == []
    assert fleet.members() == {GROUP: {ALICE, BOB}}
    on_day(32)
    (line,) = [each for each in audited(fleet, accounts_with("alice")) if each.startswith(f"= {BOB}")]
    assert "an earlier run made the membership" in line


def test_whose_iam_user_this_tool_deleted_has_not_left(
    fleet: FleetRehearsal, on_day: Callable[[int], None], tmp_path: Path
) -> None:
    bob_leaves(fleet)
    outcome = Outcome.of(user(ACCOUNT, "bob", None, "x").subject, DELETED)
    write_outcomes(tmp_path / ACCOUNT / "us-east-1" / "delete", [outcome])
    deleted = Deletions(DirectoryStore(tmp_path)).known
    assert deleted == {f"AIDA{ACCOUNT}BOB"}
    on_day(0)
    audited(fleet, accounts_with("alice"))
    on_day(40)
    (line,) = [
        each for each in audited(fleet, accounts_with("alice"), deleted) if each.startswith(f"= {BOB}")
    ]
    assert "this tool deleted its IAM users" in line
    assert pruned(fleet, accounts_with("alice"), deleted=deleted) == []
    assert fleet.members() == {GROUP: {ALICE, BOB}}
    on_day(80)
    assert pruned(fleet, accounts_with("alice")) == []
    assert fleet.members() == {GROUP: {ALICE, BOB}}, "the time begins anew"


def test_two_audits_at_once_lose_no_record(fleet: FleetRehearsal, on_day: Callable[[int], None]) -> None:
    bob_leaves(fleet)
    on_day(0)
    read = accounts_with("alice")
    ours = FormerMembers({}, frozenset({(GROUP, BOB)}), frozenset(), frozenset(), frozenset({GROUP}), NOW)
    ours = replace(ours, since={(GROUP, BOB): NOW})
    theirs = replace(ours, gone=frozenset({("x", "y")}), reviewed=frozenset({"x"}), since={("x", "y"): NOW})
    instance = fleet.center().instance
    for each in (ours, theirs):
        each.record(fleet.store, instance)
    content = fleet.store.read(former_members.FILE) or b""
    assert parse(content, "", instance.arn).keys() == {(GROUP, BOB), ("x", "y")}
    assert audited(fleet, read)


def deleting_journal(result: str = "done") -> bytes:
    """The journal of a run that deleted bob, and was killed before it wrote outcomes."""
    call = {"service": "iam", "operation": "DeleteUser", "parameters": {"UserName": "bob"}}
    subject = user(ACCOUNT, "bob", None, "x").subject
    lines = [journal_line(NOW, subject, "before", call)]
    return b"".join(
        [*lines, journal_line(NOW, subject, "after", {**call, "result": result})] if result else lines
    )


PUT = f"journal/20261128T000000Z-ab/bob.AIDA{ACCOUNT}BOB.jsonl"


@pytest.mark.parametrize("name", ["journal.jsonl", PUT], ids=["file", "object-of-a-user"])
@pytest.mark.parametrize(
    ("result", "is_deleted"),
    [("done", True), ("", True), ("unknown", True), ("failed", False)],
    ids=["done", "killed-in-the-call", "no-answer", "refused-by-aws"],
)
def test_a_killed_runs_journal_has_its_deletions(
    tmp_path: Path, name: str, result: str, is_deleted: bool
) -> None:
    store = DirectoryStore(tmp_path)
    store.replace(f"{ACCOUNT}/delete/{name}", deleting_journal(result))
    bob = f"AIDA{ACCOUNT}BOB"
    assert Deletions(store).among([bob, "AIDAOTHER"]) == ({bob} if is_deleted else set())


def test_a_place_without_outcomes_does_not_tell_who_was_deleted(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.replace("account/policy/resources.json", b"[]")
    store.replace("identity-center-runs/20261128T000000.000000Z/journal.jsonl", deleting_journal())
    with pytest.raises(IdentityCenterError, match=r"has no outcomes\.json and no journal of a policy"):
        Deletions(store)


def test_no_time_begins_before_the_deletions_were_read(
    fleet: FleetRehearsal, on_day: Callable[[int], None]
) -> None:
    bob_leaves(fleet)
    on_day(0)
    fleet.said = []
    audit(
        read_fleet(fleet.store, trust=TrustOptions(trusted=True)),
        fleet.center(),
        fleet.said.append,
        accounts_with("alice"),
    )
    assert "is not recorded: this tool may have deleted them: give --deletions" in "".join(fleet.lines("?"))
    assert not fleet.store.read(former_members.FILE)
    on_day(31)
    assert pruned(fleet, accounts_with("alice")) == []
    assert fleet.members() == {GROUP: {ALICE, BOB}}


def shared(account: str, *names: str) -> Intents:
    given: dict[str, Any] = {"group": "Sales", "shared_group": True, "policy": "shared"}
    return intents(account, *names, **given, place=f"{account}/shared")


def made_by_others(fleet: FleetRehearsal) -> None:
    fleet.make_group("Sales", "Theirs")


def joined_by_hand(fleet: FleetRehearsal) -> None:
    """Whoever was in the group before the run stays in it: the run did not put them there."""
    made_by_others(fleet)
    join(fleet, "Sales", create_user(fleet, BOB))


def assigned_by_others(fleet: FleetRehearsal) -> None:
    group = next(each.id for each in fleet.instance.store.groups.values())
    assign(fleet, set_by_hand(fleet, "Theirs", AUDIT), group, ACCOUNT, "GROUP")


def joined_anew(fleet: FleetRehearsal) -> None:
    join(fleet, "Sales", fleet.remove_member("Sales", BOB))


@pytest.mark.parametrize(
    ("then", "of_others"),
    [
        pytest.param([shared(ACCOUNT, "alice")], False, id="asked"),
        pytest.param([intents(ACCOUNT, "alice")], False, id="not"),
        pytest.param([shared(ACCOUNT, "alice")], True, id="group-of-others"),
    ],
)
def test_leavers_go_from_a_shared_group_that_a_run_put_them_into(
    fleet: FleetRehearsal, on_day: Callable[[int], None], then: list[Intents], of_others: bool
) -> None:
    if of_others:
        made_by_others(fleet)
    fleet.provisioned(shared(ACCOUNT, "alice", "bob"))
    fleet.leave_only(*then)
    read = accounts_with("alice")
    on_day(0)
    (line,) = (each for each in audited(fleet, read) if BOB in each)
    assert line.endswith(
        "provision prune --former DAYS would remove it: its IAM users are deleted since 2026-11-28 or earlier (0 days)"
    )
    assert not [each for each in fleet.lines("!") if BOB in each]
    on_day(29)
    assert pruned(fleet, read) == []
    assert fleet.run(prune=True) == []
    assert fleet.members()["Sales"] == {ALICE, BOB}
    on_day(30)
    assert pruned(fleet, read) == []
    assert fleet.members()["Sales"] == {ALICE}
    assert [call.operation for call in fleet.mutations()].count("DeleteGroupMembership") == 1
    assert fleet.undo(fleet.results()[-1]) == []
    assert fleet.members()["Sales"] == {ALICE, BOB}


@pytest.mark.parametrize(
    ("before", "after", "accounts", "then", "told"),
    [
        pytest.param(joined_by_hand, None, [ACCOUNT], ["alice"], "", id="before-the-run"),
        pytest.param(None, joined_anew, [ACCOUNT], ["alice"], "", id="joined-anew"),
        pytest.param(None, assigned_by_others, [ACCOUNT], ["alice"], "which no run assigned", id="of-others"),
        pytest.param(None, None, [ACCOUNT, OTHER_ACCOUNT], ["alice"], "no option removes", id="gives-more"),
        pytest.param(None, None, [ACCOUNT], ["alice", "bob"], "", id="has-other-intents"),
    ],
)
def test_in_a_shared_group_stays_who_may_have_it_of_others(
    fleet: FleetRehearsal,
    on_day: Callable[[int], None],
    before: Happening | None,
    after: Happening | None,
    accounts: list[str],
    then: list[str],
    told: str,
) -> None:
    if before:
        before(fleet)
    fleet.provisioned(shared(ACCOUNT, "alice", "bob"), *(shared(each, "alice") for each in accounts[1:]))
    if after:
        after(fleet)
    fleet.leave_only(
        *(shared(each, "alice") for each in accounts), *(intents(ACCOUNT, each) for each in then[1:])
    )
    on_day(0)
    lines = [each for each in audited(fleet, accounts_with("alice")) if BOB in each and "membership" in each]
    on_day(40)
    pruned(fleet, accounts_with("alice"))
    assert fleet.members()["Sales"] == {ALICE, BOB}
    assert bool(lines) == bool(told)
    assert all(told in each for each in lines)
