# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from c7n_iamusers.decisions.finding_case import Case, Provisioning, Thresholds
from c7n_iamusers.decisions.findings import FINDING_IDS, FINDING_RULES, judge
from c7n_iamusers.model.evidence import Evidence, Grant
from c7n_iamusers.model.exemption import Exemption, ExemptionRule
from c7n_iamusers.model.iam_user import IamUser
from tests.dossiers import NOW, days_ago, evidence, key, password, used
from tests.records import user

BOUNDED = user(permissions_boundary=({"PermissionsBoundaryArn": "arn:aws:iam::aws:policy/PowerUserAccess"},))
ADMIN = (Grant("AdministratorAccess", "arn:aws:iam::aws:policy/AdministratorAccess", "Admins"),)
UNREAD_POLICY = (Grant("Own", "arn:aws:iam::111122223333:policy/Own"),)


def found(known: Evidence, subject: IamUser = BOUNDED, **case: Any) -> dict[str, str]:
    """Findings beyond being a user, id -> text."""
    case = {"exemption": Exemption(None), "now": NOW, **case}
    findings = judge(Case(subject, known, **case))
    return {each.id: each.text for each in findings.found if each.id != "iam-user"}


def unknown(known: Evidence, subject: IamUser = BOUNDED, **case: Any) -> set[str]:
    case = {"exemption": Exemption(None), "now": NOW, **case}
    return set(judge(Case(subject, known, **case)).unknown)


FRESH = days_ago(5)


@pytest.mark.parametrize(
    ("known", "ids"),
    [
        pytest.param(evidence(), set(), id="nothing"),
        pytest.param(evidence(password(used(1), FRESH)), {"console-without-mfa"}, id="password-without-mfa"),
        pytest.param(evidence(password(used(1), FRESH), mfa=True), set(), id="password-with-mfa"),
        pytest.param(evidence(password(), mfa=True), {"password-never-used"}, id="password-never"),
        pytest.param(evidence(password(used(90)), mfa=True), {"password-unused"}, id="password-90-days"),
        pytest.param(evidence(password(used(89.9)), mfa=True), set(), id="password-89-days"),
        pytest.param(evidence(key(made=FRESH)), {"key-never-used"}, id="new-key-never-used"),
        pytest.param(evidence(key(used(1), made=FRESH)), set(), id="key-in-use"),
        pytest.param(
            evidence(key(used(90), made=days_ago(91))), {"key-unused", "key-not-rotated"}, id="old-key"
        ),
        pytest.param(evidence(key(used(1), made=days_ago(90))), {"key-not-rotated"}, id="key-90-days-old"),
        pytest.param(evidence(key(used(1), made=days_ago(89.9))), set(), id="key-89-days-old"),
        pytest.param(evidence(key(used(200), active=False)), set(), id="inactive-key"),
        pytest.param(
            evidence(key(used(1), made=FRESH), key(used(1), made=FRESH, number=2)),
            {"two-active-keys"},
            id="two-keys",
        ),
        pytest.param(
            evidence(key(used(1), made=FRESH), key(used(1), active=False, number=2)),
            set(),
            id="one-of-two-active",
        ),
        pytest.param(evidence(grants=ADMIN), {"admin-rights"}, id="admin"),
        pytest.param(evidence(orphaned_mfa=("arn:aws:iam::1:mfa/alice",)), {"orphaned-mfa"}, id="orphan"),
        pytest.param(evidence(trusted_by=("arn:aws:iam::1:role/deploy",)), {"role-trusts-user"}, id="role"),
    ],
)
def test_findings_from_evidence(known: Evidence, ids: set[str]) -> None:
    assert found(known).keys() == ids
    assert unknown(known) == set()


@pytest.mark.parametrize(
    ("subject", "ids"),
    [
        pytest.param(BOUNDED, set(), id="boundary"),
        pytest.param(user(), {"no-boundary"}, id="no-boundary"),
        pytest.param(
            replace(BOUNDED, attachments={**BOUNDED.attachments, "inline-policy": ({"PolicyName": "s3"},)}),
            {"inline-policies"},
            id="inline",
        ),
        pytest.param(
            replace(BOUNDED, attachments={**BOUNDED.attachments, "attached-policy": ({"PolicyName": "s3"},)}),
            {"directly-attached-policies"},
            id="attached",
        ),
        pytest.param(
            replace(
                BOUNDED,
                attachments={
                    **BOUNDED.attachments,
                    "attached-policy": ({"PolicyName": "AWSCompromisedKeyQuarantineV3"},),
                },
            ),
            {"directly-attached-policies", "compromised-key"},
            id="quarantined-by-aws",
        ),
    ],
)
def test_findings_from_the_users_own_record(subject: IamUser, ids: set[str]) -> None:
    assert found(evidence(), subject).keys() == ids


@pytest.mark.parametrize(
    ("known", "ids"),
    [
        pytest.param(
            evidence(unread=("login-profile",), mfa=None),
            {"console-without-mfa", "password-never-used", "password-unused"},
            id="password-not-read",
        ),
        pytest.param(evidence(password(used(1)), mfa=None), {"console-without-mfa"}, id="mfa-not-read"),
        pytest.param(evidence(mfa=None), set(), id="mfa-not-read-but-no-password"),
        pytest.param(
            evidence(password(None), mfa=True), {"password-never-used", "password-unused"}, id="use-unknown"
        ),
        pytest.param(
            evidence(unread=("access-key",)),
            {"key-never-used", "key-unused", "key-not-rotated", "two-active-keys"},
            id="keys-not-read",
        ),
        pytest.param(evidence(replace(key(used(1)), made=None)), {"key-not-rotated"}, id="age-unknown"),
        pytest.param(evidence(grants=None), {"admin-rights"}, id="policies-not-read"),
        pytest.param(evidence(grants=UNREAD_POLICY), {"admin-rights"}, id="a-document-not-read"),
        pytest.param(evidence(trusted_by=None), {"role-trusts-user"}, id="roles-not-read"),
        pytest.param(evidence(orphaned_mfa=None), {"orphaned-mfa"}, id="devices-not-read"),
    ],
)
def test_what_cannot_be_told_is_unknown_and_not_found(known: Evidence, ids: set[str]) -> None:
    assert unknown(known) == ids
    assert not found(known).keys() & ids


def test_one_key_settles_what_another_leaves_open() -> None:
    assert "key-never-used" in found(evidence(key(), key(None, number=2)))


def test_attachments_that_were_not_read_are_unknown() -> None:
    unread = replace(user(), attachments={})
    assert unknown(evidence(), unread) == {
        "inline-policies",
        "directly-attached-policies",
        "no-boundary",
        "compromised-key",
    }


def test_texts_name_what_is_meant() -> None:
    known = evidence(
        key(used(100), made=days_ago(200)), key(number=2), grants=ADMIN, trusted_by=("role/deploy",)
    )
    texts = found(known)
    assert texts["key-unused"] == "Access key 1 was last used 100 days ago."
    assert texts["key-not-rotated"] == "Access key 2 is 400 days old."
    assert texts["key-never-used"] == "Access key 2 was never used since it was made 400 days ago."
    assert "AdministratorAccess through group Admins, within its boundary" in texts["admin-rights"]
    assert "role/deploy" in texts["role-trusts-user"]


def test_each_key_is_a_finding() -> None:
    case = Case(BOUNDED, evidence(key(), key(number=2)), Exemption(None), NOW)
    assert [each.id for each in judge(case).found].count("key-never-used") == 2


def test_thresholds() -> None:
    known = evidence(password(used(40)), key(used(40), made=days_ago(50)), mfa=True)
    assert found(known) == {}
    assert found(known, thresholds=Thresholds(40, 50)).keys() == {
        "password-unused",
        "key-unused",
        "key-not-rotated",
    }


def test_an_expired_exemption() -> None:
    gone = ExemptionRule("user", "al*", "old times", date(2026, 1, 1))
    assert (
        "until 2026-01-01 (old times)"
        in found(evidence(), exemption=Exemption(None, (gone,)))["expired-exemption"]
    )


@pytest.mark.parametrize(
    ("ways", "creator", "answer"),
    [
        pytest.param(Provisioning(), None, "in-order", id="not-asked"),
        pytest.param(Provisioning(("ManagedBy=terraform*",)), None, "in-order", id="tag"),
        pytest.param(Provisioning(("ManagedBy=puppet",)), None, "found", id="other-tag"),
        pytest.param(
            Provisioning(("ManagedBy=puppet",), ("*role/iac",)), "arn:role/iac", "in-order", id="role"
        ),
        pytest.param(Provisioning((), ("*role/iac",)), "arn:user/eve", "found", id="other-creator"),
        pytest.param(
            Provisioning(("ManagedBy=puppet",), ("*role/iac",)), None, "unknown", id="creator-unknown"
        ),
        pytest.param(
            Provisioning(("ManagedBy=terraform",), ("*role/iac",)), None, "in-order", id="tag-will-do"
        ),
    ],
)
def test_provisioning(ways: Provisioning, creator: str | None, answer: str) -> None:
    subject = user(tags={"ManagedBy": "terraform"})
    known = evidence(creator=creator)
    assert ("unknown-provisioning" in found(known, subject, provisioning=ways)) is (answer == "found")
    assert ("unknown-provisioning" in unknown(known, subject, provisioning=ways)) is (answer == "unknown")


def test_every_user_is_a_finding_and_answers_are_three() -> None:
    findings = judge(Case(user(), evidence(trusted_by=None), Exemption(None), NOW))
    assert findings.has("iam-user") is True
    assert findings.has("admin-rights") is False
    assert findings.has("role-trusts-user") is None


def test_ids_are_stable_and_documented() -> None:
    assert len(set(FINDING_IDS)) == len(FINDING_IDS)
    assert {row.severity for row in FINDING_RULES} == {"low", "medium", "high"}
    for row in FINDING_RULES:
        assert (row.rule.__doc__ or "").endswith("."), row.id
        assert row.rests_on, row.id
        assert row.basis, row.id
