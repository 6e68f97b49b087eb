# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from c7n_iamusers.lockout.quarantine_record import (
    QUARANTINE_TAG,
    DenyRecord,
    QuarantineRecord,
    deletion_sids,
    is_quarantine_tag,
    parse_sid,
    tag_value,
    tagged_since,
)

SINCE = datetime(2026, 11, 24, 18, 0, 5, tzinfo=timezone.utc)
ALL = tuple(f"AKIA{n:016d}" for n in range(17))
RECORD = QuarantineRecord(SINCE, "iam-users-quarantine", "unused for 90 days", ("AKIA1", "APKA2"), "attached")


def tags_of(record: QuarantineRecord) -> dict[str, str]:
    tag = record.tag()
    return {tag["Key"]: tag["Value"]}


def sealed(*deactivated: str, known: bool = True) -> QuarantineRecord:
    return QuarantineRecord(SINCE, "", "", deactivated, known=known)


def test_people_can_read_the_tag() -> None:
    text = "2026-11-24T18:00:05Z deny=attached by iam-users-quarantine: unused for 90 days"
    assert RECORD.tag() == {"Key": QUARANTINE_TAG, "Value": text}


def test_one_tag_is_enough_whatever_was_switched_off() -> None:
    assert replace(RECORD, deactivated=ALL).tag() == RECORD.tag()


def test_values_keep_to_the_characters_that_iam_takes() -> None:
    value = replace(RECORD, reason='Größe "x", (y) & z; ' + "w" * 300).tag()["Value"]
    assert re.fullmatch(r"[\w\s.:/=+\-@]{0,256}", value)
    assert "Größe x y z w" in value
    assert tagged_since({QUARANTINE_TAG: value}) == SINCE


def test_a_value_is_cut_without_a_space_at_its_end() -> None:
    assert tag_value("a" * 255 + " b") == "a" * 255


@pytest.mark.parametrize(
    ("key", "ours"),
    [
        (QUARANTINE_TAG, True),
        ("C7N-IAMUsers-Quarantine", True),
        ("c7n-iamusers-quarantined", False),
        ("c7n-iamusers-restored-from", False),
        ("quarantine", False),
    ],
)
def test_what_is_a_tag_of_a_quarantine(key: str, ours: bool) -> None:
    assert is_quarantine_tag(key) is ours


@pytest.mark.parametrize(
    ("record", "found"),
    [
        pytest.param(RECORD, sealed("AKIA1", "APKA2"), id="some"),
        pytest.param(replace(RECORD, deactivated=ALL), sealed(*ALL), id="seventeen"),
        pytest.param(replace(RECORD, deactivated=()), sealed(), id="none"),
    ],
)
def test_what_a_statement_id_carries_comes_back(record: QuarantineRecord, found: QuarantineRecord) -> None:
    whole, journaled = record.sids
    assert re.fullmatch(r"[A-Za-z0-9]+", whole)
    assert parse_sid(whole) == DenyRecord(found, None)
    assert journaled == "Quarantined20261124T180005ZJournaled"
    assert parse_sid(journaled) == DenyRecord(sealed(known=False), None)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(replace(RECORD, deactivated=("lower_case",)), id="an-id-of-other-characters"),
        pytest.param(replace(RECORD, deactivated=("AKIA1", "")), id="an-empty-id"),
        pytest.param(replace(RECORD, known=False), id="nobody-knows-the-ids"),
    ],
)
def test_what_does_not_fit_a_statement_id_is_for_the_journal_alone(record: QuarantineRecord) -> None:
    assert record.sids == ("Quarantined20261124T180005ZJournaled",)


BEGUN = datetime(2026, 12, 1, 6, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("quarantine", "sids", "seals"),
    [
        pytest.param(None, ("Deletion20261201T060000Z",), [DenyRecord(None, BEGUN)], id="in-no-quarantine"),
        pytest.param(
            RECORD,
            (
                "Quarantined20261124T180005ZxAKIA1xAPKA2Deletion20261201T060000Z",
                "Quarantined20261124T180005ZJournaledDeletion20261201T060000Z",
            ),
            [DenyRecord(sealed("AKIA1", "APKA2"), BEGUN), DenyRecord(sealed(known=False), BEGUN)],
            id="in-quarantine",
        ),
        pytest.param(
            replace(RECORD, known=False),
            ("Quarantined20261124T180005ZJournaledDeletion20261201T060000Z",),
            [DenyRecord(sealed(known=False), BEGUN)],
            id="in-one-that-nobody-knows",
        ),
    ],
)
def test_a_deletion_keeps_the_record_of_the_quarantine(
    quarantine: QuarantineRecord | None, sids: tuple[str, ...], seals: list[DenyRecord]
) -> None:
    found = deletion_sids(quarantine, BEGUN)
    assert found == sids
    assert [parse_sid(sid) for sid in found] == seals


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Quarantined",
        "Quarantined20261124",
        "Quarantined20269924T180005Z",
        "Quarantined20261124T180005Zxlower",
        "Quarantined20261124T180005Zx",
        "Quarantined20261124T180005ZJournaledxAKIA1",
        "Quarantined20261124T180005ZDeletion",
        "Quarantined20261124T180005ZDeletion20269924T180005Z",
        "Quarantined20269924T180005ZDeletion20261124T180005Z",
        "Quarantined00010101T000000Z",
        "Quarantined09990101T000000ZListening",
        "Deletion19991231T235959Z",
        "Deletion",
        "Deletion20261324T180005Z",
        "Deletion20261124T180005ZQuarantined20261124T180005Z",
        "Deletion20261124T180005Zmore",
        "xDeletion20261124T180005Z",
        "Quarantined20261124T180005Z\n",
        "SomeoneElse",
    ],
)
def test_other_statement_ids_say_nothing(text: str) -> None:
    assert parse_sid(text) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yes",
        "2026-99-24T18:00:05Z deny=inline by p: r",
        "2026-11-24T18:00:05Z by p: r",
    ],
)
def test_other_tags_claim_nothing(value: str) -> None:
    assert tagged_since({QUARANTINE_TAG: value}) is None


def test_what_a_journal_carries_comes_back() -> None:
    data = json.loads(json.dumps(RECORD.as_data()))
    assert QuarantineRecord.from_data(data) == RECORD


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"since": None}, id="no-time"),
        pytest.param({"since": "yesterday"}, id="no-such-time"),
        pytest.param({"deactivated": None}, id="no-ids"),
        pytest.param({"deactivated": "AKIA1"}, id="text-for-ids"),
    ],
)
def test_what_is_no_record_is_none(change: dict[str, Any]) -> None:
    assert QuarantineRecord.from_data({**RECORD.as_data(), **change}) is None
    assert QuarantineRecord.from_data({}) is None
