# SPDX-License-Identifier: Apache-2.0
"""A quarantine that keeps the credentials active, and what deepens or breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.deletion.plan import plan_deletion
from c7n_iamusers.execution.calls import Plan
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.deny_all import ATTACHED, BOUNDARY, INLINE, INLINE_QUOTA, deny_all_document
from c7n_iamusers.lockout.lockout_state import (
    NOTHING_KNOWN,
    broken_quarantine,
    deletion_begun,
    lapses,
    quarantine_of,
)
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord, parse_sid, tagged_since
from c7n_iamusers.quarantine.plan import QuarantinePlan, plan_quarantine
from tests.quarantine.test_plan import (
    CREDENTIALS,
    FULL_INLINE,
    LATER,
    NO_ROOM,
    NOW,
    SINCE,
    apply,
    journal,
    quarantine,
    release,
)
from tests.records import text_of, user

pytestmark = pytest.mark.pure

KEPT = QuarantineRecord(SINCE, "park", "unused", kept=True, inactive=("AKIA2",))
SHAPES = [
    pytest.param(user(**CREDENTIALS), INLINE, id="inline"),
    pytest.param(user(inline_policy=FULL_INLINE, **CREDENTIALS), ATTACHED, id="attached"),
    pytest.param(user(**NO_ROOM, **CREDENTIALS), BOUNDARY, id="boundary"),
]
SWITCHED = ("ACCA1", "AKIA1", "APKA1", "CERT1")


def listen(to: IamUser, history: CallHistory = NOTHING_KNOWN, **options: Any) -> QuarantinePlan:
    return plan_quarantine(to, NOW, "listen", "unused for 90 days", history, keep=True, **options)


def listening(before: IamUser) -> tuple[IamUser, CallHistory]:
    planned = listen(before)
    return apply(before, planned.plan), journal(planned.plan.calls, planned.record)


def deepened(held: IamUser, history: CallHistory) -> tuple[IamUser, CallHistory]:
    planned = quarantine(held, LATER, history)
    return apply(held, planned.plan), journal(planned.plan.calls, planned.record, LATER, history)


@pytest.mark.parametrize(("before", "form"), SHAPES)
def test_only_the_deny_is_put_on_and_a_release_takes_it_off(before: IamUser, form: str) -> None:
    held, history = listening(before)
    record = quarantine_of(held, history)
    assert record is not None
    assert (record.deny, record.since, record.kept, record.deactivated) == (form, SINCE, True, ())
    assert lapses(held, record) == []
    credentials = ("access-key", "signing-certificate", "ssh-public-key", "service-specific-credential")
    assert [held.attachments[kind] for kind in credentials] == [
        before.attachments[kind] for kind in credentials
    ]
    assert apply(held, release(held, record, history, before).plan).attachments == before.attachments
    assert listen(held, history).plan.calls == ()


@pytest.mark.parametrize(("before", "form"), SHAPES)
def test_a_quarantine_that_follows_counts_from_the_first_deny_and_gives_back_exactly(
    before: IamUser, form: str
) -> None:
    held, history = listening(before)
    deep, known = deepened(held, history)
    record = quarantine_of(deep, known)
    assert record is not None
    assert (record.deny, record.since, record.kept, record.deactivated) == (form, SINCE, False, SWITCHED)
    assert lapses(deep, record) == []
    assert quarantine(deep, LATER, known).plan.calls == ()
    assert apply(deep, release(deep, record, known, before).plan).attachments == before.attachments
    if form == INLINE:  # the record is in the Deny itself
        assert quarantine_of(deep) == replace(record, policy="", reason="")


@pytest.mark.parametrize(("before", "form"), SHAPES)
def test_the_deny_stays_on_at_every_call_of_the_quarantine_that_follows(before: IamUser, form: str) -> None:
    held, history = listening(before)
    planned = quarantine(held, LATER, history)
    for made in range(len(planned.plan.calls) + 1):
        calls = planned.plan.calls[:made]
        midway = apply(held, Plan(held.subject, calls))
        known = journal(calls, planned.record, LATER, history)
        record = quarantine_of(midway, known)
        assert record is not None
        assert record.deny == form
        completed, after = deepened(midway, known)
        found = quarantine_of(completed, after)
        assert found is not None
        assert (found.since, found.deactivated, lapses(completed, found)) == (SINCE, SWITCHED, [])


@pytest.mark.parametrize(("before", "form"), SHAPES)
def test_nothing_goes_back_to_listening(before: IamUser, form: str) -> None:
    deep, known = deepened(*listening(before))
    again = listen(deep, known)
    assert (again.plan.calls, again.record.kept, again.lapsed) == ((), False, ())


def test_the_record_has_room_where_the_kept_one_had() -> None:
    fitting = INLINE_QUOTA - len(deny_all_document(KEPT.sids[0]))
    filler = {"PolicyName": "big", "PolicyDocument": "x" * (fitting - 2)}
    before = user(inline_policy=(filler,), **CREDENTIALS)
    held, history = listening(before)
    deep, known = deepened(held, history)
    record = quarantine_of(deep, known)
    assert record is not None
    assert (record.deny, record.kept, record.deactivated) == (INLINE, False, SWITCHED)
    unknown = quarantine_of(deep)
    assert unknown is not None
    assert (unknown.kept, unknown.known) == (False, False)


def test_what_changed_while_listening_stays_as_it_is() -> None:
    held, history = listening(user(**CREDENTIALS))
    key, _ = held.attachments["access-key"]
    others = ({**key, "Status": "Inactive"}, {"AccessKeyId": "AKIA3", "Status": "Active"})
    changed = replace(held, attachments={**held.attachments, "access-key": others})
    deep, known = deepened(changed, history)
    record = quarantine_of(deep, known)
    assert record is not None
    assert record.deactivated == ("ACCA1", "AKIA3", "APKA1", "CERT1")
    released = apply(deep, release(deep, record, known, user(**CREDENTIALS)).plan)
    assert released.attachments["access-key"] == others


def test_no_form_of_the_deny_changes_nothing() -> None:
    planned = listen(user(**CREDENTIALS), refused=dict.fromkeys((INLINE, ATTACHED, BOUNDARY), "AccessDenied"))
    assert planned.plan.calls == ()
    assert "no Deny-all can be put on it" in text_of(planned.problem)


def test_a_deletion_from_listening_keeps_the_record() -> None:
    held, _ = listening(user(**CREDENTIALS))
    put, *_ = plan_deletion(held, LATER, quarantine=quarantine_of(held)).calls
    begun = apply(held, Plan(held.subject, (put,)))
    assert quarantine_of(begun) == replace(KEPT, policy="", reason="")
    assert deletion_begun(begun) == "on 2026-12-01 00:00 UTC"


def test_the_record_of_a_kept_one_comes_back() -> None:
    whole, journaled = KEPT.sids
    assert whole == "Quarantined20261124T180005ZListeningxAKIA2"
    assert journaled == "Quarantined20261124T180005ZListeningJournaled"
    found, without = parse_sid(whole), parse_sid(journaled)
    assert found is not None
    assert without is not None
    bare = replace(KEPT, policy="", reason="")
    assert found.quarantine == bare
    assert without.quarantine == replace(bare, inactive=(), known=False)
    assert QuarantineRecord.from_data(KEPT.as_data()) == KEPT
    tag = KEPT.tag()
    tags = {tag["Key"]: tag["Value"]}
    assert (tagged_since(tags), KEPT.is_tagged(tags)) == (KEPT.since, True)
    assert not replace(KEPT, kept=False).is_tagged(tags)
    assert "credentials" not in replace(KEPT, kept=False).as_data()


def test_ids_follow_what_they_are_of() -> None:
    assert parse_sid("Quarantined20261124T180005ZxAKIA1Listening") is None


@pytest.mark.parametrize(("before", "form"), SHAPES)
@pytest.mark.parametrize("keep", [True, False], ids=["kept", "deactivated"])
def test_a_deny_that_somebody_removed_is_known_and_counts_anew(
    before: IamUser, form: str, keep: bool
) -> None:
    held, history = listening(before)
    if not keep:
        held, history = deepened(held, history)
    kind = {INLINE: "inline-policy", ATTACHED: "attached-policy", BOUNDARY: "permissions-boundary"}[form]
    bare = replace(held, attachments={**held.attachments, kind: before.attachments[kind]})
    assert broken_quarantine(held, history) is None
    assert broken_quarantine(bare, history) == history.quarantine
    again = plan_quarantine(bare, LATER, "p", "r", history, keep=keep)
    assert again.lapsed[0] == "its Deny-all is gone or was changed"
    assert (again.record.since, again.record.kept) == (LATER, keep)
    record = history.quarantine
    assert record is not None
    released = journal(release(held, record, history, before).plan.calls, record, LATER, history)
    assert broken_quarantine(before, released) is None


@pytest.mark.parametrize(
    ("result", "broken"),
    [
        pytest.param("done", True, id="put"),
        pytest.param("failed", False, id="refused"),
        pytest.param("unknown", False, id="no-answer"),
    ],
)
def test_a_deny_that_may_never_have_stood_is_not_broken(result: str, broken: bool) -> None:
    before = user(**CREDENTIALS)
    planned = listen(before)
    calls = [(call, result) for call in planned.plan.calls]
    history = replace(NOTHING_KNOWN.with_calls(calls, NOW), record=planned.record)
    assert (broken_quarantine(before, history) is not None) is broken
    assert broken_quarantine(before, CallHistory(record=planned.record)) is None


KINDS = {"APKA": ("ssh-public-key", "SSHPublicKeyId"), "AKIA": ("access-key", "AccessKeyId")}


@pytest.mark.parametrize(
    ("active", "journaled", "since"),
    [
        pytest.param("APKA1", True, SINCE, id="stopped-before-it"),
        pytest.param("AKIA1", True, LATER, id="activated-by-somebody"),
        pytest.param("APKA9", True, LATER, id="added-by-somebody"),
        pytest.param("APKA1", False, LATER, id="nobody-knows"),
    ],
)
def test_a_run_that_was_stopped_is_told_from_a_credential_that_somebody_activated(
    active: str, journaled: bool, since: Any
) -> None:
    before = user(**CREDENTIALS)
    planned = quarantine(before)
    calls = [call for call in planned.plan.calls if "APKA1" not in call.parameters.values()]
    held = apply(before, planned.plan)
    kind, identifier = next(each for prefix, each in KINDS.items() if active.startswith(prefix))
    on = {identifier: active, "Status": "Active"}
    changed = replace(held, attachments={**held.attachments, kind: (on,)})
    history = journal(calls, planned.record) if journaled else NOTHING_KNOWN
    assert quarantine(changed, LATER, history).record.since == since
