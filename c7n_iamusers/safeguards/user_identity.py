# SPDX-License-Identifier: Apache-2.0
"""Verifies, while a plan is applied, that the name still belongs to the same user; and what to do if it doesn't."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from c7n_iamusers import reasons
from c7n_iamusers.exceptions import JournalRefused, RunLockLost, UserInUse, UserReplaced
from c7n_iamusers.execution.calls import ApiCall, Plan, Subject
from c7n_iamusers.execution.executor import Applied, CallFailed, Run, SubjectGone
from c7n_iamusers.execution.interruption import Interrupted
from c7n_iamusers.execution.outcomes import FAILED, SKIPPED
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.iam.attachments import ATTACHED_POLICY
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.iam.policy_documents import comparable
from c7n_iamusers.iam.read_back import shows
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import list_kind, read_detail, read_user
from c7n_iamusers.lockout.applied_calls import BEGINNING
from c7n_iamusers.lockout.deny_all import (
    ATTACHED,
    BOUNDARY,
    DENY_ALL_NAME,
    INLINE,
    denies_all,
    deny_all_arn,
    deny_form,
    is_brownout,
    removal_of,
)
from c7n_iamusers.reasons import Reason
from c7n_iamusers.text.times import CLOCK_SKEW, moment


class BoundaryChanged(Exception):
    """Somebody changed the boundary, or an inline policy with a name of ours, after it was read: our call would undo
    that."""


class DenyGone(Exception):
    """Somebody removed the Deny-all, or replaced the user: what denies it something must stay."""


def require_denied(client: Any, backoff: Backoff, user: IamUser, form: str) -> None:
    """Raises DenyGone unless the Deny-all in this ``form`` is on the user that has the name of ``user`` now.

    One read. Raises ClientError too.
    """
    if form == INLINE:
        document = _policy(client, backoff, user.name, DENY_ALL_NAME)
        denied = document is not None and denies_all(document)
    elif form == ATTACHED:
        denied = deny_all_arn(user) in _attached(client, backoff, user.name)
    else:
        detail = read_detail(client, user.name, backoff) or {}
        bound = (detail.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
        denied = (bound, detail.get("UserId")) == (deny_all_arn(user), user.unique_id)
    if not denied:
        raise DenyGone


def identity_check(
    client: Any,
    backoff: Backoff,
    subject: Subject,
    user: IamUser,
    plan: Plan,
    applied: Applied,
) -> Callable[[], bool]:
    """A function that asks IAM whether ``user``, the user of ``plan``, still has its name; see executor.Identify.

    Until the plan's call that replaces the user's boundary is first tried, it also checks that the boundary is as it
    was read; and likewise the inline policies that a quarantine or brownout replaces, or a release removes: another run
    may have put one on since, with its own record of what was active.
    The function raises UserReplaced, BoundaryChanged and ClientError.
    """
    boundary_calls = [call for call in plan.calls if call.operation.endswith("UserPermissionsBoundary")]
    inline = [
        call
        for call in plan.calls
        if call.notes.get("for") in ("brownout", "quarantine", "release") and "PolicyName" in call.parameters
    ]

    def boundary_matters() -> bool:
        return bool(boundary_calls) and not applied.tried(boundary_calls[0])

    def identify() -> bool:
        detail = read_detail(client, user.name, backoff)
        if detail is None:
            return False
        if detail["UserId"] != user.unique_id:
            raise user_replaced(subject, str(detail["UserId"]))
        if boundary_matters() and detail.get("PermissionsBoundary") != user.detail.get("PermissionsBoundary"):
            raise BoundaryChanged
        following = next((call for call in inline if not applied.tried(call)), None)
        if following and any(
            _differs(client, backoff, user, name, following) for name in _watched(following)
        ):
            raise BoundaryChanged
        return True

    return identify


def _watched(call: ApiCall) -> set[str]:
    """The inline policies that must be as they were read when ``call`` is made. A release ends a brownout under none of
    our Deny-alls, or under the one that it lifts after it."""
    own = {str(call.parameters["PolicyName"])}
    return own | {DENY_ALL_NAME} if call.notes["for"] == "release" else own


def _differs(client: Any, backoff: Backoff, user: IamUser, name: str, call: ApiCall) -> bool:
    """Whether the user's inline policy ``name`` is neither as ``user`` was read nor what a lost try of ``call`` put."""
    held = (i["PolicyDocument"] for i in user.attachments["inline-policy"] if i["PolicyName"] == name)
    was, put = next(map(comparable, held), None), call.parameters.get("PolicyDocument")
    expected = [was, comparable(put)] if put else [was]
    return _policy(client, backoff, user.name, name) not in expected


#: Error codes for a form of the Deny-all that the role may not use, or that does not fit. The next form is tried.
FORM_REFUSED = ("AccessDenied", "AccessDeniedException", "LimitExceeded")
#: How many times, with backoff, ListUsers is asked about a user that GetUser does not find.
LIST_ATTEMPTS = 6


def user_replaced(subject: Subject, unique_id: str) -> UserReplaced:
    """The error that the name of ``subject`` belongs to the user with this id now."""
    return UserReplaced(reasons.NAME_TAKEN(user=subject, unique_id=unique_id), unique_id)


def not_gone(run: Run, subject: Subject) -> Reason | None:
    """Why a user that GetUser does not find still exists; None if ListUsers does not find it either."""
    users = LiveUsers(run.client, 1, run.backoff)
    for delay in islice(run.backoff.delays(), LIST_ATTEMPTS):
        name = users.name_of(subject.unique_id)
        if name is None:
            return None
        if name != subject.name:
            return reasons.RENAMED(user=subject, name=name)
        # IAM is eventually consistent: wait until both agree.
        run.backoff.sleep(delay)
    return reasons.STILL_LISTED(user=subject)


def handle_replacement(run: Run, replaced: UserReplaced, subject: Subject, applied: Applied) -> Reason:
    """Remove our Deny from the other user that has the name now, and return the reason for the outcome.

    Only calls after the last identity check can have affected that user.
    """
    uncertain = [call for call in applied.unchecked if "UserName" in call.parameters]
    applied.failure_note = None
    notes = [_remove_deny(run, subject, call, applied) for call in uncertain if _puts_deny(call)]
    if others := [call.operation for call in uncertain if not _puts_deny(call)]:
        notes.append(reasons.OTHER_MAYBE_CHANGED(calls=", ".join(others)))
    return reasons.NAME_TAKEN(user=subject, unique_id=replaced.unique_id).and_also(*notes)


def changed_namesake(
    client: Any, backoff: Backoff, subject: Subject, begun: Iterable[Mapping[str, Any]]
) -> Reason | None:
    """What a run that was stopped may have changed on another user, who has the name now; None if nothing.

    A call goes to whoever has the name when AWS gets it, and that run did not verify who had it after its last calls.
    Only calls count that the other user, read now, shows, and that were made after its creation. ``begun``: the
    journal's lines before the calls. Raises ClientError.
    """
    detail = read_detail(client, subject.name, backoff)
    other = None if detail is None or detail["UserId"] == subject.unique_id else detail
    user = read_user(client, subject.name, backoff) if other else None
    if user is None or user.unique_id == subject.unique_id:
        return None
    since = moment(user.detail.get("CreateDate")) or BEGINNING
    made = (line for line in begun if (moment(line.get("time")) or BEGINNING) + CLOCK_SKEW >= since)
    calls = (
        ApiCall("iam", str(line.get("operation")), parameters)
        for line in made
        if isinstance(parameters := line.get("parameters"), Mapping)
    )
    found = [
        each for each in calls if each.parameters.keys() <= _OF_ANYBODY and shows(user, each, each.parameters)
    ]
    if not found:
        return None
    commands = dict.fromkeys(_command(_lifting(each)) for each in found if _puts_deny(each))
    named = ", ".join(dict.fromkeys(each.operation for each in found))
    note = reasons.NAMESAKE_MAYBE_CHANGED(name=subject.name, unique_id=user.unique_id, calls=named)
    return note.and_also(*(reasons.DENY_ON_NAMESAKE(command=each) for each in commands))


#: The parameters that fit another user. Ids of credentials do not.
_OF_ANYBODY = frozenset(
    (
        "UserName",
        "PolicyName",
        "PolicyArn",
        "PolicyDocument",
        "PermissionsBoundary",
        "GroupName",
        "Tags",
        "TagKeys",
    )
)


def _lifting(put: ApiCall) -> ApiCall:
    if deny_form(put) == BOUNDARY:
        return ApiCall("iam", "DeleteUserPermissionsBoundary", {"UserName": put.parameters["UserName"]})
    return removal_of(put)


def _command(call: ApiCall) -> str:
    """The command of the AWS CLI that makes ``call``."""
    options = (f"--{xform_name(name, '-')} {value}" for name, value in call.parameters.items())
    return " ".join(("aws iam", xform_name(call.operation, "-"), *options))


def _puts_deny(call: ApiCall) -> bool:
    return bool(deny_form(call)) or (is_brownout(call) and call.operation == "PutUserPolicy")


def _remove_deny(run: Run, subject: Subject, call: ApiCall, applied: Applied) -> Reason:
    """Remove the Deny that ``call`` may have put on another user, and return what happened."""
    if deny_form(call) == BOUNDARY:
        return reasons.BOUNDARY_ON_OTHER()
    if "PolicyDocument" in call.parameters and not _has_policy(run, call):
        return reasons.DENY_NOT_ON_OTHER()
    try:
        run.executor.apply(Plan(subject, (removal_of(call),)), applied, urgent=True)
    except (CallFailed, Interrupted, JournalRefused, RunLockLost, UserInUse) as error:
        return reasons.DENY_ON_OTHER(why=str(error))
    if deny_form(call) == ATTACHED:  # which does not show whose it was
        return reasons.ATTACHED_DENY_WAS_ON_OTHER()
    return reasons.DENY_WAS_ON_OTHER()


def _has_policy(run: Run, call: ApiCall) -> bool:
    """True if the user of that name has exactly the policy that ``call`` put."""
    given = call.parameters
    found = _policy(run.client, run.backoff, given["UserName"], given["PolicyName"])
    return bool(found == comparable(given["PolicyDocument"]))


def _policy(client: Any, backoff: Backoff, user: str, name: str) -> Any:
    """The document of the inline policy ``name`` that the user of that name has now; None if it has none."""
    try:
        return comparable(
            backoff.call(client.get_user_policy, UserName=user, PolicyName=name)["PolicyDocument"]
        )
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return None
        raise


def _attached(client: Any, backoff: Backoff, user: str) -> set[str]:
    """The ARNs of the managed policies of the user of that name; none if nobody has it."""
    try:
        return {str(item["PolicyArn"]) for item in list_kind(client, user, ATTACHED_POLICY, backoff)}
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return set()
        raise


def apply_to_user(run: Run, evidence: Subject, user: IamUser, plan: Plan, applied: Applied) -> None:
    """Apply ``plan``. Raises CallFailed, ClientError, SubjectGone, BoundaryChanged or UserReplaced."""
    identify = identity_check(run.client, run.backoff, evidence, user, plan, applied)
    run.executor.apply(plan, applied, identify)
    if not identify():
        raise SubjectGone


def absent(run: Run, evidence: Subject, applied: Applied) -> tuple[str, Reason]:
    """The outcome of a user that GetUser does not find."""
    if problem := not_gone(run, evidence):
        return FAILED, problem
    gone = reasons.GONE_MEANWHILE(calls=applied.calls) if applied.calls else reasons.ALREADY_GONE()
    return SKIPPED, gone
