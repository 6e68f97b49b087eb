# SPDX-License-Identifier: Apache-2.0
"""Whether a name is still the same user's while a plan runs.

IAM's calls name users, not unique ids: somebody else may delete a user and make another of its name at any moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from c7n_iamusers.aws.executor import Applied
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.aws.users import read_detail
from c7n_iamusers.exceptions import Stranger
from c7n_iamusers.model.calls import Plan, Subject
from c7n_iamusers.model.iam_user import IamUser


class BoundaryChanged(Exception):
    """Somebody changed the user's boundary since it was read, and our call would take its place unrecorded."""


def identified(
    client: Any,
    backoff: Backoff,
    subject: Subject,
    user: IamUser,
    plan: Plan,
    applied: Applied,
) -> Callable[[], bool]:
    """Asks whether ``user``, whom ``plan`` is about, still has its name: True; False where nobody has.

    As long as the plan's call that replaces the boundary of ``user`` is not ``applied``, that must be as it was read.
    What is given raises Stranger where another user has the name, BoundaryChanged, and ClientError.
    """
    binding = [call for call in plan.calls if call.operation.endswith("UserPermissionsBoundary")]

    def bound() -> bool:
        return bool(binding) and not any(call is binding[0] for call, _ in applied.made)

    def identify() -> bool:
        detail = read_detail(client, user.name, backoff)
        if detail is None:
            return False
        if detail["UserId"] != user.unique_id:
            raise Stranger(f"{subject}: the name belongs to another user by now", str(detail["UserId"]))
        if bound() and detail.get("PermissionsBoundary") != user.detail.get("PermissionsBoundary"):
            raise BoundaryChanged
        return True

    return identify
