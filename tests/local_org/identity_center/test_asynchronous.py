# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from aws_local_org.identity_center import state
from tests.local_org.identity_center.center import PAYMENTS, RESEARCH, SETTINGS, Center


@pytest.fixture
def waiting(center: Center) -> Iterator[Center]:
    """assignment_seconds may be changed while running."""
    yield center
    center.org.configure(assignment_seconds=SETTINGS.assignment_seconds)


def test_even_without_a_wait_the_request_is_in_progress_first(waiting: Center) -> None:
    waiting.org.configure(assignment_seconds=0)
    status = waiting.assign(waiting.permission_set(), waiting.group())
    assert status["Status"] == "IN_PROGRESS"
    assert waiting.creation(status["RequestId"])["Status"] == "SUCCEEDED"


def test_a_changed_wait_is_for_later_requests(waiting: Center) -> None:
    arn, group = waiting.permission_set(), waiting.group()
    slow = waiting.assign(arn, group, PAYMENTS)
    waiting.org.configure(assignment_seconds=1)
    quick = waiting.assign(arn, group, RESEARCH)
    waiting.clock.advance(1)
    assert waiting.creation(quick["RequestId"])["Status"] == "SUCCEEDED"
    assert waiting.creation(slow["RequestId"])["Status"] == "IN_PROGRESS"


def test_by_the_wall_clock(waiting: Center) -> None:
    state.use_clock(None)
    before = datetime.now(timezone.utc)
    assert before <= state.now() <= datetime.now(timezone.utc)
    waiting.org.configure(assignment_seconds=3600)
    status = waiting.assign(waiting.permission_set(), waiting.group())
    assert waiting.creation(status["RequestId"])["Status"] == "IN_PROGRESS"
