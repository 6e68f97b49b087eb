# SPDX-License-Identifier: Apache-2.0
"""What a deletion records of a user's rights before it changes anything."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from tests.interference import deny, on_call
from tests.plugins.deletions import NAME, acting, delete, outcomes, user_names
from tests.policies import ACCOUNT

OWN, LATE, LIMIT = (f"arn:aws:iam::{ACCOUNT}:policy/{name}" for name in ("Team", "Late", "Limit"))
READ_ONLY = "arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess"


def document(action: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """alice with a policy of her own, a group that has one of AWS, and a boundary."""
    iam = org.client("iam", ACCOUNT)
    for name in ("Team", "Limit"):
        iam.create_policy(PolicyName=name, PolicyDocument=document("s3:*"))
    iam.create_policy_version(PolicyArn=OWN, PolicyDocument=document("s3:Get*"), SetAsDefault=True)
    iam.create_group(GroupName="Ops")
    iam.attach_group_policy(GroupName="Ops", PolicyArn=READ_ONLY)
    iam.create_user(UserName="alice", PermissionsBoundary=LIMIT)
    iam.create_access_key(UserName="alice")
    iam.attach_user_policy(UserName="alice", PolicyArn=OWN)
    iam.add_user_to_group(UserName="alice", GroupName="Ops")
    return iam


def snapshots(output: Path) -> list[dict[str, Any]]:
    files = (output / NAME / "snapshots").glob("alice.*.json")
    return sorted((json.loads(path.read_text()) for path in files), key=lambda each: str(each["taken"]))


def test_the_documents_of_all_its_policies_and_the_ids_of_its_groups_are_recorded(
    iam: Any, tmp_path: Path
) -> None:
    delete(tmp_path)
    (found,) = snapshots(tmp_path)
    assert found["schema_version"] == 2
    assert found["rights_read"] <= found["taken"]
    policies = {each["PolicyArn"]: each for each in found["policies"]}
    assert sorted(policies) == sorted([OWN, LIMIT, READ_ONLY])
    assert policies[OWN]["DefaultVersionId"] == "v2"
    assert json.loads(policies[OWN]["document"]) == json.loads(document("s3:Get*"))
    assert json.loads(policies[LIMIT]["document"]) == json.loads(document("s3:*"))
    for each in policies.values():
        assert hashlib.sha256(each["document"].encode()).hexdigest() == each["sha256"]
    assert [each["GroupId"] for each in found["groups"]] == [
        iam.get_group(GroupName="Ops")["Group"]["GroupId"]
    ]


def test_a_policy_and_a_group_that_are_newer_than_the_account_read_are_read_by_themselves(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = iter([True])

    def change() -> None:
        if next(changes, False):
            iam.create_policy(PolicyName="Late", PolicyDocument=document("sqs:*"))
            iam.create_group(GroupName="New")
            iam.put_group_policy(GroupName="New", PolicyName="in", PolicyDocument=document("sns:*"))
            iam.attach_group_policy(GroupName="New", PolicyArn=LATE)
            iam.add_user_to_group(UserName="alice", GroupName="New")

    on_call(monkeypatch, "GetLoginProfile", change)
    acting("composite-delete", tmp_path).run()
    assert user_names(iam) == []
    (found,) = snapshots(tmp_path)
    assert [json.loads(each["document"]) for each in found["policies"] if each["PolicyArn"] == LATE] == [
        json.loads(document("sqs:*"))
    ]
    (new,) = (each for each in found["groups"] if each["GroupName"] == "New")
    assert new["GroupPolicyList"] == [{"PolicyName": "in", "PolicyDocument": json.loads(document("sns:*"))}]
    assert new["GroupId"]


def test_a_user_whose_policies_cannot_be_read_is_not_deleted(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach_late(iam, monkeypatch)
    with monkeypatch.context() as patch:
        deny(patch, "GetPolicy")
        acting("composite-delete", tmp_path).run()
    row = outcomes(tmp_path)["alice"]
    assert (user_names(iam), row["status"], row["calls"]) == (["alice"], "skipped", 0)
    assert "its policies can't be read" in row["reason"]
    assert "iam:GetPolicyVersion" in row["reason"]


def attach_late(iam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy is attached that the list of the account misses."""
    changes = iter([True])

    def attach() -> None:
        if next(changes, False):
            iam.create_policy(PolicyName="Late", PolicyDocument=document("sqs:*"))
            iam.attach_user_policy(UserName="alice", PolicyArn=LATE)

    on_call(monkeypatch, "GetLoginProfile", attach)


def test_a_quarantine_goes_on_without_the_documents_and_marks_them_as_not_read(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach_late(iam, monkeypatch)
    deny(monkeypatch, "GetPolicy")
    acting("quarantine", tmp_path).run()
    assert outcomes(tmp_path)["alice"]["status"] == "quarantined"
    (found,) = snapshots(tmp_path)
    assert found["policies"] is None


def test_a_changed_document_makes_another_snapshot(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        for operation in ("PutUserPolicy", "AttachUserPolicy", "PutUserPermissionsBoundary"):
            deny(patch, operation)
        for _ in range(2):
            with pytest.raises(PolicyExecutionError):
                delete(tmp_path)
        assert len(snapshots(tmp_path)) == 1
        iam.create_policy_version(PolicyArn=OWN, PolicyDocument=document("s3:*"), SetAsDefault=True)
        with pytest.raises(PolicyExecutionError):
            delete(tmp_path)
    first, second = snapshots(tmp_path)
    assert first["fingerprint"] == second["fingerprint"]
    assert first["rights_fingerprint"] != second["rights_fingerprint"]


def test_the_reads_grow_by_pages_and_not_by_users(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    for number in range(5):
        iam.create_user(UserName=f"user-{number}")
        iam.attach_user_policy(UserName=f"user-{number}", PolicyArn=READ_ONLY)
        iam.add_user_to_group(UserName=f"user-{number}", GroupName="Ops")
    org.clear_calls()
    delete(tmp_path)
    calls = Counter(call.operation for call in org.calls)
    assert calls["GetAccountAuthorizationDetails"] <= 2  # of the filter, and of the action
    assert not {"GetPolicy", "GetPolicyVersion", "GetGroup"} & set(calls)
