# SPDX-License-Identifier: Apache-2.0
"""For which IAM users a killed run gave access is known to those that come after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.identity_center.applying import served_users
from c7n_iamusers.identity_center.requests.intents import Intents
from c7n_iamusers.identity_center.writer.writer import DONE, FAILED, ChangeResult
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import intents, person
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.undo.test_undoing import GROUP, incomplete

TEAM = "team@example.com"
#: Calls of a run that gives one person access from the beginning, the membership last.
ALL = 6


def of_team(account: str, name: str, **fields: Any) -> Intents:
    """Intents whose only IAM user has the address of the team."""
    found = intents(account, name, **fields)
    return replace(found, users=tuple(replace(each, person=person("team")) for each in found.users))


def shared(account: str, name: str) -> Intents:
    given: dict[str, Any] = {"group": "Sales", "shared_group": True, "policy": "shared"}
    return of_team(account, name, **given, place=f"{account}/shared")


def refused(fleet: FleetRehearsal, account: str) -> None:
    """A run with the intents of another IAM user alone refuses it."""
    fleet.leave_only(of_team(account, "alice", set_name="Auditors"))
    (failure,) = fleet.run()
    assert f"an earlier run gave {TEAM} access for other IAM users of account {account}: bob" in failure
    assert f"iam-{account}-Auditors" not in fleet.members()


def test_another_iam_user_does_not_inherit_what_a_killed_run_gave(fleet: FleetRehearsal) -> None:
    fleet.leave(of_team(ACCOUNT, "bob"))
    fleet.killed(ALL)
    assert fleet.members() == {GROUP: {TEAM}}
    for _ in range(3):
        refused(fleet, ACCOUNT)


def test_what_a_killed_run_assigned_to_a_group_that_the_person_was_in(fleet: FleetRehearsal) -> None:
    fleet.provisioned(shared(ACCOUNT, "bob"))
    fleet.leave(shared(OTHER_ACCOUNT, "bob"))
    fleet.killed(1)
    for _ in range(2):
        refused(fleet, OTHER_ACCOUNT)


def test_what_a_killed_run_did_not_give_is_nobodys(fleet: FleetRehearsal) -> None:
    fleet.leave(of_team(ACCOUNT, "bob"))
    fleet.killed(ALL - 1)
    fleet.forget()
    fleet.provisioned(of_team(ACCOUNT, "alice", set_name="Auditors"))
    assert fleet.members()[f"iam-{ACCOUNT}-Auditors"] == {TEAM}


def test_an_undo_knows_who_needs_what_a_killed_run_gave(fleet: FleetRehearsal) -> None:
    fleet.leave(of_team(ACCOUNT, "bob"))
    fleet.killed(ALL)
    fleet.forget()
    fleet.provisioned(intents(OTHER_ACCOUNT, "carol"))

    def read_users(accounts: Iterable[str]) -> dict[str, dict[str, str]]:
        (carol,) = intents(OTHER_ACCOUNT, "carol").users
        return {each: {carol.subject.unique_id: ""} for each in accounts}

    assert incomplete(fleet.undo(fleet.results()[-1], read_users=read_users)) > 0
    assert any(
        f"IAM user arn:aws:iam::{ACCOUNT}:user/bob has been deleted" in each for each in fleet.lines("!")
    )
    assert TEAM in fleet.members()[GROUP]


def test_a_record_of_iam_users_that_no_run_has_written(fleet: FleetRehearsal) -> None:
    fleet.leave(of_team(ACCOUNT, "bob"))
    fleet.killed(ALL)
    (name,) = fleet.output.glob("identity-center-runs/*/served-users.json")
    name.write_text('{"schema": 1, "memberships": [{"group": "g"}]}')
    fleet.refuses(r"can.t be read as the IAM users of a killed run", fleet.run)


@pytest.mark.parametrize(
    ("row", "status", "is_there"),
    [
        ({"user-id": "u", "group-id": "g"}, None, True),
        ({"user-id": "u", "group-id": "g"}, DONE, True),
        ({"user-id": "u", "group-id": "g"}, FAILED, False),
        ({"user-id": "", "group-id": "g"}, None, False),
        ({"user-id": "u", "group-id": ""}, DONE, False),
    ],
    ids=["as-it-was", "made", "failed", "nobody", "no-group"],
)
def test_only_memberships_that_exist_are_kept(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, str], status: str | None, is_there: bool
) -> None:
    monkeypatch.setattr(served_users, "_rows", lambda *_: [("key", row)])
    report: Any = SimpleNamespace(ended={"key": ChangeResult(status)} if status else {})
    assert [*served_users.rows(report, {})] == [row] * is_there
