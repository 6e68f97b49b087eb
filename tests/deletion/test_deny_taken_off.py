# SPDX-License-Identifier: Apache-2.0
"""Somebody takes the Deny-all off while a user is being deleted, or gives things back: nothing gets wider or lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME
from c7n_iamusers_cli.main import main
from tests.fakes import client_error
from tests.interference import deny, on_calls
from tests.plugins.deletions import delete, outcomes, user_names
from tests.policies import ACCOUNT

ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
DENY_ALL, READ_ONLY = (
    f"arn:aws:iam::aws:policy/{name}" for name in ("AWSDenyAll", "AmazonSQSReadOnlyAccess")
)
LIMITS, WALL = (f"arn:aws:iam::{ACCOUNT}:policy/{name}" for name in ("limits", "wall"))
ALICE = {"UserName": "alice"}
#: The operations that a role may not use, so that the Deny-all has this form.
FORMS = {
    "inline": (),
    "attached": ("PutUserPolicy",),
    "boundary": ("PutUserPolicy", "AttachUserPolicy"),
}
#: What takes each form off.
TAKE_OFF: dict[str, Callable[[Any], object]] = {
    "inline": lambda iam: iam.delete_user_policy(**ALICE, PolicyName=DENY_ALL_NAME),
    "attached": lambda iam: iam.detach_user_policy(**ALICE, PolicyArn=DENY_ALL),
    "boundary": lambda iam: iam.put_user_permissions_boundary(**ALICE, PermissionsBoundary=LIMITS),
}
#: What denies alice something, by the operation that takes it away.
DENYING = {
    ("RemoveUserFromGroup", "guard"),
    ("DetachUserPolicy", WALL),
    ("DeleteUserPolicy", "own"),
    ("DeleteUserPolicy", "never"),
}


def document(*statements: tuple[str, str]) -> str:
    found = [{"Effect": effect, "Action": action, "Resource": "*"} for effect, action in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": found})


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """alice with a boundary, and in each place with what allows and what denies her something."""
    iam = org.client("iam", ACCOUNT)
    for name, statement in (("limits", ("Allow", "s3:*")), ("wall", ("Deny", "kms:*"))):
        iam.create_policy(PolicyName=name, PolicyDocument=document(statement))
    iam.create_user(**ALICE, PermissionsBoundary=LIMITS)
    iam.create_access_key(**ALICE)
    for group, statement in (("guard", ("Deny", "s3:Delete*")), ("makers", ("Allow", "s3:*"))):
        iam.create_group(GroupName=group)
        iam.put_group_policy(GroupName=group, PolicyName="own", PolicyDocument=document(statement))
        iam.add_user_to_group(**ALICE, GroupName=group)
    for arn in (WALL, READ_ONLY):
        iam.attach_user_policy(**ALICE, PolicyArn=arn)
    own = document(("Allow", "ec2:*"), ("Deny", "ec2:Run*"))
    for name, policy in (("own", own), ("never", document(("Deny", "sqs:*")))):
        iam.put_user_policy(**ALICE, PolicyName=name, PolicyDocument=policy)
    return iam


def refuse(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """The role may put the Deny-all on in no form before ``form``."""

    def refused(operation: str, parameters: dict[str, Any]) -> None:
        if operation in FORMS[form] and {DENY_ALL_NAME, DENY_ALL} & {*map(str, parameters.values())}:
            raise client_error("AccessDenied")

    on_calls(monkeypatch, refused)


def state(iam: Any) -> dict[str, Any]:
    (found,) = iam.get_account_authorization_details(Filter=["User"])["UserDetailList"]
    return {
        "groups": sorted(found["GroupList"]),
        "inline": {each["PolicyName"]: each["PolicyDocument"] for each in found.get("UserPolicyList", ())},
        "attached": sorted(each["PolicyArn"] for each in found["AttachedManagedPolicies"]),
        "boundary": found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
    }


def is_denied(iam: Any) -> bool:
    found = state(iam)
    return '"Deny"' in json.dumps(found["inline"].get(DENY_ALL_NAME)) or DENY_ALL in (
        *found["attached"],
        found["boundary"],
    )


def restore(output: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["restore", str(output), "--role", ROLE, "--yes", *arguments])


class Others:
    """What ``act`` does right before the first call of ``operation``; and what was taken away without a Deny."""

    def __init__(self, iam: Any, operation: str, act: Callable[[Any], object]) -> None:
        self.iam, self.operation, self.act = iam, operation, act
        self.acted, self.undenied = False, list[str]()

    def __call__(self, operation: str, parameters: dict[str, Any]) -> None:
        name = next(
            (parameters[each] for each in ("GroupName", "PolicyArn", "PolicyName") if each in parameters), ""
        )
        if (operation, name) in DENYING and not is_denied(self.iam):
            self.undenied.append(name)
        if operation == self.operation and not self.acted:
            self.acted = True
            self.act(self.iam)


@pytest.mark.parametrize(
    ("form", "call"),
    [
        ("inline", "DeleteAccessKey"),
        ("inline", "DetachUserPolicy"),
        ("attached", "DetachUserPolicy"),
        ("boundary", "DeleteAccessKey"),
    ],
)
def test_what_denies_something_stays_until_the_deny_is_on_again(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, call: str
) -> None:
    if form == "attached":  # under our name, somebody else's
        strangers = document(("Allow", "rds:*"))
        iam.put_user_policy(**ALICE, PolicyName=DENY_ALL_NAME, PolicyDocument=strangers)
    before, others = state(iam), Others(iam, call, TAKE_OFF[form])
    with monkeypatch.context() as patch:
        refuse(patch, form)
        on_calls(patch, others)
        delete(tmp_path)
    assert others.acted
    assert others.undenied == []
    assert user_names(iam) == []
    result = restore(tmp_path)
    assert result.exit_code == 0, result.output
    assert state(iam) == before


@pytest.mark.parametrize("form", FORMS)
def test_who_takes_the_deny_off_again_and_again_keeps_what_denies(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    before, reads = state(iam), {"inline": "GetUserPolicy", "attached": "ListAttachedUserPolicies"}
    busy = False

    def take_off(operation: str, _: dict[str, Any]) -> None:
        nonlocal busy
        if operation == reads.get(form, "GetUser") and not busy:
            busy = True
            if is_denied(iam):
                TAKE_OFF[form](iam)
            busy = False

    with monkeypatch.context() as patch:
        refuse(patch, form)
        on_calls(patch, take_off)
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path)
    row = outcomes(tmp_path)["alice"]
    assert row["status"] == "failed"
    assert "somebody keeps removing its Deny-all" in row["reason"]
    assert "locked out" not in row["reason"]
    left = state(iam)
    assert (left["groups"], left["attached"], sorted(left["inline"])) == (["guard"], [WALL], ["never", "own"])
    result = restore(tmp_path, "--user", "alice", "--accept-wider", "alice")
    assert result.exit_code == 0, result.output
    assert state(iam) == before


@pytest.mark.parametrize("stopped", [False, True], ids=["meanwhile", "after-a-run-that-stopped"])
def test_who_removes_the_boundary_that_is_our_deny_does_not_remove_the_one_before_it(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    def remove(iam: Any) -> None:
        iam.delete_user_permissions_boundary(**ALICE)

    before = state(iam)
    with monkeypatch.context() as patch:
        refuse(patch, "boundary")
        if stopped:
            deny(patch, "DetachUserPolicy")
            with pytest.raises(PolicyExecutionError):
                delete(tmp_path)
        else:
            on_calls(patch, Others(iam, "DetachUserPolicy", remove))
            delete(tmp_path)
    if stopped:
        remove(iam)
        delete(tmp_path)
    assert user_names(iam) == []
    result = restore(tmp_path)
    assert result.exit_code == 0, result.output
    assert state(iam) == before


#: What somebody gives back, or sets, while the run goes on or after it.
GIVEN: dict[str, Callable[[Any], object]] = {
    "nothing": lambda _: None,
    "group": lambda iam: iam.add_user_to_group(**ALICE, GroupName="makers"),
    "another-group": lambda iam: iam.add_user_to_group(**ALICE, GroupName="others"),
}


def expected(before: dict[str, Any], given: str) -> dict[str, Any]:
    """What comes back: all that alice had, and what she was given."""
    more = ["others"] if given == "another-group" else []
    return {**before, "groups": sorted([*before["groups"], *more])}


@pytest.mark.parametrize(
    ("form", "given", "call"),  # each two of them together
    [
        ("inline", "group", "DeleteUserPolicy"),
        ("inline", "another-group", "DeleteUser"),
        ("attached", "another-group", "DeleteUserPolicy"),
        ("attached", "group", "DeleteUser"),
        ("boundary", "another-group", "DeleteUserPolicy"),
        ("boundary", "group", "DeleteUser"),
    ],
)
def test_what_somebody_gives_back_meanwhile_hides_nothing_that_was_removed(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, given: str, call: str
) -> None:
    iam.create_group(GroupName="others")
    before = state(iam)

    def act(iam: Any) -> None:
        if is_denied(iam) and not (call == "DeleteUser" and form != "boundary"):
            TAKE_OFF[form](iam)
        GIVEN[given](iam)

    others = Others(iam, call, act)
    with monkeypatch.context() as patch:
        refuse(patch, form)
        on_calls(patch, others)
        delete(tmp_path)
    assert others.acted
    assert user_names(iam) == []
    result = restore(tmp_path)
    assert result.exit_code == 0, result.output
    assert state(iam) == expected(before, given)


@pytest.mark.parametrize(
    ("form", "given"), [("inline", "another-group"), ("attached", "nothing"), ("boundary", "another-group")]
)
def test_nor_does_it_after_a_run_that_stopped(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, given: str
) -> None:
    iam.create_group(GroupName="others")
    before = state(iam)
    with monkeypatch.context() as patch:
        refuse(patch, form)
        deny(patch, "DeleteUserPolicy")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path)
    TAKE_OFF[form](iam)
    GIVEN[given](iam)
    delete(tmp_path)
    assert user_names(iam) == []
    result = restore(tmp_path)
    assert result.exit_code == 0, result.output
    assert state(iam) == expected(before, given)


def test_a_deletion_that_was_undone_by_hand_is_over(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """alice works again, with less than before: that is what comes back."""
    with monkeypatch.context() as patch:
        deny(patch, "DeleteUserPolicy")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path)
    TAKE_OFF["inline"](iam)
    iam.create_access_key(**ALICE)
    before = state(iam)
    delete(tmp_path)
    assert restore(tmp_path).exit_code == 0
    assert (state(iam), before["groups"]) == (before, ["guard"])
