# SPDX-License-Identifier: Apache-2.0
"""Delete, restore: what comes back, what can't, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError
from c7n.exceptions import PolicyExecutionError
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.exceptions import RestorationRefused
from c7n_iamusers.execution.locks import RUN_LOCK, run_lock
from c7n_iamusers.iam.permissions import RESTORATION
from c7n_iamusers.restoration.plan import Restoration
from c7n_iamusers.restoration.snapshot_files import collected, locked
from c7n_iamusers.restoration.user_restoration import UserRestoration
from c7n_iamusers_cli import restore_output
from c7n_iamusers_cli.main import main
from tests.full_users import create_full_user
from tests.interference import deny, on_call
from tests.plugins.deletions import NAME, delete, user_names
from tests.policies import ACCOUNT, policy
from tests.used_permissions import observed

ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
#: Ids and dates are new; of groups only the names are in a user's details.
NEW = {"UserId", "CreateDate"}
#: So is this tag of a restored user.
MARK = "c7n-iamusers-restored-from"


def restore(*arguments: str | Path, journal: Path | None = None) -> Result:
    where = ["--journal", str(journal)] if journal else []
    with observed(agent="") as used:
        result = CliRunner().invoke(main, ["restore", *map(str, arguments), "--role", ROLE, *where])
    assert used - {"sts:AssumeRole"} <= set(RESTORATION)
    return result


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "out" / NAME


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "restore-journal.jsonl"


@pytest.fixture
def iam(org: LocalOrg, request: pytest.FixtureRequest) -> Any:
    """alice and bob with everything; alice has an inactive SSH key, and a role trusts her."""
    times = getattr(request, "param", 1)
    client = create_full_user(org, "alice", "/a/b/", times=times)
    create_full_user(org, "bob", times=times)
    key = client.list_ssh_public_keys(UserName="alice")["SSHPublicKeys"][0]["SSHPublicKeyId"]
    client.update_ssh_public_key(UserName="alice", SSHPublicKeyId=key, Status="Inactive")
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/a/b/alice"},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    client.create_role(RoleName="deploy", AssumeRolePolicyDocument=document)
    return client


def details(iam: Any) -> dict[str, dict[str, Any]]:
    """The account's users, less what is new in any restored one."""
    found = iam.get_account_authorization_details(Filter=["User"])["UserDetailList"]
    return {user["UserName"]: _comparable(user) for user in found}


def _comparable(user: dict[str, Any]) -> dict[str, Any]:
    def by_text(value: Any) -> Any:
        return sorted(value, key=str) if isinstance(value, list) else value

    tags = [tag for tag in user.get("Tags", ()) if tag["Key"] != MARK]
    return {key: by_text(value) for key, value in {**user, "Tags": tags}.items() if key not in NEW}


def public(iam: Any, name: str) -> Any:
    """The public material of a user, with its statuses."""
    keys = iam.list_ssh_public_keys(UserName=name)["SSHPublicKeys"]
    bodies = [
        iam.get_ssh_public_key(UserName=name, SSHPublicKeyId=key["SSHPublicKeyId"], Encoding="SSH")[
            "SSHPublicKey"
        ]
        for key in keys
    ]
    certificates = iam.list_signing_certificates(UserName=name)["Certificates"]
    return (
        sorted((key["SSHPublicKeyBody"], key["Status"]) for key in bodies),
        sorted((each["CertificateBody"], each["Status"]) for each in certificates),
    )


@pytest.mark.parametrize("iam", [3], indirect=True, ids=["full"])
@pytest.mark.parametrize("page_limit", [None, 2])
def test_the_account_is_as_before_but_for_what_is_listed(
    org: LocalOrg, iam: Any, tmp_path: Path, run: Path, journal: Path, page_limit: int | None
) -> None:
    before, material = details(iam), {name: public(iam, name) for name in ("alice", "bob")}
    org.configure(page_limit=page_limit)
    delete(tmp_path / "out")
    assert user_names(iam) == []
    result = restore(run, journal=journal)
    org.configure(page_limit=None)
    assert result.exit_code == 0, result.output
    assert [line for line in result.output.splitlines() if line.endswith(": restored")] == [
        f"user {name} of account {ACCOUNT}: restored" for name in ("alice", "bob")
    ]
    assert details(iam) == before
    assert {name: public(iam, name) for name in ("alice", "bob")} == material
    for word in (
        "unique id AIDA",
        "console password",
        "access key AKIA",
        "MFA device arn",
        "GAHT",
        "service-specific",
    ):
        assert word in result.output, word
    assert (
        f"the trust policy of arn:aws:iam::{ACCOUNT}:role/deploy named the user: if it shows" in result.output
    )
    assert "put the user's ARN in its place; if not, leave it" in result.output
    assert [line["phase"] for line in map(json.loads, journal.read_text().splitlines())][:2] == [
        "before",
        "after",
    ]


def test_nothing_further_is_changed_once_the_journal_is_removed(
    iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(tmp_path / "out")
    on_call(monkeypatch, "CreateUser", lambda: journal.unlink(missing_ok=True))
    result = restore(run, journal=journal)
    assert result.exit_code == 1
    assert "restore-journal.jsonl is gone" in result.output
    (alice,) = iam.get_account_authorization_details(Filter=["User"])["UserDetailList"]
    assert (alice["AttachedManagedPolicies"], alice["GroupList"]) == ([], [])


def test_restoring_twice_changes_nothing(iam: Any, tmp_path: Path, run: Path, journal: Path) -> None:
    delete(tmp_path / "out")
    restore(run, journal=journal)
    before, lines = iam.get_account_authorization_details()["UserDetailList"], journal.read_text()
    result = restore(run, journal=journal)
    assert iam.get_account_authorization_details()["UserDetailList"] == before
    assert journal.read_text() == lines
    assert result.output.count("is restored already") == 2


def test_a_dry_run_shows_the_calls_and_makes_none(iam: Any, tmp_path: Path, run: Path, journal: Path) -> None:
    delete(tmp_path / "out")
    result = restore(run, "--dry-run", journal=journal)
    assert result.exit_code == 0
    assert 'iam:CreateUser {"UserName": "alice", "Path": "/a/b/"' in result.output
    assert '"CertificateBody": "-----BEGIN CERTIFICATE----- ..."' in result.output
    assert "<the new id of APKA" in result.output
    assert not journal.exists()
    assert user_names(iam) == []


def test_another_account_is_refused(
    org: LocalOrg, iam: Any, tmp_path: Path, run: Path, journal: Path
) -> None:
    delete(tmp_path / "out")
    other = ROLE.replace(ACCOUNT, "444455556666")
    result = CliRunner().invoke(main, ["restore", str(run), "--role", other, "--journal", str(journal)])
    assert result.exit_code == 1
    assert (
        "the session acts in account 444455556666; give --role a role of account 111122223333"
        in result.output
    )
    assert user_names(org.client("iam", "444455556666")) == user_names(iam) == []


def test_a_vanished_group_comes_back_on_request(iam: Any, tmp_path: Path, run: Path, journal: Path) -> None:
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    )
    iam.put_group_policy(GroupName="group-0", PolicyName="own", PolicyDocument=document)
    iam.attach_group_policy(GroupName="group-0", PolicyArn="arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess")
    delete(tmp_path / "out")
    iam.delete_group_policy(GroupName="group-0", PolicyName="own")
    iam.detach_group_policy(GroupName="group-0", PolicyArn="arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess")
    iam.delete_group(GroupName="group-0")
    result = restore(run, "--yes", journal=journal)
    assert "group group-0 no longer exists: --recreate-groups" in result.output
    assert result.exit_code == 0
    assert restore(run, "--yes", "--recreate-groups", journal=journal).exit_code == 0
    members = iam.get_group(GroupName="group-0")["Users"]
    assert {user["UserName"] for user in members} == {"alice", "bob"}
    assert iam.list_group_policies(GroupName="group-0")["PolicyNames"] == ["own"]
    assert len(iam.list_attached_group_policies(GroupName="group-0")["AttachedPolicies"]) == 1


def test_one_that_fails_hides_no_other_and_a_second_run_ends_it(
    iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = details(iam)
    delete(tmp_path / "out")
    with monkeypatch.context() as patch:
        deny(patch, "AttachUserPolicy", "alice")
        result = restore(run, journal=journal)
    assert result.exit_code == 1
    assert (
        "user alice of account 111122223333: iam:AttachUserPolicy failed with AccessDenied" in result.output
    )
    assert user_names(iam) == ["alice", "bob"]
    assert restore(run, journal=journal).exit_code == 0
    assert details(iam) == before


def test_another_user_with_the_name_is_left_alone(iam: Any, tmp_path: Path, run: Path, journal: Path) -> None:
    delete(tmp_path / "out")
    iam.create_user(UserName="alice")
    iam.create_access_key(UserName="alice")
    result = restore(run, journal=journal)
    assert result.exit_code == 1
    assert "a user of that name exists" in result.output
    assert iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"] == []
    assert user_names(iam) == ["alice", "bob"]


def test_a_bare_stranger_of_the_same_name_is_given_nothing(
    iam: Any, tmp_path: Path, run: Path, journal: Path
) -> None:
    delete(tmp_path / "out")
    iam.create_user(UserName="alice", Path="/a/b/")
    result = restore(run, journal=journal)
    assert result.exit_code == 1
    assert "no journal of a restoration has it" in result.output
    assert iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"] == []


def test_the_next_run_completes_a_group_that_a_stopped_run_created(
    iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_group_policy(GroupName="group-0", PolicyName="limits", PolicyDocument=document)
    delete(tmp_path / "out")
    iam.delete_group_policy(GroupName="group-0", PolicyName="limits")
    iam.delete_group(GroupName="group-0")
    with monkeypatch.context() as patch:
        deny(patch, "PutGroupPolicy")
        assert restore(run, "--recreate-groups", journal=journal).exit_code == 1
    assert iam.get_group(GroupName="group-0")["Users"] == []
    assert restore(run, "--recreate-groups", journal=journal).exit_code == 0
    assert iam.list_group_policies(GroupName="group-0")["PolicyNames"] == ["limits"]
    assert len(iam.get_group(GroupName="group-0")["Users"]) == 2


def test_what_was_taken_away_before_the_deletion_does_not_come_back(
    iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam.attach_user_policy(UserName="alice", PolicyArn=ADMINISTRATOR)
    with monkeypatch.context() as patch:
        deny(patch, "DeleteLoginProfile")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path / "out")
    iam.detach_user_policy(UserName="alice", PolicyArn=ADMINISTRATOR)
    delete(tmp_path / "out")
    assert len(list((run / "snapshots").glob("alice.*"))) == 2
    assert len(list((run / "snapshots").glob("bob.*"))) == 1
    assert restore(run, journal=journal).exit_code == 0
    attached = iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]
    assert ADMINISTRATOR not in {each["PolicyArn"] for each in attached}
    assert len(attached) == 1


def test_what_is_wrong_with_another_user_fails_no_restoration_of_one_that_is_named(
    iam: Any, tmp_path: Path, run: Path, journal: Path
) -> None:
    delete(tmp_path / "out")
    for file in (run / "snapshots").glob("alice.*"):
        file.unlink()
    result = restore(run, "--user", "bob", journal=journal)
    assert "snapshots in the journal are missing here" in result.output
    assert (result.exit_code, user_names(iam)) == (0, ["bob"]), result.output
    result = restore(run, journal=journal)
    assert (result.exit_code, "1 of 2 were not restored" in result.output) == (1, True), result.output
    (bob,) = (run / "snapshots").glob("bob.*")
    bob.write_text("{}")
    assert restore(run, "--user", "bob", journal=journal).exit_code == 1


def test_a_deletion_that_stopped_half_way_is_undone(
    iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = details(iam)
    with monkeypatch.context() as patch:
        deny(patch, "DetachUserPolicy")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path / "out")
    assert details(iam) != before
    result = restore(run, journal=journal)
    assert "still exists and is left alone: give --user alice" in result.output
    assert details(iam) != before
    result = restore(run, "--user", "alice", "--user", "bob", journal=journal)
    assert result.exit_code == 0, result.output
    assert details(iam) == before


def test_a_living_user_gets_nothing_back_that_an_administrator_took(
    iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam.attach_user_policy(UserName="alice", PolicyArn=ADMINISTRATOR)
    with monkeypatch.context() as patch:
        for operation in ("PutUserPolicy", "AttachUserPolicy", "PutUserPermissionsBoundary"):
            deny(patch, operation)
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path / "out")
    iam.detach_user_policy(UserName="alice", PolicyArn=ADMINISTRATOR)
    iam.remove_user_from_group(UserName="alice", GroupName="group-0")
    before = details(iam)
    for named, told in (
        ((), "still exists: nothing to restore"),
        (("--user", "alice"), "is restored already"),
    ):
        result = restore(run, "--yes", *named, journal=journal)
        assert result.exit_code == 0
        assert f"user alice of account {ACCOUNT} {told}" in result.output
        assert details(iam) == before


def test_a_stranger_who_tags_himself_gets_nothing(iam: Any, tmp_path: Path, run: Path, journal: Path) -> None:
    unique_id = iam.get_user(UserName="alice")["User"]["UserId"]
    delete(tmp_path / "out")
    assert restore(run, "--user", "bob", journal=journal).exit_code == 0
    iam.create_user(UserName="alice", Path="/a/b/", Tags=[{"Key": MARK, "Value": unique_id}])
    result = restore(run, "--user", "alice", "--yes", journal=journal)
    assert result.exit_code == 1
    assert iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"] == []


def test_what_is_taken_from_a_restored_user_is_not_given_back_again(
    iam: Any, tmp_path: Path, run: Path, journal: Path
) -> None:
    delete(tmp_path / "out")
    assert restore(run, journal=journal).exit_code == 0
    policy = iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"][0]["PolicyArn"]
    iam.detach_user_policy(UserName="alice", PolicyArn=policy)
    iam.remove_user_from_group(UserName="alice", GroupName="group-0")
    before = details(iam)
    assert restore(run, "--yes", "--recreate-groups", journal=journal).exit_code == 0
    assert details(iam) == before


def test_a_lost_answer_of_create_user_is_made_up_for(
    iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = details(iam)
    delete(tmp_path / "out")
    original, lost = BaseClient._make_api_call, {"CreateUser"}  # type: ignore[attr-defined]

    def losing(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        answer = original(self, operation, parameters)
        if operation in lost:
            lost.remove(operation)
            raise ReadTimeoutError(endpoint_url="iam")
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", losing)
    result = restore(run, journal=journal)
    assert result.exit_code == 0, result.output
    assert details(iam) == before


def test_administrators_are_named_and_asked_for(iam: Any, tmp_path: Path, run: Path, journal: Path) -> None:
    iam.attach_user_policy(UserName="alice", PolicyArn=ADMINISTRATOR)
    delete(tmp_path / "out")
    result = restore(run, journal=journal)
    assert result.exit_code == 1
    assert "it becomes an administrator, by AdministratorAccess" in result.output
    assert user_names(iam) == ["bob"]
    assert restore(run, "--yes", journal=journal).exit_code == 0
    assert user_names(iam) == ["alice", "bob"]


def test_a_snapshot_that_no_journal_proves_is_asked_for(
    iam: Any, tmp_path: Path, run: Path, journal: Path
) -> None:
    delete(tmp_path / "out")
    (run / "journal.jsonl").unlink()
    result = restore(run, journal=journal)
    assert (result.exit_code, user_names(iam)) == (1, [])
    assert "no journal proves that" in result.output
    assert restore(run, "--yes", journal=journal).exit_code == 0
    assert user_names(iam) == ["alice", "bob"]


def test_what_a_proxy_removes_twice_comes_back(
    iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second answer says that it is gone; the run is stopped then, and the next one takes a snapshot without it."""
    before = details(iam)["alice"]
    original = BaseClient._make_api_call  # type: ignore[attr-defined]
    twice = {"DetachUserPolicy", "DeleteUserPolicy", "RemoveUserFromGroup", "DeleteSSHPublicKey"}

    def call(self: Any, name: str, parameters: dict[str, Any]) -> Any:
        if name in twice:
            original(self, name, parameters)
        return original(self, name, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", call)
        deny(patch, "DeleteUser")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path / "out")
    delete(tmp_path / "out")
    result = restore(run, "--yes", "--user", "alice", journal=journal)
    assert result.exit_code == 0, result.output
    assert details(iam)["alice"] == before
    assert "was gone when this tool tried to remove it" in result.output


def _stop(*_: Any) -> None:
    raise ReadTimeoutError(endpoint_url="iam")


@pytest.mark.parametrize("ended", ["stopped", "complete"])
def test_a_hold_that_somebody_set_after_the_lift_stays(
    iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    delete(tmp_path / "out")
    with monkeypatch.context() as patch:
        if ended == "stopped":
            patch.setattr(UserRestoration, "_read_back", _stop)
            assert restore(run, "--yes", "--user", "alice", journal=journal).exit_code != 0
        else:
            assert restore(run, "--yes", "--user", "alice", journal=journal).exit_code == 0
    hold = "arn:aws:iam::aws:policy/AWSDenyAll"
    iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=hold)
    result = restore(run, "--yes", "--user", "alice", journal=journal)
    held = iam.get_user(UserName="alice")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
    assert held == hold
    if ended == "stopped":
        assert result.exit_code == 1
        assert "which somebody else set after this tool had lifted its own" in result.output


@pytest.mark.parametrize("elsewhere", [True, False], ids=["another-journal", "beside-the-snapshots"])
def test_a_hold_on_a_user_that_was_given_back_stays(
    iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    hold = "arn:aws:iam::aws:policy/AWSDenyAll"
    with monkeypatch.context() as patch:
        deny(patch, "PutUserPolicy")
        deny(patch, "DeleteUser")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path / "out")
    given = {"journal": journal} if elsewhere else {}
    assert restore(run, "--yes", "--user", "alice", **given).exit_code == 0
    assert not [each for each in attached(iam) if each == hold]
    iam.attach_user_policy(UserName="alice", PolicyArn=hold)
    restore(run, "--yes", "--user", "alice", **given)
    assert hold in attached(iam)


def attached(iam: Any) -> list[str]:
    return [
        each["PolicyArn"] for each in iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]
    ]


def test_a_snapshot_that_others_can_write_is_asked_for(
    iam: Any, tmp_path: Path, run: Path, journal: Path
) -> None:
    delete(tmp_path / "out")
    for name, mode in (("journal.jsonl", 0o666), ("snapshots", 0o777), ("", 0o777)):
        before = (run / name).stat().st_mode
        (run / name).chmod(mode)
        result = restore(run, journal=journal)
        assert (result.exit_code, user_names(iam)) == (1, []), name
        assert f"can be written by others (mode {mode:04o})" in result.output
        if name:
            (run / name).chmod(before)
    assert restore(run, "--yes", journal=journal).exit_code == 0
    assert user_names(iam) == ["alice", "bob"]


def grant_administration(snapshot: dict[str, Any]) -> None:
    snapshot["attachments"]["attached-policy"].append({"PolicyName": "A", "PolicyArn": ADMINISTRATOR})


def move_to_another_account(snapshot: dict[str, Any]) -> None:
    snapshot["user"]["Arn"] = snapshot["user"]["Arn"].replace(ACCOUNT, "444455556666")


def change_a_key(snapshot: dict[str, Any]) -> None:
    snapshot["attachments"]["ssh-public-key"][0]["SSHPublicKeyBody"] = "ssh-rsa AAAA"


def test_a_snapshot_that_was_changed_restores_nobody_and_hides_nobody(
    iam: Any, tmp_path: Path, run: Path, journal: Path
) -> None:
    delete(tmp_path / "out")
    (path,) = (run / "snapshots").glob("alice.*")
    content = path.read_text()
    for change in (grant_administration, move_to_another_account, change_a_key):
        snapshot = json.loads(content)
        change(snapshot)
        path.write_text(json.dumps(snapshot))
        result = restore(run, "--yes", journal=journal)
        assert (result.exit_code, str(path) in result.output) == (1, True), change
        assert user_names(iam) == ["bob"]


def test_the_directory_of_c7n_org_holds_many_runs(iam: Any, tmp_path: Path) -> None:
    delete(tmp_path / "output" / "payments" / "us-east-1")
    result = restore(tmp_path / "output")
    assert result.exit_code == 0, result.output
    assert user_names(iam) == ["alice", "bob"]
    # what was done is written down beside what it was done from
    assert (tmp_path / "output" / "payments" / "us-east-1" / NAME / "restore-journal.jsonl").exists()


OTHER = "444455556666"
EVERYWHERE = "arn:aws:iam::{account_id}:role/CloudCustodian"


@pytest.fixture
def fleet(org: LocalOrg, iam: Any, tmp_path: Path) -> Path:
    """c7n-org's directory: alice and bob of one account were deleted, and so was carol of another."""
    create_full_user(org, "carol", account=OTHER)
    delete(tmp_path / "output" / "payments" / "us-east-1")
    everybody = {"filters": [{"type": "unnecessary", "exempt": "none"}], "actions": ["composite-delete"]}
    policy(everybody, tmp_path / "output" / "research" / "us-east-1", OTHER).run()
    return tmp_path / "output"


def of_fleet(fleet: Path, *arguments: str, role: str = EVERYWHERE) -> Result:
    given = ["restore", str(fleet), "--role", role, "-c", accounts_file(fleet.parent, ACCOUNT, OTHER)]
    return CliRunner().invoke(main, [*given, *arguments])


def accounts_file(directory: Path, *accounts: str) -> str:
    entries = [
        {"name": each, "account_id": each, "role": "Any", "regions": ["us-east-1"]} for each in accounts
    ]
    path = directory / "accounts.json"
    path.write_text(json.dumps({"accounts": entries}))
    return str(path)


def left(org: LocalOrg) -> tuple[list[str], list[str]]:
    return user_names(org.client("iam", ACCOUNT)), user_names(org.client("iam", OTHER))


def test_users_of_several_accounts_are_restored_by_a_role_in_each(org: LocalOrg, fleet: Path) -> None:
    for options, expected, counts in (
        (["--dry-run"], ([], []), [[ACCOUNT, "2"], [OTHER, "1"]]),
        (["--user", "bob"], (["bob"], []), [[ACCOUNT, "1"]]),
        ([], (["alice", "bob"], ["carol"]), [[ACCOUNT, "1"], [OTHER, "1"]]),
    ):
        result = of_fleet(fleet, *options)
        assert result.exit_code == 0, result.output
        assert left(org) == expected, options
        rows = [line.split() for line in result.output.splitlines() if line.startswith((ACCOUNT, OTHER))]
        assert [row[:2] for row in rows] == counts, options


def test_an_account_that_cannot_be_entered_stops_no_other(org: LocalOrg, fleet: Path) -> None:
    org.client("iam", OTHER).create_role(
        RoleName="Restorer",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
            }
        ),
    )
    result = of_fleet(fleet, role=EVERYWHERE.replace("CloudCustodian", "Restorer"))
    assert result.exit_code == 1
    assert f"account {ACCOUNT}: alice, bob: not restored: role" in result.output
    assert f"2 of 3 were not restored (2 in account {ACCOUNT})" in result.output
    assert left(org) == ([], ["carol"])


@pytest.mark.parametrize(
    ("options", "code", "told", "assumed"),
    [
        pytest.param([], 2, "give -c accounts.yml or --account ID", [], id="no-accounts"),
        pytest.param(["-c"], 1, f"account {OTHER}: carol: not restored: ", [ACCOUNT], id="accounts-file"),
        pytest.param(["-c", "--account", OTHER], 1, "does not have this account", [], id="both"),
        pytest.param(["--account", ACCOUNT], 0, "would be restored", [ACCOUNT], id="account"),
    ],
)
def test_no_role_is_assumed_in_an_account_that_only_a_snapshot_names(
    org: LocalOrg, fleet: Path, options: list[str], code: int, told: str, assumed: list[str]
) -> None:
    ours = {"-c": ["-c", accounts_file(fleet.parent, ACCOUNT)]}
    words = [word for each in options for word in ours.get(each, [each])]
    role = ("--role", EVERYWHERE, "--external-id", "a-secret-of-ours")
    org.clear_calls()
    found = CliRunner().invoke(main, ["restore", str(fleet), *role, "--dry-run", *words])
    assert (found.exit_code, told in " ".join(found.output.split())) == (code, True), found.output
    roles = {call.parameters["RoleArn"] for call in org.calls if call.operation == "AssumeRole"}
    assert roles == {EVERYWHERE.replace("{account_id}", each) for each in assumed}


def test_one_role_restores_the_users_of_its_account(org: LocalOrg, fleet: Path) -> None:
    result = of_fleet(fleet, role=ROLE)
    assert result.exit_code == 1
    assert f"give --role a role of account {OTHER}" in result.output
    assert left(org) == (["alice", "bob"], [])


def test_what_names_nothing_is_refused(org: LocalOrg, fleet: Path) -> None:
    for options, message in (
        (["--role", "arn:aws:iam::{account}:role/X"], "is not the ARN of a role"),
        (["--role", "arn:aws-x:iam::{account_id}:role/X"], "no partition 'aws-x'"),
        (["--account", "payments"], "is not an account id"),
        (["--account", "777788889999"], "no snapshot of account 777788889999"),
        (["--user", "dora"], "no snapshot of dora"),
    ):
        result = of_fleet(fleet, *options)
        assert (result.exit_code != 0, message in " ".join(result.output.split())) == (True, True), options
        assert left(org) == ([], [])


def test_a_name_that_several_accounts_have_is_accepted_by_account_only(
    org: LocalOrg, iam: Any, request: pytest.FixtureRequest
) -> None:
    create_full_user(org, "alice", account=OTHER)
    fleet = request.getfixturevalue("fleet")
    refused = of_fleet(fleet, "--accept-wider", "alice")
    assert refused.exit_code == 1
    assert "alice is in several accounts: give --accept-wider ACCOUNT_ID/NAME" in refused.output
    assert left(org) == ([], [])
    for account in (ACCOUNT, OTHER):
        there = org.client("iam", account)
        there.put_group_policy(
            GroupName="group-0", PolicyName="more", PolicyDocument=json.dumps(grant("sqs:*"))
        )
    result = of_fleet(fleet, "--user", "alice", "--accept-wider", f"{ACCOUNT}/alice")
    assert result.exit_code == 1
    assert left(org) == (["alice"], [])
    assert of_fleet(fleet, "--account", OTHER, "--user", "alice", "--accept-wider", "alice").exit_code == 0
    assert left(org) == (["alice"], ["alice"])


def grant(action: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


def test_an_odd_answer_for_one_user_hides_no_other(
    iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(tmp_path / "out")
    original = UserRestoration.plan

    def odd(self: UserRestoration) -> Restoration:
        if self.recorded.subject.name == "alice":
            raise KeyError("AttachedPolicies")
        return original(self)

    monkeypatch.setattr(UserRestoration, "plan", odd)
    result = restore(run, journal=journal)
    assert result.exit_code == 1
    assert "user alice of account 111122223333: an answer of AWS lacks 'AttachedPolicies'" in result.output
    assert user_names(iam) == ["bob"]


def meanwhile(run: Path, *arguments: str) -> Result:
    """A restoration during a run, whose calls are not told apart."""
    return CliRunner().invoke(main, ["restore", str(run), "--role", ROLE, *arguments])


def in_use(run: Path) -> Any:
    """A run that is under way in that output."""
    return run_lock(run, "policy delete")


def test_while_a_run_is_under_way_in_the_output_nothing_is_restored(
    iam: Any, tmp_path: Path, run: Path
) -> None:
    delete(tmp_path / "out")
    with in_use(run):
        assert restore(run, "--dry-run").exit_code == 0
        for journal in (None, tmp_path / "other.jsonl"):
            result = restore(run, journal=journal)
            assert result.exit_code == 1
            assert f"nothing was restored: {run} is in use by policy delete" in result.output
    assert user_names(iam) == []
    assert restore(run).exit_code == 0
    assert user_names(iam) == ["alice", "bob"]


def test_no_run_begins_while_users_of_its_output_are_restored(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(tmp_path / "out")

    def begin() -> None:
        with pytest.raises(PolicyExecutionError, match="is in use by c7n-iamusers restore"):
            delete(tmp_path / "out")

    begun = iter([begin])
    with monkeypatch.context() as patch:
        on_call(patch, "AttachUserPolicy", lambda: next(begun, lambda: None)())
        result = meanwhile(run, "--user", "alice")
    assert (result.exit_code, next(begun, None)) == (0, None), result.output
    assert user_names(iam) == ["alice"]


def test_a_run_that_ended_after_its_output_was_read_is_noticed(iam: Any, tmp_path: Path, run: Path) -> None:
    delete(tmp_path / "out")
    found = collected([run]).users
    with locked(found):
        pass
    delete(tmp_path / "out")  # which has nobody to delete, and writes nothing
    with locked(found):
        pass
    with (run / "journal.jsonl").open("a") as journal:
        journal.write("\n")
    with (
        pytest.raises(RestorationRefused, match=f"a run has written to {run} since it was read"),
        locked(found),
    ):
        pass


def test_an_output_in_use_stops_no_other_account(org: LocalOrg, fleet: Path) -> None:
    used = next((fleet / "payments").rglob("journal.jsonl")).parent
    with in_use(used):
        result = of_fleet(fleet)
    assert result.exit_code == 1
    assert f"account {ACCOUNT}: " in result.output
    assert f"{used} is in use by policy delete" in result.output
    assert left(org)[0] == []
    assert left(org)[1] != []


def test_once_the_run_lock_is_removed_nothing_further_is_restored(
    iam: Any, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(tmp_path / "out")
    with monkeypatch.context() as patch:
        on_call(patch, "AddUserToGroup", lambda: (run / RUN_LOCK).unlink(missing_ok=True))
        result = restore(run)
    assert result.exit_code == 1
    assert "another run may have begun" in result.output
    assert user_names(iam) == ["alice"]


def test_a_place_in_a_bucket_is_told_apart_from_a_file_that_is_not_there() -> None:
    result = CliRunner().invoke(main, ["restore", "s3://bucket/output?region=us-east-1"])
    assert result.exit_code == 2
    assert (
        "c7n-iamusers user NAME -s s3://bucket/output?region=us-east-1 -c accounts.yml --give-back"
        in result.output
    )
    assert "aws s3 sync s3://bucket/output snapshots" in result.output


@pytest.mark.parametrize("end", ["\n", "\x85", "\u2028"])
def test_a_document_is_shown_whole(end: str) -> None:
    """Whatever a line may end with: rights behind it would be given back unseen."""
    shown = restore_output._shown({"PolicyDocument": f'{{"Resource": "a{end}", "Action": "s3:*"}}'})
    assert "s3:*" in shown
    assert restore_output._shown({"CertificateBody": "-----BEGIN\nMIIB", "X": ""}).count("MIIB") == 0
