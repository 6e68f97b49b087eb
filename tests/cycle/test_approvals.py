# SPDX-License-Identifier: Apache-2.0
"""approvals.csv, which plans may be applied, and how the policies of a deletion are bound to a plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.cycle.approvals import (
    Approval,
    PlanState,
    as_bytes,
    bound,
    deleting_policies,
    deletions,
    differences,
    empty_plans,
    lapsed,
    parse_approvals,
    parse_state,
    planning,
    sha256_of,
    to_apply,
    with_approval,
)
from c7n_iamusers.deletion.reviewed_plan import DeletionPlan, PlannedDeletion, load_plan
from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers.reasons import NOT_IN_PLAN
from c7n_iamusers.text.documents import NotInFormat
from c7n_iamusers.text.times import CLOCKS_APART

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
A, B = "a" * 64, "b" * 64
JANE = Approval(A, "delete", "jane", NOW, "seen, with Ö")


def test_an_approval_is_added_once_and_read_again() -> None:
    content = with_approval(None, JANE)
    assert content.startswith(b"sha256,step,who,when,note\n")
    assert parse_approvals(content) == [JANE]
    assert with_approval(content, JANE) == content
    # whoever edits the file by hand may leave out the last end of a line
    both = with_approval(content.rstrip(b"\n"), Approval(B, "provision", "j", NOW))
    assert [each.sha256 for each in parse_approvals(both)] == [A, B]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"when,WHO,step,sha256,ticket,note\n", id="another order"),
        pytest.param(b"step;sha256;who;when\n", id="semicolons"),
        pytest.param(
            f"step,sha256,who,when,note\ndelete,{B},j\xf6,2026-11-30,\n".encode("utf-16"), id="UTF-16"
        ),
    ],
)
def test_a_row_has_the_columns_of_its_file(content: bytes) -> None:
    found = parse_approvals(with_approval(content, replace(JANE, note="")))
    assert found[-1] == replace(JANE, note="")


def test_a_file_of_blank_lines_gets_its_header() -> None:
    assert parse_approvals(with_approval(b"\n \n", JANE)) == [JANE]


def test_a_note_is_not_lost_where_the_file_has_no_column_for_it() -> None:
    with pytest.raises(NotInFormat, match=r"^line 1: .* no column note: add it, or approve without a note"):
        with_approval(b"sha256,step,who,when\n", JANE)


def test_no_cell_is_a_formula() -> None:
    content = with_approval(None, Approval(A, "delete", "=cmd|' /C calc'!A0", NOW, "a\nb,c"))
    (found,) = parse_approvals(content)
    assert found.who.startswith("'=")
    assert found.note == "a\\u000ab,c"


HEAD = "sha256,step,who,when,note\n"


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("sha256,step\n", 1, "has no column who, when"),
        (f"{HEAD}abc,delete,jane,2026-11-30,\n", 2, "sha256"),
        (f"{HEAD}{A.upper()},delete,jane,2026-11-30,\n", 2, "sha256"),
        (f"{HEAD}{A},listen,jane,2026-11-30,\n", 2, "step must be one of"),
        (f"{HEAD}{A},delete,,2026-11-30,\n", 2, "who must have"),
        (f"{HEAD}{A},delete,{'x' * 201},2026-11-30,\n", 2, "who must have"),
        (f"{HEAD}{A},delete,jane,2026-11-30,Ticket 1, urgent\n", 2, "has 6 cells, the header 5"),
        (f"{HEAD}{A},delete,jane,2026-11-30,\n{B},delete,jane,soon,\n", 3, "when is no time"),
    ],
)
def test_a_row_that_approves_nothing_is_refused(content: str, line: int, says: str) -> None:
    with pytest.raises(NotInFormat) as refused:
        parse_approvals(content.encode())
    assert (refused.value.line, says in str(refused.value)) == (line, True), refused.value


def state(sha256: str = A, days: float = 0, **more: Any) -> PlanState:
    return PlanState("delete", sha256, NOW - timedelta(days=days), ("1", "2"), **more)


@pytest.mark.parametrize(
    ("states", "approved", "found"),
    [
        ([state()], [], []),
        ([state()], [JANE], [A]),
        ([state()], [Approval(B, "delete", "jane", NOW)], []),
        ([state()], [Approval(A, "provision", "jane", NOW)], []),
        ([state(days=7)], [JANE], [A]),
        ([state(days=7.1)], [JANE], []),
        # what was begun goes on, and not for ever: an account of it may have waited since
        ([state(days=9, begun=NOW - timedelta(days=6))], [JANE], [A]),
        ([state(days=9, begun=NOW - timedelta(days=8))], [JANE], []),
        ([state(begun=NOW, ended=NOW)], [JANE], []),
        (
            [state(A, 1), state(B, 2)],
            [JANE, Approval(B, "delete", "jane", NOW)],
            [B, A],
        ),
        (
            [state(A, 1, begun=NOW), state(B, 2)],
            [JANE, Approval(B, "delete", "jane", NOW)],
            [A, B],
        ),
        (
            [
                state(A, 1, begun=NOW - timedelta(hours=1)),
                state(B, 2, begun=NOW),
            ],
            [JANE, Approval(B, "delete", "jane", NOW)],
            [A, B],
        ),
        # a clock may be a little ahead
        ([state()], [Approval(A, "delete", "jane", NOW + CLOCKS_APART)], [A]),
        ([state()], [Approval(A, "delete", "jane", NOW + 2 * CLOCKS_APART)], []),
        # the same plan came again after it was applied
        ([state()], [Approval(A, "delete", "jane", NOW - timedelta(days=1))], []),
        ([state()], [Approval(A, "delete", "jane", NOW - timedelta(hours=12))], [A]),
        # the same plan was applied before, and was approved again since
        ([state(before=NOW - timedelta(hours=1))], [JANE], [A]),
        ([state(before=NOW)], [JANE], [A]),
        (
            [state(before=NOW - timedelta(hours=1))],
            [Approval(A, "delete", "jane", NOW - timedelta(hours=2)), Approval(B, "delete", "jane", NOW)],
            [],
        ),
        # whoever takes the approval back stops also what was begun
        ([state(begun=NOW)], [], []),
    ],
)
def test_which_plans_are_applied(states: list[PlanState], approved: list[Approval], found: list[str]) -> None:
    assert [each.sha256 for each in to_apply("delete", states, approved, NOW)] == found
    assert not to_apply("provision", states, approved, NOW)


@pytest.mark.parametrize(
    ("plan", "when", "why"),
    [
        (state(days=8), NOW, "it was made on 2026-11-22, and its approval counts for 7 days"),
        (
            state(),
            NOW - timedelta(days=2),
            "its approval is of 2026-11-28, and the plan was made again on 2026-11-30",
        ),
        (
            state(before=NOW - timedelta(hours=1)),
            NOW - timedelta(hours=2),
            "its approval is of 2026-11-30T10:00:00+00:00, and the same plan was applied until "
            "2026-11-30T11:00:00+00:00",
        ),
        (
            state(),
            NOW + timedelta(days=2),
            "its approval is of 2026-12-02T12:00:00+00:00, which is in the future",
        ),
    ],
)
def test_an_approval_that_does_not_count_is_named(plan: PlanState, when: datetime, why: str) -> None:
    approvals = [Approval(A, "delete", "jane", when)]
    assert lapsed("delete", [plan, state(B, 8)], approvals, NOW) == [(plan, why)]
    assert not lapsed("delete", [plan.begin(NOW)], approvals, NOW)


def test_a_plan_ends_with_its_last_account() -> None:
    first = state().begin(NOW).end(["1"], NOW)
    assert (first.begun, first.ended, first.applied) == (NOW, None, ("1",))
    last = first.begin(NOW + timedelta(days=1)).end(["2", "3"], NOW)
    assert (last.begun, last.ended, last.applied) == (NOW, NOW, ("1", "2"))
    assert parse_state(last.as_json()) == last


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"[]",
        state().as_json().replace(b'"delete"', b'"listen"'),
        state().as_json().replace(b"2026", b"x"),
        state().as_json().replace(b'"made": "2026-11-30T12:00:00+00:00"', b'"made": ""'),
        state(begun=NOW + timedelta(1)).as_json().replace(b"2026-12", b"x"),
    ],
)
def test_a_state_that_no_cycle_wrote_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # each has another text
        parse_state(content)


ACCOUNT = "111122223333"


def planned(name: str, fingerprint: str = "1", skipped: bool = False) -> PlannedDeletion:
    subject = Subject(name, f"arn:aws:iam::{ACCOUNT}:user/team/{name}", f"AIDA{name.upper()}")
    if skipped:
        return PlannedDeletion(subject, skipped=NOT_IN_PLAN())
    call = ApiCall("iam", "DeleteUser", {"UserName": name})
    return PlannedDeletion(subject, fingerprint * 64, (call,), {"access-key": 1})


def denied(user: PlannedDeletion, at: datetime) -> PlannedDeletion:
    """The same with the Deny that a deletion begins with, as composite-delete plans it at that time."""
    parameters = {
        "UserName": user.subject.name,
        "PolicyName": DENY_ALL_NAME,
        "PolicyDocument": deny_all_document(f"Deletion{at:%Y%m%dT%H%M%SZ}"),
    }
    return replace(user, calls=(ApiCall("iam", "PutUserPolicy", parameters), *user.calls))


def plan(*users: PlannedDeletion, made: datetime = NOW) -> dict[str, Any]:
    return deletions([DeletionPlan(ACCOUNT, "iam-users-delete", made, users)])


def test_the_same_deletions_have_the_same_digest() -> None:
    jane, joe = planned("jane"), planned("joe")
    first = sha256_of(plan(jane, joe))
    assert first == sha256_of(plan(joe, jane, planned("ann", skipped=True), made=NOW + timedelta(days=1)))
    # whenever it is made, and whatever the Deny is named then
    later = NOW + timedelta(days=1)
    assert first == sha256_of(plan(denied(jane, NOW), denied(joe, later), made=later))
    others = [plan(jane), plan(jane, planned("joe", "2")), plan(), plan(jane, joe, planned("ann"))]
    assert len({first, *map(sha256_of, others)}) == 5
    assert as_bytes(plan(jane)).endswith(b"\n")


def test_what_differs_is_said_user_by_user() -> None:
    before, after = (
        plan(planned("jane"), planned("joe"), planned("ann")),
        plan(planned("jane"), planned("joe", "2"), planned("bob")),
    )
    assert list(differences(before, after)) == [
        f"- ann of account {ACCOUNT}",
        f"+ bob of account {ACCOUNT}",
        f"~ joe of account {ACCOUNT}: it has changed since",
    ]


def test_what_differs_is_said_change_by_change() -> None:
    def access(**names: str) -> dict[str, Any]:
        return {"changes": [{"key": key, "kind": "assign", "name": name} for key, name in names.items()]}

    before, after = access(a="ann", b="bob", c="cid"), access(b="bob", c="cyd", d="dan")
    assert list(differences(before, after)) == ["- assign ann", "~ assign cyd", "+ assign dan"]
    assert list(differences({}, {"changes": [{"key": "a"}]})) == ["+  a"]


POLICIES: dict[str, list[dict[str, Any]]] = {
    "policies": [
        {
            "name": "machines",
            "resource": "aws.iam-user",
            "actions": [{"type": "composite-delete", "noticed": 30}, "x"],
        },
        {"name": "people", "resource": "aws.iam-user", "actions": ["composite-delete"]},
        {"name": "told", "resource": "aws.iam-user", "actions": [{"type": "notify-owners"}]},
    ]
}


def test_the_policies_of_a_plan_delete_nobody() -> None:
    assert deleting_policies(POLICIES) == ["machines", "people"]
    found = planning(POLICIES)["policies"]
    assert [each["actions"] for each in found] == [
        [{"type": "composite-delete", "noticed": 30, "plan-only": True}],
        [{"type": "composite-delete", "plan-only": True}],
    ]


def test_the_policies_of_a_deletion_are_bound_to_the_plan() -> None:
    places = {"machines": "m/{account_id}.json", "people": "p/{account_id}.json"}
    found = bound(POLICIES, places)["policies"]
    assert [each["actions"] for each in found] == [
        [{"type": "composite-delete", "noticed": 30, "plan": "m/{account_id}.json"}, "x"],
        [{"type": "composite-delete", "plan": "p/{account_id}.json"}],
        [{"type": "notify-owners"}],
    ]
    (first, *_) = POLICIES["policies"]
    assert first["actions"][0] == {"type": "composite-delete", "noticed": 30}


def test_a_policy_without_planned_users_has_a_plan_that_deletes_nobody() -> None:
    known = DeletionPlan(ACCOUNT, "machines", NOW, (planned("jane"),))
    found = empty_plans(["machines", "people"], {ACCOUNT}, [known], NOW)
    assert [(each.policy, len(load_plan(each.as_json()).users)) for each in found] == [
        ("machines", 1),
        ("people", 0),
    ]


def test_a_plan_has_the_same_digest_in_each_version() -> None:
    """Otherwise an approval does not count any more after an update."""
    made = as_bytes({"step": "delete", "deletions": [{"arn": "a", "account_id": "1"}]})
    assert made == (
        b'{\n "deletions": [\n  {\n   "account_id": "1",\n   "arn": "a"\n  }\n ],\n "step": "delete"\n}\n'
    )
    (first,) = plan(planned("jane"))["deletions"]
    assert not first.keys() & {"skipped", "code"}


def test_a_policy_without_actions_deletes_nobody() -> None:
    data = {"policies": [{"name": "filters alone"}]}
    assert (deleting_policies(data), bound(data, {})) == ([], data)
