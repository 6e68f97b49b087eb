# SPDX-License-Identifier: Apache-2.0
"""Users and groups: names, permissions boundary, tags, memberships, and the checks before a deletion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from moto.core.responses import ActionResult, EmptyResult

from aws_local_org.errors import (
    already_exists,
    delete_conflict,
    iam_error,
    invalid_input,
    no_such_entity,
    quota_exceeded,
)
from aws_local_org.iam.base import Backend, Response, existing, replace_principal
from aws_local_org.iam.entities import Group, User, boundary_shape
from aws_local_org.iam.results import Listing, PlainResult

USERS_PER_ACCOUNT = 5000
TAGS_PER_USER = 50


class UsersBackend(Backend):
    """ "Names ... are not distinguished by case. For example, you cannot create resources named both "MyResource" and
    "myresource"" (https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html)."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._names: set[str] = set()

    def create_user(
        self,
        region_name: str,
        user_name: str,
        path: str | None = "/",
        tags: list[dict[str, str]] | None = None,
    ) -> User:
        if len(self.users) >= USERS_PER_ACCOUNT:
            raise quota_exceeded("UsersPerAccount", USERS_PER_ACCOUNT)
        self._check_free(user_name)
        user = User(self.account_id, region_name, user_name, path)
        user.tag_set = merged_tags({}, tags or [])
        self.users[user_name] = user
        self._names.add(user_name.casefold())
        return user

    def update_user(
        self, user_name: str, new_path: str | None = None, new_user_name: str | None = None
    ) -> None:
        user = self.get_user(user_name)
        before = user.arn
        if new_user_name and new_user_name != user_name:
            if new_user_name.casefold() != user_name.casefold():
                self._check_free(new_user_name)
            self._rename(user, new_user_name)
        user.path = new_path or user.path
        if user.arn != before:
            replace_principal(before, user.arn)

    def delete_user(self, user_name: str) -> None:
        user = self.get_user(user_name)
        _check_bare(user, _USER_OBSTACLES)
        del self.users[user_name]
        self._names.discard(user_name.casefold())
        replace_principal(user.arn, user.id)

    def tag_user(self, name: str, tags: list[dict[str, str]]) -> None:
        user = self.get_user(name)
        user.tag_set = merged_tags(user.tag_set, tags)

    def untag_user(self, name: str, tag_keys: list[str]) -> None:
        user = self.get_user(name)
        for key in tag_keys:
            user.tag_set.pop(key.casefold(), None)

    def list_user_tags(self, user_name: str) -> list[dict[str, str]]:
        return self.get_user(user_name).tags

    def _check_free(self, user_name: str) -> None:
        if user_name.casefold() in self._names:
            raise already_exists(f"User with name {user_name} already exists.")

    def _rename(self, user: User, name: str) -> None:
        self._names.discard(user.name.casefold())
        self._names.add(name.casefold())
        self.users[name] = self.users.pop(user.name)
        user.name = name
        # moto's credentials know their user only by name.
        for credential in (*user.access_keys, *user.ssh_public_keys, *user.signing_certificates.values()):
            credential.user_name = name


class UsersResponse(Response):
    def create_user(self) -> ActionResult:
        boundary = self.params.get("PermissionsBoundary")
        self.backend.check_boundary(boundary)
        user = self.backend.create_user(
            self.region, self.params["UserName"], self.params.get("Path"), self.params.get("Tags")
        )
        assert isinstance(user, User)
        user.permissions_boundary_arn = boundary
        return PlainResult({"User": whole_user(user)})

    def get_user(self) -> ActionResult:
        return PlainResult({"User": whole_user(self.backend.get_user(self.params["UserName"]))})

    def list_users(self) -> ActionResult:
        prefix = self.params.get("PathPrefix") or "/"
        users = [user for user in self.backend.users.values() if user.path.startswith(prefix)]
        return PlainResult({"Users": Listing(users, listed_user)})

    def put_user_permissions_boundary(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        self.backend.check_boundary(self.params["PermissionsBoundary"])
        user.permissions_boundary_arn = self.params["PermissionsBoundary"]
        return EmptyResult()

    def delete_user_permissions_boundary(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        if user.permissions_boundary_arn is None:
            raise no_such_entity(f"User {user.name} does not have a permissions boundary.")
        user.permissions_boundary_arn = None
        return EmptyResult()

    def tag_user(self) -> ActionResult:
        self.backend.tag_user(self.params["UserName"], self.params.get("Tags") or [])
        return EmptyResult()


def basic_user(user: User) -> dict[str, Any]:
    """The members that every response has."""
    return {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn,
        "CreateDate": user.create_date,
    }


def listed_user(user: User) -> dict[str, Any]:
    """ListUsers and GetGroup: "IAM resource-listing operations return a subset of the available attributes"."""
    return {**basic_user(user), "PasswordLastUsed": user.password_last_used}


def whole_user(user: User) -> dict[str, Any]:
    """GetUser and CreateUser."""
    boundary = boundary_shape(user.permissions_boundary_arn)
    return {**listed_user(user), "PermissionsBoundary": boundary, "Tags": user.tags or None}


def merged_tags(
    present: Mapping[str, dict[str, str]], tags: Iterable[Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """Tags by their case-folded key, the new ones replacing those of the same key.

    "Tag keys are case insensitive ... if you have tagged a user with the Department=foo tag and you add the
    department=bar tag, it replaces the first tag": https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html.
    Raises InvalidInput for a key given twice, LimitExceeded beyond 50. Lengths and characters are checked with the
    other parameters.
    """
    added = [{"Key": tag["Key"], "Value": tag.get("Value") or ""} for tag in tags]
    if len({tag["Key"].casefold() for tag in added}) < len(added):
        raise invalid_input("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    result = {**present, **{tag["Key"].casefold(): tag for tag in added}}
    if len(result) > TAGS_PER_USER:
        raise iam_error("LimitExceeded", "The number of tags has reached the maximum limit.")
    return result


GROUPS_PER_USER = 10


class GroupsBackend(Backend):
    """A membership is kept at the group and at the user, so that neither needs a search through the account."""

    groups: dict[str, Group]

    def get_group(self, group_name: str) -> Group:
        return existing(self.groups.get(group_name), f"The group with name {group_name}")

    def create_group(self, group_name: str, path: str = "/") -> Group:
        self._check_group_name(group_name)
        group = Group(self.account_id, self.region_name, group_name, path)
        self.groups[group_name] = group
        return group

    def delete_group(self, group_name: str) -> None:
        _check_bare(self.get_group(group_name), _GROUP_OBSTACLES)
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


# "Unlike the AWS Management Console, when you delete a user programmatically, you must delete the items attached to the
# user manually, or the deletion fails": https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html.
# A permissions boundary and tags do not prevent a deletion. The wording was observed on AWS.

_Obstacles = Sequence[tuple[Callable[[Any], object], str]]

_GENERIC = "Cannot delete entity, must remove referenced objects first."
_USER_OBSTACLES: _Obstacles = (
    (lambda user: user.login_profile, "Cannot delete entity, must delete login profile first."),
    (lambda user: user.access_keys, "Cannot delete entity, must delete access keys first."),
    (lambda user: user.mfa_devices, "Cannot delete entity, must delete MFA device first."),
    (lambda user: user.signing_certificates, "Cannot delete entity, must delete certificates first."),
    (lambda user: user.ssh_public_keys, _GENERIC),
    (lambda user: user.service_credentials, _GENERIC),
    (lambda user: user.managed_policies, "Cannot delete entity, must detach all policies first."),
    (lambda user: user.policies, "Cannot delete entity, must delete policies first."),
    (lambda user: user.groups, "Cannot delete entity, must remove users from group first."),
)

_GROUP_OBSTACLES: _Obstacles = (
    (lambda group: group.users, "Cannot delete entity, must remove users from group first."),
    (lambda group: group.managed_policies, "Cannot delete entity, must detach all policies first."),
    (lambda group: group.policies, "Cannot delete entity, must delete policies first."),
)


def _check_bare(entity: Any, obstacles: _Obstacles) -> None:
    """Raise DeleteConflict while an entity has anything that must be removed first."""
    for present, message in obstacles:
        if present(entity):
            raise delete_conflict(message)
