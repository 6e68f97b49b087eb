# SPDX-License-Identifier: Apache-2.0
"""What is on record of a user, as a run finds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.iam.live_users import LiveUsers
from tests.policies import ACCOUNT
from tests.quarantine.test_user_quarantine import _records, running


@pytest.mark.parametrize("partial", [False, True])
def test_what_follows_a_partial_snapshot_is_partial(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partial: bool
) -> None:
    org.client("iam", ACCOUNT).create_user(UserName="alice")
    with running(org, tmp_path) as run:
        user, records = LiveUsers(run.client, 1, run.backoff).read_fully("alice"), _records(run)
        assert user
        earlier = replace(records.find(user).snapshot, partial=partial)
        monkeypatch.setattr(records, "_earlier", lambda _: [earlier])
        assert records.find(user).snapshot.partial is partial
