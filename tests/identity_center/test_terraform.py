# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.identity_center.model import (
    Assignment,
    CenterState,
    DesiredAccess,
    KnownGroup,
    KnownPermissionSet,
    KnownPerson,
)
from c7n_iamusers.identity_center.terraform import Existing, terraform_configuration
from tests.access_center import ACCOUNT, AUDIT, INSTANCE, OTHER_ACCOUNT, READ_ONLY, SET_ARN
from tests.desired import desired, intents, person, readers, user

INLINE = '{"Statement":[{"Resource":"arn:aws:s3:::home/${aws:PrincipalTag/x}/%{y}"}]}'
RICH = replace(
    readers(),
    inline_policy=INLINE,
    customer_policies=frozenset({"/team/Auditor"}),
    boundary=AUDIT,
    tags={"c7n-iamusers": "managed", "Team": "${team}"},
)
REFERENCE = re.compile(r"\$\{(?:data\.)?(aws_\w+)\.(\w+)\.\w+\}")


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in strings(part)]
    return [value] if isinstance(value, str) else []


def whole() -> DesiredAccess:
    return desired(
        intents(ACCOUNT, "alice", "bob", permission_set=RICH),
        intents(OTHER_ACCOUNT, "alice", permission_set=RICH),
    )


def test_every_object_is_there() -> None:
    resources = terraform_configuration(whole())["resource"]
    assert {kind: len(found) for kind, found in resources.items()} == {
        "aws_ssoadmin_permission_set": 1,
        "aws_ssoadmin_managed_policy_attachment": 1,
        "aws_ssoadmin_customer_managed_policy_attachment": 1,
        "aws_ssoadmin_permission_set_inline_policy": 1,
        "aws_ssoadmin_permissions_boundary_attachment": 1,
        "aws_ssoadmin_account_assignment": 2,
        "aws_identitystore_group": 2,
        "aws_identitystore_user": 2,
        "aws_identitystore_group_membership": 3,
    }


def test_every_reference_leads_to_a_resource() -> None:
    found = terraform_configuration(whole())
    references = [each for text in strings(found["resource"]) for each in REFERENCE.findall(text)]
    assert references
    assert all(label in found["resource"][kind] for kind, label in references)
    (assignment, _) = found["resource"]["aws_ssoadmin_account_assignment"].values()
    assert len(assignment["depends_on"]) == 4
    for address in assignment["depends_on"]:
        kind, _, label = address.partition(".")
        assert label in found["resource"][kind]


def test_data_is_never_taken_for_a_template() -> None:
    found = terraform_configuration(whole())["resource"]
    (inline,) = found["aws_ssoadmin_permission_set_inline_policy"].values()
    assert inline["inline_policy"] == INLINE.replace("${", "$${").replace("%{", "%%{")
    (made,) = found["aws_ssoadmin_permission_set"].values()
    assert made["tags"] == {"Team": "$${team}"}


def test_a_name_that_would_run_code() -> None:
    mallory = replace(person("m"), display_name='${file("/etc/passwd")}', given_name="%{ if true }")
    found = desired(replace(intents(ACCOUNT), users=(user(ACCOUNT, "m", mallory),)))
    (made,) = terraform_configuration(found)["resource"]["aws_identitystore_user"].values()
    assert made["display_name"] == '$${file("/etc/passwd")}'
    assert made["name"]["given_name"] == "%%{ if true }"


@pytest.mark.parametrize(
    ("boundary", "told"),
    [
        pytest.param(AUDIT, {"managed_policy_arn": AUDIT}, id="aws-managed"),
        pytest.param(
            "/edge/Of",
            {"customer_managed_policy_reference": {"name": "Of", "path": "/edge/"}},
            id="customer-managed",
        ),
    ],
)
def test_the_boundary(boundary: str, told: dict[str, Any]) -> None:
    found = desired(intents(ACCOUNT, "alice", permission_set=replace(RICH, boundary=boundary)))
    (made,) = terraform_configuration(found)["resource"][
        "aws_ssoadmin_permissions_boundary_attachment"
    ].values()
    assert made["permissions_boundary"] == told


def test_labels_are_legal_different_and_the_same_again() -> None:
    found = desired(intents(ACCOUNT, "ali.ce", "ali-ce", "1", "用户"))
    labels = list(terraform_configuration(found)["resource"]["aws_identitystore_user"])
    assert len(set(labels)) == 4
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", label) for label in labels)
    assert json.dumps(terraform_configuration(found)) == json.dumps(terraform_configuration(found))


def test_what_is_external_is_looked_up() -> None:
    found = terraform_configuration(desired(intents(ACCOUNT, "alice", external=True)))
    assert found["resource"].keys() == {
        "aws_ssoadmin_permission_set",
        "aws_ssoadmin_managed_policy_attachment",
        "aws_ssoadmin_account_assignment",
    }
    (group,) = found["data"]["aws_identitystore_group"].values()
    unique = group["alternate_identifier"]["unique_attribute"]
    assert unique == {"attribute_path": "DisplayName", "attribute_value": f"iam-{ACCOUNT}-Readers"}
    (assignment,) = found["resource"]["aws_ssoadmin_account_assignment"].values()
    assert assignment["principal_id"].startswith("${data.aws_identitystore_group.")


def test_nothing_asked_for() -> None:
    assert "resource" not in terraform_configuration(DesiredAccess())


def test_the_attached_policy() -> None:
    (made,) = terraform_configuration(whole())["resource"]["aws_ssoadmin_managed_policy_attachment"].values()
    assert made["managed_policy_arn"] == READ_ONLY


def test_what_exists_is_imported() -> None:
    requested = desired(intents(ACCOUNT, "alice", "bob", permission_set=RICH))
    (group,) = requested.groups.values()
    known_group = KnownGroup(
        "g-1",
        group.name,
        group.description,
        frozenset({"u-1"}),
        frozenset({Assignment(ACCOUNT, SET_ARN)}),
        {"u-1": "m-1"},
    )
    alice = person("alice")
    existing = Existing(
        CenterState(
            groups={group.name: known_group},
            permission_sets={RICH.name: KnownPermissionSet(SET_ARN, replace(RICH, boundary=""))},
        ),
        {alice.key: KnownPerson("u-1", alice.username, alice.email)},
        INSTANCE,
    )
    found = terraform_configuration(requested, existing)
    store, both = INSTANCE.identity_store_id, f"{SET_ARN},{INSTANCE.arn}"
    imported = {each["to"].partition(".")[0]: each["id"] for each in found["import"]}
    assert imported == {
        "aws_ssoadmin_permission_set": both,
        "aws_ssoadmin_managed_policy_attachment": f"{READ_ONLY},{both}",
        "aws_ssoadmin_customer_managed_policy_attachment": f"Auditor,/team/,{both}",
        "aws_ssoadmin_permission_set_inline_policy": both,
        "aws_identitystore_group": f"{store}/g-1",
        "aws_ssoadmin_account_assignment": f"g-1,GROUP,{ACCOUNT},AWS_ACCOUNT,{both}",
        "aws_identitystore_user": f"{store}/u-1",
        "aws_identitystore_group_membership": f"{store}/m-1",
    }
    for each in found["import"]:
        kind, label = each["to"].split(".")
        assert label in found["resource"][kind]
    assert found["terraform"]["required_version"] == ">= 1.5"


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(CenterState(), id="nothing-stands"),
        pytest.param(
            CenterState(permission_sets={RICH.name: KnownPermissionSet(SET_ARN, replace(RICH, tags={}))}),
            id="somebody-elses-set",
        ),
        pytest.param(
            CenterState(
                groups={f"iam-{ACCOUNT}-Readers": KnownGroup("g", f"iam-{ACCOUNT}-Readers", "By hand")}
            ),
            id="somebody-elses-group",
        ),
    ],
)
def test_what_is_not_ours_is_not_imported(state: CenterState) -> None:
    requested = desired(intents(ACCOUNT, "alice", permission_set=RICH))
    assert terraform_configuration(requested, Existing(state, {}, INSTANCE))["import"] == []
