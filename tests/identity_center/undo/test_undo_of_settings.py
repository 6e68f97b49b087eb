# SPDX-License-Identifier: Apache-2.0
"""Undoing a run that changed an existing permission set: its former settings come back, to nobody new."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.identity_center.model import CurrentAccess
from c7n_iamusers.identity_center.object_records import Removed, removed_by, settings_record
from c7n_iamusers.identity_center.undo import undoing
from c7n_iamusers.identity_center.undo.only_access import ReadUsers, users_not_read
from tests.access_center import ACCOUNT, AUDIT, READ_ONLY, known_set
from tests.desired import ACCEPT_ALL, intents, readers
from tests.identity_center.fleet_rehearsal import FleetRehearsal, provision_earlier_form
from tests.identity_center.planning.test_access_review import ALICE, BOB, create_user, join
from tests.identity_center.undo.test_undoing import incomplete, undone

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
GROUP = f"iam-{ACCOUNT}-Readers"
STATEMENT = {"Action": "s3:GetObject", "Effect": "Allow", "Resource": "arn:aws:s3:::b/*"}
INLINE = json.dumps({"Statement": [STATEMENT], "Version": "2012-10-17"}, separators=(",", ":"))
ADMINS = replace(readers(), managed_policies=frozenset({ADMIN}))


def requests(fleet: FleetRehearsal, permission_set: PermissionSet, *names: str) -> None:
    fleet.leave_only(
        intents(ACCOUNT, *(names or ("alice",)), permission_set=permission_set, accept=ACCEPT_ALL)
    )


def ran(fleet: FleetRehearsal, *sets: PermissionSet) -> None:
    """A run for each of ``sets``, for alice."""
    for each in sets:
        requests(fleet, each)
        assert fleet.run() == []


def content(fleet: FleetRehearsal) -> dict[str, Any]:
    (found,) = fleet.instance.permission_sets.values()
    return deepcopy({key: value for key, value in vars(found).items() if key not in ("arn", "created")})


def policies(fleet: FleetRehearsal) -> set[str]:
    (found,) = fleet.instance.permission_sets.values()
    return set(found.managed_policies)


OTHERS = [
    pytest.param(ADMINS, id="other-managed-policies"),
    pytest.param(replace(readers(), inline_policy=INLINE), id="inline-policy"),
    pytest.param(replace(readers(), session_duration="PT8H"), id="longer-sessions"),
    pytest.param(replace(readers(), description="Else"), id="description"),
]
BOUND = pytest.param(replace(readers(), boundary=READ_ONLY), False, id="boundary-that-no-run-removes")


@pytest.mark.parametrize(
    ("then", "back"),
    [
        *(
            pytest.param(*each.values, back, id=f"{each.id}-{back}")
            for each in OTHERS
            for back in (False, True)
        ),
        BOUND,
    ],
)
def test_former_settings_come_back(fleet: FleetRehearsal, then: PermissionSet, back: bool) -> None:
    first, second = (then, readers()) if back else (readers(), then)
    ran(fleet, first)
    before = content(fleet)
    ran(fleet, second)
    assert content(fleet) != before
    result = fleet.results()[-1]
    assert fleet.undo(result, dry=True) == []
    (line,) = fleet.lines("+")
    assert line.startswith("+ permission set Readers")
    assert fleet.undo(result) == []
    assert content(fleet) == before
    assert undone(result)["complete"] is True
    assert fleet.undo(result) == []
    assert fleet.mutations() == []


def test_settings_that_others_have_changed_since_stay(fleet: FleetRehearsal) -> None:
    ran(fleet, readers(), ADMINS)
    fleet.attach(AUDIT)
    result = fleet.results()[-1]
    assert incomplete(fleet.undo(result)) == 1
    (line,) = fleet.lines("!")
    assert line.endswith(
        "settings of permission set Readers: can't be restored: its settings have changed since the run"
    )
    assert policies(fleet) == {ADMIN, AUDIT}
    assert undone(result)["complete"] is False


def test_what_others_change_after_the_plan_stays(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(fleet, readers(), ADMINS)
    original = undoing._apply

    def apply(*given: Any) -> list[str]:
        fleet.attach(AUDIT)
        return original(*given)

    monkeypatch.setattr(undoing, "_apply", apply)
    failures = fleet.undo(fleet.results()[-1])
    assert "its settings have changed since the run" in failures[0]
    assert policies(fleet) == {ADMIN, AUDIT}


def test_wider_settings_come_back_only_to_those_who_had_them(fleet: FleetRehearsal) -> None:
    ran(fleet, ADMINS, readers())
    result = fleet.results()[-1]
    join(fleet, GROUP, create_user(fleet, "carol@example.com"))
    (failure,) = fleet.undo(result)
    assert f"carol@example.com did not hold it in account {ACCOUNT} before the run" in failure
    assert (policies(fleet), fleet.mutations()) == ({READ_ONLY}, [])


def test_whom_the_run_added_goes_before_wider_settings_come_back(fleet: FleetRehearsal) -> None:
    ran(fleet, ADMINS)
    requests(fleet, readers(), "alice", "bob")
    assert fleet.run() == []
    assert fleet.undo(fleet.results()[-1]) == []
    assert policies(fleet) == {ADMIN}
    assert BOB not in fleet.usernames()
    made = [each.operation for each in fleet.mutations()]
    assert made.index("DeleteGroupMembership") < made.index("AttachManagedPolicyToPermissionSet")


def test_who_was_removed_comes_back_after_the_settings(fleet: FleetRehearsal) -> None:
    both = replace(readers(), managed_policies=frozenset({READ_ONLY, AUDIT}))
    requests(fleet, both, "alice", "bob")
    assert fleet.run() == []
    requests(fleet, readers())
    assert fleet.run(prune=True, lock_out=True) == []
    result = fleet.results()[-1]
    assert fleet.members() == {GROUP: {ALICE}}
    assert incomplete(fleet.undo(result)) == 1
    assert (policies(fleet), fleet.members()) == ({READ_ONLY, AUDIT}, {GROUP: {ALICE}})
    assert fleet.undo(result) == []
    assert fleet.members() == {GROUP: {ALICE, BOB}}


def test_narrower_settings_come_back_also_to_who_joined(fleet: FleetRehearsal) -> None:
    ran(fleet, replace(readers(), session_duration="PT1H"), replace(readers(), session_duration="PT8H"))
    join(fleet, GROUP, create_user(fleet, "carol@example.com"))
    assert fleet.undo(fleet.results()[-1]) == []
    (found,) = fleet.instance.permission_sets.values()
    assert found.session_duration == "PT1H"


def read_as(why: str | None) -> Callable[[Iterable[str]], dict[str, dict[str, str] | str]]:
    """Reads accounts that have alice's IAM user, and why its person has no access by it; None if it is deleted."""
    (alice,) = intents(ACCOUNT, "alice").users
    return lambda accounts: dict.fromkeys(accounts, {} if why is None else {alice.subject.unique_id: why})


@pytest.mark.parametrize(
    ("read_users", "reason"),
    [
        pytest.param(read_as(None), "user/alice has been deleted", id="deleted"),
        pytest.param(read_as("is quarantined"), "user/alice is quarantined", id="quarantined"),
        pytest.param(users_not_read, "it was not checked whether its IAM user still exists", id="not-read"),
        pytest.param(read_as(""), "", id="exists"),
        pytest.param(None, "", id="lock-out"),
    ],
)
def test_who_may_need_the_settings_of_the_run_keeps_them(
    fleet: FleetRehearsal, read_users: ReadUsers | None, reason: str
) -> None:
    ran(fleet, readers(), ADMINS)
    failures = fleet.undo(fleet.results()[-1], read_users=read_users)
    assert policies(fleet) == {ADMIN if reason else READ_ONLY}
    assert len(failures) == bool(reason)
    assert all(reason in line for line in fleet.lines("!"))


@pytest.mark.parametrize("since", ["before-the-plan", "after-the-plan"])
def test_who_came_to_hold_the_settings_by_others_keeps_them(fleet: FleetRehearsal, since: str) -> None:
    """Before the plan, it is --lock-out that takes them; after it, nobody has seen whom that concerns."""
    both = frozenset({READ_ONLY, AUDIT})
    ran(fleet, readers(), replace(readers(), managed_policies=both))

    def joins() -> None:
        join(fleet, GROUP, create_user(fleet, "carol@example.com"))

    def say(line: str) -> None:
        if since == "after-the-plan" and line.startswith("Plan:"):
            joins()

    if since == "before-the-plan":
        joins()
    read_users = read_as("") if since == "before-the-plan" else None
    failures = fleet.undo(fleet.results()[-1], read_users=read_users, say=say)
    assert policies(fleet) == both
    assert len(failures) == 1
    if since == "after-the-plan":
        assert f"carol@example.com got it in account {ACCOUNT} since it was read" in failures[0]


def test_an_earlier_form_in_an_account_is_lost(fleet: FleetRehearsal) -> None:
    ran(fleet, readers())
    (arn,) = fleet.instance.permission_sets
    provision_earlier_form(fleet, arn)
    ran(fleet, readers())
    assert incomplete(fleet.undo(fleet.results()[-1])) == 1
    assert f"account {ACCOUNT} had an earlier form of it before the run" in fleet.lines("!")[0]


@pytest.mark.parametrize("number", range(1, 4))
@pytest.mark.parametrize("sets", [(readers(), ADMINS), (ADMINS, readers())], ids=["widened", "narrowed"])
def test_a_run_and_an_undo_that_are_killed_at_any_call(
    fleet: FleetRehearsal,
    number: int,
    sets: tuple[PermissionSet, PermissionSet],
) -> None:
    ran(fleet, sets[0])
    before = content(fleet)
    requests(fleet, sets[1])
    acts: list[Callable[[], list[str]]] = [fleet.run, lambda: fleet.undo(fleet.results()[-1])]
    for act in acts:
        fleet.killed(number, act)
        assert act() == []
    assert content(fleet) == before


def test_the_record_is_durable_before_the_first_call(fleet: FleetRehearsal) -> None:
    ran(fleet, replace(readers(), inline_policy=INLINE), ADMINS)
    journal = (fleet.results()[-1].parent / "journal.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in journal]
    first = next(
        line for line in lines if line["phase"] == "before" and "PermissionSetArn" in line["parameters"]
    )
    assert first["notes"]["removed"]["settings"]["inline_policy"] == INLINE


def test_former_settings_need_consent(fleet: FleetRehearsal) -> None:
    ran(fleet, ADMINS, readers())
    fleet.refuses("give people access that", fleet.undo, fleet.results()[-1], accepted=False)


FIRST = settings_record(known_set(readers()), CurrentAccess())
THEN = settings_record(known_set(ADMINS), CurrentAccess())


def call(phase: str, number: int, record: Removed | None = None, result: str = "") -> dict[str, Any]:
    notes = {"notes": {"removed": record.as_data()}} if record else {}
    ended = {"result": result} if result else {}
    return {"phase": phase, "operation": "X", "parameters": {"n": number}, **notes, **ended}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([call("before", 1, FIRST), call("after", 1, None, "failed")], [], id="nothing-changed"),
        pytest.param(
            [
                call("before", 1, FIRST),
                call("after", 1, None, "done"),
                call("before", 2),
                call("after", 2, None, "failed"),
                call("before", 2, THEN),
                call("after", 2, None, "failed"),
            ],
            [FIRST],
            id="a-later-call-failed",
        ),
        pytest.param(
            [
                call("before", 1, FIRST),
                call("after", 1, None, "unknown"),
                call("before", 1, FIRST),
                call("after", 1, None, "failed"),
            ],
            [FIRST],
            id="no-answer-and-failed-again",
        ),
        pytest.param(
            [call("before", 1, FIRST), call("after", 1, None, "done"), call("before", 3, THEN)],
            [FIRST],
            id="continued-by-another-run",
        ),
        pytest.param(
            [
                call("before", 1, FIRST),
                call("before", 2, FIRST),
                call("after", 1, None, "failed"),
                call("after", 2, None, "done"),
            ],
            [FIRST],
            id="one-of-two-at-a-time-failed",
        ),
        pytest.param(
            [
                call("before", 1, FIRST),
                call("before", 2, FIRST),
                call("after", 2, None, "done"),
                call("after", 1, None, "failed"),
            ],
            [FIRST],
            id="one-of-two-failed-later",
        ),
        pytest.param(
            [
                call("before", 1, FIRST),
                call("before", 2, FIRST),
                call("after", 1, None, "failed"),
                call("after", 2, None, "failed"),
            ],
            [],
            id="both-failed",
        ),
    ],
)
def test_the_settings_before_the_first_change_count(
    lines: list[dict[str, Any]], expected: list[Removed]
) -> None:
    assert removed_by(lines) == expected
