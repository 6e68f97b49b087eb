# SPDX-License-Identifier: Apache-2.0
"""What callers of keys say of a user: its kind, and what can replace it."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.evidence.classification import classify
from c7n_iamusers.evidence.model import Hint, KeyEvidence, UsedKey
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.key_usage.callers import OUTSIDE, OWN, SERVICE, UNKNOWN, Caller, Places, callers_of
from c7n_iamusers.key_usage.model import CallGroup, KeyUsage
from tests.evidence_records import NOW, days_ago, evidence, key, password, used
from tests.records import user

pytestmark = pytest.mark.pure

CLI = "aws-cli/2.31.0 md/awscrt#0.27.6 ua/2.1 os/linux"
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0"
GITHUB = "aws-sdk-nodejs/2.1692.0 linux/v20.18.0 configure-aws-credentials-for-github-actions promise"
LAMBDA = "Boto3/1.34.0 md/Botocore#1.34.0 exec-env/AWS_Lambda_python3.12"
#: An address of the account's own, of a service, of neither, and one that says nothing.
OURS, SERVICES, ELSEWHERE, NOWHERE = "203.0.113.9", "cloudformation.amazonaws.com", "8.8.8.8", ""
NEUTRAL, JANE, BOT = user("omega"), user("jane.doe@example.com"), user("ci-bot")


def group(agent: str, address: str, calls: int = 3, denied: int = 0) -> CallGroup:
    return CallGroup("ec2", "DescribeInstances", "eu-west-1", address, agent, calls, denied, days_ago(9), NOW)


def used_key(*groups: CallGroup, active: bool = True) -> UsedKey:
    usage = KeyUsage("AKIA1", groups, "a source", NOW)
    known = KeyEvidence("AKIA1", active, days_ago(400), used(1))
    return UsedKey(known, (usage,), callers_of(usage, Places({OURS: "i-1"})))


def by(subject: IamUser, *keys: UsedKey, credentials: Any = (), hints: Any = (), **more: Any) -> Any:
    return classify(subject, evidence(*(credentials or (key(used(1)),)), usage=keys, **more), hints)


def test_the_places_of_these_tests() -> None:
    places = {each.address: each.place for each in _callers(OURS, SERVICES, ELSEWHERE, NOWHERE)}
    assert places == {OURS: OWN, SERVICES: SERVICE, ELSEWHERE: OUTSIDE, NOWHERE: UNKNOWN}


def _callers(*addresses: str) -> tuple[Caller, ...]:
    return used_key(*(group(CLI, each) for each in addresses)).callers


@pytest.mark.parametrize(
    ("subject", "groups", "kind"),
    [
        pytest.param(NEUTRAL, [group(BROWSER, ELSEWHERE)], "human", id="browser"),
        pytest.param(BOT, [group(BROWSER, ELSEWHERE)], "human", id="browser-outranks-the-name"),
        pytest.param(JANE, [group(LAMBDA, ELSEWHERE)], "machine", id="lambda-outranks-the-name"),
        pytest.param(JANE, [group(GITHUB, ELSEWHERE)], "machine", id="github"),
        pytest.param(JANE, [group(CLI, OURS)], "machine", id="own-address"),
        pytest.param(NEUTRAL, [group(BROWSER, ELSEWHERE), group(LAMBDA, OURS)], "mixed", id="both"),
        pytest.param(JANE, [group(CLI, ELSEWHERE)], "human", id="outside-says-nothing"),
        pytest.param(JANE, [group(LAMBDA, OURS), group(CLI, ELSEWHERE)], "human", id="partly-outside"),
        pytest.param(JANE, [group("", NOWHERE)], "human", id="unknown-says-nothing"),
        pytest.param(JANE, [group(LAMBDA, OURS, 4, 4)], "human", id="attempts-say-nothing"),
        pytest.param(JANE, [], "human", id="none"),
    ],
)
def test_kinds(subject: IamUser, groups: list[CallGroup], kind: str) -> None:
    assert by(subject, used_key(*groups)).kind == kind


@pytest.mark.parametrize(
    ("subject", "agent", "kind", "selected"),
    [
        pytest.param(BOT, BROWSER, "human", "machine", id="a-program-by-its-name"),
        pytest.param(JANE, GITHUB, "machine", "human", id="a-person-by-its-name"),
        pytest.param(BOT, GITHUB, "machine", "", id="the-same"),
    ],
)
def test_the_kind_by_which_policies_select_is_that_without_callers(
    subject: IamUser, agent: str, kind: str, selected: str
) -> None:
    found = by(subject, used_key(group(agent, ELSEWHERE)))
    assert (found.kind, found.selected_as) == (kind, selected)


def test_the_users_own_hints_decide() -> None:
    hints = (Hint("machine", "user", "omega"),)
    assert by(NEUTRAL, used_key(group(BROWSER, ELSEWHERE)), hints=hints).kind == "machine"


def test_a_password_decides_as_without_calls() -> None:
    held = (password(used(1)), key(used(1)))
    assert by(NEUTRAL, used_key(group(LAMBDA, OURS)), credentials=held).kind == "mixed"


def test_callers_decide_where_mfa_is_unknown() -> None:
    assert by(NEUTRAL, used_key(), mfa=None).kind == "unknown"
    assert by(NEUTRAL, used_key(group(LAMBDA, OURS)), mfa=None).kind == "machine"


def test_an_inactive_key_counts_only_if_no_other_is_active() -> None:
    parked = used_key(group(BROWSER, ELSEWHERE), active=False)
    assert by(NEUTRAL, used_key(group(LAMBDA, OURS)), parked).kind == "machine"
    assert by(NEUTRAL, parked).kind == "human"


@pytest.mark.parametrize(
    ("subject", "groups", "fitting"),
    [
        pytest.param(
            NEUTRAL, [group(GITHUB, ELSEWHERE)], ("oidc-role", "role", "roles-anywhere"), id="github"
        ),
        pytest.param(NEUTRAL, [group(CLI, OURS)], ("role", "roles-anywhere"), id="own"),
        pytest.param(NEUTRAL, [group(CLI, SERVICES)], ("role", "roles-anywhere"), id="service"),
        pytest.param(NEUTRAL, [group(CLI, ELSEWHERE)], ("roles-anywhere", "role"), id="outside"),
        pytest.param(
            NEUTRAL,
            [group(CLI, ELSEWHERE, 1), group(LAMBDA, OURS, 9)],
            ("role", "roles-anywhere"),
            id="most-calls-first",
        ),
        pytest.param(BOT, [group(CLI, ELSEWHERE)], ("roles-anywhere", "oidc-role", "role"), id="ci-outside"),
        pytest.param(BOT, [group("", NOWHERE)], ("oidc-role", "role"), id="unknown"),
        pytest.param(user("x", path="/vendors/"), [group(CLI, OURS)], ("cross-account-role",), id="vendor"),
        pytest.param(NEUTRAL, [group(BROWSER, ELSEWHERE)], ("identity-center",), id="person"),
    ],
)
def test_replacements(subject: IamUser, groups: list[CallGroup], fitting: tuple[str, ...]) -> None:
    assert by(subject, used_key(*groups)).replacement == fitting
