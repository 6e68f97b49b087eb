# SPDX-License-Identifier: Apache-2.0
"""Whether a name is still the same user's while a plan runs, and what to do where it is another's by now.

IAM's calls name users, not unique ids: somebody else may delete a user and make another of its name at any moment.
"""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import ClientError

from c7n_iamusers.actions.user_run import Run
from c7n_iamusers.aws.executor import Applied, CallFailed
from c7n_iamusers.aws.retries import error_code
from c7n_iamusers.aws.users import read_detail
from c7n_iamusers.decisions.deny_all import BOUNDARY, INLINE, deny_form, is_denial, lift_of
from c7n_iamusers.exceptions import Stranger
from c7n_iamusers.model.calls import ApiCall, Plan, Subject
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.policy_documents import decoded

#: The role may not use a form of the Deny, or it does not fit after all: the next one may.
OTHER_FORM = ("AccessDenied", "AccessDeniedException", "LimitExceeded")


class BoundaryChanged(Exception):
    """Somebody changed the user's boundary since it was recorded, and ours would take its place unrecorded."""


def identified(
    run: Run, subject: Subject, user: IamUser, bound: Callable[[], bool] = lambda: False
) -> Callable[[], bool]:
    """Asks whether ``subject`` still has its name: True; False where nobody has it.

    ``bound``: True as long as the next call is to replace the boundary of ``user``, which must then be as it was read.
    What is given raises Stranger where another user has the name, and BoundaryChanged.
    """

    def identify() -> bool:
        detail = read_detail(run.client, subject.name, run.backoff)
        if detail is None:
            return False
        if detail["UserId"] != subject.unique_id:
            raise Stranger(f"{subject}: the name belongs to another user by now", str(detail["UserId"]))
        if bound() and detail.get("PermissionsBoundary") != user.detail.get("PermissionsBoundary"):
            raise BoundaryChanged
        return True

    return identify


def spare(run: Run, stranger: Stranger, subject: Subject, applied: Applied) -> str:
    """Takes our Deny off another user who got the name; what to tell of it.

    Only calls since the last time that the user was identified can have hit that one.
    """
    unsure = [call for call in applied.unchecked if "UserName" in call.parameters]
    told = [f"{stranger} ({stranger.unique_id}), who is left alone"]
    told += [_taken_off(run, subject, call, applied) for call in unsure if deny_form(call)]
    if hit := [call.operation for call in unsure if not is_denial(call)]:
        told.append(f"these calls may have hit that one before this was seen, look at it: {', '.join(hit)}")
    return "; ".join(told)


def _taken_off(run: Run, subject: Subject, call: ApiCall, applied: Applied) -> str:
    form = deny_form(call)
    if form == BOUNDARY:
        return "AWSDenyAll may have become its permissions boundary: set the one that it should have"
    if form == INLINE and not _holds(run, call):
        return "our Deny-all is not on it"
    try:
        run.executor.apply(Plan(subject, (lift_of(call),)), applied)
    except CallFailed as error:
        return f"our Deny-all is on it and could not be taken off ({error}): do it by hand"
    return "our Deny-all was on it for a moment and was taken off"


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
