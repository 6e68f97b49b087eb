# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.reasons import ACTIVE
from c7n_iamusers.report.accounts import Expected
from c7n_iamusers.report.csv_columns import render_csv
from c7n_iamusers.report.embedding import unpacked_details
from c7n_iamusers.report.fleet import fleet_of
from c7n_iamusers.report.output_reader import read_outputs
from c7n_iamusers.report.rendering import render_html, render_json
from tests.report.fleet_outputs import DELETE, NOW, Outputs, at, finding, outcome, resource, seen, seen_user

HOSTILE = "</script><script>alert(1)</script><!--&\u2028\u202e"
VOID = {"meta", "input", "link", "br", "hr", "img"}


class Page(HTMLParser):
    """The elements of a page; fails for one that is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.shown: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):  # type: ignore[union-attr]
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        tag = self.open[-1] if self.open else ""
        self.texts.setdefault(tag, []).append(data)
        if tag not in ("script", "style"):
            self.shown.append(data)

    @property
    def embedded(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.texts["script"][0])
        return found

    @property
    def words(self) -> str:
        """What a reader sees."""
        return " ".join("".join(self.shown).split())


@pytest.fixture
def left(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


def data(left: Outputs, *expected: Expected) -> dict[str, Any]:
    fleet = fleet_of(read_outputs(DirectoryStore(left.root)), expected, NOW)
    asked = {"generated": at(0), "outputs": ["output"], "expected": bool(expected)}
    return {**asked, **fleet.as_data()}


def page(left: Outputs, *expected: Expected) -> Page:
    return Page(text_of(render_html(data(left, *expected))))


def text_of(pieces: Iterable[bytes]) -> str:
    return b"".join(pieces).decode()


def test_the_page_needs_nothing_else_and_lets_nothing_else_run(left: Outputs) -> None:
    left.leave("alice")
    found = page(left)
    references = [attributes.get("src") or attributes.get("href") for _, attributes in found.tags]
    assert all(each.startswith("#") for each in references if each)
    (policy,) = (each["content"] for _, each in found.tags if each.get("http-equiv"))
    assert policy
    assert "default-src 'none'" in policy
    for text in (found.texts["script"][1], found.texts["style"][0]):
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert not [
        attributes for _, attributes in found.tags if "style" in attributes or "onclick" in attributes
    ]


def test_no_name_or_reason_can_break_out(left: Outputs) -> None:
    row = outcome("alice", "failed", HOSTILE)
    hostile = resource("alice", reasons=[HOSTILE], findings=[{**finding(), "text": HOSTILE}])
    left.leave(hostile, policy=DELETE, outcomes=[row])
    hostile_owner = Expected("111122223333", "payments", HOSTILE, HOSTILE)
    text = text_of(render_html(data(left, Expected("999999999999", HOSTILE), hostile_owner)))
    assert text.count("<script") == 2
    assert "\u202e" not in text
    found = Page(text)
    assert HOSTILE.replace("\u2028", "\\u2028").replace("\u202e", "\\u202e") in found.embedded["values"]
    assert [each for each in found.texts["span"] if "alert(1)" in each]


def test_every_user_is_embedded_with_evidence_and_outcomes(left: Outputs) -> None:
    source = {"account": {"source": "ListUsers", "time": at(0)}}
    alice = resource(
        "alice",
        reasons=["password: active"],
        sources=source,
        credentials=[
            {"kind": "login-profile", "title": "password", "active": True, "created": at(9), "used": False}
        ],
        trusted_by=["arn:aws:iam::1:role/x"],
        named_by=[
            {"service": "s3", "resource": "arn:aws:s3:::b", "region": "", "where": "Principal of statement 1"}
        ],
        usage=[{"id": "AKIA1", "result": "calls", "text": "At 8.8.8.8, boto3", "callers": [], "sources": []}],
        priority={"number": 1, "of": 3, "text": "AKIA1: active, 400 days old"},
        attachments={"group": 2, "tag": 0},
    )
    alice["c7n:IamUser"]["identity-center"] = {"state": "provisioned", "reason": ""}
    left.leave(alice, "bob", policy=DELETE, outcomes=[outcome("alice", "skipped", "active within 14 days")])
    found = page(left).embedded
    values = found["values"]
    first, (detail, _) = found["users"][0], unpacked_details(found["details"][0])
    assert [row[1] for row in found["users"]] == ["alice", "bob"]
    assert found["accounts"][first[0]] == ["111122223333", "payments"]
    assert values[first[2]] + first[1] == alice["Arn"]
    assert [values[number] for number in first[4]][:7] == [
        "human",
        "medium",
        "skipped",
        DELETE,
        "",
        "not known",
        "up to 90 days",
    ]
    assert values[first[5]] == "active within 14 days"
    assert [values[number] for number in first[7]] == ["iam-user"]
    assert detail["reasons"] == ["password: active"]
    assert detail["findings"] == [["iam-user", "medium", "Text of iam-user."]]
    assert detail["credentials"] == [["password", True, at(9)[:10], "never"]]
    assert detail["held"] == {"group": 2}
    assert detail["trusted"] == ["arn:aws:iam::1:role/x"]
    assert detail["breaks"] == ["arn:aws:s3:::b (Principal of statement 1)"]
    assert detail["calls"] == ["AKIA1: At 8.8.8.8, boto3"]
    assert detail["first"] == "Priority 1 of 3: AKIA1: active, 400 days old"
    assert detail["sources"] == [["account", "ListUsers", at(0)[:16], ""]]
    assert detail["center"] == {"state": "provisioned", "reason": ""}
    assert [each[1:4] for each in detail["outcomes"]] == [[DELETE, "skipped", "active within 14 days"]]


def test_failures_and_missing_accounts_stand_before_everything_else(left: Outputs) -> None:
    left.leave("alice", policy=DELETE, outcomes=[outcome("alice", "failed", "iam:DeleteUser was denied")])
    words = page(left, Expected("111122223333", "payments"), Expected("999999999999", "absent")).words
    order = [
        "2 things block the next step",
        "absent",
        "never ran",
        "iam:DeleteUser was denied",
        "Still there",
        "How many go when",
    ]
    places = [words.index(each) for each in order]
    assert places == sorted(places)
    assert "its users are not known" in words
    assert "Nothing failed" not in words


def test_who_is_in_the_way_is_read_without_javascript_and_leads_to_the_users(left: Outputs) -> None:
    left.leave(
        "alice", "bob", policy=DELETE, outcomes=[outcome("alice", "skipped", ACTIVE(days=30, use="-"))]
    )
    found = page(left, Expected("111122223333", "payments", "pay&co@example.com", "/workloads/prod"))
    order = [
        "Still there",
        "How many go when",
        "Who is in the way",
        "pay&co@example.com",
        "What changed since",
    ]
    places = [found.words.index(each) for each in (*order, "Accounts by risk", "Filter", "Runs")]
    assert places == sorted(places)
    links = {attributes.get("href") for _, attributes in found.tags}
    owner, unit = "owner=pay%26co%40example.com", "ou=/workloads/prod"
    assert {
        f"#{owner}",
        f"#{owner}&blocked=in%20use",
        f"#{owner}&blocked=not%20announced",
        f"#{unit}",
    } <= links
    values, (alice, bob) = found.embedded["values"], found.embedded["users"]
    assert [values[number] for number in alice[4]][7:] == [
        *("pay&co@example.com", "/workloads/prod"),
        *("", "", "in use", "", False),
    ]
    assert [values[number] for number in bob[4]][11] == "not announced"


def test_the_page_of_an_owner_speaks_to_the_owner(left: Outputs) -> None:
    left.leave("alice", policy=DELETE, outcomes=[outcome("alice", "failed", "iam:DeleteUser was denied")])
    found = Page(text_of(render_html({**data(left), "owner": "<b>@example.com"})))
    assert "IAM users of <b>@example.com" in found.words
    assert not [
        each for each in ("block the next step", "from output", "Name all accounts") if each in found.words
    ]


def test_where_nothing_failed_it_says_so_and_what_it_can_not_know(left: Outputs) -> None:
    left.leave("alice")
    words = page(left).words
    assert "Nothing failed" in words
    assert "Name all accounts with -c accounts.yml" in words
    assert "Name all accounts" not in page(left, Expected("111122223333", "payments")).words


@pytest.mark.parametrize(
    ("annotation", "activity", "age"),
    [
        pytest.param({}, "not known", "not known", id="nothing-read"),
        pytest.param({"last_activity": {"time": None, "unknown": []}}, "never", "not known", id="never"),
        pytest.param(
            {"last_activity": {"time": None, "unknown": ["keys"]}}, "not known", "not known", id="unsure"
        ),
        pytest.param({"last_activity": {"time": at(14)}}, "within 14 days", "not known", id="lately"),
        pytest.param({"last_activity": {"time": at(15)}}, "within 90 days", "not known", id="this-quarter"),
        pytest.param({"last_activity": {"time": at(366)}}, "over a year ago", "not known", id="long-ago"),
        pytest.param(
            {"credentials": [{"active": True, "created": at(91)}]},
            "not known",
            "up to a year",
            id="key-of-this-year",
        ),
        pytest.param(
            {"credentials": [{"active": True, "created": at(3000)}]},
            "not known",
            "over 5 years",
            id="old-key",
        ),
        pytest.param(
            {"credentials": [{"active": False, "created": at(9)}]}, "not known", "none active", id="off"
        ),
        pytest.param(
            {"credentials": [], "unread": ["ssh-public-key"]}, "not known", "not known", id="unread"
        ),
        pytest.param({"credentials": [], "unread": []}, "not known", "none active", id="none"),
    ],
)
def test_ages(left: Outputs, annotation: dict[str, Any], activity: str, age: str) -> None:
    left.leave(resource("alice", **annotation))
    found = page(left).embedded
    assert [found["values"][number] for number in found["users"][0][4][5:7]] == [activity, age]


def test_exemptions_that_match_nobody_or_end_are_marked(left: Outputs) -> None:
    left.leave("alice", seen=seen(seen_user("alice")))
    words = page(left).words
    assert "matches nobody" in words
    assert "2999-06-30" in words


def test_json_holds_everything_in_ascii(left: Outputs) -> None:
    left.leave(resource("alice", reasons=[HOSTILE]))
    text = text_of(render_json(data(left)))
    assert text.isascii()
    found = data(left)
    assert json.loads(text) == {**found, **{each: list(found[each]) for each in ("users", "keys")}}


def test_csv_has_a_line_a_user_and_for_each_account_without_and_no_formulas(left: Outputs) -> None:
    left.leave(resource("=cmd", findings=[finding("a", "low"), finding("a", "low"), finding("b", "high")]))
    left.leave(name="torn", account="555555555555", files={"resources.json": "["})
    rows = list(csv.DictReader(io.StringIO(text_of(render_csv(data(left))))))
    assert [(row["account"], row["user"], row["account_state"]) for row in rows] == [
        ("555555555555", "", "unreadable"),
        ("111122223333", "'=cmd", "ran"),
    ]
    assert (rows[1]["findings"], rows[1]["severity"], rows[1]["status"]) == ("a b", "high", "flagged")


@pytest.mark.parametrize("accounts", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_ten_thousand_users_stay_one_page_of_less_than_5_mb(left: Outputs, accounts: int) -> None:
    """500 bytes for each user, as well for a tenth of them."""
    texts = ["is an IAM user", "has no MFA device", "has a policy of its own", "signs in by password only"]
    for number in range(accounts):
        users = [
            resource(
                f"user-{number}-{each}",
                account=f"{number:012}",
                reasons=[*texts, f"access key 1: active, last used 2026-11-21 (s3 in eu-west-{number % 7})"],
                findings=[
                    {**finding(f"f{id_}"), "text": f"Access key 1 is {each * 10} days old."}
                    for id_ in range(4)
                ],
                last_activity={
                    "time": at(each),
                    "by": "access key 1",
                    "unknown": ["SSH public key: not read"],
                },
                credentials=[
                    {
                        "kind": "k",
                        "title": f"key {key}",
                        "active": True,
                        "created": at(each),
                        "used": at(each / 2),
                    }
                    for key in range(2)
                ],
                sources={name: {"source": "ListUsers", "time": at(0)} for name in ("a", "b", "c", "d")},
            )
            for each in range(50)
        ]
        rows = [
            {**outcome(user["UserName"], "skipped", "active within 14 days"), "arn": user["Arn"]}
            for user in users
        ]
        left.leave(*users, name=f"account-{number}", account=f"{number:012}", policy=DELETE, outcomes=rows)
    text = text_of(render_html(data(left)))
    assert len(text.encode()) < accounts * 25_000
    assert len(Page(text).embedded["users"]) == accounts * 50
