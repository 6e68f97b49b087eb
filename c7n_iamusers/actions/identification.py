# SPDX-License-Identifier: Apache-2.0
"""What to do where a name is another user's by now, or nobody's: see ``aws.identity``."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import ClientError

from c7n_iamusers.actions.user_run import Run
from c7n_iamusers.aws.executor import Applied, CallFailed
from c7n_iamusers.aws.identity import identified
from c7n_iamusers.aws.interruption import Interrupted
from c7n_iamusers.aws.live_users import LiveUsers
from c7n_iamusers.aws.retries import error_code
from c7n_iamusers.decisions.deny_all import BOUNDARY, INLINE, deny_form, lift_of
from c7n_iamusers.exceptions import Stranger
from c7n_iamusers.model.calls import ApiCall, Plan, Subject
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.policy_documents import decoded

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
    applied.left = ""
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
