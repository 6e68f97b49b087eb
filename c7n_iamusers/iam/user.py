# SPDX-License-Identifier: Apache-2.0
"""The record of one IAM user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from c7n_iamusers.execution.calls import Subject

#: One thing attached to a user, as the API returns it (such as an entry of AccessKeyMetadata).
Item = Mapping[str, Any]


@dataclass(frozen=True)
class IamUser:
    """One IAM user. ``detail``: botocore's ``User`` or ``UserDetail``.

    ``attachments``: kind -> what is attached. A kind that is missing was not read: it is unknown, not empty.
    """

    detail: Mapping[str, Any]
    attachments: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The user name, which is unique in the account regardless of case."""
        return str(self.detail["UserName"])

    @property
    def arn(self) -> str:
        """The user's ARN, path included."""
        return str(self.detail["Arn"])

    @property
    def unique_id(self) -> str:
        """The unique id (AIDA...). A new user with the same name has another one."""
        return str(self.detail["UserId"])

    @property
    def path(self) -> str:
        """The path, ``/`` by default."""
        return str(self.detail.get("Path", "/"))

    @property
    def subject(self) -> Subject:
        """The user as plans, journals and errors name it."""
        return Subject(self.name, self.arn, self.unique_id)

    @property
    def tags(self) -> Mapping[str, str]:
        """Tag key -> value. Any principal with iam:TagUser can write them, so they prove nothing."""
        return {tag["Key"]: tag["Value"] for tag in self.detail.get("Tags") or ()}

    @property
    def groups(self) -> tuple[str, ...] | None:
        """The names of its groups; None if they were not read."""
        items = self.attachments.get("group")
        return None if items is None else tuple(item["GroupName"] for item in items)

    @property
    def boundary_arn(self) -> str:
        """The ARN of its permissions boundary, empty if it has none."""
        return next(
            (str(item["PermissionsBoundaryArn"]) for item in self.attachments["permissions-boundary"]), ""
        )

    def with_boundary(self, boundary: tuple[Item, ...]) -> IamUser:
        """The user with this permissions boundary, one item or none, instead of its own."""
        detail = {key: value for key, value in self.detail.items() if key != "PermissionsBoundary"}
        for item in boundary:
            detail["PermissionsBoundary"] = dict(item)
        held = {**self.attachments, "permissions-boundary": boundary}
        return replace(self, detail=detail, attachments=held)

    def counts(self) -> dict[str, int]:
        """Kind -> number of attachments, for the kinds that were read."""
        return {kind: len(items) for kind, items in self.attachments.items()}
