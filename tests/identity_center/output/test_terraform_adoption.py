# SPDX-License-Identifier: Apache-2.0
"""What Terraform would plan over a live Identity Center, by the provider's reads and its schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.identity_center.applying.access_run import AccessRun
from c7n_iamusers.identity_center.applying.run_history import created_so_far
from c7n_iamusers.identity_center.fleet import TrustOptions, read_fleet
from c7n_iamusers.identity_center.output.earlier_export import FILE
from c7n_iamusers.identity_center.output.terraform import terraform_configuration, write_terraform
from c7n_iamusers.identity_center.output.terraform_ownership import Ours
from c7n_iamusers.identity_center.planning.plan_input import PlanEvidence
from c7n_iamusers.identity_center.provisioning import export as write_export
from tests.access_center import ACCOUNT, AUDIT, OTHER_ACCOUNT, READ_ONLY
from tests.desired import desired, intents, readers
from tests.identity_center.fleet_rehearsal import FleetRehearsal, provision_earlier_form
from tests.identity_center.terraform_schema import SCHEMA

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
REFERENCE = re.compile(r"\$\{(data\.)?(aws_\w+)\.(\w+)\.\w+\}")


def export(fleet: FleetRehearsal) -> dict[str, Any]:
    """An export with imports, and what it says of refused users."""
    found = read_fleet(fleet.store, trust=TrustOptions(trusted=True))
    run = AccessRun(fleet.center(), found.desired, PlanEvidence(found.derivation.proofs))
    report, existing = run.existing(Ours.of(created_so_far(fleet.store, fleet.center().instance)))
    fleet.said = [each.reason.text for each in report.desired.refused]
    return terraform_configuration(report.desired, existing)


class Provider:
    """Reads imported objects as hashicorp/aws does. ``found``: the configuration."""

    def __init__(self, fleet: FleetRehearsal, found: Mapping[str, Any]) -> None:
        self.store, self.sso = (fleet.org.session().client(each) for each in ("identitystore", "sso-admin"))
        self.found = found
        self.ids = {each["to"]: each["id"] for each in found["import"]}
        self.reads: Mapping[str, Callable[[list[str]], dict[str, Any]]] = {
            "aws_identitystore_user": self.user,
            "aws_identitystore_group": self.group,
            "aws_identitystore_group_membership": self.membership,
            "aws_ssoadmin_permission_set": self.permission_set,
            "aws_ssoadmin_managed_policy_attachment": lambda parts: {
                "managed_policy_arn": parts[0],
                "permission_set_arn": parts[1],
                "instance_arn": parts[2],
            },
            "aws_ssoadmin_account_assignment": lambda parts: dict(
                zip(
                    (
                        "principal_id",
                        "principal_type",
                        "target_id",
                        "target_type",
                        "permission_set_arn",
                        "instance_arn",
                    ),
                    parts,
                    strict=True,
                )
            ),
        }

    def changes(self) -> Iterator[str]:
        """What the first plan would do to objects that exist, and what it would create."""
        for kind, made in self.found.get("resource", {}).items():
            for label, arguments in made.items():
                identifier = self.ids.get(f"{kind}.{label}")
                if identifier is None:
                    yield f"create {kind} {label}"
                    continue
                kept = {"depends_on", "lifecycle", *arguments.get("lifecycle", {}).get("ignore_changes", ())}
                asked = self.resolved({key: each for key, each in arguments.items() if key not in kept})
                live = self.reads[kind](re.split("[,/]" if "identitystore" in kind else ",", identifier))
                for name in sorted({*asked, *live} - kept):
                    if asked.get(name) != live.get(name):
                        how = "replace" if name in SCHEMA[kind].replaced else "change"
                        yield f"{how} {kind} {label}: {name} {live.get(name)} -> {asked.get(name)}"

    def resolved(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.resolved(each) for key, each in value.items()}
        found = REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            return value
        is_data, kind, label = found.groups()
        if is_data:
            looked_up = self.found["data"][kind][label]
            return looked_up.get("user_id") or looked_up.get("group_id") or looked_up["arn"]
        identifier = self.ids[f"{kind}.{label}"]
        return identifier.split(",")[0] if "ssoadmin" in kind else identifier.split("/")[1]

    def user(self, parts: list[str]) -> dict[str, Any]:
        live = self.store.describe_user(IdentityStoreId=parts[0], UserId=parts[1])
        named = {
            "user_name": live["UserName"],
            "title": live.get("Title"),
            "display_name": live["DisplayName"],
        }
        return {**named, "identity_store_id": parts[0]}

    def group(self, parts: list[str]) -> dict[str, Any]:
        live = self.store.describe_group(IdentityStoreId=parts[0], GroupId=parts[1])
        return {
            "identity_store_id": parts[0],
            "display_name": live["DisplayName"],
            "description": live["Description"],
        }

    def membership(self, parts: list[str]) -> dict[str, Any]:
        live = self.store.describe_group_membership(IdentityStoreId=parts[0], MembershipId=parts[1])
        return {
            "identity_store_id": parts[0],
            "group_id": live["GroupId"],
            "member_id": live["MemberId"]["UserId"],
        }

    def permission_set(self, parts: list[str]) -> dict[str, Any]:
        given = {"InstanceArn": parts[1], "PermissionSetArn": parts[0]}
        live = self.sso.describe_permission_set(**given)["PermissionSet"]
        return {
            "instance_arn": parts[1],
            "name": live["Name"],
            "description": live.get("Description"),
            "relay_state": live.get("RelayState"),
            "session_duration": live["SessionDuration"],
        }


def make_user(fleet: FleetRehearsal, username: str, **fields: Any) -> str:
    """An existing user with a title and a phone."""
    given = {
        "UserName": username,
        "DisplayName": "Alice L.",
        "Name": {"GivenName": "A", "FamilyName": "L"},
        "Emails": [{"Value": username, "Type": "Work", "Primary": True}],
        "Title": "Head of payments",
        "PhoneNumbers": [{"Value": "+1", "Type": "Work", "Primary": True}],
        **fields,
    }
    store = fleet.center().instance.identity_store_id
    client = fleet.org.session().client("identitystore")
    return str(client.create_user(IdentityStoreId=store, **given)["UserId"])


def test_adopting_what_exists_plans_no_change(fleet: FleetRehearsal) -> None:
    alice = make_user(fleet, "Alice@Example.com")
    fleet.provisioned(intents(ACCOUNT, "alice", "bob"), intents(OTHER_ACCOUNT, "alice"))
    (bob,) = (
        each.identifier
        for each in created_so_far(fleet.store, fleet.center().instance)
        if each.parameters.get("UserName") == "bob@example.com"
    )
    center = fleet.center()
    center.clients["identitystore"].update_user(
        IdentityStoreId=center.instance.identity_store_id,
        UserId=bob,
        Operations=[{"AttributePath": "title", "AttributeValue": "Engineer"}],
    )
    found = export(fleet)
    assert list(Provider(fleet, found).changes()) == []
    (looked_up,) = found["data"]["aws_identitystore_user"].values()
    assert looked_up["user_id"] == alice
    (owned,) = found["resource"]["aws_identitystore_user"].values()
    assert (owned["user_name"], owned["lifecycle"]["prevent_destroy"]) == ("bob@example.com", True)
    assert export(fleet) == found
    assert fleet.said == []


def test_the_provider_of_the_test_finds_a_replacement(fleet: FleetRehearsal) -> None:
    """Alice as a resource in the requested spelling, as if this tool had made her."""
    alice = make_user(fleet, "Alice@Example.com")
    fleet.provisioned(intents(ACCOUNT, "alice"))
    found = export(fleet)
    store = fleet.center().instance.identity_store_id
    label = next(iter(found["data"]["aws_identitystore_user"]))
    asked = {"identity_store_id": store, "user_name": "alice@example.com", "display_name": "Alice L."}
    found["resource"]["aws_identitystore_user"] = {label: asked}
    found["import"].append({"to": f"aws_identitystore_user.{label}", "id": f"{store}/{alice}"})
    changes = list(Provider(fleet, found).changes())
    assert any(each.startswith("replace aws_identitystore_user") for each in changes)
    assert any("title Head of payments -> None" in each for each in changes)


def test_a_policy_that_others_attached_is_refused_and_nothing_is_destroyed(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    center = fleet.center()
    (known,) = fleet.instance.permission_sets.values()
    center.clients["sso-admin"].attach_managed_policy_to_permission_set(
        InstanceArn=center.instance.arn,
        PermissionSetArn=known.arn,
        ManagedPolicyArn="arn:aws:iam::aws:policy/AdministratorAccess",
    )
    found = export(fleet)
    assert (
        "which is not requested, and Terraform would leave it: run provision apply first, if" in fleet.said[0]
    )
    assert "resource" not in found
    assert len(found["removed"]) == 6


def test_a_set_of_which_an_account_has_an_earlier_form_is_refused(fleet: FleetRehearsal) -> None:
    """It looks as requested, and in the account its role is still an administrator."""
    fleet.provisioned(intents(ACCOUNT, "alice"))
    (known,) = fleet.instance.permission_sets.values()
    provision_earlier_form(fleet, known.arn)
    fleet.leave(intents(ACCOUNT, "alice", "bob"))
    found = export(fleet)
    assert f"account {ACCOUNT} has an earlier form of permission set Readers" in fleet.said[0]
    assert "resource" not in found


def test_a_group_that_others_made_takes_nobody_in_unless_shared(fleet: FleetRehearsal) -> None:
    asked = intents(ACCOUNT, "alice")
    center = fleet.center()
    center.clients["identitystore"].create_group(
        IdentityStoreId=center.instance.identity_store_id, DisplayName=asked.group, Description="By hand"
    )
    fleet.leave(asked)
    assert "resource" not in export(fleet)
    assert "so it was not made for this: give another group name" in fleet.said[0]
    fleet.leave(replace(asked, shared_group=True))
    found = export(fleet)
    assert fleet.said == []
    assert "aws_identitystore_group" not in found["resource"]
    assert len(found["data"]["aws_identitystore_group"]) == 1
    assert found["import"] == []


def test_a_set_that_others_made_just_as_requested_is_used(fleet: FleetRehearsal) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    center, wanted = fleet.center(), readers()
    sso = center.clients["sso-admin"]
    made = sso.create_permission_set(InstanceArn=center.instance.arn, Name=wanted.name)["PermissionSet"]
    given = {"InstanceArn": center.instance.arn, "PermissionSetArn": made["PermissionSetArn"]}
    assert export(fleet).get("resource") is None
    for policy in wanted.managed_policies:
        sso.attach_managed_policy_to_permission_set(ManagedPolicyArn=policy, **given)
    found = export(fleet)
    assert found["data"]["aws_ssoadmin_permission_set"].popitem()[1]["arn"] == made["PermissionSetArn"]
    assert "aws_ssoadmin_permission_set" not in found["resource"]
    assert "aws_ssoadmin_managed_policy_attachment" not in found["resource"]


def test_no_group_is_two_resources(fleet: FleetRehearsal) -> None:
    center = fleet.center()
    center.clients["identitystore"].create_group(
        IdentityStoreId=center.instance.identity_store_id,
        DisplayName="Team",
        Description=f"Managed by c7n-iamusers for account {ACCOUNT}",
    )
    fleet.leave(
        intents(ACCOUNT, "alice", group="team"),
        intents(ACCOUNT, "bob", set_name="Admins", group="Team"),
        intents(OTHER_ACCOUNT, "carol"),
    )
    found = export(fleet)
    assert [text.split(":")[0] for text in fleet.said] == [
        f"user {name} of account {ACCOUNT}" for name in ("alice", "bob")
    ]
    (group,) = found["resource"]["aws_identitystore_group"].values()
    assert group["display_name"] == f"iam-{OTHER_ACCOUNT}-Readers"
    assert found["import"] == []


@pytest.mark.parametrize(
    ("made_by", "is_in_dir", "by_hand", "is_swapped"),
    [
        pytest.param("terraform", True, "", True, id="of-terraform"),
        pytest.param("terraform", False, "", False, id="another-directory"),
        pytest.param("terraform", True, ADMIN, False, id="what-others-attached"),
        pytest.param("managed", True, "", False, id="perhaps-never-imported"),
    ],
)
def test_a_set_whose_policy_is_replaced(
    fleet: FleetRehearsal, tmp_path: Path, made_by: str, is_in_dir: bool, by_hand: str, is_swapped: bool
) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    center = fleet.center()
    sso, instance = center.clients["sso-admin"], {"InstanceArn": center.instance.arn}
    tags = [{"Key": "c7n-iamusers", "Value": made_by}]
    made = sso.create_permission_set(Name="Readers", Tags=tags, **instance)["PermissionSet"]
    for policy in filter(None, (READ_ONLY, by_hand)):
        given = {"PermissionSetArn": made["PermissionSetArn"], "ManagedPolicyArn": policy}
        sso.attach_managed_policy_to_permission_set(**given, **instance)
    if is_in_dir:
        list(write_terraform(tmp_path, desired(intents(ACCOUNT, "alice"))))
    audited = replace(readers(), managed_policies=frozenset({AUDIT}))
    fleet.leave(intents(ACCOUNT, "alice", permission_set=audited))
    fleet.new_records = True
    failures = write_export(fleet.fleet, tmp_path, fleet.said.append, fleet.center())
    assert [f"also has {by_hand or READ_ONLY}" in each for each in failures] == ([] if is_swapped else [True])
    written = json.loads((tmp_path / FILE).read_text())
    if is_swapped:
        kind = "aws_ssoadmin_managed_policy_attachment"
        assert [each["managed_policy_arn"] for each in written["resource"][kind].values()] == [AUDIT]
        assert "removed" not in written
    else:
        assert "resource" not in written
