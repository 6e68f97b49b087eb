# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.decisions.creations import created_by
from c7n_iamusers.model.creations import Created

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
            [BEFORE, line("after", result="failed", code="Timeout")], [PERHAPS], id="never-seen-ended"
        ),
        pytest.param(
            [BEFORE, line("after", result="failed", code="ReadTimeoutError")],
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
