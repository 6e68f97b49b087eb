# SPDX-License-Identifier: Apache-2.0
"""A Deny-all on a user that no journal here explains: nothing is taken for whole, and nothing is taken for restored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from aws_local_org.seeding.key_material import SSH_PUBLIC_KEYS
from c7n_iamusers.restoration.snapshot_files import collected
from c7n_iamusers_cli.main import main
from tests.interference import deny
from tests.plugins.deletions import NAME, acting, outcomes, user_names
from tests.policies import ACCOUNT

ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
ALLOW = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
)
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
#: What tells another output that a deletion goes on under a quarantine's inline Deny.
MARKED = "AWSDenyAll is attached to it, and no journal"
#: The operations that a role may not use, so that the Deny-all has this form.
FORMS = {
    "inline": (),
    "attached": ("PutUserPolicy",),
    "boundary": ("PutUserPolicy", "AttachUserPolicy"),
}
BY_AWS_DENY_ALL = pytest.mark.parametrize("denied", [FORMS["attached"], FORMS["boundary"]], ids=[*FORMS][1:])


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """alice with keys, a group that denies her something, and policies."""
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    client.create_access_key(UserName="alice")
    client.upload_ssh_public_key(UserName="alice", SSHPublicKeyBody=SSH_PUBLIC_KEYS[0])
    client.create_group(GroupName="guard")
    statement = {"Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client.put_group_policy(GroupName="guard", PolicyName="own", PolicyDocument=document)
    client.add_user_to_group(UserName="alice", GroupName="guard")
    client.put_user_policy(UserName="alice", PolicyName="own", PolicyDocument=document)
    client.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess")
    return client


def act(action: str | dict[str, Any], output: Path, **data: Any) -> str:
    """What the policy ends with; empty for success."""
    try:
        acting(action, output, **data).run()
    except PolicyExecutionError as error:
        return str(error)
    return ""


def begin(
    output: Path, monkeypatch: pytest.MonkeyPatch, *denied: str, stop: str = "DeleteUserPolicy", **data: Any
) -> None:
    """A deletion that ends after the groups, and whose role may not use ``denied``."""
    with monkeypatch.context() as patch:
        for operation in {*denied, stop}:
            deny(patch, operation)
        assert "failed" in act("composite-delete", output, **data)


def restore(run: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["restore", str(run), "--role", ROLE, "--yes", *arguments])


def state(iam: Any) -> Any:
    found = iam.get_account_authorization_details(Filter=["User"])["UserDetailList"]
    return json.dumps(found, default=str, sort_keys=True)


@BY_AWS_DENY_ALL
def test_another_output_leaves_a_half_deleted_user_alone(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, denied: tuple[str, ...]
) -> None:
    begin(tmp_path / "here", monkeypatch, *denied)
    before = state(iam)
    for action in ("quarantine", "composite-delete", {"type": "quarantine", "brownout": 5}):
        told = act(action, tmp_path / "there")
        assert "no journal of this output or of those beside it shows that this tool put it on" in told
        assert "adopt: true" in told
        assert outcomes(tmp_path / "there")["alice"]["status"] == "failed"
    assert state(iam) == before
    assert not (tmp_path / "there" / NAME / "snapshots").exists()
    assert act("composite-delete", tmp_path / "here") == ""
    assert user_names(iam) == []
    assert restore(tmp_path / "here").exit_code == 0
    (group,) = iam.list_groups_for_user(UserName="alice")["Groups"]
    assert group["GroupName"] == "guard"
    assert DENY_ALL not in state(iam)


def half_deleted_in_quarantine(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quarantined: str
) -> None:
    """alice, quarantined in that form, and half-deleted with an output that is lost.

    The deletion can't write its time into the Deny.
    """
    with monkeypatch.context() as patch:
        for operation in FORMS[quarantined]:
            deny(patch, operation)
        assert act("quarantine", tmp_path, name="park") == ""
    begin(tmp_path, monkeypatch, "PutUserPolicy", *FORMS[quarantined], name="lost")
    shutil.rmtree(tmp_path / "lost")
    assert iam.list_groups_for_user(UserName="alice")["Groups"] == []


@pytest.mark.parametrize("quarantined", FORMS)
def test_another_output_leaves_a_half_deleted_user_in_quarantine_alone(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quarantined: str
) -> None:
    half_deleted_in_quarantine(iam, tmp_path, monkeypatch, quarantined)
    before = state(iam)
    # A Deny of its own shows the deletion where the quarantine's has no room for that.
    marked = quarantined == "inline"
    assert bool(act("quarantine", tmp_path, name="park")) == marked
    (row,) = json.loads((tmp_path / "park" / "outcomes.json").read_text())
    assert row["status"] == "failed" if marked else "unchanged"
    assert (MARKED if marked else "since then it has lost group guard") in row["reason"]
    for name, action in (
        ("remove", "composite-delete"),
        ("free", "release"),
        ("freed", {"type": "release", "adopt": True}),
        ("park", "quarantine"),
    ):
        if action == "quarantine":
            iam.create_access_key(UserName="alice")
            before = state(iam)
        told = act(action, tmp_path, name=name)
        shown = marked and "free" not in name
        assert (MARKED if shown else "UTC it has lost group guard") in told, name
        assert state(iam) == before
    with monkeypatch.context() as patch:
        deny(patch, "PutUserPolicy")
        assert act({"type": "composite-delete", "adopt": True}, tmp_path, name="remove") == ""
    (found,) = collected([tmp_path / "remove"]).users
    assert found.recorded.snapshots[-1].partial
    assert restore(tmp_path / "remove").exit_code == 1
    assert user_names(iam) == []


@pytest.mark.parametrize("lost_too", [(), ("PutUserPermissionsBoundary",), ("AttachUserPolicy",)], ids=str)
def test_a_quarantine_is_no_shelter_for_a_deletion_that_leaves_no_mark_in_it(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost_too: tuple[str, ...]
) -> None:
    """On a machine without any record, the Deny-all of the quarantine alone says nothing of the deletion."""
    assert act("quarantine", tmp_path, name="park") == ""
    begin(tmp_path, monkeypatch, "PutUserPolicy", *lost_too, name="begun")
    shutil.rmtree(tmp_path / "park")
    shutil.move(tmp_path / "begun", away := tmp_path.parent / f"{tmp_path.name}-away")
    before = state(iam)
    for name, action in (
        ("park", "quarantine"),
        ("remove", "composite-delete"),
        ("brown", {"type": "quarantine", "brownout": 5}),
        ("free", "release"),
        ("freed", {"type": "release", "adopt": True}),
    ):
        told = act(action, tmp_path, name=name)
        assert "AWSDenyAll is " in told, name
        assert state(iam) == before, name
    shutil.move(away, tmp_path / "begun")
    with monkeypatch.context() as patch:
        for operation in ("PutUserPolicy", *lost_too):
            deny(patch, operation)
        assert act("composite-delete", tmp_path, name="begun") == ""
    assert user_names(iam) == []
    assert restore(tmp_path / "begun").exit_code == 0
    assert "guard" in state(iam)
    assert "AWSDenyAll" not in state(iam)


@pytest.mark.parametrize("more", [(), ("AttachUserPolicy",)], ids=["attached", "boundary"])
def test_a_restoration_takes_off_what_showed_the_deletion_and_leaves_the_quarantine(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    assert act("quarantine", tmp_path, name="park") == ""
    begin(tmp_path, monkeypatch, "PutUserPolicy", *more, name="begun")
    assert "AWSDenyAll" in state(iam)
    told = restore(tmp_path, "--user", "alice")
    assert told.exit_code == 0, told.output
    assert "AWSDenyAll" not in state(iam)
    assert "c7n-iamusers-deny-all" in state(iam)
    assert act("release", tmp_path, name="free") == ""
    assert "eny-all" not in state(iam)
    (group,) = iam.list_groups_for_user(UserName="alice")["Groups"]
    assert group["GroupName"] == "guard"


@pytest.mark.parametrize("quarantined", FORMS)
def test_what_another_output_removed_is_missed_although_it_denied_nothing(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quarantined: str
) -> None:
    iam.delete_group_policy(GroupName="guard", PolicyName="own")
    half_deleted_in_quarantine(iam, tmp_path, monkeypatch, quarantined)
    before = state(iam)
    for name, action in (("remove", "composite-delete"), ("free", "release")):
        told = act(action, tmp_path, name=name)
        marked = quarantined == "inline" and name == "remove"
        assert (MARKED if marked else "UTC it has lost access key") in told, name
        assert "adopt: true" in told
        assert state(iam) == before, name
    told = act({"type": "release", "adopt": True}, tmp_path, name="free")
    # what is not known as ours stays
    assert ("AWSDenyAll is still attached" in told) == (quarantined == "inline")
    assert (told == "") == (quarantined != "inline")
    assert "c7n-iamusers-deny-all" not in state(iam)


def test_what_its_own_journal_shows_is_not_lost(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert act("quarantine", tmp_path, name="park") == ""
    shutil.move(tmp_path / "park" / "journal.jsonl", tmp_path / "away")
    with monkeypatch.context() as patch:
        for operation in ("PutUserPolicy", "DetachUserPolicy"):
            deny(patch, operation)
        assert "failed" in act("composite-delete", tmp_path, name="remove")
        patch.undo()
        deny(patch, "PutUserPolicy")
        assert act("composite-delete", tmp_path, name="remove") == ""
    assert user_names(iam) == []


@BY_AWS_DENY_ALL
def test_what_is_adopted_is_partial_and_comes_back_by_name_under_its_deny(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, denied: tuple[str, ...]
) -> None:
    begin(tmp_path / "here", monkeypatch, *denied)
    there = tmp_path / "there"
    assert act({"type": "composite-delete", "adopt": True}, there) == ""
    assert user_names(iam) == []
    (found,) = collected([there]).users
    assert found.recorded.snapshots[-1].partial
    asked = restore(there)
    assert asked.exit_code == 1
    assert "check what is not known, then give --user alice" in asked.output
    assert user_names(iam) == []
    assert restore(there, "--user", "alice").exit_code == 0
    assert DENY_ALL in state(iam)


def test_an_adopted_deletion_that_was_stopped_is_ended_without_adopting_again(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam.attach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    with monkeypatch.context() as patch:
        for operation in ("PutUserPolicy", "DeleteUser"):
            deny(patch, operation)
        assert "failed" in act({"type": "composite-delete", "adopt": True}, tmp_path)
    assert act("composite-delete", tmp_path) == ""
    assert user_names(iam) == []
    (found,) = collected([tmp_path]).users
    assert all(each.partial for each in found.recorded.snapshots)


@pytest.mark.parametrize("denied", FORMS.values(), ids=FORMS)
def test_a_quarantine_and_a_deletion_beside_each_other_know_each_others_deny(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, denied: tuple[str, ...]
) -> None:
    with monkeypatch.context() as patch:
        for operation in denied:
            deny(patch, operation)
        for name in ("listen", "park", "park"):
            keep = {"credentials": "keep"} if name == "listen" else {}
            assert act({"type": "quarantine", **keep}, tmp_path, name=name) == ""
        assert act("composite-delete", tmp_path, name="remove") == ""
    assert user_names(iam) == []
    (found,) = collected([tmp_path / "remove"]).users
    assert not found.recorded.snapshots[-1].partial


def test_a_user_that_a_restoration_made_and_did_not_end_is_left_to_that(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_restoration(iam, tmp_path, monkeypatch)
    before = state(iam)
    for action in ("quarantine", "composite-delete"):
        told = act(action, tmp_path)
        assert "c7n-iamusers restore made it" in told
        assert "c7n-iamusers restore again with --user alice" in told
        assert state(iam) == before
    assert restore(tmp_path, "--user", "alice").exit_code == 0
    for action in ("quarantine", "composite-delete"):
        assert act(action, tmp_path) == ""


def begin_restoration(iam: Any, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """alice is deleted, and her restoration is not done."""
    assert act("composite-delete", output) == ""
    with monkeypatch.context() as patch:
        deny(patch, "PutUserPolicy")
        assert restore(output).exit_code == 1
    assert user_names(iam) == ["alice"]


@pytest.mark.parametrize(
    ("action", "left"), [("quarantine", ["alice"]), ("composite-delete", [])], ids=["quarantine", "deletion"]
)
def test_a_restoration_that_is_given_up_can_be_adopted(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, left: list[str]
) -> None:
    begin_restoration(iam, tmp_path, monkeypatch)
    unique_id = iam.get_user(UserName="alice")["User"]["UserId"]
    assert act({"type": action, "adopt": True}, tmp_path) == ""
    assert user_names(iam) == left
    (file,) = tmp_path.rglob(f"snapshots/alice.{unique_id}.json")
    assert json.loads(file.read_bytes())["partial"] is True
    if left:
        # what no journal of the new user explains stays on
        act("release", tmp_path)
        assert f'"PermissionsBoundaryArn": "{DENY_ALL}"' in state(iam)


def test_the_tag_of_a_restored_user_keeps_nobody_out(iam: Any, tmp_path: Path) -> None:
    assert act("composite-delete", tmp_path) == ""
    assert restore(tmp_path).exit_code == 0
    (tag,) = iam.list_user_tags(UserName="alice")["Tags"]
    iam.create_user(UserName="mallory", Tags=[tag])
    for action, status in (
        ({"type": "quarantine", "brownout": 5}, "browned-out"),
        ("quarantine", "quarantined"),
        ("composite-delete", "deleted"),
    ):
        assert act(action, tmp_path) == ""
        assert outcomes(tmp_path)["mallory"]["status"] == status


#: What becomes of a journal.
LOSSES: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink,
    "emptied": lambda journal: journal.write_bytes(b""),
    "without-its-calls": lambda journal: journal.write_bytes(
        b"".join(each for each in journal.read_bytes().splitlines(True) if b'"phase":"snapshot"' in each)
    ),
}


@pytest.mark.parametrize(
    ("denied", "lose"),
    [
        pytest.param(FORMS[form], LOSSES[loss], id=f"{form}-{loss}")
        for form, loss in (
            ("inline", "removed"),
            ("inline", "without-its-calls"),
            ("attached", "emptied"),
            ("boundary", "removed"),
        )
    ],
)
def test_without_its_journal_a_half_deleted_user_is_not_restored_already(
    iam: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    denied: tuple[str, ...],
    lose: Callable[[Path], object],
) -> None:
    begin(tmp_path, monkeypatch, *denied)
    lose(tmp_path / NAME / "journal.jsonl")
    before = state(iam)
    for arguments in ((), ("--user", "alice"), ("--user", "alice", "--dry-run")):
        result = restore(tmp_path, *arguments)
        assert result.exit_code == 1, result.output
        assert "no journal here says what this tool did to it" in result.output
        assert "group membership" in result.output
        assert "restored already" not in result.output
    assert state(iam) == before


def copied(run: Path) -> Path:
    """A copy of the last snapshot alone."""
    (last,) = run.glob("snapshots/alice.*.2.json")
    return Path(shutil.copy(last, run.parent))


def without_journal(run: Path) -> Path:
    """The snapshots without the journal beside them."""
    (run / "journal.jsonl").unlink()
    return run / "snapshots"


#: What is given to restore, and is left of an output whose last snapshot was taken in the middle of a deletion.
REMAINS: dict[str, Callable[[Path], Path]] = {
    "lone-file": copied,
    "snapshots": without_journal,
}


@pytest.mark.parametrize("remain", REMAINS.values(), ids=REMAINS)
def test_a_snapshot_from_the_middle_of_a_deletion_is_partial_without_its_journal(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remain: Callable[[Path], Path]
) -> None:
    begin(tmp_path, monkeypatch)
    iam.put_user_policy(UserName="alice", PolicyName="own", PolicyDocument=ALLOW)
    assert act("composite-delete", tmp_path) == ""
    given = remain(tmp_path / NAME)
    result = restore(given)
    assert result.exit_code == 1
    assert "not known is whether it had any group memberships" in result.output
    assert "give --user alice" in result.output
    assert user_names(iam) == []


def test_a_snapshot_named_from_within_its_directory_has_its_journal(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path, monkeypatch)
    iam.put_user_policy(UserName="alice", PolicyName="own", PolicyDocument=ALLOW)
    assert act("composite-delete", tmp_path) == ""
    (last,) = (tmp_path / NAME).glob("snapshots/alice.*.2.json")
    monkeypatch.chdir(last.parent)
    (found,) = collected([Path(last.name)]).users
    assert found.run == tmp_path / NAME
    assert len(found.recorded.snapshots) == 2


def inactive(iam: Any) -> dict[str, list[str]]:
    """The credentials of alice that are inactive."""
    found = {
        "key": [
            each["AccessKeyId"]
            for each in iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
            if each["Status"] == "Inactive"
        ],
        "ssh": [
            each["SSHPublicKeyId"]
            for each in iam.list_ssh_public_keys(UserName="alice")["SSHPublicKeys"]
            if each["Status"] == "Inactive"
        ],
    }
    return {kind: ids for kind, ids in found.items() if ids}


@pytest.mark.parametrize(("keep", "again"), [(False, True), (True, False)], ids=["quarantined-again", "kept"])
def test_a_key_that_others_activate_under_the_deny_comes_back_inactive_after_a_deletion(
    iam: Any, tmp_path: Path, keep: bool, again: bool
) -> None:
    (key,) = (each["SSHPublicKeyId"] for each in iam.list_ssh_public_keys(UserName="alice")["SSHPublicKeys"])
    iam.update_ssh_public_key(UserName="alice", SSHPublicKeyId=key, Status="Inactive")
    credentials = {"credentials": "keep"} if keep else {}
    assert act({"type": "quarantine", **credentials}, tmp_path, name="park") == ""
    iam.update_ssh_public_key(UserName="alice", SSHPublicKeyId=key, Status="Active")
    if again:
        assert act("quarantine", tmp_path, name="park") == ""
        (row,) = json.loads((tmp_path / "park" / "outcomes.json").read_text())
        assert f"SSH public key {key}: not on record as active before the quarantine began" in row["reason"]
    assert act("composite-delete", tmp_path, name="remove") == ""
    result = restore(tmp_path)
    assert result.exit_code == 0, result.output
    assert f"they come back inactive, with new ids: SSH public key {key}" in result.output
    assert len(inactive(iam)["ssh"]) == 1


@pytest.mark.parametrize("again", [False, True], ids=["", "quarantined-again"])
def test_what_a_quarantine_did_not_come_to_and_others_switched_off_stays_off(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    (key,) = (each["SSHPublicKeyId"] for each in iam.list_ssh_public_keys(UserName="alice")["SSHPublicKeys"])
    with monkeypatch.context() as patch:
        deny(patch, "UpdateSSHPublicKey")
        assert "failed" in act("quarantine", tmp_path, name="park")
    iam.update_ssh_public_key(UserName="alice", SSHPublicKeyId=key, Status="Inactive")
    if again:
        assert act("quarantine", tmp_path, name="park") == ""
    assert act("release", tmp_path, name="free", filters=[]) == ""
    (row,) = json.loads((tmp_path / "free" / "outcomes.json").read_text())
    assert f"they stay inactive: SSH public key {key}" in row["reason"]
    assert inactive(iam) == {"ssh": [key]}
