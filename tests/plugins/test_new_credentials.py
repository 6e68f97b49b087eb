# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from c7n_iamusers.plugins.created_credentials import CreatedCredentials
from c7n_iamusers.plugins.notice_steps import Due
from tests import cloudtrail_events as trail

pytestmark = pytest.mark.pure

MADE = trail.event("CreateAccessKey", trail.CONSOLE, {"userName": "bob"})
REMOVED = trail.event("DeleteUserPolicy", trail.CONSOLE, {"userName": "bob"})
FAILED = trail.event("CreateUser", trail.CONSOLE, {"userName": "bob"}, errorCode="AccessDenied")


@pytest.mark.parametrize(
    ("event", "domains", "creator"),
    [
        pytest.param(MADE, ["example.com"], "jane@example.com", id="of-the-domain"),
        pytest.param(MADE, ["Example.COM"], "jane@example.com", id="case"),
        pytest.param(MADE, ["example.org"], "", id="other-domain"),
        pytest.param(MADE, [], "", id="no-domains"),
        pytest.param(None, ["example.com"], "", id="no-event"),
        pytest.param(FAILED, ["example.com"], "", id="failed-call"),
    ],
)
def test_who_is_addressed_as_the_creator(event: Any, domains: list[str], creator: str) -> None:
    assert CreatedCredentials(2, event, domains).creator == creator


@pytest.mark.parametrize(
    ("event", "users", "counted", "name", "subject"),
    [
        pytest.param(MADE, 1, True, "created", "CreateAccessKey for 1 IAM user", id="call"),
        pytest.param(REMOVED, 1, True, "deny-removed", "DeleteUserPolicy for 1 IAM user", id="deny"),
        pytest.param(None, 2, True, "created", "new long-term credentials of 2 IAM users", id="daily"),
        pytest.param(None, 2, False, "created", "new long-term credentials of IAM users", id="uncounted"),
    ],
)
def test_step_and_subject(event: Any, users: int, counted: bool, name: str, subject: str) -> None:
    step = CreatedCredentials(2, event)
    assert step.name == name
    due = [Due({"UserName": "bob"}, date(2026, 11, 26))] * users
    assert step.subject("pay {prod}", due, counted) == f"pay (prod): {subject} on 2026-11-26"
