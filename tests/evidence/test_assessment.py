# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.evidence.assessment import Criteria, assess, count_attachments, frozen_evidence
from c7n_iamusers.evidence.model import Evidence, Hint, Source, Thresholds
from c7n_iamusers.exemptions import Exemption
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.deny_all import BROWNOUT_NAME, DENY_ALL_NAME, Brownout, deny_all_document
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.resource_policies.naming import NamedBy, Naming
from tests.evidence_records import CREDENTIAL_KINDS, NOW, days_ago, evidence, key, password, used
from tests.records import groups, user

pytestmark = pytest.mark.pure

#: What an account's own lists tell of a user; credentials come with the evidence.
OWN = ("group", "attached-policy", "inline-policy", "permissions-boundary", "tag")
FULL = user(group=groups("Developers"), tags={"Team": "core"})
LISTED = replace(FULL, attachments={kind: FULL.attachments[kind] for kind in OWN})
SERIAL = "arn:aws:iam::111122223333:mfa/alice"


@pytest.mark.parametrize(
    ("subject", "known", "devices", "unread"),
    [
        pytest.param(LISTED, evidence(mfa=False), 0, [], id="no-device"),
        pytest.param(LISTED, evidence(mfa=True), 1, ["mfa-device"], id="a-device-in-no-list"),
        pytest.param(
            LISTED, evidence(mfa=True, virtual_mfa=(SERIAL, "x")), 2, ["mfa-device"], id="at-least-two"
        ),
        pytest.param(LISTED, evidence(mfa=None), None, ["mfa-device"], id="unknown"),
        pytest.param(FULL, evidence(mfa=True), 0, [], id="listed-for-the-user"),
        pytest.param(
            LISTED,
            evidence(mfa=False, unread=("ssh-public-key",)),
            0,
            ["ssh-public-key"],
            id="ssh-keys-not-listed",
        ),
    ],
)
def test_counts_and_what_was_not_read_in_full(
    subject: IamUser, known: Evidence, devices: int | None, unread: list[str]
) -> None:
    counts, missing = count_attachments(subject, known)
    assert counts.get("mfa-device") == devices
    assert missing == unread
    assert (counts["group"], counts["tag"]) == (1, 1)
    order = [kind.name for kind in ATTACHMENT_KINDS]
    assert list(counts) == [kind for kind in order if kind in counts]


def test_credentials_are_counted_whether_active_or_not() -> None:
    counts, _ = count_attachments(LISTED, evidence(password(), key(), key(active=False, number=2)))
    held = {"login-profile": 1, "access-key": 2}
    assert {kind: counts[kind] for kind in CREDENTIAL_KINDS} == dict.fromkeys(CREDENTIAL_KINDS, 0) | held


def test_ages_are_counted_to_the_time_of_the_report() -> None:
    known = evidence(key(used(100)))
    old = {**known.sources, "credential-report": Source("report.csv", days_ago(30))}
    aged = assess(LISTED, replace(known, sources=old), Exemption(None), Criteria(), NOW)
    assert not aged.findings.has("key-unused")
    later = assess(LISTED, known, Exemption(None), Criteria(), NOW + timedelta(days=300))
    (text,) = [each.text for each in later.findings.found if each.id == "key-unused"]
    assert "100 days ago" in text


SINCE = datetime(2026, 11, 1, tzinfo=timezone.utc)
INLINE = {
    "PolicyName": DENY_ALL_NAME,
    "PolicyDocument": deny_all_document(QuarantineRecord(SINCE, "", "").sids[0]),
}
DARK = {
    "PolicyName": BROWNOUT_NAME,
    "PolicyDocument": Brownout(SINCE, SINCE + timedelta(minutes=15)).document,
}
ATTACHED = {"PolicyName": "AWSDenyAll", "PolicyArn": "arn:aws:iam::aws:policy/AWSDenyAll"}
OWN_TAG = QuarantineRecord(SINCE, "p", "r", deny="attached").tag()
THEIRS = {"PolicyName": DENY_ALL_NAME, "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "*"}]}}


@pytest.mark.parametrize(
    ("held", "tags", "ids", "counts"),
    [
        pytest.param({"inline_policy": (INLINE, DARK)}, {}, set(), (0, 0, 0), id="inline"),
        pytest.param(
            {"attached_policy": (ATTACHED,)},
            {OWN_TAG["Key"]: OWN_TAG["Value"]},
            set(),
            (0, 0, 0),
            id="attached",
        ),
        pytest.param(
            {"attached_policy": (ATTACHED,)},
            {"Team": "x"},
            {"directly-attached-policies"},
            (0, 1, 1),
            id="by-others",
        ),
        pytest.param(
            {"inline_policy": (THEIRS,)}, {}, {"inline-policies"}, (1, 0, 0), id="changed-by-others"
        ),
    ],
)
def test_what_this_tool_put_on_is_no_finding(
    held: dict[str, Any], tags: dict[str, str], ids: set[str], counts: tuple[int, int, int]
) -> None:
    found = assess(user(tags=tags, **held), evidence(), Exemption(None), Criteria(), NOW).as_data()
    assert {each["id"] for each in found["findings"]} & {
        "inline-policies",
        "directly-attached-policies",
    } == ids
    assert tuple(found["attachments"][kind] for kind in ("inline-policy", "attached-policy", "tag")) == counts


def test_criteria_are_applied() -> None:
    criteria = Criteria((Hint("mixed", "user", "alice"),), Thresholds(10, 90))
    found = assess(LISTED, evidence(key(used(20))), Exemption(None), criteria, NOW)
    assert found.classification.kind == "mixed"
    assert found.findings.has("key-unused")


def test_an_annotation_has_json_types_only() -> None:
    known = evidence(password(used(3)), mfa=None, trusted_by=("arn:aws:iam::1:role/deploy",))
    data = assess(LISTED, known, Exemption(None), Criteria(), NOW).as_data()
    assert json.loads(json.dumps(data)) == data
    assert (data["kind"], data["replacement"]) == ("human", ["identity-center"])
    assert "console-without-mfa" in data["unknown_findings"]
    assert data["trusted_by"] == ["arn:aws:iam::1:role/deploy"]
    assert data["sources"]["user"] == {"source": "user", "time": NOW.isoformat()}
    assert data["last_activity"]["time"] == days_ago(3).isoformat()
    (credential,) = data["credentials"]
    assert (credential["kind"], credential["active"]) == ("login-profile", True)
    assert credential["used"] == days_ago(3).isoformat()
    unknown = assess(LISTED, evidence(trusted_by=None), Exemption(None), Criteria(), NOW).as_data()
    assert unknown["trusted_by"] is None
    assert "named_by" not in unknown


def places(number: int) -> tuple[NamedBy, ...]:
    return tuple(NamedBy("s3", f"arn:aws:s3:::b{each:02}", "eu-west-1", "x") for each in range(number))


@pytest.mark.parametrize(
    ("naming", "told"),
    [
        pytest.param(Naming(()), [], id="none"),
        pytest.param(Naming((), "AccessDenied"), None, id="unknown"),
        pytest.param(Naming(places(1), "AccessDenied"), [asdict(*places(1))], id="known-and-unknown"),
        pytest.param(Naming(places(30)), list(map(asdict, places(20))), id="many"),
    ],
)
def test_an_annotation_says_what_names_the_user(naming: Naming, told: Any) -> None:
    data = assess(LISTED, evidence(naming=naming), Exemption(None), Criteria(), NOW).as_data()
    assert data["named_by"] == told


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("x" * 300, "x" * 300, id="fits"),
        pytest.param("word " * 100, "word " * 59 + "...", id="words"),
        pytest.param("x" * 301, "x" * 296 + " ...", id="one-word"),
    ],
)
def test_a_frozen_text_that_is_cut_says_so(text: str, kept: str) -> None:
    (finding,) = frozen_evidence({"findings": [{"id": "f", "severity": "high", "text": text}]})["findings"]
    assert finding["text"] == kept
    assert len(kept) <= 300
