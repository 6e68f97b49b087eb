# SPDX-License-Identifier: Apache-2.0
"""A restored user is a new one for the trust policies of roles: a Deny by its former unique id is told before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from aws_local_org import LocalOrg
from tests.cli.test_restore import restore
from tests.interference import on_call
from tests.plugins.deletions import NAME, delete, user_names
from tests.policies import ACCOUNT

ARN, ROOT = f"arn:aws:iam::{ACCOUNT}:user/alice", f"arn:aws:iam::{ACCOUNT}:root"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/admin"


def trust(*denied: str, **condition: Any) -> str:
    rows: list[dict[str, Any]] = [{"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}]
    rows += [{**rows[0], "Effect": "Deny", "Principal": {"AWS": [*denied]}}]
    rows[1] |= {"Condition": condition} if condition else {}
    return json.dumps({"Version": "2012-10-17", "Statement": rows})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "out" / NAME


@pytest.fixture
def iam(org: LocalOrg, run: Path) -> Any:
    """alice and bob are deleted, whom the role admin denied by name."""
    iam = org.client("iam", ACCOUNT)
    for name in ("alice", "bob"):
        iam.create_user(UserName=name)
    iam.create_role(RoleName="admin", AssumeRolePolicyDocument=trust(ARN, ARN.replace("alice", "bob")))
    delete(run.parent)
    return iam


def refused(result: Result) -> bool:
    told = f"it could do more than before: no longer denied: trust policy of {ROLE}, statement 2: "
    return result.exit_code == 1 and told in result.output and "give --accept-wider alice" in result.output


def test_a_deny_by_the_former_id_is_a_wider_right(iam: Any, run: Path) -> None:
    first = restore(run, "--user", "alice")
    assert refused(first), first.output
    assert f"ArnEquals aws:PrincipalArn {ARN} in its place" in first.output
    assert user_names(iam) == []
    accepted = restore(run, "--user", "alice", "--accept-wider", "alice")
    assert accepted.exit_code == 0, accepted.output
    assert f"no longer denied: trust policy of {ROLE}" in accepted.output
    assert user_names(iam) == ["alice"]


def test_a_deny_in_its_place_or_saved_again_is_none(iam: Any, run: Path) -> None:
    iam.update_assume_role_policy(
        RoleName="admin", PolicyDocument=trust("*", ArnEquals={"aws:PrincipalArn": [ARN]})
    )
    result = restore(run, "--user", "alice")
    assert (result.exit_code, user_names(iam)) == (0, ["alice"]), result.output


def test_one_read_of_the_roles_serves_all_users_and_what_is_not_read_is_said_once(
    iam: Any, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    on_call(monkeypatch, "GetAccountAuthorizationDetails", lambda: reads.append("roles"))
    result = restore(run, "--dry-run", "--accept-wider", "alice", "--accept-wider", "bob")
    assert result.exit_code == 0, result.output
    assert reads == ["roles"]
    assert result.output.count(f"no longer denied: trust policy of {ROLE}") == 2
    assert result.output.count("not looked at: trust policies of roles in other accounts") == 1
