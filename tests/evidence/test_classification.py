# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.evidence.classification import classify
from c7n_iamusers.evidence.model import Evidence, Hint, Source
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.iam.user import IamUser
from tests.evidence_records import (
    NOW,
    certificate,
    evidence,
    key,
    password,
    service_credential,
    ssh_key,
    used,
)
from tests.records import groups, user

pytestmark = pytest.mark.pure

SHE = user("dana.smith", tags={"Email": "dana@example.com"})
IT = user("ci-checkout")
NEUTRAL = user("omega")
API_KEY = user("BedrockAPIKey-ab12")
SERVICE = "service-specific-credential"


@pytest.mark.parametrize(
    ("subject", "known", "kind"),
    [
        pytest.param(NEUTRAL, evidence(password()), "human", id="password"),
        pytest.param(IT, evidence(password(used(3))), "human", id="password-outranks-the-name"),
        pytest.param(NEUTRAL, evidence(key(used(1))), "machine", id="key"),
        pytest.param(NEUTRAL, evidence(key()), "machine", id="key-never-used"),
        pytest.param(NEUTRAL, evidence(key(used(1)), mfa=True), "human", id="key-and-mfa"),
        pytest.param(IT, evidence(key(used(1)), mfa=True), "machine", id="key-and-mfa-and-a-machines-name"),
        pytest.param(IT, evidence(key(), mfa=None), "machine", id="machines-name-needs-no-mfa"),
        pytest.param(SHE, evidence(key(used(1))), "human", id="key-of-a-person"),
        pytest.param(user("dana@example.com"), evidence(key()), "human", id="key-and-an-e-mail-for-a-name"),
        pytest.param(user("x", path="/vendors/"), evidence(key(), mfa=True), "machine", id="path"),
        pytest.param(NEUTRAL, evidence(password(used(1)), key(used(1))), "mixed", id="both-used"),
        pytest.param(NEUTRAL, evidence(password(), key()), "mixed", id="neither-used"),
        pytest.param(NEUTRAL, evidence(password(used(1)), key()), "human", id="only-the-password-used"),
        pytest.param(NEUTRAL, evidence(password(), key(used(1))), "machine", id="only-the-key-used"),
        pytest.param(
            NEUTRAL, evidence(password(), key(), key(used(9), number=2)), "machine", id="one-of-two-keys-used"
        ),
        pytest.param(
            NEUTRAL, evidence(password(used(1)), key(used(9), active=False)), "human", id="key-inactive"
        ),
        pytest.param(
            NEUTRAL, evidence(key(used(9), active=False)), "machine", id="nothing-but-an-inactive-key"
        ),
        pytest.param(
            NEUTRAL, evidence(password(used(1)), certificate()), "mixed", id="password-and-certificate"
        ),
        pytest.param(
            NEUTRAL, evidence(password(used(1)), service_credential("bedrock")), "mixed", id="bedrock-beside"
        ),
        pytest.param(NEUTRAL, evidence(certificate()), "machine", id="certificate"),
        pytest.param(NEUTRAL, evidence(service_credential("bedrock")), "bedrock-api-key", id="bedrock"),
        pytest.param(
            NEUTRAL,
            evidence(service_credential("bedrock", active=False)),
            "bedrock-api-key",
            id="bedrock-inactive",
        ),
        pytest.param(
            API_KEY, evidence(unread=(SERVICE,), sources={}), "bedrock-api-key", id="bedrock-by-name"
        ),
        pytest.param(API_KEY, evidence(unread=(SERVICE,)), "unknown", id="bedrock-name-and-unread"),
        pytest.param(API_KEY, evidence(), "no-credentials", id="bedrock-name-alone"),
        pytest.param(API_KEY, evidence(password()), "human", id="bedrock-name-and-a-password"),
        pytest.param(
            API_KEY, evidence(key(), unread=(SERVICE,), sources={}), "machine", id="bedrock-name-and-a-key"
        ),
        pytest.param(
            user("bedrockapikey-ab12"),
            evidence(unread=(SERVICE,), sources={}),
            "no-credentials",
            id="bedrock-name-in-another-case",
        ),
        pytest.param(NEUTRAL, evidence(service_credential("cassandra")), "machine", id="keyspaces"),
        pytest.param(NEUTRAL, evidence(service_credential("codecommit")), "machine", id="git-password"),
        pytest.param(NEUTRAL, evidence(ssh_key()), "machine", id="ssh-key"),
        pytest.param(SHE, evidence(ssh_key()), "human", id="ssh-key-of-a-person"),
        pytest.param(NEUTRAL, evidence(password(used(1)), ssh_key()), "human", id="git-beside-a-password"),
        pytest.param(
            NEUTRAL,
            evidence(password(used(1)), service_credential("codecommit")),
            "human",
            id="git-password-beside",
        ),
        pytest.param(NEUTRAL, evidence(), "no-credentials", id="nothing"),
        pytest.param(SHE, evidence(mfa=True), "no-credentials", id="nothing-but-mfa-and-a-name"),
    ],
)
def test_kinds(subject: IamUser, known: Evidence, kind: str) -> None:
    found = classify(subject, known)
    assert found.kind == kind
    assert found.reasons[0]


@pytest.mark.parametrize(
    ("known", "reason", "wants"),
    [
        pytest.param(
            evidence(key(), unread=("login-profile",)), "console password", "", id="no-password-told"
        ),
        pytest.param(evidence(password(), unread=("access-key",)), "access key", "", id="no-keys-told"),
        pytest.param(
            evidence(password(), unread=("service-specific-credential",)),
            "service-specific",
            "",
            id="list-unreadable",
        ),
        pytest.param(
            evidence(unread=("ssh-public-key",)), "SSH keys", "ssh-public-key", id="perhaps-ssh-keys"
        ),
        pytest.param(evidence(key(), mfa=None), "MFA", "", id="key-and-mfa-unknown"),
        pytest.param(evidence(password(None), key(used(1))), "in use", "", id="use-of-password-unknown"),
        pytest.param(evidence(password(used(1)), key(None)), "in use", "", id="use-of-key-unknown"),
        pytest.param(evidence(replace(key(), active=None)), "active", "", id="state-unknown"),
    ],
)
def test_what_evidence_does_not_settle_is_unknown(known: Evidence, reason: str, wants: str) -> None:
    found = classify(NEUTRAL, known)
    assert (found.kind, found.missing_kind, found.replacement) == ("unknown", wants, ())
    assert reason in found.reasons[0]


@pytest.mark.parametrize("unread", ["ssh-public-key"])
def test_ssh_keys_are_not_missed_where_anything_else_decides(unread: str) -> None:
    assert classify(NEUTRAL, evidence(key(), unread=(unread,))).kind == "machine"
    assert classify(NEUTRAL, evidence(password(), unread=(unread,))).kind == "human"


def test_saved_documents_are_judged_by_what_they_hold() -> None:
    saved = {"user": Source("details.json", NOW), "credential-report": Source("report.csv", NOW)}
    unread = ("service-specific-credential", "ssh-public-key")
    assert classify(NEUTRAL, evidence(password(), unread=unread, sources=saved)).kind == "human"
    assert classify(NEUTRAL, evidence(unread=unread, sources=saved)).kind == "unknown"


@pytest.mark.parametrize(
    ("hints", "kind"),
    [
        pytest.param([Hint("machine", "user", "om*")], "machine", id="name"),
        pytest.param([Hint("machine", "path", "/x/"), Hint("machine", "tag", "Team=*")], "machine", id="tag"),
        pytest.param([Hint("mixed", "group", "Dev*")], "mixed", id="group"),
        pytest.param([Hint("machine", "user", "x*")], "human", id="no-match"),
        pytest.param([Hint("machine", "user", "Om*")], "human", id="case"),
        pytest.param(
            [Hint("machine", "user", "o*"), Hint("mixed", "user", "o*")], "human", id="contradiction"
        ),
        pytest.param(
            [Hint("machine", "user", "o*"), Hint("machine", "path", "/")], "machine", id="agreement"
        ),
    ],
)
def test_hints_outrank_other_signs(hints: list[Hint], kind: str) -> None:
    omega = user("omega", tags={"Team": "core"}, group=groups("Developers"))
    assert classify(omega, evidence(password(used(1))), hints).kind == kind


def test_hints_by_group_need_the_groups() -> None:
    with pytest.raises(EvidenceUnreadable, match="omega of account 111122223333: its groups were not read"):
        classify(replace(NEUTRAL, attachments={}), evidence(), [Hint("machine", "group", "Bots")])


@pytest.mark.parametrize(
    ("subject", "known", "fitting"),
    [
        pytest.param(NEUTRAL, evidence(password()), ("identity-center",), id="person"),
        pytest.param(NEUTRAL, evidence(key()), ("role", "roles-anywhere"), id="program"),
        pytest.param(IT, evidence(key()), ("oidc-role", "role"), id="pipeline"),
        pytest.param(user("siem-integration"), evidence(key()), ("cross-account-role",), id="vendor"),
        pytest.param(
            user("x", path="/vendors/"), evidence(key()), ("cross-account-role",), id="vendor-by-path"
        ),
        pytest.param(
            NEUTRAL, evidence(password(), key()), ("identity-center", "role", "roles-anywhere"), id="both"
        ),
        pytest.param(
            user("BedrockAPIKey-1"),
            evidence(service_credential("bedrock")),
            ("short-term-key",),
            id="bedrock",
        ),
        pytest.param(
            NEUTRAL, evidence(service_credential("cassandra")), ("keyspaces-sigv4", "exempt"), id="keyspaces"
        ),
        pytest.param(
            NEUTRAL,
            evidence(service_credential("codecommit"), ssh_key()),
            ("git-remote-codecommit", "exempt"),
            id="codecommit",
        ),
        pytest.param(
            NEUTRAL,
            evidence(key(), service_credential("cassandra")),
            ("role", "roles-anywhere", "keyspaces-sigv4", "exempt"),
            id="some-of-it",
        ),
        pytest.param(
            NEUTRAL,
            evidence(password(), ssh_key()),
            ("identity-center", "git-remote-codecommit", "exempt"),
            id="person-with-git",
        ),
        pytest.param(
            NEUTRAL, evidence(service_credential("logs")), ("signed-requests", "exempt"), id="cloudwatch-logs"
        ),
        pytest.param(
            NEUTRAL,
            evidence(service_credential("unheard-of")),
            ("signed-requests", "exempt"),
            id="a-service-to-come",
        ),
        pytest.param(
            NEUTRAL,
            evidence(service_credential("cassandra"), service_credential("unheard-of")),
            ("keyspaces-sigv4", "signed-requests", "exempt"),
            id="exempt-comes-last",
        ),
        pytest.param(
            SHE,
            evidence(service_credential("logs")),
            ("identity-center", "signed-requests", "exempt"),
            id="api-key-of-a-person",
        ),
        pytest.param(
            user("ses-smtp-user.20260131-120000"), evidence(key()), ("ses-api", "exempt"), id="smtp"
        ),
        pytest.param(user("sesame"), evidence(key()), ("role", "roles-anywhere"), id="not-smtp"),
        pytest.param(NEUTRAL, evidence(certificate()), ("role", "roles-anywhere"), id="certificate"),
        pytest.param(
            NEUTRAL,
            evidence(password(), service_credential("bedrock")),
            ("identity-center", "short-term-key"),
            id="api-key",
        ),
        pytest.param(NEUTRAL, evidence(), (), id="nothing-to-replace"),
    ],
)
def test_replacements(subject: IamUser, known: Evidence, fitting: tuple[str, ...]) -> None:
    found = classify(subject, known)
    assert found.replacement == fitting
    assert found.reasons[-1].startswith("replacement: ") is bool(fitting)


def test_reasons_tell_the_facts() -> None:
    omega: Any = user("omega", path="/ops/", tags={"Team": "core"}, group=groups("Developers"))
    known = evidence(
        password(used(2)), key(used(3, "s3", "eu-west-1")), key(active=False, number=2), mfa=True
    )
    assert classify(omega, known).reasons == (
        "has a password and credentials for programs",
        "password: active, last used 2026-11-22 (s3 in us-east-1)",
        "access key 1: active, last used 2026-11-21 (s3 in eu-west-1)",
        "access key 2: inactive, never used",
        "MFA",
        "path /ops/",
        "tags: Team",
        "groups: Developers",
        "replacement: a user of IAM Identity Center, or the role of the AWS compute service that it runs on, or a "
        "role through IAM Roles Anywhere, where it runs outside AWS",
    )


@pytest.mark.parametrize(
    ("number", "named"),
    [
        pytest.param(5, "t0, t1, t2, t3, t4", id="all"),
        pytest.param(8, "t0, t1, t2, t3, t4 and 3 more", id="many"),
    ],
)
def test_a_reason_says_how_many_more_there_are(number: int, named: str) -> None:
    tagged: Any = user("omega", tags={f"t{each}": "" for each in range(number)})
    assert f"tags: {named}" in classify(tagged, evidence()).reasons


def test_what_could_not_be_read_is_a_reason() -> None:
    denied = {"credential-report": Source("GetCredentialReport", None, "AccessDenied: it needs ...")}
    unread = ("login-profile", "access-key", "signing-certificate")
    reasons = classify(NEUTRAL, evidence(unread=unread, sources=denied)).reasons
    assert "credential-report: AccessDenied: it needs ..." in reasons
