# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from aws_local_org import LocalOrg
from c7n_iamusers.exceptions import JournalRefused
from c7n_iamusers.execution.journal import Journal
from c7n_iamusers.execution.locks import RUN_LOCK, run_lock
from c7n_iamusers.execution.stores import JOURNAL, DirectoryStore
from c7n_iamusers.lockout.deny_all import deny_all_document
from c7n_iamusers.plugins.user_action import UserAction, _note_once
from tests.full_users import create_full_user
from tests.interference import deny, on_call
from tests.policies import ACCOUNT, policy
from tests.used_permissions import run_within_permissions

ALL = {"type": "unnecessary", "exempt": "none"}
SPARE_BOB = {"user": "bob", "reason": "a test", "expires": "2999-12-31"}
SECRETS = (
    "Password",
    "SecretAccessKey",
    "ServicePassword",
    "Base32StringSeed",
    "QRCodePNG",
    "ServiceCredentialSecret",
)


def delete(output: Path, *exempt: dict[str, Any], **data: Any) -> list[dict[str, Any]]:
    """Run the policy; the resources as later actions see them."""
    filters = [{"type": "unnecessary", "exempt": list(exempt) or "none"}]
    found: list[dict[str, Any]] = run_within_permissions(
        policy({"filters": filters, "actions": ["composite-delete"], **data}, output)
    )
    return found


def outcomes(output: Path) -> dict[str, dict[str, Any]]:
    rows = json.loads((output / "under-test" / "outcomes.json").read_text())
    return {row["user"]: row for row in rows}


def journal(output: Path) -> list[dict[str, Any]]:
    lines = map(json.loads, (output / "under-test" / "journal.jsonl").read_text().splitlines())
    return [line for line in lines if line["phase"] != "snapshot"]


def user_names(iam: Any) -> list[str]:
    pages = iam.get_paginator("list_users").paginate()
    return [user["UserName"] for page in pages for user in page["Users"]]


def orphaned(iam: Any) -> list[str]:
    pages = iam.get_paginator("list_virtual_mfa_devices").paginate(AssignmentStatus="Unassigned")
    return [device["SerialNumber"] for page in pages for device in page["VirtualMFADevices"]]


@pytest.mark.parametrize("page_limit", [None, 2])
def test_everything_is_deleted_and_nothing_is_orphaned(
    org: LocalOrg, tmp_path: Path, page_limit: int | None
) -> None:
    org.configure(page_limit=page_limit)
    iam = create_full_user(org, "alice", "/a/b/", times=3)
    create_full_user(org, "a+b=c,d.e@f-g", times=3)
    create_full_user(org, "bob")
    org.clear_calls()
    delete(tmp_path, SPARE_BOB)
    if page_limit is None:
        # For the users with all that they are judged by; and for roles and groups once more before the first deletion.
        assert [call.operation for call in org.calls].count("GetAccountAuthorizationDetails") == 2
    assert user_names(iam) == ["bob"]
    assert orphaned(iam) == []
    assert {name: row["status"] for name, row in outcomes(tmp_path).items()} == {
        "alice": "deleted",
        "a+b=c,d.e@f-g": "deleted",
    }
    assert iam.get_group(GroupName="group-0")["Users"][0]["UserName"] == "bob"


def test_the_snapshot_is_complete_and_holds_no_secret(org: LocalOrg, tmp_path: Path) -> None:
    iam = create_full_user(org, "alice", times=3)
    before = iam.get_account_authorization_details(Filter=["User"])["UserDetailList"][0]
    delete(tmp_path)
    (path,) = (tmp_path / "under-test" / "snapshots").iterdir()
    snapshot = json.loads(path.read_text())
    assert {kind: len(items) for kind, items in snapshot["attachments"].items()} == {
        "login-profile": 1,
        "access-key": 2,
        "signing-certificate": 2,
        "ssh-public-key": 3,
        "service-specific-credential": 3,
        "mfa-device": 5,
        "group": 3,
        "attached-policy": 3,
        "inline-policy": 3,
        "permissions-boundary": 1,
        "tag": 3,
    }
    assert snapshot["user"]["UserId"] == before["UserId"]
    assert snapshot["attachments"]["inline-policy"][0]["PolicyDocument"]["Statement"][0]["Action"] == "s3:*"
    assert all("SSHPublicKeyBody" in key for key in snapshot["attachments"]["ssh-public-key"])
    assert all("CertificateBody" in item for item in snapshot["attachments"]["signing-certificate"])
    for name in SECRETS:
        assert f'"{name}"' not in path.read_text() + (tmp_path / "under-test" / "journal.jsonl").read_text()


def test_the_snapshot_exists_before_the_first_change(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_full_user(org, "alice")
    seen: list[int] = []
    directory = tmp_path / "under-test" / "snapshots"
    on_call(
        monkeypatch,
        "PutUserPolicy",
        lambda: seen.append(len(list(directory.glob("alice.*.json")))),
    )
    delete(tmp_path)
    assert seen == [1]


def test_the_journal_agrees_with_what_aws_saw(org: LocalOrg, tmp_path: Path) -> None:
    create_full_user(org, "alice")
    org.clear_calls()
    delete(tmp_path)
    changing = ("Put", "Delete", "Deactivate", "Detach", "Remove", "Update", "Attach")
    seen = [call.operation for call in org.calls if call.operation.startswith(changing)]
    before = [line["operation"] for line in journal(tmp_path) if line["phase"] == "before"]
    after = [line["operation"] for line in journal(tmp_path) if line["phase"] == "after"]
    assert seen == before == after
    assert outcomes(tmp_path)["alice"]["calls"] == len(seen)
    assert (seen[0], seen[-2:]) == ("PutUserPolicy", ["DeleteUserPolicy", "DeleteUser"])


def test_a_failing_user_neither_stops_nor_hides_another(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create_full_user(org, "alice")
    create_full_user(org, "bob")
    deny(monkeypatch, "DeleteAccessKey", "alice")
    with pytest.raises(
        PolicyExecutionError, match=r"composite-delete failed for 1 users: .*user/alice.*AccessDenied"
    ):
        delete(tmp_path)
    assert user_names(iam) == ["alice"]
    rows = outcomes(tmp_path)
    failure = {key: rows["alice"][key] for key in ("status", "code", "call", "error")}
    assert failure == {
        "status": "failed",
        "code": "CallFailed",
        "call": "iam:DeleteAccessKey",
        "error": "AccessDenied",
    }
    assert rows["bob"]["status"] == "deleted"
    assert "c7n-iamusers-deny-all" in iam.list_user_policies(UserName="alice")["PolicyNames"]
    assert "it is locked out by our Deny-all, and 1 of its attachments are removed" in rows["alice"]["reason"]
    restoring = "run c7n-iamusers restore OUTPUT --user alice to restore them and to remove the Deny"
    assert restoring in rows["alice"]["reason"]


def test_where_inline_policies_may_not_be_put_aws_deny_all_is_attached(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create_full_user(org, "alice")
    create_full_user(org, "bob")
    deny(monkeypatch, "PutUserPolicy")
    org.clear_calls()
    delete(tmp_path)
    assert user_names(iam) == []
    first: dict[Any, str] = {}
    for call in org.calls:
        if call.operation.startswith(("Put", "Attach", "Delete")):
            first.setdefault(call.parameters.get("UserName"), call.operation)
    assert first == {"alice": "AttachUserPolicy", "bob": "AttachUserPolicy", None: "DeleteVirtualMFADevice"}


def test_running_again_carries_on_and_records_what_it_finds(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create_full_user(org, "alice")
    with monkeypatch.context() as patch:
        deny(patch, "DeleteVirtualMFADevice")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path)
    assert len(orphaned(iam)) == 1
    (path,) = (tmp_path / "under-test" / "snapshots").iterdir()
    content = path.read_bytes()
    delete(tmp_path)
    assert (user_names(iam), orphaned(iam)) == ([], [])
    assert path.read_bytes() == content
    assert len(list(path.parent.iterdir())) == 2
    row = outcomes(tmp_path)["alice"]
    assert (row["status"], [earlier["status"] for earlier in row["history"]]) == ("deleted", ["failed"])


def test_an_orphan_assigned_to_somebody_else_is_kept(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create_full_user(org, "alice")
    with monkeypatch.context() as patch:
        deny(patch, "DeleteVirtualMFADevice")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path, SPARE_BOB)
    iam.create_user(UserName="bob")
    (serial,) = orphaned(iam)
    iam.enable_mfa_device(
        UserName="bob", SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="654321"
    )
    delete(tmp_path, SPARE_BOB)
    assert user_names(iam) == ["bob"]
    assert [device["SerialNumber"] for device in iam.list_mfa_devices(UserName="bob")["MFADevices"]] == [
        serial
    ]


def test_what_is_attached_during_the_run_is_removed_too(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create_full_user(org, "alice")
    late = iter([lambda: iam.create_access_key(UserName="alice")])
    on_call(monkeypatch, "DeleteUser", lambda: next(late, lambda: None)())
    delete(tmp_path)
    assert user_names(iam) == []


def test_a_new_user_with_the_name_is_left_alone(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")

    def swap() -> None:
        iam.delete_user(UserName="alice")
        iam.create_user(UserName="alice")

    swaps = iter([swap])
    on_call(monkeypatch, "GetUser", lambda: next(swaps, lambda: None)())
    delete(tmp_path)
    assert user_names(iam) == ["alice"]
    assert outcomes(tmp_path)["alice"]["status"] == "skipped"
    assert "another user" in outcomes(tmp_path)["alice"]["reason"]


def test_a_later_exemption_protects_its_user(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    on_call(
        monkeypatch, "GetUser", lambda: iam.tag_user(UserName="alice", Tags=[{"Key": "Keep", "Value": "yes"}])
    )
    delete(tmp_path, {"tag": "Keep=yes", "reason": "asked for", "expires": "2999-12-31"})
    assert user_names(iam) == ["alice"]
    assert outcomes(tmp_path)["alice"]["reason"] == "exempt by tag 'Keep=yes' until 2999-12-31: asked for"


def test_a_user_that_is_gone_is_skipped_and_said(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    once = iter([lambda: iam.delete_user(UserName="alice")])
    on_call(monkeypatch, "GetUser", lambda: next(once, lambda: None)())
    delete(tmp_path)
    assert (outcomes(tmp_path)["alice"]["status"], outcomes(tmp_path)["alice"]["reason"]) == (
        "skipped",
        "already gone",
    )


def test_a_session_in_another_account_touches_nothing(org: LocalOrg, tmp_path: Path) -> None:
    """The users may be of c7n's cache, and so of the right account."""
    other = "444455556666"
    for account in (ACCOUNT, other):
        org.client("iam", account).create_user(UserName="alice")
    data = {"filters": [ALL], "actions": ["composite-delete"]}
    (resource,) = policy(data).resource_manager.resources()
    found = policy(data, tmp_path, assume_role=f"arn:aws:iam::{other}:role/CloudCustodian")
    with found.ctx:
        found.resource_manager.actions[0].process([resource])
    assert outcomes(tmp_path)["alice"]["status"] == "skipped"
    assert f"the session acts in {other}" in outcomes(tmp_path)["alice"]["reason"]
    assert user_names(org.client("iam", other)) == user_names(org.client("iam", ACCOUNT)) == ["alice"]


def test_later_actions_run_and_see_the_outcomes(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_full_user(org, "alice")
    create_full_user(org, "bob")
    deny(monkeypatch, "DeleteAccessKey", "alice")
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr("c7n.actions.webhook.Webhook.process", lambda self, resources: seen.extend(resources))
    webhook = {"type": "webhook", "url": "https://example.com"}
    with pytest.raises(PolicyExecutionError, match="composite-delete failed for 1 users"):
        delete(tmp_path, actions=["composite-delete", webhook])
    assert {each["UserName"]: each["c7n:IamUser"]["outcome"]["status"] for each in seen} == {
        "alice": "failed",
        "bob": "deleted",
    }


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("provisioned", "deleted"), ("unchanged", "deleted"), ("skipped", "skipped"), ("failed", "skipped")],
)
def test_who_has_no_replacement_yet_keeps_the_user(
    org: LocalOrg, tmp_path: Path, status: str, outcome: str
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    found = policy({"filters": [ALL], "actions": ["composite-delete"]}, tmp_path)
    (resource,) = found.resource_manager.resources()
    resource["c7n:IamUser"]["provisioning"] = {"status": status, "reason": "no e-mail"}
    with found.ctx:
        found.resource_manager.actions[0].process([resource])
    assert outcomes(tmp_path)["alice"]["status"] == outcome
    assert user_names(iam) == ([] if outcome == "deleted" else ["alice"])


@pytest.mark.parametrize(
    ("filters", "mode", "message"),
    [
        pytest.param([], None, "needs the filter unnecessary at the top level", id="bare"),
        pytest.param([{"or": ["unnecessary", {"UserName": "x"}]}], None, "at the top level", id="in-or"),
        pytest.param([{"and": ["unnecessary"]}], None, "at the top level", id="in-and"),
        pytest.param([{"not": ["unnecessary"]}], None, "at the top level", id="in-not"),
        pytest.param(
            [ALL],
            {
                "type": "periodic",
                "schedule": "rate(1 day)",
                "packages": ["c7n_iamusers"],
                "handler": "c7n_iamusers.handler.run",
            },
            "set mode.execution-options.output_dir to s3",
            id="lambda",
        ),
    ],
)
def test_what_is_not_on_offer(
    org: LocalOrg, filters: list[Any], mode: dict[str, Any] | None, message: str
) -> None:
    data = {"filters": filters, "actions": ["composite-delete"]}
    with pytest.raises(PolicyValidationError, match=message):
        policy({**data, "mode": mode} if mode else data)


@pytest.mark.parametrize("action", ["composite-delete", "quarantine"])
@pytest.mark.parametrize(
    ("options", "sound"),
    [
        pytest.param({}, False, id="bare"),
        pytest.param({"exempt": []}, False, id="no-rule"),
        pytest.param({"unused-for": 90}, False, id="other-options"),
        pytest.param({"exempt": [SPARE_BOB]}, True, id="rule"),
        pytest.param({"exempt-from": "s3://bucket/x.csv"}, True, id="list"),
        pytest.param({"exempt": "none"}, True, id="none"),
    ],
)
def test_destructive_actions_need_exemptions(
    org: LocalOrg, action: str, options: dict[str, Any], sound: bool
) -> None:
    data = {"filters": [{"type": "unnecessary", **options}], "actions": [action]}
    if sound:
        assert policy(data)
        return
    with pytest.raises(
        PolicyValidationError, match=f"policy under-test: {action} needs exemptions.*exempt: none"
    ):
        policy(data)


def test_a_plan_needs_no_exemptions(org: LocalOrg) -> None:
    assert policy({"filters": ["unnecessary"], "actions": [{"type": "composite-delete", "plan-only": True}]})
    with pytest.raises(PolicyValidationError, match="needs the filter unnecessary"):
        policy({"actions": [{"type": "composite-delete", "plan-only": True}]})


def test_an_empty_list_of_exemptions_deletes_nobody(org: LocalOrg, tmp_path: Path) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    listed = tmp_path / "exempt.csv"
    listed.write_text("user,reason,expires\nbob,r,2999-12-31\n")
    filters = [{"type": "unnecessary", "exempt-from": str(listed)}]
    found = policy({"filters": filters, "actions": ["composite-delete"]}, tmp_path)
    listed.write_text("user,reason,expires\n")
    with pytest.raises(PolicyExecutionError, match="has no rules"):
        found.run()
    assert user_names(iam) == ["alice"]


def test_a_plan_is_made_or_applied_and_not_both(org: LocalOrg) -> None:
    action = {"type": "composite-delete", "plan": "deletion-plan.json", "plan-only": True}
    with pytest.raises(PolicyValidationError, match="leave one of them out"):
        policy({"filters": [ALL], "actions": [action]})


@pytest.mark.parametrize("options", [{}, {"plan-only": True}], ids=["deleting", "planning"])
def test_a_digest_needs_its_plan(org: LocalOrg, options: dict[str, Any]) -> None:
    action = {"type": "composite-delete", "plan-sha256": "0" * 64, **options}
    with pytest.raises(PolicyValidationError, match="plan-sha256 without plan would delete"):
        policy({"filters": [ALL], "actions": [action]})
    assert policy(
        {
            "filters": [ALL],
            "actions": [{"type": "composite-delete", "plan": "p", "plan-sha256": "0" * 64}],
        }
    )


def test_the_user_behind_the_roles_of_a_profile_is_skipped(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = org.settings.management_account
    iam = org.client("iam", account)
    for name in ("runner", "other"):
        iam.create_user(UserName=name)
    key = iam.create_access_key(UserName="runner")["AccessKey"]
    (tmp_path / "config").write_text(
        f"[profile fleet]\nrole_arn = arn:aws:iam::{account}:role/CloudCustodian\nsource_profile = base\n"
        f"[profile base]\naws_access_key_id = {key['AccessKeyId']}\n"
        f"aws_secret_access_key = {key['SecretAccessKey']}\naws_session_token = {org.token}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    data = {"filters": [ALL], "actions": ["composite-delete"]}
    policy(data, tmp_path, account, profile="fleet").run()
    assert user_names(iam) == ["runner"]
    assert outcomes(tmp_path)["runner"]["reason"].startswith("the run itself acts as this user")


def test_an_unknown_principal_is_logged_once(
    org: LocalOrg, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _note_once.cache_clear()
    caplog.set_level(logging.INFO)
    for name in ("alice", "bob"):
        org.client("iam", ACCOUNT).create_user(UserName=name)
        delete(tmp_path)
    said = [record for record in caplog.records if "a principal behind this run" in record.message]
    assert [record.levelname for record in said] == ["INFO"]
    assert "who obtained the session" in said[0].message
    assert "there is nothing to do" in said[0].message


def test_a_second_run_over_the_same_output_is_refused(org: LocalOrg, tmp_path: Path) -> None:
    iam = create_full_user(org, "alice")
    place = tmp_path / "under-test"
    place.mkdir()
    held = f"is in use by policy under-test, process {os.getpid()} on"
    with run_lock(place, "policy under-test"), pytest.raises(PolicyExecutionError, match=held):
        delete(tmp_path)
    assert user_names(iam) == ["alice"]
    delete(tmp_path)
    assert user_names(iam) == []


@pytest.mark.parametrize("lost", [RUN_LOCK, JOURNAL])
@pytest.mark.parametrize(
    ("at", "left"),
    [
        pytest.param("DeleteUser", ["bob", "carol"], id="between-two-users"),
        pytest.param("PutUserPolicy", ["alice", "bob", "carol"], id="within-a-user"),
    ],
)
def test_a_run_whose_lock_or_journal_is_lost_changes_nothing_further(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str, at: str, left: list[str]
) -> None:
    iam = create_full_user(org, "alice")
    for name in ("bob", "carol"):
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=deny_all_document())
    monkeypatch.setattr(UserAction, "max_workers", 1)
    place = tmp_path / "under-test"

    def replaced() -> None:
        (place / lost).unlink(missing_ok=True)
        (place / lost).touch()

    on_call(monkeypatch, at, replaced, by_policies_only=True)
    with pytest.raises(PolicyExecutionError, match=rf"{lost} was replaced while this run used it"):
        delete(tmp_path)
    assert user_names(iam) == left
    found = outcomes(tmp_path)
    assert {found[name]["calls"] for name in ("bob", "carol")} == {0}
    assert all("another run may have begun" in found[name]["reason"] for name in left)
    assert all(iam.list_user_policies(UserName=name)["PolicyNames"] == ["own"] for name in ("bob", "carol"))
    if "alice" in left:
        assert found["alice"]["calls"] == 1
        assert "it is locked out by our Deny-all" in found["alice"]["reason"]


def test_a_disk_that_fills_up_hides_nobody_for_good(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create_full_user(org, "alice")
    write, full = Journal.write, [False]

    def writing(self: Journal, subject: Any, phase: str, **entry: Any) -> None:
        full[0] = full[0] or (phase == "after" and entry.get("operation") == "DeleteUser")
        if full[0]:
            raise JournalRefused(f"{subject}: No space left on device")
        write(self, subject, phase, **entry)

    def refusing(*_: Any) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "write", writing)
        patch.setattr(DirectoryStore, "update", refusing)
        with pytest.raises(PolicyExecutionError, match="No space left"):
            delete(tmp_path)
    assert user_names(iam) == []
    assert not (tmp_path / "under-test" / "outcomes.json").exists()
    delete(tmp_path)  # no user is selected, and the outcome is written all the same
    row = outcomes(tmp_path)["alice"]
    assert (row["status"], row["unique_id"][:4]) == ("deleted", "AIDA")
    assert row["time"] > "2026"
