# SPDX-License-Identifier: Apache-2.0
"""Reading which accounts a group is assigned to, and which assignments are still under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.aws.paging import items
from c7n_iamusers.aws.retries import Backoff, error_code
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.identity_center import Assignment, Instance

_PAGE = 100


@dataclass(frozen=True)
class Assignments:
    """The account assignments of ``instance``, through ``client`` (sso-admin)."""

    client: Any
    instance: Instance
    backoff: Backoff

    def of_group(self, group_id: str) -> frozenset[Assignment]:
        """All that the group holds. Raises IdentityCenterError from an account that may not ask."""
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
                f"what else group {group_id} is assigned to can't be read ({error}): only the management account may "
                "ask (sso:ListAccountAssignmentsForPrincipal): give as role: one of it, or set shared-group: true"
            ) from error
        return frozenset(Assignment(each["AccountId"], each["PermissionSetArn"]) for each in found)

    def exists(self, assignment: Assignment, group_id: str) -> bool:
        """True where the group holds the permission set in the account."""
        found = self._list(
            "ListAccountAssignments",
            "AccountAssignments",
            AccountId=assignment.account_id,
            PermissionSetArn=assignment.permission_set_arn,
        )
        return any(each["PrincipalType"] == "GROUP" and each["PrincipalId"] == group_id for each in found)

    def is_pending(self, assignment: Assignment, group_id: str) -> bool:
        """True while a creation of this assignment, whoever asked for it, is IN_PROGRESS."""
        statuses = self._list(
            "ListAccountAssignmentCreationStatus",
            "AccountAssignmentsCreationStatus",
            Filter={"Status": "IN_PROGRESS"},
        )
        wanted = (assignment.account_id, assignment.permission_set_arn, group_id)
        return any(self._pending_target(status["RequestId"]) == wanted for status in statuses)

    def _pending_target(self, request_id: str) -> tuple[str, str, str] | None:
        # The list leaves out what a request is for, so each that is under way (15 at most) is asked.
        response = self.backoff.call(
            self.client.describe_account_assignment_creation_status,
            InstanceArn=self.instance.arn,
            AccountAssignmentCreationRequestId=request_id,
        )
        status = response["AccountAssignmentCreationStatus"]
        if status["Status"] != "IN_PROGRESS":
            return None
        return status.get("TargetId", ""), status.get("PermissionSetArn", ""), status.get("PrincipalId", "")

    def _list(self, operation: str, result: str, **parameters: Any) -> list[Any]:
        parameters = {"InstanceArn": self.instance.arn, "MaxResults": _PAGE, **parameters}
        return items(self.client, operation, result, self.backoff, **parameters)
