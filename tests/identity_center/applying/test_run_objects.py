# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.identity_center.object_records import Created, Removed, created_by, removed_by

pytestmark = pytest.mark.pure

GIVEN = {"UserName": "alice"}


def line(phase: str, operation: str = "CreateUser", **fields: Any) -> dict[str, Any]:
    return {"phase": phase, "operation": operation, "parameters": GIVEN, **fields}


BEFORE = line("before")
DONE = line("after", result="done", saved={"user": "id-1"})
CREATED, PERHAPS = Created("user", "id-1", GIVEN), Created("user", "", GIVEN, certain=False)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([BEFORE, DONE], [CREATED], id="done"),
        pytest.param([BEFORE], [PERHAPS], id="died-before-the-answer"),
        pytest.param([BEFORE, BEFORE, DONE], [CREATED], id="carried-on"),
        pytest.param([BEFORE, line("after", result="failed", code="ValidationException")], [], id="refused"),
        pytest.param(
            [BEFORE, line("after", result="unknown", code="Timeout")], [PERHAPS], id="never-seen-ended"
        ),
        pytest.param(
            [BEFORE, line("after", result="unknown", code="ReadTimeoutError")],
            [PERHAPS],
            id="no-answer-at-all",
        ),
        pytest.param(
            [BEFORE, line("after", result="adopted", saved={"user": "x"})], [], id="somebody-else's"
        ),
        pytest.param(
            [BEFORE, DONE, BEFORE, line("after", result="failed", code="X")], [CREATED], id="once-is-made"
        ),
        pytest.param(
            [line("before", "DeleteUser"), line("after", "DeleteUser", result="done")], [], id="deleting"
        ),
        pytest.param([{"phase": "outcome", "status": "failed"}], [], id="another-kind-of-line"),
    ],
)
def test_what_a_journal_tells(lines: list[dict[str, Any]], expected: list[Created]) -> None:
    assert created_by(lines) == expected


def test_there_and_back() -> None:
    assert Created.from_data(PERHAPS.as_data()) == PERHAPS
    assert Removed.from_data(REMOVED.as_data()) == REMOVED


REMOVED = Removed(
    "membership",
    {"group": "g", "group-id": "g-1", "id": "m-1", "user-id": "u-1", "username": "u", "gives": []},
)
MEMBERSHIP = {"IdentityStoreId": "d", "GroupId": "g-1", "MemberId": {"UserId": "u-1"}}


def removing(phase: str, **fields: Any) -> dict[str, Any]:
    notes = {"notes": {"removed": REMOVED.as_data()}} if phase == "before" else {}
    parameters = {"IdentityStoreId": "d", "MembershipId": "m-1"}
    return {
        "phase": phase,
        "operation": "DeleteGroupMembership",
        "parameters": parameters,
        **notes,
        **fields,
    }


def joining(phase: str, user: str = "u-1", **fields: Any) -> dict[str, Any]:
    parameters = {**MEMBERSHIP, "MemberId": {"UserId": user}}
    return {"phase": phase, "operation": "CreateGroupMembership", "parameters": parameters, **fields}


TAKEN = removing("before")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([TAKEN, removing("after", result="done")], [REMOVED], id="done"),
        pytest.param([TAKEN], [REMOVED], id="died-before-the-answer"),
        pytest.param([TAKEN, TAKEN, removing("after", result="gone")], [REMOVED], id="carried-on"),
        pytest.param([TAKEN, removing("after", result="failed", code="AccessDenied")], [], id="refused"),
        pytest.param(
            [TAKEN, removing("after", result="unknown", code="Timeout")], [REMOVED], id="never-seen-ended"
        ),
        pytest.param(
            [joining("before"), joining("after", result="done", saved={"membership": "m-1"}), TAKEN],
            [],
            id="made-by-the-same-run",
        ),
        pytest.param(
            [joining("before", "u-2"), joining("after", "u-2", result="done", saved={}), TAKEN],
            [REMOVED],
            id="another-made-by-the-same-run",
        ),
        pytest.param(
            [{key: part for key, part in TAKEN.items() if key != "notes"}], [], id="of-the-version-before"
        ),
    ],
)
def test_what_a_journal_tells_of_removals(lines: list[dict[str, Any]], expected: list[Removed]) -> None:
    assert removed_by(lines) == expected
