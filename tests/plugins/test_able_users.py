# SPDX-License-Identifier: Apache-2.0
"""The action gives no access to whom it would give more than the IAM user can do, with a verdict either way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.client import BaseClient
from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from tests.access_center import ACCOUNT, OTHER_ACCOUNT, READ_ONLY
from tests.fakes import client_error
from tests.plugins.provisioning_rehearsal import Rehearsal

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
BUCKET = {"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]}
DERIVE: dict[str, Any] = {"derive": True, "group": None, "permission_set": None}
MODES = pytest.mark.parametrize("mode", ["apply", "intent"])
GIVEN = {"apply": "provisioned", "intent": "intended"}


def allow(rehearsal: Rehearsal, name: str, *statements: dict[str, Any], account: str = ACCOUNT) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    rehearsal.org.client("iam", account).put_user_policy(
        UserName=name, PolicyName="Own", PolicyDocument=document
    )


def leave(rehearsal: Rehearsal, name: str) -> None:
    """The user is a leaver's: its only key is inactive."""
    iam = rehearsal.org.client("iam", ACCOUNT)
    (key,) = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    iam.update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status="Inactive")


def refuse(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    """The account's role may not call ``operation``."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def make_api_call(self: Any, name: str, parameters: dict[str, Any]) -> Any:
        if name == operation:
            raise client_error("AccessDenied")
        return original(self, name, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)


@MODES
def test_a_leaver_gets_nothing_and_the_others_theirs(rehearsal: Rehearsal, mode: str) -> None:
    for name in ("alice", "leaver"):
        rehearsal.user(name)
        allow(rehearsal, name, EVERYTHING)
    leave(rehearsal, "leaver")
    found = rehearsal.run(mode=mode, **DERIVE)
    assert (found["alice"]["status"], found["alice"]["verdict"]) == (GIVEN[mode], "equal")
    assert (found["leaver"]["status"], found["leaver"]["code"]) == ("skipped", "NoWorkingCredentials")
    assert "has no working credentials (by the credential report of " in found["leaver"]["reason"]
    assert rehearsal.usernames() == ({"alice@example.com"} if mode == "apply" else set())
    told = {each["UserName"]: each["c7n:IamUser"]["provisioning"] for each in rehearsal.resources}
    assert (told["leaver"]["status"], told["leaver"]["username"]) == ("skipped", "")
    assert "has no working credentials" in told["leaver"]["reason"]


@MODES
def test_a_leaver_who_is_accepted_by_name(rehearsal: Rehearsal, mode: str) -> None:
    rehearsal.user("leaver")
    allow(rehearsal, "leaver", BUCKET)
    leave(rehearsal, "leaver")
    accept = [
        {
            "account": ACCOUNT,
            "user": "leaver",
            "verdict": "no-working-credentials",
            "remark": "is back on Monday",
            "expires": "2099-01-31",
        }
    ]
    found = rehearsal.run(mode=mode, **{**DERIVE, "derive": {"accept": accept}})
    assert (found["leaver"]["status"], found["leaver"]["verdict"]) == (GIVEN[mode], "equal")


@MODES
@pytest.mark.parametrize(
    ("statements", "verdict"),
    [
        pytest.param((EVERYTHING,), "narrower", id="everything"),
        pytest.param((BUCKET,), "wider", id="one-bucket"),
        pytest.param((), "wider", id="no-policy"),
    ],
)
def test_read_only_access_by_name_has_a_verdict(
    rehearsal: Rehearsal, mode: str, statements: tuple[dict[str, Any], ...], verdict: str
) -> None:
    """Nobody in the account has the policy, so its document is in no authorization details."""
    rehearsal.user("alice")
    if statements:
        allow(rehearsal, "alice", *statements)
    (row,) = rehearsal.run(mode=mode, accept=None).values()
    served = verdict == "narrower"
    assert row["verdict"] == verdict
    assert row["status"] == (GIVEN[mode] if served else "skipped")
    assert (row["code"] == "NotProven") is not served
    assert bool(rehearsal.assigned()) == (served and mode == "apply")
    if not served:
        assert "permission set IamMigratedReadOnly was not proven to grant no more" in row["reason"]
        assert f"user alice of account {ACCOUNT}" in row["reason"]


def test_who_has_read_only_access_has_it_again(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    rehearsal.org.client("iam", ACCOUNT).attach_user_policy(UserName="alice", PolicyArn=READ_ONLY)
    (row,) = rehearsal.run(accept=None).values()
    assert (row["status"], row["verdict"]) == ("provisioned", "equal")


def test_what_is_wider_and_accepted_says_so(rehearsal: Rehearsal) -> None:
    rehearsal.user("alice")
    (row,) = rehearsal.run().values()
    assert (row["status"], row["verdict"]) == ("provisioned", "wider")


def test_a_document_that_may_not_be_read_leaves_it_undecided(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal.user("alice")
    allow(rehearsal, "alice", BUCKET)
    refuse(monkeypatch, "GetPolicyVersion")
    (row,) = rehearsal.run(accept=None).values()
    assert (row["status"], row["verdict"]) == ("skipped", "undecided")
    assert f"{READ_ONLY} could not be read: allow iam:GetPolicy and iam:GetPolicyVersion" in row["reason"]


def test_a_report_that_may_not_be_read_is_a_failure(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal.user("alice")
    refuse(monkeypatch, "GetCredentialReport")
    with pytest.raises(PolicyExecutionError, match="it is unknown whether it has working credentials"):
        rehearsal.run(**DERIVE)
    (row,) = rehearsal.outcomes().values()
    assert (row["status"], row["code"]) == ("failed", "CredentialsUnknown")
    assert rehearsal.mutations() == []


def test_the_work_grows_by_pages_and_not_by_users(rehearsal: Rehearsal) -> None:
    calls = []
    for account, count in ((ACCOUNT, 2), (OTHER_ACCOUNT, 12)):
        for number in range(count):
            rehearsal.user(f"user{number}", account)
            allow(rehearsal, f"user{number}", BUCKET, account=account)
        found = rehearsal.run(account, mode="intent", **DERIVE)
        assert {row["status"] for row in found.values()} == {"intended"}
        calls.append(sorted(call.operation for call in rehearsal.org.calls if call.service == "iam"))
    assert calls[0] == calls[1]


def test_a_quarantined_user_is_skipped_and_keeps_what_it_has(rehearsal: Rehearsal, org: LocalOrg) -> None:
    """The Deny is that of a quarantine, as its record is in the statement id."""
    rehearsal.user("alice")
    allow(rehearsal, "alice", BUCKET)
    assert rehearsal.run(**DERIVE)["alice"]["status"] == "provisioned"
    held = rehearsal.assigned()
    sid = "Quarantined20261128T090000ZxAKIAIOSFODNN7EXAMPLE"
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Sid": sid, "Effect": "Deny", "Action": "*", "Resource": "*"}],
    }
    org.client("iam", ACCOUNT).put_user_policy(
        UserName="alice", PolicyName="c7n-iamusers-deny-all", PolicyDocument=json.dumps(document)
    )
    leave(rehearsal, "alice")
    row = rehearsal.run(**DERIVE)["alice"]
    assert (row["status"], row["code"]) == ("skipped", "Quarantined")
    assert (rehearsal.mutations(), rehearsal.assigned()) == ([], held)
    assert rehearsal.members(next(iter(held))[2]) == {"alice@example.com"}


@pytest.mark.parametrize("file", ["provision.yml", "provision-intents.yml"])
def test_the_shipped_policies_derive(file: str) -> None:
    policies = yaml.safe_load((Path(__file__).parents[2] / "policies" / file).read_text())["policies"]
    actions = [action for each in policies for action in each["actions"]]
    (found,) = (each for each in actions if each["type"] == "provision-identity-center")
    assert found["derive"] is True
    assert not {"permission-set", "accept", "shared-group"}.intersection(found)
