# SPDX-License-Identifier: Apache-2.0
"""Logs and errors with texts that somebody else chose."""

from __future__ import annotations

import logging
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from c7n_iamusers.deletion import user_deletion
from c7n_iamusers.entry import ACTIONS, FILTERS, load_classes
from c7n_iamusers.execution import executor, outcomes
from c7n_iamusers.identity_center.applying import run_lock
from c7n_iamusers.plugins.run_outputs import visible_errors
from c7n_iamusers.text.wording import VisibleLog, visible_log
from tests.hostile_texts import INVISIBLE, TEXTS
from tests.policies import ACCOUNT, policy

each_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


@each_text
def test_a_log_line_is_one_visible_line(text: str, caplog: pytest.LogCaptureFixture) -> None:
    log = visible_log("custodian.test")
    with caplog.at_level(logging.INFO):
        log.info("%s: left alone: %s", "alice", text)
        log.warning(text)
        log.debug("%d", "not formatted, as nobody asked for it")
    first, second = caplog.messages
    assert first.startswith("alice: left alone: ")
    for line in (first, second):
        assert not (INVISIBLE | {"\n"}) & set(line)


@pytest.mark.parametrize("name", [*FILTERS, *ACTIONS])
def test_each_plugin_logs_visibly(name: str) -> None:
    (plugin,) = load_classes({name: (FILTERS | ACTIONS)[name]}).values()
    assert isinstance(plugin.log, VisibleLog)
    assert getattr(plugin.process, "__wrapped__", None), "its errors are not made visible"


@pytest.mark.parametrize("log", [user_deletion.LOG, executor.LOG, outcomes.LOG, run_lock.log])
def test_the_rooms_below_log_visibly(log: object) -> None:
    assert isinstance(log, VisibleLog)


@each_text
def test_an_error_is_visible(text: str) -> None:
    @visible_errors
    def process() -> None:
        raise PolicyExecutionError(f"policy x: account 1: {text}")

    with pytest.raises(PolicyExecutionError) as caught:
        process()
    assert not (INVISIBLE | {"\n"}) & set(str(caught.value))


def test_a_reason_forges_no_line_of_the_log(
    org: LocalOrg, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    org.client("iam", account_id=ACCOUNT).create_user(UserName="alice")
    rule: dict[str, Any] = {"user": "alice", "reason": TEXTS["line"] + TEXTS["terminal"]}
    rule["expires"] = (date.today() + timedelta(days=9)).isoformat()
    with caplog.at_level(logging.INFO):
        policy({"filters": [{"type": "unnecessary", "exempt": [rule]}]}, tmp_path / "output").run()
    ours = [each for each in caplog.messages if "custodian.actions" in each]
    assert ours
    assert not any((INVISIBLE | {"\n"}) & set(line) for line in ours)
    kept = (tmp_path / "output" / "under-test" / "custodian-run.log").read_text()
    assert not any(line.startswith("2026-01-01") for line in kept.splitlines())
