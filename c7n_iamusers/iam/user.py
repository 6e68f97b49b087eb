# SPDX-License-Identifier: Apache-2.0
"""What is known of one IAM user, as an immutable record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.execution.calls import Subject

#: One thing attached to a user, as the API gives it (e.g. an entry of AccessKeyMetadata).
Item = Mapping[str, Any]


@dataclass(frozen=True)
class IamUser:
    """One IAM user. ``detail`` is the user as botocore's ``User`` or ``UserDetail`` shape.

    ``attachments``: kind -> what is attached. A kind that is missing was not read: unknown, never none.
    """

    detail: Mapping[str, Any]
    attachments: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The user name, unique in the account whatever its case."""
        return str(self.detail["UserName"])

    @property
    def arn(self) -> str:
        """The user's ARN, path included."""
        return str(self.detail["Arn"])

    @property
    def unique_id(self) -> str:
        """The unique id (AIDA...), which a user re-created under the same name does not get back."""
        return str(self.detail["UserId"])

    @property
    def path(self) -> str:
        """The path, ``/`` where none was given."""
        return str(self.detail.get("Path", "/"))

    @property
    def subject(self) -> Subject:
        """Whom a plan for this user is for."""
        return Subject(self.name, self.arn, self.unique_id)

    @property
    def tags(self) -> Mapping[str, str]:
        """Tag key -> value. Whoever holds iam:TagUser can write them: claims, not proof."""
        return {tag["Key"]: tag["Value"] for tag in self.detail.get("Tags") or ()}

    @property
    def groups(self) -> tuple[str, ...] | None:
        """The names of its groups; None where they were not read."""
        items = self.attachments.get("group")
        return None if items is None else tuple(item["GroupName"] for item in items)

    def counts(self) -> dict[str, int]:
        """Kind -> how many are attached, for the kinds that were read."""
        return {kind: len(items) for kind, items in self.attachments.items()}
