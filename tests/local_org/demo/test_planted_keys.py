# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from aws_local_org import LocalOrg
from aws_local_org.demo.planted_keys import (
    ACTIVE,
    BUSY,
    EXEMPT,
    GONE,
    INACTIVE,
    LAST,
    NEW,
    PARKED,
    RETIRED,
    STORIES,
    Keys,
    KeyState,
    changed,
    delete_other,
    end_faults,
    key_states,
    plant,
    run_faults,
    status_of,
    table,
    use,
)
from tests.policies import ACCOUNT

NOW = datetime.now(timezone.utc)
KEYS = Keys({name: f"AKIA-{name}" for name in STORIES}, {name: f"AKIA-other-{name}" for name in STORIES})
TOLD = {KEYS.told[name]: NOW - timedelta(days=30) for name in STORIES if name != EXEMPT}


def state(key_id: str, user: str, status: str = ACTIVE, **more: Any) -> KeyState:
    return KeyState(key_id, user, status, more.get("used"), more.get("denied", False))


def both(**statuses: str) -> dict[str, KeyState]:
    """All planted keys; of these users, the key of the story has another status, or is gone."""
    rows = {key_id: state(key_id, name) for name, key_id in (*KEYS.told.items(), *KEYS.other.items())}
    for user, status in statuses.items():
        key_id = KEYS.told[user.replace("_", "-")]
        rows[key_id] = replace(rows[key_id], status=status)
    return {key_id: each for key_id, each in rows.items() if each.status != GONE}


def row(user: str, status: str) -> dict[str, Any]:
    return {"unique_id": KEYS.told[user], "status": status}


BEFORE = both(svc_invoice_mailer=INACTIVE)
PARKED_NOW, RETIRED_NOW = {"svc_stock_sync": INACTIVE}, {"svc_invoice_mailer": GONE}
DONE = both(**PARKED_NOW, **RETIRED_NOW)
ROWS = [row(PARKED, "deactivated"), row(RETIRED, "retired"), row(BUSY, "skipped")]
WANTED = {PARKED: INACTIVE, RETIRED: GONE}


def with_key(states: dict[str, KeyState], user: str, **more: Any) -> dict[str, KeyState]:
    key_id = KEYS.told[user]
    return {**states, key_id: replace(states[key_id], **more)}


def test_a_run_that_did_what_was_expected_has_no_fault() -> None:
    assert run_faults(KEYS, BEFORE, DONE, ROWS, TOLD, WANTED) == []
    assert run_faults(KEYS, BEFORE, BEFORE, [], {}, {}) == []


@pytest.mark.parametrize(
    ("before", "after", "rows", "told", "wanted", "fault"),
    [
        pytest.param(
            BEFORE, BEFORE, [], TOLD, WANTED, f"the key of {PARKED} is unchanged, and not Inactive", id="idle"
        ),
        pytest.param(
            BEFORE, DONE, ROWS, TOLD, {PARKED: INACTIVE}, f"{RETIRED} is gone, and not unchanged", id="more"
        ),
        pytest.param(BEFORE, DONE, ROWS[:1], TOLD, WANTED, "its outcome is none", id="no-outcome"),
        pytest.param(
            BEFORE, DONE, [row(PARKED, "retired"), ROWS[1]], TOLD, WANTED, "its outcome is gone", id="other"
        ),
        pytest.param(
            with_key(BEFORE, PARKED, used=NOW - timedelta(days=3)),
            *(DONE, ROWS, TOLD, WANTED, "although it was used on"),
            id="in-use",
        ),
        pytest.param(
            with_key(BEFORE, PARKED, denied=True),
            *(DONE, ROWS, TOLD, WANTED, "although its user is denied everything"),
            id="denied",
        ),
        pytest.param(
            both(),
            both(git_mirror=INACTIVE),
            [row(EXEMPT, "deactivated")],
            {**TOLD, KEYS.told[EXEMPT]: NOW - timedelta(days=30)},
            {EXEMPT: INACTIVE},
            "although its user is exempt",
            id="exempt",
        ),
        pytest.param(BEFORE, DONE, ROWS, {}, WANTED, "was not addressed 30 days before", id="unannounced"),
        pytest.param(
            BEFORE,
            *(DONE, ROWS, {**TOLD, KEYS.told[PARKED]: NOW - timedelta(days=15)}, WANTED),
            "was not addressed 16 days before",
            id="lately",
        ),
        pytest.param(both(), DONE, ROWS, TOLD, WANTED, "although it was active until then", id="not-parked"),
        pytest.param(
            {
                key_id: each
                for key_id, each in with_key(BEFORE, RETIRED, used=NOW - timedelta(days=50)).items()
                if key_id != KEYS.other[RETIRED]
            },
            *(DONE, ROWS, TOLD, WANTED, "although its user has no other active key"),
            id="last-key",
        ),
    ],
)
def test_what_a_run_on_keys_must_not_do_is_a_fault(
    before: dict[str, KeyState],
    after: dict[str, KeyState],
    rows: list[dict[str, Any]],
    told: dict[str, datetime],
    wanted: dict[str, str],
    fault: str,
) -> None:
    assert any(fault in each for each in run_faults(KEYS, before, after, rows, told, wanted))


def at_the_end() -> dict[str, KeyState]:
    found = both(**{name.replace("-", "_"): story.end for name, story in STORIES.items()})
    del found[KEYS.other[LAST]]
    return found


def report(**codes: str) -> dict[str, Any]:
    told = {name: codes.get(name.replace("-", "_"), story.code) for name, story in STORIES.items()}
    return {
        "keys": [
            {
                "key": KEYS.told[name],
                "state": STORIES[name].state,
                "code": code,
                "reason": f"because of {code}",
                "announced": "2026-12-01T",
            }
            for name, code in told.items()
            if code
        ]
    }


def test_the_end_of_all_stories_has_no_fault() -> None:
    assert end_faults(KEYS, at_the_end(), TOLD, report()) == []
    columns, rows = table(KEYS, at_the_end(), report())
    assert {len(row) for row in rows} == {len(columns)}
    shown = {row[1]: row[3:] for row in rows}
    assert shown[RETIRED] == ["2026-12-01", GONE, ACTIVE, "retired", "because of KeyWasParked"]
    assert shown[LAST] == ["2026-12-01", INACTIVE, GONE, "parked", "because of LastKeyInUse"]
    assert shown[EXEMPT] == ["", ACTIVE, ACTIVE, "", "its user is exempt"]


@pytest.mark.parametrize(
    ("after", "told", "said", "fault"),
    [
        pytest.param(
            with_key(at_the_end(), BUSY, status=INACTIVE),
            *(TOLD, report(), f"the key of {BUSY} is Inactive in AWS, and not Active"),
            id="state",
        ),
        pytest.param(at_the_end(), {}, report(), f"the key of {NEW} was not announced", id="unannounced"),
        pytest.param(
            at_the_end(),
            {**TOLD, KEYS.told[EXEMPT]: NOW},
            *(report(), f"the key of {EXEMPT} was announced"),
            id="exempt-announced",
        ),
        pytest.param(
            at_the_end(), TOLD, report(git_mirror="Active"), "whose user is exempt", id="exempt-reported"
        ),
        pytest.param(
            at_the_end(),
            *(
                TOLD,
                report(svc_price_feed="Stopped"),
                f"the key of {BUSY}: ['left alone', 'Stopped'], and not",
            ),
            id="reason",
        ),
        pytest.param(
            {key_id: each for key_id, each in at_the_end().items() if key_id != KEYS.other[BUSY]},
            *(TOLD, report(), f"the other key of {BUSY} is gone"),
            id="other-key",
        ),
    ],
)
def test_what_is_not_as_the_story_says_is_a_fault(
    after: dict[str, KeyState], told: dict[str, datetime], said: dict[str, Any], fault: str
) -> None:
    assert [each for each in end_faults(KEYS, after, told, said) if fault in each]


def test_aws_shows_the_planted_keys(org: LocalOrg) -> None:
    keys = plant(org, ACCOUNT)
    before = key_states(org, ACCOUNT)
    assert {*keys.told.values(), *keys.other.values()} == before.keys()
    assert {each.status for each in before.values()} == {ACTIVE}
    assert before[keys.told[NEW]].used is None
    use(org, ACCOUNT, keys)
    delete_other(org, ACCOUNT, keys, LAST)
    org.client("iam", ACCOUNT).update_access_key(
        UserName=PARKED, AccessKeyId=keys.told[PARKED], Status=INACTIVE
    )
    after = key_states(org, ACCOUNT)
    assert changed(before, after) == {keys.other[LAST]: GONE, keys.told[PARKED]: INACTIVE}
    assert status_of(keys.told[PARKED], after) == INACTIVE
    used, used_before = after[keys.told[BUSY]].used, before[keys.told[BUSY]].used
    assert used
    assert used_before
    assert used > used_before
    assert after[keys.told[RETIRED]].used == before[keys.told[RETIRED]].used
