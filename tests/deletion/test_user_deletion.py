# SPDX-License-Identifier: Apache-2.0
"""What others do to a user while it is being deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from aws_local_org.iam.seeding import add_access_key, add_user, set_access_key_last_used, set_create_date
from aws_local_org.seeding.key_material import SSH_PUBLIC_KEYS
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.plugins.composite_delete import CompositeDelete
from c7n_iamusers.restoration.snapshot_files import collected
from c7n_iamusers.snapshots.removed_by_deletion import whole_snapshot
from c7n_iamusers.snapshots.user_records import UserRecords
from tests.fakes import client_error
from tests.interference import deny, on_call
from tests.plugins.deletions import acting, delete, outcomes, user_names
from tests.policies import ACCOUNT
from tests.used_permissions import run_within_permissions

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
KEEP = {"group": "keep", "reason": "a test", "expires": "2999-12-31"}
READ_ONLY, FULL_ACCESS = (
    f"arn:aws:iam::aws:policy/{name}" for name in ("ReadOnlyAccess", "AmazonS3FullAccess")
)
LEAKED = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"


def create(org: LocalOrg, *names: str) -> Any:
    """Users with an access key each; the client."""
    iam = org.client("iam", ACCOUNT)
    for name in names:
        iam.create_user(UserName=name)
        iam.create_access_key(UserName=name)
    return iam


def quarantine(iam: Any, name: str) -> None:
    """The Deny-all of a quarantine of long ago, with nothing to switch off."""
    record = QuarantineRecord(datetime(2026, 1, 1, tzinfo=timezone.utc), "by-hand", "a test", ())
    document = deny_all_document(record.sids[0])
    iam.put_user_policy(UserName=name, PolicyName=DENY_ALL_NAME, PolicyDocument=document)


def _once(happens: Callable[[], object]) -> Callable[[], object]:
    calls = iter([happens])
    return lambda: next(calls, lambda: None)()


@pytest.mark.whole
@pytest.mark.parametrize(
    ("options", "change", "reason"),
    [
        pytest.param(
            {},
            lambda iam: iam.add_user_to_group(GroupName="keep", UserName="zoe"),
            "exempt by group",
            id="exempt-group",
        ),
        pytest.param(
            {},
            lambda iam: iam.attach_user_policy(UserName="zoe", PolicyArn=LEAKED),
            "one of its keys leaked",
            id="compromised",
        ),
        pytest.param(
            {"quarantined-for": 1},
            lambda iam: iam.delete_user_policy(UserName="zoe", PolicyName=DENY_ALL_NAME),
            "not in quarantine",
            id="released",
        ),
        pytest.param(
            {"quarantined-for": 1},
            lambda iam: iam.create_service_specific_credential(
                UserName="zoe", ServiceName="bedrock.amazonaws.com"
            ),
            "no longer holds",
            id="new-credential",
        ),
    ],
)
def test_a_change_after_the_lists_were_read_protects_the_user(
    org: LocalOrg,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    change: Callable[[Any], object],
    reason: str,
) -> None:
    # As many as make the lists of all users worth reading.
    names = [f"user-{number}" for number in range(5)] + ["zoe"]
    iam = org.client("iam", ACCOUNT)
    for name in names:
        iam.create_user(UserName=name)
        quarantine(iam, name)
    iam.create_group(GroupName="keep")
    monkeypatch.setattr(CompositeDelete, "max_workers", 1)
    read = LiveUsers.read

    def late(self: LiveUsers, name: str) -> Any:
        if name == "zoe":
            change(iam)
        return read(self, name)

    monkeypatch.setattr(LiveUsers, "read", late)
    run_within_permissions(acting({"type": "composite-delete", **options}, tmp_path, KEEP))
    assert user_names(iam) == ["zoe"]
    row = outcomes(tmp_path)["zoe"]
    assert (row["status"], row["calls"]) == ("skipped", 0)
    assert reason in row["reason"]


@pytest.mark.parametrize("moment", ["PutUserPolicy", "DeleteAccessKey", "DeleteUser"])
def test_a_renamed_user_is_not_taken_for_deleted(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    iam = create(org, "alice")
    on_call(
        monkeypatch, moment, _once(lambda: iam.update_user(UserName="alice", NewUserName="alice-renamed"))
    )
    with pytest.raises(PolicyExecutionError, match="renamed to alice-renamed meanwhile; run again"):
        delete(tmp_path)
    assert user_names(iam) == ["alice-renamed"]
    assert outcomes(tmp_path)["alice"]["status"] == "failed"


@pytest.mark.parametrize("moment", ["PutUserPolicy", "DeleteAccessKey", "DeleteUser"])
def test_a_user_that_somebody_else_deletes_meanwhile_is_gone(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    iam = create(org, "alice")

    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName="alice")["VirtualMFADevice"]["SerialNumber"]
    codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
    iam.enable_mfa_device(UserName="alice", SerialNumber=serial, **codes)
    on_call(monkeypatch, moment, _once(lambda: remove(iam)))
    delete(tmp_path)
    row = outcomes(tmp_path)["alice"]
    assert (user_names(iam), row["status"]) == ([], "skipped")
    assert row["reason"].startswith("already gone: somebody else deleted it after ")
    # the other one left the device, which would block a later one of its name
    assert iam.list_virtual_mfa_devices()["VirtualMFADevices"] == []


def remove(iam: Any) -> None:
    """What somebody else deletes alice with; virtual MFA devices are left behind."""
    for key in iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"])
    for device in iam.list_mfa_devices(UserName="alice")["MFADevices"]:
        iam.deactivate_mfa_device(UserName="alice", SerialNumber=device["SerialNumber"])
    for name in iam.list_user_policies(UserName="alice")["PolicyNames"]:
        iam.delete_user_policy(UserName="alice", PolicyName=name)
    try:
        iam.delete_login_profile(UserName="alice")
    except iam.exceptions.NoSuchEntityException:
        pass
    iam.delete_user(UserName="alice")


def make_again(iam: Any) -> None:
    """The same name for another user, with a password and a policy of its own."""
    remove(iam)
    iam.create_user(UserName="alice")
    iam.create_login_profile(UserName="alice", Password="correct-Horse-7-battery")
    iam.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")


def everything(iam: Any) -> Any:
    """What a user of the name holds."""
    login = iam.get_login_profile(UserName="alice")["LoginProfile"]["UserName"]
    attached = iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]
    user = iam.get_user(UserName="alice")["User"]
    inline = iam.list_user_policies(UserName="alice")["PolicyNames"]
    return login, [each["PolicyName"] for each in attached], inline, user.get("PermissionsBoundary")


WHOLE: Any = ("alice", ["ReadOnlyAccess"], [], None)


@pytest.mark.parametrize("full", [False, True], ids=["inline", "attached"])
@pytest.mark.parametrize("bare", [False, True], ids=["with-a-password", "bare"])
def test_a_new_user_of_the_name_made_before_our_first_call_keeps_everything(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bare: bool, full: bool
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    if not bare:
        iam.create_login_profile(UserName="alice", Password="correct-Horse-7-battery")
    if full:
        iam.put_user_policy(UserName="alice", PolicyName="filling", PolicyDocument=FILLING)
    if bare and not full:  # no Deny on a user that holds nothing: what comes first is DeleteUser's own check
        delete_after_throttling(org, monkeypatch, iam)
    else:
        on_call(monkeypatch, "AttachUserPolicy" if full else "PutUserPolicy", _once(lambda: make_again(iam)))
    if bare and not full:
        with pytest.raises(PolicyExecutionError, match="now belongs to another user"):
            delete(tmp_path)
    else:
        with pytest.raises(
            PolicyExecutionError, match=r"was on it for a moment and was removed|DetachUserPolicy detached it"
        ):
            delete(tmp_path)
    assert everything(iam) == WHOLE
    row = outcomes(tmp_path)["alice"]
    assert row["status"] == "failed"
    assert row["unique_id"] not in row["reason"]
    assert iam.get_user(UserName="alice")["User"]["UserId"] in row["reason"]


def delete_after_throttling(org: LocalOrg, monkeypatch: pytest.MonkeyPatch, iam: Any) -> None:
    """DeleteUser is throttled once, and the name changes hands in the pause."""
    calls = iter([True])

    def throttle() -> None:
        if next(calls, False):
            make_again(iam)
            raise client_error("Throttling")

    on_call(monkeypatch, "DeleteUser", throttle, by_policies_only=True)


def test_calls_that_may_have_changed_a_new_user_are_reported(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create(org, "alice")
    iam.create_login_profile(UserName="alice", Password="correct-Horse-7-battery")
    on_call(monkeypatch, "DeleteLoginProfile", _once(lambda: make_again(iam)))
    with pytest.raises(PolicyExecutionError, match=r"may have changed before this .* DeleteLoginProfile"):
        delete(tmp_path)
    assert user_names(iam) == ["alice"]
    # our Deny was on the former one and went with it
    assert iam.list_user_policies(UserName="alice")["PolicyNames"] == []


def test_a_strangers_own_deny_of_our_name_stays(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create(org, "alice")

    def make_quarantined() -> None:
        make_again(iam)
        quarantine(iam, "alice")

    on_call(monkeypatch, "DeleteAccessKey", _once(make_quarantined))
    with pytest.raises(PolicyExecutionError, match="now belongs to another user"):
        delete(tmp_path)
    assert everything(iam) == ("alice", ["ReadOnlyAccess"], [DENY_ALL_NAME], None)


FILLING = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "x" * 1_850, "Effect": "Deny", "Action": "s3:*", "Resource": "*"}],
    }
)


def test_the_boundary_is_the_last_form_and_only_as_it_was_recorded(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create(org, "alice")
    for operation in ("PutUserPolicy", "AttachUserPolicy"):
        deny(monkeypatch, operation)
    admin = org.client("iam", ACCOUNT)
    arn = "arn:aws:iam::aws:policy/PowerUserAccess"
    seen: list[str] = []
    changes = iter([lambda: admin.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=arn)])
    # between the snapshot and the Deny, somebody gives the user a boundary
    keep = UserRecords.keep

    def kept(self: UserRecords, found: Any) -> None:
        keep(self, found)
        next(changes, lambda: None)()

    monkeypatch.setattr(UserRecords, "keep", kept)
    on_call(monkeypatch, "DeleteUser", lambda: seen.append("reached"))
    delete(tmp_path)
    assert user_names(iam) == []
    (run,) = (tmp_path / "under-test" / "snapshots").glob("alice.*.2.json")
    held = json.loads(run.read_text())["attachments"]["permissions-boundary"]
    assert [item["PermissionsBoundaryArn"] for item in held] == [arn]
    lines = [
        json.loads(line) for line in (tmp_path / "under-test" / "journal.jsonl").read_text().splitlines()
    ]
    notes = [
        line["notes"]
        for line in lines
        if line.get("operation") == "PutUserPermissionsBoundary" and "notes" in line
    ]
    assert [note["former-boundary"] for note in notes] == [arn]


def test_only_a_denial_or_a_limit_leads_to_the_next_form(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create(org, "alice")

    def fail() -> None:
        raise client_error("MalformedPolicyDocument")

    on_call(monkeypatch, "PutUserPolicy", fail)
    org.clear_calls()
    with pytest.raises(PolicyExecutionError, match="MalformedPolicyDocument"):
        delete(tmp_path)
    assert len(iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]) == 1
    assert "AttachUserPolicy" not in {call.operation for call in org.calls}


def test_a_deny_of_somebody_elses_comes_back_with_the_user(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create(org, "alice")
    with monkeypatch.context() as patch:
        deny(patch, "DeleteAccessKey")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path)
    iam.attach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=DENY_ALL)
    delete(tmp_path)
    (user,) = collected([tmp_path]).users
    whole = whole_snapshot(user.recorded.snapshots, user.recorded.history).user.attachments
    assert [item["PolicyArn"] for item in whole["attached-policy"]] == [DENY_ALL]
    assert [item["PermissionsBoundaryArn"] for item in whole["permissions-boundary"]] == [DENY_ALL]


def test_an_inline_policy_changed_since_the_review_is_noticed(org: LocalOrg, tmp_path: Path) -> None:
    iam = create(org, *[f"user-{number}" for number in range(6)])

    def put(action: str) -> None:
        statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="user-3", PolicyName="own", PolicyDocument=document)

    put("s3:*")
    delete(tmp_path / "plan", **{"plan-only": True})
    put("ec2:*")
    delete(tmp_path, plan=str(tmp_path / "plan" / "under-test" / "deletion-plan.json"))
    assert user_names(iam) == ["user-3"]
    assert outcomes(tmp_path)["user-3"]["reason"].startswith("it has changed since the plan was made")


def test_a_key_rotated_between_its_list_and_its_text_does_not_hide_the_user(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create(org, "alice")
    first = iam.upload_ssh_public_key(UserName="alice", SSHPublicKeyBody=SSH_PUBLIC_KEYS[0])["SSHPublicKey"]

    def rotate() -> None:
        iam.delete_ssh_public_key(UserName="alice", SSHPublicKeyId=first["SSHPublicKeyId"])
        iam.upload_ssh_public_key(UserName="alice", SSHPublicKeyBody=SSH_PUBLIC_KEYS[1])

    on_call(monkeypatch, "GetSSHPublicKey", _once(rotate))
    delete(tmp_path)
    assert (user_names(iam), outcomes(tmp_path)["alice"]["status"]) == ([], "deleted")


def test_a_user_renamed_before_its_turn_is_not_gone(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create(org, "alice")
    rename = _once(lambda: iam.update_user(UserName="alice", NewUserName="zoe"))
    on_call(monkeypatch, "GetLoginProfile", rename)
    with pytest.raises(PolicyExecutionError, match="renamed to zoe meanwhile"):
        delete(tmp_path)
    assert user_names(iam) == ["zoe"]


def test_a_deletion_begun_with_another_output_is_left_to_that(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create(org, "alice")
    iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=DENY_ALL)
    with monkeypatch.context() as patch:
        deny(patch, "DeleteAccessKey")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path / "here", adopt=True)
    with pytest.raises(PolicyExecutionError, match="its deletion began on 20"):
        delete(tmp_path / "there")
    assert user_names(iam) == ["alice"]
    row = outcomes(tmp_path / "there")["alice"]
    assert (row["status"], row["calls"]) == ("failed", 0)
    assert "began on 20" in row["reason"]
    assert "adopt: true" in row["reason"]
    delete(tmp_path / "there", adopt=True)
    (user,) = collected([tmp_path / "there"]).users
    (snapshot,) = user.recorded.snapshots
    assert snapshot.partial
    held = snapshot.user.attachments
    assert held["inline-policy"] == ()  # our Deny
    assert [item["PermissionsBoundaryArn"] for item in held["permissions-boundary"]] == [DENY_ALL]


@pytest.mark.parametrize("since", ["used", "made"])
def test_use_or_creation_after_the_report_protects_the_user(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, since: str
) -> None:
    old = datetime(2020, 1, 1, tzinfo=timezone.utc)
    with org.lock:
        account = org.backend("iam", ACCOUNT)
        user = add_user(account, "alice")
        set_create_date(user, old)
        key = add_access_key(account, user, created=old)
    iam = org.client("iam", ACCOUNT)
    iam.generate_credential_report()

    def act() -> None:
        if since == "made":
            iam.create_login_profile(UserName="alice", Password="correct-Horse-7-battery")
        else:
            with org.lock:
                set_access_key_last_used(key, datetime.now(timezone.utc), service="s3", region="eu-west-1")

    filters = [{"type": "unnecessary", "exempt": "none", "unused-for": 90, "kinds": ["machine", "unknown"]}]
    found = acting({"type": "composite-delete", "active-within": 90}, tmp_path, filters=filters)
    on_call(monkeypatch, "GetLoginProfile", _once(act))
    run_within_permissions(found)
    row = outcomes(tmp_path)["alice"]
    assert (user_names(iam), row["status"], row["calls"]) == (["alice"], "skipped", 0)
    expected = "active within 90 days: its access key" if since == "used" else "no longer selects it"
    assert expected in row["reason"]


def test_a_quarantined_user_keeps_a_deny_where_it_can_not_be_deleted(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    quarantine(iam, "alice")
    with monkeypatch.context() as patch:
        deny(patch, "DeleteUser")
        with pytest.raises(PolicyExecutionError, match="iam:DeleteUser failed with AccessDenied"):
            delete(tmp_path, **{"quarantined-for": 1})
    assert iam.list_user_policies(UserName="alice")["PolicyNames"] == [DENY_ALL_NAME]
    delete(tmp_path, **{"quarantined-for": 1})
    assert user_names(iam) == []
    assert json.loads((tmp_path / "under-test" / "outcomes.json").read_text())[0]["status"] == "deleted"


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "answer-lost"])
@pytest.mark.parametrize("form", ["PutUserPolicy", "AttachUserPolicy"])
def test_the_deny_is_put_back_in_its_form_if_the_user_could_not_be_deleted(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, lost: bool
) -> None:
    iam = create(org, "alice")
    with monkeypatch.context() as patch:
        if form == "AttachUserPolicy":
            deny(patch, "PutUserPolicy")
        on_call(patch, "DeleteUser", lambda: fail_to_delete(lost))
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path)
    inline = iam.list_user_policies(UserName="alice")["PolicyNames"]
    attached = iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]
    held = ([DENY_ALL_NAME], []) if form == "PutUserPolicy" else ([], [DENY_ALL])
    assert (inline, [each["PolicyArn"] for each in attached]) == held
    assert "it is locked out by our Deny-all" in outcomes(tmp_path)["alice"]["reason"]
    delete(tmp_path)
    assert user_names(iam) == []


def fail_to_delete(lost: bool) -> None:
    raise ReadTimeoutError(endpoint_url="iam") if lost else client_error("AccessDenied")


def test_that_the_deny_could_not_be_put_back_is_said(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(org, "alice")

    def fail() -> None:
        deny(monkeypatch, "PutUserPolicy")
        raise client_error("AccessDenied")

    deny(monkeypatch, "PutUserPermissionsBoundary")
    on_call(monkeypatch, "DeleteUser", fail)
    with pytest.raises(PolicyExecutionError):
        delete(tmp_path)
    reason = outcomes(tmp_path)["alice"]["reason"]
    assert "its Deny-all could not be put on again" in reason
    assert "an open session of it still works: run again" in reason


def test_a_deny_that_was_put_back_on_another_user_is_removed_from_it(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create(org, "alice")

    def fail() -> None:
        on_call(monkeypatch, "PutUserPolicy", _once(lambda: make_again(iam)))
        raise client_error("AccessDenied")

    on_call(monkeypatch, "DeleteUser", _once(fail), by_policies_only=True)
    with pytest.raises(
        PolicyExecutionError, match=r"was on it for a moment and was removed|DetachUserPolicy detached it"
    ):
        delete(tmp_path)
    assert everything(iam) == WHOLE


def denials(iam: Any) -> tuple[list[str], list[str], str]:
    """The inline and attached policies of alice, and its permissions boundary."""
    inline = iam.list_user_policies(UserName="alice")["PolicyNames"]
    attached = iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]
    boundary = iam.get_user(UserName="alice")["User"].get("PermissionsBoundary", {})
    return inline, [each["PolicyArn"] for each in attached], boundary.get("PermissionsBoundaryArn", "")


class Killed(BaseException):
    """The task was stopped."""


@pytest.mark.parametrize("former", ["", READ_ONLY], ids=["unbound", "bound-otherwise"])
@pytest.mark.parametrize("form", ["inline", "attached"])
def test_a_user_is_denied_until_it_is_gone_though_the_run_is_killed_and_others_give_it_a_policy(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, former: str
) -> None:
    iam = create(org, "alice")
    if former:
        iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=former)
    with monkeypatch.context() as patch:
        if form == "attached":
            deny(patch, "PutUserPolicy")

        def die() -> None:
            raise Killed

        on_call(patch, "DeleteUser", die)
        with pytest.raises(Killed):
            delete(tmp_path)
    assert denials(iam) == ([], [], DENY_ALL)

    seen = []

    def give() -> None:
        seen.append(denials(iam))
        iam.attach_user_policy(UserName="alice", PolicyArn=FULL_ACCESS)

    on_call(monkeypatch, "DeleteUser", _once(give), by_policies_only=True)
    on_call(monkeypatch, "DetachUserPolicy", lambda: seen.append(denials(iam)), by_policies_only=True)
    delete(tmp_path)
    assert (user_names(iam), outcomes(tmp_path)["alice"]["status"]) == ([], "deleted")
    assert len(seen) > 1
    assert {boundary for *_, boundary in seen} == {DENY_ALL}
    assert recorded_boundary(tmp_path) == former


def recorded_boundary(output: Path) -> str:
    """The boundary that comes back with the user."""
    found = collected([output / "under-test"]).users[0].recorded
    user = whole_snapshot(found.snapshots, found.history).user
    return "".join(item["PermissionsBoundaryArn"] for item in user.attachments["permissions-boundary"])


def test_a_new_user_of_the_name_that_got_our_boundary_is_reported(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create(org, "alice")
    again = _once(lambda: make_again(iam))
    on_call(monkeypatch, "PutUserPermissionsBoundary", again, by_policies_only=True)
    with pytest.raises(PolicyExecutionError, match="PutUserPermissionsBoundary may have made AWSDenyAll its"):
        delete(tmp_path)
    bound = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": DENY_ALL}
    assert everything(iam) == (*WHOLE[:3], bound)
    assert "set the one that it should have" in outcomes(tmp_path)["alice"]["reason"]


def test_a_deny_that_could_not_be_put_back_at_first_and_is_on_again_is_told_as_it_is(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create(org, "alice")
    deny(monkeypatch, "PutUserPermissionsBoundary")
    puts = iter([None, client_error("AccessDenied")])
    conflicts = iter([lambda: iam.create_access_key(UserName="alice")])

    def put() -> None:
        if error := next(puts, None):
            raise error

    def delete_user() -> None:
        if somebody_adds := next(conflicts, None):
            somebody_adds()
            raise client_error("DeleteConflict")
        raise client_error("AccessDenied")

    on_call(monkeypatch, "PutUserPolicy", put)
    on_call(monkeypatch, "DeleteUser", delete_user)
    with pytest.raises(PolicyExecutionError):
        delete(tmp_path)
    assert denials(iam) == ([DENY_ALL_NAME], [], "")
    reason = outcomes(tmp_path)["alice"]["reason"]
    assert "it is locked out by our Deny-all" in reason
    assert "could not be put on again" not in reason
