# SPDX-License-Identifier: Apache-2.0
"""Whether a name still belongs to the same user while a plan runs, and what happens where it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.exceptions import Stranger
from c7n_iamusers.execution.calls import ApiCall, Plan, Subject
from c7n_iamusers.execution.client import Backoff, error_code
from c7n_iamusers.execution.executor import Applied, CallFailed
from c7n_iamusers.execution.interruption import Interrupted
from c7n_iamusers.execution.user_run import Run
from c7n_iamusers.iam.deny_all import BOUNDARY, INLINE, deny_form, lift_of
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.iam.policy_documents import decoded
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import read_detail


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


#: The role may not use a form of the Deny, or it does not fit after all: the next one may.
OTHER_FORM = ("AccessDenied", "AccessDeniedException", "LimitExceeded")
#: So many looks, ever further apart, until AWS's lists agree that a user is gone.
LOOKS = 6


def identify_for(
    run: Run, subject: Subject, user: IamUser, plan: Plan, applied: Applied
) -> Callable[[], bool]:
    """What the executor asks while it applies ``plan`` to ``user``, read live: see ``aws.identity.identified``."""
    return identified(run.client, run.backoff, subject, user, plan, applied)


def gone(run: Run, subject: Subject) -> str | None:
    """Why a user that GetUser does not find is not gone all the same, in words; None where it is."""
    users = LiveUsers(run.client, 1, run.backoff)
    for delay, _ in zip(run.backoff.delays(), range(LOOKS), strict=False):
        name = users.name_of(subject.unique_id)
        if name is None:
            return None
        if name != subject.name:
            return f"{subject}: renamed to {name} meanwhile; run again"
        # The list is stale, or GetUser was: neither is believed alone.
        run.backoff.sleep(delay)
    return f"{subject}: GetUser does not find it, and ListUsers still does: run again"


def spare(run: Run, stranger: Stranger, subject: Subject, applied: Applied) -> str:
    """Takes our Deny off another user who got the name; what to tell of it.

    Only calls since the last time that the user was identified can have hit that one.
    """
    unsure = [call for call in applied.unchecked if "UserName" in call.parameters]
    applied.failure_note = ""
    told = [f"{stranger} ({stranger.unique_id}), who is left alone"]
    told += [_taken_off(run, subject, call, applied) for call in unsure if deny_form(call)]
    if hit := [call.operation for call in unsure if not deny_form(call)]:
        told.append(f"these calls may have hit that one before this was seen, look at it: {', '.join(hit)}")
    return "; ".join(told)


def _taken_off(run: Run, subject: Subject, call: ApiCall, applied: Applied) -> str:
    form = deny_form(call)
    if form == BOUNDARY:
        return "AWSDenyAll may have become its permissions boundary: set the one that it should have"
    if form == INLINE and not _holds(run, call):
        return "our Deny-all is not on it"
    try:
        run.executor.apply(Plan(subject, (lift_of(call),)), applied, urgent=True)
    except (CallFailed, Interrupted) as error:
        return f"our Deny-all is on it and could not be taken off ({error}): do it by hand"
    return (
        "our Deny-all was on it for a moment and was taken off (it may have replaced a policy of that name)"
    )


def _holds(run: Run, call: ApiCall) -> bool:
    """True where the user of that name has the very policy that ``call`` put."""
    names = {name: call.parameters[name] for name in ("UserName", "PolicyName")}
    try:
        held = run.backoff.call(run.client.get_user_policy, **names)["PolicyDocument"]
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return False
        raise
    return bool(decoded(held) == decoded(call.parameters["PolicyDocument"]))
