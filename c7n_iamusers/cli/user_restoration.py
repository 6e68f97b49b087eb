# SPDX-License-Identifier: Apache-2.0
"""Bringing one user back: look at what there is, plan, apply, look again until nothing is left to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from c7n_iamusers.aws.executor import Applied, Executor
from c7n_iamusers.aws.restoration_world import existing_groups, existing_policies, memberless_groups
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.aws.users import read_user
from c7n_iamusers.decisions.restoration import Restoration, plan_restoration
from c7n_iamusers.decisions.restoration_limits import World
from c7n_iamusers.exceptions import RestorationRefused
from c7n_iamusers.model.calls import ApiCall, Ref
from c7n_iamusers.model.snapshot import Snapshot

#: The user, what it holds, the status of what it holds; what is left after that does not come of a race.
_ROUNDS = 8


@dataclass(frozen=True)
class UserRestoration:
    """Restores users of ``account_id`` through ``executor``."""

    client: Any
    executor: Executor
    backoff: Backoff
    account_id: str
    recreate_groups: bool = False

    def plan(self, snapshot: Snapshot) -> Restoration:
        """What would be done now. Raises RestorationRefused, or ClientError where the account can't be read."""
        subject = snapshot.user.subject
        if subject.account_id != self.account_id:
            raise RestorationRefused(
                f"{subject}: not restored: the session acts in account {self.account_id}; "
                f"give --role a role of account {subject.account_id}"
            )
        return plan_restoration(snapshot, self._world(snapshot), self.recreate_groups)

    def apply(self, snapshot: Snapshot, first: Restoration, applied: Applied) -> None:
        """Do what ``first`` says, and then what it could not yet: ids are known only once a thing is there.

        Raises CallFailed or ClientError where a call fails, RestorationRefused where it comes to no end.
        """
        restoration, delays = first, self.backoff.delays()
        for _ in range(_ROUNDS):
            calls = tuple(_possible(restoration.plan.calls))
            if not calls:
                return
            self.executor.apply(replace(restoration.plan, calls=calls), applied)
            before, restoration = restoration, self.plan(snapshot)
            if restoration.plan == before.plan:
                # IAM is eventually consistent: what was just made may not be seen yet.
                self.backoff.sleep(next(delays))
        if restoration.plan.calls:
            raise RestorationRefused(
                f"{snapshot.user.subject}: {restoration.plan.calls[0].operation} is still to do after {_ROUNDS} "
                "rounds: somebody else may be changing the user; run again"
            )

    def _world(self, snapshot: Snapshot) -> World:
        held = snapshot.user.attachments
        arns = {item["PolicyArn"] for item in held["attached-policy"]}
        arns |= {item["PermissionsBoundaryArn"] for item in held["permissions-boundary"]}
        if self.recreate_groups:
            groups = (
                policy for group in snapshot.groups for policy in group.get("AttachedManagedPolicies", ())
            )
            arns |= {policy["PolicyArn"] for policy in groups}
        names = sorted(item["GroupName"] for item in held["group"])
        present = existing_groups(self.client, names, self.backoff)
        return World(
            read_user(self.client, snapshot.user.name, self.backoff),
            existing_policies(self.client, sorted(arns), self.backoff),
            present,
            memberless_groups(self.client, sorted(present), self.backoff) if self.recreate_groups else {},
        )


def _possible(calls: tuple[ApiCall, ...]) -> Iterator[ApiCall]:
    """Of ``calls`` those that can be made now.

    A user is looked at again once it is made, before anything is given to it: it might be another one by then.
    """
    if calls and calls[0].operation == "CreateUser":
        yield calls[0]
        return
    yield from (c for c in calls if not any(isinstance(value, Ref) for value in c.parameters.values()))
