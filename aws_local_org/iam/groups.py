# SPDX-License-Identifier: Apache-2.0
"""Groups and their members."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult

from aws_local_org.errors import already_exists, no_such_entity, quota_exceeded
from aws_local_org.iam.base import Backend, Response
from aws_local_org.iam.entities import Group
from aws_local_org.iam.results import Listing, PlainResult
from aws_local_org.iam.users import check_group_is_bare, listed_user

GROUPS_PER_USER = 10


class GroupsBackend(Backend):
    """A membership is kept at the group and at the user, so that neither needs a search through the account."""

    groups: dict[str, Group]

    def get_group(self, group_name: str) -> Group:
        group = self.groups.get(group_name)
        if group is None:
            raise no_such_entity(f"The group with name {group_name} cannot be found.")
        return group

    def create_group(self, group_name: str, path: str = "/") -> Group:
        self._check_group_name(group_name)
        group = Group(self.account_id, self.region_name, group_name, path)
        self.groups[group_name] = group
        return group

    def delete_group(self, group_name: str) -> None:
        check_group_is_bare(self.get_group(group_name))
        del self.groups[group_name]

    def update_group(self, group_name: str, new_group_name: str | None, new_path: str | None) -> None:
        group = self.get_group(group_name)
        if new_group_name and new_group_name != group_name:
            if new_group_name.casefold() != group_name.casefold():
                self._check_group_name(new_group_name)
            self.groups[new_group_name] = self.groups.pop(group_name)
            group.name = new_group_name
        group.path = new_path or group.path

    def _check_group_name(self, group_name: str) -> None:
        if group_name.casefold() in (name.casefold() for name in self.groups):
            raise already_exists(f"Group with name {group_name} already exists.")

    def add_user_to_group(self, group_name: str, user_name: str) -> None:
        group, user = self.get_group(group_name), self.get_user(user_name)
        if group in user.groups:
            return
        if len(user.groups) >= GROUPS_PER_USER:
            raise quota_exceeded("GroupsPerUser", GROUPS_PER_USER)
        group.users.append(user)
        user.groups.append(group)

    def remove_user_from_group(self, group_name: str, user_name: str) -> None:
        """AWS checks the user first, and succeeds for a user who is not a member."""
        user, group = self.get_user(user_name), self.get_group(group_name)
        if group in user.groups:
            group.users.remove(user)
            user.groups.remove(group)

    def get_groups_for_user(self, user_name: str) -> list[Group]:
        return self.get_user(user_name).groups


class GroupsResponse(Response):
    def get_group(self) -> ActionResult:
        group = self.backend.get_group(self.params["GroupName"])
        return PlainResult({"Group": group_shape(group), "Users": Listing(group.users, listed_user)})

    def list_groups(self) -> ActionResult:
        prefix = self.params.get("PathPrefix") or "/"
        groups = [group for group in self.backend.groups.values() if group.path.startswith(prefix)]
        return PlainResult({"Groups": Listing(groups, group_shape)})

    def list_groups_for_user(self) -> ActionResult:
        return PlainResult(
            {"Groups": Listing(self.backend.get_user(self.params["UserName"]).groups, group_shape)}
        )


def group_shape(group: Any) -> dict[str, Any]:
    return {
        "Path": group.path,
        "GroupName": group.name,
        "GroupId": group.id,
        "Arn": group.arn,
        "CreateDate": group.create_date,
    }
