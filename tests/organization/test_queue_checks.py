# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from c7n_iamusers.organization.queue_checks import queue_doubts
from c7n_iamusers.organization.readiness import ATTENTION


def attributes(
    waiting: int = 0, flying: int = 0, delayed: int = 0, retention: int = 345_600
) -> dict[str, str]:
    return {
        "ApproximateNumberOfMessages": str(waiting),
        "ApproximateNumberOfMessagesNotVisible": str(flying),
        "ApproximateNumberOfMessagesDelayed": str(delayed),
        "MessageRetentionPeriod": str(retention),
    }


@pytest.mark.parametrize(
    ("found", "told"),
    [
        pytest.param(attributes(), [], id="empty"),
        pytest.param(
            attributes(1, 2, 3), ["q: 6 messages wait in it; each is lost after 96 hours"], id="waiting"
        ),
        pytest.param(attributes(delayed=1), ["q: 1 messages wait in it"], id="delayed"),
        pytest.param(attributes(retention=345_599), ["q keeps a message for 95.9"], id="short"),
        pytest.param(attributes(retention=1_209_600), [], id="long"),
        pytest.param(
            attributes(1, retention=60), ["q: 1 messages wait", "q keeps a message for 0.01"], id="both"
        ),
    ],
)
def test_doubts_on_a_queue(found: dict[str, str], told: list[str]) -> None:
    lines = list(queue_doubts("q", found))
    assert [each.text.startswith(text) for each, text in zip(lines, told, strict=True)] == [True] * len(told)
    assert {each.status for each in lines} <= {ATTENTION}
