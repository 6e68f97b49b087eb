# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from c7n_iamusers.evidence.reader import read_report
from c7n_iamusers.exceptions import EvidenceUnreadable
from tests.fakes import ScriptedClient, Sleeps, client_error

MADE = datetime(2026, 11, 24, 9, tzinfo=timezone.utc)
REPORT = {"Content": b"user,arn\nalice,x", "ReportFormat": "text/csv", "GeneratedTime": MADE}
STARTED = {"State": "STARTED"}
MISSING, EXPIRED = client_error("ReportNotPresent"), client_error("ReportExpired")
IN_PROGRESS, LIMIT = client_error("ReportInProgress"), client_error("LimitExceeded")


@pytest.mark.parametrize(
    ("answers", "requests", "waits"),
    [
        pytest.param([REPORT], [], 0, id="there-already"),
        pytest.param([MISSING, REPORT], [STARTED], 1, id="not-present"),
        pytest.param([EXPIRED, REPORT], [STARTED], 1, id="expired"),
        pytest.param([IN_PROGRESS, REPORT], [], 1, id="somebody-else-asked"),
        pytest.param([MISSING, IN_PROGRESS, IN_PROGRESS, REPORT], [STARTED], 3, id="takes-a-while"),
        pytest.param([MISSING, MISSING, REPORT], [STARTED, STARTED], 2, id="asked-for-in-vain"),
        pytest.param([MISSING, REPORT], [LIMIT], 1, id="asked-for-too-often"),
        pytest.param([client_error("Throttling"), REPORT], [], 1, id="throttled"),
        pytest.param([MISSING, REPORT], [client_error("ServiceFailure"), STARTED], 2, id="aws-at-fault"),
    ],
)
def test_every_state_leads_to_the_report(answers: list[Any], requests: list[Any], waits: int) -> None:
    client, sleeps = (
        ScriptedClient(get_credential_report=answers, generate_credential_report=requests),
        Sleeps(),
    )
    report = read_report(client, sleeps.backoff())
    assert report.row("alice") == {"user": "alice", "arn": "x"}
    assert report.time == MADE
    assert len(sleeps) == waits
    assert client.scripts == {"get_credential_report": [], "generate_credential_report": []}


@pytest.mark.parametrize(
    ("answers", "requests"),
    [
        pytest.param([client_error("AccessDenied")], [], id="get"),
        pytest.param([MISSING], [client_error("AccessDenied")], id="generate"),
    ],
)
def test_a_refusal_is_passed_on(answers: list[Any], requests: list[Any]) -> None:
    client = ScriptedClient(get_credential_report=answers, generate_credential_report=requests)
    with pytest.raises(ClientError, match="AccessDenied"):
        read_report(client, Sleeps().backoff())


def test_a_report_that_never_comes_is_given_up() -> None:
    client = ScriptedClient(get_credential_report=[IN_PROGRESS] * 100)
    sleeps = Sleeps()
    with pytest.raises(EvidenceUnreadable, match="not ready within 60 seconds: run again later"):
        read_report(client, sleeps.backoff(budget=60))
    assert 60 <= sum(sleeps) < 70


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbfuser,arn\nalice,x", "user,arn\nalice,x"], ids=["mark", "text"]
)
def test_content_in_other_forms(content: bytes | str) -> None:
    client = ScriptedClient(get_credential_report=[{"Content": content}])
    report = read_report(client, Sleeps().backoff())
    assert report.row("alice") is not None
    assert report.time is None


def test_what_is_no_report_is_refused() -> None:
    for content, message in [
        (b"\xff\xfe", "neither UTF-8 text nor base64"),
        (b"<html/>", "neither UTF-8 text nor base64"),
        (b"a,b", "no column `user`"),
    ]:
        client = ScriptedClient(get_credential_report=[{"Content": content}])
        with pytest.raises(EvidenceUnreadable, match=message):
            read_report(client, Sleeps().backoff())
