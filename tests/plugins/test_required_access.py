# SPDX-License-Identifier: Apache-2.0
"""``composite-delete`` with ``require: provisioned``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from aws_local_org import LocalOrg
from c7n_iamusers.deletion.reviewed_plan import DeletionPlan
from c7n_iamusers.identity_center.access_state import PENDING, PROVISIONED, AccessState
from c7n_iamusers.plugins.access_gate import AccessGate
from tests.plugins.deletions import NAME, acting, outcomes, user_names
from tests.policies import ACCOUNT, policy
from tests.records import text_of

REQUIRING = {"type": "composite-delete", "require": "provisioned"}
ACCESS = {
    "type": "identity-center",
    "state": "provisioned",
    "user": {"username": "UserName", "email": "tag:Email"},
    "records": "none",
}


def answering(monkeypatch: pytest.MonkeyPatch, *answers: dict[str, str]) -> list[int]:
    """Identity Center answers with these states by user name, one reading after the other; counts the readings."""
    script, read = list(answers), list[int]()

    def reading(_: Any, resources: Sequence[dict[str, Any]]) -> Callable[[], dict[str, AccessState]]:
        def states() -> dict[str, AccessState]:
            read.append(len(resources))
            found = script.pop(0)
            return {
                each["Arn"]: AccessState(found[each["UserName"]], "as the test says") for each in resources
            }

        return states

    monkeypatch.setattr(AccessGate, "reading", reading)
    return read


def requiring(output: Path, **options: Any) -> Any:
    filters = [{"type": "unnecessary", "exempt": "none"}, ACCESS]
    return policy({"filters": filters, "actions": [{**REQUIRING, **options}]}, output)


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    client = org.client("iam", ACCOUNT)
    for name in ("alice", "bob"):
        client.create_user(UserName=name)
    return client


def test_a_user_that_lost_access_after_the_filter_is_skipped(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = {"alice": PROVISIONED, "bob": PROVISIONED}
    read = answering(monkeypatch, everybody, {**everybody, "bob": PENDING})
    requiring(tmp_path).run()
    assert read == [2, 2]
    assert user_names(iam) == ["bob"]
    assert (
        outcomes(tmp_path)["bob"]["reason"]
        == "its access through Identity Center is pending: as the test says"
    )


def test_a_plan_skips_it_too(iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everybody = {"alice": PROVISIONED, "bob": PROVISIONED}
    answering(monkeypatch, everybody, {**everybody, "bob": PENDING})
    requiring(tmp_path, **{"plan-only": True}).run()
    plan = DeletionPlan.from_json((tmp_path / NAME / "deletion-plan.json").read_text())
    skipped = {each.subject.name: text_of(each.skipped) for each in plan.users}
    assert skipped == {"alice": "", "bob": "its access through Identity Center is pending: as the test says"}


def test_where_identity_center_cannot_be_read_nobody_is_touched(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = requiring(tmp_path)
    resources = found.resource_manager.get_resources(["alice", "bob"])

    def unreadable(*_: Any) -> None:
        raise PolicyExecutionError("Identity Center can't be read")

    monkeypatch.setattr(AccessGate, "reading", unreadable)
    with found.ctx, pytest.raises(PolicyExecutionError, match="can't be read"):
        found.resource_manager.actions[0].process(resources)
    assert user_names(iam) == ["alice", "bob"]


@pytest.mark.parametrize(
    "filters",
    [[], [{**ACCESS, "state": "pending"}], [{"not": [ACCESS]}]],
    ids=["none", "other-state", "nested"],
)
def test_how_to_read_identity_center_must_be_said(org: LocalOrg, filters: list[Any]) -> None:
    with pytest.raises(PolicyValidationError, match="add it, with state: provisioned, at the top level"):
        policy({"filters": [{"type": "unnecessary", "exempt": "none"}, *filters], "actions": [REQUIRING]})


def test_unasked_nothing_is_read(iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = answering(monkeypatch)
    acting("composite-delete", tmp_path).run()
    assert (read, user_names(iam)) == ([], [])


def test_of_nobody_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account may not even reach Identity Center."""
    gate = AccessGate(requiring(tmp_path).load_resource_manager(), ACCESS, "here")
    monkeypatch.setattr(AccessGate, "_read_account", lambda *_: pytest.fail("the account is read"))
    assert gate.states([]) == {}
