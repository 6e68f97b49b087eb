# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from c7n_iamusers.model.quarantine import (
    QUARANTINE_TAG,
    Quarantine,
    quarantine_of_sid,
    quarantine_of_tags,
    tag_value,
)

SINCE = datetime(2026, 11, 24, 18, 0, 5, tzinfo=timezone.utc)
ALL = tuple(f"AKIA{n:016d}" for n in range(17))
RECORD = Quarantine(SINCE, "iam-users-quarantine", "unused for 90 days", ("AKIA1", "APKA2"), "attached")


def test_what_tags_carry_comes_back() -> None:
    assert quarantine_of_tags({"Team": "a", **RECORD.tags()}) == RECORD


@pytest.mark.parametrize(
    ("policy", "reason", "expected"),
    [
        pytest.param("p", "???", ("p", ""), id="reason-of-refused-characters"),
        pytest.param("p", "", ("p", ""), id="no-reason"),
        pytest.param("x" * 220, "r", ("x" * 218, ""), id="policy-cut-before-its-colon"),
        pytest.param("x" * 217, "why", ("x" * 217, ""), id="cut-after-the-colon"),
        pytest.param("a:b", "c: d", ("a:b", "c: d"), id="colons"),
    ],
)
def test_a_record_comes_back_whatever_its_words(policy: str, reason: str, expected: tuple[str, str]) -> None:
    tags = replace(RECORD, policy=policy, reason=reason).tags()
    assert quarantine_of_tags(tags) == replace(RECORD, policy=expected[0], reason=expected[1])


def test_people_can_read_the_tag() -> None:
    tag = RECORD.tags()[QUARANTINE_TAG]
    assert tag == "2026-11-24T18:00:05Z deny=attached by iam-users-quarantine: unused for 90 days"


def test_ids_that_one_value_cannot_hold_take_further_tags() -> None:
    tags = replace(RECORD, deactivated=ALL).tags()
    assert len(tags) == 3
    assert all(len(value) <= 256 for value in tags.values())
    found = quarantine_of_tags(tags)
    assert found is not None
    assert set(found.deactivated) == set(ALL)


def test_values_keep_to_the_characters_that_iam_takes() -> None:
    tags = replace(RECORD, reason='Größe "x", (y) & z; ' + "w" * 300).tags()
    for value in tags.values():
        assert re.fullmatch(r"[\w\s.:/=+\-@]{0,256}", value)
    assert "Größe x y z w" in tags[QUARANTINE_TAG]
    assert quarantine_of_tags(tags) is not None


def test_a_value_is_cut_without_a_space_at_its_end() -> None:
    assert tag_value("a" * 255 + " b") == "a" * 255


def test_what_a_statement_id_carries_comes_back() -> None:
    sid = replace(RECORD, deactivated=ALL).sid
    assert re.fullmatch(r"[A-Za-z0-9]+", sid)
    assert quarantine_of_sid(sid) == Quarantine(SINCE, "", "", ALL)
    assert quarantine_of_sid(replace(RECORD, deactivated=()).sid) == Quarantine(SINCE, "", "")


def test_an_id_that_does_not_fit_a_statement_id_is_refused() -> None:
    with pytest.raises(ValueError, match="not fit for a statement id"):
        _ = replace(RECORD, deactivated=("lower_case",)).sid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Quarantined",
        "Quarantined20261124",
        "Quarantined20269924T180005Z",
        "Quarantined20261124T180005Zxlower",
        "SomeoneElse",
    ],
)
def test_other_statement_ids_are_no_record(text: str) -> None:
    assert quarantine_of_sid(text) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yes",
        "2026-99-24T18:00:05Z deny=inline by p: r",
        "2026-11-24T18:00:05Z deny=other by p: r",
    ],
)
def test_other_tags_are_no_record(value: str) -> None:
    assert quarantine_of_tags({QUARANTINE_TAG: value}) is None
