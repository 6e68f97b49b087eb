# SPDX-License-Identifier: Apache-2.0
"""What all people of an account share: the permission set, the group and its assignment, in that order.

A set is complete before it is assigned, and an assignment has SUCCEEDED before anybody joins its group, so
a run that stops anywhere has given nobody more than was asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from c7n_iamusers.actions.grant import Grant, Standing
from c7n_iamusers.aws.assignments import Assignments
from c7n_iamusers.aws.convergence import converge
from c7n_iamusers.aws.executor import Executor
from c7n_iamusers.aws.identity_store import IdentityStore
from c7n_iamusers.aws.permission_sets import PermissionSets
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.decisions.permission_sets import (
    PERMISSION_SET,
    check_permission_set,
    permission_set_calls,
)
from c7n_iamusers.decisions.provisioning import GROUP, assignment_calls, check_group, group_calls
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.identity_center import (
    Access,
    Assignment,
    Instance,
    KnownGroup,
    KnownPermissionSet,
)


@dataclass(frozen=True)
class SharedAccess:
    """Brings about what ``access`` asks for, beside its people. ``timeout``: seconds for the assignment."""

    access: Access
    instance: Instance
    permission_sets: PermissionSets
    store: IdentityStore
    assignments: Assignments
    executor: Executor
    backoff: Backoff
    timeout: float = 300.0
    poll_seconds: float = 1.0
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def through(
        cls,
        clients: Mapping[str, Any],
        access: Access,
        instance: Instance,
        executor: Executor,
        backoff: Backoff,
        timeout: float,
    ) -> SharedAccess:
        """One that reads and writes through ``clients`` (boto3 service name -> client)."""
        sso = clients["sso-admin"]
        return cls(
            access,
            instance,
            PermissionSets(sso, instance, backoff),
            IdentityStore(clients["identitystore"], instance, backoff),
            Assignments(sso, instance, backoff),
            executor,
            backoff,
            timeout,
        )

    def read(self) -> Standing:
        """What stands. Raises IdentityCenterError where that forbids going on; nothing has been touched then."""
        known = self._read_permission_set()
        group = self._read_group(known.arn if known else None)
        assigned = bool(
            known and group and self.assignments.exists(self._assignment(known.arn), group.group_id)
        )
        return Standing(known, group, assigned)

    def bring_about(self, standing: Standing, grant: Grant) -> None:
        """Create and mend what is missing. Raises CallFailed, ClientError, IdentityCenterError."""
        arn = self._settle_permission_set(standing.permission_set, grant)
        grant.group_id = self._settle_group(standing.group, arn, grant)
        if grant.group_id:
            new = standing.permission_set is None or standing.group is None
            self._settle_assignment(self._assignment(arn), grant.group_id, new, grant)

    def _read_permission_set(self) -> KnownPermissionSet | None:
        wanted = self.access.permission_set
        known = self.permission_sets.find(wanted.name, self.access.account_id)
        check_permission_set(wanted, known)
        return known

    def _read_group(self, permission_set_arn: str | None) -> KnownGroup | None:
        group = self.store.find_group(self.access.group)
        if group and not self.access.shared_group:
            group = replace(group, assignments=self.assignments.of_group(group.group_id))
        check_group(self.access, group, permission_set_arn)
        return group

    def _settle_permission_set(self, known: KnownPermissionSet | None, grant: Grant) -> str:
        access = self.access
        known = converge(
            self.executor,
            self.backoff,
            self._subject("permission set", access.permission_set.name),
            grant.applied,
            known,
            self._read_permission_set,
            lambda state: permission_set_calls(
                access.permission_set, state, self.instance, access.account_id
            ),
        )
        return known.arn if known else str(grant.applied.values[PERMISSION_SET])

    def _settle_group(self, group: KnownGroup | None, permission_set_arn: str, grant: Grant) -> str | None:
        group = converge(
            self.executor,
            self.backoff,
            self._subject("group", self.access.group),
            grant.applied,
            group,
            lambda: self._read_group(permission_set_arn),
            lambda state: group_calls(self.access, state, self.instance),
        )
        return group.group_id if group else grant.applied.values.get(GROUP)

    def _settle_assignment(self, assignment: Assignment, group_id: str, new: bool, grant: Grant) -> None:
        converge(
            self.executor,
            self.backoff,
            self._subject("assignment of group", self.access.group),
            grant.applied,
            False if new else self._await(assignment, group_id),
            lambda: self._await(assignment, group_id),
            lambda assigned: assignment_calls(assignment, group_id, assigned, self.instance),
        )

    def _await(self, assignment: Assignment, group_id: str) -> bool:
        """Whether it is there, once no request for it is under way any more, whoever made it."""
        deadline = self.clock() + self.timeout
        while self.assignments.is_pending(assignment, group_id):
            if self.clock() > deadline:
                raise IdentityCenterError(
                    f"an earlier request to assign group {self.access.group} to account {assignment.account_id} is "
                    f"still pending after {self.timeout:.0f} s: run again to see it through, or raise timeout:"
                )
            self.backoff.sleep(self.poll_seconds)
        return self.assignments.exists(assignment, group_id)

    def _assignment(self, permission_set_arn: str) -> Assignment:
        return Assignment(self.access.account_id, permission_set_arn)

    def _subject(self, kind: str, name: str) -> Subject:
        partition = self.instance.arn.split(":")[1]
        return Subject(name, f"arn:{partition}:iam::{self.access.account_id}:root", kind=kind)
