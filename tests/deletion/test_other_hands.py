# SPDX-License-Identifier: Apache-2.0
"""Somebody else at work while users are quarantined, released, deleted and restored: nobody is taken for another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from c7n.exceptions import PolicyExecutionError
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers_cli.main import main
from tests.fakes import client_error
from tests.interference import deny, on_call
from tests.plugins.deletions import acting, delete, outcomes, user_names
from tests.policies import ACCOUNT, policy

ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
POLICY = "arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess"


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """zoe with a key, a policy and two groups."""
    client = org.client("iam", ACCOUNT)
    make(client)
    client.create_access_key(UserName="zoe")
    for group in ("prod", "guard"):
        client.create_group(GroupName=group)
        client.add_user_to_group(UserName="zoe", GroupName=group)
    return client


def make(iam: Any) -> None:
    iam.create_user(UserName="zoe")
    iam.attach_user_policy(UserName="zoe", PolicyArn=POLICY)


def replace_user(iam: Any) -> None:
    """The name changes hands: the new one is in a quarantine of its own, and holds nothing else."""
    for key in iam.list_access_keys(UserName="zoe")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="zoe", AccessKeyId=key["AccessKeyId"])
    for group in groups(iam):
        iam.remove_user_from_group(UserName="zoe", GroupName=group)
    for held in iam.list_attached_user_policies(UserName="zoe")["AttachedPolicies"]:
        iam.detach_user_policy(UserName="zoe", PolicyArn=held["PolicyArn"])
    for name in iam.list_user_policies(UserName="zoe")["PolicyNames"]:
        iam.delete_user_policy(UserName="zoe", PolicyName=name)
    iam.delete_user(UserName="zoe")
    iam.create_user(UserName="zoe")
    document = deny_all_document("Quarantined20260101T000000Z")
    iam.put_user_policy(UserName="zoe", PolicyName=DENY_ALL_NAME, PolicyDocument=document)


def groups(iam: Any) -> list[str]:
    return sorted(group["GroupName"] for group in iam.list_groups_for_user(UserName="zoe")["Groups"])


def once(happens: Callable[[], object]) -> Callable[[], object]:
    left = iter([happens])
    return lambda: next(left, lambda: None)()


def quarantine(output: Path) -> None:
    acting("quarantine", output).run()


def release(output: Path) -> dict[str, Any]:
    try:
        policy({"name": "freeing", "actions": ["release"]}, output).run()
    except PolicyExecutionError:
        pass  # the row tells
    (row,) = json.loads((output / "freeing" / "outcomes.json").read_text())
    found: dict[str, Any] = row
    return found


def restore(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["restore", *map(str, arguments), "--role", ROLE])


def stop_at(monkeypatch: pytest.MonkeyPatch, operation: str, output: Path, **options: Any) -> None:
    with monkeypatch.context() as patch:
        deny(patch, operation)
        with pytest.raises(PolicyExecutionError):
            delete(output, **options)


@pytest.mark.parametrize("form", ["PutUserPolicy", ""], ids=["attached", "inline"])
def test_release_refuses_a_user_whose_deletion_began(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    with monkeypatch.context() as patch:
        if form:
            deny(patch, form)
        quarantine(tmp_path)
        stop_at(patch, "DetachUserPolicy", tmp_path)
    row = release(tmp_path)
    assert row["status"] == "failed"
    assert "c7n-iamusers restore OUTPUT --user zoe" in row["reason"]
    assert POLICY in str(iam.list_attached_user_policies(UserName="zoe"))
    assert groups(iam) == []
    assert restore(tmp_path, "--user", "zoe").exit_code == 0
    assert groups(iam) == ["guard", "prod"]
    assert release(tmp_path)["status"] == "released"


def test_release_leaves_a_strangers_deny_where_it_is(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantine(tmp_path)
    on_call(monkeypatch, "UpdateAccessKey", once(lambda: replace_user(iam)))
    row = release(tmp_path)
    assert row["status"] == "failed"
    assert "now belongs to another user" in row["reason"]
    assert iam.list_user_policies(UserName="zoe")["PolicyNames"] == [DENY_ALL_NAME]


def test_restore_stops_at_the_call_that_hit_another_user_and_reports_it(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(tmp_path)
    on_call(monkeypatch, "AttachUserPolicy", once(lambda: replace_user(iam)))
    result = restore(tmp_path)
    assert result.exit_code == 1
    assert "check that user, which these calls may have changed: AttachUserPolicy" in result.output
    assert groups(iam) == []


def test_what_was_given_back_from_one_output_is_known_to_all(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_at(monkeypatch, "DetachUserPolicy", tmp_path / "jan")
    assert restore(tmp_path, "--user", "zoe").exit_code == 0
    assert groups(iam) == ["guard", "prod"]
    iam.remove_user_from_group(UserName="zoe", GroupName="prod")
    stop_at(monkeypatch, "DetachUserPolicy", tmp_path / "mar")
    assert restore(tmp_path, "--user", "zoe").exit_code == 0
    assert groups(iam) == ["guard"]


def test_of_two_lives_of_a_name_the_last_one_comes_back(iam: Any, tmp_path: Path) -> None:
    delete(tmp_path)
    assert restore(tmp_path).exit_code == 0
    iam.remove_user_from_group(UserName="zoe", GroupName="prod")
    delete(tmp_path)
    result = restore(tmp_path)
    assert result.exit_code == 0, result.output
    assert "which had the name before" in result.output
    assert groups(iam) == ["guard"]


@pytest.mark.parametrize("single", [False, True], ids=["missing", "first-file-named"])
def test_an_older_snapshot_does_not_pass_for_the_last_one(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, single: bool
) -> None:
    stop_at(monkeypatch, "DeleteAccessKey", tmp_path)
    iam.remove_user_from_group(UserName="zoe", GroupName="prod")
    delete(tmp_path)
    (second,) = (tmp_path / "under-test" / "snapshots").glob("zoe.*.2.json")
    first = second.with_name(second.name.replace(".2.json", ".json"))
    if not single:
        second.unlink()
        result = restore(tmp_path)
        assert (result.exit_code, user_names(iam)) == (1, [])
        assert second.name in result.output
    else:
        assert restore(first).exit_code == 0
        assert groups(iam) == ["guard"]


@pytest.mark.parametrize("act", [quarantine, release], ids=["quarantine", "release"])
def test_a_renamed_user_is_not_gone(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], Any]
) -> None:
    rename = once(lambda: iam.update_user(UserName="zoe", NewUserName="zoe-2"))
    on_call(monkeypatch, "GetLoginProfile", rename)
    if act is release:
        row = release(tmp_path)
    else:
        with pytest.raises(PolicyExecutionError):
            quarantine(tmp_path)
        row = outcomes(tmp_path)["zoe"]
    assert row["status"] == "failed"
    assert "renamed to zoe-2" in row["reason"]


def test_an_answer_that_was_lost_is_no_proof_of_a_deletion(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, left = BaseClient._make_api_call, ["fail"]  # type: ignore[attr-defined]

    def failing(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == "DeleteUser" and left:
            left.clear()
            original(org.client("iam", ACCOUNT), "UpdateUser", {"UserName": "zoe", "NewUserName": "zoe-2"})
            raise client_error("ServiceFailure")
        return original(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", failing)
    with pytest.raises(PolicyExecutionError, match="renamed to zoe-2"):
        delete(tmp_path)
    assert user_names(iam) == ["zoe-2"]
    assert outcomes(tmp_path)["zoe"]["status"] == "failed"


def test_a_user_deleted_by_others_is_restored_only_by_name(iam: Any, tmp_path: Path) -> None:
    quarantine(tmp_path)
    assert release(tmp_path)["status"] == "released"
    replace_user(iam)
    iam.delete_user_policy(UserName="zoe", PolicyName=DENY_ALL_NAME)
    iam.delete_user(UserName="zoe")
    result = restore(tmp_path)
    assert (result.exit_code, user_names(iam)) == (0, [])
    assert "was deleted by somebody else and is left alone: give --user zoe" in result.output
    assert restore(tmp_path, "--user", "zoe").exit_code == 0
    assert user_names(iam) == ["zoe"]


def test_an_orphaned_device_of_a_deleted_user_is_deleted(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName="zoe")["VirtualMFADevice"]["SerialNumber"]
    codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
    iam.enable_mfa_device(UserName="zoe", SerialNumber=serial, **codes)
    stop_at(monkeypatch, "DeleteVirtualMFADevice", tmp_path)

    def remove() -> None:
        replace_user(iam)
        iam.delete_user_policy(UserName="zoe", PolicyName=DENY_ALL_NAME)
        iam.delete_user(UserName="zoe")

    on_call(monkeypatch, "GetLoginProfile", once(remove))
    delete(tmp_path)
    assert outcomes(tmp_path)["zoe"]["reason"].startswith("already gone")
    assert iam.list_virtual_mfa_devices()["VirtualMFADevices"] == []


class Killed(BaseException):
    """What ends a process without a word."""


def test_a_run_killed_before_it_removed_its_deny_continues(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill() -> None:
        raise Killed

    with monkeypatch.context() as patch:
        on_call(patch, "DeleteUserPolicy", kill)
        with pytest.raises(Killed):
            delete(tmp_path)
    assert iam.list_user_policies(UserName="zoe")["PolicyNames"] == [DENY_ALL_NAME]
    lines = (tmp_path / "under-test" / "journal.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["phase"] == "before"
    delete(tmp_path)
    assert user_names(iam) == []
    assert outcomes(tmp_path)["zoe"]["status"] == "deleted"


def test_a_users_own_deny_that_was_given_back_stays_its_own(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "arn:aws:iam::aws:policy/AWSDenyAll"
    iam.attach_user_policy(UserName="zoe", PolicyArn=own)
    stop_at(monkeypatch, "DeleteUser", tmp_path, adopt=True)
    assert restore(tmp_path, "--user", "zoe").exit_code == 0
    assert own in str(iam.list_attached_user_policies(UserName="zoe"))
    assert restore(tmp_path, "--user", "zoe").exit_code == 0
    assert own in str(iam.list_attached_user_policies(UserName="zoe"))
    delete(tmp_path, adopt=True)
    assert user_names(iam) == []
    assert restore(tmp_path, "--user", "zoe").exit_code == 0
    assert own in str(iam.list_attached_user_policies(UserName="zoe"))


def test_release_switches_on_what_a_quarantine_without_a_deny_switched_off(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        for operation in ("PutUserPolicy", "AttachUserPolicy", "PutUserPermissionsBoundary"):
            deny(patch, operation)
        with pytest.raises(PolicyExecutionError):
            quarantine(tmp_path)
    (key,) = iam.list_access_keys(UserName="zoe")["AccessKeyMetadata"]
    assert key["Status"] == "Inactive"
    assert release(tmp_path)["status"] == "released"
    (key,) = iam.list_access_keys(UserName="zoe")["AccessKeyMetadata"]
    assert key["Status"] == "Active"
