# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.model import (
    Assignment,
    CenterState,
    DesiredAccess,
    KnownGroup,
    KnownPermissionSet,
    KnownPerson,
    RefusedUser,
)
from c7n_iamusers.identity_center.output.earlier_export import FILE, EarlierExport
from c7n_iamusers.identity_center.output.terraform import (
    leftover_policies,
    terraform_configuration,
    write_terraform,
)
from c7n_iamusers.identity_center.output.terraform_ownership import Existing, Ours, exported_description
from c7n_iamusers.identity_center.requests.intents import Intents
from c7n_iamusers.reasons import NOT_DERIVED
from tests.access_center import ACCOUNT, AUDIT, INSTANCE, OTHER_ACCOUNT, READ_ONLY, SET_ARN
from tests.desired import desired, intents, person, readers, user
from tests.identity_center.terraform_schema import DATA, SCHEMA
from tests.records import said

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
    assert made["tags"] == {"Team": "$${team}", "c7n-iamusers": "terraform"}


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


def test_no_name_that_somebody_can_search_has_the_label_of_another() -> None:
    """Of these, the first 32 bits of SHA-256 are equal."""
    people = [person("alice"), replace(person("mallory"), username="alice./:.--.-+/..")]
    users = [user(ACCOUNT, name, who) for name, who in zip(("alice", "mallory"), people, strict=True)]
    configuration = terraform_configuration(desired(intents(ACCOUNT, users=tuple(users))))
    made = configuration["resource"]["aws_identitystore_user"]
    assert {each["user_name"] for each in made.values()} == {each.username for each in people}


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


ALICE, STORE, WHOLE = person("alice"), INSTANCE.identity_store_id, f"{SET_ARN},{INSTANCE.arn}"
REQUESTED = desired(intents(ACCOUNT, "alice", "bob", permission_set=RICH))
(GROUP,) = REQUESTED.groups.values()
ADOPTED = replace(RICH, boundary="")
KNOWN_ALICE = KnownPerson("u-1", "Alice@Example.com", "Alice@example.com")
MADE = Ours(frozenset({"u-1"}), frozenset({"m-1"}))


def live(
    settings: PermissionSet = ADOPTED, description: str = GROUP.description, ours: Ours = MADE, **fields: Any
) -> Existing:
    """A permission set, its group and Alice in it."""
    assigned = frozenset({Assignment(ACCOUNT, SET_ARN)})
    group = KnownGroup("g-1", GROUP.name, description, frozenset({"u-1"}), assigned, {"u-1": "m-1"})
    state = CenterState(
        groups={GROUP.name: group}, permission_sets={RICH.name: KnownPermissionSet(SET_ARN, settings)}
    )
    return Existing(state, {ALICE.key: KNOWN_ALICE}, INSTANCE, ours, **fields)


def imported(found: Mapping[str, Any]) -> dict[str, str]:
    """Type -> id."""
    return {each["to"].partition(".")[0]: each["id"] for each in found["import"]}


def forgotten(found: Mapping[str, Any]) -> list[str]:
    """Types of what Terraform forgets."""
    assert all(each["lifecycle"] == {"destroy": False} for each in found.get("removed", ()))
    return sorted(each["from"].partition(".")[0] for each in found.get("removed", ()))


def named(found: Mapping[str, Any], kind: str, name: str, argument: str) -> Any:
    """The one object of that kind whose label begins with the name."""
    (made,) = [each for label, each in found[kind][name].items() if argument in label]
    return made


def test_no_id_of_an_import_is_a_template() -> None:
    evil = '/${file("credentials")}%{if true}/Auditor'
    rich = replace(RICH, customer_policies=frozenset({evil}))
    asked = desired(intents(ACCOUNT, "alice", "bob", permission_set=rich))
    found = terraform_configuration(asked, live(replace(rich, boundary="")))
    ids = [each["id"] for each in found["import"]]
    assert any('$${file("credentials")}%%{if true}' in each for each in ids)
    assert not [each for each in ids if re.search(r"(?<!\$)\$\{|(?<!%)%\{", each)]


def test_what_this_tool_made_is_imported() -> None:
    found = terraform_configuration(REQUESTED, live())
    assert imported(found) == {
        "aws_ssoadmin_permission_set": WHOLE,
        "aws_ssoadmin_managed_policy_attachment": f"{READ_ONLY},{WHOLE}",
        "aws_ssoadmin_customer_managed_policy_attachment": f"Auditor,/team/,{WHOLE}",
        "aws_ssoadmin_permission_set_inline_policy": WHOLE,
        "aws_identitystore_group": f"{STORE}/g-1",
        "aws_ssoadmin_account_assignment": f"g-1,GROUP,{ACCOUNT},AWS_ACCOUNT,{WHOLE}",
        "aws_identitystore_user": f"{STORE}/u-1",
        "aws_identitystore_group_membership": f"{STORE}/m-1",
    }
    for each in found["import"]:
        kind, label = each["to"].split(".")
        assert label in found["resource"][kind]
    assert (found["terraform"]["required_version"], forgotten(found)) == (">= 1.5", [])
    assert "data" not in found


def test_a_user_that_others_made_is_looked_up_and_never_owned() -> None:
    found = terraform_configuration(REQUESTED, live(ours=Ours()))
    looked_up = named(found, "data", "aws_identitystore_user", "alice")
    assert looked_up == {"identity_store_id": STORE, "user_id": "u-1"}
    (bob,) = found["resource"]["aws_identitystore_user"].values()
    assert bob["user_name"] == "bob@example.com"
    assert "aws_identitystore_user" not in imported(found)
    membership = named(found, "resource", "aws_identitystore_group_membership", "alice")
    assert membership["member_id"].startswith("${data.aws_identitystore_user.")
    assert forgotten(found) == ["aws_identitystore_user"]
    assert found["terraform"]["required_version"] == ">= 1.7"


def test_a_user_of_a_run_keeps_its_live_spelling_and_all_that_others_wrote() -> None:
    alice = named(terraform_configuration(REQUESTED, live()), "resource", "aws_identitystore_user", "alice")
    assert (alice["user_name"], alice["emails"]["value"]) == ("Alice@Example.com", "Alice@example.com")
    assert alice["lifecycle"]["prevent_destroy"] is True
    kept = set(alice["lifecycle"]["ignore_changes"])
    assert kept == SCHEMA["aws_identitystore_user"].arguments - {"identity_store_id"}


def test_new_people_are_created_and_not_changed_afterwards() -> None:
    bob = named(terraform_configuration(REQUESTED), "resource", "aws_identitystore_user", "bob")
    assert {"title", "phone_numbers", "user_name"} <= set(bob["lifecycle"]["ignore_changes"])
    assert "prevent_destroy" not in bob["lifecycle"]


@pytest.mark.parametrize(
    ("state", "kinds"),
    [
        pytest.param(
            live(replace(RICH, tags={})),
            {
                "aws_ssoadmin_permission_set",
                "aws_ssoadmin_managed_policy_attachment",
                "aws_ssoadmin_customer_managed_policy_attachment",
                "aws_ssoadmin_permission_set_inline_policy",
                "aws_ssoadmin_permissions_boundary_attachment",
            },
            id="somebody-elses-set",
        ),
        pytest.param(live(description="By hand"), {"aws_identitystore_group"}, id="somebody-elses-group"),
        pytest.param(
            live(description="By hand", ours=Ours(frozenset({"u-1"}))),
            {"aws_identitystore_group", "aws_identitystore_group_membership"},
            id="somebody-elses-membership-in-their-group",
        ),
    ],
)
def test_what_others_made_is_looked_up(state: Existing, kinds: set[str]) -> None:
    found = terraform_configuration(REQUESTED, state)
    assert set(forgotten(found)) == kinds
    assert not kinds & imported(found).keys()
    owner = next(iter(kinds & {"aws_ssoadmin_permission_set", "aws_identitystore_group"}))
    (looked_up,) = found["data"][owner].values()
    assert set(looked_up.values()) in ({INSTANCE.arn, SET_ARN}, {STORE, "g-1"})
    (assignment,) = found["resource"]["aws_ssoadmin_account_assignment"].values()
    assert f"${{data.{owner}." in json.dumps(assignment)


def test_an_assignment_between_what_others_made_stays_theirs() -> None:
    found = terraform_configuration(REQUESTED, live(replace(RICH, tags={}), description="By hand"))
    assert "aws_ssoadmin_account_assignment" not in {*found["resource"], *imported(found)}
    assert "aws_ssoadmin_account_assignment" in forgotten(found)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(
            live(replace(RICH, tags={"c7n-iamusers": "terraform"}), description=exported_description(GROUP)),
            id="an-earlier-export",
        ),
        pytest.param(live(), id="a-run"),
    ],
)
def test_what_an_earlier_export_made_is_this_tools(state: Existing) -> None:
    found = terraform_configuration(REQUESTED, state)
    assert {"aws_ssoadmin_permission_set", "aws_identitystore_group"} <= imported(found).keys()


def test_an_adopted_set_keeps_what_is_not_requested() -> None:
    present = replace(
        RICH, description="Of old", relay_state="https://x", session_duration="PT60M", boundary=""
    )
    asked = desired(intents(ACCOUNT, "alice", permission_set=replace(RICH, description="", relay_state="")))
    (made,) = terraform_configuration(asked, live(present))["resource"][
        "aws_ssoadmin_permission_set"
    ].values()
    assert (made["description"], made["relay_state"], made["session_duration"]) == (
        "Of old",
        "https://x",
        "PT60M",
    )
    assert made["tags"] == {"Team": "$${team}", "c7n-iamusers": "managed"}
    assert made["lifecycle"] == {"ignore_changes": ["tags", "tags_all"]}


def test_a_refusal_takes_nothing_away() -> None:
    found = terraform_configuration(REQUESTED, live(claims=frozenset()))
    assert "resource" not in found
    assert found["import"] == []
    everything = terraform_configuration(REQUESTED)["resource"]
    assert {each["from"] for each in found["removed"]} == {
        f"{kind}.{label}" for kind, made in everything.items() for label in made
    }


BOB = intents(ACCOUNT, "bob", permission_set=RICH)
UNREAD = RefusedUser(
    user(ACCOUNT, "carol", person("carol")).subject, said("account 1 can't be read", "InvalidPerson")
)


def addresses(directory: Path) -> set[str]:
    """What Terraform owns by the configuration."""
    found = json.loads((directory / FILE).read_text())
    return {f"{kind}.{label}" for kind, made in found.get("resource", {}).items() for label in made}


def kept_by_removal(directory: Path) -> set[str]:
    found = json.loads((directory / FILE).read_text())
    assert found["terraform"]["required_version"] == ">= 1.7" or "removed" not in found
    return {each["from"] for each in found.get("removed", ()) if each["lifecycle"] == {"destroy": False}}


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(desired(BOB), id="no-longer-requested"),
        pytest.param(replace(desired(BOB), refused=(UNREAD,)), id="refused-before-planning"),
        pytest.param(DesiredAccess(), id="nothing-is-requested"),
        pytest.param(
            desired(intents(ACCOUNT, "bob", permission_set=replace(RICH, name="Other"))), id="another-set"
        ),
    ],
)
def test_nothing_of_an_earlier_export_is_destroyed(tmp_path: Path, later: DesiredAccess) -> None:
    list(write_terraform(tmp_path, REQUESTED))
    before = addresses(tmp_path)
    for _ in range(2):  # an export after the next one, too
        said = list(write_terraform(tmp_path, later))
        assert kept_by_removal(tmp_path) == before - addresses(tmp_path) != set()
        assert any(" removed blocks" in line for line in said)


def test_what_a_set_no_longer_has_is_detached(tmp_path: Path) -> None:
    list(write_terraform(tmp_path, REQUESTED))
    before = addresses(tmp_path)
    narrower = replace(RICH, managed_policies=frozenset(), inline_policy="")
    list(write_terraform(tmp_path, desired(*(intents(ACCOUNT, "alice", "bob", permission_set=narrower),))))
    assert sorted(
        each.partition(".")[0] for each in before - addresses(tmp_path) - kept_by_removal(tmp_path)
    ) == [
        "aws_ssoadmin_managed_policy_attachment",
        "aws_ssoadmin_permission_set_inline_policy",
    ]


@pytest.mark.parametrize(
    ("later", "destroyed"),
    [
        pytest.param(desired(BOB), {"aws_identitystore_group_membership"}, id="pruned"),
        pytest.param(replace(desired(BOB), refused=(UNREAD,)), set(), id="users-are-unjudged"),
        pytest.param(
            replace(desired(BOB), refused=(replace(UNREAD, reason=said("no policies", NOT_DERIVED.code)),)),
            {"aws_identitystore_group_membership"},
            id="users-are-refused-by-decision",
        ),
    ],
)
def test_only_a_pruning_export_destroys(tmp_path: Path, later: DesiredAccess, destroyed: set[str]) -> None:
    list(write_terraform(tmp_path, REQUESTED))
    before = addresses(tmp_path)
    said = list(write_terraform(tmp_path, later, ends_in={ACCOUNT}))
    left = before - addresses(tmp_path) - kept_by_removal(tmp_path)
    assert {each.partition(".")[0] for each in left} == destroyed
    assert any("nothing is pruned: 1 users" in line for line in said) is not bool(destroyed)
    assert any(each.startswith("aws_identitystore_user.r_alice") for each in kept_by_removal(tmp_path))


OTHERS = intents(OTHER_ACCOUNT, "bob", permission_set=RICH)
OF_OTHERS = intents(OTHER_ACCOUNT, "bob", permission_set=replace(RICH, name="Other"))


@pytest.mark.parametrize(
    ("further", "ends_in", "destroyed"),
    [
        pytest.param(OTHERS, {ACCOUNT}, set(), id="the-account-has-no-intents"),
        pytest.param(OF_OTHERS, {ACCOUNT}, set(), id="nor-has-that-of-a-set-of-its-own"),
        pytest.param(
            OTHERS,
            {ACCOUNT, OTHER_ACCOUNT},
            {
                "aws_identitystore_group",
                "aws_identitystore_group_membership",
                "aws_ssoadmin_account_assignment",
            },
            id="its-policies-found-nobody",
        ),
    ],
)
def test_an_account_without_intents_keeps_its_access(
    tmp_path: Path, further: Intents, ends_in: set[str], destroyed: set[str]
) -> None:
    here = intents(ACCOUNT, "alice", permission_set=RICH)
    list(write_terraform(tmp_path, desired(here, further)))
    before = addresses(tmp_path)
    for again in (False, True):
        said = list(write_terraform(tmp_path, desired(here), ends_in=ends_in))
        left = before - addresses(tmp_path) - kept_by_removal(tmp_path)
        assert {each.partition(".")[0] for each in left} == destroyed
        told = f"has in account {OTHER_ACCOUNT} is not pruned"
        assert any(told in line for line in said) == (not destroyed and not again)


@pytest.mark.parametrize("content", ["{", "[]", '{"removed": [1]}', '{"resource": 1}'])
def test_a_file_that_is_no_export_is_not_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(IdentityCenterError, match="is not a configuration of an earlier export"):
        list(write_terraform(tmp_path, REQUESTED))
    assert (tmp_path / FILE).read_text() == content


def test_an_earlier_file_can_add_nothing_else(tmp_path: Path) -> None:
    rows = [{"from": "aws_iam_role.admin"}, {"from": "aws_identitystore_user.r_x\n"}, {"from": 1}]
    (tmp_path / FILE).write_text(json.dumps({"removed": rows}))
    list(write_terraform(tmp_path, REQUESTED))
    assert "removed" not in json.loads((tmp_path / FILE).read_text())


EXPORTS = [
    pytest.param(terraform_configuration(whole()), id="nothing-is-known"),
    pytest.param(terraform_configuration(REQUESTED, live()), id="adopted"),
    pytest.param(
        terraform_configuration(REQUESTED, live(replace(RICH, tags={}), ours=Ours())), id="of-others"
    ),
    pytest.param(terraform_configuration(REQUESTED, live(description="By hand")), id="group-of-others"),
    pytest.param(terraform_configuration(desired(intents(ACCOUNT, "a", external=True))), id="external"),
    pytest.param(
        terraform_configuration(
            desired(intents(ACCOUNT, "a", permission_set=replace(RICH, boundary="/edge/Of")))
        ),
        id="customer-managed-boundary",
    ),
]


@pytest.mark.parametrize("found", EXPORTS)
def test_the_provider_takes_every_block(found: Mapping[str, Any]) -> None:
    for kind, made in found["resource"].items():
        for arguments in made.values():
            SCHEMA[kind].check(arguments)
    for kind, made in found.get("data", {}).items():
        for arguments in made.values():
            DATA[kind].check(arguments)


def test_the_check_of_blocks_finds_faults() -> None:
    user_schema = SCHEMA["aws_identitystore_user"]
    good = named(terraform_configuration(REQUESTED), "resource", "aws_identitystore_user", "bob")
    for faulty in (
        {**good, "nick_name": "b"},
        {key: each for key, each in good.items() if key != "user_name"},
        {**good, "user_id": "computed"},
        {**good, "emails": {"value": "x", "kind": "work"}},
        {**good, "lifecycle": {"ignore_changes": ["nick_name"]}},
        {**good, "display_name": ""},
    ):
        with pytest.raises(AssertionError):
            user_schema.check(faulty)


TERRAFORMS = {"c7n-iamusers": "terraform"}


@pytest.mark.parametrize(
    ("requested", "left"),
    [
        pytest.param(RICH, (), id="as-requested"),
        pytest.param(replace(RICH, managed_policies=frozenset()), (READ_ONLY,), id="managed"),
        pytest.param(replace(RICH, customer_policies=frozenset()), ("/team/Auditor",), id="customer-managed"),
        pytest.param(replace(RICH, inline_policy=""), ("its inline policy",), id="inline"),
        pytest.param(replace(RICH, boundary=""), ("its permissions boundary",), id="boundary"),
    ],
)
def test_policies_that_terraform_leaves(
    tmp_path: Path, requested: PermissionSet, left: tuple[str, ...]
) -> None:
    """Those of a set that Terraform made are left unless an earlier export has them."""
    list(write_terraform(tmp_path, REQUESTED))
    for tags, exported, expected in (
        (TERRAFORMS, EarlierExport.read(tmp_path).policies, ()),
        (TERRAFORMS, (), left),
        (RICH.tags, EarlierExport.read(tmp_path).policies, left),
    ):
        known = KnownPermissionSet(SET_ARN, replace(RICH, tags=tags))
        assert leftover_policies(requested, known, exported) == expected
    assert leftover_policies(requested, None, ()) == ()
