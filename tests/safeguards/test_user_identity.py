# SPDX-License-Identifier: Apache-2.0
"""What is asked of IAM about a user while a plan is applied to it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from types import SimpleNamespace as _Namespace
from typing import Any
from typing import Any as _Any

import pytest
from botocore.exceptions import ClientError

from c7n_iamusers.exceptions import UserReplaced
from c7n_iamusers.execution.calls import ApiCall, Plan
from c7n_iamusers.execution.executor import Applied, CallFailed
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.deny_all import BOUNDARY, BROWNOUT_NAME, DENY_ALL_NAME, deny_all_document
from c7n_iamusers.safeguards import user_identity
from c7n_iamusers.safeguards import user_identity as _module
from c7n_iamusers.safeguards.user_identity import (
    BoundaryChanged,
    DenyGone,
    changed_namesake,
    handle_replacement,
    identity_check,
    not_gone,
    require_denied,
    user_replaced,
)
from tests.fakes import ScriptedClient, Sleeps, client_error
from tests.records import groups, said, text_of, user
from tests.records import user as _user

POWER, READ_ONLY = (f"arn:aws:iam::aws:policy/{name}" for name in ("PowerUserAccess", "ReadOnlyAccess"))
OURS, THEIRS = (json.loads(deny_all_document(sid)) for sid in ("ours", "theirs"))


def bounded(arn: str | None) -> IamUser:
    boundary = {"PermissionsBoundaryArn": arn, "PermissionsBoundaryType": "Policy"}
    found = user(permissions_boundary=(boundary,) if arn else ())
    return replace(found, detail={**found.detail, **({"PermissionsBoundary": boundary} if arn else {})})


def holding(name: str, document: Any) -> IamUser:
    return user(inline_policy=({"PolicyName": name, "PolicyDocument": document},) if document else ())


def put(name: str, purpose: str, document: Any = OURS) -> ApiCall:
    given = {"UserName": "alice", "PolicyName": name, "PolicyDocument": json.dumps(document)}
    return ApiCall("iam", "PutUserPolicy", given, notes={"for": purpose})


def remove(name: str, purpose: str = "release") -> ApiCall:
    given = {"UserName": "alice", "PolicyName": name}
    return ApiCall("iam", "DeleteUserPolicy", given, notes={"for": purpose})


BOUNDING, UNBOUNDING = (
    ApiCall("iam", f"{verb}UserPermissionsBoundary", {"UserName": "alice"}) for verb in ("Put", "Delete")
)
KEY = ApiCall("iam", "UpdateAccessKey", {"UserName": "alice"})


def asked(as_read: IamUser, now: IamUser, plan: list[ApiCall], applied: Applied) -> bool:
    def policy(UserName: str, PolicyName: str) -> Any:
        held = {each["PolicyName"]: each["PolicyDocument"] for each in now.attachments["inline-policy"]}
        if PolicyName not in held:
            raise client_error("NoSuchEntity")
        return {"PolicyDocument": held[PolicyName]}

    client = ScriptedClient(get_user=[{"User": now.detail}], get_user_policy=[policy, policy])
    whole = Plan(as_read.subject, tuple(plan))
    return identity_check(client, Sleeps().backoff(), as_read.subject, as_read, whole, applied)()


def test_a_user_that_is_gone_and_one_that_has_the_name_now() -> None:
    alice = user()
    plan = Plan(alice.subject, (KEY,))
    gone = ScriptedClient(get_user=[client_error("NoSuchEntity")])
    assert not identity_check(gone, Sleeps().backoff(), alice.subject, alice, plan, Applied())()
    with pytest.raises(UserReplaced) as raised:
        asked(alice, user(unique_id="AIDANEXT"), [KEY], Applied())
    assert raised.value.unique_id == "AIDANEXT"
    denied = ScriptedClient(get_user=[client_error("AccessDenied")])
    with pytest.raises(Exception, match="AccessDenied"):
        identity_check(denied, Sleeps().backoff(), alice.subject, alice, plan, Applied())()


@pytest.mark.parametrize("call", [BOUNDING, UNBOUNDING], ids=["put", "delete"])
@pytest.mark.parametrize(
    ("was", "now", "same"),
    [
        pytest.param(None, None, True, id="none"),
        pytest.param(POWER, POWER, True, id="same"),
        pytest.param(None, POWER, False, id="added"),
        pytest.param(POWER, None, False, id="removed"),
        pytest.param(POWER, READ_ONLY, False, id="swapped"),
    ],
)
def test_a_boundary_that_is_to_be_replaced_is_as_it_was_read(
    call: ApiCall, was: str | None, now: str | None, same: bool
) -> None:
    def ask(plan: list[ApiCall], applied: Applied) -> bool:
        return asked(bounded(was), bounded(now), plan, applied)

    if same:
        assert ask([KEY, call], Applied())
    else:
        with pytest.raises(BoundaryChanged):
            ask([KEY, call], Applied())
    # no longer once our own call may have changed it, and not for a plan that leaves it alone
    assert ask([KEY, call], Applied(made=[(call, "unknown")]))
    assert ask([KEY, call], Applied(under_way=call))
    assert ask([KEY], Applied())


@pytest.mark.parametrize(
    ("was", "call", "now", "same"),
    [
        pytest.param(None, put(DENY_ALL_NAME, "quarantine"), None, True, id="none-yet"),
        pytest.param(None, put(DENY_ALL_NAME, "quarantine"), OURS, True, id="a-lost-try-of-ours"),
        pytest.param(None, put(DENY_ALL_NAME, "quarantine"), THEIRS, False, id="another-one-came"),
        pytest.param(THEIRS, put(DENY_ALL_NAME, "quarantine"), THEIRS, True, id="replaced-as-read"),
        pytest.param(THEIRS, put(DENY_ALL_NAME, "quarantine"), None, False, id="went"),
        pytest.param(None, put(BROWNOUT_NAME, "brownout"), THEIRS, False, id="brownout"),
        pytest.param(OURS, remove(DENY_ALL_NAME), OURS, True, id="released-as-read"),
        pytest.param(OURS, remove(DENY_ALL_NAME), THEIRS, False, id="replaced-before-its-release"),
        pytest.param(OURS, remove(DENY_ALL_NAME), None, False, id="released-by-others"),
        pytest.param(OURS, remove(BROWNOUT_NAME), THEIRS, False, id="replaced-before-its-end"),
        pytest.param(OURS, remove(DENY_ALL_NAME, "deletion"), THEIRS, True, id="a-deletion-takes-all"),
    ],
)
def test_an_inline_policy_of_our_name_is_as_it_was_read(
    was: Any, call: ApiCall, now: Any, same: bool
) -> None:
    name = call.parameters["PolicyName"]
    given = holding(name, was), holding(name, now), [KEY, call]
    if same:
        assert asked(*given, Applied())
    else:
        with pytest.raises(BoundaryChanged):
            asked(*given, Applied())
    assert asked(*given, Applied(made=[(call, "unknown")]))


def test_a_brownout_is_not_ended_under_a_deny_that_came_meanwhile() -> None:
    was, now = holding(BROWNOUT_NAME, OURS), holding(BROWNOUT_NAME, OURS)
    assert asked(was, now, [remove(BROWNOUT_NAME)], Applied())
    came = {"PolicyName": DENY_ALL_NAME, "PolicyDocument": THEIRS}
    now = replace(
        now,
        attachments={**now.attachments, "inline-policy": (*now.attachments["inline-policy"], came)},
    )
    with pytest.raises(BoundaryChanged):
        asked(was, now, [remove(BROWNOUT_NAME)], Applied())


def run_of(client: ScriptedClient, *, fails: bool = False) -> tuple[Any, list[ApiCall]]:
    """A run that records what it would change."""
    changed = list[ApiCall]()

    def apply(plan: Plan, applied: Applied, *, urgent: bool) -> None:
        assert urgent
        changed.extend(plan.calls)
        if fails:
            raise CallFailed(plan.calls[0], plan.subject, client_error("AccessDenied"))

    executor = SimpleNamespace(apply=apply)
    return SimpleNamespace(client=client, backoff=Sleeps().backoff(), executor=executor), changed


@pytest.mark.parametrize(
    ("names", "told", "asked"),
    [
        pytest.param([None], None, 1, id="gone"),
        pytest.param(["alice", "alice", None], None, 3, id="gone-once-both-agree"),
        pytest.param(["al"], "renamed to al meanwhile; run again", 1, id="renamed"),
        pytest.param(["alice", "al"], "renamed to al meanwhile; run again", 2, id="renamed-at-last"),
        pytest.param(
            ["alice"] * 6,
            "ListUsers lists it, but GetUser does not find it: run again",
            6,
            id="there-all-the-time",
        ),
    ],
)
def test_a_user_that_is_not_found_is_gone_once_no_list_has_it(
    monkeypatch: pytest.MonkeyPatch, names: list[str | None], told: str | None, asked: int
) -> None:
    seen, left = list[str](), iter(names)

    def name_of(_: LiveUsers, unique_id: str) -> str | None:
        seen.append(unique_id)
        return next(left)

    monkeypatch.setattr(LiveUsers, "name_of", name_of)
    subject = user().subject
    run, sleeps = run_of(ScriptedClient())[0], Sleeps()
    run.backoff = sleeps.backoff()
    found = not_gone(run, subject)
    assert len(sleeps) == names.count("alice")
    assert text_of(found) == (f"{subject}: {told}" if told else "")
    assert seen == [subject.unique_id] * asked


PUT_DENY, PUT_BROWNOUT = put(DENY_ALL_NAME, "quarantine"), put(BROWNOUT_NAME, "brownout")
ATTACH = ApiCall(
    "iam", "AttachUserPolicy", {"UserName": "alice", "PolicyArn": "arn:aws:iam::aws:policy/AWSDenyAll"}
)
BOUND = ApiCall(
    "iam",
    "PutUserPermissionsBoundary",
    {"UserName": "alice", "PermissionsBoundary": "arn:aws:iam::aws:policy/AWSDenyAll"},
)
DEVICE = ApiCall("iam", "DeleteVirtualMFADevice", {"SerialNumber": "arn:aws:iam::111122223333:mfa/alice"})
REPLACED = user_replaced(user().subject, "AIDANEXT")
FIRST = f"{user().subject}: the name now belongs to another user (AIDANEXT), which is left alone"


@pytest.mark.parametrize(
    ("calls", "held", "told", "removed"),
    [
        pytest.param([], None, "", [], id="no-call-since"),
        pytest.param([DEVICE], None, "", [], id="of-no-user"),
        pytest.param([PUT_DENY], THEIRS, "; our Deny-all is not on it", [], id="not-on-it"),
        pytest.param([PUT_DENY], None, "; our Deny-all is not on it", [], id="none-on-it"),
        pytest.param([PUT_DENY], OURS, "was removed (it may have replaced", ["DeleteUserPolicy"], id="on-it"),
        pytest.param([PUT_BROWNOUT], OURS, "was removed (it", ["DeleteUserPolicy"], id="brownout"),
        pytest.param([ATTACH], None, "DetachUserPolicy detached it", ["DetachUserPolicy"], id="attached"),
        pytest.param([BOUND], None, "may have made AWSDenyAll its permissions boundary", [], id="bound"),
        pytest.param([KEY, DEVICE, BOUNDING], None, "noticed: UpdateAccessKey, PutUser", [], id="others"),
        pytest.param([put("s3", "restoration")], None, "noticed: PutUserPolicy", [], id="another-policy"),
        pytest.param(
            [ATTACH, KEY],
            None,
            "DetachUserPolicy detached it: if it had AWSDenyAll before, attach it again; check that user, which",
            ["DetachUserPolicy"],
            id="both",
        ),
    ],
)
def test_what_may_have_reached_the_next_user_of_the_name(
    calls: list[ApiCall], held: Any, told: str, removed: list[str]
) -> None:
    answer = {"PolicyDocument": held} if held else client_error("NoSuchEntity")
    run, changed = run_of(ScriptedClient(get_user_policy=[answer]))
    applied = Applied(unchecked=list(calls), failure_note=said("it is locked out"))
    reason = handle_replacement(run, REPLACED, user().subject, applied).text
    assert reason.startswith(FIRST)
    assert (told in reason) if told else reason == FIRST
    assert [each.operation for each in changed] == removed
    assert applied.failure_note is None


def test_a_deny_on_the_next_user_that_cannot_be_removed_is_told() -> None:
    run, _ = run_of(ScriptedClient(), fails=True)
    reason = handle_replacement(run, REPLACED, user().subject, Applied(unchecked=[ATTACH])).text
    assert "our Deny-all is on it and could not be removed (" in reason
    assert reason.endswith("): remove it by hand")


def begun(call: ApiCall) -> dict[str, Any]:
    """The line before ``call``."""
    return {
        "time": "2026-11-24T12:00:00+00:00",
        "operation": call.operation,
        "parameters": {"UserName": "alice", **call.parameters},
    }


LEFT = ApiCall("iam", "RemoveUserFromGroup", {"GroupName": "Ops"})
OWN_KEY = ApiCall("iam", "DeleteAccessKey", {"AccessKeyId": "AKIA1"})
BOUND = ApiCall(
    "iam", "PutUserPermissionsBoundary", {"PermissionsBoundary": "arn:aws:iam::aws:policy/AWSDenyAll"}
)
DENIED = user(unique_id="AIDANEW", inline_policy=({"PolicyName": DENY_ALL_NAME, "PolicyDocument": OURS},))
OFF = "aws iam delete-user-policy --user-name alice --policy-name c7n-iamusers-deny-all takes it off"


@pytest.mark.parametrize(
    ("now", "created", "made", "expected"),
    [
        pytest.param(None, "2026-11-24", [LEFT], "", id="nobody"),
        pytest.param(user(), "2026-11-24", [LEFT], "", id="the-same-one"),
        pytest.param(user(unique_id="AIDANEW"), "2026-11-24", [LEFT], ": RemoveUserFromGroup:", id="another"),
        pytest.param(user(unique_id="AIDANEW"), "2026-11-24T12:05", [LEFT], "Group", id="by-a-slow-clock"),
        pytest.param(user(unique_id="AIDANEW"), "2026-11-24T12:06", [LEFT], "", id="made-later"),
        pytest.param(user(unique_id="AIDANEW", group=groups("Ops")), "2026-11-24", [LEFT], "", id="not-as-after-it"),
        pytest.param(user(unique_id="AIDANEW"), "2026-11-24", [OWN_KEY], "", id="only-the-user-has-that"),
        pytest.param(DENIED, "2026-11-24", [put(DENY_ALL_NAME, "")], OFF, id="denied"),
        pytest.param(user(unique_id="AIDANEW"), "2026-11-24", [put(DENY_ALL_NAME, ""), BOUND], "", id="not-denied"),
    ],
)  # fmt: skip
def test_what_a_stopped_run_may_have_changed_on_another_user(
    monkeypatch: pytest.MonkeyPatch, now: IamUser | None, created: str, made: list[ApiCall], expected: str
) -> None:
    found = now and replace(now, detail={**now.detail, "CreateDate": created})
    monkeypatch.setattr(user_identity, "read_user", lambda *_: found)
    client = ScriptedClient(get_user=[{"User": found.detail} if found else client_error("NoSuchEntity")])
    reason = changed_namesake(client, Sleeps().backoff(), user().subject, map(begun, made))
    assert bool(reason) is bool(expected)
    assert expected in text_of(reason)


def test_a_user_that_gets_its_name_back_between_two_readings_is_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = ScriptedClient(get_user=[{"User": user(unique_id="AIDANEW").detail}])
    monkeypatch.setattr(user_identity, "read_user", lambda *_: user())
    assert changed_namesake(client, Sleeps().backoff(), user().subject, [begun(LEFT)]) is None


DENY_ALL_ARN = "arn:aws:iam::aws:policy/AWSDenyAll"


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        pytest.param(bounded(DENY_ALL_ARN), True, id="the-same"),
        pytest.param(bounded(POWER), False, id="another-boundary"),
        pytest.param(bounded(None), False, id="no-boundary"),
        pytest.param(None, False, id="no-user"),
    ],
)
def test_a_user_is_denied_while_aws_deny_all_is_its_boundary(now: IamUser | None, holds: bool) -> None:
    client = ScriptedClient(get_user=[{"User": now.detail} if now else client_error("NoSuchEntity")])
    with nullcontext() if holds else pytest.raises(DenyGone):
        require_denied(client, Sleeps().backoff(), user(), BOUNDARY)


def test_the_boundary_of_the_next_user_of_the_name_denies_this_one_nothing() -> None:
    detail = {**bounded(DENY_ALL_ARN).detail, "UserId": "AIDANEW"}
    with pytest.raises(DenyGone):
        require_denied(ScriptedClient(get_user=[{"User": detail}]), Sleeps().backoff(), user(), BOUNDARY)


@pytest.mark.parametrize("code", ["NoSuchEntity", "AccessDenied"])
def test_only_what_is_not_there_counts_as_none(code: str) -> None:
    """What can't be read is unknown."""
    error, backoff = client_error(code), Backoff(sleep=lambda _: None)
    client = ScriptedClient(get_user_policy=[error], list_attached_user_policies=[error])
    with nullcontext() if code == "NoSuchEntity" else pytest.raises(ClientError):
        assert user_identity._policy(client, backoff, "alice", "own") is None
    with nullcontext() if code == "NoSuchEntity" else pytest.raises(ClientError):
        assert user_identity._attached(client, backoff, "alice") == set()


@pytest.mark.parametrize(("calls", "code"), [(0, "AlreadyGone"), (2, "GoneMeanwhile")])
def test_a_user_that_is_gone_was_gone_before_our_calls_or_since(
    monkeypatch: pytest.MonkeyPatch, calls: int, code: str
) -> None:
    monkeypatch.setattr(_module, "not_gone", lambda *_: None)
    run: _Any = None
    applied: _Any = _Namespace(calls=calls)
    status, reason = _module.absent(run, _user().subject, applied)
    assert (status, reason.code) == ("skipped", code)
