# SPDX-License-Identifier: Apache-2.0
"""What an IAM user is permitted, gathered from wherever a policy can hang: the input of derivation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.model.calls import Subject


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A managed policy in force; ``path`` begins and ends with a slash.

    ``document``: of the default version, in any form that ``parse_document`` takes; None where it was not read.
    """

    arn: str
    name: str
    path: str = "/"
    document: Any = None

    @property
    def aws_managed(self) -> bool:
        """Whether the policy is AWS's own, which stands under the same ARN in every account of the partition."""
        return self.arn.split(":")[4] == "aws"

    @property
    def path_and_name(self) -> str:
        """``/ci/Deploy``: what a permission set's reference to a customer-managed policy goes by."""
        return f"{self.path}{self.name}"


#: Name and document of an inline policy.
InlinePolicy = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class GroupPermissions:
    """A group that the user is in."""

    name: str
    attached: tuple[ManagedPolicy, ...] = ()
    inline: tuple[InlinePolicy, ...] = ()


@dataclass(frozen=True, slots=True)
class PrincipalPermissions:
    """All identity-based policies of one IAM user.

    ``tags``: its own tags, None where they were not read. ``person``: the Identity Center username of who
    it belongs to, empty where that is not known; users of one person share it.
    """

    account_id: str
    user_name: str
    arn: str
    unique_id: str
    attached: tuple[ManagedPolicy, ...] = ()
    inline: tuple[InlinePolicy, ...] = ()
    groups: tuple[GroupPermissions, ...] = ()
    boundary: ManagedPolicy | None = None
    tags: Mapping[str, str] | None = field(default=None, hash=False)
    person: str = ""

    @property
    def managed_policies(self) -> Iterator[tuple[ManagedPolicy, str]]:
        """Each managed policy, its own and its groups', and through what it has it, in words; no boundary."""
        for policy in self.attached:
            yield policy, f"policy {policy.name}"
        for group in self.groups:
            for policy in group.attached:
                yield policy, f"policy {policy.name} of group {group.name}"

    @property
    def inline_policies(self) -> Iterator[tuple[Any, str]]:
        """The document of each inline policy, its own and its groups', and what it is, in words."""
        for name, document in self.inline:
            yield document, f"inline policy {name}"
        for group in self.groups:
            for name, document in group.inline:
                yield document, f"inline policy {name} of group {group.name}"

    @property
    def subject(self) -> Subject:
        """Whom findings and plans name."""
        return Subject(self.user_name, self.arn, self.unique_id)
