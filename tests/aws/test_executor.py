# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError

from c7n_iamusers.aws.executor import Applied, CallFailed, Executor
from c7n_iamusers.aws.journal import Journal
from c7n_iamusers.model.calls import ApiCall, Plan, Ref, Subject
from tests.fakes import ScriptedClient, Sleeps, client_error

ALICE = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDA1")
DELETE = ApiCall("iam", "DeleteUser", {"UserName": "alice"}, done_codes=frozenset({"NoSuchEntity"}))
CREATE = ApiCall(
    "identitystore",
    "CreateUser",
    {"UserName": "alice"},
    save={"person": ("UserId",)},
)
ASSIGN = ApiCall(
    "sso-admin",
    "CreateAccountAssignment",
    {"PrincipalId": Ref("person"), "Nested": [{"id": Ref("person")}]},
    save={"request": ("Status", "RequestId")},
)


class Bench:
    """An executor over scripted clients, its journal and its sleeps."""

    def __init__(self, path: Path, **scripts: list[Any]) -> None:
        self.path, self.sleeps, self.applied = path / "journal.jsonl", Sleeps(), Applied()
        self.client = ScriptedClient(**scripts)

    def apply(self, *calls: ApiCall) -> Applied:
        clients = dict.fromkeys(("iam", "identitystore", "sso-admin"), self.client)
        with Journal(self.path) as journal:
            executor = Executor(clients, journal, self.sleeps.backoff())
            executor.apply(Plan(ALICE, calls), self.applied)
        return self.applied

    def journal(self) -> list[tuple[str, str, str | None]]:
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        return [(line["phase"], line["operation"], line.get("result")) for line in lines]


def test_calls_are_made_in_order_and_journaled_before_and_after(tmp_path: Path) -> None:
    bench = Bench(tmp_path, delete_user=[{}], delete_group=[{}])
    bench.apply(ApiCall("iam", "DeleteGroup", {"GroupName": "g"}), DELETE)
    assert bench.client.calls == [
        ("delete_group", {"GroupName": "g"}),
        ("delete_user", {"UserName": "alice"}),
    ]
    assert bench.journal() == [
        ("before", "DeleteGroup", None),
        ("after", "DeleteGroup", "done"),
        ("before", "DeleteUser", None),
        ("after", "DeleteUser", "done"),
    ]
    assert bench.applied.calls == 2


def test_already_gone_is_success(tmp_path: Path) -> None:
    bench = Bench(tmp_path, delete_user=[client_error("NoSuchEntity")])
    bench.apply(DELETE)
    assert bench.journal()[-1] == ("after", "DeleteUser", "gone")


@pytest.mark.parametrize(
    ("error", "code"),
    [(client_error("AccessDenied"), "AccessDenied"), (NoCredentialsError(), "NoCredentialsError")],
    ids=["of-the-api", "of-botocore"],
)
def test_a_failure_stops_the_plan_and_is_journaled(tmp_path: Path, error: Exception, code: str) -> None:
    bench = Bench(tmp_path, delete_user=[error])
    with pytest.raises(
        CallFailed, match=f"user alice of account 111122223333: iam:DeleteUser failed with {code}"
    ):
        bench.apply(DELETE, DELETE)
    assert bench.journal() == [("before", "DeleteUser", None), ("after", "DeleteUser", "failed")]
    assert json.loads(bench.path.read_text().splitlines()[-1])["code"] == code
    assert bench.applied.calls == 1


def test_temporary_conflicts_are_retried(tmp_path: Path) -> None:
    bench = Bench(tmp_path, delete_user=[client_error("EntityTemporarilyUnmodifiable"), {}])
    bench.apply(DELETE)
    assert bench.sleeps == [1]
    assert bench.applied.calls == 1


def test_values_of_earlier_calls_fill_later_ones(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        create_user=[{"UserId": "u-1"}],
        create_account_assignment=[{"Status": {"RequestId": "r-1"}}],
    )
    bench.apply(CREATE, ASSIGN)
    assert bench.client.calls[1] == (
        "create_account_assignment",
        {"PrincipalId": "u-1", "Nested": [{"id": "u-1"}]},
    )
    assert bench.applied.values == {"person": "u-1", "request": "r-1"}
