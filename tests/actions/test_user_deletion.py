# SPDX-License-Identifier: Apache-2.0
"""What others do to a user while it is being deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError

from c7n_iamusers.actions.composite_delete import CompositeDelete
from c7n_iamusers.actions.user_deletion import judged_kinds
from c7n_iamusers.aws.live_users import LiveUsers
from c7n_iamusers.decisions.deletion_guards import Guards
from c7n_iamusers.decisions.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers.decisions.exemptions import parse_rules
from c7n_iamusers.local_org import LocalOrg
from c7n_iamusers.model.quarantine import Quarantine
from tests.actions.deletions import acting, delete, outcomes, user_names
from tests.fakes import client_error
from tests.interference import deny, on_call
from tests.observation import run_within_permissions
from tests.policies import ACCOUNT

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
KEEP = {"group": "keep", "reason": "a test", "expires": "2999-12-31"}
LEAKED = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("c7n_iamusers.aws.retries.time.sleep", lambda _: None)


def create(org: LocalOrg, *names: str) -> Any:
    """Users with an access key each; the client."""
    iam = org.client("iam", ACCOUNT)
    for name in names:
        iam.create_user(UserName=name)
        iam.create_access_key(UserName=name)
    return iam


def quarantine(iam: Any, name: str) -> None:
    """The Deny-all of a quarantine of long ago, with nothing to switch off."""
    record = Quarantine(datetime(2026, 1, 1, tzinfo=timezone.utc), "by-hand", "a test", ())
    document = deny_all_document(record.sid)
    iam.put_user_policy(UserName=name, PolicyName=DENY_ALL_NAME, PolicyDocument=document)


def _once(happens: Callable[[], object]) -> Callable[[], object]:
    calls = iter([happens])
    return lambda: next(calls, lambda: None)()


@pytest.mark.parametrize(
    ("options", "change", "reason"),
    [
        pytest.param(
            {},
            lambda iam: iam.add_user_to_group(GroupName="keep", UserName="zoe"),
            "exempt by group",
            id="exempt-group",
        ),
        pytest.param(
            {},
            lambda iam: iam.attach_user_policy(UserName="zoe", PolicyArn=LEAKED),
            "a key of it leaked",
            id="compromised",
        ),
        pytest.param(
            {"quarantined-for": 1},
            lambda iam: iam.delete_user_policy(UserName="zoe", PolicyName=DENY_ALL_NAME),
            "not in quarantine",
            id="released",
        ),
        pytest.param(
            {"quarantined-for": 1},
            lambda iam: iam.create_service_specific_credential(
                UserName="zoe", ServiceName="bedrock.amazonaws.com"
            ),
            "its quarantine no longer holds",
            id="new-credential",
        ),
    ],
)
def test_what_changed_since_the_lists_were_read_saves_its_user(
    org: LocalOrg,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    change: Callable[[Any], object],
    reason: str,
) -> None:
    # As many as make the lists of all users worth reading.
    names = [f"user-{number}" for number in range(5)] + ["zoe"]
    iam = org.client("iam", ACCOUNT)
    for name in names:
        iam.create_user(UserName=name)
        quarantine(iam, name)
    iam.create_group(GroupName="keep")
    monkeypatch.setattr(CompositeDelete, "max_workers", 1)
    read = LiveUsers.read

    def late(self: LiveUsers, name: str) -> Any:
        if name == "zoe":
            change(iam)
        return read(self, name)

    monkeypatch.setattr(LiveUsers, "read", late)
    run_within_permissions(acting({"type": "composite-delete", **options}, tmp_path, KEEP))
    assert user_names(iam) == ["zoe"]
    row = outcomes(tmp_path)["zoe"]
    assert (row["status"], row["calls"]) == ("skipped", 0)
    assert reason in row["reason"]


@pytest.mark.parametrize(
    ("rule", "options", "kinds"),
    [
        pytest.param("user", {}, {"attached-policy"}, id="by-default"),
        pytest.param("user", {"include_compromised": True}, set(), id="compromised-too"),
        pytest.param("group", {"include_compromised": True}, {"group"}, id="group-rule"),
        pytest.param(
            "user",
            {"include_compromised": True, "quarantined_for": 0},
            {
                "attached-policy",
                "inline-policy",
                "access-key",
                "signing-certificate",
                "ssh-public-key",
                "service-specific-credential",
            },
            id="quarantined",
        ),
    ],
)
def test_what_the_guards_look_at(rule: str, options: dict[str, Any], kinds: set[str]) -> None:
    rules = parse_rules([{rule: "x", "reason": "a test", "expires": "2999-12-31"}], "exempt")
    found = judged_kinds(Guards(("arn:aws:iam::111122223333:role/c7n",), rules, **options))
    assert {kind.name for kind in found} == kinds


@pytest.mark.parametrize("moment", ["PutUserPermissionsBoundary", "DeleteAccessKey", "DeleteUser"])
def test_a_renamed_user_is_not_taken_for_deleted(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    iam = create(org, "alice")
    on_call(
        monkeypatch, moment, _once(lambda: iam.update_user(UserName="alice", NewUserName="alice-renamed"))
    )
    with pytest.raises(PolicyExecutionError, match="renamed to alice-renamed meanwhile; run again"):
        delete(tmp_path)
    assert user_names(iam) == ["alice-renamed"]
    assert outcomes(tmp_path)["alice"]["status"] == "failed"


@pytest.mark.parametrize("moment", ["PutUserPermissionsBoundary", "DeleteAccessKey", "DeleteUser"])
def test_a_user_that_somebody_else_deletes_meanwhile_is_gone(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    iam = create(org, "alice")

    def remove() -> None:
        for key in iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]:
            iam.delete_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"])
        iam.delete_user(UserName="alice")

    on_call(monkeypatch, moment, _once(remove))
    delete(tmp_path)
    assert (user_names(iam), outcomes(tmp_path)["alice"]["status"]) == ([], "deleted")


def test_who_is_gone_at_the_first_call_turns_no_boundary_off(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create(org, "alice", "bob")
    monkeypatch.setattr(CompositeDelete, "max_workers", 1)
    rename = _once(lambda: iam.update_user(UserName="alice", NewUserName="zoe"))
    on_call(monkeypatch, "PutUserPermissionsBoundary", rename)
    org.clear_calls()
    with pytest.raises(PolicyExecutionError, match="renamed to zoe"):
        delete(tmp_path)
    made = [call.operation for call in org.calls if call.parameters.get("UserName") == "bob"]
    assert "PutUserPermissionsBoundary" in made
    assert "PutUserPolicy" not in made


def test_only_a_denial_turns_boundaries_off(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = create(org, "alice")

    def fail() -> None:
        raise client_error("InvalidInput")

    on_call(monkeypatch, "PutUserPermissionsBoundary", fail)
    org.clear_calls()
    with pytest.raises(PolicyExecutionError, match="InvalidInput"):
        delete(tmp_path)
    assert len(iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]) == 1
    assert "PutUserPolicy" not in {call.operation for call in org.calls}


def test_a_quarantined_user_keeps_a_deny_where_it_can_not_be_deleted(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    quarantine(iam, "alice")
    with monkeypatch.context() as patch:
        deny(patch, "DeleteUser")
        with pytest.raises(PolicyExecutionError, match="iam:DeleteUser failed with AccessDenied"):
            delete(tmp_path, **{"quarantined-for": 1})
    found = iam.get_user(UserName="alice")["User"]["PermissionsBoundary"]
    assert found["PermissionsBoundaryArn"] == DENY_ALL
    delete(tmp_path, **{"quarantined-for": 1})
    assert user_names(iam) == []
    assert json.loads((tmp_path / "under-test" / "outcomes.json").read_text())[0]["status"] == "deleted"
