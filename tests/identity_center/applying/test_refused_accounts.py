# SPDX-License-Identifier: Apache-2.0
"""An account of which all users are refused by a decision is read, and pruned, as one with others who have access."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.requests.intents import UserIntent
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.derivation.users import allow
from tests.desired import ABLE, intents, readers
from tests.identity_center.applying.test_failing_account import SHARED, of_both, ran, requested
from tests.identity_center.fleet_rehearsal import FleetRehearsal

OWN = f"iam-{ACCOUNT}-Readers"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


def without_keys(user: UserIntent) -> UserIntent:
    return replace(user, credentials=replace(ABLE, kinds=()))


def quarantined(user: UserIntent) -> UserIntent:
    attached = [{"PolicyName": "AWSDenyAll", "PolicyArn": DENY_ALL}]
    return replace(user, detail={**(user.detail or {}), "AttachedManagedPolicies": attached})


def with_less(user: UserIntent) -> UserIntent:
    document = {"Version": "2012-10-17", "Statement": [allow("s3:GetObject")]}
    return replace(
        user,
        detail={**(user.detail or {}), "UserPolicyList": [{"PolicyName": "A", "PolicyDocument": document}]},
    )


DENIES = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}


@pytest.mark.parametrize("shared", [False, True], ids=["own-group", "shared-group"])
@pytest.mark.parametrize("refused", [without_keys, quarantined, with_less])
def test_what_people_keep_where_all_users_are_refused_goes_by_lock_out(
    fleet: FleetRehearsal, refused: Callable[[UserIntent], UserIntent], shared: bool
) -> None:
    of_both(fleet, readers(), shared)
    group = SHARED if shared else OWN
    found = intents(ACCOUNT, "ann", group=group, shared_group=shared)
    found = replace(
        found, users=tuple(map(refused, found.users)), source=PolicySource(policies={DENY_ALL: DENIES})
    )
    both = found, requested(OTHER_ACCOUNT, "bob", by=readers(), shared=shared)
    fleet.leave_only(*both)
    audited = fleet.audit()
    assert not [each for each in audited if "run over all accounts" in each]
    # A member of a shared group has its other accounts without intents there.
    assert [each for each in audited if "nothing is requested for this person" in each] == [] or shared
    held = (ACCOUNT, "Readers", group)
    for choices in ({}, {"prune": True}):
        ran(fleet, *both, **choices)
        (told,) = (each for each in fleet.said if "--unrequested --lock-out" in each)
        assert "IAM users" in told
        assert "or are refused" in told
        assert group in told
        assert held in fleet.assigned()
        assert "ann@example.com" in fleet.members()[group]
    assert ran(fleet, *both, prune=True, lock_out=True) == []
    assert held not in fleet.assigned()
    assert {group: fleet.members().get(group)} == {
        group: {"ann@example.com", "bob@example.com"} if shared else None
    }
