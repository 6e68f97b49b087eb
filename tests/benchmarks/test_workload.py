# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from aws_local_org.seeding.records import counts_of
from benchmarks.results import CALLS_OF_AN_ITEM
from benchmarks.workload import POPULATIONS, account_to_delete, account_to_flag
from c7n_iamusers.iam.attachments import is_virtual_mfa


@pytest.mark.parametrize("population", POPULATIONS)
def test_users_are_alike(population: str) -> None:
    users = POPULATIONS[population](120).users
    kinds = ("access_keys", "certificates", "ssh_keys", "mfa_devices", "inline", "policies", "groups", "tags")
    assert len({tuple(len(getattr(user, kind)) for kind in kinds) for user in users}) == 1
    assert len({user.name for user in users}) == len({user.user_id for user in users}) == 120


def test_surroundings_grow_with_users() -> None:
    small, large = counts_of(account_to_flag(100)), counts_of(account_to_flag(500))
    for what in ("groups", "roles", "policies", "orphaned_mfa", "service_credentials", "mfa_devices"):
        assert large[what] == 5 * small[what] > 0


def test_users_to_delete_have_one_of_every_kind_and_no_virtual_device() -> None:
    contents = account_to_delete(10)
    held = counts_of(contents)
    assert held["access_keys"] == 2 * 10
    for what in CALLS_OF_AN_ITEM.values():
        assert held[what] >= 10, what
    assert not [
        device
        for user in contents.users
        for device in user.mfa_devices
        if is_virtual_mfa({"SerialNumber": device.serial})
    ]
