# SPDX-License-Identifier: Apache-2.0
"""A fleet run whose output is in S3: the same run, with its files and its lock there."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.bucket_store import BucketStore
from c7n_iamusers.identity_center.applying.center_lock import LockUnavailable
from c7n_iamusers.identity_center.applying.run_lock import exclusive, force_unlock
from c7n_iamusers.identity_center.requests.intent_files import read_intents, write_intents
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import intents
from tests.fakes import ScriptedClient, Sleeps, client_error
from tests.identity_center.buckets import BUCKET, PREFIX, URL, BucketRehearsal, output_in_bucket
from tests.interference import on_call

LOCK = "identity-center-runs/.lock"
PAYMENTS = f"payments/us-east-1/{ACCOUNT}/provision-Readers"
RESEARCH = f"research/us-east-1/{OTHER_ACCOUNT}/provision-Readers"
NAMES = {"payments": ACCOUNT, "research": OTHER_ACCOUNT}


@pytest.fixture
def fleet(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BucketRehearsal:
    """Intents of two accounts, three users, two people."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    org.configure(assignment_seconds=0)
    found = BucketRehearsal(org, tmp_path, names={value: key for key, value in NAMES.items()})
    found.leave(intents(ACCOUNT, "alice", "bob"), intents(OTHER_ACCOUNT, "alice"))
    return found


def data(fleet: BucketRehearsal, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fleet.store.read(name) or b"")
    return found


def test_a_run_its_results_nothing_left_and_undo(fleet: BucketRehearsal) -> None:
    assert fleet.run(dry=True) == []
    assert fleet.objects() == [f"{place}/identity-center-intents.json" for place in (PAYMENTS, RESEARCH)]
    assert fleet.run() == []
    assert len(fleet.assigned()) == 2
    assert fleet.objects("identity-center-result.json") == [
        f"{place}/identity-center-result.json" for place in (PAYMENTS, RESEARCH)
    ]
    assert {row["status"] for row in data(fleet, f"{PAYMENTS}/identity-center-result.json")["users"]} == {
        "provisioned"
    }
    (result,) = fleet.objects("result.json")
    assert f"To undo: provision undo {URL}/{result} --result-sha256 " in fleet.said[-1]
    assert fleet.run() == []
    assert fleet.said[-1] == "Nothing to do."
    assert fleet.objects("result.json") == [result]
    assert fleet.undo(f"{URL}/{result}") == []
    assert (fleet.assigned(), fleet.usernames()) == (set(), set())
    assert len(data(fleet, result.replace("result.json", "undone.json"))["removed"]) == 10
    assert LOCK not in fleet.objects()


def test_objects_are_encrypted_and_the_bucket_owners(fleet: BucketRehearsal) -> None:
    fleet.run()
    for name in fleet.objects():
        found = fleet.s3.head_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}")
        assert found["ServerSideEncryption"] == "AES256", name


@pytest.mark.parametrize("number", [1, 4, 8, 11])
def test_a_run_that_dies_anywhere_is_carried_on_by_the_next_and_undone_as_one(
    fleet: BucketRehearsal, number: int
) -> None:
    fleet.killed(number)
    assert fleet.objects("result.json") == []
    assert fleet.run() == []
    assert len(fleet.assigned()) == 2
    (result,) = fleet.objects("result.json")
    assert len(data(fleet, result)["resumes"]) == 1
    assert fleet.undo(f"{URL}/{result}") == []
    assert (fleet.assigned(), fleet.usernames()) == (set(), set())


def test_a_call_is_made_only_once_its_line_is_in_the_bucket(
    fleet: BucketRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def look() -> None:
        for name in fleet.objects():
            if "/journal/" in name:
                lines = (fleet.store.read(name) or b"").splitlines()
                seen.extend(json.loads(line)["operation"] for line in lines if b'"before"' in line)

    on_call(monkeypatch, "CreatePermissionSet", look)
    assert fleet.run() == []
    assert "CreatePermissionSet" in seen


def test_nothing_is_changed_where_the_journal_can_not_be_put(
    fleet: BucketRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = BucketStore._put

    def refusing(self: BucketStore, name: str, *given: Any, **condition: Any) -> None:
        if "/journal/" in name:
            raise client_error("AccessDenied")
        put(self, name, *given, **condition)

    monkeypatch.setattr(BucketStore, "_put", refusing)
    with pytest.raises(Exception, match=r"the journal can't be written .*AccessDenied"):
        fleet.run()
    assert fleet.mutations() == []
    assert LOCK not in fleet.objects()


def test_none_at_all(org: LocalOrg) -> None:
    store = output_in_bucket(org)
    store.replace("payments/us-east-1/p/2026/11/25/03/resources.json.gz", b"")
    with pytest.raises(
        IdentityCenterError, match=f"no identity-center-intents.json below {URL}: .* -s {URL}"
    ):
        read_intents(store)


@pytest.mark.parametrize(
    ("files", "accounts", "told"),
    [
        pytest.param({PAYMENTS: ACCOUNT, RESEARCH: OTHER_ACCOUNT}, None, "", id="c7n-org"),
        pytest.param({PAYMENTS: ACCOUNT, RESEARCH: OTHER_ACCOUNT}, NAMES, "", id="c7n-org-and-known"),
        pytest.param(
            {PAYMENTS: ACCOUNT, PAYMENTS.replace("us-east-1", "us-west-2"): ACCOUNT},
            NAMES,
            f"a second file of policy provision-Readers and account {ACCOUNT}",
            id="two-regions",
        ),
        pytest.param({f"{ACCOUNT}/provision-Readers": ACCOUNT}, None, "", id="custodian"),
        pytest.param({f"{ACCOUNT}/provision-Readers": ACCOUNT}, NAMES, "", id="custodian-and-known"),
        pytest.param({"provision-Readers": ACCOUNT}, None, "", id="the-account's-own-prefix"),
        pytest.param({f"here/provision-Readers/{ACCOUNT}": ACCOUNT}, None, "", id="policy-in-the-prefix"),
        pytest.param(
            {f"{ACCOUNT}/provision-Readers": "777788889999"}, None, f"not that of {ACCOUNT}", id="another-id"
        ),
        pytest.param(
            {f"{ACCOUNT}/provision-Readers": ACCOUNT},
            {"research": OTHER_ACCOUNT},
            "not that of",
            id="unknown-id",
        ),
        pytest.param(
            {RESEARCH.replace(OTHER_ACCOUNT, ACCOUNT): ACCOUNT},
            NAMES,
            "not that of research",
            id="name-of-another",
        ),
        pytest.param(
            {PAYMENTS: ACCOUNT, RESEARCH.replace(OTHER_ACCOUNT, ACCOUNT): ACCOUNT},
            None,
            "and so do the files in payments",
            id="two-names",
        ),
        pytest.param(
            {PAYMENTS: ACCOUNT, PAYMENTS.replace(ACCOUNT, OTHER_ACCOUNT): OTHER_ACCOUNT},
            None,
            "where other files are for account",
            id="two-accounts-of-one-name",
        ),
        pytest.param(
            {f"{each}/provision-Readers/us-east-1": each for each in (ACCOUNT, OTHER_ACCOUNT)},
            NAMES,
            "",
            id="policy-before-region",
        ),
        pytest.param(
            {f"us-east-1/{each}/provision-Readers": each for each in (ACCOUNT, OTHER_ACCOUNT)},
            NAMES,
            "",
            id="region-first",
        ),
        pytest.param({f"other/us-east-1/{ACCOUNT}": ACCOUNT}, None, "of another", id="no-policy"),
        pytest.param(
            {PAYMENTS.replace("Readers", "Admins"): ACCOUNT}, None, "of another", id="another-policy"
        ),
    ],
)
def test_where_intents_lie(
    org: LocalOrg, files: dict[str, str], accounts: Mapping[str, str] | None, told: str
) -> None:
    store = output_in_bucket(org)
    for place, account in files.items():
        whole = BucketStore(org.client("s3"), BUCKET, f"{PREFIX}/{place}", {})
        write_intents(whole, intents(account, "alice"))
    if told:
        with pytest.raises(IdentityCenterError, match=f"{URL}/.*{told}.*: find out who"):
            read_intents(store, accounts=accounts)
    else:
        assert len(read_intents(store, accounts=accounts)) == len(files)


def other_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Locks that are files are not seen from there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other-machine"))


def test_the_second_writer_is_told_who_writes(
    fleet: BucketRehearsal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with exclusive(fleet.store, fleet.center().instance):
        held = data(fleet, LOCK)
        other_machine(monkeypatch, tmp_path)
        who = (
            rf"process {held['process']} of \S+.* on {held['host']}, since {held['since']}, for {URL}, lock "
            rf"{held['id']}: wait .*remove it by c7n-iamusers provision unlock {held['id']} --records {URL}$"
        ).replace("+00:00", r"\+00:00")
        fleet.refuses(who, fleet.run)
    assert fleet.run() == []


def test_the_plan_is_made_while_nobody_else_writes(
    fleet: BucketRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    on_call(monkeypatch, "ListPermissionSets", lambda: seen.append(fleet.objects(".lock")))
    fleet.run(dry=True)
    assert seen.pop() == []
    fleet.run()
    assert seen.pop() == [LOCK]


def test_writers_of_one_machine_meet_whatever_their_outputs(fleet: BucketRehearsal, tmp_path: Path) -> None:
    with (
        exclusive(tmp_path, fleet.center().instance),
        pytest.raises(IdentityCenterError, match=str(tmp_path)),
    ):
        fleet.run()
    assert LOCK not in fleet.objects()


def test_a_failure_leaves_no_lock(fleet: BucketRehearsal) -> None:
    def failing() -> None:
        with exclusive(fleet.store):
            assert LOCK in fleet.objects()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert LOCK not in fleet.objects()


def left_behind(fleet: BucketRehearsal) -> str:
    """The id of a lock that a killed run has left."""
    with exclusive(fleet.store):
        content = fleet.store.read(LOCK) or b""
    fleet.store.create(LOCK, content)
    return str(json.loads(content)["id"])


def test_a_lock_that_was_left_is_removed_by_its_id_alone(fleet: BucketRehearsal) -> None:
    lock_id = left_behind(fleet)
    with pytest.raises(IdentityCenterError, match=f"provision unlock {lock_id}"):
        fleet.run()
    with pytest.raises(
        IdentityCenterError, match=f"does not have the id 0, so it was not removed: its holder is .*{lock_id}"
    ):
        force_unlock(fleet.store, "0")
    assert LOCK in fleet.objects()
    assert lock_id in force_unlock(fleet.store, lock_id)
    with pytest.raises(IdentityCenterError, match="there is no lock, so nothing was removed"):
        force_unlock(fleet.store, lock_id)
    assert fleet.run() == []


def test_a_run_whose_lock_was_taken_away_leaves_the_next_ones_alone(fleet: BucketRehearsal) -> None:
    with exclusive(fleet.store):
        force_unlock(fleet.store, data(fleet, LOCK)["id"])
        fleet.store.create(LOCK, b"another's")
    assert fleet.store.read(LOCK) == b"another's"


def test_a_lock_that_nobody_of_ours_wrote_moves_no_cursor_and_runs_no_command(fleet: BucketRehearsal) -> None:
    forged = {
        **dict.fromkeys(("user", "host", "output"), "\x1b[2J"),
        "process": 1,
        "since": "",
        "id": "1; ls",
    }
    fleet.store.create(LOCK, json.dumps(forged).encode())
    with pytest.raises(
        IdentityCenterError, match=r"provision unlock '1; ls' --records '?s3://[^ ]+$"
    ) as refused:
        fleet.run()
    assert "\x1b" not in str(refused.value)


def test_a_lock_that_says_nothing(fleet: BucketRehearsal) -> None:
    fleet.store.create(LOCK, b"[]")
    with pytest.raises(
        IdentityCenterError, match=f"another run holds the lock: .* If it was killed: remove {URL}/{LOCK}"
    ):
        fleet.run()


def stored(Body: bytes, **_: Any) -> dict[str, str]:
    """The answer to a put."""
    return {"ChecksumSHA256": base64.b64encode(hashlib.sha256(Body).digest()).decode()}


@pytest.mark.parametrize(
    ("put", "get", "told"),
    [
        pytest.param([stored], [], "", id="first"),
        pytest.param([client_error("ServiceUnavailable"), stored], [], "", id="tried-again"),
        pytest.param(
            [client_error("ConditionalRequestConflict"), stored],
            [client_error("NoSuchKey")] * 2,
            "",
            id="gone-meanwhile",
        ),
        pytest.param(
            [client_error("PreconditionFailed")] * 3,
            [client_error("NoSuchKey")] * 6,
            "keep taking this lock",
            id="never-ours",
        ),
        pytest.param([client_error("AccessDenied")], [], "get, put and delete objects there", id="denied"),
    ],
)
def test_taking_the_lock(put: list[Any], get: list[Any], told: str) -> None:
    client = ScriptedClient(put_object=put, get_object=[*get, client_error("NoSuchKey")])
    store = BucketStore(client, BUCKET, PREFIX, {}, Sleeps().backoff())
    if told:
        with pytest.raises(IdentityCenterError, match=told), exclusive(store):
            pass
    else:
        with exclusive(store):
            pass
    assert put == []
    assert {given.get("IfNoneMatch") for name, given in client.calls if name == "put_object"} == {"*"}


def test_a_put_whose_answer_was_lost_is_ours(fleet: BucketRehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    put = BucketStore._put

    def losing(self: BucketStore, name: str, *given: Any, **condition: Any) -> None:
        put(self, name, *given, **condition)
        if name == LOCK:
            raise client_error("PreconditionFailed")

    with monkeypatch.context() as patch:
        patch.setattr(BucketStore, "_put", losing)
        with exclusive(fleet.store):
            assert LOCK in fleet.objects()
    assert LOCK not in fleet.objects()


def test_a_put_that_was_broken_off_leaves_no_lock(
    fleet: BucketRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = BucketStore._put

    def stopped(self: BucketStore, name: str, *given: Any, **condition: Any) -> None:
        put(self, name, *given, **condition)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(BucketStore, "_put", stopped)
        with pytest.raises(KeyboardInterrupt), exclusive(fleet.store):
            pass
    assert LOCK not in fleet.objects()


def test_a_lock_that_can_not_be_removed_is_told_and_hides_nothing(
    fleet: BucketRehearsal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refusing(*_: Any, **__: Any) -> None:
        raise OSError("AccessDenied")

    monkeypatch.setattr(BucketStore, "remove", refusing)
    with caplog.at_level(logging.WARNING):
        assert fleet.run() == []
    assert (
        "the lock of this run can't be removed: AccessDenied: remove it by c7n-iamusers provision unlock "
        in caplog.text
    )
    assert len(fleet.objects("result.json")) == 1


def test_no_cache_directory_is_no_lock(fleet: BucketRehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    with pytest.raises(LockUnavailable, match="set XDG_CACHE_HOME"):
        fleet.run()
    assert LOCK not in fleet.objects()


def test_a_result_counts_only_as_its_journal_in_the_bucket_pins_it(fleet: BucketRehearsal) -> None:
    assert fleet.run() == []
    (result,) = fleet.objects("result.json")
    content = fleet.store.read(result) or b""
    forged = {**json.loads(content), "memberships": []}
    fleet.store.replace(result, json.dumps(forged).encode())
    runs: tuple[Callable[[], list[str]], ...] = (
        lambda: fleet.undo(f"{URL}/{result}"),
        fleet.audit,
        fleet.run,
    )
    for run in runs:
        with pytest.raises(IdentityCenterError, match=f"{URL}/{result} is not as the run wrote it"):
            run()
    fleet.store.replace(result, content)
    fleet.store.replace(
        "identity-center-runs/20260101T000000.000000Z/result.json", json.dumps(forged).encode()
    )
    with pytest.raises(
        IdentityCenterError, match=f"{URL}/.*/20260101T000000.000000Z/journal.jsonl is missing"
    ):
        fleet.audit()
