# SPDX-License-Identifier: Apache-2.0
"""What a restored user can do: no more than before, at no moment, and as AWS shows it in the end."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError
from c7n.exceptions import PolicyExecutionError
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from aws_local_org.seeding.key_material import CERTIFICATES, SSH_PUBLIC_KEYS
from c7n_iamusers.iam import live_policies
from c7n_iamusers.iam.policy_documents import PolicyVersion
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.restoration.rights_reader import RightsReader
from c7n_iamusers.restoration.user_restoration import UserRestoration
from c7n_iamusers.snapshots.snapshot import Snapshot, fingerprint
from c7n_iamusers_cli.main import main
from tests.cli.test_restore import ADMINISTRATOR, ROLE, details, public, restore
from tests.fakes import client_error
from tests.interference import deny, on_call
from tests.plugins.deletions import NAME, delete, user_names
from tests.policies import ACCOUNT

OWN, LIMIT = (f"arn:aws:iam::{ACCOUNT}:policy/{name}" for name in ("Team", "Limit"))
READ_ONLY = "arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
CHANGING = (
    "Add",
    "Attach",
    "Create",
    "Delete",
    "Detach",
    "Put",
    "Remove",
    "Tag",
    "Untag",
    "Update",
    "Upload",
)


def document(*actions: str, denied: str = "") -> str:
    allow: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    denying = [{"Effect": "Deny", "Action": denied, "Resource": "*"}] if denied else []
    return json.dumps({"Version": "2012-10-17", "Statement": [allow, *denying]})


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """alice with a policy of each kind, a boundary, a group that denies, and an inactive key and certificate."""
    iam = org.client("iam", ACCOUNT)
    iam.create_policy(PolicyName="Team", PolicyDocument=document("s3:GetObject"))
    iam.create_policy(PolicyName="Limit", PolicyDocument=document("s3:*", "ec2:*", denied="s3:DeleteBucket"))
    iam.create_group(GroupName="Ops")
    iam.put_group_policy(
        GroupName="Ops", PolicyName="rules", PolicyDocument=document("ec2:Get*", denied="iam:*")
    )
    iam.attach_group_policy(GroupName="Ops", PolicyArn=OWN)
    alice = {"UserName": "alice"}
    iam.create_user(**alice, PermissionsBoundary=LIMIT)
    iam.add_user_to_group(**alice, GroupName="Ops")
    iam.attach_user_policy(**alice, PolicyArn=OWN)
    iam.attach_user_policy(**alice, PolicyArn=READ_ONLY)
    iam.put_user_policy(**alice, PolicyName="inline", PolicyDocument=document("sqs:*"))
    for body in SSH_PUBLIC_KEYS[:2]:
        key = iam.upload_ssh_public_key(**alice, SSHPublicKeyBody=body)["SSHPublicKey"]
    iam.update_ssh_public_key(**alice, SSHPublicKeyId=key["SSHPublicKeyId"], Status="Inactive")
    certificate = iam.upload_signing_certificate(**alice, CertificateBody=CERTIFICATES[0])["Certificate"]
    iam.update_signing_certificate(**alice, CertificateId=certificate["CertificateId"], Status="Inactive")
    return iam


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "out" / NAME


def disturbed(run: Path, *arguments: str) -> Result:
    """Restore while the test itself makes calls that restoring needs no permission for."""
    return CliRunner().invoke(main, ["restore", str(run), "--role", ROLE, *arguments])


def boundary(iam: Any) -> str:
    found = iam.get_user(UserName="alice")["User"].get("PermissionsBoundary") or {}
    return str(found.get("PermissionsBoundaryArn", ""))


def new_version(iam: Any, arn: str, *actions: str, denied: str = "") -> None:
    iam.create_policy_version(
        PolicyArn=arn, PolicyDocument=document(*actions, denied=denied), SetAsDefault=True
    )


def remove_group(iam: Any) -> None:
    iam.delete_group_policy(GroupName="Ops", PolicyName="rules")
    iam.detach_group_policy(GroupName="Ops", PolicyArn=OWN)
    iam.delete_group(GroupName="Ops")


def another_group(iam: Any) -> None:
    remove_group(iam)
    iam.create_group(GroupName="Ops")
    iam.put_group_policy(
        GroupName="Ops", PolicyName="rules", PolicyDocument=document("ec2:Get*", denied="iam:*")
    )


#: What gives alice more rights, one after the other, and what is told of it.
WIDENING: tuple[tuple[Callable[[Any], object], str], ...] = (
    (lambda iam: new_version(iam, OWN, "s3:*"), "new statement: policy Team, statement 1"),
    (
        lambda iam: new_version(iam, LIMIT, "*", denied="s3:DeleteBucket"),
        "new statement: permissions boundary Limit, statement 1",
    ),
    (
        lambda iam: new_version(iam, LIMIT, "s3:*", "ec2:*"),
        "no longer denied: permissions boundary Limit",
    ),
    (
        lambda iam: iam.put_group_policy(
            GroupName="Ops", PolicyName="rules", PolicyDocument=document("ec2:Get*")
        ),
        "no longer denied: inline policy rules of group Ops",
    ),
    (
        lambda iam: iam.attach_group_policy(GroupName="Ops", PolicyArn=ADMINISTRATOR),
        "new statement: policy AdministratorAccess of group Ops, statement 1",
    ),
)


def test_a_user_that_could_do_more_is_refused_until_that_is_accepted(
    iam: Any, tmp_path: Path, run: Path
) -> None:
    delete(tmp_path / "out")
    for change, words in WIDENING:
        change(iam)
        assert_refused(iam, run, words)
    accept_wider(iam, run, words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(another_group, "group Ops is another one: it was AGPA", id="group-of-somebody-else"),
        pytest.param(
            remove_group, "no longer denied: inline policy rules of group Ops", id="deny-group-is-gone"
        ),
    ],
)
def test_a_user_without_its_group_is_refused_until_that_is_accepted(
    iam: Any, tmp_path: Path, run: Path, change: Callable[[Any], object], words: str
) -> None:
    delete(tmp_path / "out")
    change(iam)
    assert_refused(iam, run, words)
    accept_wider(iam, run, words)


def assert_refused(iam: Any, run: Path, words: str) -> None:
    """``words`` are told of alice, by a dry run too, and nothing is done."""
    shown = restore(run, "--dry-run", "--yes")
    assert (shown.exit_code, words in shown.output) == (1, True), shown.output
    result = restore(run, "--yes")
    assert (result.exit_code, words in result.output) == (1, True), result.output
    assert "it could do more than before: " in result.output
    assert "check the list, then give --accept-wider alice" in result.output
    assert (user_names(iam), calls_in(run)) == ([], [])


def accept_wider(iam: Any, run: Path, words: str) -> None:
    result = restore(run, "--yes", "--accept-wider", "alice")
    assert (result.exit_code, words in result.output) == (0, True), result.output
    assert (user_names(iam), boundary(iam)) == (["alice"], LIMIT)


def calls_in(run: Path) -> list[str]:
    """The calls that the journal of restorations has."""
    path = run / "restore-journal.jsonl"
    lines = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return [line["operation"] for line in lines if line["phase"] == "before"]


def test_a_deny_policy_that_is_gone_is_refused(iam: Any, tmp_path: Path, run: Path) -> None:
    iam.create_policy(PolicyName="Keep", PolicyDocument=document("ec2:Get*", denied="sqs:Delete*"))
    arn = OWN.replace("Team", "Keep")
    iam.attach_user_policy(UserName="alice", PolicyArn=arn)
    delete(tmp_path / "out")
    iam.delete_policy(PolicyArn=arn)
    result = restore(run)
    assert (result.exit_code, user_names(iam)) == (1, [])
    assert "it could do more than before: no longer denied: policy Keep, statement 2" in result.output


def test_a_deny_that_was_lost_while_its_deletion_was_under_way_is_missing(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as by a call that was applied although its answer said that it had failed."""
    with monkeypatch.context() as patch:
        deny(patch, "RemoveUserFromGroup")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path / "out")
    iam.remove_user_from_group(UserName="alice", GroupName="Ops")
    delete(tmp_path / "out")
    result = restore(run)
    assert (result.exit_code, user_names(iam)) == (1, [])
    assert "it could do more than before: no longer denied: inline policy rules of group Ops" in result.output
    assert restore(run, "--accept-wider", "alice").exit_code == 0


def test_a_group_that_a_restoration_makes_again_is_the_users_own(iam: Any, tmp_path: Path, run: Path) -> None:
    for name in ("bob", "carol"):
        iam.create_user(UserName=name)
        iam.add_user_to_group(UserName=name, GroupName="Ops")
    delete(tmp_path / "out")
    remove_group(iam)
    result = restore(run, "--recreate-groups", "--user", "alice", "--user", "bob")
    assert result.exit_code == 0, result.output
    assert restore(run, "--user", "carol").exit_code == 0
    assert len(iam.get_group(GroupName="Ops")["Users"]) == 3


AWS_MORE = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}}


@pytest.fixture
def two_users(iam: Any) -> Any:
    """bob too has a policy of AWS, and no boundary."""
    iam.create_user(UserName="bob")
    iam.attach_user_policy(UserName="bob", PolicyArn=READ_ONLY)
    return iam


def aws_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, AmazonSQSReadOnlyAccess allows more than it did."""
    read = live_policies.read_policy

    def later(client: Any, arn: str, backoff: Any) -> PolicyVersion | None:
        return PolicyVersion.of(arn, "v99", AWS_MORE) if arn == READ_ONLY else read(client, arn, backoff)

    monkeypatch.setattr("c7n_iamusers.restoration.rights_reader.read_policy", later)


def record_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until now, AmazonSQSReadOnlyAccess allowed little."""
    version = live_policies._Reading.version
    little = PolicyVersion.of(READ_ONLY, "v1", json.loads(document("ec2:Describe*")))
    monkeypatch.setattr(
        live_policies._Reading,
        "version",
        lambda self, arn: little if arn == READ_ONLY else version(self, arn),
    )


def test_what_aws_added_is_listed_apart_and_accepted_once_for_the_run(
    two_users: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        record_less(patch)
        delete(tmp_path / "out")
    aws_adds(monkeypatch)
    result = restore(run)
    assert (result.exit_code, user_names(two_users)) == (1, [])
    assert "it could do more than before" not in result.output
    assert (
        result.output.count("AWS changed its own policy: new statement: policy AmazonSQSReadOnlyAccess") == 2
    )
    assert "give --accept-aws-changes" in result.output
    asked: list[str] = []

    def confirm(text: str) -> bool:
        asked.append(text)
        return True

    terminal = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("c7n_iamusers_cli.restore_choice.sys", terminal)
    monkeypatch.setattr("c7n_iamusers_cli.restore_choice.click.confirm", confirm)
    assert restore(run).exit_code == 0
    assert (len(asked), user_names(two_users)) == (1, ["alice", "bob"])


def test_a_script_accepts_what_aws_added_by_an_option(
    two_users: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        record_less(patch)
        delete(tmp_path / "out")
    aws_adds(monkeypatch)
    assert restore(run, "--accept-aws-changes").exit_code == 0
    assert user_names(two_users) == ["alice", "bob"]
    assert boundary(two_users) == LIMIT


@pytest.mark.parametrize("living", [False, True], ids=["deleted", "deletion-stopped"])
def test_what_changes_during_a_restoration_leaves_the_deny_on(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, living: bool
) -> None:
    with monkeypatch.context() as patch:
        if living:
            deny(patch, "DeleteUser")
            deny(patch, "DeleteUserPolicy")
            with pytest.raises(PolicyExecutionError):
                delete(tmp_path / "out")
        else:
            delete(tmp_path / "out")
    changes = iter([True])

    def widen() -> None:
        if next(changes, False):
            new_version(iam, OWN, "s3:*")

    with monkeypatch.context() as patch:
        on_call(patch, "AttachUserPolicy", widen)
        result = disturbed(run, "--user", "alice")
    assert result.exit_code == 1
    assert "the Deny-all stays on it and it can do nothing: newly allowed" in result.output
    assert "new statement: policy Team, statement 1" in result.output
    assert is_denied(iam)
    again = restore(run, "--user", "alice")
    assert (again.exit_code, is_denied(iam)) == (1, True)
    assert "it could do more than before: new statement: policy Team, statement 1" in again.output
    done = restore(run, "--user", "alice", "--accept-wider", "alice")
    assert done.exit_code == 0, done.output
    assert (is_denied(iam), boundary(iam)) == (False, LIMIT)


def is_denied(iam: Any) -> bool:
    inline = iam.list_user_policies(UserName="alice")["PolicyNames"]
    return boundary(iam) == DENY_ALL or "c7n-iamusers-deny-all" in inline


class Killed(BaseException):
    """No handler of the package catches it, as if the process were killed."""


def killed() -> None:
    raise Killed


def watch(monkeypatch: pytest.MonkeyPatch, after: Callable[[str, dict[str, Any]], None]) -> None:
    """``after`` right after each changing call of a restoration."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]
    inside = [False]

    def make_api_call(self: Any, name: str, parameters: dict[str, Any]) -> Any:
        answer = original(self, name, parameters)
        if name.startswith(CHANGING) and not inside[0]:
            inside[0] = True
            try:
                after(name, parameters)
            finally:
                inside[0] = False
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)


def test_until_the_last_call_it_can_do_nothing_and_credentials_come_first(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, material = details(iam), public(iam, "alice")
    delete(tmp_path / "out")
    made: list[tuple[str, str, bool]] = []

    def note(name: str, parameters: dict[str, Any]) -> None:
        held = iam.list_groups_for_user(UserName="alice")["Groups"]
        held += iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]
        made.append((name, boundary(iam), bool(held)))

    watch(monkeypatch, note)
    assert restore(run).exit_code == 0
    assert [name for name, _, _ in made] == [
        "CreateUser",
        "UploadSigningCertificate",
        "UpdateSigningCertificate",
        "UploadSSHPublicKey",
        "UpdateSSHPublicKey",
        "UploadSSHPublicKey",
        "AddUserToGroup",
        "AttachUserPolicy",
        "AttachUserPolicy",
        "PutUserPolicy",
        "PutUserPermissionsBoundary",
    ]
    assert {held for _, held, _ in made[:-1]} == {DENY_ALL}
    assert not any(holds for _, _, holds in made[:6])
    assert (details(iam), public(iam, "alice")) == (before, material)


def test_a_boundary_that_somebody_lifts_meanwhile_stops_the_restoration(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = details(iam)
    delete(tmp_path / "out")
    changes = iter([True])

    def lift(name: str, parameters: dict[str, Any]) -> None:
        if name == "UpdateSSHPublicKey" and next(changes, False):
            iam.delete_user_permissions_boundary(UserName="alice")

    with monkeypatch.context() as patch:
        watch(patch, lift)
        result = disturbed(run)
    assert result.exit_code == 1
    assert "its permissions boundary was changed during this run" in result.output
    assert iam.list_groups_for_user(UserName="alice")["Groups"] == []
    assert restore(run).exit_code == 0
    assert details(iam) == before


@pytest.mark.parametrize("calls", range(1, 12))
def test_killed_after_any_call_the_next_run_ends_the_same(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    before, material, made = details(iam), public(iam, "alice"), [0]
    delete(tmp_path / "out")

    def die(name: str, parameters: dict[str, Any]) -> None:
        made[0] += 1
        if made[0] == calls:
            raise Killed

    with monkeypatch.context() as patch:
        watch(patch, die)
        with pytest.raises(Killed):
            restore(run)
    assert (boundary(iam) == DENY_ALL) is (calls < 11)
    result = restore(run)
    assert result.exit_code == 0, result.output
    assert (details(iam), public(iam, "alice")) == (before, material)
    journal = (run / "restore-journal.jsonl").read_text()
    assert restore(run).exit_code == 0
    assert (run / "restore-journal.jsonl").read_text() == journal


@pytest.mark.parametrize("calls", [1, 3, 5, 7, 9, 10])
def test_killed_after_any_call_a_living_user_is_given_all_back_under_its_deny(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    before, material, made = details(iam), public(iam, "alice"), [0]
    with monkeypatch.context() as patch:
        on_call(patch, "PutUserPermissionsBoundary", killed)
        with pytest.raises(Killed):
            delete(tmp_path / "out")

    def die(name: str, parameters: dict[str, Any]) -> None:
        made[0] += 1
        assert is_denied(iam) is (made[0] < 10)
        if made[0] == calls:
            raise Killed

    with monkeypatch.context() as patch:
        watch(patch, die)
        with pytest.raises(Killed):
            restore(run, "--user", "alice")
    assert restore(run, "--user", "alice").exit_code == 0
    assert (details(iam), public(iam, "alice")) == (before, material)


def test_no_inactive_credential_is_uploaded_once_somebody_lifted_the_deny(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, material = details(iam), public(iam, "alice")
    with monkeypatch.context() as patch:
        on_call(patch, "PutUserPermissionsBoundary", killed)
        with pytest.raises(Killed):
            delete(tmp_path / "out")
    name = {"UserName": "alice"}
    with monkeypatch.context() as patch:
        # AWS takes the inactive key as active, so it would work until the next call
        deny_all = {**name, "PolicyName": "c7n-iamusers-deny-all"}
        on_call(patch, "UpdateSigningCertificate", lambda: iam.delete_user_policy(**deny_all))
        result = disturbed(run, "--user", "alice")
    assert (result.exit_code, iam.list_ssh_public_keys(**name)["SSHPublicKeys"]) == (1, [])
    assert "somebody else lifted the Deny-all that was on it during this run" in result.output
    result = restore(run, "--user", "alice", "--accept-wider", "alice")
    assert result.exit_code == 0, result.output
    assert (details(iam), public(iam, "alice")) == (before, material)


def fill_quotas(iam: Any, attached: int) -> None:
    """No room for an inline Deny beside what alice has, and ``attached`` policies more."""
    filling = document(*(f"s3:Get{'x' * 60}{n:02}" for n in range(25)))
    iam.put_user_policy(UserName="alice", PolicyName="filling", PolicyDocument=filling)
    for number in range(attached):
        iam.create_policy(PolicyName=f"P{number}", PolicyDocument=document("s3:GetObject"))
        iam.attach_user_policy(UserName="alice", PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/P{number}")


@pytest.mark.parametrize("calls", [1, 2, 3, 99])
@pytest.mark.parametrize(
    ("attached", "refused"), [(0, "DeleteUser"), (8, "DeleteUserPolicy")], ids=["attached", "boundary"]
)
def test_a_living_user_is_given_all_back_although_it_has_no_room_beside_the_deny_of_its_deletion(
    iam: Any,
    tmp_path: Path,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    attached: int,
    refused: str,
    calls: int,
) -> None:
    fill_quotas(iam, attached)
    before, material, made, asked = details(iam), public(iam, "alice"), [0], [0]

    def refuse() -> None:
        asked[0] += 1
        if refused == "DeleteUser" or asked[0] > 1:  # the policy that fills the quota is the first
            raise client_error("AccessDenied")

    with monkeypatch.context() as patch:
        on_call(patch, refused, refuse)
        for _ in range(2):  # the second one chooses its form by what the first has left
            with pytest.raises(PolicyExecutionError):
                delete(tmp_path / "out")

    def die(name: str, parameters: dict[str, Any]) -> None:
        made[0] += 1
        assert is_denied(iam)
        if made[0] == calls:
            raise Killed

    with monkeypatch.context() as patch:
        watch(patch, die)
        if calls < 99:
            with pytest.raises(Killed):
                restore(run, "--user", "alice")
    result = restore(run, "--user", "alice")
    assert result.exit_code == 0, result.output
    assert (details(iam), public(iam, "alice")) == (before, material)


def refuse_for_good(monkeypatch: pytest.MonkeyPatch, operation: str, part: str) -> None:
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def make_api_call(self: Any, name: str, parameters: dict[str, Any]) -> Any:
        if name == operation and part in parameters.values():
            raise client_error("PolicyNotAttachable")
        return original(self, name, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)


@pytest.mark.parametrize("half", [False, True], ids=["deleted", "half-deleted"])
@pytest.mark.parametrize(
    ("operation", "part"),
    [("AttachUserPolicy", READ_ONLY), ("PutUserPolicy", "inline")],
    ids=["deprecated-policy", "document-of-an-old-grammar"],
)
def test_what_aws_refuses_for_good_is_left_out_on_request(
    iam: Any,
    tmp_path: Path,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    part: str,
    half: bool,
) -> None:
    before, material = details(iam), public(iam, "alice")
    with monkeypatch.context() as patch:
        if half:
            deny(patch, "DeleteUser")
            with pytest.raises(PolicyExecutionError):
                delete(tmp_path / "out")
        else:
            delete(tmp_path / "out")
    refuse_for_good(monkeypatch, operation, part)
    result = restore(run, "--user", "alice")
    assert f"--without {part} restores the rest" in result.output
    assert is_denied(iam)
    result = restore(run, "--user", "alice", "--without", part)
    assert f"{part} is left out" in result.output
    assert result.exit_code == 0, result.output
    key, name = {"AttachUserPolicy": ("AttachedManagedPolicies", "PolicyArn")}.get(
        operation, ("UserPolicyList", "PolicyName")
    )
    left = [each for each in before["alice"].pop(key) if each[name] != part]
    alice = {**before["alice"], **({key: left} if left else {})}
    assert (details(iam), public(iam, "alice")) == ({"alice": alice}, material)
    again = restore(run, "--user", "alice")
    assert (again.exit_code, details(iam)) == (0, {"alice": alice})


def test_a_part_that_denies_is_left_out_only_once_that_is_accepted(
    iam: Any, tmp_path: Path, run: Path
) -> None:
    delete(tmp_path / "out")
    result = restore(run, "--without", "Ops")
    assert result.exit_code == 1
    assert "no longer denied: inline policy rules of group Ops" in result.output
    assert user_names(iam) == []
    assert restore(run, "--without", "Ops", "--accept-wider", "alice").exit_code == 0
    assert iam.list_groups_for_user(UserName="alice")["Groups"] == []


def test_a_part_that_nobody_has_is_refused(iam: Any, tmp_path: Path, run: Path) -> None:
    delete(tmp_path / "out")
    result = restore(run, "--without", "Opps")
    assert (result.exit_code, user_names(iam)) == (1, [])
    assert "no user has the part Opps: nothing was done" in result.output


def test_a_certificate_that_another_user_has_by_now_is_not_taken_for_its_own(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(tmp_path / "out")

    def refuse() -> None:
        raise client_error("DuplicateCertificate")

    on_call(monkeypatch, "UploadSigningCertificate", refuse)
    result = restore(run)
    assert "UploadSigningCertificate failed with DuplicateCertificate" in result.output
    left_out = result.output.partition("--without ")[2].split()[0]
    assert restore(run, "--without", left_out).exit_code == 0
    assert public(iam, "alice")[1] == []
    assert not is_denied(iam)


@pytest.mark.parametrize("operation", ["UploadSSHPublicKey", "UploadSigningCertificate"])
def test_a_lost_answer_of_an_upload_leaves_no_active_credential_with_rights(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    material, lost = public(iam, "alice"), [operation] * 2
    delete(tmp_path / "out")
    given: list[Any] = []

    def lose(name: str, parameters: dict[str, Any]) -> None:
        if name == "AddUserToGroup":
            given.append(public(iam, "alice"))
        if name in lost:
            lost.remove(name)
            raise ReadTimeoutError(endpoint_url="iam")

    watch(monkeypatch, lose)
    result = restore(run)
    assert result.exit_code == 0, result.output
    assert given[0] == public(iam, "alice") == material


def test_what_aws_does_not_show_in_the_end_is_named(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(tmp_path / "out")

    def remove(name: str, parameters: dict[str, Any]) -> None:
        if name == "PutUserPermissionsBoundary":
            iam.remove_user_from_group(UserName="alice", GroupName="Ops")

    with monkeypatch.context() as patch:
        watch(patch, remove)
        result = disturbed(run)
    assert result.exit_code == 1
    assert "AWS does not show all that was restored:" in result.output
    assert "AddUserToGroup Ops" in result.output
    assert ": restored\n" not in result.output
    assert restore(run).exit_code == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(
            lambda iam: iam.remove_user_from_group(UserName="alice", GroupName="Ops"),
            "AddUserToGroup is needed again, since somebody else changed the user during this run",
            id="taken",
        ),
        pytest.param(
            lambda iam: new_version(iam, OWN, "s3:*"),
            "what decides its rights was changed during this run, so the Deny-all stays on it",
            id="wider",
        ),
    ],
)
def test_right_before_the_deny_is_lifted_all_is_read_once_more(
    iam: Any,
    tmp_path: Path,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any], None],
    told: str,
) -> None:
    delete(tmp_path / "out")
    lift = UserRestoration._lift

    def late(self: UserRestoration, shown: Any) -> Any:
        change(iam)
        return lift(self, shown)

    with monkeypatch.context() as patch:
        patch.setattr(UserRestoration, "_lift", late)
        result = disturbed(run)
    assert (result.exit_code, boundary(iam)) == (1, DENY_ALL)
    assert told in result.output


#: Documents that the comparison takes for as much as ``iam:*`` on all resources, or more.
AS_MUCH: dict[str, list[dict[str, Any]]] = {
    "plain": [{"Action": "iam:*", "Resource": "*"}],
    "in-pieces-of-partitions": [
        {"Action": "iam:*", "NotResource": "arn:aws-cn:iam::*:*"},
        {"Action": "iam:*", "Resource": "arn:aws-c?:iam::*:*"},
    ],
    "all-but-one-user": [
        {"Action": "iam:*", "NotResource": "arn:aws:iam::111122223333:user/x"},
        {"Action": "iam:*", "Resource": "arn:aws:iam::111122223333:user/?"},
    ],
}


@pytest.mark.parametrize("statements", AS_MUCH.values(), ids=AS_MUCH)
def test_a_forged_snapshot_gives_no_policy_of_an_administrator_without_asking(
    org: LocalOrg, tmp_path: Path, run: Path, statements: list[dict[str, Any]]
) -> None:
    """Whoever can write the output directory forges the digest in the journal too."""
    iam = org.client("iam", ACCOUNT)
    arn = iam.create_policy(PolicyName="break-glass", PolicyDocument=document("iam:*"))["Policy"]["Arn"]
    iam.create_user(UserName="alice")
    delete(tmp_path / "out")
    (path,), journal = tuple((run / "snapshots").iterdir()), run / "journal.jsonl"
    content = path.read_bytes()
    old = Snapshot.from_json(content)
    given = [{"Effect": "Allow", **each} for each in statements]
    held = {**old.user.attachments, "attached-policy": ({"PolicyName": "break-glass", "PolicyArn": arn},)}
    forged = replace(
        old,
        user=IamUser(old.user.detail, held),
        policies=(PolicyVersion.of(arn, "v1", {"Version": "2012-10-17", "Statement": given}),),
    )
    forged = replace(forged, fingerprint=fingerprint(forged.user, forged.deactivated))
    path.write_text(forged.as_json())
    was, now = (hashlib.sha256(each).hexdigest() for each in (content, path.read_bytes()))
    journal.write_text(journal.read_text().replace(was, now))
    result = restore(run)
    assert result.exit_code == 1
    assert "warning: it becomes an administrator, by break-glass" in result.output
    assert user_names(iam) == []
    assert restore(run, "--yes").exit_code == 0
    assert iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]


def test_a_partial_snapshot_is_restored_for_a_named_user_only_with_what_it_does_not_know(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run whose output is lost removed the group that denies."""
    with monkeypatch.context() as patch:
        on_call(patch, "PutUserPermissionsBoundary", killed)
        with pytest.raises(Killed):
            delete(tmp_path / "lost")
    delete(tmp_path / "out", adopt=True)
    result = restore(run, "--yes")
    assert (result.exit_code, user_names(iam)) == (1, [])
    assert "not known is whether it had any group memberships" in result.output
    assert "not known is whether a group or policy among them denied it anything" in result.output
    assert "check what is not known, then give --user alice" in result.output
    assert restore(run, "--yes", "--user", "alice").exit_code == 0


def test_rights_that_were_changed_in_a_snapshot_are_noticed_without_a_journal(
    iam: Any, tmp_path: Path, run: Path
) -> None:
    delete(tmp_path / "out")
    (run / "journal.jsonl").unlink()
    (path,) = (run / "snapshots").iterdir()
    content = path.read_text()
    changes: tuple[Callable[[Any], object], ...] = (
        lambda data: data["policies"][0].update(document=document("*")),
        lambda data: data["policies"].pop(),
        lambda data: data["groups"][0].update(GroupId="AGPAOTHER"),
    )
    for change in changes:
        data = json.loads(content)
        change(data)
        path.write_text(json.dumps(data))
        result = restore(run, "--yes")
        assert (result.exit_code, user_names(iam)) == (1, [])
        assert "its content does not match its fingerprint" in result.output


def once(happens: Callable[[], object]) -> Callable[[], None]:
    """``happens`` at the first call only."""
    times = iter([True])

    def first() -> None:
        if next(times, False):
            happens()

    return first


def administrators_group(iam: Any) -> None:
    iam.create_group(GroupName="Ops")
    iam.attach_group_policy(GroupName="Ops", PolicyArn=ADMINISTRATOR)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(administrators_group, "group Ops is another one", id="group-of-somebody-else"),
        pytest.param(lambda iam: new_version(iam, OWN, "*"), "new statement: policy Team", id="new-version"),
    ],
)
def test_a_restored_user_gets_a_group_back_under_a_deny_and_after_a_second_comparison(
    iam: Any,
    tmp_path: Path,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any], None],
    words: str,
) -> None:
    delete(tmp_path / "out")
    remove_group(iam)
    assert restore(run, "--accept-wider", "alice").exit_code == 0
    with monkeypatch.context() as patch:
        on_call(patch, "CreateGroup", once(lambda: change(iam)))
        result = disturbed(run, "--recreate-groups")
    assert result.exit_code == 1
    assert "so the Deny-all stays on it and it can do nothing" in result.output
    assert words in result.output
    assert (is_denied(iam), boundary(iam)) == (True, LIMIT)
    assert restore(run, "--recreate-groups").exit_code == 1
    assert is_denied(iam)
    # what is wider makes an administrator
    asked = restore(run, "--recreate-groups", "--accept-wider", "alice")
    assert asked.exit_code == 1
    assert "it becomes an administrator, by " in asked.output
    assert is_denied(iam)
    assert restore(run, "--recreate-groups", "--accept-wider", "alice", "--yes").exit_code == 0
    assert (is_denied(iam), boundary(iam)) == (False, LIMIT)
    assert [each["UserName"] for each in iam.get_group(GroupName="Ops")["Users"]] == ["alice"]


@pytest.mark.parametrize("form", ["inline", "boundary"])
def test_killed_after_any_call_a_restored_user_has_its_group_back_and_no_deny(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    if form == "boundary":
        iam.put_user_policy(
            UserName="alice", PolicyName="inline", PolicyDocument=document("sqs:" + "x" * 1900)
        )
    before = details(iam)
    delete(tmp_path / "out")
    remove_group(iam)
    assert restore(run, "--accept-wider", "alice").exit_code == 0

    def die(name: str, parameters: dict[str, Any]) -> None:
        # Whose a group is, only the answer of its creation proves: without it, somebody has to look.
        if name != "CreateGroup":
            raise Killed

    kills = 0
    for _ in range(12):
        with monkeypatch.context() as patch:
            watch(patch, die)
            try:
                result = restore(run, "--recreate-groups")
            except Killed:
                kills += 1
                continue
        if not isinstance(result.exception, Killed):
            break
        kills += 1
    assert (result.exit_code, is_denied(iam), boundary(iam)) == (0, False, LIMIT), result.output
    assert kills == 5
    assert details(iam)["alice"] == before["alice"]


@pytest.mark.parametrize("bounded", [True, False], ids=["own-boundary", "no-boundary"])
@pytest.mark.parametrize("reading", ["before", "after"])
def test_a_deny_that_somebody_lifts_right_before_the_second_comparison_is_noticed(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, bounded: bool, reading: str
) -> None:
    if not bounded:
        iam.delete_user_permissions_boundary(UserName="alice")
    delete(tmp_path / "out")

    def lift() -> None:
        iam.delete_user_permissions_boundary(UserName="alice")
        new_version(iam, OWN, "*")

    first = once(lift)
    with monkeypatch.context() as patch:
        forget = RightsReader.forget

        def forgetting(reader: RightsReader) -> None:
            forget(reader)
            first()

        if reading == "before":
            patch.setattr(RightsReader, "forget", forgetting)
        else:
            on_call(patch, "PutUserPolicy", first)
        result = disturbed(run)
    assert result.exit_code == 1
    told = ("somebody else lifted the Deny-all", "its permissions boundary was changed during this run")
    assert any(each in result.output for each in told)
    assert "it can do nothing" not in result.output
    again = restore(run)
    assert again.exit_code == 1
    assert "new statement: policy Team, statement 1" in again.output


def test_a_deny_of_the_second_run_is_watched_until_the_end(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam.delete_user_permissions_boundary(UserName="alice")
    delete(tmp_path / "out")
    for operation in ("AddUserToGroup", "AttachUserPolicy"):
        with monkeypatch.context() as patch:
            lift = once(lambda: iam.delete_user_permissions_boundary(UserName="alice"))
            on_call(patch, operation, lift)
            result = disturbed(run)
        assert result.exit_code == 1
        assert "its permissions boundary was changed during this run" in result.output


@pytest.mark.parametrize(
    ("refused", "lift"),
    [("", "PutUserPermissionsBoundary"), ("DeleteUser", "PutUserPermissionsBoundary")],
    ids=["deleted", "half-deleted"],
)
def test_what_changes_after_the_deny_is_lifted_is_said_until_it_is_accepted(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, refused: str, lift: str
) -> None:
    with monkeypatch.context() as patch:
        deny(patch, refused)
        with pytest.raises(PolicyExecutionError) if refused else contextlib.nullcontext():
            delete(tmp_path / "out")
    with monkeypatch.context() as patch:
        on_call(patch, lift, once(lambda: new_version(iam, OWN, "s3:*")))
        result = disturbed(run, "--user", "alice")
    assert result.exit_code == 1
    assert "and no Deny-all of this run is on it: newly allowed" in result.output
    again = restore(run, "--user", "alice")
    assert again.exit_code == 1
    assert "it could do more than before: newly allowed" in again.output
    assert restore(run, "--user", "alice", "--accept-wider", "alice").exit_code == 0
    assert restore(run, "--user", "alice").exit_code == 0


def test_a_group_of_somebody_else_gets_no_old_policies(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(tmp_path / "out")
    remove_group(iam)
    with monkeypatch.context() as patch:
        on_call(patch, "CreateGroup", once(lambda: iam.create_group(GroupName="Ops")))
        result = disturbed(run, "--recreate-groups")
    assert result.exit_code == 1
    assert "group Ops is another one" in result.output
    again = restore(run, "--recreate-groups")
    assert (again.exit_code, is_denied(iam)) == (1, True)
    assert iam.list_group_policies(GroupName="Ops")["PolicyNames"] == []
    assert iam.list_attached_group_policies(GroupName="Ops")["AttachedPolicies"] == []


def deny_creation(iam: Any, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        deny(patch, "CreateGroup")
        assert restore(run, "--recreate-groups", "--user", "alice").exit_code == 1


def make_and_remove(iam: Any, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert restore(run, "--recreate-groups", "--user", "alice").exit_code == 0
    iam.remove_user_from_group(GroupName="Ops", UserName="alice")
    remove_group(iam)


@pytest.mark.parametrize("earlier", [deny_creation, make_and_remove], ids=["denied", "removed-since"])
def test_a_group_is_ours_only_by_the_id_that_its_creation_returned(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, earlier: Callable[..., None]
) -> None:
    iam.create_user(UserName="bob")
    iam.add_user_to_group(GroupName="Ops", UserName="bob")
    delete(tmp_path / "out")
    remove_group(iam)
    earlier(iam, run, monkeypatch)
    iam.create_group(GroupName="Ops")
    iam.put_group_policy(
        GroupName="Ops", PolicyName="rules", PolicyDocument=document("ec2:Get*", denied="iam:*")
    )
    result = restore(run, "--user", "bob")
    assert result.exit_code == 1
    assert "group Ops is another one" in result.output


def test_the_tag_of_a_restored_user_proves_nothing_about_another_one(
    iam: Any, tmp_path: Path, run: Path
) -> None:
    iam.create_user(UserName="bob")
    delete(tmp_path / "out")
    assert restore(run, "--user", "bob").exit_code == 0
    tags = iam.get_user(UserName="bob")["User"]["Tags"]
    iam.delete_user(UserName="bob")
    iam.create_user(UserName="bob", Tags=tags)
    result = restore(run, "--user", "bob")
    assert result.exit_code == 1
    assert "no journal of a restoration has it" in result.output


@pytest.mark.parametrize("full", [False, True], ids=["inline", "no-room-for-inline"])
def test_a_living_user_whose_attached_deny_is_gone_is_denied_again_meanwhile(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    if full:
        iam.put_user_policy(
            UserName="alice", PolicyName="inline", PolicyDocument=document("sqs:" + "x" * 1900)
        )
    before = details(iam)
    with monkeypatch.context() as patch:
        for operation in ("DeleteUser", "PutUserPolicy"):
            deny(patch, operation)
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path / "out")
    iam.detach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    states: list[bool] = []

    def note(name: str, parameters: dict[str, Any]) -> None:
        attached = iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]
        states.append(is_denied(iam) or DENY_ALL in [each["PolicyArn"] for each in attached])

    with monkeypatch.context() as patch:
        watch(patch, note)
        result = disturbed(run, "--user", "alice")
    assert result.exit_code == 0, result.output
    assert len(states) > 3
    assert (all(states[:-1]), states[-1]) == (True, False)
    assert details(iam) == before
