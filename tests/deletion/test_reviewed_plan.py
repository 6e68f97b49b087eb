# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import jsonschema
import pytest

from c7n_iamusers.deletion.plan import plan_deletion
from c7n_iamusers.deletion.reviewed_plan import SCHEMA, DeletionPlan, PlannedDeletion, load_plan, readable
from c7n_iamusers.exceptions import PlanInvalid
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from tests.records import ACCOUNT, EVERYTHING, said, text_of, user

pytestmark = pytest.mark.pure

MADE = datetime(2026, 11, 24, tzinfo=timezone.utc)
ALICE, BOB = user(**EVERYTHING), user("bob", unique_id="AIDABOB")
PLANNED = PlannedDeletion(ALICE.subject, "0" * 64, plan_deletion(ALICE, MADE).calls, ALICE.counts())
IN_QUARANTINE = QuarantineRecord(MADE, "park", "unused", ("AKIA1", "CERT1"))
SPARED = PlannedDeletion(BOB.subject, skipped=said("exempt"))
PLAN = DeletionPlan(ACCOUNT, "iam-users-delete", MADE, (PLANNED, SPARED))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_what_was_written_comes_back() -> None:
    found = DeletionPlan.from_json(PLAN.as_json())
    calls = tuple(ApiCall(call.service, call.operation, call.parameters) for call in PLANNED.calls)
    assert found == replace(PLAN, made=MADE.isoformat(), users=(replace(PLANNED, calls=calls), SPARED))


def test_a_user_whose_plan_nobody_could_read_is_skipped_alone() -> None:
    odd = ApiCall("iam", "DeleteUserPolicy", {"UserName": "alice", "PolicyName": "a\nb"})
    found = readable(replace(PLANNED, calls=(odd, *PLANNED.calls)))
    assert "its plan could not be read again: call 1: DeleteUserPolicy: PolicyName" in text_of(found.skipped)
    assert (found.calls, readable(PLANNED), readable(SPARED)) == ((), PLANNED, SPARED)
    load_plan(replace(PLAN, users=(found, SPARED)).as_json())


def test_an_entry_is_found_by_arn_and_unique_id() -> None:
    assert PLAN.of(ALICE.subject) == PLANNED
    assert PLAN.of(replace(ALICE.subject, unique_id="AIDAREBORN")) is None


def broken(**changes: Any) -> str:
    return json.dumps({**json.loads(PLAN.as_json()), **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{", "not valid JSON", id="torn"),
        pytest.param("[]", "the whole", id="list"),
        pytest.param(broken(schema_version=9), r"\['schema_version'\]", id="version"),
        pytest.param(broken(users=[{}]), r"\['users'\]\[0\]: 'user' is a required", id="user"),
        pytest.param(broken(more=1), "'more' was unexpected", id="more"),
    ],
)
def test_what_is_no_plan_is_refused(text: str, message: str) -> None:
    with pytest.raises(PlanInvalid, match=message):
        DeletionPlan.from_json(text)


def entry(**changes: Any) -> str:
    """The plan, with Alice's entry changed."""
    alice, bob = json.loads(PLAN.as_json())["users"]
    return broken(users=[{**alice, **changes}, bob])


def called(operation: str, parameters: dict[str, Any], service: str = "iam") -> str:
    """The plan, with one more call on Alice, before the last."""
    calls = json.loads(PLAN.as_json())["users"][0]["calls"]
    more = {"service": service, "operation": operation, "parameters": parameters}
    return entry(calls=[*calls[:-1], more, calls[-1]])


def twin(**changes: Any) -> str:
    """The plan, with an entry more: Alice's, but for ``changes``."""
    users = json.loads(PLAN.as_json())["users"]
    return broken(users=[{**users[0], "skipped": "exempt", "calls": []}, users[1], {**users[0], **changes}])


CAROL = {"user": "carol", "arn": f"arn:aws:iam::{ACCOUNT}:user/carol", "unique_id": "AIDACAROL"}
KEY = {"UserName": "alice", "AccessKeyId": "AKIA3"}
POSSIBLE = [
    pytest.param(called("DeleteAccessKey", KEY), id="known-call"),
    pytest.param(called("DeleteVirtualMFADevice", {"SerialNumber": "s"}), id="orphan"),
    pytest.param(entry(arn=f"arn:aws-us-gov:iam::{ACCOUNT}:user/a/b%c/alice"), id="path-and-partition"),
    pytest.param(entry(skipped="exempt\nby people", calls=[], fingerprint="", unique_id=""), id="unread"),
]


@pytest.mark.parametrize("text", POSSIBLE)
def test_what_a_run_could_have_made_is_read(text: str) -> None:
    assert DeletionPlan.from_json(text).account_id == ACCOUNT


TAMPERED = [
    pytest.param(twin(), "another entry has the same ARN and unique id and user name", id="twice"),
    pytest.param(twin(**{**CAROL, "unique_id": ALICE.unique_id}), "the same unique id", id="id-twice"),
    pytest.param(
        twin(
            user="ALICE",
            arn=f"arn:aws:iam::{ACCOUNT}:user/ALICE",
            unique_id="AIDAX",
            skipped="x",
            calls=[],
        ),
        "the same user name",
        id="name-twice",
    ),
    pytest.param(
        called("CreateAccessKey", {"UserName": "alice"}), "not a call of a deletion", id="operation"
    ),
    pytest.param(called("DeleteAccessKey", KEY, "sts"), "'sts' 'DeleteAccessKey'", id="service"),
    pytest.param(called("DeleteAccessKey", {**KEY, "Force": "1"}), "'Force'", id="parameter-more"),
    pytest.param(called("DeleteAccessKey", {"UserName": "alice"}), "not a call", id="parameter-less"),
    pytest.param(
        called("DeleteAccessKey", {**KEY, "UserName": "bob"}), "another user, 'bob'", id="other-user"
    ),
    pytest.param(
        called("DeleteAccessKey", {**KEY, "AccessKeyId": "A\x1b[2K"}), "is not valid in IAM", id="control"
    ),
    pytest.param(
        called("DeleteAccessKey", {**KEY, "AccessKeyId": "A  B"}), "is not valid in IAM", id="padding"
    ),
    pytest.param(called("DeleteAccessKey", {**KEY, "AccessKeyId": 5}), "TypeError", id="not-text"),
    pytest.param(called("DeleteUserPermissionsBoundary", {"UserName": "alice"}), "not a call", id="unbind"),
    pytest.param(called("TagUser", {"UserName": "alice", "Tags": "x"}), "not a call of a", id="tag"),
    pytest.param(called("DeleteUser", {"UserName": "alice"}), "the only DeleteUser", id="deleted-twice"),
    pytest.param(entry(calls=[]), "the only DeleteUser", id="goes-by-nothing"),
    pytest.param(entry(fingerprint=""), "no fingerprint", id="no-fingerprint"),
    pytest.param(entry(fingerprint="0" * 64 + "\n"), "no fingerprint", id="fingerprint-and-newline"),
    pytest.param(entry(unique_id=""), "no unique id", id="no-unique-id"),
    pytest.param(entry(unique_id="AIDA\u200b"), "is no unique id", id="unique-id"),
    pytest.param(entry(skipped="exempt"), r"skipped, but has \d+ calls", id="skipped-with-calls"),
    pytest.param(entry(arn=BOB.arn + "by"), "its ARN belongs to another user", id="arn-of-another"),
    pytest.param(entry(arn="arn:aws:iam::444455556666:user/alice"), "in account 444455556666", id="account"),
    pytest.param(entry(arn=f"arn:aws:iam::{ACCOUNT}:role/alice"), "no ARN of an IAM user", id="role"),
    pytest.param(
        entry(user="al\u0456ce", arn=f"arn:aws:iam::{ACCOUNT}:user/al\u0456ce"), "no ARN of", id="homoglyph"
    ),
    pytest.param(entry(attachments={"key\u202e": 1}), "no known kind", id="kind"),
    pytest.param(PLAN.as_json().replace('"users"', '"users": [], "users"'), "duplicate key", id="key-twice"),
    pytest.param("[" * 100_000, "is nested too deeply", id="deep"),
]


@pytest.mark.parametrize(("text", "message"), TAMPERED)
@pytest.mark.parametrize("library", [True, False], ids=["schema", "no-schema"])
def test_what_no_run_could_have_made_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str, message: str, library: bool
) -> None:
    if not library:
        monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(PlanInvalid, match=message) as refused:
        DeletionPlan.from_json(text)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("refused", "operation"),
    [
        pytest.param((), "PutUserPolicy", id="inline"),
        pytest.param(("inline",), "AttachUserPolicy", id="attached"),
        pytest.param(("inline", "attached"), "PutUserPermissionsBoundary", id="boundary"),
    ],
)
@pytest.mark.parametrize("quarantine", [None, IN_QUARANTINE], ids=["free", "quarantined"])
@pytest.mark.parametrize(
    "of", [ALICE, BOB, user(access_key=EVERYTHING["access_key"])], ids=lambda of: of.name
)
def test_whatever_a_deletion_plans_is_read(
    of: IamUser, quarantine: QuarantineRecord | None, refused: tuple[str, ...], operation: str
) -> None:
    calls = plan_deletion(
        of, MADE, quarantine=quarantine, refused=dict.fromkeys(refused, "AccessDenied")
    ).calls
    assert calls[0].operation == (operation if of is not BOB else "DeleteUser")
    planned = PlannedDeletion(of.subject, "0" * 64, calls, of.counts())
    found = DeletionPlan.from_json(replace(PLAN, users=(planned,)).as_json()).of(of.subject)
    assert found is not None
    assert [(c.operation, c.parameters) for c in found.calls] == [(c.operation, c.parameters) for c in calls]


@pytest.mark.parametrize("text", ["[]", "{}", broken(users=[{}])])
def test_without_the_library_what_is_missing_is_found_all_the_same(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """As in AWS Lambda, whose archive carries no libraries."""
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    assert DeletionPlan.from_json(PLAN.as_json()).account_id == ACCOUNT
    with pytest.raises(PlanInvalid, match=r"not a plan of deletions of version 1: (Key|Type)Error"):
        DeletionPlan.from_json(text)
