# SPDX-License-Identifier: Apache-2.0
"""A brownout: a Deny that ends by itself, which everything knows as ours and which is no quarantine."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.deletion.plan import plan_deletion
from c7n_iamusers.execution.calls import Plan
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.deny_all import (
    ATTACHED,
    BOUNDARY,
    BROWNOUT_NAME,
    DENY_ALL_NAME,
    INLINE,
    INLINE_QUOTA,
    Brownout,
    brownout_of,
    deny_all_document,
    has_foreign_policy,
    holds_inline,
    inline_deny_all,
    is_denial,
)
from c7n_iamusers.lockout.lockout_state import (
    NOTHING_KNOWN,
    broken_quarantine,
    deletion_begun,
    lapses,
    quarantine_of,
    without_own_changes,
)
from c7n_iamusers.quarantine import user_quarantine
from c7n_iamusers.quarantine.plan import plan_brownout, plan_brownout_end, plan_quarantine
from c7n_iamusers.quarantine.release_plan import still_denying
from c7n_iamusers.quarantine.user_quarantine import UserQuarantine
from c7n_iamusers.reasons import IN_BROWNOUT
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
from tests.records import text_of, user

QUARTER = timedelta(minutes=15)
AFTER = NOW + timedelta(days=3)
DARK = Brownout(SINCE, SINCE + QUARTER)
ALICE = user(**CREDENTIALS)


def browned_out(before: IamUser = ALICE) -> IamUser:
    planned = plan_brownout(before, NOW, 15)
    assert (planned.problem, planned.brownout) == (None, DARK)
    return apply(before, planned.plan)


def with_policy(document: Any, name: str = BROWNOUT_NAME) -> IamUser:
    return user(inline_policy=({"PolicyName": name, "PolicyDocument": document},), **CREDENTIALS)


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
    assert call.parameters["PolicyName"] == "c7n-iamusers-brownout"
    assert not is_denial(call)


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
        pytest.param(json.loads(Brownout(SINCE, SINCE + timedelta(days=900)).document), id="longer-than-any"),
        pytest.param(json.loads(Brownout(SINCE, SINCE - QUARTER).document), id="ends-before-it-begins"),
        pytest.param({"Statement": [*document()["Statement"], *document()["Statement"]]}, id="two"),
        pytest.param({"Statement": []}, id="none"),
        pytest.param("{", id="no-document"),
    ],
)
def test_what_somebody_changed_is_not_ours_and_is_not_replaced(held: Any) -> None:
    changed = with_policy(held)
    assert brownout_of(changed) is None
    assert has_foreign_policy(changed, BROWNOUT_NAME)
    assert not has_foreign_policy(changed)
    assert without_own_changes(changed, NOTHING_KNOWN).attachments == changed.attachments
    planned = plan_brownout(changed, AFTER, 15)
    assert planned.plan.calls == ()
    assert "somebody changed its inline policy c7n-iamusers-brownout" in text_of(planned.problem)


def test_under_the_name_of_the_deny_all_it_is_somebody_elses() -> None:
    other = with_policy(json.loads(DARK.document), DENY_ALL_NAME)
    assert brownout_of(other) is None
    assert has_foreign_policy(other)
    assert without_own_changes(other, NOTHING_KNOWN).attachments == other.attachments


def test_a_deny_all_under_its_name_is_somebody_elses() -> None:
    other = with_policy(json.loads(deny_all_document("Quarantined20261124T180005ZxAKIA1")), BROWNOUT_NAME)
    assert (quarantine_of(other, NOTHING_KNOWN), inline_deny_all(other), deletion_begun(other)) == (None,) * 3
    assert has_foreign_policy(other, BROWNOUT_NAME)


def test_one_that_is_put_on_at_the_same_time_leaves_the_quarantine_its_record() -> None:
    """Both runs read the user before the other has changed it."""
    held, history = in_quarantine(ALICE)
    dark = apply(held, plan_brownout(ALICE, NOW, 15).plan)
    record = quarantine_of(dark, NOTHING_KNOWN)
    assert record is not None
    assert (record.deactivated, lapses(dark, record)) == (("ACCA1", "AKIA1", "APKA1", "CERT1"), [])
    assert brownout_of(dark) == DARK
    released = release(dark, record, history, ALICE)
    after = apply(dark, released.plan)
    assert (still_denying(after), after.attachments) == ("", ALICE.attachments)
    dark_first = apply(browned_out(), quarantine(ALICE).plan)
    assert quarantine_of(dark_first, NOTHING_KNOWN) == record


def test_the_end_of_one_ends_no_quarantine() -> None:
    held, history = in_quarantine(browned_out())
    (end,) = plan_brownout_end(held).calls
    later = history.with_calls([(end, "done")], AFTER)
    assert later.quarantine == history.quarantine
    assert quarantine_of(apply(held, Plan(held.subject, (end,))), later) == quarantine_of(held, history)


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
    assert ("only an inline Deny ends by itself" in text_of(planned.problem)) is not fits


@pytest.mark.parametrize(("less", "form"), [(0, INLINE), (1, ATTACHED)], ids=["room", "no-room"])
def test_a_quarantine_counts_the_characters_of_both(less: int, form: str) -> None:
    deny = deny_all_document(quarantine(ALICE).record.sids[-1])  # the shortest
    room = INLINE_QUOTA - len(DARK.document) - len(deny) - 2 + less
    dark = browned_out(
        user(inline_policy=({"PolicyName": "big", "PolicyDocument": "x" * room},), **CREDENTIALS)
    )
    assert quarantine(dark).record.deny == form


def test_an_earlier_one_takes_no_room_from_the_next() -> None:
    room = INLINE_QUOTA - len(DARK.document) - 2
    dark = browned_out(user(inline_policy=({"PolicyName": "big", "PolicyDocument": "x" * room},)))
    assert plan_brownout(dark, AFTER, 15).plan.calls


@pytest.mark.parametrize("refused", [(), (INLINE,), (INLINE, ATTACHED)], ids=[INLINE, ATTACHED, BOUNDARY])
def test_a_quarantine_follows_and_its_release_leaves_nothing(refused: tuple[str, ...]) -> None:
    dark = browned_out()
    planned = quarantine(dark, AFTER, refused=refused)
    held, history = in_quarantine(dark, refused)
    record = quarantine_of(held, history)
    assert record is not None
    assert brownout_of(held) == DARK
    assert holds_inline(held) is (not refused)
    assert planned.record.since == AFTER.replace(microsecond=0)
    assert apply(held, release(held, record, history, ALICE).plan).attachments == ALICE.attachments


def test_a_release_removes_it() -> None:
    dark = browned_out()
    assert apply(dark, plan_brownout_end(dark)).attachments == ALICE.attachments


def test_a_deletion_removes_it_under_a_deny_that_does_not_end() -> None:
    dark = browned_out()
    first, *others = plan_deletion(dark, AFTER).calls
    under = apply(dark, Plan(dark.subject, (first,)))
    assert (bool(inline_deny_all(under)), brownout_of(under)) == (True, DARK)
    named = [call.parameters["PolicyName"] for call in others if call.operation == "DeleteUserPolicy"]
    assert named == [BROWNOUT_NAME, DENY_ALL_NAME]
    assert [call.operation for call in others][-2:] == ["DeleteUserPolicy", "DeleteUser"]


@pytest.mark.parametrize(
    ("held", "removed"),
    [
        pytest.param(json.loads(DARK.document), set(), id="ours"),
        pytest.param(document(Condition=LONGER), {("inline-policy", BROWNOUT_NAME)}, id="somebody-elses"),
    ],
)
def test_what_a_deletion_removes_of_that_name_is_restored_if_it_was_the_users(
    held: Any, removed: set[tuple[str, str]]
) -> None:
    plan = plan_deletion(with_policy(held), AFTER)
    calls = [call for call in plan.calls if call.operation == "DeleteUserPolicy"]
    assert set(NOTHING_KNOWN.with_calls([(call, "done") for call in calls], AFTER).removed()) == removed


BEGUN: Any = SimpleNamespace(records=SimpleNamespace(deletion_begun=lambda _: True))
NOT_BEGUN: Any = SimpleNamespace(records=SimpleNamespace(deletion_begun=lambda _: False))


@pytest.mark.parametrize(
    ("quarantine", "changed", "status"),
    [(BEGUN, False, "failed"), (NOT_BEGUN, False, "skipped"), (NOT_BEGUN, True, "failed")],
    ids=["half-deleted", "left-alone", "half-way"],
)
def test_whoever_stays_half_deleted_or_half_denied_has_failed(
    quarantine: Any, changed: bool, status: str
) -> None:
    applied = SimpleNamespace(changed=changed, calls=1)
    turn: Any = SimpleNamespace(user=ALICE, evidence=ALICE.subject, applied=applied)
    found, reason = UserQuarantine._spared(quarantine, turn, IN_BROWNOUT(end=AFTER))
    assert (found, "not known whether our Deny-all is on it" in reason.text) == (status, changed)


def test_a_user_whose_deny_is_gone_gets_no_brownout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_quarantine, "quarantine_broken", lambda *_: IN_BROWNOUT(end=AFTER))
    turn: Any = SimpleNamespace(user=ALICE, applied=None)
    recorded: Any = SimpleNamespace(quarantine=None, broken="the Deny is gone")
    assert UserQuarantine._brown_out(NOT_BEGUN, turn, recorded, 15)[0] == "failed"
