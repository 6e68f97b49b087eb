# SPDX-License-Identifier: Apache-2.0
"""What people are told to do about an account in which AWS can't provision."""

from __future__ import annotations

import pytest

from c7n_iamusers.identity_center.planning.account_provisioning import way_out
from tests.access_center import ACCOUNT

pytestmark = pytest.mark.pure
LEFT_OUT = f"account {ACCOUNT} can be left out"
JOINS = f"nobody new joins group readers until account {ACCOUNT} is corrected: remove the group's assignment there"
CLOSED = f"if account {ACCOUNT} is closed, remove the permission set's assignments there"


@pytest.mark.parametrize(
    ("is_requested", "groups", "told"),
    [
        pytest.param(True, [], [LEFT_OUT], id="own-group"),
        pytest.param(True, ["readers"], [LEFT_OUT, JOINS], id="shared-group"),
        pytest.param(False, ["readers"], [JOINS], id="shared-group-of-a-run-without-the-account"),
        pytest.param(False, [], [CLOSED], id="a-run-without-the-account"),
    ],
)
def test_a_way_out_is_one_of_this_run(is_requested: bool, groups: list[str], told: list[str]) -> None:
    text = way_out(ACCOUNT, is_requested, groups)
    assert [each for each in (LEFT_OUT, JOINS, CLOSED) if each in text] == told
