# SPDX-License-Identifier: Apache-2.0
"""Checks right before a call, and what becomes of the change if one refuses it, or can't be made."""

from __future__ import annotations

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.writer.change import (
    ChangeFailed,
    NothingLeft,
    OnlyInParts,
    Send,
)
from tests.fakes import client_error
from tests.identity_center.writer.test_change import ASSIGN, CREATE, LOST, THROTTLED, Drive


def test_a_check_before_each_try_of_a_call() -> None:
    driven = Drive(ASSIGN, check=lambda: None)
    for error in (THROTTLED, None):
        check = driven.last
        assert isinstance(check, Send)
        assert (check.operation, check.checked) == ("CreateAccountAssignment", False)
        driven.answer(None)
        assert isinstance(driven.last, Send)
        assert driven.last.checked
        if error:
            driven.retry(error)


def test_a_check_that_fails_leaves_no_line() -> None:
    driven = Drive(ASSIGN, check=lambda: None)
    with pytest.raises(ChangeFailed, match="somebody has joined"):
        driven.take(IdentityCenterError("somebody has joined"))
    assert driven.journal == []
    assert driven.execution.made == 0


def test_a_check_that_can_not_be_made_is_tried_again() -> None:
    driven = Drive(ASSIGN, check=lambda: None)
    assert driven.retry(THROTTLED) == 1.0
    assert isinstance(driven.last, Send)
    assert not driven.last.checked


@pytest.mark.parametrize(
    ("error", "checked"),
    [
        pytest.param(IdentityCenterError("no"), True, id="not-at-all"),
        pytest.param(OnlyInParts("no"), False, id="only-in-parts"),
    ],
)
def test_whether_parts_of_what_a_check_refused_may_be_made(error: Exception, checked: bool) -> None:
    driven = Drive(ASSIGN, check=lambda: None)
    with pytest.raises(ChangeFailed, match="no") as failure:
        driven.take(error)
    assert (failure.value.checked, failure.value.pending) == (checked, False)


def test_a_check_that_finds_nothing_left_ends_the_change_without_a_call() -> None:
    driven = Drive(ASSIGN, check=lambda: None)
    driven.take(NothingLeft("no assignments"))
    assert (driven.next, driven.execution.made, driven.journal) == ("done", 0, [])


def test_a_refused_read_before_a_call_is_not_told_as_that_of_the_call() -> None:
    driven = Drive(ASSIGN, check=lambda: None)
    refused = client_error("AccessDeniedException")
    with pytest.raises(ChangeFailed) as failure:
        driven.take(refused)
    assert failure.value.code == "AccessDeniedException"
    assert str(failure.value).endswith(
        f"sso-admin:CreateAccountAssignment was not made: {refused.operation_name} failed with "
        "AccessDeniedException: AccessDeniedException happened"
    )
    assert driven.journal == []


def test_a_refused_read_after_a_lost_answer_does_not_say_that_the_call_was_not_made() -> None:
    driven = Drive(CREATE)
    driven.retry(LOST)
    driven.retry(client_error("ConflictException"))
    assert driven.next == "read"
    with pytest.raises(
        ChangeFailed, match="was made, and no answer of AWS says whether it was applied"
    ) as failure:
        driven.take(client_error("AccessDeniedException"))
    assert "Operation failed with AccessDeniedException" in str(failure.value)
