# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from c7n_iamusers.cycle.command_lines import INTENTS, MOVED
from c7n_iamusers.cycle.steps import PROVISION, STEPS
from c7n_iamusers.execution.output_layout import DIRECTORIES, Layout

KNOWN = {"payments": "111122223333", "sandbox": "444455556666"}
CAROL = "arn:aws:iam::111122223333:user/carol"

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("place", "account", "fault"),
    [
        pytest.param("payments/us-east-1/delete", "111122223333", "", id="c7n-org"),
        pytest.param("flag/payments/us-east-1/delete", "111122223333", "", id="a-directory-of-a-run-above"),
        pytest.param("payments/us-east-1/delete/2026/11/30/10", "111122223333", "", id="in-a-bucket"),
        pytest.param("111122223333/delete", "111122223333", "", id="by-id"),
        pytest.param("sandbox/delete", "444455556666", "", id="a-name-without-a-region"),
        pytest.param("sandbox/x/y/delete", "444455556666", "", id="deeper"),
        pytest.param("delete", "", "", id="nobody-s"),
        pytest.param("run/sandbox", "444455556666", "", id="the-directory-itself"),
        pytest.param(
            "removal/sandbox/2026/12/02/20", "444455556666", "", id="the-directory-itself-in-a-bucket"
        ),
        # what lies in an account's directory is its own, whatever it is called
        pytest.param("sandbox/payments/us-east-1/delete", "444455556666", "", id="two-names"),
        pytest.param("sandbox/111122223333/delete", "444455556666", "", id="a-name-and-an-id"),
        pytest.param("sandbox/us-east-1/111122223333/x", "444455556666", "", id="an-id-below-its-region"),
        pytest.param("444455556666/payments/us-east-1/x", "444455556666", "", id="a-name-below-an-id"),
    ],
)
def test_whose_a_directory_is(place: str, account: str, fault: str) -> None:
    owner = Layout.of(place.split("/"), KNOWN).owner(KNOWN, "")
    assert (owner.account, owner.fault) == (account, fault)
    assert owner.only == bool(account)


def test_a_run_s_own_metadata_of_another_account_is_a_fault_of_the_directory_s_account() -> None:
    owner = Layout.of(("sandbox", "us-east-1", "delete"), KNOWN).owner(KNOWN, "111122223333")
    assert owner.account == "444455556666"
    assert "of account 111122223333 by metadata.json" in owner.fault


@pytest.mark.parametrize(
    "arn",
    [
        CAROL,
        f" {CAROL}",
        CAROL.replace("arn:", "ARN:"),
        CAROL.replace("arn:", "x:"),
        "::::111122223333:user/carol",
        "",
    ],
)
def test_an_account_s_own_directory_is_believed_of_its_own_users_alone(arn: str) -> None:
    owner = Layout.of(("sandbox", "us-east-1", "delete"), KNOWN).owner(KNOWN, "")
    assert owner.is_of_another(arn)
    assert not owner.is_of_another("arn:aws:iam::444455556666:user/carol")


@pytest.mark.parametrize(
    ("above", "accounts"),
    [
        pytest.param(("/", "sandbox", "output"), set(), id="anything-may-be-called-so-further-up"),
        pytest.param(
            ("/", "444455556666", "iam-users-realtime-deny"), {"444455556666"}, id="an-id-that-is-known"
        ),
        pytest.param(("/", "999988887777", "output"), set(), id="an-id-that-is-not"),
        pytest.param(("/", "sandbox", "us-east-1"), {"444455556666"}, id="a-name-above-a-region"),
    ],
)
def test_what_is_above_the_given_place_counts_where_it_is_sure(
    above: tuple[str, ...], accounts: set[str]
) -> None:
    owner = Layout.of(("x", "park"), KNOWN, above).owner(KNOWN, "")
    assert {owner.account} - {""} == accounts


def test_deep_directories_are_judged_in_linear_time() -> None:
    # by the square of the depth this takes hours
    assert Layout.of(("x",) * 200_000, KNOWN).of_account == ""


def test_no_account_may_be_named_like_a_directory_of_the_cycle() -> None:
    places = {each.place.partition("/")[0] for each in STEPS if each.place}
    assert places | {INTENTS, MOVED, PROVISION} <= DIRECTORIES
