# SPDX-License-Identifier: Apache-2.0
"""Tests of an invented kind of credential through the whole package; test_new_kind.py runs them with the row."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from aws_local_org import LocalOrg
from c7n_iamusers import generated_docs as finding_reference
from c7n_iamusers.evidence.assessment import activity_of, is_unused
from c7n_iamusers.evidence.classification import classify
from c7n_iamusers.evidence.model import Credential
from c7n_iamusers.exceptions import SnapshotInvalid
from c7n_iamusers.generated_docs import attachment_reference
from c7n_iamusers.iam.permissions import DELETION, QUARANTINE, RELEASE, RESTORATION, Needed, role_policy
from c7n_iamusers.plugins.unnecessary_options import FilterText
from c7n_iamusers.snapshots.snapshot import Snapshot, fingerprint, tampering
from c7n_iamusers_cli.main import main
from tests.evidence_records import NOW, aged, days_ago, evidence, key, password, used
from tests.full_users import create_full_user
from tests.new_kind import badges
from tests.plugins.deletions import NAME, acting, delete, journal, outcomes, user_names
from tests.policies import ACCOUNT, policy
from tests.records import EVERYTHING, user
from tests.used_permissions import run_within_permissions

MADE = days_ago(400)
BADGE = Credential("badge", "badge B1", True, MADE, None)


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """alice with everything, and with two badges, one of them inactive."""
    badges.clear()
    client = create_full_user(org, "alice")
    badges["alice"] = [
        {"BadgeId": "B1", "BadgeBody": "one", "Status": "Active", "UploadDate": MADE},
        {"BadgeId": "B2", "BadgeBody": "two", "Status": "Inactive", "UploadDate": MADE},
    ]
    return client


def held() -> list[tuple[str, str]]:
    """Body and status of alice's badges."""
    return sorted((badge["BadgeBody"], badge["Status"]) for badge in badges["alice"])


def test_evidence_lists_it_where_it_decides(org: LocalOrg, tmp_path: Path) -> None:
    badges.clear()
    client = org.client("iam", ACCOUNT)
    for name in ("badged", "bare", "keyed", "mixed"):
        client.create_user(UserName=name)
    client.create_access_key(UserName="keyed")
    client.create_login_profile(UserName="mixed", Password="correct-Horse-7-battery")
    for name in ("badged", "mixed"):
        badges[name] = [{"BadgeId": "B1", "BadgeBody": "one", "Status": "Active", "UploadDate": MADE}]
    filters = [{"type": "unnecessary", "exempt": "none", "kinds": ["human", "machine", "no-credentials"]}]
    flagged = run_within_permissions(policy({"filters": filters}, tmp_path))
    found = {each["UserName"]: each["c7n:IamUser"] for each in flagged}
    assert {name: each["kind"] for name, each in found.items()} == {
        "badged": "machine",
        "bare": "no-credentials",
        "keyed": "machine",
    }
    assert [found[name]["attachments"]["badge"] for name in ("badged", "bare", "keyed")] == [1, 0, 0]
    assert found["badged"]["sources"]["badges"]["source"] == "ListBadges"
    assert found["badged"]["replacement"] == ["signed-requests", "exempt"]


def test_evidence_counts_it_in_full(iam: Any, tmp_path: Path) -> None:
    filters = [{"type": "unnecessary", "exempt": "none", "attachments": "full"}]
    (alice,) = run_within_permissions(policy({"filters": filters}, tmp_path))
    assert alice["c7n:IamUser"]["attachments"]["badge"] == 2
    assert alice["c7n:IamUser"]["unread"] == []


def test_who_has_one_or_may_have_one_never_counts_as_unused() -> None:
    alice = aged(user())
    idle = [key(used(100))]
    assert is_unused(activity_of(alice, evidence(*idle)), 90, NOW)
    with_one = activity_of(alice, evidence(*idle, BADGE))
    assert with_one.unknown == ("badge B1: last use unknown",)
    unread = activity_of(alice, evidence(*idle, unread=("badge",)))
    assert unread.unknown == ("badge: not read",)
    assert not is_unused(with_one, 90, NOW)
    assert not is_unused(unread, 90, NOW)


@pytest.mark.parametrize("held", [[], [key()], [password()]], ids=["nothing", "a-key", "a-password"])
def test_without_its_list_nobody_is_of_a_known_kind(held: list[Credential]) -> None:
    verdict = classify(user(), evidence(*held, unread=("badge",)))
    assert (verdict.kind, verdict.missing_kind) == ("unknown", "badge")
    assert "badges" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("held", "kind"),
    [
        pytest.param([], "no-credentials", id="nothing"),
        pytest.param([BADGE], "machine", id="a-badge"),
        pytest.param([BADGE, password()], "mixed", id="a-password-too"),
    ],
)
def test_it_counts_as_a_programs(held: list[Credential], kind: str) -> None:
    assert classify(user(), evidence(*held)).kind == kind


def test_a_new_finding_is_found_selected_and_in_the_reference(org: LocalOrg, tmp_path: Path) -> None:
    for name in ("root", "alice"):
        org.client("iam", ACCOUNT).create_user(UserName=name)
    filters = [{"type": "unnecessary", "exempt": "none", "findings": ["named-root"]}]
    (flagged,) = run_within_permissions(policy({"filters": filters}, tmp_path))
    assert flagged["UserName"] == "root"
    found = {each["id"]: each for each in flagged["c7n:IamUser"]["findings"]}["named-root"]
    assert found == {"id": "named-root", "severity": "high", "text": "Looks like the root user."}
    assert (
        "| `named-root` | high | Its name is root. | nothing | this test |"
        in finding_reference.finding_reference()
    )
    assert "`named-root` is invented." in finding_reference.finding_reference()


def test_quarantine_switches_it_off_and_release_on_again(iam: Any, tmp_path: Path) -> None:
    run_within_permissions(acting({"type": "quarantine", "reason": "unused"}, tmp_path))
    assert held() == [("one", "Inactive"), ("two", "Inactive")]
    run_within_permissions(policy({"name": "freeing", "actions": ["release"]}, tmp_path))
    assert held() == [("one", "Active"), ("two", "Inactive")]


def test_a_deletion_takes_it_after_the_deny_and_a_restoration_brings_it_back(
    iam: Any, tmp_path: Path
) -> None:
    before, output = held(), tmp_path / "out"
    planned = delete(tmp_path / "planned", **{"plan-only": True})
    assert planned[0]["c7n:IamUser"]["outcome"]["status"] == "planned"
    delete(output, plan=str(tmp_path / "planned" / NAME / "deletion-plan.json"))
    assert outcomes(output)["alice"]["status"] == "deleted"
    assert not user_names(iam)
    assert not badges["alice"]
    calls = [line["operation"] for line in journal(output) if line["phase"] == "before"]
    assert calls.count("DeleteBadge") == 2
    assert calls.index("PutUserPolicy") < calls.index("DeleteBadge") < calls.index("DetachUserPolicy")
    role = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
    result = CliRunner().invoke(main, ["restore", str(output / NAME), "--role", role])
    assert result.exit_code == 0, result.output
    assert user_names(iam) == ["alice"]
    assert held() == before


@pytest.mark.parametrize(
    ("declared", "operations"),
    [
        (DELETION, {"ListBadges", "DeleteBadge"}),
        (QUARANTINE, {"ListBadges", "UpdateBadge"}),
        (RELEASE, {"ListBadges", "UpdateBadge"}),
        (RESTORATION, {"ListBadges", "UploadBadge", "UpdateBadge"}),
    ],
    ids=["deletion", "quarantine", "release", "restoration"],
)
def test_permissions_are_declared_and_bound_to_users(declared: tuple[str, ...], operations: set[str]) -> None:
    ours = {name for name in declared if name.endswith(("Badge", "Badges"))}
    assert ours == {f"iam:{name}" for name in operations}
    statements = role_policy(Needed(frozenset(declared)), ACCOUNT)["Statement"]
    (bound,) = [each for each in statements if ours & set(each["Action"])]
    assert bound["Resource"] == f"arn:aws:iam::{ACCOUNT}:user/*"
    assert ours <= set(bound["Action"])


def test_flagging_declares_its_list() -> None:
    manager = SimpleNamespace(data={"name": "under-test"})
    assert "iam:ListBadges" in FilterText({}, manager).permissions()


def test_the_reference_has_its_line() -> None:
    (line,) = [line for line in attachment_reference().splitlines() if line.startswith("| badge |")]
    assert all(f"`{name}`" in line for name in ("ListBadges", "UpdateBadge", "DeleteBadge", "UploadBadge"))


def test_a_snapshot_of_before_the_row_is_still_good() -> None:
    alice = user(**EVERYTHING)
    taken = Snapshot(alice, NOW, fingerprint(alice))
    of_before = json.loads(taken.as_json())
    assert of_before["attachments"].pop("badge") == []
    found = Snapshot.from_json(json.dumps(of_before))
    assert found.user.attachments["badge"] == ()
    assert tampering(found) is None
    of_before["attachments"].pop("access-key")
    with pytest.raises(SnapshotInvalid, match="access-key"):
        Snapshot.from_json(json.dumps(of_before))


def test_a_badge_is_part_of_what_a_user_is() -> None:
    badge = {"BadgeId": "B1", "Status": "Active"}
    assert fingerprint(user(badge=(badge,))) != fingerprint(user())
    assert fingerprint(user(badge=(badge,))) != fingerprint(user(badge=({**badge, "Status": "Inactive"},)))
