# SPDX-License-Identifier: Apache-2.0
"""Everybody who holds anything, beyond those whom the intents are of."""

from __future__ import annotations

from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.derivation.users import allow
from tests.derived import derived, holder
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.test_totals_of_people import (
    ALICE,
    BOB,
    MALLORY,
    assign,
    create_user,
    join,
    set_by_hand,
)

READ_S3 = allow("s3:Get*")


def test_everybody_in_every_account_where_anything_of_ours_is(fleet: FleetRehearsal) -> None:
    fleet.leave(
        derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)),
        derived(OTHER_ACCOUNT, holder(OTHER_ACCOUNT, "bob", READ_S3)),
    )
    assert fleet.run() == []
    names = {account: group for account, _, group in fleet.assigned()}
    mallory = create_user(fleet, MALLORY)
    join(fleet, names[OTHER_ACCOUNT], mallory)
    admin = set_by_hand(fleet, "Admin", "arn:aws:iam::aws:policy/AdministratorAccess")
    assign(fleet, admin, mallory, ACCOUNT)
    fleet.forget()
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    assert fleet.audit() == []
    assert fleet.mutations() == []
    set_name = names[ACCOUNT].removesuffix(f"-{ACCOUNT}")
    of_other = f"{set_name} through group {names[OTHER_ACCOUNT]} (ours)"
    assert fleet.said == [
        f"  = {ALICE} in account {ACCOUNT}: equal",
        f"  ? {MALLORY} in account {ACCOUNT}: no intents are of it: holds Admin through a direct assignment",
        f"  ? {BOB} in account {OTHER_ACCOUNT}: no intents are of it: holds {of_other}",
        f"  ? {MALLORY} in account {OTHER_ACCOUNT}: no intents are of it: holds {of_other}",
        "Audit: 2 accounts, 4 people and accounts; 0 wider or undecided, 3 not among the intents.",
    ]


def test_who_is_wider_is_the_audits_failure(fleet: FleetRehearsal) -> None:
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:*"))))
    fleet.run()
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    fleet.run()
    (failure,) = fleet.audit()
    assert failure.startswith(f"{ALICE} in account {ACCOUNT}: wider: also holds ")
