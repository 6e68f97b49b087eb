# SPDX-License-Identifier: Apache-2.0
"""A brownout: a Deny that ends by itself, which everything knows as ours and which is no quarantine."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from c7n_iamusers.deletion.plan import plan_deletion
from c7n_iamusers.execution.calls import Plan
from c7n_iamusers.iam.deny_all import (
    ATTACHED,
    BOUNDARY,
    DENY_ALL_NAME,
    INLINE,
    INLINE_QUOTA,
    Brownout,
    brownout_of,
    has_foreign_policy,
    inline_deny_all,
    is_denial,
)
from c7n_iamusers.iam.own_changes import (
    NOTHING_KNOWN,
    broken_quarantine,
    deletion_begun,
    quarantine_of,
    without_own_changes,
)
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.quarantine.plan import plan_brownout, plan_brownout_end, plan_quarantine
from tests.quarantine.test_plan import (
    CREDENTIALS,
    NOW,
    SINCE,
    apply,
    in_quarantine,
    journal,
    quarantine,
    release,
)
from tests.records import user

QUARTER = timedelta(minutes=15)
AFTER = NOW + timedelta(days=3)
DARK = Brownout(SINCE, SINCE + QUARTER)
ALICE = user(**CREDENTIALS)


def browned_out(before: IamUser = ALICE) -> IamUser:
    planned = plan_brownout(before, NOW, 15)
    assert (planned.problem, planned.brownout) == ("", DARK)
    return apply(before, planned.plan)


def with_policy(document: Any, **attachments: Any) -> IamUser:
    return user(inline_policy=({"PolicyName": DENY_ALL_NAME, "PolicyDocument": document},), **attachments)


def test_it_is_one_inline_policy_that_ends_by_itself() -> None:
    (call,) = plan_brownout(ALICE, NOW, 15).plan.calls
    assert (call.operation, call.notes) == ("PutUserPolicy", {"for": "brownout"})
    (statement,) = json.loads(call.parameters["PolicyDocument"])["Statement"]
    assert statement == {
        "Sid": "Brownout20261124T180005ZUntil20261124T181505Z",
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"DateLessThan": {"aws:CurrentTime": "2026-11-24T18:15:05Z"}},
    }
    assert is_denial(call)


def test_it_is_ours_and_no_quarantine_and_no_deletion() -> None:
    dark = browned_out()
    assert brownout_of(dark) == DARK
    history = journal(plan_brownout(ALICE, NOW, 15).plan.calls, plan_quarantine(ALICE, NOW, "p", "r").record)
    assert (quarantine_of(dark, NOTHING_KNOWN), inline_deny_all(dark), deletion_begun(dark)) == (None,) * 3
    assert broken_quarantine(dark, history) is None
    assert without_own_changes(dark, NOTHING_KNOWN).attachments == ALICE.attachments


def document(**change: Any) -> Any:
    (statement,) = json.loads(DARK.document)["Statement"]
    return {"Version": "2012-10-17", "Statement": [{**statement, **change}]}


LONGER = {"DateLessThan": {"aws:CurrentTime": "2036-11-24T18:15:05Z"}}


@pytest.mark.parametrize(
    "held",
    [
        pytest.param(document(Condition=LONGER), id="another-end"),
        pytest.param(document(Action="s3:*"), id="another-action"),
        pytest.param(document(Effect="Allow"), id="allow"),
        pytest.param(document(Sid="Brownout20269924T180005ZUntil20261124T181505Z"), id="no-time"),
        pytest.param(document(Sid="SomeoneElse"), id="another-statement-id"),
        pytest.param({"Statement": [*document()["Statement"], *document()["Statement"]]}, id="two"),
        pytest.param({"Statement": []}, id="none"),
        pytest.param("{", id="no-document"),
    ],
)
def test_what_somebody_changed_is_not_ours_and_is_not_replaced(held: Any) -> None:
    changed = with_policy(held)
    assert brownout_of(changed) is None
    assert has_foreign_policy(changed)
    assert without_own_changes(changed, NOTHING_KNOWN).attachments == changed.attachments
    planned = plan_brownout(changed, AFTER, 15)
    assert planned.plan.calls == ()
    assert "somebody changed its inline policy c7n-iamusers-deny-all" in planned.problem


def test_one_that_runs_is_left_and_one_that_is_over_is_replaced() -> None:
    dark = browned_out()
    assert plan_brownout(dark, NOW + QUARTER - timedelta(seconds=1), 60).plan.calls == ()
    again = plan_brownout(dark, AFTER, 60)
    assert brownout_of(apply(dark, again.plan)) == again.brownout != DARK


@pytest.mark.parametrize(("less", "fits"), [(0, True), (1, False)], ids=["room", "no-room"])
def test_without_room_inline_there_is_none(less: int, fits: bool) -> None:
    filler = {"PolicyName": "big", "PolicyDocument": "x" * (INLINE_QUOTA - len(DARK.document) - 2 + less)}
    planned = plan_brownout(user(inline_policy=(filler,)), NOW, 15)
    assert bool(planned.plan.calls) is fits
    assert ("no other form of a Deny ends by itself" in planned.problem) is not fits


@pytest.mark.parametrize("refused", [(), (INLINE,), (INLINE, ATTACHED)], ids=[INLINE, ATTACHED, BOUNDARY])
def test_a_quarantine_follows_and_its_release_leaves_nothing(refused: tuple[str, ...]) -> None:
    dark = browned_out()
    planned = quarantine(dark, AFTER, refused=refused)
    held, history = in_quarantine(dark, refused)
    record = quarantine_of(held, history)
    assert record is not None
    assert (brownout_of(held) is None) is (not refused)
    assert planned.record.since == AFTER.replace(microsecond=0)
    assert apply(held, release(held, record, history, ALICE).plan).attachments == ALICE.attachments


def test_a_release_removes_it() -> None:
    dark = browned_out()
    assert apply(dark, plan_brownout_end(dark)).attachments == ALICE.attachments


def test_a_deletion_replaces_it_by_a_deny_that_does_not_end() -> None:
    dark = browned_out()
    first, *others = plan_deletion(dark, AFTER).calls
    under = apply(dark, Plan(dark.subject, (first,)))
    assert inline_deny_all(under)
    assert [call.operation for call in others if is_denial(call)] == ["DeleteUserPolicy"]
    assert [call.operation for call in others][-2:] == ["DeleteUserPolicy", "DeleteUser"]
