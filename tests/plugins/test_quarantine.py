# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from aws_local_org import LocalOrg
from aws_local_org.iam.seeding import set_access_key_last_used, set_password_last_used
from c7n_iamusers.lockout.deny_all import BROWNOUT_NAME, DENY_ALL_NAME, deny_all_document
from c7n_iamusers.lockout.quarantine_record import QUARANTINE_TAG
from c7n_iamusers.quarantine import user_quarantine
from c7n_iamusers.quarantine.plan import plan_brownout
from tests.full_users import create_full_user
from tests.interference import deny, on_call
from tests.plugins.deletions import acting, delete, outcomes, user_names
from tests.policies import ACCOUNT, policy
from tests.used_permissions import run_within_permissions

LISTS = {
    "list_access_keys": "AccessKeyMetadata",
    "list_signing_certificates": "Certificates",
    "list_ssh_public_keys": "SSHPublicKeys",
    "list_service_specific_credentials": "ServiceSpecificCredentials",
}
FILLING = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "x" * 1_800, "Effect": "Deny", "Action": "s3:*", "Resource": "*"}],
    }
)


def quarantine(output: Path, **options: Any) -> list[dict[str, Any]]:
    action = {"type": "quarantine", "reason": "unused (90 days)", **options}
    found: list[dict[str, Any]] = run_within_permissions(acting(action, output))
    return found


def release(output: Path, **options: Any) -> None:
    freeing = {"name": "freeing", "actions": [{"type": "release", **options}]}
    run_within_permissions(policy(freeing, output))


def released(output: Path) -> dict[str, Any]:
    (row,) = json.loads((output / "freeing" / "outcomes.json").read_text())
    found: dict[str, Any] = row
    return found


def statuses(iam: Any) -> list[str]:
    found = (getattr(iam, method)(UserName="alice")[member] for method, member in LISTS.items())
    return [each["Status"] for items in found for each in items]


def state(iam: Any) -> Any:
    """All that can be seen of the account's users."""
    details = iam.get_account_authorization_details(Filter=["User"])["UserDetailList"]
    return details, statuses(iam), iam.list_mfa_devices(UserName="alice")["MFADevices"]


@pytest.fixture
def iam(org: LocalOrg, request: pytest.FixtureRequest) -> Any:
    """alice with everything, so many times as a test says; one key of hers inactive."""
    client = create_full_user(org, "alice", times=getattr(request, "param", 1))
    key = client.list_access_keys(UserName="alice")["AccessKeyMetadata"][0]["AccessKeyId"]
    client.update_access_key(UserName="alice", AccessKeyId=key, Status="Inactive")
    return client


@pytest.mark.parametrize("iam", [3], indirect=True, ids=["full"])
def test_nothing_works_for_a_user_in_quarantine(iam: Any, tmp_path: Path) -> None:
    (resource,) = quarantine(tmp_path)
    assert set(statuses(iam)) == {"Inactive"}
    document = iam.get_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME)["PolicyDocument"]
    (statement,) = document["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "*", "*")
    tags = {tag["Key"]: tag["Value"] for tag in iam.list_user_tags(UserName="alice")["Tags"]}
    assert tags[QUARANTINE_TAG].endswith("deny=inline by under-test: unused 90 days")
    row = outcomes(tmp_path)["alice"]
    assert row["status"] == "quarantined"
    assert "console password still works" in row["reason"]
    assert resource["c7n:IamUser"]["outcome"]["status"] == "quarantined"
    assert len(list((tmp_path / "under-test" / "snapshots").iterdir())) == 1


@pytest.mark.parametrize(
    "inline", [pytest.param(None, id="inline"), pytest.param(FILLING, id="aws-deny-all")]
)
def test_release_restores_the_earlier_state_from_any_machine(
    iam: Any, tmp_path: Path, inline: str | None
) -> None:
    if inline:
        iam.put_user_policy(UserName="alice", PolicyName="filling", PolicyDocument=inline)
    before = state(iam)
    quarantine(tmp_path / "here")
    attached = iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]
    assert ("AWSDenyAll" in [each["PolicyName"] for each in attached]) is bool(inline)
    # an inline Deny carries its record to any machine; another form needs the journal
    release(tmp_path / "there", **({"record-from": str(tmp_path / "here")} if inline else {}))
    assert state(iam) == before
    assert released(tmp_path / "there")["status"] == "released"


def test_again_it_changes_nothing(iam: Any, tmp_path: Path) -> None:
    quarantine(tmp_path)
    before = state(iam)
    quarantine(tmp_path)
    assert state(iam) == before
    row = outcomes(tmp_path)["alice"]
    assert row["status"] == "unchanged"
    assert "AWS reports no use since, which does not prove" in row["reason"]


def undo_by_hand(iam: Any) -> str:
    """Takes the Deny off and activates a key that was active before; that key's id."""
    iam.delete_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME)
    key = str(iam.list_access_keys(UserName="alice")["AccessKeyMetadata"][-1]["AccessKeyId"])
    iam.update_access_key(UserName="alice", AccessKeyId=key, Status="Active")
    return key


@pytest.mark.parametrize(
    "again", [pytest.param(False, id="release"), pytest.param(True, id="quarantine-and-release")]
)
def test_a_key_deactivated_since_the_deny_was_taken_off_stays_off(
    iam: Any, tmp_path: Path, again: bool
) -> None:
    quarantine(tmp_path)
    key = undo_by_hand(iam)
    iam.update_access_key(UserName="alice", AccessKeyId=key, Status="Inactive")  # it leaked
    if again:
        with pytest.raises(PolicyExecutionError, match=r"no longer holds.*its Deny-all is gone.*again"):
            quarantine(tmp_path)
        assert f"access key {key}" in outcomes(tmp_path)["alice"]["reason"]
    release(tmp_path)
    assert set(statuses(iam)) == {"Inactive"}
    assert DENY_ALL_NAME not in iam.list_user_policies(UserName="alice")["PolicyNames"]
    assert f"they stay inactive: access key {key}" in released(tmp_path)["reason"]


def test_a_reason_that_tags_cannot_say_does_not_keep_a_user_in_quarantine(iam: Any, tmp_path: Path) -> None:
    iam.put_user_policy(UserName="alice", PolicyName="filling", PolicyDocument=FILLING)
    before = state(iam)
    quarantine(tmp_path, reason="???")
    release(tmp_path)
    assert state(iam) == before
    assert released(tmp_path)["status"] == "released"


def test_a_foreign_file_of_outcomes_stops_the_run_before_it_touches_anyone(iam: Any, tmp_path: Path) -> None:
    place = tmp_path / "under-test" / "outcomes.json"
    place.parent.mkdir()
    place.write_text('{"version": 2}')
    before = state(iam)
    with pytest.raises(PolicyExecutionError, match=f"{place} is not a file of outcomes"):
        delete(tmp_path)
    assert state(iam) == before


def later() -> datetime:
    return datetime.now(timezone.utc) + timedelta(minutes=5)


def use_password(org: LocalOrg) -> None:
    with org.lock:
        set_password_last_used(org.backend("iam", ACCOUNT).get_user("alice"), later())


def use_key(org: LocalOrg, name: str = "") -> None:
    with org.lock:
        keys = org.backend("iam", ACCOUNT).get_user("alice").access_keys
        key = next(each for each in keys if name in ("", each.access_key_id))
        set_access_key_last_used(key, later(), service="s3", region="eu-west-1")


@pytest.mark.parametrize("use", [use_password, use_key])
def test_use_after_quarantine_is_reported_and_keeps_the_user(
    org: LocalOrg, iam: Any, tmp_path: Path, use: Any
) -> None:
    quarantine(tmp_path)
    use(org)
    quarantine(tmp_path)
    assert "was used" in outcomes(tmp_path)["alice"]["reason"]
    delete(tmp_path, **{"quarantined-for": 1e-9})
    assert "still in use in its quarantine" in outcomes(tmp_path)["alice"]["reason"]
    release(tmp_path)
    assert "was used" in released(tmp_path)["reason"]
    assert user_names(iam) == ["alice"]


def test_a_quarantined_user_is_deleted_after_its_days_and_not_before(iam: Any, tmp_path: Path) -> None:
    delete(tmp_path, **{"quarantined-for": 1e-9})
    assert outcomes(tmp_path)["alice"]["reason"].startswith("not in quarantine")
    quarantine(tmp_path)
    delete(tmp_path, **{"quarantined-for": 14})
    assert "in quarantine for less than 14 days" in outcomes(tmp_path)["alice"]["reason"]
    assert user_names(iam) == ["alice"]
    delete(tmp_path, **{"quarantined-for": 1e-9})
    assert user_names(iam) == []


def test_a_deletion_stopped_after_removing_the_deny_continues(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantine(tmp_path)
    with monkeypatch.context() as patch:
        deny(patch, "DeleteUser")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path, **{"quarantined-for": 1e-9})
    # what the Deny covered stays covered until the user is gone
    assert iam.list_user_policies(UserName="alice")["PolicyNames"] == [DENY_ALL_NAME]
    delete(tmp_path, **{"quarantined-for": 1e-9})
    assert user_names(iam) == []


FORGED = {"Key": QUARANTINE_TAG, "Value": "2020-01-01T00:00:00Z deny=attached by park: long ago"}


def fill(iam: Any, tags: int, policies: int) -> None:
    """No room for an inline Deny; so many tags and attached policies more."""
    iam.put_user_policy(UserName="alice", PolicyName="filling", PolicyDocument=FILLING)
    iam.tag_user(UserName="alice", Tags=[{"Key": f"more-{n}", "Value": "v"} for n in range(tags)])
    for name in AWS_POLICIES[:policies]:
        iam.attach_user_policy(UserName="alice", PolicyArn=f"arn:aws:iam::aws:policy/{name}")


AWS_POLICIES = (
    "AmazonEC2ReadOnlyAccess",
    "AmazonSNSReadOnlyAccess",
    "AmazonSQSReadOnlyAccess",
    "AmazonVPCReadOnlyAccess",
    "IAMReadOnlyAccess",
    "AmazonRDSReadOnlyAccess",
    "AmazonDynamoDBReadOnlyAccess",
    "AmazonKinesisFullAccess",
    "AmazonKinesisReadOnlyAccess",
)


@pytest.mark.parametrize(
    ("tags", "policies", "form"),
    [(0, 0, "attached"), (46, 0, "attached"), (0, 9, "boundary"), (46, 9, "boundary")],
    ids=["roomy", "full-of-tags", "full-of-policies", "full-of-both"],
)
def test_forged_and_full_tags_neither_stop_a_quarantine_nor_shorten_it(
    iam: Any, tmp_path: Path, tags: int, policies: int, form: str
) -> None:
    fill(iam, tags, policies)
    iam.tag_user(UserName="alice", Tags=[FORGED])
    boundary = iam.get_user(UserName="alice")["User"]["PermissionsBoundary"]
    before = statuses(iam)
    quarantine(tmp_path)
    assert outcomes(tmp_path)["alice"]["status"] == "quarantined"
    assert set(statuses(iam)) == {"Inactive"}
    attached = iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]
    denied = {"attached": "AWSDenyAll" in {each["PolicyName"] for each in attached}}
    now = iam.get_user(UserName="alice")["User"]["PermissionsBoundary"]
    denied["boundary"] = now["PermissionsBoundaryArn"].endswith("/AWSDenyAll")
    assert [name for name, there in denied.items() if there] == [form]
    # the forged tag says 2020; the record says today
    iam.tag_user(UserName="alice", Tags=[FORGED])
    delete(tmp_path, **{"quarantined-for": 14})
    assert "in quarantine for less than 14 days" in outcomes(tmp_path)["alice"]["reason"]
    release(tmp_path)
    assert statuses(iam) == before
    assert iam.get_user(UserName="alice")["User"]["PermissionsBoundary"] == boundary


def test_a_forged_tag_alone_is_no_quarantine_and_release_switches_nothing_on(
    iam: Any, tmp_path: Path
) -> None:
    key = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"][0]["AccessKeyId"]
    iam.tag_user(UserName="alice", Tags=[FORGED])
    iam.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    before = state(iam)
    delete(tmp_path, **{"quarantined-for": 14})
    assert outcomes(tmp_path)["alice"]["reason"].startswith("not in quarantine")
    with pytest.raises(PolicyExecutionError, match=f"Inactive now: access key {key}"):
        release(tmp_path)
    assert state(iam) == before
    with pytest.raises(PolicyExecutionError, match="no journal of this output or of those beside it shows"):
        quarantine(tmp_path)
    assert state(iam) == before
    acting({"type": "quarantine", "adopt": True}, tmp_path).run()
    with pytest.raises(PolicyExecutionError, match="AWSDenyAll is still attached"):
        release(tmp_path)
    rest = [tag for tag in iam.list_user_tags(UserName="alice")["Tags"] if tag["Key"].startswith("c7n-")]
    assert (statuses(iam), rest) == (before[1], [])


def test_where_the_role_may_use_no_deny_credentials_are_switched_off_all_the_same(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for operation in ("PutUserPolicy", "AttachUserPolicy", "PutUserPermissionsBoundary"):
        deny(monkeypatch, operation)
    with pytest.raises(PolicyExecutionError, match="were deactivated nevertheless: ACCA"):
        quarantine(tmp_path)
    assert set(statuses(iam)) == {"Inactive"}
    row = outcomes(tmp_path)["alice"]
    assert row["status"] == "failed"
    assert all(identity in row["reason"] for identity in _ids(iam, "AccessKeyId"))


def _ids(iam: Any, member: str) -> list[str]:
    keys = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    return [key[member] for key in keys if key["AccessKeyId"] != keys[0]["AccessKeyId"]]


def days_ago(output: Path, days: int) -> None:
    """Move what the journal of ``output`` has into the past."""

    def earlier(found: re.Match[str]) -> str:
        return (datetime.fromisoformat(found[0]) - timedelta(days=days)).isoformat()

    journal = output / "under-test" / "journal.jsonl"
    journal.write_text(re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", earlier, journal.read_text()))


DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


def by_hand(iam: Any, form: str, key: str, on: bool) -> None:
    """Put AWSDenyAll on and deactivate ``key``, or undo both."""
    alice = {"UserName": "alice"}
    if form == "attached":
        (iam.attach_user_policy if on else iam.detach_user_policy)(**alice, PolicyArn=DENY_ALL)
    elif on:
        iam.put_user_permissions_boundary(**alice, PermissionsBoundary=DENY_ALL)
    else:
        iam.delete_user_permissions_boundary(**alice)
    iam.update_access_key(**alice, AccessKeyId=key, Status="Inactive" if on else "Active")


@pytest.mark.parametrize(
    ("form", "policies", "seen"), [("attached", 0, "by-a-run"), ("boundary", 9, "by-its-use")]
)
def test_a_release_leaves_a_user_that_security_holds_after_somebody_undid_its_quarantine(
    org: LocalOrg, iam: Any, tmp_path: Path, form: str, policies: int, seen: str
) -> None:
    fill(iam, 0, policies)
    iam.delete_login_profile(UserName="alice")
    key = str(iam.list_access_keys(UserName="alice")["AccessKeyMetadata"][1]["AccessKeyId"])
    quarantine(tmp_path)
    days_ago(tmp_path, 20)
    by_hand(iam, form, key, on=False)
    if seen == "by-a-run":
        with pytest.raises(PolicyExecutionError, match="no longer holds"):
            delete(tmp_path, **{"quarantined-for": 1})
    else:
        use_key(org, key)
    by_hand(iam, form, key, on=True)  # it leaked
    held = state(iam)
    with pytest.raises(PolicyExecutionError, match="AWSDenyAll"):
        release(tmp_path)
    after = state(iam)
    assert after[0][0]["AttachedManagedPolicies"] == held[0][0]["AttachedManagedPolicies"]
    assert after[0][0]["PermissionsBoundary"] == held[0][0]["PermissionsBoundary"]
    assert set(statuses(iam)) == {"Inactive"}


def test_a_boundary_of_unknown_origin_is_not_released(iam: Any, tmp_path: Path) -> None:
    fill(iam, 0, 7)
    quarantine(tmp_path / "here")
    before = state(iam)
    with pytest.raises(PolicyExecutionError, match="name that output in record-from"):
        release(tmp_path / "there")
    assert state(iam) == before
    release(tmp_path / "there", **{"record-from": str(tmp_path / "here")})
    assert iam.get_user(UserName="alice")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(
        "/PowerUserAccess"
    )


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "attached"])
def test_release_refuses_after_a_failed_deletion_and_names_restore(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inline: bool
) -> None:
    if not inline:
        fill(iam, 0, 0)
    quarantine(tmp_path)
    with monkeypatch.context() as patch:
        deny(patch, "DetachUserPolicy")
        with pytest.raises(PolicyExecutionError, match="its quarantine stays on until release ends it"):
            delete(tmp_path, **{"quarantined-for": 1e-9})
    before = state(iam)
    with pytest.raises(PolicyExecutionError, match="a deletion of it began on"):
        quarantine(tmp_path)
    assert outcomes(tmp_path)["alice"]["status"] == "failed"
    with pytest.raises(PolicyExecutionError, match="c7n-iamusers restore OUTPUT --user alice"):
        release(tmp_path)
    assert state(iam) == before


def test_a_user_that_its_owner_released_is_not_deleted_by_the_next_run(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantine(tmp_path)
    with monkeypatch.context() as patch:
        deny(patch, "DeleteLoginProfile")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path, **{"quarantined-for": 1e-9})
    iam.delete_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME)
    iam.untag_user(UserName="alice", TagKeys=[QUARANTINE_TAG])
    before = state(iam)
    with pytest.raises(PolicyExecutionError, match=r"no longer holds.*its Deny-all is gone"):
        delete(tmp_path, **{"quarantined-for": 14})
    assert state(iam) == before


def test_release_leaves_alone_who_is_not_in_quarantine(iam: Any, tmp_path: Path) -> None:
    before = state(iam)
    release(tmp_path)
    assert state(iam) == before
    assert (released(tmp_path)["status"], released(tmp_path)["reason"]) == ("unchanged", "not in quarantine")


def test_a_leaked_key_is_quarantined_and_not_released(iam: Any, tmp_path: Path) -> None:
    arn = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    iam.attach_user_policy(UserName="alice", PolicyArn=arn)
    before = state(iam)
    quarantine(tmp_path)
    assert outcomes(tmp_path)["alice"]["status"] == "quarantined"
    release(tmp_path)
    assert "AWSCompromisedKeyQuarantineV3" in released(tmp_path)["reason"]
    delete(tmp_path)
    assert "AWSCompromisedKeyQuarantineV3" in outcomes(tmp_path)["alice"]["reason"]
    release(tmp_path, **{"include-compromised": True})
    assert state(iam) == before
    delete(tmp_path, **{"include-compromised": True})
    assert user_names(iam) == []


def test_active_users_are_left_alone(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    use_password(org)
    before = state(iam)
    quarantine(tmp_path, **{"active-within": 7})
    assert state(iam) == before
    assert outcomes(tmp_path)["alice"]["reason"].startswith("active within 7 days: its password was used")
    delete(tmp_path, **{"active-within": 7})
    assert outcomes(tmp_path)["alice"]["reason"].startswith("active within 7 days: its password was used")


def test_quarantine_requires_exemptions(org: LocalOrg) -> None:
    with pytest.raises(
        PolicyValidationError, match="quarantine needs the filter unnecessary at the top level"
    ):
        policy({"actions": ["quarantine"]})


def test_a_user_is_listened_to_then_deactivated_then_deleted(iam: Any, tmp_path: Path) -> None:
    before = statuses(iam)
    quarantine(tmp_path, credentials="keep")
    row = outcomes(tmp_path)["alice"]
    assert (row["status"], statuses(iam)) == ("quarantined", before)
    assert "its credentials stay active under the Deny-all" in row["reason"]
    listening = iam.get_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME)["PolicyDocument"]
    delete(tmp_path, **{"quarantined-for": 14})
    assert "in quarantine for less than 14 days" in outcomes(tmp_path)["alice"]["reason"]
    quarantine(tmp_path)
    assert set(statuses(iam)) == {"Inactive"}
    deactivated = iam.get_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME)["PolicyDocument"]
    since, _, _ = listening["Statement"][0]["Sid"].partition("Listening")
    assert deactivated["Statement"][0]["Sid"].startswith(since + "x")
    quarantine(tmp_path, credentials="keep")
    assert outcomes(tmp_path)["alice"]["reason"].startswith("its credentials are deactivated already")
    delete(tmp_path, **{"quarantined-for": 1e-9})
    assert user_names(iam) == []


def test_a_deny_removed_by_hand_is_named_although_the_user_is_active_again(
    org: LocalOrg, iam: Any, tmp_path: Path
) -> None:
    quarantine(tmp_path, credentials="keep")
    iam.delete_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME)
    use_key(org)
    before = state(iam)
    with pytest.raises(
        PolicyExecutionError, match=r"its Deny-all is gone.*not put in quarantine again: active"
    ):
        quarantine(tmp_path, **{"active-within": 30})
    with pytest.raises(PolicyExecutionError, match=r"no longer holds.*its Deny-all is gone"):
        delete(tmp_path, **{"active-within": 30, "quarantined-for": 14})
    assert state(iam) == before


def test_a_brownout_is_left_over_and_released(iam: Any, tmp_path: Path) -> None:
    before = state(iam)
    quarantine(tmp_path, brownout=15)
    row = outcomes(tmp_path)["alice"]
    assert (row["status"], row["calls"]) == ("browned-out", 1)
    assert re.fullmatch(r"until \S+ \S+ UTC, when its Deny-all ends by itself", row["reason"])
    quarantine(tmp_path, brownout=15)
    assert outcomes(tmp_path)["alice"]["reason"].startswith("in a brownout until")
    delete(tmp_path, **{"quarantined-for": 1e-9})
    assert outcomes(tmp_path)["alice"]["reason"].startswith("not in quarantine")
    iam.tag_user(UserName="alice", Tags=[FORGED])
    with pytest.raises(PolicyExecutionError, match=r"a tag says .* only its brownout was ended"):
        release(tmp_path / "there")
    iam.untag_user(UserName="alice", TagKeys=[QUARANTINE_TAG])
    quarantine(tmp_path, brownout=15)
    release(tmp_path / "there")
    assert released(tmp_path / "there")["reason"].startswith("from its brownout")
    assert state(iam) == before
    (snapshot,) = (tmp_path / "under-test" / "snapshots").iterdir()
    assert BROWNOUT_NAME not in snapshot.read_text()
    quarantine(tmp_path, credentials="keep")
    quarantine(tmp_path, brownout=15)
    assert "its Deny-all does not end by itself" in outcomes(tmp_path)["alice"]["reason"]


def test_a_brownout_that_passed_while_the_machine_slept_is_told(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def an_hour_ago(user: Any, now: datetime, minutes: int) -> Any:
        return plan_brownout(user, now - timedelta(hours=1), minutes)

    with monkeypatch.context() as patch:
        patch.setattr(user_quarantine, "plan_brownout", an_hour_ago)
        with pytest.raises(PolicyExecutionError, match="UTC, which had passed when this run went on"):
            quarantine(tmp_path, brownout=15)
    assert outcomes(tmp_path)["alice"]["code"] == "BrownoutPassed"
    assert BROWNOUT_NAME in iam.list_user_policies(UserName="alice")["PolicyNames"]
    quarantine(tmp_path, brownout=15)
    assert outcomes(tmp_path)["alice"]["status"] == "browned-out"


def test_a_deny_with_a_time_before_our_release_counts_no_days_and_is_not_lifted(
    iam: Any, tmp_path: Path
) -> None:
    quarantine(tmp_path, credentials="keep")
    release(tmp_path)
    document = deny_all_document("Quarantined20260101T000000ZListening")
    iam.put_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME, PolicyDocument=document)
    before = state(iam)
    delete(tmp_path, **{"quarantined-for": 14})
    assert outcomes(tmp_path)["alice"]["reason"].startswith("not in quarantine")
    quarantine(tmp_path, brownout=15)
    assert "it already has a Deny-all that does not end" in outcomes(tmp_path)["alice"]["reason"]
    with pytest.raises(PolicyExecutionError, match="put one on that bears an earlier time: find out who"):
        release(tmp_path)
    assert state(iam) == before


def test_a_brownout_has_the_inline_form_or_none(iam: Any, tmp_path: Path) -> None:
    iam.put_user_policy(UserName="alice", PolicyName="filling", PolicyDocument=FILLING)
    before = state(iam)
    quarantine(tmp_path, brownout=15)
    row = outcomes(tmp_path)["alice"]
    assert (row["status"], row["calls"]) == ("skipped", 0)
    assert "only an inline Deny ends by itself" in row["reason"]
    assert state(iam) == before


def test_a_brownout_that_is_not_allowed_changes_nothing(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(iam)
    deny(monkeypatch, "PutUserPolicy")
    with pytest.raises(PolicyExecutionError, match="AccessDenied"):
        quarantine(tmp_path, brownout=15)
    assert state(iam) == before


def test_a_brownout_replaces_no_deny_that_came_meanwhile(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, sid = state(iam), f"Quarantined{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}Listening"
    deny = {"UserName": "alice", "PolicyName": DENY_ALL_NAME, "PolicyDocument": deny_all_document(sid)}
    on_call(monkeypatch, "PutUserPolicy", lambda: iam.put_user_policy(**deny), by_policies_only=True)
    quarantine(tmp_path, brownout=15)
    assert outcomes(tmp_path)["alice"]["status"] == "browned-out"
    held = iam.get_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME)["PolicyDocument"]
    assert held["Statement"][0]["Sid"] == sid
    release(tmp_path)
    assert released(tmp_path)["status"] == "released"
    assert state(iam) == before


def test_two_quarantines_at_the_same_time_keep_what_was_active(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that keeps credentials has read the user, and then the one that deactivates them runs to its end."""
    before, ran = state(iam), list[bool]()

    def deactivate() -> None:
        if not ran:
            ran.append(True)
            quarantine(tmp_path / "elsewhere")

    on_call(monkeypatch, "GetAccessKeyLastUsed", deactivate, by_policies_only=True)
    acting({"type": "quarantine", "credentials": "keep"}, tmp_path).run()
    assert outcomes(tmp_path)["alice"]["reason"].startswith("its credentials are deactivated already")
    release(tmp_path)
    assert released(tmp_path)["status"] == "released"
    assert state(iam) == before


class Killed(BaseException):
    """The end of a process."""


def test_a_deletion_that_was_killed_right_before_its_end_is_completed_without_the_tag(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill() -> None:
        raise Killed

    quarantine(tmp_path)
    with monkeypatch.context() as patched:
        on_call(patched, "DeleteUser", kill)
        with pytest.raises(Killed):
            delete(tmp_path, **{"quarantined-for": 1e-9})
    iam.untag_user(UserName="alice", TagKeys=[QUARANTINE_TAG])
    delete(tmp_path, **{"quarantined-for": 14})
    assert user_names(iam) == []


@pytest.mark.parametrize("name", [DENY_ALL_NAME, BROWNOUT_NAME])
def test_a_release_over_somebodys_own_conditional_deny_of_our_name_fails_and_leaves_it(
    iam: Any, tmp_path: Path, name: str
) -> None:
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName="alice", PolicyName=name, PolicyDocument=json.dumps(document))
    before = state(iam)
    for quarantined in (False, True):
        if quarantined:
            quarantine(tmp_path)
        with pytest.raises(
            PolicyExecutionError, match=f"its inline policy {name}, which somebody else wrote or changed"
        ):
            release(tmp_path)
        assert released(tmp_path)["status"] == "failed"
        assert state(iam) == before


@pytest.mark.parametrize(
    ("options", "meanwhile"),
    [
        pytest.param({"brownout": 15}, "Quarantined20260101T000000ZListening", id="brownout"),
        pytest.param({"credentials": "keep"}, "Deletion20260101T000000Z", id="quarantine"),
    ],
)
def test_a_release_lifts_no_deny_that_came_meanwhile(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], meanwhile: str
) -> None:
    quarantine(tmp_path, **options)
    deny = {"UserName": "alice", "PolicyName": DENY_ALL_NAME}
    deny["PolicyDocument"] = deny_all_document(meanwhile)
    read: list[str] = []

    def second_read() -> None:
        read.append("GetUser")
        if len(read) == 2:
            iam.put_user_policy(**deny)

    on_call(monkeypatch, "GetUser", second_read, by_policies_only=True)
    with pytest.raises(PolicyExecutionError, match="its inline Deny-all was changed during this run"):
        release(tmp_path)
    document = iam.get_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME)["PolicyDocument"]
    assert document["Statement"][0]["Sid"] == meanwhile


def test_a_brownout_deactivates_nothing(org: LocalOrg) -> None:
    with pytest.raises(PolicyValidationError, match="a brownout ends by itself"):
        acting({"type": "quarantine", "brownout": 15, "credentials": "deactivate"}, None)


def test_a_user_that_came_back_is_named_as_such(iam: Any, tmp_path: Path) -> None:
    delete(tmp_path)
    iam.create_user(UserName="alice")
    quarantine(tmp_path)
    row = outcomes(tmp_path)["alice"]
    assert row["status"] == "quarantined"
    assert re.fullmatch(r"came back: a user of this name was deleted on \d{4}-\d\d-\d\d", row["reason"])
    delete(tmp_path, **{"quarantined-for": 14})
    assert " UTC; came back: a user of this name" in outcomes(tmp_path)["alice"]["reason"]


class SignIn:
    """AWS's sign-in service, with one session of alice."""

    meta = SimpleNamespace(partition="aws")

    def __init__(self) -> None:
        self.arn, self.listed, self.revoked = f"arn:aws:iam::{ACCOUNT}:user/alice", 0, list[Any]()

    def list_sessions(self, **_: Any) -> dict[str, Any]:
        self.listed += 1
        return {"items": [{"principalArn": self.arn, "sessionArn": "session-1"}]}

    def batch_revoke_sessions(self, **given: Any) -> dict[str, Any]:
        self.revoked.append(given)
        return {"revokedSessions": [{"sessionArn": "session-1"}], "errors": []}


@pytest.mark.parametrize("action", [quarantine, delete], ids=["quarantine", "delete"])
def test_sign_in_sessions_end_where_botocore_offers_it(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: Any
) -> None:
    service, writers = SignIn(), list[Any]()
    client: Any = boto3.Session.client

    def made(self: boto3.Session, name: str, *given: Any, **more: Any) -> Any:
        if name != "signin":
            return client(self, name, *given, **more)
        writers.extend([more["config"].retries] if "config" in more else [])
        return service

    monkeypatch.setattr(boto3.Session, "client", made)
    monkeypatch.setattr("c7n_iamusers.plugins.user_action._offers_sessions", lambda: True)
    action(tmp_path)
    assert "1 of its sign-in sessions can't be refreshed" in outcomes(tmp_path)["alice"]["reason"]
    assert service.revoked == [{"principalArn": service.arn, "sessionArns": ["session-1"]}]
    assert service.listed == 1
    # botocore repeats no request of its own accord
    assert [each["total_max_attempts"] for each in writers] == [1]
    wanted = {"signin:ListSessions", "signin:BatchRevokeSessions"}
    for kind, needs in (("quarantine", True), ("composite-delete", True), ("release", False)):
        declared = acting(kind, None).resource_manager.actions[0].get_permissions()
        assert (wanted <= set(declared)) is needs


def test_where_botocore_does_not_offer_it_a_quarantine_says_so(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("c7n_iamusers.plugins.user_action._offers_sessions", lambda: False)
    quarantine(tmp_path)
    assert (
        "its sign-in sessions were not ended: the installed botocore" in outcomes(tmp_path)["alice"]["reason"]
    )
    assert (
        "signin:ListSessions" not in acting("quarantine", None).resource_manager.actions[0].get_permissions()
    )


@pytest.mark.parametrize("mended", [False, True], ids=["released-as-it-is", "quarantined-since"])
def test_a_quarantine_without_a_deny_that_is_tried_again_is_given_back(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mended: bool
) -> None:
    """A daily policy tries it each day. What it has deactivated itself is not what was inactive before."""
    before = statuses(iam)
    with monkeypatch.context() as without_rights:
        for operation in ("PutUserPolicy", "AttachUserPolicy", "PutUserPermissionsBoundary"):
            deny(without_rights, operation)
        for _ in range(2):
            with pytest.raises(PolicyExecutionError):
                quarantine(tmp_path)
            assert outcomes(tmp_path)["alice"]["code"] == "DeactivatedWithoutDeny"
    if mended:
        quarantine(tmp_path)
        assert outcomes(tmp_path)["alice"]["status"] == "quarantined"
    release(tmp_path)
    assert (released(tmp_path)["status"], statuses(iam)) == ("released", before)


def test_what_is_deactivated_under_a_kept_deny_that_stays_is_given_back(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Deny of a kept quarantine names what was inactive before; the rest is in the snapshot."""
    before = statuses(iam)
    quarantine(tmp_path, credentials="keep")
    with monkeypatch.context() as without_right:
        deny(without_right, "PutUserPolicy")
        quarantine(tmp_path)
    assert "Active" not in statuses(iam)
    release(tmp_path)
    assert (released(tmp_path)["status"], statuses(iam)) == ("released", before)
