# SPDX-License-Identifier: Apache-2.0
"""Reads account assignments, and those whose creation or deletion is in progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.retries import Backoff, error_code, items
from c7n_iamusers.identity_center.model import Assignment, Instance, Pending

_PAGE = 100


@dataclass(frozen=True)
class Assignments:
    """The account assignments of ``instance``, through ``client`` (sso-admin)."""

    client: Any
    instance: Instance
    backoff: Backoff

    def of_group(self, group_id: str) -> frozenset[Assignment]:
        """All assignments of the group. Raises IdentityCenterError for a caller outside the management account."""
        try:
            found = self._list(
                "ListAccountAssignmentsForPrincipal",
                "AccountAssignments",
                PrincipalId=group_id,
                PrincipalType="GROUP",
            )
        except ClientError as error:
            if error_code(error) != "AccessDeniedException":
                raise
            raise IdentityCenterError(
                f"the assignments of group {group_id} can't be read ({error}): only the management account may call "
                "sso:ListAccountAssignmentsForPrincipal: set role: to a role of it, or set shared-group: true"
            ) from error
        return frozenset(Assignment(each["AccountId"], each["PermissionSetArn"]) for each in found)

    def directly_of(self, user_id: str) -> frozenset[Assignment]:
        """The user's direct assignments. Raises ClientError."""
        found = self._list(
            "ListAccountAssignmentsForPrincipal",
            "AccountAssignments",
            PrincipalId=user_id,
            PrincipalType="USER",
        )
        return frozenset(
            Assignment(each["AccountId"], each["PermissionSetArn"])
            for each in found
            if each.get("PrincipalType", "USER") == "USER"
        )

    def holders(self, account_id: str, permission_set_arn: str) -> frozenset[tuple[str, str]]:
        """(principal type, principal id) of all assignments of the permission set in the account."""
        found = self._list(
            "ListAccountAssignments",
            "AccountAssignments",
            AccountId=account_id,
            PermissionSetArn=permission_set_arn,
        )
        return frozenset((each["PrincipalType"], each["PrincipalId"]) for each in found)

    def exists(self, assignment: Assignment, group_id: str) -> bool:
        """Whether the group has the assignment."""
        return ("GROUP", group_id) in self.holders(assignment.account_id, assignment.permission_set_arn)

    def pending(self) -> dict[str, Pending]:
        """Request id -> assignment of all creations that are IN_PROGRESS, including those of other writers."""
        statuses = self._list(
            "ListAccountAssignmentCreationStatus",
            "AccountAssignmentsCreationStatus",
            Filter={"Status": "IN_PROGRESS"},
        )
        # The list has no targets, so each request in progress (15 at most) is described.
        found = {status["RequestId"]: self._target(status["RequestId"]) for status in statuses}
        return {request_id: target for request_id, target in found.items() if target}

    def deletions_pending(self) -> set[tuple[str, str, tuple[str, str]]]:
        """(account id, permission set ARN, (principal type, id)) of all deletions that are IN_PROGRESS."""
        statuses = self._list(
            "ListAccountAssignmentDeletionStatus",
            "AccountAssignmentsDeletionStatus",
            Filter={"Status": "IN_PROGRESS"},
        )
        found = set()
        for status in statuses:
            asked = self.backoff.call(
                self.client.describe_account_assignment_deletion_status,
                InstanceArn=self.instance.arn,
                AccountAssignmentDeletionRequestId=status["RequestId"],
            )["AccountAssignmentDeletionStatus"]
            principal = (asked.get("PrincipalType", ""), asked.get("PrincipalId", ""))
            found.add((asked.get("TargetId", ""), asked.get("PermissionSetArn", ""), principal))
        return found

    def _target(self, request_id: str) -> Pending | None:
        response = self.backoff.call(
            self.client.describe_account_assignment_creation_status,
            InstanceArn=self.instance.arn,
            AccountAssignmentCreationRequestId=request_id,
        )
        status = response["AccountAssignmentCreationStatus"]
        if status["Status"] != "IN_PROGRESS":
            return None
        return Pending(
            status.get("TargetId", ""), status.get("PermissionSetArn", ""), status.get("PrincipalId", "")
        )

    def _list(self, operation: str, result: str, **parameters: Any) -> list[Any]:
        parameters = {"InstanceArn": self.instance.arn, "MaxResults": _PAGE, **parameters}
        return items(self.client, operation, result, self.backoff, **parameters)
