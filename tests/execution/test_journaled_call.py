# SPDX-License-Identifier: Apache-2.0
"""The format of journal lines, and what is read from them."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ReadTimeoutError
from botocore.session import Session

import c7n_iamusers
from c7n_iamusers.execution.calls import ApiCall, Ref, Subject
from c7n_iamusers.execution.journal import Journal, JournalReader, parsed
from c7n_iamusers.execution.journaled_call import JournaledCall
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.identity_center.object_records import Created, created_by
from c7n_iamusers.lockout.journal_lines import history_of
from tests.fakes import client_error

ALICE = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDA1")
CALLER = "arn:aws:sts::111122223333:assumed-role/IamUsersRemover/c7n"
NOW = datetime(2026, 11, 25, tzinfo=timezone.utc)
WHO = {"time": NOW.isoformat(), "user": "alice", "arn": ALICE.arn, "unique_id": "AIDA1"}
JOIN = ApiCall(
    "identitystore",
    "CreateGroupMembership",
    {"GroupId": Ref("group"), "MemberId": {"UserId": "u-1"}},
    save={"membership": ("MembershipId",)},
)
MADE: dict[str, Any] = {
    "service": "identitystore",
    "operation": "CreateGroupMembership",
    "parameters": {"GroupId": "g-1", "MemberId": {"UserId": "u-1"}},
}


@pytest.mark.parametrize(
    ("notes", "end", "before", "after"),
    [
        pytest.param({}, {"result": "done"}, {}, {"result": "done"}, id="done"),
        pytest.param({}, {"result": "gone"}, {}, {"result": "gone"}, id="gone"),
        pytest.param(
            {},
            {"result": "done", "saved": {"membership": "m-1"}},
            {},
            {"result": "done", "saved": {"membership": "m-1"}},
            id="saved",
        ),
        pytest.param(
            {},
            {"result": "failed", "answer": client_error("AccessDenied")},
            {},
            {
                "result": "failed",
                "code": "AccessDenied",
                "status": 400,
                "request_id": "request-of-AccessDenied",
                "caller": CALLER,
            },
            id="failed",
        ),
        pytest.param(
            {},
            {"result": "unknown", "answer": ReadTimeoutError(endpoint_url="x")},
            {},
            {"result": "unknown", "code": "ReadTimeoutError", "caller": CALLER},
            id="no-answer",
        ),
        pytest.param(
            {},
            {"result": "done", "answer": {"ResponseMetadata": {"RequestId": "r-1"}}},
            {},
            {"result": "done", "request_id": "r-1", "caller": CALLER},
            id="answered",
        ),
        pytest.param(
            {"for": "deletion"},
            {"result": "done"},
            {"notes": {"for": "deletion"}},
            {"result": "done"},
            id="notes",
        ),
    ],
)
def test_the_lines_of_a_call(
    tmp_path: Path, notes: dict[str, Any], end: dict[str, Any], before: dict[str, Any], after: dict[str, Any]
) -> None:
    call = ApiCall(JOIN.service, JOIN.operation, JOIN.parameters, save=JOIN.save, notes=notes)
    with Journal(tmp_path / "journal.jsonl", lambda: NOW) as journal:
        journaled = JournaledCall(journal, ALICE, call, Backoff(), caller=CALLER)
        for _ in range(2):  # a second try
            assert journaled.begin({"group": "g-1"}) == MADE["parameters"]
        journaled.end(**end)
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    for line in lines:
        del line["previous"]  # see test_journal_format
    assert lines == [
        {**WHO, "phase": "before", **MADE, **before},
        {**WHO, "phase": "after", **MADE, "caller": CALLER, **after},
    ]


DETACHED = {
    "service": "iam",
    "operation": "DetachUserPolicy",
    "parameters": {"UserName": "alice", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
}


@pytest.mark.parametrize(
    ("after", "certain"),
    [
        pytest.param({"result": "done", "saved": {"membership": "m-1"}}, True, id="done"),
        pytest.param({"result": "adopted", "saved": {"membership": "m-1"}}, None, id="adopted"),
        pytest.param({"result": "unknown", "code": "Timeout"}, False, id="timeout"),
        pytest.param({"result": "done"}, True, id="done-without-id"),
        pytest.param({"result": "failed", "code": "AccessDenied"}, None, id="refused"),
        pytest.param({"result": "unknown", "code": "AccessDenied"}, False, id="lost-then-refused"),
        pytest.param({"result": "interrupted", "code": "Interrupted"}, False, id="interrupted"),
    ],
)
def test_what_a_run_created_is_read_from_its_journal(after: dict[str, Any], certain: bool | None) -> None:
    tried = {**WHO, "phase": "tried", **MADE, "code": "502", "status": 502}
    lines = [{**WHO, "phase": "before", **MADE}, tried, {**WHO, "phase": "after", **MADE, **after}]
    journal = "".join(json.dumps(line) + "\n" for line in lines) + '{"phase": "bef'
    identifier = str(after.get("saved", {}).get("membership", ""))
    expected = [] if certain is None else [Created("membership", identifier, MADE["parameters"], certain)]
    assert created_by(parsed(journal.encode())) == expected


@pytest.mark.parametrize(
    ("after", "ours"),
    [
        pytest.param({"result": "done"}, [True], id="done"),
        pytest.param({"result": "gone"}, [False], id="gone"),
        pytest.param({"result": "unknown", "code": "ReadTimeoutError"}, [True], id="unknown"),
        pytest.param({"result": "interrupted", "code": "Interrupted"}, [True], id="interrupted"),
        pytest.param({"result": "failed", "code": "AccessDenied"}, [], id="failed"),
    ],
)
def test_what_was_done_to_a_user_is_read_from_a_run(
    tmp_path: Path, after: dict[str, Any], ours: list[bool]
) -> None:
    lines = [{**WHO, "phase": "before", **DETACHED}, {**WHO, "phase": "after", **DETACHED, **after}]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = JournalReader(lambda: [DirectoryStore(tmp_path)]).of(ALICE)
    assert [deed.effective for deed in history_of(ALICE, found).calls] == ours


def test_nothing_else_changes_aws() -> None:
    """No module calls a method of a client that changes anything: only JournaledCalls name operations as data."""
    reads = ("Get", "List", "Describe", "Generate", "Simulate", "Is", "BatchGet")
    changing = {
        xform_name(operation)
        for service in ("iam", "sso-admin", "identitystore")
        for operation in Session().get_service_model(service).operation_names
        if not operation.startswith(reads)
    }
    called = re.compile(r"\.([a-z_]+)\(")
    package = Path(c7n_iamusers.__path__[0])
    found = {
        f"{path.relative_to(package)}: {name}"
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] != "rehearsal"  # the demo's own preparations
        for name in called.findall(path.read_text(encoding="utf-8"))
        if name in changing
    }
    assert found == set()
