# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from benchmarks.results import CALLS_OF_AN_ITEM, deletion_floor, evidence_floor
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from tests.benchmarks.measurements import contents

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("held", "calls"),
    [
        (contents(), (1, 1, 1, 1, 1)),
        (contents(users=1000), (1, 1, 1, 1, 1)),
        (contents(users=1000, groups=1), (2, 1, 1, 1, 1)),
        (contents(users=1001), (2, 2, 1, 1, 1)),
        (contents(users=5000, groups=200, roles=500, policies=1000), (7, 5, 1, 1, 1)),
        (contents(mfa_devices=900, orphaned_mfa=101, service_credentials=2000), (1, 1, 1, 2, 2)),
    ],
    ids=["empty", "a full page", "one beyond it", "a user beyond it", "many", "devices and credentials"],
)
def test_evidence_costs_full_pages(held: dict[str, int], calls: tuple[int, ...]) -> None:
    assert tuple(evidence_floor(held).values()) == calls


def test_a_bare_user_costs_its_lists_and_its_deletion() -> None:
    floor = deletion_floor(contents(users=3))
    assert floor.pop("GetUser") == 6
    assert set(floor.values()) == {3}
    lists = {kind.reading.operation for kind in ATTACHMENT_KINDS if kind.reading}
    # IAM lists these for all users at once.
    assert floor.keys() == lists - {"ListServiceSpecificCredentials"} | {"DeleteUser"}


def test_each_item_costs_a_call() -> None:
    bare = sum(deletion_floor(contents(users=2)).values())
    held = contents(
        users=2, passwords=1, access_keys=4, memberships=3, attached_policies=2, inline_policies=5
    )
    # the text of an inline policy takes a call of its own
    assert sum(deletion_floor(held).values()) == bare + 1 + 4 + 3 + 2 + 5 + 5


def test_every_kind_of_attachment_is_removed_by_a_call_of_the_floor() -> None:
    everything = deletion_floor(dict.fromkeys({*contents(), *CALLS_OF_AN_ITEM.values()}, 1))
    # A virtual device takes a second call, which the measured users don't need.
    removing = {name for kind in ATTACHMENT_KINDS for name in kind.removing} - {"DeleteVirtualMFADevice"}
    assert removing
    assert removing <= everything.keys()
