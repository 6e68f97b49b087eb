# SPDX-License-Identifier: Apache-2.0
"""Which access keys are unnecessary, by their evidence alone: at each limit, and where something is unknown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from c7n_iamusers.evidence.credential_report import SAME_MOMENT
from c7n_iamusers.evidence.key_findings import KeyCriteria, listed_keys, live_keys
from c7n_iamusers.evidence.model import KeyEvidence, LastUse
from c7n_iamusers.iam.users import KeyUse
from tests.evidence_records import NEVER, NOW, days_ago, used

pytestmark = [pytest.mark.pure, pytest.mark.whole]

SECOND = timedelta(seconds=1)


def key(
    use: LastUse | None = NEVER,
    created: float | None = 400,
    *,
    name: str = "AKIA1",
    active: bool = True,
    as_of: float | None = 0,
    doubt: str = "",
) -> KeyEvidence:
    """Created so many days ago, with its use as known so many days ago."""
    made, known = (None if days is None else days_ago(days) for days in (created, as_of))
    return KeyEvidence(name, active, made, use, known, "the report", doubt)


def other(use: LastUse | None = NEVER, created: float | None = 200, **more: Any) -> KeyEvidence:
    return key(use, created, **{"name": "AKIA2", **more})


UNUSED, OLD, SUPERSEDED = KeyCriteria(unused=90), KeyCriteria(older_than=365), KeyCriteria(superseded=True)
BOTH, EITHER = KeyCriteria(90, 365), KeyCriteria(90, 365, any=True)
NO_USE = "its last use is unknown"


@pytest.mark.parametrize(
    ("criteria", "keys", "left_out"),
    [
        pytest.param(UNUSED, [key(used(90))], "", id="unused-on-the-day"),
        pytest.param(UNUSED, [key(used(89.9))], "unused", id="used-within"),
        pytest.param(UNUSED, [key(created=90)], "", id="never-used"),
        pytest.param(UNUSED, [key(created=89.9)], "unused", id="never-used-and-new"),
        pytest.param(UNUSED, [key(used(400), 60)], "unused", id="used-before-its-creation"),
        pytest.param(UNUSED, [key(None)], f"unused: {NO_USE}", id="use-unknown"),
        pytest.param(UNUSED, [key(None, doubt="not read")], "unused: not read", id="use-unknown-and-why"),
        pytest.param(UNUSED, [key(as_of=1)], "", id="use-of-a-day-ago"),
        pytest.param(
            UNUSED,
            [key(as_of=1.1)],
            "unused: its last use is not known as of the last day",
            id="use-of-before",
        ),
        pytest.param(
            UNUSED,
            [key(as_of=None)],
            "unused: its last use is not known as of the last day",
            id="use-of-no-time",
        ),
        pytest.param(KeyCriteria(unused=0, min_age=0), [key(created=0)], "", id="unused-for-no-day"),
        pytest.param(OLD, [key(used(1), 365)], "", id="old-on-the-day"),
        pytest.param(OLD, [key(used(1), 364.9)], "older-than", id="not-so-old"),
        pytest.param(KeyCriteria(older_than=0, min_age=0), [key(created=0)], "", id="older-than-no-day"),
        pytest.param(OLD, [key(created=None)], "min-age", id="creation-unknown"),
        pytest.param(UNUSED, [key(created=29.9)], "min-age", id="too-young"),
        pytest.param(KeyCriteria(unused=0), [key(created=30)], "", id="just-old-enough"),
        pytest.param(UNUSED, [key(active=False)], "status", id="inactive"),
        pytest.param(KeyCriteria(active=False), [key(active=False)], "", id="inactive-ones-asked-for"),
        pytest.param(
            KeyCriteria(active=False), [key()], "status", id="active-though-inactive-ones-asked-for"
        ),
        pytest.param(BOTH, [key(used(100))], "", id="both-hold"),
        pytest.param(BOTH, [key(used(1))], "unused", id="the-first-does-not"),
        pytest.param(BOTH, [key(used(100), 300)], "older-than", id="the-second-does-not"),
        pytest.param(EITHER, [key(used(1))], "", id="one-is-enough"),
        pytest.param(EITHER, [key(used(100), 300)], "", id="the-other-is-enough"),
        pytest.param(EITHER, [key(used(1), 300)], "unused", id="neither-holds"),
        pytest.param(EITHER, [key(None)], "", id="one-is-enough-beside-an-unknown"),
        pytest.param(EITHER, [key(None, 300)], f"unused: {NO_USE}", id="unknown-and-not-old"),
        pytest.param(SUPERSEDED, [key(used(40)), other(used(39))], "", id="superseded"),
        pytest.param(SUPERSEDED, [key(used(40)), other(used(40))], "superseded", id="used-at-the-same-time"),
        pytest.param(SUPERSEDED, [key(), other(used(300))], "", id="never-used-and-superseded"),
        pytest.param(SUPERSEDED, [key(used(40)), other()], "superseded", id="newer-one-never-used"),
        pytest.param(SUPERSEDED, [key(), other()], "superseded", id="neither-used"),
        pytest.param(SUPERSEDED, [key(used(40))], "superseded", id="alone"),
        pytest.param(SUPERSEDED, [key(used(40)), other(used(1), 500)], "superseded", id="the-other-is-older"),
        pytest.param(
            SUPERSEDED,
            [key(used(40)), other(used(1), active=False)],
            "superseded",
            id="the-other-is-inactive",
        ),
        pytest.param(
            SUPERSEDED,
            [key(used(40)), other(used(1), None)],
            "superseded",
            id="the-others-creation-is-unknown",
        ),
        pytest.param(
            SUPERSEDED, [key(None), other(used(1))], f"superseded: {NO_USE}", id="its-use-is-unknown"
        ),
        pytest.param(
            SUPERSEDED,
            [key(None, doubt="not read"), other(used(1))],
            "superseded: not read",
            id="its-use-is-unknown-and-why",
        ),
        pytest.param(SUPERSEDED, [key(None)], "superseded", id="alone-and-unknown"),
        pytest.param(
            SUPERSEDED,
            [key(used(40)), other(None)],
            "superseded: the use of the newer key is unknown",
            id="the-others-use-is-unknown",
        ),
        pytest.param(
            SUPERSEDED,
            [key(used(40)), other(None, doubt="not read")],
            "superseded: not read",
            id="the-others-use-is-unknown-and-why",
        ),
    ],
)
def test_what_selects_a_key(criteria: KeyCriteria, keys: list[KeyEvidence], left_out: str) -> None:
    assert criteria.left_out_by(keys[0], keys, NOW) == left_out


@pytest.mark.parametrize(("apart", "newer"), [(SAME_MOMENT, True), (SECOND, False)])
def test_a_key_of_the_same_moment_is_not_newer(apart: timedelta, newer: bool) -> None:
    first = key(used(40))
    assert first.created
    second = KeyEvidence("AKIA2", True, first.created + apart, used(1), NOW)
    assert (SUPERSEDED.left_out_by(first, [first, second], NOW) == "") is newer


def test_each_condition_that_holds_is_a_finding() -> None:
    every = KeyCriteria(90, 365, True)
    keys = [key(used(100)), other(used(1))]
    assert [(each.id, each.severity, each.text) for each in every.findings(keys[0], keys, NOW)] == [
        (
            "key-unused",
            "medium",
            "Access key AKIA1 was last used on 2026-08-16, for s3 in us-east-1, 100 days ago, "
            "by the report of 2026-11-24 12:00 UTC.",
        ),
        ("key-old", "medium", "Access key AKIA1 is 400 days old."),
        (
            "key-superseded",
            "medium",
            "Access key AKIA1 is superseded: AKIA2 is newer, and was last used on 2026-11-23.",
        ),
    ]
    assert [each.id for each in every.findings(keys[1], keys, NOW)] == []


def test_what_is_unknown_is_no_finding() -> None:
    unknown = key(None, None)
    assert KeyCriteria(90, 365, True).findings(unknown, [unknown, other(used(1))], NOW) == []


def test_a_key_that_was_never_used_is_told_as_such() -> None:
    (found,) = UNUSED.findings(key(), [key()], NOW)
    assert (
        found.text == "Access key AKIA1 was never used, 400 days ago, by the report of 2026-11-24 12:00 UTC."
    )


def row(*slots: tuple[float, float | None, bool], **more: str) -> dict[str, str]:
    """The cells of keys, each created and used so many days ago, and active or not."""
    cells = {"access_key_1_active": "false", "access_key_2_active": "false"}
    cells |= {f"access_key_{number}_last_rotated": "N/A" for number in (1, 2)}
    for number, (created, use, active) in enumerate(slots, 1):
        prefix = f"access_key_{number}"
        cells |= {
            f"{prefix}_active": str(active).lower(),
            f"{prefix}_last_rotated": days_ago(created).isoformat(),
            f"{prefix}_last_used_date": days_ago(use).isoformat() if use is not None else "N/A",
            f"{prefix}_last_used_service": "s3",
            f"{prefix}_last_used_region": "eu-west-1",
        }
    return {**cells, **more}


#: More keys than the row shows.
MORE = {"additional_credentials_info": "2 more access keys"}


@pytest.mark.parametrize(
    ("criteria", "cells", "may"),
    [
        pytest.param(UNUSED, row((400, 100, True)), True, id="unused"),
        pytest.param(UNUSED, row((400, 1, True)), False, id="used"),
        pytest.param(UNUSED, row((400, 1, True), (400, 100, True)), True, id="one-of-two"),
        pytest.param(UNUSED, row((400, 100, False)), False, id="inactive"),
        pytest.param(UNUSED, row(), False, id="none"),
        pytest.param(UNUSED, row(**MORE), True, id="not-all-shown"),
        pytest.param(KeyCriteria(active=False), row((400, 1, True)), False, id="none-inactive"),
        pytest.param(KeyCriteria(active=False), row((400, 1, True), (9, 1, False)), True, id="one-inactive"),
        pytest.param(KeyCriteria(active=False), row(), False, id="none-at-all"),
        pytest.param(KeyCriteria(active=False), row(**MORE), True, id="inactive-and-not-all-shown"),
        pytest.param(SUPERSEDED, row((400, 40, True), (200, 1, True)), True, id="superseded"),
        pytest.param(SUPERSEDED, row((400, 40, True)), False, id="not-superseded"),
    ],
)
def test_whose_keys_are_listed(criteria: KeyCriteria, cells: dict[str, str], may: bool) -> None:
    assert criteria.may_select(cells, NOW, NOW) is may


def item(created: float, name: str = "AKIA1", status: str = "Active") -> dict[str, Any]:
    return {"AccessKeyId": name, "Status": status, "CreateDate": days_ago(created)}


@pytest.mark.parametrize(
    ("cells", "doubt"),
    [
        pytest.param(None, "the credential report has no row for its user", id="no-row"),
        pytest.param(
            row(**MORE), "the credential report does not have all keys of its user", id="not-all-shown"
        ),
        pytest.param(
            row((300, 5, True)),
            "the credential report has no key of its user that was created when it was",
            id="another-key",
        ),
        pytest.param(
            row((400, 5, True), (400, 9, True)),
            "two keys of its user were created in the same second",
            id="two-in-the-report",
        ),
        pytest.param(
            {**row((400, 5, True)), "access_key_1_last_used_date": ""},
            "the credential report does not say when it was used",
            id="no-use-in-the-report",
        ),
    ],
)
def test_why_the_use_of_a_key_is_unknown(cells: dict[str, str] | None, doubt: str) -> None:
    (found,) = listed_keys([item(400)], cells, NOW)
    assert (found.key_id, found.last_use, found.doubt) == ("AKIA1", None, doubt)
    assert found.as_data()["used"] is None
    assert found.as_data()["unknown"] == doubt


def test_two_keys_of_the_same_second_have_no_known_use() -> None:
    found = listed_keys([item(400), item(400, "AKIA2")], row((400, 5, True)), NOW)
    assert {each.doubt for each in found} == {"two keys of its user were created in the same second"}


def test_a_listed_key_has_the_use_of_its_slot() -> None:
    cells = row((400, None, False), (200, 5, True))
    older, newer = listed_keys([item(400, status="Inactive"), item(200, "AKIA2")], cells, NOW)
    common = {"source": "the credential report", "as_of": "2026-11-24T12:00:00+00:00"}
    assert older.as_data() == {
        **common,
        "id": "AKIA1",
        "status": "Inactive",
        "created": "2025-10-20T12:00:00+00:00",
        "used": False,
    }
    assert newer.as_data() == {
        **common,
        "id": "AKIA2",
        "status": "Active",
        "created": "2026-05-08T12:00:00+00:00",
        "used": "2026-11-19T12:00:00+00:00",
        "service": "s3",
        "region": "eu-west-1",
    }


def test_a_key_that_is_asked_for_has_the_use_that_aws_answers() -> None:
    uses = [KeyUse("AKIA2", days_ago(5), "s3", "eu-west-1"), KeyUse("AKIA1", None, "N/A", "N/A")]
    never, lately, unknown = live_keys([item(400), item(200, "AKIA2"), item(9, "AKIA3")], uses, NOW)
    assert (never.last_use, lately.last_use) == (LastUse(None, "N/A", "N/A"), used(5, region="eu-west-1"))
    assert unknown.last_use is None
    assert {(each.as_of, each.source) for each in (never, lately)} == {(NOW, "GetAccessKeyLastUsed")}
