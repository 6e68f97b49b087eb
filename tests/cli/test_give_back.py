# SPDX-License-Identifier: Apache-2.0
"""Giving a user back while others act: another user of its name, outputs in a bucket, runs and machines that meet."""

from __future__ import annotations

from typing import Any

from aws_local_org import LocalOrg
from tests.cli.test_user import iam as iam  # a fixture
from tests.cli.test_user import messages, run, state, user


def test_another_user_of_the_name_is_left_alone(org: LocalOrg, iam: Any) -> None:
    run({"type": "quarantine"})
    iam.update_user(UserName="alice", NewUserName="alice-2")
    iam.create_user(UserName="alice")
    iam.create_access_key(UserName="alice")
    run({"type": "quarantine"}, "elsewhere")
    before = state(iam)
    assert before[:2] == (["c7n-iamusers-deny-all"], ["Inactive"])
    result = user("alice", "-a", "payments", "--give-back", "--yes")
    assert result.exit_code == 1
    assert "no user alice with this unique id any more" in result.output
    assert state(iam) == before
    assert messages(org) == []
