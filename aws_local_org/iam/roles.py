# SPDX-License-Identifier: Apache-2.0
"""Roles and their instance profiles.

A role's boundary and the users and roles that it trusts must exist.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from moto.core.responses import ActionResult
from moto.iam.exceptions import EntityAlreadyExists
from moto.iam.models import InstanceProfile, Role, iam_backends

from aws_local_org import settings
from aws_local_org.errors import iam_error
from aws_local_org.iam.base import Backend, Response, aws_principals, entity_of, existing, replace_principal
from aws_local_org.iam.entities import boundary_shape
from aws_local_org.iam.results import Listing, PlainResult


class RolesBackend(Backend):
    def get_role(self, role_name: str) -> Role:
        found = next((role for role in self.roles.values() if role.name == role_name), None)
        return existing(found, f"The role with name {role_name}")

    def create_role(
        self,
        role_name: str,
        assume_role_policy_document: str,
        path: str,
        permissions_boundary: str | None,
        description: str,
        tags: list[dict[str, str]],
        max_session_duration: str | None,
        linked_service: str | None = None,
    ) -> Role:
        if role_name.casefold() in (role.name.casefold() for role in self.roles.values()):
            # moto's own exception, which its AWS Organizations catches when it makes an account's role.
            raise EntityAlreadyExists(f"Role with name {role_name} already exists.")
        self.check_boundary(permissions_boundary)
        return super().create_role(
            role_name,
            assume_role_policy_document,
            path,
            permissions_boundary,
            description,
            tags,
            max_session_duration,
            linked_service,
        )

    def delete_role(self, role_name: str) -> None:
        role = self.get_role(role_name)
        super().delete_role(role_name)
        replace_principal(role.arn, role.id)

    def put_role_permissions_boundary(self, role_name: str, permissions_boundary: str) -> None:
        self.check_boundary(permissions_boundary)
        super().put_role_permissions_boundary(role_name, permissions_boundary)

    def get_instance_profile(self, profile_name: str) -> InstanceProfile:
        return existing(self.instance_profiles.get(profile_name), f"Instance Profile {profile_name}")


class RolesResponse(Response):
    """CreateRole, GetRole and ListRoles show different members of a role, as AWS does."""

    def create_role(self) -> ActionResult:
        check_principals(self.params["AssumeRolePolicyDocument"])
        role = self.backend.create_role(
            self.params["RoleName"],
            self.params["AssumeRolePolicyDocument"],
            self.params.get("Path") or "/",
            self.params.get("PermissionsBoundary"),
            self.params.get("Description") or "",
            self.params.get("Tags") or [],
            self.params.get("MaxSessionDuration") or 3600,
        )
        return PlainResult({"Role": {**basic_role(role), **_described(role), **_attributes(role)}})

    def get_role(self) -> ActionResult:
        role = self.backend.get_role(self.params["RoleName"])
        shown = {**_listed_role(role), **_attributes(role), "RoleLastUsed": role_last_used(role)}
        return PlainResult({"Role": shown})

    def list_roles(self) -> ActionResult:
        prefix = self.params.get("PathPrefix") or "/"
        roles = [role for role in self.backend.roles.values() if role.path.startswith(prefix)]
        return PlainResult({"Roles": Listing(roles, _listed_role)})

    def update_assume_role_policy(self) -> ActionResult:
        check_principals(self.params["PolicyDocument"])
        return super().update_assume_role_policy()

    def update_role_description(self) -> ActionResult:
        role = self.backend.update_role_description(self.params["RoleName"], self.params["Description"])
        return PlainResult({"Role": {**basic_role(role), **_described(role)}})

    def create_instance_profile(self) -> ActionResult:
        profile = self.backend.create_instance_profile(
            self.params["InstanceProfileName"],
            self.params.get("Path") or "/",
            role_names=[],
            tags=self.params.get("Tags") or [],
        )
        shown = {**instance_profile_shape(profile), "Tags": profile.tags or None}
        return PlainResult({"InstanceProfile": shown})

    def get_instance_profile(self) -> ActionResult:
        profile = self.backend.get_instance_profile(self.params["InstanceProfileName"])
        return PlainResult({"InstanceProfile": {**instance_profile_shape(profile), "Tags": profile.tags}})

    def list_instance_profiles(self) -> ActionResult:
        prefix = self.params.get("PathPrefix") or "/"
        profiles = self.backend.instance_profiles.values()
        listed = [profile for profile in profiles if profile.path.startswith(prefix)]
        return PlainResult({"InstanceProfiles": Listing(listed, instance_profile_shape)})

    def list_instance_profiles_for_role(self) -> ActionResult:
        role = self.backend.get_role(self.params["RoleName"])
        return PlainResult({"InstanceProfiles": Listing(role.instance_profile_list, instance_profile_shape)})


_PRINCIPAL = re.compile(r"arn:[a-z-]+:iam::(\d{12}):(?:user|role)/.+")
_UNIQUE_ID = re.compile(r"A(?:IDA|ROA)[A-Z0-9]{8,}")


def check_principals(document: str) -> None:
    """Raises MalformedPolicyDocument for a user or role that does not exist, or for the unique id of a deleted one.

    Accounts outside the organization are taken to have all users and roles.
    """
    try:
        principals = list(aws_principals(json.loads(document)))
    except ValueError:
        return  # which moto refuses
    for principal in principals:
        named = principal["AWS"]
        for each in map(str, named if isinstance(named, list) else [named]):
            found = _PRINCIPAL.fullmatch(each)
            ours = found is not None and found[1] in settings.current().account_ids
            if (ours and entity_of(each) is None) or (_UNIQUE_ID.fullmatch(each) and not _is_id(each)):
                raise iam_error("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{each}"')


def _is_id(unique_id: str) -> bool:
    """Whether a user or role of the organization has this unique id."""
    current = settings.current()
    backends: list[Any] = [iam_backends[account][current.partition] for account in current.account_ids]
    return any(
        each.id == unique_id
        for backend in backends
        for each in (*backend.users.values(), *backend.roles.values())
    )


def basic_role(role: Role) -> dict[str, Any]:
    """The members that every response has."""
    return {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": role.create_date,
        "AssumeRolePolicyDocument": quote(role.assume_role_policy_document),
    }


def role_last_used(role: Role) -> dict[str, Any]:
    """RoleLastUsed, empty for a role that was never used."""
    return {"LastUsedDate": role.last_used, "Region": role.last_used_region} if role.last_used else {}


def instance_profile_shape(profile: InstanceProfile) -> dict[str, Any]:
    return {
        "Path": profile.path,
        "InstanceProfileName": profile.name,
        "InstanceProfileId": profile.id,
        "Arn": profile.arn,
        "CreateDate": profile.create_date,
        "Roles": [basic_role(role) for role in profile.roles],
    }


def _described(role: Role) -> dict[str, Any]:
    return {"Description": role.description or None}


def _listed_role(role: Role) -> dict[str, Any]:
    return {**basic_role(role), **_described(role), "MaxSessionDuration": role.max_session_duration}


def _attributes(role: Role) -> dict[str, Any]:
    return {"PermissionsBoundary": boundary_shape(role.permissions_boundary_arn), "Tags": role.tags or None}
