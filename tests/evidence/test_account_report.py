# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from aws_local_org import LocalOrg
from aws_local_org.seed import seed
from c7n_iamusers.evidence.account_report import read_account_evidence, read_saved_evidence, row
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.retries import Backoff
from tests.interference import deny
from tests.policies import ACCOUNT

ADMIN = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
AWKWARD = "a+b=c,d.e@f-g"
KEYS = ["user", "arn", "kind", "reasons", "findings", "last_activity", "attachments", "trusted_by", "sources"]


def arn(name: str, path: str = "/") -> str:
    return f"arn:aws:iam::{ACCOUNT}:user{path}{name}"


def user(name: str, path: str = "/", **members: Any) -> dict[str, Any]:
    return {"UserName": name, "UserId": f"AIDA{name}", "Arn": arn(name, path), "Path": path, **members}


def inline(document: Any) -> dict[str, Any]:
    return {"UserPolicyList": [{"PolicyName": "inline", "PolicyDocument": document}]}


TRUST = {
    "Statement": {"Effect": "Allow", "Principal": {"AWS": arn(AWKWARD, "/x/")}, "Action": "sts:AssumeRole"}
}
DETAILS = {
    "UserDetailList": [
        user("mapping", **inline(ADMIN)),
        user("text", **inline(json.dumps(ADMIN))),
        user("encoded", **inline(quote(json.dumps(ADMIN)))),
        user("rubbish", **inline("{")),
        user(AWKWARD, "/x/", GroupList="Admins"),
        user("lost-group", GroupList=["Gone"]),
        user("absent"),
        user("short"),
        {"Arn": arn("nameless")},
    ],
    "GroupDetailList": [
        {"GroupName": "Admins", "AttachedManagedPolicies": {"PolicyName": "Own", "PolicyArn": "arn:own"}}
    ],
    "Policies": [{"Arn": "arn:own", "PolicyVersionList": {"IsDefaultVersion": True, "Document": ADMIN}}],
    "RoleDetailList": [{"Arn": "role/deploy", "AssumeRolePolicyDocument": quote(json.dumps(TRUST))}],
}
COLUMNS = (
    "user,password_enabled,password_last_used,password_last_changed,mfa_active,access_key_1_active,"
    "access_key_1_last_rotated,access_key_1_last_used_date,access_key_2_active,access_key_2_last_rotated,"
    "cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)
NO_CERTIFICATES = "FALSE,N/A,FALSE,N/A"
REPORT = f"""{COLUMNS}
<root_account>,not_supported,2020-01-01T00:00:00+00:00,not_supported,TRUE,FALSE,N/A,N/A,FALSE,N/A,{NO_CERTIFICATES}
mapping,TRUE,no_information,2020-01-01T00:00:00+00:00,FALSE,FALSE,N/A,N/A,FALSE,N/A,{NO_CERTIFICATES}
"{AWKWARD}",FALSE,N/A,N/A,FALSE,TRUE,2020-01-01T00:00:00+00:00,2020-02-02T00:00:00Z,FALSE,N/A,{NO_CERTIFICATES}
short,TRUE,no_information
elsewhere,FALSE,N/A,N/A,FALSE,FALSE,N/A,N/A,FALSE,N/A,{NO_CERTIFICATES}
"""


@pytest.fixture
def documents(tmp_path: Path) -> tuple[Path, Path]:
    details, report = tmp_path / "details.json", tmp_path / "report.csv"
    details.write_text(json.dumps(DETAILS))
    report.write_text(REPORT)
    return details, report


def test_documents_in_the_wild_are_judged_without_a_crash(documents: tuple[Path, Path]) -> None:
    found = {each["user"]: each for each in map(row, read_saved_evidence(*documents).users)}
    assert list(found) == sorted(found, key=str.casefold)
    admins = {name for name, each in found.items() if "admin-rights" in [f["id"] for f in each["findings"]]}
    assert admins == {"mapping", "text", "encoded", AWKWARD}
    kinds = {name: each["kind"] for name, each in found.items() if each["kind"] != "unknown"}
    assert kinds == {"mapping": "human", AWKWARD: "machine"}
    assert found[AWKWARD]["trusted_by"] == ["role/deploy"]
    assert found[AWKWARD]["last_activity"]["time"] == "2020-02-02T00:00:00+00:00"
    assert found["short"]["attachments"]["login-profile"] == 1
    assert "access-key" not in found["short"]["attachments"]
    assert found["nameless"]["arn"] == arn("nameless")


def test_a_user_that_the_report_lacks_is_unknown_and_said(documents: tuple[Path, Path]) -> None:
    (absent,) = [each for each in map(row, read_saved_evidence(*documents).users) if each["user"] == "absent"]
    assert absent["kind"] == "unknown"
    assert absent["last_activity"]["time"] is None
    assert "console password: not read" in absent["last_activity"]["unknown"]
    assert "created later" in absent["sources"]["credential-report"]["problem"]


def test_details_without_a_report_are_judged_as_far_as_they_go(documents: tuple[Path, Path]) -> None:
    found = [row(each) for each in read_saved_evidence(documents[0], None).users]
    assert {each["kind"] for each in found} == {"unknown"}
    assert all("credential-report" not in each["sources"] for each in found)


def test_rows_have_exactly_the_documented_keys(documents: tuple[Path, Path]) -> None:
    for each in read_saved_evidence(*documents).users:
        data = row(each)
        assert list(data) == KEYS
        assert json.loads(json.dumps(data)) == data


def test_missing_pages_are_a_note(documents: tuple[Path, Path]) -> None:
    assert read_saved_evidence(*documents).notes == ()
    documents[0].write_text(json.dumps({**DETAILS, "IsTruncated": True}))
    (note,) = read_saved_evidence(*documents).notes
    assert "details.json is truncated" in note


def test_a_live_account_in_tens_of_calls(org: LocalOrg) -> None:
    seed(org, users_per_account=60)
    client = org.client("iam", ACCOUNT)
    org.clear_calls()
    steps: list[str] = []
    found = read_account_evidence(client, Backoff(base=0.3), steps.append)
    assert len(found.users) == 60
    assert len(org.calls) <= 15
    assert len(steps) == 3
    kinds = {each.classification.kind for each in found.users}
    assert kinds == {"human", "machine", "mixed", "bedrock-api-key"}
    assert all(list(row(each)) == KEYS for each in found.users)
    (orphans,) = found.notes
    assert orphans.startswith("virtual MFA devices assigned to no user: arn:aws:iam::")


def test_ssh_keys_settle_users_that_have_nothing_else(org: LocalOrg) -> None:
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="bare")
    client.create_user(UserName="keyed")
    client.create_access_key(UserName="keyed")
    org.clear_calls()
    found = {
        each.user.name: each.classification.kind
        for each in read_account_evidence(client, Backoff(base=0.3)).users
    }
    assert found == {"bare": "no-credentials", "keyed": "machine"}
    assert [call.parameters for call in org.calls if call.operation == "ListSSHPublicKeys"] == [
        {"UserName": "bare"}
    ]


def test_what_cannot_be_read_is_a_note(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="bare")
    deny(monkeypatch, "GetCredentialReport")
    deny(monkeypatch, "ListSSHPublicKeys")
    found = read_account_evidence(client, Backoff(base=0.3))
    (note,) = found.notes
    assert note.startswith(
        "credential-report could not be read, so evidence from it is unknown: AccessDenied"
    )
    assert [each.classification.kind for each in found.users] == ["unknown"]


@pytest.mark.parametrize("operation", ["ListUsers", "GetAccountAuthorizationDetails"])
def test_an_account_that_cannot_be_read(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    deny(monkeypatch, operation)
    with pytest.raises(EvidenceUnreadable, match=r"the account can't be read: .*AccessDenied"):
        read_account_evidence(org.client("iam", ACCOUNT), Backoff(base=0.3))
