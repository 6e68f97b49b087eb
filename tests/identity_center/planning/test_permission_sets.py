# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import ApiCall, Ref
from c7n_iamusers.identity_center.model import KnownPermissionSet
from c7n_iamusers.identity_center.planning.account_provisioning import Provisioning
from c7n_iamusers.identity_center.planning.permission_sets import (
    check_permission_set,
    differs,
    permission_set_calls,
)
from tests.access_center import (
    ACCOUNT,
    AUDIT,
    INSTANCE,
    MARK,
    OTHER_ACCOUNT,
    READ_ONLY,
    SET_ARN,
    WANTED,
    known_set,
    operations,
)

EVERYWHERE = frozenset({ACCOUNT, OTHER_ACCOUNT})


def calls(known: KnownPermissionSet | None, requested: PermissionSet = WANTED) -> tuple[ApiCall, ...]:
    return permission_set_calls(requested, known, INSTANCE)


def provisioned(known: KnownPermissionSet, requested: PermissionSet = WANTED) -> list[str]:
    """The accounts that are asked for, at once (all) and instead of that."""
    found = Provisioning(requested, known, INSTANCE, [ACCOUNT], "set").changes()
    return [account or "all" for account, _ in found]


def test_a_new_set_is_complete_before_anything_can_assign_it() -> None:
    created = calls(None)
    assert operations(created) == [
        "CreatePermissionSet",
        "PutInlinePolicyToPermissionSet",
        "AttachManagedPolicyToPermissionSet",
    ]
    assert created[0].parameters == {
        "InstanceArn": INSTANCE.arn,
        "Name": "Migrated",
        "Description": "Reads",
        "SessionDuration": "PT1H",
        "RelayState": "https://console.aws.amazon.com/",
        "Tags": [{"Key": "c7n-iamusers", "Value": "managed"}],
    }
    assert [call.parameters["PermissionSetArn"] for call in created[1:]] == [Ref("permission-set")] * 2


def test_references_and_a_boundary_that_comes_first() -> None:
    requested = replace(WANTED, customer_policies=frozenset({"/team/Auditor", "/Reader"}), boundary="/Edge")
    created = calls(None, requested)
    assert operations(created) == [
        "CreatePermissionSet",
        "PutPermissionsBoundaryToPermissionSet",
        "PutInlinePolicyToPermissionSet",
        "AttachManagedPolicyToPermissionSet",
        "AttachCustomerManagedPolicyReferenceToPermissionSet",
        "AttachCustomerManagedPolicyReferenceToPermissionSet",
    ]
    edge = {"CustomerManagedPolicyReference": {"Name": "Edge", "Path": "/"}}
    assert created[1].parameters["PermissionsBoundary"] == edge
    named = [call.parameters["CustomerManagedPolicyReference"] for call in created[4:]]
    assert named == [{"Name": "Reader", "Path": "/"}, {"Name": "Auditor", "Path": "/team/"}]


def test_what_a_run_that_died_left_out_is_added() -> None:
    requested = replace(WANTED, customer_policies=frozenset({"/Reader"}), boundary=AUDIT)
    added = calls(known_set(), requested)
    assert operations(added) == [
        "PutPermissionsBoundaryToPermissionSet",
        "AttachCustomerManagedPolicyReferenceToPermissionSet",
    ]
    assert added[0].parameters["PermissionsBoundary"] == {"ManagedPolicyArn": AUDIT}


@pytest.mark.parametrize(
    ("present", "differ"),
    [
        pytest.param({}, False, id="identical"),
        pytest.param({"session_duration": "PT60M"}, False, id="duration-in-other-words"),
        pytest.param({"description": "x", "tags": {}, "relay_state": ""}, False, id="words"),
        pytest.param({"session_duration": "PT2H"}, True, id="duration"),
        pytest.param({"managed_policies": frozenset({READ_ONLY, AUDIT})}, True, id="one-more"),
        pytest.param({"inline_policy": ""}, True, id="inline"),
        pytest.param({"boundary": AUDIT}, True, id="boundary"),
        pytest.param({"customer_policies": frozenset({"/x"})}, True, id="reference"),
    ],
)
def test_what_gives_people_something_else(present: dict[str, object], differ: bool) -> None:
    assert differs(WANTED, replace(WANTED, **present)) is differ  # type: ignore[arg-type]


def test_a_bare_set_gives_no_empty_parameters() -> None:
    (created,) = calls(None, PermissionSet("Bare", tags=MARK))
    assert created.parameters.keys() == {"InstanceArn", "Name", "SessionDuration", "Tags"}


@pytest.mark.parametrize(
    ("requested", "present"),
    [
        pytest.param({}, {}, id="identical"),
        pytest.param({"session_duration": "PT60M"}, {}, id="duration-in-other-words"),
        pytest.param({"description": ""}, {"description": "By hand"}, id="description-not-asked-for"),
        pytest.param({"relay_state": ""}, {"relay_state": "https://x"}, id="relay-state-not-asked-for"),
        pytest.param({}, {"tags": {**MARK, "Team": "platform"}}, id="further-tags"),
    ],
)
def test_nothing_to_do(requested: dict[str, object], present: dict[str, object]) -> None:
    known = known_set(replace(WANTED, **present), accounts=EVERYWHERE)  # type: ignore[arg-type]
    assert calls(known, replace(WANTED, **requested)) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        pytest.param({"session_duration": "PT2H"}, ["UpdatePermissionSet"], id="duration"),
        pytest.param({"description": "Old"}, ["UpdatePermissionSet"], id="description"),
        pytest.param({"relay_state": ""}, ["UpdatePermissionSet"], id="relay-state"),
        pytest.param({"inline_policy": ""}, ["PutInlinePolicyToPermissionSet"], id="inline-missing"),
        pytest.param({"inline_policy": '{"Old":1}'}, ["PutInlinePolicyToPermissionSet"], id="inline-other"),
        pytest.param(
            {"managed_policies": frozenset({AUDIT})},
            ["DetachManagedPolicyFromPermissionSet", "AttachManagedPolicyToPermissionSet"],
            id="managed-other-first-less",
        ),
        pytest.param(
            {"managed_policies": frozenset({AUDIT, READ_ONLY})},
            ["DetachManagedPolicyFromPermissionSet"],
            id="managed-one-too-many",
        ),
    ],
)
def test_drift_is_mended_and_provisioned_everywhere(present: dict[str, object], expected: list[str]) -> None:
    known = known_set(replace(WANTED, **present), accounts=EVERYWHERE)  # type: ignore[arg-type]
    mended = calls(known)
    assert operations(mended) == expected
    assert {call.parameters["PermissionSetArn"] for call in mended} == {SET_ARN}
    assert provisioned(known) == ["all", ACCOUNT, OTHER_ACCOUNT]


def test_an_inline_policy_nobody_asks_for_goes() -> None:
    found = calls(known_set(), replace(WANTED, inline_policy=""))
    assert operations(found) == ["DeleteInlinePolicyFromPermissionSet"]


def test_a_set_that_no_account_has_needs_no_provisioning() -> None:
    known = known_set(replace(WANTED, session_duration="PT2H"))
    assert operations(calls(known)) == ["UpdatePermissionSet"]
    assert provisioned(known) == []


def test_an_update_repeats_what_is_not_asked_for() -> None:
    known = known_set(replace(WANTED, description="By hand", session_duration="PT2H"))
    (update,) = calls(known, replace(WANTED, description=""))
    assert update.parameters["Description"] == "By hand"


def test_a_missing_tag_needs_no_provisioning() -> None:
    known, tagged = known_set(accounts=EVERYWHERE), replace(WANTED, tags={**MARK, "Team": "platform"})
    found = calls(known, tagged)
    assert operations(found) == ["TagResource"]
    assert provisioned(known, tagged) == []
    assert found[0].parameters["Tags"] == [{"Key": "Team", "Value": "platform"}]


@pytest.mark.parametrize(
    ("stale", "expected"),
    [
        pytest.param({ACCOUNT}, [ACCOUNT], id="this-account"),
        pytest.param({OTHER_ACCOUNT}, [], id="another-account-is-its-own-runs-business"),
    ],
)
def test_an_account_left_behind(stale: set[str], expected: list[str]) -> None:
    known = known_set(accounts=EVERYWHERE, stale=frozenset(stale))
    assert calls(known) == ()
    assert provisioned(known) == expected


@pytest.mark.parametrize(
    ("known", "refusal"),
    [
        pytest.param(
            known_set(replace(WANTED, tags={})), "without the tag c7n-iamusers=managed", id="unmarked"
        ),
        pytest.param(
            known_set(replace(WANTED, tags={"c7n-iamusers": "no"})), "without the tag", id="other-value"
        ),
        pytest.param(
            known_set(replace(WANTED, boundary=AUDIT)),
            f"also has the permissions boundary {AUDIT}",
            id="more",
        ),
        pytest.param(
            known_set(replace(WANTED, customer_policies=frozenset({"/team/Auditor"}))),
            "also has customer-managed policy /team/Auditor",
            id="more-policies",
        ),
    ],
)
def test_a_set_that_is_not_ours_is_refused(known: KnownPermissionSet, refusal: str) -> None:
    with pytest.raises(IdentityCenterError, match=refusal):
        check_permission_set(WANTED, known)


@pytest.mark.parametrize("known", [pytest.param(None, id="none"), pytest.param(known_set(), id="ours")])
def test_a_set_that_may_be_used(known: KnownPermissionSet | None) -> None:
    check_permission_set(WANTED, known)
