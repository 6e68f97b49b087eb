# SPDX-License-Identifier: Apache-2.0
"""Delete, restore: what comes back, what can't, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError
from click.testing import CliRunner, Result

from c7n_iamusers.cli.main import main
from c7n_iamusers.local_org import LocalOrg
from c7n_iamusers.model.permissions import RESTORATION
from tests.actions.deletions import NAME, delete, user_names
from tests.furnishing import furnish
from tests.interference import deny
from tests.observation import observed
from tests.policies import ACCOUNT

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
def iam(org: LocalOrg) -> Any:
    """alice and bob with everything; alice has an inactive SSH key, and a role trusts her."""
    client = furnish(org, "alice", "/a/b/")
    furnish(org, "bob")
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
    assert f"the trust policy of arn:aws:iam::{ACCOUNT}:role/deploy named the user" in result.output
    assert [line["phase"] for line in map(json.loads, journal.read_text().splitlines())][:2] == [
        "before",
        "after",
    ]


def test_restoring_twice_changes_nothing(
    org: LocalOrg, iam: Any, tmp_path: Path, run: Path, journal: Path
) -> None:
    delete(tmp_path / "out")
    restore(run, journal=journal)
    before, lines = iam.get_account_authorization_details()["UserDetailList"], journal.read_text()
    result = restore(run, journal=journal)
    assert iam.get_account_authorization_details()["UserDetailList"] == before
    assert journal.read_text() == lines
    assert result.output.count("is back already") == 2


def test_a_dry_run_shows_the_calls_and_makes_none(
    org: LocalOrg, iam: Any, tmp_path: Path, run: Path, journal: Path
) -> None:
    delete(tmp_path / "out")
    result = restore(run, "--dry-run", journal=journal)
    assert result.exit_code == 0
    assert 'iam:CreateUser {"UserName": "alice", "Path": "/a/b/"' in result.output
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


def test_a_vanished_group_comes_back_on_request(
    org: LocalOrg, iam: Any, tmp_path: Path, run: Path, journal: Path
) -> None:
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    )
    iam.put_group_policy(GroupName="group-0", PolicyName="own", PolicyDocument=document)
    iam.attach_group_policy(GroupName="group-0", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    delete(tmp_path / "out")
    iam.delete_group_policy(GroupName="group-0", PolicyName="own")
    iam.detach_group_policy(GroupName="group-0", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    iam.delete_group(GroupName="group-0")
    result = restore(run, journal=journal)
    assert "group group-0 no longer exists: --recreate-groups" in result.output
    assert result.exit_code == 0
    restore(run, "--recreate-groups", journal=journal)
    members = iam.get_group(GroupName="group-0")["Users"]
    assert {user["UserName"] for user in members} == {"alice", "bob"}
    assert iam.list_group_policies(GroupName="group-0")["PolicyNames"] == ["own"]
    assert len(iam.list_attached_group_policies(GroupName="group-0")["AttachedPolicies"]) == 1


def test_one_that_fails_hides_no_other_and_a_second_run_ends_it(
    org: LocalOrg, iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
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


def test_a_stranger_of_the_same_name_is_left_alone(
    org: LocalOrg, iam: Any, tmp_path: Path, run: Path, journal: Path
) -> None:
    delete(tmp_path / "out")
    iam.create_user(UserName="alice")
    iam.create_access_key(UserName="alice")
    result = restore(run, journal=journal)
    assert result.exit_code == 1
    assert "a user of that name exists" in result.output
    assert iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"] == []
    assert user_names(iam) == ["alice", "bob"]


def test_a_bare_stranger_of_the_same_name_is_given_nothing(
    org: LocalOrg, iam: Any, tmp_path: Path, run: Path, journal: Path
) -> None:
    delete(tmp_path / "out")
    iam.create_user(UserName="alice", Path="/a/b/")
    result = restore(run, journal=journal)
    assert result.exit_code == 1
    assert f"no tag {MARK}=AIDA" in result.output
    assert iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"] == []


def test_a_group_that_a_stopped_run_made_gets_its_policies_from_the_next(
    org: LocalOrg, iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
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
    org: LocalOrg, iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam.attach_user_policy(UserName="alice", PolicyArn=ADMINISTRATOR)
    with monkeypatch.context() as patch:
        deny(patch, "PutUserPermissionsBoundary")
        deny(patch, "PutUserPolicy")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path / "out")
    iam.detach_user_policy(UserName="alice", PolicyArn=ADMINISTRATOR)
    before = details(iam)
    delete(tmp_path / "out")
    assert len(list((run / "snapshots").glob("alice.*"))) == 2
    assert len(list((run / "snapshots").glob("bob.*"))) == 1
    assert restore(run, journal=journal).exit_code == 0
    assert details(iam) == before


def test_a_deletion_that_stopped_half_way_is_undone(
    org: LocalOrg, iam: Any, tmp_path: Path, run: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = details(iam)
    with monkeypatch.context() as patch:
        deny(patch, "DetachUserPolicy")
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path / "out")
    assert details(iam) != before
    result = restore(run, journal=journal)
    assert result.exit_code == 0, result.output
    assert details(iam) == before


def test_a_single_file_restores_one_user(
    org: LocalOrg, iam: Any, tmp_path: Path, run: Path, journal: Path
) -> None:
    delete(tmp_path / "out")
    (file,) = (run / "snapshots").glob("bob.*.json")
    assert restore(file, journal=journal).exit_code == 0
    assert user_names(iam) == ["bob"]


@pytest.mark.parametrize(
    ("content", "message"),
    [pytest.param("{", "nor JSON at all", id="torn"), pytest.param(None, "no snapshot in it", id="empty")],
)
def test_what_is_no_snapshot_is_named(
    org: LocalOrg, tmp_path: Path, content: str | None, message: str
) -> None:
    (tmp_path / "snapshots").mkdir()
    if content:
        (tmp_path / "snapshots" / "x.json").write_text(content)
    result = restore(tmp_path)
    assert result.exit_code == 1
    assert str(tmp_path) in result.output
    assert message in result.output
