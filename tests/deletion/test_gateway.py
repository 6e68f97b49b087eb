# SPDX-License-Identifier: Apache-2.0
"""A gateway answers in AWS's place, while users are deleted, quarantined and released."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME
from tests.fakes import client_error
from tests.full_users import create_full_user
from tests.gateway import FEW_FORMS, Gateway, operation
from tests.interference import _intercept, on_call
from tests.plugins.deletions import acting, delete, journal, outcomes, user_names
from tests.policies import ACCOUNT, policy

pytestmark = pytest.mark.sampled

REMOVING = (
    "DeleteLoginProfile",
    "DeleteAccessKey",
    "DeleteSigningCertificate",
    "DeleteSSHPublicKey",
    "DeleteServiceSpecificCredential",
    "DeactivateMFADevice",
    "DeleteVirtualMFADevice",
    "RemoveUserFromGroup",
    "DetachUserPolicy",
    "DeleteUserPolicy",
    "DeleteUser",
)
QUARANTINING = ("PutUserPolicy", "UpdateAccessKey", "UpdateSSHPublicKey", "TagUser")
RELEASING = ("UpdateAccessKey", "UpdateSigningCertificate", "DeleteUserPolicy", "UntagUser")
WEAK = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two retries, at once."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(Backoff, "delays", lambda _: itertools.repeat(0.0, 2))


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    return create_full_user(org, "alice")


def results(output: Path, name: str) -> set[str]:
    """How the calls of an operation ended, by the journal."""
    lines = (line for line in journal(output) if line["phase"] == "after" and line["operation"] == name)
    return {line["result"] for line in lines}


@pytest.mark.parametrize("name", REMOVING)
def test_a_deletion_that_aws_made_is_one_whatever_a_gateway_says(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    gateway = Gateway("502-html", operation(name)).install(monkeypatch)
    delete(tmp_path)
    assert gateway.seen
    assert (user_names(iam), outcomes(tmp_path)["alice"]["status"]) == ([], "deleted")
    assert results(tmp_path, name) == {"unknown" if name == "DeleteUser" else "done"}


def test_the_deny_is_not_lifted_while_aws_says_of_what_is_there_that_it_is_gone(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a policy that was just attached, one of IAM's servers may not know yet."""
    unknown, held_at_the_end = itertools.count(), list[Any]()

    def detach() -> None:
        if next(unknown) == 0:
            raise client_error("NoSuchEntity")

    def delete_policy(name: str, given: dict[str, Any]) -> None:
        if (name, given.get("PolicyName")) == ("DeleteUserPolicy", DENY_ALL_NAME):
            held_at_the_end.append(iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"])

    on_call(monkeypatch, "DetachUserPolicy", detach)
    _intercept(monkeypatch, delete_policy)
    delete(tmp_path)
    assert (user_names(iam), outcomes(tmp_path)["alice"]["status"]) == ([], "deleted")
    assert held_at_the_end == [[]]


def test_a_user_that_went_as_the_network_did_is_known_to_be_deleted_by_the_next_run(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = list[bool]()

    def after_the_deletion(_: str, text: str) -> bool:
        down.extend([True] * ("Action=DeleteUser&" in f"{text}&"))
        return bool(down)

    with monkeypatch.context() as patched:
        gateway = Gateway("504-html", after_the_deletion).install(patched)
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path)
    assert gateway.seen > 1
    assert outcomes(tmp_path)["alice"]["status"] == "failed"
    assert user_names(iam) == []
    delete(tmp_path)
    assert outcomes(tmp_path)["alice"]["status"] == "deleted"


@pytest.mark.parametrize("form", FEW_FORMS)
def test_every_form_of_answer_is_settled_by_reading(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    gateway = Gateway(form, operation("RemoveUserFromGroup")).install(monkeypatch)
    delete(tmp_path)
    assert gateway.seen
    assert (user_names(iam), outcomes(tmp_path)["alice"]["status"]) == ([], "deleted")
    assert results(tmp_path, "RemoveUserFromGroup") == {"done"}


@pytest.mark.parametrize(
    ("form", "name"), list(zip(itertools.cycle(["502-html", "200-html"]), REMOVING, strict=False))
)
def test_a_call_that_never_came_to_aws_is_unknown_and_the_next_run_goes_on(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, name: str
) -> None:
    with monkeypatch.context() as patched:
        Gateway(form, operation(name), applied=False).install(patched)
        with pytest.raises(PolicyExecutionError, match="no answer of AWS says whether it was applied"):
            delete(tmp_path)
    assert outcomes(tmp_path)["alice"]["status"] == "failed"
    assert results(tmp_path, name) == {"unknown"}
    assert DENY_ALL_NAME in iam.list_user_policies(UserName="alice")["PolicyNames"]
    delete(tmp_path)
    assert (user_names(iam), outcomes(tmp_path)["alice"]["status"]) == ([], "deleted")


def test_the_journal_has_the_request_ids_of_all_tries_and_the_caller(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Gateway("502-html", operation("DeleteLoginProfile"), times=1).install(monkeypatch)
    delete(tmp_path)
    lines = [line for line in journal(tmp_path) if line.get("operation") == "DeleteLoginProfile"]
    assert [line["phase"] for line in lines] == ["before", "tried", "after"]
    assert {"code": "502", "status": 502}.items() <= lines[1].items()
    assert "request_id" not in lines[1]
    ended = [line for line in journal(tmp_path) if line["phase"] == "after"]
    assert all(line["request_id"] and line["caller"].startswith("arn:aws:") for line in ended)


def quarantine(output: Path) -> None:
    acting("quarantine", output).run()


def release(output: Path) -> dict[str, Any]:
    policy({"name": "freeing", "actions": [{"type": "release"}]}, output).run()
    (row,) = json.loads((output / "freeing" / "outcomes.json").read_text())
    found: dict[str, Any] = row
    return found


@pytest.mark.parametrize("name", QUARANTINING)
def test_a_quarantine_that_a_gateway_answered_is_released_exactly(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = state(iam)
    with monkeypatch.context() as patched:
        Gateway("504-html", operation(name)).install(patched)
        quarantine(tmp_path)
    assert outcomes(tmp_path)["alice"]["status"] == "quarantined"
    assert release(tmp_path)["status"] == "released"
    assert state(iam) == before


def state(iam: Any) -> Any:
    """Policies, boundary and tags of the account's users, and which access keys are active."""
    keys = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    details = iam.get_account_authorization_details(Filter=["User"])["UserDetailList"]
    return details, {key["AccessKeyId"]: key["Status"] for key in keys}


def test_an_attached_deny_that_a_gateway_answered_is_ours_to_release(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    full = {"Sid": "x" * 1_900, "Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [full]})
    iam.put_user_policy(UserName="alice", PolicyName="long", PolicyDocument=document)
    with monkeypatch.context() as patched:
        Gateway("502-empty", operation("AttachUserPolicy")).install(patched)
        quarantine(tmp_path)
    assert iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]
    assert release(tmp_path)["status"] == "released"
    assert iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"] == []


@pytest.mark.parametrize("name", RELEASING)
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
def test_a_release_says_what_aws_shows(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, applied: bool
) -> None:
    before = state(iam)
    quarantine(tmp_path)
    with monkeypatch.context() as patched:
        Gateway("200-html", operation(name), applied=applied).install(patched)
        if applied:
            assert release(tmp_path)["status"] == "released"
        else:
            with pytest.raises(PolicyExecutionError):
                release(tmp_path)
    if not applied:
        assert release(tmp_path)["status"] == "released"
    assert state(iam) == before


def test_a_boundary_that_is_gone_fails_the_release_and_the_deny_stays(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = org.client("iam", ACCOUNT)
    boundary = iam.create_policy(PolicyName="limit", PolicyDocument=WEAK)["Policy"]["Arn"]
    iam.create_user(UserName="alice", PermissionsBoundary=boundary)
    full = {"Sid": "x" * 1_900, "Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [full]})
    iam.put_user_policy(UserName="alice", PolicyName="long", PolicyDocument=document)
    for number in range(10):
        arn = iam.create_policy(PolicyName=f"p{number}", PolicyDocument=WEAK)["Policy"]["Arn"]
        iam.attach_user_policy(UserName="alice", PolicyArn=arn)
    quarantine(tmp_path)
    held = iam.get_user(UserName="alice")["User"]["PermissionsBoundary"]
    assert held["PermissionsBoundaryArn"].endswith("AWSDenyAll")
    iam.delete_policy(PolicyArn=boundary)
    with pytest.raises(PolicyExecutionError, match="PutUserPermissionsBoundary failed with NoSuchEntity"):
        release(tmp_path)
    assert iam.get_user(UserName="alice")["User"]["PermissionsBoundary"] == held


def test_a_release_whose_change_aws_does_not_show_has_failed(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantine(tmp_path)
    shows = lambda *_: False  # noqa: E731
    monkeypatch.setattr("c7n_iamusers.iam.live_users.shows", shows)
    with pytest.raises(
        PolicyExecutionError,
        match=r"AWS does not show what iam:UpdateAccessKey.* activated: its Deny-all stays",
    ):
        release(tmp_path)
    assert DENY_ALL_NAME in iam.list_user_policies(UserName="alice")["PolicyNames"]
