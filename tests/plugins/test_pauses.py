# SPDX-License-Identifier: Apache-2.0
"""What becomes of a user between the reading by which it is judged and its first change, as AWS throttles or waits."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from aws_local_org.iam.seeding import set_access_key_last_used
from c7n_iamusers.execution.journaled_call import JournaledCall
from c7n_iamusers.execution.retries import Backoff
from tests.fakes import client_error
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.interference import deny, on_call
from tests.plugins.test_gates import (
    BOB,
    CAROL,
    HEADER,
    KINDS,
    PLACES,
    Between,
    Clock,
    announce,
    back,
    between,
    change,
    clock,
    fleet,
    iam,
    kind,
    run,
    statuses,
    unassign,
    write_list,
)
from tests.plugins.test_identity_center import FILTER
from tests.plugins.test_notify_owners import action
from tests.policies import ACCOUNT, policy

__all__ = ["between", "clock", "fleet", "iam", "kind"]
ACCESS = {**FILTER, "state": "provisioned", "permission-set": "Readers", "records": "none"}


@pytest.fixture
def throttled(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Between:
    """AWS throttles the first ``tries`` to change anybody, half a minute each; at the first of them it ``happens``."""

    def throttling(happens: Callable[[], object], tries: int = 3) -> None:
        monkeypatch.setattr(Backoff, "delays", lambda _: itertools.repeat(0.0, 20))
        count = itertools.count()

        def throttle() -> None:
            number = next(count)
            if number == 0:
                happens()
            if number < tries:
                clock.now += 31
                raise client_error("Throttling")

        on_call(monkeypatch, "PutUserPolicy", throttle)

    return throttling


def is_whole(iam: Any, name: str) -> bool:
    """Whether nothing of ours is on the user, and its key is active."""
    keys = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    inline = iam.list_user_policies(UserName=name)["PolicyNames"]
    return (inline, [each["Status"] for each in keys]) == ([], ["Active"])


def tagged(iam: Any) -> None:
    iam.tag_user(UserName="alice", Tags=[{"Key": "keep", "Value": "yes"}])


def joined(iam: Any) -> None:
    iam.create_group(GroupName="keepers")
    iam.add_user_to_group(UserName="alice", GroupName="keepers")


def moved(iam: Any) -> None:
    iam.update_user(UserName="alice", NewPath="/emergency/")


@pytest.mark.parametrize(
    ("happens", "pattern"),
    [(tagged, {"tag": "keep=yes"}), (joined, {"group": "keepers"}), (moved, {"path": "/emergency/*"})],
)
def test_a_user_that_becomes_exempt_while_its_first_change_is_throttled_is_spared(
    iam: Any,
    tmp_path: Path,
    kind: str,
    happens: Callable[[Any], None],
    pattern: dict[str, str],
    throttled: Between,
) -> None:
    throttled(lambda: happens(iam))
    rows = run(tmp_path, kind, [{**pattern, "reason": "a test", "expires": "2999-12-31"}])
    assert rows["alice"]["status"] == "skipped"
    assert "exempt by" in rows["alice"]["reason"]
    assert is_whole(iam, "alice")
    assert rows["bob"]["status"] == KINDS[kind]


def test_a_user_whose_key_is_used_while_its_first_change_is_throttled_is_spared(
    org: LocalOrg, iam: Any, tmp_path: Path, kind: str, throttled: Between
) -> None:
    key = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"][0]["AccessKeyId"]

    def used() -> None:
        with org.lock:
            held = org.backend("iam", ACCOUNT).access_keys[key]
            set_access_key_last_used(held, datetime.now(timezone.utc), service="s3", region="eu-west-1")

    throttled(used)
    rows = run(tmp_path, kind, **{"active-within": 30})
    assert rows["alice"]["status"] == "skipped"
    assert "active within 30 days" in rows["alice"]["reason"]
    assert is_whole(iam, "alice")


def test_a_user_that_is_throttled_for_ever_fails_untouched(
    iam: Any, tmp_path: Path, kind: str, throttled: Between
) -> None:
    throttled(lambda: None, tries=10_000)
    rows = run(tmp_path, kind)
    assert set(statuses(rows).values()) == {"failed"}
    assert "its last read was more than 30 seconds old" in rows["alice"]["reason"]
    assert all(is_whole(iam, name) for name in ("alice", "bob", "carol"))


@pytest.mark.parametrize("place", PLACES)
def test_an_exemption_that_only_the_run_saw_voids_the_announcement(
    org: LocalOrg, iam: Any, tmp_path: Path, kind: str, place: str, between: Between
) -> None:
    nobody = HEADER + "nobody,a test,2999-12-31\n"
    write_list(org, "exemptions.csv", nobody)
    announce(place)
    back(org, place)
    between(lambda: write_list(org, "exemptions.csv", HEADER + CAROL + BOB))
    rows = run(tmp_path, kind, "exemptions.csv", noticed=30, notices=place)
    assert statuses(rows) == {"alice": KINDS[kind], "bob": "skipped", "carol": "skipped"}
    write_list(org, "exemptions.csv", nobody)
    rows = run(tmp_path, kind, "exemptions.csv", noticed=30, notices=place)
    assert "it was exempt on" in rows["bob"]["reason"]
    assert "was not announced since" in rows["bob"]["reason"]
    assert is_whole(iam, "bob")


def test_people_whose_access_ends_between_two_turns_are_not_quarantined(
    fleet: FleetRehearsal, tmp_path: Path, between: Between
) -> None:
    between(lambda: unassign(fleet), 3600)
    rows = run(tmp_path, "quarantine", "none", ACCESS, require="provisioned")
    assert statuses(rows) == {"alice": "quarantined", "bob": "skipped", "carol": "skipped"}
    assert "its access through Identity Center is pending" in rows["bob"]["reason"]


def test_a_user_who_becomes_another_persons_is_not_judged_by_the_access_of_the_former(
    fleet: FleetRehearsal, tmp_path: Path, kind: str, between: Between
) -> None:
    client = fleet.org.client("iam", ACCOUNT)
    tags = [{"Key": "Email", "Value": "nobody.else@example.com"}]
    between(lambda: client.tag_user(UserName="bob", Tags=tags), 3600)
    rows = run(tmp_path, kind, "none", ACCESS, require="provisioned")
    assert statuses(rows) == {"alice": KINDS[kind], "bob": "skipped", "carol": KINDS[kind]}
    assert "its tags Email, which name its person, changed" in rows["bob"]["reason"]
    assert is_whole(client, "bob")


def test_a_role_that_comes_to_trust_a_user_between_two_turns_spares_it(
    iam: Any, tmp_path: Path, kind: str, between: Between
) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    between(lambda: iam.create_role(RoleName="Deployer", AssumeRolePolicyDocument=document))
    rows = run(tmp_path, kind, **{"trusted-by-role": False})
    assert statuses(rows) == {"alice": KINDS[kind], "bob": "skipped", "carol": KINDS[kind]}
    assert "a role trusts it" in rows["bob"]["reason"]


ONE = [{"type": "unnecessary", "exempt": "none"}, {"UserName": "alice"}]


def one(output: Path, kind: str, name: str = "", **options: Any) -> tuple[str, str]:
    """Status and reason of alice's outcome; ``!`` before the status if the policy ended with an error."""
    filters = ONE if kind != "release" else ONE[1:]
    whole = name or kind
    data = {"name": whole, "filters": filters, "actions": [{"type": kind, **options}]}
    error = ""
    try:
        policy(data, output).run()
    except PolicyExecutionError:
        error = "!"
    (row,) = json.loads((output / whole / "outcomes.json").read_text())
    return f"{error}{row['status']}", row["reason"]


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, operation: str, number: int, happens: Callable[[], None]
) -> None:
    """``happens`` right before the ``number``-th call of ``operation`` from now on. Its own calls don't count."""
    original, counted, busy = BaseClient._make_api_call, itertools.count(1), list[bool]()  # type: ignore[attr-defined]

    def call(self: Any, name: str, parameters: dict[str, Any]) -> Any:
        if name == operation and not busy and next(counted) == number:
            busy.append(True)
            happens()
            busy.clear()
        return original(self, name, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)


def test_a_quarantine_that_a_release_undoes_meanwhile_says_so(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    released = list[tuple[str, str]]()
    meanwhile(monkeypatch, "UpdateAccessKey", 1, lambda: released.append(one(tmp_path, "release")))
    status, reason = one(tmp_path, "quarantine")
    assert released[0][0] == "released"
    assert status == "!failed"
    assert "it is not in quarantine as it should be" in reason
    assert "iam:PutUserPolicy" in reason


def test_a_release_during_which_a_quarantine_deactivates_says_so(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    assert one(tmp_path, "quarantine", "listen", credentials="keep")[0] == "quarantined"
    began = list[tuple[str, str]]()
    meanwhile(monkeypatch, "DeleteUserPolicy", 1, lambda: began.append(one(tmp_path, "quarantine")))
    status, reason = one(tmp_path, "release")
    assert began[0][0] == "quarantined"
    assert status == "!failed"
    assert "was deactivated by others during this run" in reason


def test_what_changes_while_the_journal_is_written_counts(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, kind: str
) -> None:
    """In a bucket, a line of the journal may take minutes."""
    write_list(org, "exemptions.csv", HEADER + CAROL)
    begin = JournaledCall.begin

    def slow(self: JournaledCall, *given: Any) -> Any:
        if self.subject.name == "bob" and not self.begun:
            write_list(org, "exemptions.csv", HEADER + CAROL + BOB)
            clock.now += 31
        return begin(self, *given)

    monkeypatch.setattr(JournaledCall, "begin", slow)
    rows = run(tmp_path, kind, "exemptions.csv")
    assert statuses(rows) == {"alice": KINDS[kind], "bob": "skipped"}
    assert "exempt by" in rows["bob"]["reason"]
    assert is_whole(iam, "bob")


def test_a_key_that_is_made_during_a_quarantine_is_not_passed_over(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    meanwhile(monkeypatch, "PutUserPolicy", 1, lambda: iam.create_access_key(UserName="alice"))
    status, reason = one(tmp_path, "quarantine")
    assert status == "!failed"
    assert "under its Deny-all: somebody created or activated it during this run: run again" in reason
    assert one(tmp_path, "quarantine")[0] == "quarantined"
    keys = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    assert {each["Status"] for each in keys} == {"Inactive"}


def test_a_second_deletion_leaves_a_half_done_one_in_the_attached_form_alone(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    with monkeypatch.context() as patch:
        deny(patch, "PutUserPolicy")
        deny(patch, "DetachUserPolicy")
        assert one(tmp_path, "composite-delete", "first")[0] == "!failed"
    status, reason = one(tmp_path, "composite-delete", "second")
    assert (status, "a deletion of it began" in reason) == ("!failed", True)
    assert one(tmp_path, "composite-delete", "first")[0] == "deleted"


@pytest.mark.parametrize("ahead", [9, 1])
def test_an_exemption_after_an_announcement_by_a_clock_that_is_ahead_voids_it(
    org: LocalOrg, iam: Any, tmp_path: Path, clock: Clock, kind: str, ahead: int
) -> None:
    announce("notices")
    later = (datetime.now(timezone.utc) + timedelta(minutes=ahead)).strftime("%Y-%m-%dT%H:%M:%SZ")
    change(org, "notices", time=later)
    rules = [{"user": "bob", "reason": "a test", "expires": "2999-12-31"}]
    policy({"filters": [{"type": "unnecessary", "exempt": rules}], "actions": [action("notices")]}).run()
    rows = run(tmp_path / "output", kind, noticed=0, notices="notices")
    assert rows["bob"]["status"] == "skipped"
    assert "it was exempt on" in rows["bob"]["reason"]


def restricted(iam: Any) -> None:
    """alice may do much, but for what her group denies."""
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.put_user_policy(UserName="alice", PolicyName="Own", PolicyDocument=document(everything))
    iam.create_group(GroupName="Restricted")
    secrets = {"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "*"}
    iam.put_group_policy(GroupName="Restricted", PolicyName="No", PolicyDocument=document(secrets))
    iam.add_user_to_group(UserName="alice", GroupName="Restricted")
    iam.create_group(GroupName="Readers")
    iam.add_user_to_group(UserName="alice", GroupName="Readers")


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.mark.parametrize(
    ("lost", "status"), [("Restricted", "!failed"), ("Readers", "released"), ("", "released")]
)
def test_a_quarantine_in_the_attached_form_is_not_lifted_from_who_has_lost_what_denied(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, lost: str, status: str
) -> None:
    """As a deletion with another output leaves it that was stopped: AWSDenyAll has no room for its record."""
    restricted(iam)
    with monkeypatch.context() as patch:
        deny(patch, "PutUserPolicy")
        assert one(tmp_path, "quarantine")[0] == "quarantined"
    if lost:
        iam.remove_user_from_group(UserName="alice", GroupName=lost)
    found, reason = one(tmp_path, "release")
    assert found == status
    held = {
        each["PolicyName"] for each in iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]
    }
    if status == "released":
        assert "AWSDenyAll" not in held
        return
    assert "AWSDenyAll" in held
    assert "it has lost group Restricted, some of which may have denied it something" in reason
    iam.add_user_to_group(UserName="alice", GroupName=lost)
    assert one(tmp_path, "release")[0] == "released"
