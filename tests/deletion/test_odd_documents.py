# SPDX-License-Identifier: Apache-2.0
"""Users whose policies have what JSON allows and a careful reader refuses: they come back, or they are not deleted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aws_local_org import LocalOrg
from c7n_iamusers_cli.main import main
from tests.plugins.deletions import NAME, acting, delete, outcomes, user_names
from tests.policies import ACCOUNT

ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
#: What stands for {odd} below -> the part of a policy's text that Python can't write as it was.
INFINITY = "1e400"
ODD = {
    "digits": "1" * 41,
    "half-a-character": '"\\ud800"',
    "deep": "[" * 70 + "]" * 70,
}
PLACES = ("inline", "group", "managed")


def text_with(odd: str) -> str:
    return (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*", '
        f'"Condition": {{"NumericLessThan": {{"s3:max-keys": {odd}}}}}}}]}}'
    )


def give(org: LocalOrg, iam: Any, name: str, place: str, odd: str) -> None:
    """A user with ``odd`` in a policy, which the emulated IAM would refuse to take."""
    iam.create_user(UserName=name)
    backend, good = org.backend("iam", ACCOUNT), text_with('"10"')
    if place == "inline":
        iam.put_user_policy(UserName=name, PolicyName="odd", PolicyDocument=good)
        next(each for each in backend.users.values() if each.name == name).policies["odd"] = text_with(odd)
    elif place == "group":
        iam.create_group(GroupName="odd")
        iam.add_user_to_group(UserName=name, GroupName="odd")
        iam.put_group_policy(GroupName="odd", PolicyName="odd", PolicyDocument=good)
        backend.groups["odd"].policies["odd"] = text_with(odd)
    else:
        arn = iam.create_policy(PolicyName="odd", PolicyDocument=good)["Policy"]["Arn"]
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
        backend.managed_policies[arn].versions[0].document = text_with(odd)


def restore(output: Path, *arguments: str) -> str:
    given = [
        "restore",
        str(output),
        "--yes",
        "--role",
        ROLE,
        "--journal",
        str(output / "j.jsonl"),
        *arguments,
    ]
    return CliRunner().invoke(main, given).output


@pytest.mark.parametrize(
    ("place", "odd"), [*((place, odd) for place in PLACES for odd in ODD), ("managed", "infinity")]
)
def test_a_user_comes_back_with_the_text_of_its_policy(
    place: str, odd: str, org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in org.environment().items():
        monkeypatch.setenv(name, value)
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    written = ODD.get(odd, INFINITY)
    give(org, iam, "mallory", place, written)
    delete(tmp_path)
    assert {name: row["status"] for name, row in outcomes(tmp_path).items()} == {
        "alice": "deleted",
        "mallory": "deleted",
    }
    assert "its rights can't be compared" in restore(tmp_path, "--user", "mallory")
    # the emulated IAM would refuse what it once took
    monkeypatch.setattr("moto.iam.models.IAMPolicyDocumentValidator.validate", lambda self: None)
    restore(tmp_path, "--accept-wider", "mallory")
    assert user_names(iam) == ["alice", "mallory"]
    if place == "inline":
        held = next(each for each in org.backend("iam", ACCOUNT).users.values() if each.name == "mallory")
        assert json.loads(held.policies["odd"], parse_int=str) == json.loads(
            text_with(written), parse_int=str
        )


@pytest.mark.parametrize("place", ["inline", "group"])
@pytest.mark.parametrize("action", ["composite-delete", "quarantine"])
def test_a_user_whose_policy_can_not_be_recorded_is_left_alone_and_alice_is_not(
    place: str, action: str, org: LocalOrg, tmp_path: Path
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    iam.create_access_key(UserName="alice")
    give(org, iam, "mallory", place, INFINITY)
    acting(action, tmp_path).run()
    assert (
        outcomes(tmp_path)["alice"]["status"]
        == {"composite-delete": "deleted", "quarantine": "quarantined"}[action]
    )
    row = outcomes(tmp_path)["mallory"]
    assert row["status"] == "skipped"
    assert "its snapshot can't be read again" in row["reason"]
    assert not list((tmp_path / NAME / "snapshots").glob("mallory*"))
