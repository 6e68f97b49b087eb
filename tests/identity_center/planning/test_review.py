# SPDX-License-Identifier: Apache-2.0
"""What is applied is what was read."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.fleet import TrustOptions, read_fleet
from c7n_iamusers.identity_center.output.plan_files import PlanOptions
from c7n_iamusers.identity_center.planning.quotas import CenterQuotas
from c7n_iamusers.identity_center.provisioning import RunOptions, provision
from c7n_iamusers.identity_center.requests.intents import UserIntent
from c7n_iamusers_cli.main import main
from tests.access_center import ACCOUNT, AUDIT, MARK, OTHER_ACCOUNT, READ_ONLY
from tests.derivation.users import allow
from tests.derived import derived, holder
from tests.desired import intents, readers
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import create_user


def reviewed(fleet: FleetRehearsal, path: Path | None = None) -> PlanOptions:
    """The papers of a plan that a dry run has written."""
    path = path or fleet.output / "plan.json"
    fleet.run(dry=True, plan_options=PlanOptions(path))
    (digest,) = re.findall(r"--plan-sha256 ([0-9a-f]{64})", "\n".join(fleet.said))
    return PlanOptions(reviewed=path, digest=digest)


def two(fleet: FleetRehearsal, second: str = "s3:Put*") -> None:
    fleet.leave(
        derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:Get*"))),
        derived(OTHER_ACCOUNT, holder(OTHER_ACCOUNT, "bob", allow(second))),
    )


def test_a_dry_run_shows_what_is_granted_and_who_gains_it(fleet: FleetRehearsal) -> None:
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "alice", allow("s3:Get*"), attached=(READ_ONLY,))))
    fleet.run(dry=True)
    told = "\n".join(fleet.said)
    assert f"      AWS-managed policy: {READ_ONLY}" in fleet.said
    assert "      session duration: PT1H" in fleet.said
    assert "      permissions boundary: none" in fleet.said
    assert '      inline: {"Action": ["s3:get*"], "Effect": "Allow", "Resource": ["*"]}' in fleet.said
    gains = rf"      gains iam-ReadO\S+ in account {ACCOUNT} \(IAM user alice: equal\)"
    assert re.search(gains, told)


@pytest.mark.parametrize(
    ("user", "by"),
    [
        pytest.param(holder(ACCOUNT, "root", allow("*")), "its inline policy", id="inline"),
        pytest.param(
            holder(ACCOUNT, "root", attached=("arn:aws:iam::aws:policy/AdministratorAccess",)),
            "AdministratorAccess",
            id="aws-managed",
        ),
        pytest.param(holder(ACCOUNT, "root", attached=("Team",)), "/Team", id="customer-managed"),
    ],
)
def test_what_makes_administrators_comes_first(fleet: FleetRehearsal, user: UserIntent, by: str) -> None:
    others = [holder(ACCOUNT, f"u{number}", allow(f"a{number}:*")) for number in range(3)]
    fleet.leave(derived(ACCOUNT, *others, user, policies={"Team": allow("*")}))
    fleet.run(dry=True)
    first = next(line for line in fleet.said if line.startswith("  + "))
    assert first.endswith(f"  ADMINISTRATOR by {by}")
    assert sum("ADMINISTRATOR" in line for line in fleet.said) == 1


def test_an_explicit_set_that_changes_is_shown_old_and_new(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    requested = replace(readers(), managed_policies=frozenset({AUDIT}), session_duration="PT8H")
    fleet.leave(intents(ACCOUNT, "alice", permission_set=requested))
    fleet.run(dry=True)
    assert [line.strip() for line in fleet.said if line.startswith("      ")] == [
        "session duration: PT1H -> PT8H",
        f"- AWS-managed policy: {READ_ONLY}",
        f"+ AWS-managed policy: {AUDIT}",
        f"changes account {ACCOUNT}: group iam-{ACCOUNT}-Readers: alice@example.com",
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"description": "Writes"}, "description: Reads -> Writes", id="description"),
        pytest.param(
            {"relay_state": "https://example.com/"},
            "relay state: none -> https://example.com/",
            id="where-people-land",
        ),
        pytest.param({"tags": {**MARK, "Team": "blue"}}, "tag Team: none -> blue", id="tag"),
    ],
)
def test_no_change_of_a_set_goes_unsaid(fleet: FleetRehearsal, changes: dict[str, Any], told: str) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    fleet.leave(intents(ACCOUNT, "alice", permission_set=replace(readers(), **changes)))
    fleet.run(dry=True)
    assert f"      {told}" in fleet.said


HOSTILE = "mallory\x1b[2K\r\n  = all is well\u202e"


def test_no_name_forges_a_line(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    client, store = fleet.org.client("identitystore"), fleet.instance.store.id
    made = client.create_user(
        IdentityStoreId=store,
        UserName="mallory",
        Name={"GivenName": "M", "FamilyName": "M"},
        DisplayName="M",
    )["UserId"]
    fleet.instance.store.users[made].attributes["UserName"] = HOSTILE
    (group,) = fleet.instance.store.groups
    client.create_group_membership(IdentityStoreId=store, GroupId=group, MemberId={"UserId": made})
    plan_options = PlanOptions(fleet.output / "plan.json")
    fleet.run(dry=True, plan_options=plan_options)
    said = list(fleet.said)
    fleet.audit()
    for lines in (said, fleet.said):
        assert any(r"mallory\u001b[2K\u000d\u000a  = all is well\u202e" in line for line in lines)
        assert all(line.isprintable() for line in lines)
    fleet.undo(fleet.results()[0], dry=True)
    assert all(line.isprintable() for line in fleet.said)
    printed = CliRunner().invoke(main, ["plan", str(fleet.output / "plan.json")])
    assert all(line.isprintable() for line in printed.output.split("\n"))
    assert r"mallory\u001b[2K\u000d\u000a" in printed.output


def test_a_reviewer_reads_the_plan_of_the_dry_run(fleet: FleetRehearsal) -> None:
    fleet.provisioned(derived(ACCOUNT, holder(ACCOUNT, "root", allow("*"))))
    # Now one set stands and makes an administrator, one is new, and a user is adopted.
    bob = intents(OTHER_ACCOUNT, "bob")
    create_user(fleet, "bob@example.com")
    fleet.leave(bob, intents(OTHER_ACCOUNT, "carol", set_name="Writers"))
    path = fleet.output / "plan.json"
    plan_options = reviewed(fleet, path)
    printed = CliRunner().invoke(main, ["plan", str(path)])
    assert printed.exit_code == 0, printed.output
    head, *lines = printed.output.splitlines()
    assert head.startswith(f"access in Identity Center {fleet.instance.arn}, for provision apply: ")
    assert head.endswith(f" changes; SHA-256 {plan_options.digest}")
    plan = [line for line in fleet.said if not line.startswith(("Derived", "Plan: /", "  near"))]
    assert [line for line in lines if not line.startswith("        ")] == plan
    assert any("ADMINISTRATOR" in line for line in plan)
    assert any(line.startswith("  = user           bob@example.com") for line in plan)
    calls = [line.strip() for line in lines if line.startswith("        ")]
    assert "sso-admin:CreatePermissionSet Description=Reads Name=Readers" in "\n".join(calls)
    assert any(line.startswith("identitystore:CreateUser DisplayName=carol Emails=[{") for line in calls)
    data = CliRunner().invoke(main, ["plan", str(path), "--format", "json"])
    assert json.loads(data.output) == json.loads(path.read_text())


def test_a_reviewer_reads_what_was_not_checked(fleet: FleetRehearsal) -> None:
    two(fleet)
    found = replace(
        read_fleet(fleet.store, trust=TrustOptions(trusted=True)), unchecked=("nobody checked this",)
    )
    plan_options = PlanOptions(fleet.output / "plan.json")
    assert provision(found, fleet.center(), lambda _: None, run_options=RunOptions(plan=plan_options)) == []
    printed = CliRunner().invoke(main, ["plan", str(fleet.output / "plan.json")]).output
    assert printed.splitlines()[1] == "nobody checked this"


def test_a_plan_is_printed_with_its_calls(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    change = {
        "key": "group Old",
        "kind": "group",
        "action": "create",
        "name": "Old",
        "administrative": "",
        "details": [],
        "calls": [{"operation": "identitystore:CreateGroup", "parameters": {"DisplayName": "Old"}}],
    }
    total = {
        "person": ["a@example.com", "a@example.com"],
        "account_id": ACCOUNT,
        "verdict": "wider",
        "beyond": [{"set_name": "Admin", "through": "group G", "ours": False, "covered": False}],
    }
    data = {
        "schema": 3,
        "instance": "i",
        "choices": {"prune": True},
        "changes": [change],
        "standing": [],
        "totals": [total],
        "stale": [],
        "strangers": [],
        "reaches": [],
        "missing": [],
        "over-quota": [],
        "fed-by-others": "",
        "unlisted": 0,
        "refused": [{"user": "user x", "reason": "why"}],
    }
    path.write_text(json.dumps(data))
    printed = CliRunner().invoke(main, ["plan", str(path)]).output.splitlines()
    assert printed[0].startswith(
        "access in Identity Center i, for provision prune --unrequested: 1 changes; SHA-256 "
    )
    assert printed[1:] == [
        "  + group          Old",
        "        identitystore:CreateGroup DisplayName=Old",
        f"  ! total          a@example.com in account {ACCOUNT}: wider: also holds Admin through group G (not "
        "managed by c7n-iamusers)",
        "  ! refused        why",
        "Plan: 1 to create, 0 to update, 0 to assign, 0 to adopt, 0 unchanged, 1 users refused, 1 wider.",
    ]


@pytest.mark.parametrize(
    "changes",
    [{"schema": 2}, {"changes": [1]}, {"totals": None}, {"choices": []}],
    ids=["schema", "changes", "totals", "choices"],
)
def test_what_is_no_plan_of_access_is_named(fleet: FleetRehearsal, changes: dict[str, Any]) -> None:
    two(fleet)
    path = fleet.output / "plan.json"
    reviewed(fleet, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    printed = CliRunner().invoke(main, ["plan", str(path)])
    assert (printed.exit_code, str(path) in printed.output) == (1, True)
    assert isinstance(printed.exception, SystemExit)


def test_what_was_reviewed_is_applied(fleet: FleetRehearsal) -> None:
    two(fleet)
    plan_options = reviewed(fleet)
    assert json.loads((fleet.output / "plan.json").read_text())["schema"] == 3
    assert fleet.run(plan_options=plan_options) == []
    assert len(fleet.assigned()) == 2


def test_other_intents_are_refused(fleet: FleetRehearsal) -> None:
    two(fleet)
    plan_options = reviewed(fleet)
    two(fleet, second="*")
    fleet.refuses(
        "differ from the reviewed ones: permission set iam-all", fleet.run, plan_options=plan_options
    )


def test_a_policy_that_has_changed_in_the_account_is_refused(fleet: FleetRehearsal) -> None:
    """A derived set that refers to a policy by name has a name that depends on what the policy says."""
    alice = holder(ACCOUNT, "alice", attached=("Team",))
    fleet.leave(derived(ACCOUNT, alice, policies={"Team": allow("s3:Get*")}))
    plan_options = reviewed(fleet)
    fleet.leave(derived(ACCOUNT, alice, policies={"Team": allow("s3:Put*")}))
    fleet.refuses(r"permission set iam-s3-\S+ \(not in it\)", fleet.run, plan_options=plan_options)


def test_a_changed_file_is_refused(fleet: FleetRehearsal) -> None:
    two(fleet)
    plan_options = reviewed(fleet)
    path = fleet.output / "plan.json"
    path.write_text(path.read_text().replace("s3:put*", "s3:*"))
    fleet.refuses("it was changed since the review", fleet.run, plan_options=plan_options)


def test_other_options_are_refused(fleet: FleetRehearsal) -> None:
    two(fleet)
    plan_options = reviewed(fleet)
    with pytest.raises(IdentityCenterError, match="give the same options"):
        fleet.run(plan_options=plan_options, prune=True)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}'], ids=["empty", "list", "bare", "part"])
def test_what_is_no_plan(fleet: FleetRehearsal, text: str) -> None:
    two(fleet)
    path = fleet.output / "plan.json"
    path.write_text(text)
    with pytest.raises(IdentityCenterError, match="can't be read as a plan"):
        fleet.run(plan_options=PlanOptions(reviewed=path, digest=hashlib.sha256(text.encode()).hexdigest()))


BROKEN_ROWS = [
    pytest.param("changes", [1, "x"], r"changes\[0\] must be an object", id="change"),
    pytest.param(
        "changes", [{"key": "k", "kind": "group", "name": "g", "rests_on": ""}], "lacks id", id="no-id"
    ),
    pytest.param("standing", [7], "must be an object", id="existing"),
    pytest.param("totals", [7], "must be an object", id="total"),
    pytest.param("totals", [{"account_id": "1", "person": []}], "a username and an e-mail", id="nobody"),
    pytest.param("stale", [7], "must be an object", id="stale"),
    pytest.param("strangers", [7], "must be an object", id="unexpected-member"),
    pytest.param("reaches", [7], "must be an object", id="side-effect"),
    pytest.param("reaches", [{"by": "", "account_id": "", "people": "a"}], "must be a list", id="people"),
    pytest.param("totals", {}, "must be a list", id="no-list"),
]


@pytest.mark.parametrize(("name", "rows", "told"), BROKEN_ROWS)
def test_a_plan_of_other_rows(fleet: FleetRehearsal, name: str, rows: Any, told: str) -> None:
    two(fleet)
    reviewed(fleet)
    data = json.loads((fleet.output / "plan.json").read_text())
    refused_as_plan(fleet, fleet.output / "plan.json", json.dumps({**data, name: rows}), told)


def test_a_plan_that_is_nested_too_deeply(fleet: FleetRehearsal) -> None:
    two(fleet)
    refused_as_plan(fleet, fleet.output / "plan.json", "[" * 100_000, "is nested too deeply")


def refused_as_plan(fleet: FleetRehearsal, path: Path, text: str, told: str) -> None:
    path.write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    fleet.refuses(
        f"can't be read as a plan: .*{told}",
        fleet.run,
        plan_options=PlanOptions(reviewed=path, digest=digest),
    )


@pytest.mark.parametrize("number", [4, 6, 9])
def test_a_reviewed_run_that_dies_is_carried_on_by_the_same_plan(fleet: FleetRehearsal, number: int) -> None:
    fleet.leave(intents(ACCOUNT, "alice", "bob"), intents(OTHER_ACCOUNT, "alice"))
    plan_options = reviewed(fleet)
    fleet.killed(number, lambda: fleet.run(plan_options=plan_options))
    assert fleet.run(plan_options=plan_options) == []
    assert len(fleet.assigned()) == 2


def test_a_set_that_was_made_in_part_is_reviewed_anew(
    fleet: FleetRehearsal,
) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    plan_options = reviewed(fleet)
    fleet.killed(1, lambda: fleet.run(plan_options=plan_options))
    if not fleet.instance.permission_sets:
        pytest.fail("the set is to be made first")
    with pytest.raises(IdentityCenterError, match=r"permission set Readers \(otherwise\)"):
        fleet.run(plan_options=plan_options)


@pytest.mark.parametrize(
    ("quotas", "told"),
    [
        # A run that applies has one more: its lock.
        pytest.param(CenterQuotas(permission_sets=1), "give --quota permission-sets=[23]$", id="sets"),
        pytest.param(CenterQuotas(sets_per_account=0), "give --quota sets-per-account=1", id="account"),
        pytest.param(CenterQuotas(groups_per_set=0), "give --quota groups-per-set=1", id="groups"),
    ],
)
def test_a_quota_is_said_before_the_first_call(
    fleet: FleetRehearsal, quotas: CenterQuotas, told: str
) -> None:
    two(fleet)
    fleet.run(dry=True, quotas=quotas)
    assert any(re.search(told, line) for line in fleet.lines("!"))
    fleet.refuses(told, fleet.run, quotas=quotas)
    assert fleet.results() == []


def test_a_set_with_too_many_policies_is_its_own_peoples_failure(fleet: FleetRehearsal) -> None:
    many = frozenset(f"arn:aws:iam::aws:policy/P{number}" for number in range(21))
    requested = replace(readers("Many"), managed_policies=many)
    fleet.leave(
        intents(ACCOUNT, "alice", permission_set=requested, set_name="Many"), intents(OTHER_ACCOUNT, "bob")
    )
    (failure,) = fleet.run()
    assert "permission set Many has 21 managed policies, and the quota is 20" in failure
    assert "give --quota policies-per-set=21" in failure
    assert len(fleet.assigned()) == 1
