# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import jsonschema
import pytest

from c7n_iamusers.exceptions import SnapshotInvalid
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.iam.policy_documents import PolicyVersion
from c7n_iamusers.snapshots.schema import SCHEMA
from c7n_iamusers.snapshots.snapshot import Snapshot, last_until
from tests.records import EVERYTHING, user

pytestmark = pytest.mark.pure

TAKEN = datetime(2026, 11, 24, tzinfo=timezone.utc)
ALICE = user(tags={"Team": "a"}, **EVERYTHING)
SNAPSHOT = Snapshot(
    ALICE,
    TAKEN,
    "0" * 64,
    "iam-users-delete",
    ("arn:aws:iam::111122223333:role/deploy",),
    ({"GroupName": "Developers", "GroupId": "AGPA1", "Path": "/"},),
    {"since": TAKEN.isoformat(), "deactivated": ["AKIA1"]},
)


def data(**changes: Any) -> dict[str, Any]:
    return {**json.loads(SNAPSHOT.as_json()), **changes}


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_what_was_written_comes_back() -> None:
    found = Snapshot.from_json(SNAPSHOT.as_json())
    assert found == replace(SNAPSHOT, taken=TAKEN.isoformat())
    assert found.deactivated == {"AKIA1"}


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("deletion_begun", [False, True])
def test_what_is_left_out_of_the_file_where_it_is_false(partial: bool, deletion_begun: bool) -> None:
    whole = replace(SNAPSHOT, partial=partial, deletion_begun=deletion_begun)
    found = Snapshot.from_json(whole.as_json())
    assert (found.partial, found.deletion_begun) == (partial, deletion_begun)
    assert ("partial" in whole.as_json(), "deletion_begun" in whole.as_json()) == (partial, deletion_begun)


def test_a_snapshot_without_quarantine_comes_back() -> None:
    assert Snapshot.from_json(replace(SNAPSHOT, quarantine=None).as_json()).deactivated == frozenset()


def test_dates_are_written_as_iso_8601() -> None:
    dated = replace(
        ALICE, attachments={**ALICE.attachments, "login-profile": ({"UserName": "a", "CreateDate": TAKEN},)}
    )
    text = replace(SNAPSHOT, user=dated).as_json()
    assert json.loads(text)["attachments"]["login-profile"][0]["CreateDate"] == "2026-11-24T00:00:00+00:00"


def test_partial_knowledge_is_no_snapshot() -> None:
    partial = replace(ALICE, attachments={"tag": ()})
    with pytest.raises(KeyError):
        replace(SNAPSHOT, user=partial).as_json()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        pytest.param("{", "not valid JSON", id="torn"),
        pytest.param("[]", "the whole", id="list"),
        pytest.param(json.dumps(data(schema_version=3)), r"\['schema_version'\]", id="version"),
        pytest.param(json.dumps(data(account_id="12")), r"\['account_id'\]", id="account"),
        pytest.param(json.dumps(data(attachments={})), "is a required property", id="no-kinds"),
        pytest.param(json.dumps(data(extra=1)), "'extra' was unexpected", id="extra"),
        pytest.param(
            json.dumps(
                data(attachments={**{k.name: [] for k in ATTACHMENT_KINDS}, "group": [{"Name": "g"}]})
            ),
            r"\['attachments'\]\['group'\]\[0\]: 'GroupName' is a required",
            id="item",
        ),
    ],
)
def test_what_is_no_snapshot_is_refused(broken: str, message: str) -> None:
    with pytest.raises(SnapshotInvalid, match=message):
        Snapshot.from_json(broken)


@pytest.mark.parametrize(
    "kind", [kind for kind in ATTACHMENT_KINDS if not kind.later], ids=lambda kind: kind.name
)
def test_every_kind_is_required(kind: Any) -> None:
    rest = {k: v for k, v in data()["attachments"].items() if k != kind.name}
    with pytest.raises(SnapshotInvalid, match=f"'{kind.name}' is a required property"):
        Snapshot.from_json(json.dumps(data(attachments=rest)))


@pytest.mark.parametrize(
    "text", ["[]", "{}", json.dumps({"attachments": []}), json.dumps(data(attachments={}))]
)
def test_without_the_library_what_is_missing_is_found_all_the_same(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """As in AWS Lambda, whose archive carries no libraries."""
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    assert Snapshot.from_json(SNAPSHOT.as_json()).user == SNAPSHOT.user
    with pytest.raises(
        SnapshotInvalid, match=r"not a snapshot of version 2: it(\.attachments)? (must be|lacks)"
    ):
        Snapshot.from_json(text)


ARN = "arn:aws:iam::aws:policy/p"
NAMED = {"GroupName": "Developers", "GroupId": "AGPA1", "Path": "/"}


@pytest.mark.parametrize(
    ("kind", "item", "told"),
    [
        pytest.param("access-key", {"AccessKeyId": "A", "Status": {}}, "Status must be a text", id="object"),
        pytest.param("access-key", {"AccessKeyId": ""}, "AccessKeyId must have", id="empty"),
        pytest.param("tag", {"Key": "a", "Value": ["x"]}, r"Value\[0\] must be an object", id="list"),
        pytest.param("tag", {"Key": "a", "Value": [{"Key": "b"}]}, "lacks Value", id="tag-of-no-value"),
        pytest.param(
            "inline-policy",
            {"PolicyName": "s3", "PolicyDocument": 5},
            "must be a policy document",
            id="document",
        ),
        pytest.param("inline-policy", {"PolicyName": "s3", "PolicyDocument": []}, "not list", id="documents"),
    ],
)
def test_what_no_member_of_an_attachment_can_be(kind: str, item: dict[str, Any], told: str) -> None:
    held = {**data()["attachments"], kind: [item]}
    with pytest.raises(SnapshotInvalid, match=told):
        Snapshot.from_json(json.dumps(data(attachments=held)))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"groups": [{**NAMED, "GroupPolicyList": [{"PolicyName": "a"}]}]}, "lacks", id="inline"),
        pytest.param({"groups": [{**NAMED, "AttachedManagedPolicies": [{}]}]}, "lacks", id="attached"),
        pytest.param({"groups": [{**NAMED, "GroupId": 5}]}, "must be a text", id="group-id"),
        pytest.param({"quarantine": {"since": 5, "deactivated": []}}, "since", id="quarantine"),
        pytest.param({"taken": 5}, "taken", id="taken"),
        pytest.param({"rights_read": 5}, "rights_read", id="rights-read"),
        pytest.param({"trusted_by": [5]}, "trusted_by", id="trusted-by"),
        pytest.param({"policies": [{"PolicyArn": ARN}]}, "required property", id="policy"),
        pytest.param(
            {"user": {**data()["user"], "Arn": "arn:aws:iam::444455556666:user/alice"}},
            "name different accounts",
            id="another-account",
        ),
        pytest.param({"rights_fingerprint": "0" * 64}, "was changed after it was taken", id="rights"),
        pytest.param(
            {
                "policies": [
                    {"PolicyArn": ARN, "DefaultVersionId": "v1", "document": "{}", "sha256": "0" * 64}
                ]
            },
            "was changed after it was taken",
            id="policies",
        ),
    ],
)
def test_what_no_run_wrote_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SnapshotInvalid, match=told):
        Snapshot.from_json(json.dumps(data(**changes)))


@pytest.mark.parametrize("change", ["sha256", "document", "rights_fingerprint"])
def test_what_does_not_match_its_digest_is_refused(change: str) -> None:
    policy = PolicyVersion("arn:aws:iam::aws:policy/ReadOnlyAccess", "v1", '{"Statement": []}')
    written = json.loads(replace(SNAPSHOT, policies=(policy,)).as_json())
    assert Snapshot.from_json(json.dumps(written)).policies == (policy,)
    holder = written if change in written else written["policies"][0]
    holder[change] = "{}" if change == "document" else "1" * 64
    with pytest.raises(SnapshotInvalid, match="changed"):
        Snapshot.from_json(json.dumps(written))


@pytest.mark.parametrize(
    ("since", "day"),
    [
        pytest.param(TAKEN - timedelta(days=1), 24, id="before-all"),
        pytest.param(TAKEN, 24, id="at-once"),
        pytest.param(TAKEN + timedelta(days=1), 25, id="in-the-second-of-one"),
        pytest.param(TAKEN + timedelta(days=1, hours=1), 25, id="between"),
        pytest.param(TAKEN + timedelta(days=9), 26, id="after-all"),
    ],
)
def test_the_last_snapshot_until_a_time(since: datetime, day: int) -> None:
    days = [
        replace(SNAPSHOT, taken=(TAKEN + timedelta(days=each, microseconds=7)).isoformat())
        for each in range(3)
    ]
    found = last_until(reversed(days), since)
    assert found is not None
    assert str(found.taken)[8:10] == str(day)
    assert last_until([], since) is None
    untimed = replace(SNAPSHOT, taken="")
    assert last_until([untimed], since) == untimed


def test_a_snapshot_is_written_the_same_way_each_time() -> None:
    """Its SHA-256 stands in the journal."""
    lines = SNAPSHOT.as_json().splitlines()
    members = [line for line in lines if line.startswith('  "')]
    assert members == sorted(members)
    assert len(members) == len(json.loads(SNAPSHOT.as_json()))
