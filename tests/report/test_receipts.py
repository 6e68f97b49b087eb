# SPDX-License-Identifier: Apache-2.0
"""Where the evidence of a receipt is from, and which controls it is evidence for."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.outcomes import DELETED, QUARANTINED
from c7n_iamusers.lockout.journal_lines import QUARANTINE
from c7n_iamusers.notices.notices import ANNOUNCED, Notice, Notices
from c7n_iamusers.report import controls
from c7n_iamusers.report.outputs import PolicyOutput
from c7n_iamusers.report.receipts import LATER, OF_NOTICE, OF_RUN, Material, receipt_of
from c7n_iamusers.report.rendering import render_receipt
from c7n_iamusers.report.selected_users import selected_users
from c7n_iamusers.report.user_history import Event, UserHistory

pytestmark = pytest.mark.pure

ACCOUNT = "111122223333"
ALICE = Subject("alice", f"arn:aws:iam::{ACCOUNT}:user/alice", "AIDA1")
NOW = datetime(2026, 11, 30, tzinfo=timezone.utc)
DAY = timedelta(days=1)
TOLD = NOW - 40 * DAY


def output(policy: str, time: datetime, kind: str) -> PolicyOutput:
    resource = {"Arn": ALICE.arn, "UserId": ALICE.unique_id, "c7n:IamUser": {"kind": kind}}
    return PolicyOutput(
        *(f"out/{policy}", "out", policy, ACCOUNT, "", "us-east-1", time, "ran", "", False),
        users=tuple(selected_users([resource])),
        rows=(),
        rules=(),
        execution="",
        sees_all=False,
        seen=None,
    )


def material(*outputs: PolicyOutput, evidence: dict[str, Any] | None = None) -> Material:
    notice = Notice(ACCOUNT, ANNOUNCED, TOLD, (TOLD + 30 * DAY).date(), ("o@x.org",), "1", "flag", (ALICE,))
    if evidence:
        object.__setattr__(notice, "evidence", {ALICE.unique_id: evidence})
    deleted = Event(NOW - DAY, DELETED, policy="delete", place="out/delete", by="?")
    return Material(
        UserHistory(ALICE, ACCOUNT, "", (deleted,), DELETED, outputs=("out/delete",)),
        [(each, user) for each in outputs for user in each.users or ()],
        (),
        lambda _: (None, ()),
        {},
        Notices([notice], "notices"),
        lambda *_: None,
        lambda _: (),
    )


FLAGGED, LATEST = output("flag", TOLD - timedelta(minutes=1), "human"), output("delete", NOW - DAY, "machine")
AGAIN, AFTER = output("flag", NOW - 2 * DAY, "mixed"), output("flag", NOW, "unknown")
FROZEN = {"kind": "no-credentials", "findings": [{"id": "x", "severity": "low", "text": "Never used."}]}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(material(FLAGGED, LATEST), (OF_RUN, "human"), id="of-the-run-that-announced-it"),
        pytest.param(material(AGAIN, LATEST), (LATER, "machine"), id="its-file-was-replaced"),
        pytest.param(material(FLAGGED, LATEST, evidence=FROZEN), (OF_NOTICE, "no-credentials"), id="notice"),
        pytest.param(material(AFTER), None, id="what-a-run-saw-after-it-counts-nothing"),
        pytest.param(material(), None, id="none"),
    ],
)
def test_the_evidence_is_that_of_the_announcement_or_says_that_it_is_not(
    found: Material, expected: tuple[str, str] | None
) -> None:
    data = receipt_of(found, NOW)
    evidence = data["unnecessary"]
    assert (evidence and (evidence["source"], evidence["kind"])) == expected
    page = render_receipt(data).decode()
    assert ("at its announcement</dd>" in page) == (expected is not None and expected[0] != LATER)
    assert ("evidence at its announcement is not on record" in page) == (
        expected is not None and expected[0] == LATER
    )


def test_a_receipt_of_nothing_but_the_outcome_is_evidence_for_next_to_nothing() -> None:
    data = receipt_of(material(), NOW)
    assert [fact for fact, found in data["controls"].items() if found] == [controls.IDENTITY]
    assert (data["calls"], data["snapshots"], data["deletion"]["request_id"]) == ([], [], None)
    page = render_receipt(data).decode()
    assert page.count("Evidence for") == 1


def test_a_quarantine_is_by_the_last_who_quarantined_before_the_deletion() -> None:
    found = material()
    events = [
        Event(NOW - 9 * DAY, QUARANTINED, by="first"),
        Event(NOW - 8 * DAY, QUARANTINED, by="last"),
        Event(NOW - 2 * DAY, ANNOUNCED, by="another"),
        *found.history.events,
        Event(NOW, QUARANTINED, by="later"),
    ]
    line = {"phase": QUARANTINE, "time": "2026-11-22T00:00:00+00:00", "record": {"policy": "freeze"}}
    by = replace(found, history=replace(found.history, events=tuple(events)), lines={"out/delete": (line,)})
    quarantine = receipt_of(by, NOW)["quarantine"]
    assert (quarantine["by"], quarantine["policy"]) == ("last", "freeze")


def test_who_was_not_deleted_has_no_receipt() -> None:
    history = UserHistory(ALICE, ACCOUNT, "", (), ANNOUNCED)
    with pytest.raises(ValueError, match="alice of account 111122223333 is not deleted"):
        receipt_of(
            Material(history, (), (), lambda _: (None, ()), {}, None, lambda *_: None, lambda _: ()), NOW
        )


@pytest.mark.parametrize("control", controls.CONTROLS, ids=lambda each: each.title)
def test_each_control_has_its_numbers_and_is_beside_a_fact(control: controls.Control) -> None:
    assert set(control.facts) <= set(controls.FACTS)
    assert control.facts
    numbers = set(control.numbers.values())
    form = r"[A-Z]{2}-\d+(\(\d+\))?" if control.catalog == controls.NIST else r"[12]\.\d+"
    assert all(re.fullmatch(form, number) for number in numbers)
    assert all(number in control.text for number in numbers)


def test_the_numbers_of_a_benchmark_stand_with_its_versions() -> None:
    texts = {each.title: each.text for each in controls.CONTROLS}
    assert (
        texts["one active access key for any user"] == "1.13 (v3.0.0 to v4.0.1), 1.12 (v5.0.0), 2.12 (v6.0.0)"
    )
    assert {each.text for each in controls.CONTROLS if each.catalog == controls.NIST} == {
        "AC-2(3)",
        "IA-4",
        "IA-5",
        "AU-3",
        "AU-10",
    }
