# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from aws_local_org.errors import LocalOrgError
from aws_local_org.loading.entries import AccountRewriter, Notes, document_account

SOURCE, TARGET = "210987654321", "111122223333"


def page(**arns: str) -> dict[str, Any]:
    return {key: [{"Arn": arn}] for key, arn in arns.items()}


@pytest.mark.parametrize(
    ("pages", "account"),
    [
        pytest.param([page(UserDetailList=f"arn:aws:iam::{SOURCE}:user/a")], SOURCE, id="users"),
        pytest.param(
            [page(UserDetailList=f"arn:aws-cn:iam::{SOURCE}:user/p/a")], SOURCE, id="other partition"
        ),
        pytest.param(
            [page(UserDetailList="arn:aws:iam::aws:user/a", RoleDetailList=f"arn:aws:iam::{SOURCE}:role/r")],
            SOURCE,
            id="roles where users have no account",
        ),
        pytest.param([page(Policies="arn:aws:iam::aws:policy/ReadOnlyAccess")], None, id="AWS-managed only"),
        pytest.param([{"UserDetailList": [{"UserName": "a"}, "b", None]}], None, id="no ARN"),
        pytest.param(
            [{"UserDetailList": {"Arn": f"arn:aws:iam::{SOURCE}:user/a"}}], SOURCE, id="a single user"
        ),
    ],
)
def test_the_account_is_told_by_arns(pages: list[dict[str, Any]], account: str | None) -> None:
    assert document_account(pages) == account


def test_pages_of_two_accounts_are_refused() -> None:
    pages = [page(UserDetailList=f"arn:aws:iam::{account}:user/a") for account in (SOURCE, TARGET)]
    with pytest.raises(LocalOrgError, match=f"several accounts \\({TARGET}, {SOURCE}\\)"):
        document_account(pages)


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        pytest.param(
            f'"arn:aws:iam::{SOURCE}:role/deploy"', f'"arn:aws:iam::{TARGET}:role/deploy"', id="IAM ARN"
        ),
        pytest.param(
            f'"arn:aws:sqs:eu-west-1:{SOURCE}:q"', f'"arn:aws:sqs:eu-west-1:{TARGET}:q"', id="ARN of a region"
        ),
        pytest.param(f'{{"AWS": "{SOURCE}"}}', f'{{"AWS": "{TARGET}"}}', id="account as principal"),
        pytest.param(
            '"arn:aws:s3:::logs-210987654321"', '"arn:aws:s3:::logs-210987654321"', id="bucket name"
        ),
        pytest.param(
            '"arn:aws:iam::aws:policy/Billing"', '"arn:aws:iam::aws:policy/Billing"', id="AWS-managed"
        ),
        pytest.param(
            '"arn:aws:iam::999999999999:root"', '"arn:aws:iam::999999999999:root"', id="another account"
        ),
        pytest.param(
            "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::*:user/${aws:username}", id="any account"
        ),
    ],
)
def test_only_what_names_the_account_is_moved(text: str, moved: str) -> None:
    assert AccountRewriter(SOURCE, TARGET).document(text) == moved


@pytest.mark.parametrize("source", [None, TARGET])
def test_nothing_is_moved_without_another_account(source: str | None) -> None:
    text = f'"arn:aws:iam::{SOURCE}:root"'
    assert AccountRewriter(source, TARGET).document(text) == text


@pytest.mark.parametrize(
    ("arn", "moved"),
    [
        (f"arn:aws:iam::{SOURCE}:policy/team/P", f"arn:aws:iam::{TARGET}:policy/team/P"),
        ("arn:aws:iam::aws:policy/job-function/Billing", "arn:aws:iam::aws:policy/job-function/Billing"),
        ("arn:aws-us-gov:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
        ("arn:aws:iam::999999999999:policy/P", f"arn:aws:iam::{TARGET}:policy/P"),
    ],
)
def test_policy_arns(arn: str, moved: str) -> None:
    assert AccountRewriter(SOURCE, TARGET).policy_arn(arn) == moved


def test_a_matter_is_one_line_with_all_it_concerns() -> None:
    notes = Notes()
    notes.add("no date", "ana")
    notes.add("truncated")
    notes.add("no date", "bo")
    notes.add("no date", "ana")
    assert notes.lines() == ["no date: ana, bo", "truncated"]


def test_long_lists_are_cut_and_counted() -> None:
    notes = Notes()
    for number in range(23):
        notes.add("no date", f"user{number}")
    (line,) = notes.lines()
    assert line.endswith("user19 and 3 more")
