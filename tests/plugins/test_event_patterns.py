# SPDX-License-Identifier: Apache-2.0
"""Which events start a function of the policies that ship, by EventBridge's own matching, as moto has it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME
from tests import cloudtrail_events as trail
from tests.cloudtrail_events import event
from tests.event_patterns import CALL, CREDENTIALS, DENY, PATTERNS, QUARANTINE, SIGN_IN, started
from tests.full_users import create_full_user
from tests.plugins.deletions import acting

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
BOB = {"userName": "bob"}


@pytest.mark.parametrize(
    ("who", "ours"),
    [
        *(pytest.param(who, False, id=name) for name, who in trail.STRANGERS.items()),
        *(pytest.param(who, False, id=f"like-ours-{name}") for name, who in trail.NO_RUNNERS.items()),
        pytest.param(trail.RUNNER, True, id="remover"),
        pytest.param(trail.RESTORER, True, id="restorer"),
    ],
)
def test_calls_of_everybody_but_our_roles_start_a_function(who: dict[str, Any], ours: bool) -> None:
    calls = (
        event("CreateUser", who, BOB, {"user": BOB}),
        event("CreateAccessKey", who, None, {"accessKey": BOB}),
        event("DeleteUserPolicy", who, {**BOB, "policyName": DENY_ALL_NAME}),
    )
    found = [started(each) - {CALL} for each in calls]
    assert found == ([set()] * 3 if ours else [{CREDENTIALS, QUARANTINE}, {CREDENTIALS}, {DENY}])


STATUS = (
    "UpdateAccessKey",
    "UpdateServiceSpecificCredential",
    "UpdateSSHPublicKey",
    "UpdateSigningCertificate",
)


@pytest.mark.parametrize(
    ("call", "asked", "wanted"),
    [
        *(pytest.param(each, {**BOB, "status": "Active"}, CREDENTIALS, id=f"{each}-on") for each in STATUS),
        *(pytest.param(each, {**BOB, "status": "Inactive"}, "", id=f"{each}-off") for each in STATUS),
        pytest.param("CreateLoginProfile", BOB, CREDENTIALS, id="password"),
        pytest.param("UpdateLoginProfile", BOB, CREDENTIALS, id="another-password"),
        pytest.param("CreateServiceSpecificCredential", BOB, CREDENTIALS, id="service-credential"),
        pytest.param("ResetServiceSpecificCredential", {}, CREDENTIALS, id="secret"),
        pytest.param("UploadSSHPublicKey", BOB, CREDENTIALS, id="ssh-key"),
        pytest.param("UploadSigningCertificate", None, CREDENTIALS, id="certificate-without-parameters"),
        pytest.param("PutUserPolicy", {**BOB, "policyName": DENY_ALL_NAME}, DENY, id="deny-overwritten"),
        pytest.param("PutUserPolicy", {**BOB, "policyName": "s3"}, "", id="another-policy"),
        pytest.param("DeleteUserPolicy", {**BOB, "policyName": "s3"}, "", id="another-policy-deleted"),
        pytest.param("DetachUserPolicy", {**BOB, "policyArn": DENY_ALL}, DENY, id="deny-detached"),
        pytest.param("DetachUserPolicy", {**BOB, "policyArn": f"{DENY_ALL}2"}, "", id="another-detached"),
        pytest.param("AttachUserPolicy", {**BOB, "policyArn": DENY_ALL}, "", id="deny-attached"),
        pytest.param("PutUserPermissionsBoundary", {**BOB, "permissionsBoundary": "x"}, DENY, id="boundary"),
        pytest.param(
            "PutUserPermissionsBoundary", {**BOB, "permissionsBoundary": DENY_ALL}, "", id="deny-as-boundary"
        ),
        pytest.param("DeleteUserPermissionsBoundary", BOB, DENY, id="boundary-deleted"),
        pytest.param("DeleteAccessKey", BOB, "", id="not-subscribed"),
        pytest.param("ChangePassword", None, "", id="own-password"),
    ],
)
def test_only_what_is_news_starts_a_function(call: str, asked: dict[str, Any] | None, wanted: str) -> None:
    given = event(call, trail.CONSOLE, asked)
    assert started(given) == ({wanted} if wanted else set())
    # nor do a call that failed, one that somebody made up, and one of another service of AWS
    for others in (
        {**given, "source": "mine"},
        {**given, "detail": {**given["detail"], "errorCode": "AccessDenied"}},
        {**given, "detail": {**given["detail"], "eventSource": "identitystore.amazonaws.com"}},
    ):
        assert started(others) == set()


@pytest.mark.parametrize("name", ["git-backdoor", "c7n-iamusers-x", "IamUsersRemover", "BedrockAPIKey-ab12"])
@pytest.mark.parametrize("path", ["/", "/emergency/"])
def test_no_name_or_path_keeps_a_function_from_starting(name: str, path: str) -> None:
    asked, answer = {"userName": name, "path": path}, {"user": {"userName": name, "path": path}}
    assert started(event("CreateUser", trail.CONSOLE, asked, answer)) == {CREDENTIALS, QUARANTINE}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        pytest.param(trail.sign_in(trail.CLI), {SIGN_IN}, id="user"),
        pytest.param(trail.sign_in(trail.CONSOLE), set(), id="role"),
        pytest.param(trail.sign_in(trail.ROOT), {SIGN_IN}, id="root"),
        pytest.param(event("RunInstances", trail.ASSUMED_ROOT, {}), {CALL}, id="assumed-root"),
        pytest.param(event("RunInstances", trail.EMERGENCY, {}), {CALL}, id="break-glass"),
        pytest.param(event("RunInstances", trail.CLI, {}), set(), id="another-user"),
    ],
)
def test_the_alarm_runs_for_those_who_may_be_watched(given: dict[str, Any], wanted: set[str]) -> None:
    assert started(given) == wanted


def _arms(pattern: Any) -> int:
    """Into how many rules EventBridge takes a pattern with ``$or`` apart."""
    found = 1
    for key, value in pattern.items():
        if key == "$or":
            found *= sum(_arms(each) for each in value)
        elif isinstance(value, dict):
            found *= _arms(value)
    return found


def _paths(pattern: Any, place: str = "") -> list[str]:
    """The fields of a pattern that are compared outside of each ``$or``."""
    found = []
    for key, value in pattern.items():
        if isinstance(value, dict):
            found += _paths(value, f"{place}.{key}")
        elif key != "$or":
            found.append(f"{place}.{key}")
    return found


@pytest.mark.parametrize("name", PATTERNS)
def test_eventbridge_takes_the_patterns(name: str) -> None:
    """AWS's matcher refuses a field that is both outside and inside of ``$or``; moto does not."""
    pattern = PATTERNS[name].get_pattern()
    # with the longest names of roles, but without a path
    assert len(json.dumps(pattern)) + 2 * (64 - len("IamUsersRemover")) <= 2_048
    assert 1 <= _arms(pattern) < 1_000
    outside = _paths(pattern)
    inside = [each for place, arms in _ors(pattern) for arm in arms for each in _paths(arm, place)]
    assert outside
    assert not set(outside) & set(inside)


def _ors(pattern: Any, place: str = "") -> list[tuple[str, list[Any]]]:
    found = []
    for key, value in pattern.items():
        if key == "$or":
            found.append((place, value))
        elif isinstance(value, dict):
            found += _ors(value, f"{place}.{key}")
    return found


def event_of(line: dict[str, Any], who: dict[str, Any]) -> dict[str, Any]:
    """The event of a call in a journal. CloudTrail writes names with a small letter at the beginning."""
    asked = {f"{name[0].lower()}{name[1:]}": value for name, value in line["parameters"].items()}
    return event(line["operation"], who, asked, None, line["time"])


def calls_in(output: Path) -> list[dict[str, Any]]:
    """The calls in the journals below ``output``."""
    lines = [
        json.loads(line) for path in output.rglob("journal.jsonl") for line in path.read_text().splitlines()
    ]
    return [line for line in lines if line["phase"] == "before"]


def test_our_own_runs_start_no_function(org: LocalOrg, tmp_path: Path) -> None:
    """Counted from the journals of runs over two users with everything that a user can have."""
    for name in ("alice", "bob"):
        create_full_user(org, name, times=3)
    for action in ("quarantine", "release", "composite-delete"):
        acting(action, tmp_path / action).run()
    calls = calls_in(tmp_path)
    for ours in (trail.RUNNER, trail.RESTORER):
        assert [line for line in calls if started(event_of(line, ours))] == []
    # the same calls by somebody else are news where they give back, or touch our Deny
    by_others = Counter(line["operation"] for line in calls if started(event_of(line, trail.CONSOLE)))
    assert by_others == {
        **{"PutUserPolicy": 4, "DeleteUserPolicy": 4},
        **{"UpdateAccessKey": 4, "UpdateSigningCertificate": 4},
        **{"UpdateSSHPublicKey": 6, "UpdateServiceSpecificCredential": 6},
    }
    quarantine = calls_in(tmp_path / "quarantine")
    patterns = (PATTERNS[name].get_pattern() for name in (CREDENTIALS, DENY))
    subscribed = {name for pattern in patterns for name in pattern["detail"]["eventName"]}
    by_name = [line for line in quarantine if line["operation"] in subscribed]
    # as docs/scale.md has it for a thousand
    text = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
    assert f"makes {500 * len(quarantine):,} calls" in text
    assert f"of which {500 * len(by_name):,} have" in text
