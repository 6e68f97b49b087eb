# SPDX-License-Identifier: Apache-2.0
"""What of an account outlives its users, and a snapshot must remember: roles that trust them, their groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from c7n_iamusers.aws.accounts import PAGE_SIZE
from c7n_iamusers.aws.paging import pages
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.model.iam_user import Item


@dataclass(frozen=True)
class AccountContext:
    """``roles`` as botocore's ``RoleDetail``, ``groups`` as its ``GroupDetail``."""

    roles: tuple[Item, ...]
    groups: tuple[Item, ...]

    def groups_named(self, names: tuple[str, ...]) -> tuple[Item, ...]:
        """The groups of those names."""
        return tuple(group for group in self.groups if group["GroupName"] in names)


def read_context(client: Any, backoff: Backoff) -> AccountContext:
    """All roles and groups of the account, in pages of a thousand. Raises ClientError where they can't be read."""
    roles: list[Item] = []
    groups: list[Item] = []
    for page in pages(
        client, "GetAccountAuthorizationDetails", backoff, Filter=["Role", "Group"], MaxItems=PAGE_SIZE
    ):
        roles += page.get("RoleDetailList", ())
        groups += page.get("GroupDetailList", ())
    return AccountContext(tuple(roles), tuple(groups))
