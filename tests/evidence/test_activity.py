# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from c7n_iamusers.evidence.assessment import activity_of, is_unused
from c7n_iamusers.evidence.model import Credential, Evidence, Source
from c7n_iamusers.iam.user import IamUser
from tests.evidence_records import (
    CREDENTIAL_KINDS,
    NOW,
    PIECES,
    aged,
    certificate,
    days_ago,
    evidence,
    key,
    password,
    service_credential,
    ssh_key,
    used,
)
from tests.records import user

pytestmark = pytest.mark.pure

ALICE = aged(user(), 1000)
IDLE = evidence(password(used(200)), key(used(100)), key(number=2))


def unused(known: Evidence, days: float = 90, subject: IamUser = ALICE) -> bool:
    return is_unused(activity_of(subject, known), days, NOW)


@pytest.mark.parametrize(
    ("held", "is_idle"),
    [
        pytest.param([password(used(200)), key(used(100))], True, id="all-long-ago"),
        pytest.param([password(used(200)), key(used(89))], False, id="key-lately"),
        pytest.param([password(used(1)), key(used(100))], False, id="sign-in-lately"),
        pytest.param([key(used(1), active=False)], False, id="inactive-key-lately"),
        pytest.param([password(), key()], True, id="never-used-and-old"),
        pytest.param([key(created=days_ago(10))], False, id="new-key"),
        pytest.param([password(used(200), created=days_ago(10))], False, id="password-reset-lately"),
        pytest.param([], True, id="nothing"),
        pytest.param([key(used(100)), ssh_key()], False, id="ssh-key"),
        pytest.param([key(used(100)), ssh_key(active=False)], False, id="inactive-ssh-key"),
        pytest.param([certificate()], False, id="certificate"),
        pytest.param([service_credential("bedrock", active=False)], False, id="service-credential"),
        pytest.param([key(None)], False, id="use-unknown"),
        pytest.param([replace(key(), created=None)], False, id="age-unknown"),
    ],
)
def test_unused_needs_every_credential_idle_and_known(held: list[Credential], is_idle: bool) -> None:
    assert unused(evidence(*held)) is is_idle


@pytest.mark.parametrize(
    ("days", "is_idle"),
    [(99, True), (100, True), (100.5, False), (101, False)],
    ids=["less", "same", "half", "more"],
)
def test_days(days: float, is_idle: bool) -> None:
    assert unused(IDLE, days) is is_idle


def test_a_new_user_is_not_unused_yet() -> None:
    assert not unused(evidence(), subject=aged(user(), 10))
    assert not unused(evidence(), subject=user())


@pytest.mark.parametrize("kind", CREDENTIAL_KINDS)
def test_a_kind_that_was_not_read_leaves_it_open(kind: str) -> None:
    known = evidence(password(used(200)), key(used(100)), unread=(kind,))
    assert not unused(known)
    assert any("not read" in each for each in activity_of(ALICE, known).unknown)


@pytest.mark.parametrize(
    "piece", ["user", "credential-report", "service-specific-credentials", "ssh-public-keys"]
)
@pytest.mark.parametrize("time", [None, days_ago(2)], ids=["of-unknown-time", "stale"])
def test_evidence_must_be_fresh(piece: str, time: datetime | None) -> None:
    sources = {name: Source(name, NOW) for name in PIECES}
    assert unused(replace(IDLE, sources=sources))
    assert not unused(replace(IDLE, sources={**sources, piece: replace(sources[piece], time=time)}))
    assert not unused(replace(IDLE, sources={name: each for name, each in sources.items() if name != piece}))


def test_days_are_counted_to_the_oldest_evidence() -> None:
    sources = {
        name: Source(name, NOW - timedelta(hours=4 * (name == "credential-report"))) for name in PIECES
    }
    assert not unused(replace(IDLE, sources=sources), 100)
    assert unused(replace(IDLE, sources=sources), 99.8)


def test_the_latest_use_is_told() -> None:
    assert activity_of(ALICE, IDLE).as_data() == {
        "time": days_ago(100).isoformat(),
        "by": "access key 1",
        "service": "s3",
        "region": "us-east-1",
        "unknown": [],
    }


def test_never_is_told_from_unknown() -> None:
    never = activity_of(ALICE, evidence(password(), key())).as_data()
    assert (never["time"], never["by"], never["unknown"]) == (None, "", [])
    unknown = activity_of(ALICE, evidence(ssh_key())).as_data()
    assert (unknown["time"], unknown["unknown"]) == (None, ["SSH public key APKA1: last use unknown"])
