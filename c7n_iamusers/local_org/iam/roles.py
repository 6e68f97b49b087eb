# SPDX-License-Identifier: Apache-2.0
"""Roles: found by name without a search, and bounded only by policies that exist."""

from __future__ import annotations

from moto.iam.exceptions import EntityAlreadyExists
from moto.iam.models import Role

from c7n_iamusers.local_org.iam.base import Backend
from c7n_iamusers.local_org.iam.errors import no_such_entity


class RolesBackend(Backend):
    def get_role(self, role_name: str) -> Role:
        found = next((role for role in self.roles.values() if role.name == role_name), None)
        if found is None:
            raise no_such_entity(f"The role with name {role_name} cannot be found.")
        return found

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
        self._check_boundary(permissions_boundary)
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

    def put_role_permissions_boundary(self, role_name: str, permissions_boundary: str) -> None:
        self._check_boundary(permissions_boundary)
        super().put_role_permissions_boundary(role_name, permissions_boundary)

    def _check_boundary(self, policy_arn: str | None) -> None:
        if policy_arn and policy_arn not in self.managed_policies:
            raise no_such_entity(f"Scope ARN: {policy_arn} does not exist or is not attachable.")
