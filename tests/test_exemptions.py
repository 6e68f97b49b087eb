# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from c7n_iamusers import exemptions
from c7n_iamusers.exceptions import EvidenceUnreadable, InvalidPolicyData
from c7n_iamusers.exemptions import (
    ExemptionRule,
    digest_of,
    doubts,
    find_exemption,
    in_account,
    parse_list,
    parse_rules,
    usage_lines,
)
from c7n_iamusers.iam.user_fields import matches
from tests.records import groups, user

pytestmark = pytest.mark.pure

ACCOUNT = "111122223333"
TODAY = date(2026, 11, 24)
ALICE = user(
    "alice", path="/eng/", tags={"Team": "payments", "Cost:Center": "a=b"}, group=groups("Developers")
)


def rule(field: str, pattern: str, expires: date = date(2027, 1, 1)) -> ExemptionRule:
    return ExemptionRule(field, pattern, "because", expires)


@pytest.mark.parametrize(
    ("field", "pattern", "protected"),
    [
        pytest.param("user", "alice", True, id="name"),
        pytest.param("user", "al*", True, id="name-glob"),
        pytest.param("user", "[a-c]lice", True, id="name-class"),
        pytest.param("user", "Alice", False, id="name-is-case-sensitive"),
        pytest.param("user", "lice", False, id="name-not-in-part"),
        pytest.param("path", "/eng/", True, id="path"),
        pytest.param("path", "/eng/*", True, id="path-glob-takes-in-the-path-itself"),
        pytest.param("path", "/", False, id="path-root-is-not-below"),
        pytest.param("tag", "Team=payments", True, id="tag"),
        pytest.param("tag", "Team=pay*", True, id="tag-glob"),
        pytest.param("tag", "Team=*", True, id="tag-any-value"),
        pytest.param("tag", "Te*=payments", False, id="tag-key-is-literal"),
        pytest.param("tag", "team=payments", False, id="tag-key-is-case-sensitive"),
        pytest.param("tag", "Cost:Center=a=b", True, id="tag-value-with-equals"),
        pytest.param("tag", "Owner=*", False, id="tag-missing"),
        pytest.param("group", "Dev*", True, id="group"),
        pytest.param("group", "Admins", False, id="group-not-a-member"),
    ],
)
def test_a_rule_protects(field: str, pattern: str, protected: bool) -> None:
    found = find_exemption(ALICE, [rule(field, pattern)], TODAY)
    assert (found.rule is not None) is protected
    assert found.expired == ()


@pytest.mark.parametrize(
    ("expires", "protected"),
    [
        pytest.param(date(2026, 11, 25), True, id="tomorrow"),
        pytest.param(date(2026, 11, 24), True, id="today-is-the-last-day"),
        pytest.param(date(2026, 11, 23), False, id="yesterday"),
    ],
)
def test_a_rule_protects_through_its_date(expires: date, protected: bool) -> None:
    only = rule("user", "alice", expires)
    found = find_exemption(ALICE, [only], TODAY)
    assert found.rule == (only if protected else None)
    assert found.expired == (() if protected else (only,))


def test_a_live_rule_outweighs_an_expired_one() -> None:
    gone, live = rule("user", "alice", date(2020, 1, 1)), rule("path", "/eng/*")
    found = find_exemption(ALICE, [gone, live], TODAY)
    assert (found.rule, found.expired) == (live, (gone,))


def test_every_live_rule_is_found() -> None:
    live = [rule("path", "/eng/*"), rule("user", "alice"), rule("tag", "Team=payments")]
    found = find_exemption(ALICE, [*live, rule("user", "bob")], TODAY)
    assert [found.rule, *found.more] == live


def test_rules_are_found_in_their_order_however_they_are_looked_up() -> None:
    patterns = [
        ("path", "/eng/"),
        *(("user", each) for each in ("alice", "a*", "Alice", "bob")),
        *(("group", "Admins"), ("tag", "Team=payments"), ("path", "/eng/*"), ("user", "alice")),
    ]
    rules = [rule(*each) for each in patterns]
    found = find_exemption(ALICE, in_account(rules, ACCOUNT, "")[0], TODAY)
    assert [found.rule, *found.more] == [each for each in rules if matches(ALICE, each.field, each.pattern)]


def test_names_are_looked_up_and_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(exemptions, "matches", lambda user, *rule: tried.append(rule))
    rules = [*(rule("user", f"u{number}") for number in range(1000)), rule("user", "u*")]
    assert find_exemption(ALICE, rules, TODAY).rule is None
    assert tried == [("user", "u*")]


def test_unread_groups_are_not_taken_for_none() -> None:
    unread = replace(ALICE, attachments={})
    with pytest.raises(EvidenceUnreadable, match=r"alice of account 111122223333.*groups"):
        find_exemption(unread, [rule("group", "Admins")], TODAY)
    assert find_exemption(unread, [rule("user", "bob")], TODAY).rule is None


@pytest.mark.parametrize(
    ("account", "name", "held"),
    [
        pytest.param("", "payments", True, id="everywhere"),
        pytest.param(ACCOUNT, "payments", True, id="id"),
        pytest.param("444455556666", "payments", False, id="other-id"),
        pytest.param("444455556666", "", False, id="other-id-and-no-name"),
        pytest.param("444455556666", "444455556666", False, id="named-as-the-other-id"),
        pytest.param("1111*", "payments", True, id="id-glob"),
        pytest.param("4444*", "payments", False, id="other-id-glob"),
        pytest.param("4444*", "", True, id="other-id-glob-and-no-name"),
        pytest.param("pay*", "payments", True, id="name-glob"),
        pytest.param("Pay*", "payments", True, id="name-in-another-case"),
        pytest.param("payments", "Payments", True, id="name-in-another-case-in-the-file"),
        pytest.param("dev-*", "payments", False, id="other-name"),
        pytest.param("dev-*", "", True, id="name-is-not-known"),
    ],
)
def test_a_rule_holds_in_its_account_only(account: str, name: str, held: bool) -> None:
    only = replace(rule("user", "alice"), account=account)
    assert in_account([only], ACCOUNT, name) == (((only,), ()) if held else ((), (only,)))


@pytest.mark.parametrize(
    ("account", "fault"),
    [
        *(
            pytest.param(each, "", id=each)
            for each in (
                *(ACCOUNT, "1111*", "payments", "Payments, Inc.", "dev-[12]", "team_7-prod", "2024-01"),
                *("012345678901", "sand box", "2024?01?15", "e10-prod"),
            )
        ),
        pytest.param("11122223333", "an id has 12 digits", id="lost-zero"),
        pytest.param("1111-2222-3333", "without separators", id="as-the-console-shows-it"),
        pytest.param("1111 2222 3333", "without separators", id="spaces"),
        pytest.param("'111122223333", "without separators", id="quoted"),
        pytest.param("111122223333.0", "without separators", id="a-number"),
        pytest.param("\uff11\uff12\uff13\uff14" * 3, "without separators", id="full-width-digits"),
        pytest.param("1.11122E+11", "a spreadsheet has made a number", id="scientific"),
        pytest.param("1,11122E+11", "a spreadsheet has made a number", id="scientific-with-a-comma"),
        pytest.param("arn:aws:iam::111122223333:root", "not an ARN", id="arn"),
        pytest.param("payments|research", "a rule for each account", id="alternatives"),
        pytest.param("111122223333\u200b", "an invisible character", id="invisible"),
        pytest.param("payments\u00a0", "an invisible character", id="no-break-space"),
        pytest.param("111122223333;444455556666", "a rule for each account", id="list"),
        pytest.param("111122223333, 444455556666", "without separators|a rule for each", id="list-by-comma"),
    ],
)
def test_an_account_that_can_match_none_is_refused(account: str, fault: str) -> None:
    if not fault:
        assert parse_rules([{**GOOD, "account": account}], "exempt")[0].account == account
        return
    with pytest.raises(InvalidPolicyData, match=rf"account .* matches no account.*({fault})"):
        parse_rules([{**GOOD, "account": account}], "exempt")


GOOD = {"user": "ci-*", "reason": "pipeline", "expires": "2027-01-31"}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(GOOD, ExemptionRule("user", "ci-*", "pipeline", date(2027, 1, 31)), id="text-date"),
        pytest.param(
            {**GOOD, "expires": date(2027, 1, 31), "owner": "ops@example.com"},
            ExemptionRule("user", "ci-*", "pipeline", date(2027, 1, 31), "ops@example.com"),
            id="yaml-date-and-owner",
        ),
        pytest.param(
            {"tag": "Purpose=x", "reason": "r", "expires": "2027-01-31"},
            ExemptionRule("tag", "Purpose=x", "r", date(2027, 1, 31)),
            id="tag",
        ),
        pytest.param(
            {**GOOD, "account": "dev-*"},
            ExemptionRule("user", "ci-*", "pipeline", date(2027, 1, 31), account="dev-*"),
            id="account",
        ),
    ],
)
def test_good_rules_parse(entry: dict[str, Any], expected: ExemptionRule) -> None:
    assert parse_rules([entry], "exempt") == (expected,)
    assert parse_rules([expected.as_data()], "exempt") == (expected,)


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != key}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        pytest.param(without("reason"), r"exempt\[0\]: reason is missing: say why", id="no-reason"),
        pytest.param(
            {**GOOD, "reason": " "},
            r"exempt\[0\]: reason must be a text that is not empty",
            id="blank-reason",
        ),
        pytest.param(without("expires"), r"exempt\[0\]: expires is missing: .*YYYY-MM-DD", id="no-date"),
        pytest.param(
            {**GOOD, "expires": "31.1.2027"}, r"expires is not a date: '31.1.2027'", id="date-format"
        ),
        pytest.param(
            {**GOOD, "expires": "2027-02-30"}, r"expires is not a date: '2027-02-30'", id="no-such-day"
        ),
        pytest.param({**GOOD, "expires": 20270131}, r"expires is not a date: 20270131", id="date-as-number"),
        pytest.param(
            {**GOOD, "expires": datetime(2027, 1, 31)}, r"expires is not a date", id="date-with-time"
        ),
        pytest.param(
            {**GOOD, "name": "x"}, r"there is no key 'name': a rule has one of user, path", id="unknown-key"
        ),
        pytest.param(
            without("user"),
            r"exactly one of user, path, tag, group, unique-id .* none is there",
            id="no-pattern",
        ),
        pytest.param(
            {**GOOD, "path": "/x/"}, r"exactly one of .* not user and path together", id="two-patterns"
        ),
        pytest.param({**GOOD, "user": ""}, r"user must be a text that is not empty", id="empty-pattern"),
        pytest.param(
            {**GOOD, "account": 111122223333},
            r"account must be a text .* give an account's id in",
            id="account-number",
        ),
        pytest.param(
            {**GOOD, "account": "1122223333"}, r"account '1122223333' matches no account", id="short-id"
        ),
        pytest.param(
            {**GOOD, "accnt": "dev"}, r"there is no key 'accnt': .*: write 'account'", id="near-key"
        ),
        pytest.param(
            {**GOOD, "ticket": "X-1"}, r"there is no key 'ticket': a rule has one of", id="free-key"
        ),
        pytest.param({**GOOD, "owner": 7}, r"owner must be a text", id="owner-not-text"),
        pytest.param(
            {**without("user"), "tag": "Purpose"}, r"tag 'Purpose' must be Key=glob", id="tag-without-value"
        ),
        pytest.param({**without("user"), "tag": "=x"}, r"tag '=x' must be Key=glob", id="tag-without-key"),
        pytest.param(
            {**without("user"), "path": "/emergency"}, r"path '/emergency' matches no path", id="path-end"
        ),
        pytest.param(
            {**without("user"), "path": "emergency/*"}, r"must begin and end with / or \*", id="path-begin"
        ),
        pytest.param({**GOOD, "expires": "2027-1-1"}, r"expires is not a date: '2027-1-1'", id="short-date"),
        pytest.param(
            {**GOOD, "owner": "o" * 1001}, r"owner has 1001 characters, and may have 1000", id="long-owner"
        ),
        pytest.param("ci-*", r"exempt\[0\]: must be a mapping", id="not-a-mapping"),
        pytest.param({**GOOD, "user": "*"}, r"user '\*' exempts every user.*everybody: true", id="everybody"),
        pytest.param({**GOOD, "user": "?*"}, r"exempts every user", id="every-name"),
        pytest.param({**without("user"), "path": "/*"}, r"path '/\*' exempts every user", id="every-path"),
        pytest.param({**without("user"), "path": "*"}, r"path '\*' exempts every user", id="any-path"),
        pytest.param({**without("user"), "group": "*"}, r"group '\*' exempts every user", id="every-group"),
        pytest.param({**GOOD, "user": "*", "account": "*"}, r"exempts every user", id="every-account"),
        pytest.param(
            {**GOOD, "user": "*", "everybody": "no"}, r"everybody must be true or false", id="unclear"
        ),
        pytest.param({**GOOD, "user": "*", "everybody": False}, r"exempts every user", id="not-everybody"),
    ],
)
def test_faulty_rules_name_the_place_and_the_remedy(entry: Any, message: str) -> None:
    with pytest.raises(InvalidPolicyData, match=message):
        parse_rules([entry], "exempt")


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"user": "*", "everybody": True}, id="meant"),
        pytest.param({"user": "*", "everybody": "TRUE"}, id="meant-in-a-csv"),
        pytest.param({"user": "*", "account": "sandbox-*"}, id="of-some-accounts"),
        pytest.param({"path": "/?*/"}, id="whoever-has-a-path"),
        pytest.param({"user": "?"}, id="short-names"),
        pytest.param({"user": "*-*"}, id="with-a-dash"),
        pytest.param({"tag": "Exempt=*"}, id="a-tag"),
        pytest.param({"user": "a*", "everybody": ""}, id="an-empty-cell"),
        pytest.param({"user": "a*", "owner": "o" * 1000, "reason": "r" * 1000}, id="the-longest-texts"),
    ],
)
def test_who_is_meant_is_exempt(entry: dict[str, Any]) -> None:
    (rule,) = parse_rules([{**without("user"), **entry}], "exempt")
    (again,) = parse_rules([rule.as_data()], "again")
    assert again == rule


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(InvalidPolicyData, match=r"exempt\[0\]: reason.*exempt\[2\]: expires"):
        parse_rules([without("reason"), GOOD, without("expires")], "exempt")


def test_the_list_must_be_one() -> None:
    with pytest.raises(InvalidPolicyData, match="exempt: must be a list"):
        parse_rules({"user": "x"}, "exempt")


@pytest.mark.parametrize(
    ("field", "pattern", "message"),
    [
        pytest.param(
            "user", "arn:aws:iam::111122223333:user/eng/jane", "write the name, 'jane', not the ARN", id="arn"
        ),
        pytest.param("user", "jane ", "can't have ' ': write 'jane', without the space", id="space-after"),
        pytest.param("user", " jane", "write 'jane', without the space", id="space-before"),
        pytest.param("user", "jane doe", "the name of a user can't have ' '", id="space-within"),
        pytest.param("user", "/jane", "a path is not part of a name", id="slash"),
        pytest.param("user", "jane|joe", "write a rule for each user", id="bar"),
        pytest.param("user", "^svc-.*$", "can't have '^': patterns are shell globs", id="regex"),
        pytest.param("user", "svc-\\d+", "patterns are shell globs", id="regex-digits"),
        pytest.param("user", "(jane)", "patterns are shell globs", id="regex-group"),
        pytest.param("user", "ci-[/|]x", "can't have '[/|]'", id="class-of-foreign-characters"),
        pytest.param("user", "jos\u00e9", "can't have", id="accent"),
        pytest.param("user", "x" * 65, "has at most 64 characters", id="too-long"),
        pytest.param(
            "group", "arn:aws:iam::111122223333:group/Keep", "write the name, 'Keep'", id="group-arn"
        ),
        pytest.param("group", "/teams/Keep", "the name of a group can't have '/'", id="group-slash"),
        pytest.param("group", "x" * 129, "has at most 128 characters", id="group-too-long"),
        pytest.param("path", "/emergency/jane", "matches no path", id="path-with-a-name"),
        pytest.param("path", "^/emergency/.*$", "matches no path", id="path-regex"),
        pytest.param("path", "/my team/", "a path can't have ' '", id="path-space"),
        pytest.param("path", "arn:aws:iam::111122223333:user/emergency/*", "matches no path", id="path-arn"),
        pytest.param(
            "tag", "Te*=x", "the key of a tag, which is not a glob, can't have '*'", id="tag-key-glob"
        ),
        pytest.param("tag", "Purpose=a|b", "the value of a tag can't have '|'", id="tag-bar"),
        pytest.param("tag", "Purpose=^x$", "the value of a tag can't have '^'", id="tag-regex"),
    ],
)
def test_a_pattern_that_can_protect_nobody_is_a_fault(field: str, pattern: str, message: str) -> None:
    with pytest.raises(InvalidPolicyData) as fault:
        parse_rules([{field: pattern, "reason": "r", "expires": "2027-01-31"}], "exempt")
    assert str(fault.value).startswith(f"exempt[0]: {field} {pattern!r} matches no")
    assert message in str(fault.value)


@pytest.mark.parametrize("field", ["user", "path", "tag", "group", "account"])
@pytest.mark.parametrize(
    ("glob", "fault"),
    [
        pytest.param("x" * 600, "has [0-9]{3} characters, and may have 512", id="long"),
        pytest.param("*a" * 17, r"has 17 \*, and may have 16", id="stars"),
        *(
            pytest.param(each, r"has a \[ that no \] closes: the character itself is \[\[\]", id=each)
            for each in ("ci-[", "[]", "[!]", "[a][", "[[][!]x")
        ),
    ],
)
def test_a_glob_that_takes_long_is_refused(field: str, glob: str, fault: str) -> None:
    text = {"path": f"/{glob}/", "tag": f"Purpose={glob}"}.get(field, glob)
    entry = {"user": "alice", "reason": "r", "expires": "2027-01-31"}
    if field != "account":
        del entry["user"]
    with pytest.raises(InvalidPolicyData, match=rf"^x\.csv line 7\[0\]: {field} .* {fault}$"):
        parse_rules([{**entry, field: text}], "x.csv line 7")


def test_a_list_of_brackets_is_read_without_fnmatch(monkeypatch: pytest.MonkeyPatch) -> None:
    """fnmatch would take hours for them."""
    monkeypatch.setattr("c7n_iamusers.iam.user_fields.translate", None)
    monkeypatch.setattr("c7n_iamusers.iam.user_fields.fnmatchcase", None)
    for column in ("user", "path", "group", "account"):
        named = {"user": "alice", "everybody": True} if column == "account" else {}
        row = {"reason": "r", "expires": "2027-01-31", **named, column: "[" * 1_000_000}
        with pytest.raises(InvalidPolicyData, match=r"line 2: .*has 1000000 characters, and may have 512"):
            parse_list(json.dumps([row], indent=0), "json", "list.json")


@pytest.mark.parametrize(
    ("field", "pattern", "name"),
    [
        pytest.param("user", "a+b=c,d.e@f_g-9", "a+b=c,d.e@f_g-9", id="every-character"),
        pytest.param("user", "j*", "jane", id="anybody"),
        pytest.param("user", "*" * 16 + "x" * 64, "x" * 64, id="longest"),
        pytest.param("user", "[!a]?ne[]0]0", "jane00", id="classes"),
        pytest.param("user", "jane.*", "jane.doe", id="dot"),
        pytest.param("group", "G" * 128, "G" * 128, id="longest-group"),
        pytest.param("path", "/", "/", id="root"),
        pytest.param("path", "*/ops/", "/eu/ops/", id="path-end"),
        pytest.param("path", "[/]eng?", "/eng/", id="path-class"),
        pytest.param("path", "/a!~|b/*", "/a!~|b/c/", id="path-printable"),
        pytest.param("tag", "Cost Center= a=b", " a=b", id="tag-space-and-equals"),
        pytest.param("tag", "Stra\u00dfe=\u00fc*", "\u00fcber", id="tag-of-any-alphabet"),
        pytest.param("tag", "Purpose=", "", id="tag-without-value"),
        pytest.param("tag", "a:b/c=[x-z]", "y", id="tag-class"),
    ],
)
def test_a_pattern_that_can_match_is_none(field: str, pattern: str, name: str) -> None:
    (found,) = parse_rules([{field: pattern, "reason": "r", "expires": "2027-01-31"}], "exempt")
    key = pattern.partition("=")[0]
    users = {
        "user": lambda: user(name),
        "group": lambda: user("x", group=groups(name)),
        "path": lambda: user("x", path=name),
        "tag": lambda: user("x", tags={key: name}),
    }
    assert find_exemption(users[field](), [found], TODAY).rule == found


@pytest.mark.parametrize(
    ("field", "pattern", "message"),
    [
        pytest.param("tag", "Purpose=x ", "has a space beside its = or at an end", id="tag-space"),
        pytest.param("tag", "Purpose = x", "has a space beside", id="tag-spaces"),
        pytest.param("tag", "a=b=c", "is the key 'a' with the value 'b=c'", id="tag-equals"),
        pytest.param("tag", "Cost Center=a b", "", id="tag-space-within"),
        pytest.param(
            "user",
            "jane,joe",
            "has a comma, which is a literal character: write a rule for each user",
            id="comma",
        ),
        pytest.param("user", ".*", "begins with a dot: patterns are shell globs, so write", id="regex"),
        pytest.param("user", "jane.*", "", id="dot"),
        pytest.param(
            "user", "[^a]*", "has [^, which does not negate in a shell glob: write [!", id="negation"
        ),
        pytest.param("user", "[!a]*", "", id="glob-negation"),
        pytest.param("path", "/a/|/b/", "has a |, which is a literal character", id="path-bar"),
        pytest.param("path", "/a,b/", "", id="path-comma"),
    ],
)
def test_doubtful_rules_are_reported(field: str, pattern: str, message: str) -> None:
    found = list(doubts([rule(field, pattern)]))
    assert bool(found) is bool(message)
    assert all(f"exemption by {field} {pattern!r} (because) {message}" in each for each in found)


def test_the_log_says_whom_each_rule_protects() -> None:
    used, unused = rule("user", "al*"), replace(rule("path", "/ci/\n*"), owner="the, owners")
    assert list(usage_lines((unused, used), {used: 2})) == [
        "exempt by user \"al*\" until 2027-01-01: 2 users, reason 'because'",
        "exemptions that protect nobody: path \"/ci/\\n*\" until 2027-01-01, reason 'because', owner 'the, owners'",
    ]


def test_the_log_says_where_a_rule_holds() -> None:
    here = replace(rule("user", "al*"), account="dev-*")
    assert str(here) == 'user "al*" in account "dev-*" until 2027-01-01'
    assert str(replace(here, account="")) == 'user "al*" until 2027-01-01'


def test_a_digest_of_rules_is_what_journals_of_before_hold() -> None:
    rules = [rule("user", "al*"), replace(rule("path", "/ci/*"), owner="jane", account="dev-*")]
    digest = "1eeec42b7f41aab565948bcbbe7c892089d11da8dc08c5f83125dd2fae2cde52"
    assert digest_of(rules) == digest_of(reversed(rules)) == digest
    assert digest_of(rules[:1]) != digest_of(rules)


def test_a_long_reason_is_cut_off_in_the_log() -> None:
    used = replace(rule("user", "al*"), reason="\x7f" * 1000, owner="o" * 1000)
    assert all(len(line) < 1500 for line in usage_lines([used], {used: 2}))


def test_many_expired_rules_make_no_finding_each() -> None:
    """A finding is written of each flagged user."""
    gone = [rule("user", "a*", date(2020, 1, 1 + number % 28)) for number in range(1000)]
    assert len(find_exemption(ALICE, gone, TODAY).expired) == 50


def test_of_thousands_of_rules_that_protect_nobody_the_log_has_fifty() -> None:
    (line,) = usage_lines([rule("user", f"u{number}") for number in range(60)], {})
    assert line.count("until 2027-01-01") == 50
    assert line.endswith(" and 10 more")


def test_a_list_may_be_as_large_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "user,reason,expires\nal*,because,2027-01-01\n"
    monkeypatch.setattr(exemptions, "LARGEST_LIST", len(text))
    assert len(parse_list(text, "csv", "list")) == 1
    with pytest.raises(InvalidPolicyData):
        parse_list(text + "\n", "csv", "list")
