# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.plugins.composite_delete import CompositeDelete
from tests.full_users import create_full_user
from tests.interference import on_call
from tests.plugins.deletions import delete, journal, outcomes, user_names


def send(number: signal.Signals) -> None:
    """Send this process a signal, and wait until its main thread has handled it: the handler is of one use."""
    before = signal.getsignal(number)
    os.kill(os.getpid(), number)
    for _ in range(60_000):
        if signal.getsignal(number) != before:
            return
        time.sleep(0.001)
    raise AssertionError(f"nobody handled {number.name}")


@pytest.mark.parametrize(
    ("number", "ending"),
    [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)],
    ids=["TERM", "INT"],
)
def test_a_signal_ends_the_run_after_the_call_in_hand(
    org: LocalOrg,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    ending: type[BaseException],
) -> None:
    iam = create_full_user(org, "alice")
    create_full_user(org, "bob")
    with monkeypatch.context() as patch:
        patch.setattr(CompositeDelete, "max_workers", 1)
        on_call(patch, "DeleteLoginProfile", lambda: send(number))
        with pytest.raises(ending):
            delete(tmp_path)

    lines = [line for line in journal(tmp_path) if line["phase"] != "outcome"]
    assert [(line["phase"], line["operation"]) for line in lines] == [
        ("before", "PutUserPolicy"),
        ("after", "PutUserPolicy"),
        ("before", "DeleteLoginProfile"),
        ("after", "DeleteLoginProfile"),
    ]
    assert lines[-1]["result"] == "done"
    rows = outcomes(tmp_path)
    assert (rows["alice"]["status"], rows["alice"]["code"]) == ("failed", "Interrupted")
    assert f"stopped by {number.name} after 2 calls: run again" in rows["alice"]["reason"]
    assert rows["bob"]["reason"] == f"stopped by {number.name} before its turn: run again"

    delete(tmp_path)
    assert user_names(iam) == []
    assert Counter(row["status"] for row in outcomes(tmp_path).values()) == {"deleted": 2}
