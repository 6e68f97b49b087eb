# SPDX-License-Identifier: Apache-2.0
"""What is left of users that were deleted, in policies of the local organization."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.resource_policies.sources import permissions_for
from c7n_iamusers_cli.main import main
from tests.full_users import create_full_user
from tests.plugins.deletions import acting
from tests.plugins.named_users import REGION, SERVICES, NamedUsers, allow, document
from tests.policies import ACCOUNT
from tests.readme import ROOT
from tests.used_permissions import observed

ROLE = f"arn:aws:iam::{ACCOUNT}:role/deploy"
BOB = {"user": "bob", "reason": "a test", "expires": "2999-12-31"}


def trust(*principals: str) -> str:
    statements = (
        {"Effect": "Allow", "Principal": {"AWS": each}, "Action": "sts:AssumeRole"} for each in principals
    )
    return document(*statements)


class Place:
    """alice, whom policies of six services and a role name among others."""

    def __init__(self, org: LocalOrg) -> None:
        self.iam = create_full_user(org, "alice", "/team/")
        self.iam.create_user(UserName="bob")
        found = self.iam.get_user(UserName="alice")["User"]
        self.arn, self.unique_id = found["Arn"], found["UserId"]
        self.named = NamedUsers(org, allow(self.arn), allow(ROLE))
        self.iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=trust(ACCOUNT))
        self.iam.create_role(RoleName="trusting", AssumeRolePolicyDocument=trust(self.arn, ROLE))

    def delete(self) -> None:
        """Delete alice. Policies that named her show her unique id then."""
        acting("composite-delete", Path("output/payments/us-east-1"), BOB, name="iam-users-delete").run()
        assert all(self.unique_id in each and self.arn not in each for each in self.named.policies())


@pytest.fixture
def place(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    accounts = yaml.safe_load((ROOT / "accounts.yml").read_text())
    (tmp_path / "accounts.yml").write_text(yaml.safe_dump(accounts))
    return Place(org)


def leftovers(
    *arguments: str, services: tuple[str, ...] = SERVICES, accounts: tuple[str, ...] = ("payments",)
) -> Result:
    asked = [each for service in services for each in ("--service", service)]
    asked += (each for account in accounts for each in ("-a", account))
    given = ["-s", "output", "-c", "accounts.yml", "-r", REGION, *asked, *arguments]
    return CliRunner().invoke(main, ["leftovers", *given])


def found(**options: Any) -> tuple[list[dict[str, Any]], Result]:
    result = leftovers("--format", "json", **options)
    assert result.exit_code in (0, 1), result.output
    return json.loads(result.stdout)["leftovers"], result


def test_nothing_is_left_of_a_user_that_no_policy_named(place: Place) -> None:
    alice = {"user": "alice", "reason": "a test", "expires": "2999-12-31"}
    acting("composite-delete", Path("output/payments/us-east-1"), alice, name="iam-users-delete").run()
    rows, result = found()
    assert rows == []
    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1] == "nothing found: 0 places in 1 account"


def test_each_policy_that_shows_a_deleted_user_is_shown_with_what_it_should_be(place: Place) -> None:
    place.delete()
    rows, result = found()
    assert result.exit_code == 0
    assert sorted(each["service"] for each in rows) == sorted([*SERVICES, "iam"])
    for row in rows:
        (shown,) = row["shown"]
        assert (shown["user"], shown["unique_id"], shown["what"]) == (place.arn, place.unique_id, "drop")
        assert [each["Principal"] for each in row["policy"]["Statement"]] == [{"AWS": ROLE}]
        assert row["command"].startswith("aws ")
        assert row["account"] == ACCOUNT


def test_a_restored_user_must_be_saved_again_by_name(place: Place) -> None:
    place.delete()
    role = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
    restored = CliRunner().invoke(main, ["restore", "output", "--role", role, "--user", "alice", "--yes"])
    assert restored.exit_code == 0, restored.output
    new = place.iam.get_user(UserName="alice")["User"]["UserId"]
    rows, _ = found()
    assert len(rows) == len(SERVICES) + 1
    for row in rows:
        (shown,) = row["shown"]
        assert (shown["what"], shown["restored_as"]) == ("change", new)
        assert row["policy"]["Statement"][0]["Principal"] == {"AWS": [place.arn]}
    for row in rows:
        if row["service"] == "s3":
            place.named.save(json.dumps(row["policy"]))
    assert {each["service"] for each in found()[0]} == {"iam"}


def with_access_entry(place: Place, monkeypatch: pytest.MonkeyPatch, created: int | None) -> None:
    """A cluster whose access entry for alice was ``created`` so many days from now; None: AWS does not say."""
    answers = {
        "ListClusters": {"clusters": ["shop"]},
        "ListAccessEntries": {"accessEntries": [place.arn, ROLE]},
    }
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def answered(self: Any, name: str, given: Any) -> Any:
        if name == "DescribeAccessEntry":
            if created is None:
                raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, name)
            return {"accessEntry": {"createdAt": utc_now() + timedelta(days=created)}}
        return answers[name] if name in answers else original(self, name, given)

    monkeypatch.setattr(BaseClient, "_make_api_call", answered)


@pytest.mark.parametrize(("created", "told"), [(-1, "renew entry"), (1, None)], ids=["before", "after"])
def test_an_access_entry_of_a_restored_user_is_shown_until_it_is_made_again(
    place: Place, monkeypatch: pytest.MonkeyPatch, created: int, told: str | None
) -> None:
    place.delete()
    role = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
    CliRunner().invoke(main, ["restore", "output", "--role", role, "--user", "alice", "--yes"])
    with_access_entry(place, monkeypatch, created)
    rows, result = found(services=("eks",))
    assert result.exit_code == 0
    shown = [each["shown"][0]["what"] for each in rows if each["service"] == "eks"]
    assert shown == ([told] if told else [])


@pytest.mark.parametrize(
    ("created", "told", "code"),
    [(-1, ["delete entry"], 0), (1, [], 0), (None, [], 1)],
    ids=["before", "after", "unknown"],
)
def test_an_access_entry_of_another_user_who_has_the_name_now_is_none_that_is_left(
    place: Place, monkeypatch: pytest.MonkeyPatch, created: int | None, told: list[str], code: int
) -> None:
    place.delete()
    place.iam.create_user(UserName="alice", Path="/team/")
    with_access_entry(place, monkeypatch, created)
    rows, result = found(services=("eks",))
    assert [each["shown"][0]["what"] for each in rows if each["service"] == "eks"] == told
    assert result.exit_code == code


def test_a_user_who_was_deleted_again_is_not_named_again(place: Place) -> None:
    place.delete()
    role = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
    CliRunner().invoke(main, ["restore", "output", "--role", role, "--user", "alice", "--yes"])
    acting("composite-delete", Path("output/payments/us-east-1"), BOB, name="iam-users-again").run()
    assert "alice" not in {each["UserName"] for each in place.iam.list_users()["Users"]}
    place.iam.create_user(UserName="alice", Path="/team/")
    rows, _ = found(services=("s3",))
    assert {each["shown"][0]["what"] for each in rows} == {"drop"}
    assert place.arn not in json.dumps([each["policy"] for each in rows])


def test_a_policy_of_another_account_knows_the_restored_user_too(place: Place, org: LocalOrg) -> None:
    client = org.client("s3", "444455556666")
    client.create_bucket(Bucket="shared")
    client.put_bucket_policy(Bucket="shared", Policy=document(allow(place.arn), allow(ROLE)))
    place.delete()
    role = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
    CliRunner().invoke(main, ["restore", "output", "--role", role, "--user", "alice", "--yes"])
    client.put_bucket_policy(Bucket="shared", Policy=document(allow(place.unique_id), allow(ROLE)))
    rows, _ = found(services=("s3",), accounts=("payments", "research"))
    (row,) = (each for each in rows if each["resource"].endswith("shared"))
    (shown,) = row["shown"]
    assert (shown["user"], shown["what"]) == (place.arn, "change")


def test_the_command_stays_within_the_policy_that_it_prints(place: Place) -> None:
    place.delete()
    printed = json.loads(leftovers("--policy").stdout)["Statement"][0]["Action"]
    with observed(agent="") as used:
        found()
    named = {
        "s3:ListBuckets": "s3:ListAllMyBuckets",
        "resourcegroupstaggingapi:GetResources": "tag:GetResources",
    }
    assert {named.get(each, each) for each in used} - {"sts:AssumeRole", "sts:GetCallerIdentity"} <= {
        *printed
    }


def test_the_table_says_what_to_do_and_the_commands_stand_below_it(place: Place) -> None:
    place.delete()
    result = leftovers(services=("s3",))
    assert "leave out the statement" in result.stdout
    assert "aws s3api put-bucket-policy --region us-east-1 --bucket invoices --policy" in result.stdout
    assert "aws iam update-assume-role-policy --role-name trusting" in result.stdout


def test_what_could_not_be_read_ends_it_with_1(place: Place) -> None:
    place.delete()
    rows, result = found(services=("s3", "codeartifact"))
    assert {each["service"] for each in rows} == {"s3", "iam"}
    assert result.exit_code == 1
    assert "codeartifact in us-east-1" in json.loads(result.stdout)["unread"][0]
    assert "not read: payments" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("could not read all: 2 places in 1 account, ")


def test_an_output_that_can_not_be_read_ends_it_with_1(place: Place) -> None:
    place.delete()
    Path("output/payments/us-east-1/iam-users-delete/outcomes.json").write_text("{")
    _, result = found(services=("s3",))
    assert result.exit_code == 1


def test_the_policy_of_the_role(place: Place) -> None:
    (statement,) = json.loads(leftovers("--policy", services=("s3",)).stdout)["Statement"]
    roles = "iam:GetAccountAuthorizationDetails"
    assert statement["Action"] == sorted({roles, *permissions_for(("s3",), every_region=False)})
