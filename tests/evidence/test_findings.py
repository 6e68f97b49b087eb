# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from c7n_iamusers.evidence.finding_case import Case
from c7n_iamusers.evidence.findings import FINDING_IDS, FINDING_RULES, _longest_session, evaluate
from c7n_iamusers.evidence.model import Evidence, Provisioning, Thresholds
from c7n_iamusers.exemptions import Exemption, ExemptionRule
from c7n_iamusers.iam.attachments import LOGIN_PROFILE, MAX_SESSION
from c7n_iamusers.iam.policy_documents import AppliedPolicy
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.infrastructure_code.model import Managed, ManagedBy
from c7n_iamusers.resource_policies.naming import NamedBy, Naming
from tests.evidence_records import NOW, days_ago, evidence, key, password, used
from tests.records import user

pytestmark = pytest.mark.pure

BOUNDARY: dict[str, Any] = {
    "permissions_boundary": ({"PermissionsBoundaryArn": "arn:aws:iam::aws:policy/PowerUserAccess"},)
}
BOUNDED = user(**BOUNDARY)
ADMIN = (AppliedPolicy("AdministratorAccess", "arn:aws:iam::aws:policy/AdministratorAccess", "Admins"),)
UNREAD_POLICY = (AppliedPolicy("Own", "arn:aws:iam::111122223333:policy/Own"),)
TAGGED = user(tags={"ManagedBy": "terraform"}, **BOUNDARY)
ADMINS = {"admin-rights", "may-become-admin"}


def allowing(action: str, resource: str = "*") -> AppliedPolicy:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return AppliedPolicy("own", document={"Statement": statement})


UNPROVISIONED, PASSWORDS = {"unknown-provisioning"}, {"password-never-used", "password-unused"}


def found(known: Evidence, subject: IamUser = BOUNDED, **case: Any) -> dict[str, str]:
    """Findings beyond being a user, id -> text."""
    case = {"exemption": Exemption(None), "now": NOW, **case}
    findings = evaluate(Case(subject, known, **case))
    return {each.id: each.text for each in findings.found if each.id != "iam-user"}


def unknown(known: Evidence, subject: IamUser = BOUNDED, **case: Any) -> set[str]:
    case = {"exemption": Exemption(None), "now": NOW, **case}
    return set(evaluate(Case(subject, known, **case)).unknown)


FRESH = days_ago(5)
EXPIRED = Exemption(None, (ExemptionRule("user", "al*", "old times", date(2026, 1, 1)),))
MANAGED = ManagedBy("CloudFormation", "stack users", "by DescribeStackResources")
TAG, ROLE = ("ManagedBy=terraform*",), ("*role/iac",)


def holding(kind: str, *names: str) -> IamUser:
    """A user with a boundary and policies of ``kind``."""
    return replace(
        BOUNDED, attachments={**BOUNDED.attachments, kind: tuple({"PolicyName": name} for name in names)}
    )


#: What is judged, what is found beyond being a user, what can't be told, and whatever else the case has. Each
#: finding needs a row that finds it, and may have rows that don't.
ROWS: dict[str, tuple[IamUser, Evidence, set[str], set[str], dict[str, Any]]] = {}


def row(
    name: str,
    known: Evidence | None = None,
    finds: Set[str] = frozenset(),
    unknown: Set[str] = frozenset(),
    subject: IamUser = BOUNDED,
    **case: Any,
) -> None:
    ROWS[name] = (subject, known or evidence(), set(finds), set(unknown), case)


row("nothing")
NAMED = NamedBy("s3", "arn:aws:s3:::invoices", "eu-west-1", "Principal of statement 2")
NAMES, UNREAD = {"resource-policy-names-user"}, "kms in eu-west-1: AccessDenied"
row("named-by-a-policy", evidence(naming=Naming((NAMED,))), NAMES)
row("named-and-more-unread", evidence(naming=Naming((NAMED,), UNREAD)), NAMES)
row("named-by-none-that-was-read", evidence(naming=Naming((), UNREAD)), unknown=NAMES)
row("named-by-none", evidence(naming=Naming(())))
row("password-without-mfa", evidence(password(used(1), FRESH)), {"console-without-mfa"})
row("password-with-mfa", evidence(password(used(1), FRESH), mfa=True))
row("password-never", evidence(password(), mfa=True), {"password-never-used"})
row("password-90-days", evidence(password(used(90)), mfa=True), {"password-unused"})
row("password-89-days", evidence(password(used(89.9)), mfa=True))
row("new-key-never-used", evidence(key(created=FRESH)), {"key-never-used"})
row("key-in-use", evidence(key(used(1), created=FRESH)))
row("old-key", evidence(key(used(90), created=days_ago(91))), {"key-unused", "key-not-rotated"})
row("key-90-days-old", evidence(key(used(1), created=days_ago(90))), {"key-not-rotated"})
row("key-89-days-old", evidence(key(used(1), created=days_ago(89.9))))
row("inactive-key", evidence(key(used(200), active=False)))
row(
    "two-keys",
    evidence(key(used(1), created=FRESH), key(used(1), created=FRESH, number=2)),
    {"two-active-keys"},
)
row("one-of-two-active", evidence(key(used(1), created=FRESH), key(used(1), active=False, number=2)))
row("admin", evidence(grants=ADMIN), {"admin-rights"})
row(
    "admin-by-another-spelling",
    evidence(grants=(allowing("iam:*", "arn:aws:iam::111122223333:*"),)),
    {"admin-rights"},
)
row("may-become", evidence(grants=(allowing("iam:*", "arn:aws:iam::1:user/*"),)), {"may-become-admin"})
row(
    "may-become-by-two-policies",
    evidence(grants=(allowing("iam:PassRole"), allowing("lambda:CreateFunction"))),
    {"may-become-admin"},
)
row("admin-needs-no-way", evidence(grants=(*ADMIN, allowing("iam:PutUserPolicy"))), {"admin-rights"})
row("passes-a-role-to-nothing", evidence(grants=(allowing("iam:PassRole"),)))
row("orphan", evidence(orphaned_mfa=("arn:aws:iam::1:mfa/alice",)), {"orphaned-mfa"})
row("role", evidence(trusted_by=("arn:aws:iam::1:role/deploy",)), {"role-trusts-user"})
row("no-boundary", finds={"no-boundary"}, subject=user())
row("inline", finds={"inline-policies"}, subject=holding("inline-policy", "s3"))
row("attached", finds={"directly-attached-policies"}, subject=holding("attached-policy", "s3"))
row(
    "quarantined-by-aws",
    finds={"directly-attached-policies", "compromised-key"},
    subject=holding("attached-policy", "AWSCompromisedKeyQuarantineV3"),
)
row("exemption-expired", finds={"expired-exemption"}, exemption=EXPIRED)
row("by-tag", subject=TAGGED, provisioning=Provisioning(TAG))
row("by-other-tag", subject=TAGGED, provisioning=Provisioning(("ManagedBy=puppet",)), finds=UNPROVISIONED)
row("by-role", evidence(creator="arn:role/iac"), subject=TAGGED, provisioning=Provisioning((), ROLE))
row("by-eve", evidence(creator="eve"), UNPROVISIONED, subject=TAGGED, provisioning=Provisioning((), ROLE))
row("by-nobody-knows", unknown=UNPROVISIONED, subject=TAGGED, provisioning=Provisioning((), ROLE))
row("tag-will-do", subject=TAGGED, provisioning=Provisioning(TAG, ROLE))
row(
    "lower-thresholds",
    evidence(password(used(40)), key(used(40), created=days_ago(50)), mfa=True),
    {"password-unused", "key-unused", "key-not-rotated"},
    thresholds=Thresholds(40, 50),
)
row("same-by-default", evidence(password(used(40)), key(used(40), created=days_ago(50)), mfa=True))
row(
    "password-not-read",
    evidence(unread=("login-profile",), mfa=None),
    unknown={"console-without-mfa", *PASSWORDS},
)
row("mfa-not-read", evidence(password(used(1)), mfa=None), unknown={"console-without-mfa"})
row("mfa-not-read-but-no-password", evidence(mfa=None))
row("use-unknown", evidence(password(None), mfa=True), unknown=PASSWORDS)
row(
    "keys-not-read",
    evidence(unread=("access-key",)),
    unknown={"key-never-used", "key-unused", "key-not-rotated", "two-active-keys"},
)
row("age-unknown", evidence(replace(key(used(1)), created=None)), unknown={"key-not-rotated"})
row("policies-not-read", evidence(grants=None), unknown=ADMINS)
row("managed-as-code", evidence(managed=Managed((MANAGED,), ("not read",))), {"managed-as-code"})
row("what-manages-it-not-read", evidence(managed=Managed(unread=("not read",))), unknown={"managed-as-code"})
row("a-document-not-read", evidence(grants=UNREAD_POLICY), unknown=ADMINS)
row("roles-not-read", evidence(trusted_by=None), unknown={"role-trusts-user"})
row("devices-not-read", evidence(orphaned_mfa=None), unknown={"orphaned-mfa"})
row(
    "attachments-not-read",
    unknown={"inline-policies", "directly-attached-policies", "no-boundary", "compromised-key"},
    subject=replace(user(), attachments={}),
)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        pytest.param(None, "only a password: enforce", id="not-set-or-not-read"),
        pytest.param(3_600, "only a password, for up to 1 hour at a time: enforce", id="least"),
        pytest.param(43_200, "only a password, for up to 12 hours at a time: enforce", id="hours"),
        pytest.param(7_776_000, "only a password, for up to 90 days at a time: enforce", id="most"),
    ],
)
def test_how_long_a_sign_in_lasts_is_said(seconds: int | None, said: str) -> None:
    profile = {"UserName": "alice", **({"MaxSigninSessionDuration": seconds} if seconds else {})}
    subject = replace(BOUNDED, attachments={**BOUNDED.attachments, "login-profile": (profile,)})
    assert said in found(evidence(password(used(1), FRESH)), subject)["console-without-mfa"]


@pytest.mark.parametrize(("subject", "known", "finds", "open_", "case"), ROWS.values(), ids=ROWS)
def test_findings(
    subject: IamUser, known: Evidence, finds: set[str], open_: set[str], case: dict[str, Any]
) -> None:
    assert found(known, subject, **case).keys() == finds
    assert unknown(known, subject, **case) == open_


def test_each_finding_has_a_row_that_finds_it() -> None:
    assert set().union(*(finds for _, _, finds, _, _ in ROWS.values())) == set(FINDING_IDS) - {"iam-user"}


def test_one_key_settles_what_another_leaves_open() -> None:
    assert "key-never-used" in found(evidence(key(), key(None, number=2)))


def test_texts_name_what_is_meant() -> None:
    known = evidence(
        key(used(100), created=days_ago(200)), key(number=2), grants=ADMIN, trusted_by=("role/deploy",)
    )
    texts = found(known)
    assert texts["key-unused"] == "Access key 1 was last used 100 days ago."
    assert texts["key-not-rotated"] == "Access key 2 is 400 days old."
    assert texts["key-never-used"] == "Access key 2 was never used since it was created 400 days ago."
    assert "AdministratorAccess through group Admins, within its boundary" in texts["admin-rights"]
    assert "role/deploy" in texts["role-trusts-user"]
    way = found(evidence(grants=(allowing("iam:PutUserPolicy"),)))["may-become-admin"]
    assert way.startswith("May become an administrator, by iam:PutUserPolicy (own), within its boundary arn:")


@pytest.mark.parametrize("what", ["orphaned_mfa", "trusted_by"])
def test_a_finding_names_a_few_of_many_and_its_text_is_bounded(what: str) -> None:
    held = tuple(f"arn:aws:iam::1:x/{number}" for number in range(1_900))
    given: dict[str, Any] = {what: held}
    (text,) = (text for text in found(evidence(**given)).values() if "x/0" in text)
    assert "x/4 and 1895 more." in text
    assert "x/5" not in text
    given = {what: tuple("y" * 600 + each for each in held)}
    long = found(evidence(**given))
    assert max(map(len, long.values())) == 2_000


def test_each_key_is_a_finding() -> None:
    case = Case(BOUNDED, evidence(key(), key(number=2)), Exemption(None), NOW)
    assert [each.id for each in evaluate(case).found].count("key-never-used") == 2


def test_an_expired_exemption_is_named() -> None:
    text = found(evidence(), exemption=EXPIRED)["expired-exemption"]
    assert "until 2026-01-01 (old times)" in text


def test_every_user_is_a_finding_and_answers_are_three() -> None:
    findings = evaluate(Case(user(), evidence(trusted_by=None), Exemption(None), NOW))
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


def test_what_names_a_user_is_told_with_what_was_not_read() -> None:
    text = found(evidence(naming=Naming((NAMED,), UNREAD)))["resource-policy-names-user"]
    assert text == (
        "Policies of these resources name it and break when it is deleted: arn:aws:s3:::invoices (Principal of "
        f"statement 2); there may be more, since not all could be read: {UNREAD}."
    )


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (2 * 86_400, ", for up to 2 days at a time"),
        (86_400, ", for up to 24 hours at a time"),
        (3_600, ", for up to 1 hour at a time"),
        (None, ""),
    ],
)
def test_how_long_a_sign_in_may_last(seconds: int | None, told: str) -> None:
    assert _longest_session(IamUser({}, {LOGIN_PROFILE.name: ({MAX_SESSION: seconds},)})) == told
