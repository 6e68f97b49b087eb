# SPDX-License-Identifier: Apache-2.0
"""Audits of access that was changed after a run, or that no run has made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.audit import audit
from c7n_iamusers.identity_center.fleet import TrustOptions, read_fleet
from c7n_iamusers.identity_center.requests.member_accounts import LiveAccount
from tests.access_center import ACCOUNT, OTHER_ACCOUNT, READ_ONLY
from tests.derivation.users import allow, document
from tests.derived import derived, holder
from tests.desired import ABLE, holding, intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import (
    ALICE,
    BOB,
    MALLORY,
    assign,
    create_user,
    join,
    set_by_hand,
)

READ_S3, ALL_OF_S3 = allow("s3:Get*"), allow("s3:*")
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
THIRD = "777788889999"
DERIVED, EXPLICIT = (
    derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)),
    holding(intents(ACCOUNT, "alice"), READ_ONLY),
)


Call = tuple[str, dict[str, str]]
#: Somebody's calls for a permission set.
ATTACH: Call = ("attach_managed_policy_to_permission_set", {"ManagedPolicyArn": ADMINISTRATOR})
DETACH: Call = ("detach_managed_policy_from_permission_set", {"ManagedPolicyArn": ADMINISTRATOR})
PUT_EVERYTHING, PUT_LESS = (
    ("put_inline_policy_to_permission_set", {"InlinePolicy": json.dumps(document(allow(action)))})
    for action in ("*", "s3:GetObject")
)
LENGTHEN: Call = ("update_permission_set", {"SessionDuration": "PT12H"})
PROVISION: Call = ("provision_permission_set", {"TargetType": "ALL_PROVISIONED_ACCOUNTS"})


@pytest.mark.parametrize(
    ("found", "steps", "verdict"),
    [
        pytest.param(DERIVED, (ATTACH, PROVISION), "wider", id="derived-administrator"),
        pytest.param(EXPLICIT, (ATTACH, PROVISION), "wider", id="explicit-administrator"),
        pytest.param(DERIVED, (PUT_EVERYTHING, PROVISION), "wider", id="derived-inline"),
        pytest.param(EXPLICIT, (PUT_EVERYTHING, PROVISION), "wider", id="explicit-inline"),
        pytest.param(DERIVED, (PUT_LESS, PROVISION), "narrower", id="derived-less"),
        pytest.param(EXPLICIT, (LENGTHEN, PROVISION), "wider", id="explicit-longer-sessions"),
        pytest.param(DERIVED, (ATTACH,), "undecided", id="not-provisioned-yet"),
        pytest.param(DERIVED, (ATTACH, PROVISION, DETACH), "undecided", id="detached-and-not-provisioned"),
        pytest.param(
            EXPLICIT, (ATTACH, PROVISION, DETACH), "undecided", id="explicit-detached-and-not-provisioned"
        ),
    ],
)
def test_a_permission_set_that_somebody_has_changed(
    fleet: FleetRehearsal, found: Any, steps: tuple[Call, ...], verdict: str
) -> None:
    fleet.provisioned(found)
    assert fleet.audit() == []
    (only,) = fleet.instance.permission_sets.values()
    for operation, given in steps:
        fleet.call_for_set(operation, only.name, **given)
    failures = fleet.audit()
    assert fleet.mutations() == []
    (of_set,) = (each for each in failures if each.startswith("permission set "))
    assert "is not as requested" in of_set
    (total,) = (each for each in fleet.said if f"{ALICE} in account {ACCOUNT}" in each)
    assert f": {verdict}" in total
    assert any(each in total for each in failures) == (verdict != "narrower")
    assert f"{len(failures) - (verdict != 'narrower')} deviations" in fleet.said[-1]


def test_a_permission_set_of_former_people_whose_content_is_not_provisioned(fleet: FleetRehearsal) -> None:
    """Others have the account's only requested set; the former people's set has an unknown form there."""
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3), holder(ACCOUNT, "bob", ALL_OF_S3)))
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3)))
    assert fleet.audit() == []
    of_bob = next(name for _, name, group in fleet.assigned() if BOB in fleet.members()[group])
    fleet.attach(ADMINISTRATOR, of_bob)
    (failure,) = fleet.audit()
    assert failure.startswith(f"permission set {of_bob} is not as requested")
    assert ACCOUNT in failure


def test_access_that_no_run_has_made(fleet: FleetRehearsal) -> None:
    fleet.leave(DERIVED)
    failures = fleet.audit()
    assert [each.split(" ", 1)[1].split(" don't")[0] for each in failures] == [
        f"requested {kind}(s)" for kind in ("permission set", "group", "assignment", "user", "membership")
    ]
    assert fleet.mutations() == []


def test_an_assignment_that_somebody_has_deleted(fleet: FleetRehearsal) -> None:
    fleet.provisioned(DERIVED)
    (each,) = fleet.instance.assignments
    fleet.unassign(each.account_id, each.permission_set_arn, each.principal_id)
    (failure,) = fleet.audit()
    assert failure.startswith("1 requested assignment(s) don't exist")


@pytest.mark.parametrize("made_by", ["us", "others"])
def test_a_shared_group_that_was_assigned_elsewhere(fleet: FleetRehearsal, made_by: str) -> None:
    if made_by == "others":
        fleet.make_group("all-readers")
    fleet.provisioned(intents(ACCOUNT, "alice", group="all-readers", shared_group=True))
    assert fleet.audit() == []
    admin = set_by_hand(fleet, "AdminAccess", ADMINISTRATOR)
    (group,) = (each.id for each in fleet.instance.store.groups.values())
    assign(fleet, admin, group, THIRD, "GROUP")
    failures = fleet.audit()
    assert any(
        each.startswith(f"{ALICE} in account {THIRD}") and "AdminAccess through group all-readers" in each
        for each in failures
    )
    assert any("which is managed, has" in each for each in failures) == (made_by == "us")


@pytest.mark.parametrize(
    ("given", "claim"),
    [
        pytest.param(EXPLICIT, "permission set Readers", id="explicit"),
        pytest.param(DERIVED, "", id="derived"),
        pytest.param(
            derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3), identity_center_mfa=True),
            "identity-center-mfa: true",
            id="mfa",
        ),
    ],
)
def test_settings_that_were_not_checked_against_a_policy(
    fleet: FleetRehearsal, given: Any, claim: str
) -> None:
    """Anyone who can write intents can claim them, so nobody's access is shown to be what a policy requests."""
    fleet.provisioned(given)
    (user,) = given.users
    tags = [{"Key": "Email", "Value": ALICE}]
    detail = {"Arn": user.subject.arn, "UserName": "alice", **(user.detail or {}), "Tags": tags}
    live = LiveAccount(given.source, {user.subject.unique_id: detail}, {user.subject.unique_id: ABLE})
    trust = TrustOptions(read=lambda *_: [(ACCOUNT, live)])
    said: list[str] = []
    failures = audit(read_fleet(fleet.store, trust=trust), fleet.center(), said.append)
    assert len(failures) == bool(claim)
    assert all(each.startswith(f"claimed {claim}: by ") for each in failures)
    assert any(each.startswith(f"  ! claimed        {claim}: by ") for each in said) == bool(claim)


DENY_ALL = {"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
QUARANTINED = {"UserPolicyList": [{"PolicyName": "deny", "PolicyDocument": DENY_ALL}]}


def live(**users: dict[str, Any]) -> LiveAccount:
    """An account with users of those names."""
    found = {
        f"AIDA{ACCOUNT}{name}".upper(): {"Arn": f"arn:aws:iam::{ACCOUNT}:user/{name}", **held}
        for name, held in users.items()
    }
    return LiveAccount(PolicySource(), found)


@pytest.mark.parametrize(
    ("now", "is_clean"),
    [
        pytest.param(live(), True, id="no-users-left"),
        pytest.param(live(mallory={}), True, id="others-left"),
        pytest.param(live(alice=QUARANTINED), True, id="quarantined"),
        pytest.param(live(alice={}), False, id="still-there"),
        pytest.param("account can't be read", False, id="not-read"),
    ],
)
def test_an_account_whose_last_iam_user_is_gone(
    fleet: FleetRehearsal, now: LiveAccount | str, is_clean: bool
) -> None:
    fleet.provisioned(DERIVED, intents(OTHER_ACCOUNT, "bob"))
    fleet.leave_only(intents(OTHER_ACCOUNT, "bob"))
    read_accounts: list[str] = []

    def read(accounts: Iterable[str], _: object) -> list[tuple[str, LiveAccount | str]]:
        read_accounts.extend(accounts)
        return [(ACCOUNT, now)]

    said: list[str] = []
    found = read_fleet(fleet.store, trust=TrustOptions(trusted=True))
    failures = audit(found, fleet.center(), said.append, read)
    # A second time for the users of former members.
    assert read_accounts == [ACCOUNT] * (2 if is_clean else 1)
    assert (failures == []) == is_clean, failures
    assert any(line.startswith(f"  = {ALICE} in group") for line in said) == is_clean
    assert all(ALICE in each for each in failures)


def test_an_account_in_which_the_policies_find_nobody_now(fleet: FleetRehearsal) -> None:
    """Its intents have no users."""
    fleet.provisioned(DERIVED, intents(OTHER_ACCOUNT, "bob"))
    fleet.leave(derived(ACCOUNT))
    assert fleet.audit() == []
    assert any(ALICE in line for line in fleet.lines("="))


def test_who_joined_the_group_of_an_account_whose_last_iam_user_is_gone(fleet: FleetRehearsal) -> None:
    fleet.provisioned(DERIVED, intents(OTHER_ACCOUNT, "bob"))
    group = next(name for name, people in fleet.members().items() if ALICE in people)
    join(fleet, group, create_user(fleet, MALLORY))
    fleet.leave(derived(ACCOUNT))
    failures = fleet.audit()
    assert failures
    assert all(MALLORY in each for each in failures)


DENIED = {"Effect": "Deny", "Action": "*", "Resource": "*"}


@pytest.mark.parametrize("ran", [True, False], ids=["provisioned-before", "never-provisioned"])
def test_a_quarantined_user_whom_the_policies_still_find(fleet: FleetRehearsal, ran: bool) -> None:
    if ran:
        fleet.provisioned(DERIVED)
    fleet.provisioned(
        derived(ACCOUNT, holder(ACCOUNT, "alice", READ_S3, DENIED), holder(ACCOUNT, "bob", ALL_OF_S3))
    )
    failures = fleet.audit()
    assert (failures == []) == ran, failures
    assert any(ALICE in line for line in fleet.lines("=")) == ran
    assert all("release the user, or remove that policy" in each for each in failures)
