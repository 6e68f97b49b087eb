# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.evidence.credential_report import parse_report
from c7n_iamusers.evidence.index import USER, VIRTUAL_MFA, EvidenceIndex, Inventory, with_listed_credentials
from c7n_iamusers.evidence.model import LastUse, Source
from c7n_iamusers.iam.attachments import CREDENTIAL_REPORT, SSH_PUBLIC_KEY
from tests.evidence_records import NOW, days_ago
from tests.records import ACCOUNT, user

pytestmark = pytest.mark.pure

ALICE = user()
READ = Source("a list", NOW)
REPORT = (
    "user,user_creation_time,password_enabled,password_last_used,password_last_changed,mfa_active\n"
    f"alice,N/A,true,{days_ago(20).isoformat()},{days_ago(90).isoformat()},false"
)


def device(name: str, owner: dict[str, str] | None) -> dict[str, Any]:
    return {"SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/{name}", **({"User": owner} if owner else {})}


def inventory(**pieces: Any) -> Inventory:
    everything: dict[str, Any] = {
        "groups": {},
        "roles": (),
        "report": parse_report(REPORT, NOW),
        "virtual_mfa": (),
        "service_credentials": (),
        "sources": {CREDENTIAL_REPORT: READ, VIRTUAL_MFA: READ},
    }
    return Inventory(**{**everything, **pieces})


@pytest.mark.parametrize(
    ("signed_in", "last"),
    [
        pytest.param(None, days_ago(20), id="report-only"),
        pytest.param(days_ago(1), days_ago(1), id="fresher-than-the-report"),
        pytest.param(days_ago(1).isoformat(), days_ago(1), id="as-text"),
        pytest.param(days_ago(30), days_ago(20), id="older-than-the-report"),
    ],
)
def test_the_later_sign_in_counts(signed_in: Any, last: Any) -> None:
    alice = replace(ALICE, detail={**ALICE.detail, "PasswordLastUsed": signed_in})
    (password,) = EvidenceIndex(inventory()).of(alice, READ).credentials["login-profile"]
    assert password.last_use == LastUse(last)


@pytest.mark.parametrize(
    ("pieces", "mfa"),
    [
        pytest.param({}, False, id="neither-report-nor-list"),
        pytest.param({"virtual_mfa": (device("x", {"UserName": "alice"}),)}, True, id="fresher-list"),
        pytest.param({"virtual_mfa": (device("x", {"UserName": "bob"}),)}, False, id="of-another"),
        pytest.param({"virtual_mfa": (device("x", {"Arn": "root"}),)}, False, id="of-the-root-user"),
        pytest.param({"virtual_mfa": None}, None, id="list-unreadable"),
        pytest.param(
            {"virtual_mfa": None, "sources": {CREDENTIAL_REPORT: READ}}, False, id="list-never-asked-for"
        ),
        pytest.param({"report": None}, None, id="no-report"),
        pytest.param({"report": parse_report(REPORT.replace("false", "TRUE"), NOW)}, True, id="other-device"),
    ],
)
def test_mfa(pieces: dict[str, Any], mfa: bool | None) -> None:
    assert EvidenceIndex(inventory(**pieces)).of(ALICE, READ).mfa is mfa


@pytest.mark.parametrize(
    ("orphan", "named"),
    [
        pytest.param("alice", True, id="name"),
        pytest.param("path/Alice", True, id="case-and-path"),
        pytest.param("alice2", False, id="begins-alike"),
    ],
)
def test_orphans_of_the_users_name(orphan: str, named: bool) -> None:
    index = EvidenceIndex(inventory(virtual_mfa=(device(orphan, None),)))
    assert len(index.of(ALICE, READ).orphaned_mfa or ()) == named
    assert len(index.orphaned_mfa) == 1


def test_an_unread_list_of_devices_has_no_orphans_to_tell() -> None:
    assert EvidenceIndex(inventory(virtual_mfa=None)).of(ALICE, READ).orphaned_mfa is None


def test_a_user_missing_from_the_report_is_unknown_and_said() -> None:
    bob = EvidenceIndex(inventory()).of(user("bob"), READ)
    assert bob.credentials.keys() == {"service-specific-credential"}
    assert "created later" in bob.sources[CREDENTIAL_REPORT].problem
    assert bob.sources[USER] == READ


def test_why_the_report_could_not_be_read_is_kept() -> None:
    denied = {CREDENTIAL_REPORT: Source("GetCredentialReport", None, "AccessDenied")}
    found = EvidenceIndex(inventory(report=None, sources=denied)).of(ALICE, READ)
    assert found.sources[CREDENTIAL_REPORT].problem == "AccessDenied"


def test_service_credentials_of_the_user_only() -> None:
    items = tuple(
        {
            "UserName": name,
            "Status": status,
            "ServiceName": "bedrock.amazonaws.com",
            "ServiceSpecificCredentialId": "ACCA1",
            "CreateDate": days_ago(10),
        }
        for name, status in [("alice", "Active"), ("alice", "Expired"), ("bob", "Active")]
    )
    held = EvidenceIndex(inventory(service_credentials=items)).of(ALICE, READ).credentials
    found = held["service-specific-credential"]
    assert [(each.active, each.service, each.last_use) for each in found] == [
        (True, "bedrock.amazonaws.com", None),
        (False, "bedrock.amazonaws.com", None),
    ]
    unread = EvidenceIndex(inventory(service_credentials=None)).of(ALICE, READ)
    assert "service-specific-credential" not in unread.credentials


def test_roles_and_creators() -> None:
    trusting = {"Statement": {"Effect": "Allow", "Principal": {"AWS": ALICE.arn}, "Action": "sts:AssumeRole"}}
    roles = ({"Arn": "deploy", "AssumeRolePolicyDocument": trusting},)
    found = EvidenceIndex(inventory(roles=roles, creators={ALICE.unique_id: "terraform"})).of(ALICE, READ)
    assert (found.trusted_by, found.creator) == (("deploy",), "terraform")


def test_an_unreadable_trust_policy_may_trust_anybody() -> None:
    assert EvidenceIndex(inventory(roles=({"Arn": "r"},))).of(ALICE, READ).trusted_by is None
    assert EvidenceIndex(inventory(roles=None)).of(ALICE, READ).trusted_by is None


def test_ssh_keys_complete_the_evidence() -> None:
    items = [{"SSHPublicKeyId": "APKA1", "Status": "Inactive", "UploadDate": days_ago(3)}]
    listed = EvidenceIndex(inventory()).of(ALICE, READ)
    found = with_listed_credentials(listed, SSH_PUBLIC_KEY, items, Source("ListSSHPublicKeys", NOW))
    (key,) = found.credentials["ssh-public-key"]
    assert (key.active, key.created, key.last_use) == (False, days_ago(3), None)
    assert found.sources["ssh-public-keys"].name == "ListSSHPublicKeys"
