# SPDX-License-Identifier: Apache-2.0
"""Audits of what former people have: what runs gave is the normal end of a migration, and what others gave is not."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.identity_center.audit import audit
from c7n_iamusers.identity_center.requests.intents import Intents
from tests.access_center import ACCOUNT, OTHER_ACCOUNT, READ_ONLY
from tests.desired import intents, readers, user
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import ALICE, assign, set_by_hand
from tests.identity_center.test_audit_of_changed_access import (
    ATTACH,
    DETACH,
    LENGTHEN,
    PROVISION,
    PUT_EVERYTHING,
    Call,
)
from tests.identity_center.test_former_members import accounts_with, found_by

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
VIEW_ONLY = "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"
GROUPS = {"own": f"iam-{ACCOUNT}-Readers", "shared": "Sales"}
Happening = Callable[[FleetRehearsal, str], None]


def access_of(form: str, *names: str, **fields: Any) -> Intents:
    """IAM users in a group of their own or a shared one."""
    shared: dict[str, Any] = {"group": "Sales", "shared_group": True} if form == "shared" else {}
    return intents(ACCOUNT, *names, **shared, **fields)


def calls(*steps: Call) -> Happening:
    """Somebody's calls for the permission set Readers."""

    def happens(fleet: FleetRehearsal, _group: str) -> None:
        for operation, given in steps:
            fleet.call_for_set(operation, **given)

    return happens


attached = calls(ATTACH, PROVISION)


def untagged_and_attached(fleet: FleetRehearsal, group: str) -> None:
    fleet.org.client("sso-admin").untag_resource(
        InstanceArn=fleet.instance.arn, ResourceArn=fleet.set_arn(), TagKeys=["c7n-iamusers"]
    )
    attached(fleet, group)


def assigned(fleet: FleetRehearsal, group: str, account: str = ACCOUNT) -> None:
    group_id = fleet.group_id(group)
    assign(fleet, set_by_hand(fleet, "Theirs", ADMINISTRATOR), group_id, account, "GROUP")


def audited(fleet: FleetRehearsal, *names: str) -> list[str]:
    """The findings; the IAM users of ``names`` still exist, and this tool deleted Alice's."""
    deleted = user(ACCOUNT, "alice", None).subject.unique_id

    def run() -> list[str]:
        return audit(found_by(fleet, [deleted]), fleet.center(), fleet.said.append, accounts_with(*names))

    return fleet.once(("audited", deleted, names), run)


CHANGED = "permission set Readers is not as requested by the last run that gave access by it"
OTHERS = f"{ALICE} in account {{account}}: nothing is requested for this person: holds "
ADMINISTERS = f"- AWS-managed policy: {ADMINISTRATOR}"


@pytest.mark.parametrize("form", ["own", "shared"])
@pytest.mark.parametrize(
    ("happens", "begins", "has"),
    [
        pytest.param(lambda *_: None, None, (), id="nothing"),
        pytest.param(attached, CHANGED, (ADMINISTERS,), id="administrator"),
        pytest.param(untagged_and_attached, CHANGED, (ADMINISTERS,), id="untagged-administrator"),
        pytest.param(calls(PUT_EVERYTHING, PROVISION), CHANGED, ('- inline: {"Action": ["*"]',), id="inline"),
        pytest.param(
            calls(LENGTHEN, PROVISION), CHANGED, ("session duration: PT12H -> PT1H",), id="longer-sessions"
        ),
        pytest.param(
            calls(ATTACH),
            CHANGED,
            (ADMINISTERS, f"account {ACCOUNT} has an earlier form", "don't provision it before that"),
            id="not-provisioned",
        ),
        pytest.param(
            calls(ATTACH, PROVISION, DETACH),
            "permission set Readers is not as requested: account",
            ("which undo left it", "whose plan says who gets what, provisions it"),
            id="detached-and-not-provisioned",
        ),
        pytest.param(assigned, OTHERS.format(account=ACCOUNT), ("Theirs through group",), id="assigned"),
        pytest.param(
            lambda fleet, group: assigned(fleet, group, OTHER_ACCOUNT),
            OTHERS.format(account=OTHER_ACCOUNT),
            ("Theirs through group",),
            id="assigned-in-another-account",
        ),
    ],
)
def test_what_others_give_people_who_have_moved(
    fleet: FleetRehearsal, form: str, happens: Happening, begins: str | None, has: Collection[str]
) -> None:
    staying = [
        intents(ACCOUNT, "carol", set_name="Auditors"),
        intents(OTHER_ACCOUNT, "carol", set_name="Auditors"),
    ]
    fleet.provisioned(access_of(form, "alice"), *staying)
    fleet.leave_only(*staying)
    happens(fleet, GROUPS[form])
    findings = audited(fleet, "carol")
    if begins is None:
        # That a run made an assignment of a shared group, and nobody requests it, is one.
        assert not [each for each in findings if not each.startswith("assignment Sales -> Readers")]
        assert any(ALICE in line for line in fleet.lines("="))
        return
    (found,) = (each for each in findings if each.startswith(begins))
    assert all(each in found for each in has), found
    assert "provision would change it" not in found


@pytest.mark.parametrize("form", ["own", "shared"])
@pytest.mark.parametrize("widened", [False, True], ids=["as-it-was", "changed"])
def test_the_access_of_a_quarantined_user(fleet: FleetRehearsal, form: str, widened: bool) -> None:
    """Nobody is served with the permission set, though intents have it."""
    fleet.provisioned(access_of(form, "alice"))
    (alice,) = access_of(form, "alice").users
    document = {"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    policies = [*(alice.detail or {})["UserPolicyList"], {"PolicyName": "deny", "PolicyDocument": document}]
    quarantined = replace(alice, detail={**(alice.detail or {}), "UserPolicyList": policies})
    fleet.leave_only(
        access_of(form, users=(quarantined,)), intents(OTHER_ACCOUNT, "carol", set_name="Auditors")
    )
    fleet.run()
    if widened:
        attached(fleet, GROUPS[form])
    findings = [each for each in audited(fleet, "carol", "alice") if "permission set" in each]
    assert [each.startswith(CHANGED) and ADMINISTERS in each for each in findings] == [True] * widened


@pytest.mark.parametrize("form", ["own", "shared"])
@pytest.mark.parametrize(
    ("happens", "finds"),
    [
        pytest.param(lambda *_: None, False, id="nothing"),
        pytest.param(assigned, True, id="assigned"),
    ],
)
def test_people_with_an_iam_user_in_another_account(
    fleet: FleetRehearsal, form: str, happens: Happening, finds: bool
) -> None:
    more = intents(OTHER_ACCOUNT, "alice")
    fleet.provisioned(access_of(form, "alice", "carol"), more)
    fleet.provisioned(access_of(form, "carol"), more)
    happens(fleet, GROUPS[form])
    findings = [each for each in audited(fleet, "carol", "alice") if each.startswith(ALICE)]
    assert [
        f"{ALICE} in account {ACCOUNT}: no IAM user there is this person's" in each for each in findings
    ] == [True] * finds


@pytest.mark.parametrize(
    ("undone", "now", "finds"),
    [
        pytest.param(False, "later", False, id="as-the-last-run-made-it"),
        pytest.param(False, "earlier", True, id="as-an-earlier-run-made-it"),
        pytest.param(True, "later", False, id="that-run-was-undone"),
        pytest.param(True, "else", True, id="changed-since-the-undo"),
    ],
)
def test_what_runs_have_requested_one_after_the_other(
    fleet: FleetRehearsal, undone: bool, now: str, finds: bool
) -> None:
    carol = intents(ACCOUNT, "carol", set_name="Auditors")
    earlier, later = (
        intents(ACCOUNT, "alice", permission_set=replace(readers(), managed_policies=frozenset({policy})))
        for policy in (READ_ONLY, VIEW_ONLY)
    )
    for requested in (earlier, later):
        fleet.provisioned(requested, carol)
    if undone:
        assert fleet.undo(fleet.results()[-1]) == []
    fleet.leave_only(carol)
    if now == "earlier":
        for method, policy in (("attach", READ_ONLY), ("detach", VIEW_ONLY)):
            preposition = "to" if method == "attach" else "from"
            fleet.call_for_set(
                f"{method}_managed_policy_{preposition}_permission_set", ManagedPolicyArn=policy
            )
        fleet.provision_set()
    elif now == "else":
        attached(fleet, "")
    findings = audited(fleet, "carol")
    assert [each.startswith(CHANGED) for each in findings] == [True] * finds


def test_a_managed_permission_set_of_which_no_run_left_a_record(fleet: FleetRehearsal) -> None:
    fleet.provisioned(access_of("own", "alice"))
    for path in fleet.output.glob("identity-center-runs/*/*"):
        path.unlink()
    fleet.leave_only(intents(ACCOUNT, "carol", set_name="Auditors"))
    fleet.new_records = True
    assert fleet.run() == []
    findings = [
        each
        for each in audited(fleet, "carol")
        if each.startswith("permission set Readers, which is managed")
    ]
    assert ["could not be compared" in each for each in findings] == [True]
