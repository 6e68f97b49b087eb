# SPDX-License-Identifier: Apache-2.0
"""What is asked of IAM about a user while a plan is applied to it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.exceptions import UserReplaced
from c7n_iamusers.execution.calls import ApiCall, Plan
from c7n_iamusers.execution.executor import Applied
from c7n_iamusers.iam.deny_all import BROWNOUT_NAME, DENY_ALL_NAME
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.safeguards.identity import BoundaryChanged, identity_check
from tests.fakes import ScriptedClient, Sleeps, client_error
from tests.records import user

POWER, READ_ONLY = (f"arn:aws:iam::aws:policy/{name}" for name in ("PowerUserAccess", "ReadOnlyAccess"))
OURS, THEIRS = ({"Statement": [{"Sid": sid, "Effect": "Deny"}]} for sid in ("ours", "theirs"))


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
