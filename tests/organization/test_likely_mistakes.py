# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from c7n_iamusers.exemptions import parse_rules
from c7n_iamusers.iam.accounts import AccountDetails
from c7n_iamusers.organization.likely_mistakes import (
    EXAMPLE_ACCOUNT,
    SHIPPED,
    NamesRead,
    idle_exemptions,
    mfa_conditions,
    names_of,
    of_the_organization,
    owners_domains,
    placeholders,
    refused_for_mfa,
    told_of_others,
)
from c7n_iamusers.organization.owners import Account, Member
from c7n_iamusers.organization.preflight_checks import bucket_doubt
from c7n_iamusers.organization.readiness import ATTENTION, HOLE, UNKNOWN, Check, Target, targets
from tests.records import groups, user

A, B, C = "111122223333", "444455556666", "777788889999"
TODAY = date(2026, 11, 25)


def fleet(*entries: dict[str, Any], **shared: Any) -> tuple[Target, ...]:
    rows = [
        {"account_id": each, "name": name, **entry}
        for (each, name), entry in zip(
            ((A, "payments"), (B, "research"), (C, "platform")), entries, strict=False
        )
    ]
    return targets({"vars": shared, "accounts": rows})


def owned(*owners: str) -> tuple[Target, ...]:
    return fleet(*({"vars": {"owner": each}} for each in owners))


def member(account_id: str, name: str, state: str = "ACTIVE") -> tuple[str, Member]:
    return account_id, Member(Account(account_id, name), "root@example.com", state)


def said(found: Sequence[Check]) -> list[tuple[str, str]]:
    return [(each.place, each.status) for each in found]


@pytest.mark.parametrize(
    ("members", "found"),
    [
        pytest.param([member(A, "payments"), member(B, "research")], [], id="the-same"),
        pytest.param(
            [member(A, "payments"), member(B, "research"), member(C, "platform")],
            [("organization", ATTENTION)],
            id="one-is-lacking",
        ),
        pytest.param(
            [member(A, "payments"), member(B, "research"), member(C, "platform", "SUSPENDED")],
            [],
            id="a-closed-one-is-lacking",
        ),
        pytest.param(
            [member(A, "payments"), member(B, "research"), member("123456789012", "management")],
            [],
            id="the-management-account-is-lacking",
        ),
        pytest.param(
            [member(A, "payments"), member(B, "research", "PENDING_CLOSURE")],
            [(f"research ({B})", HOLE)],
            id="closing",
        ),
        pytest.param([member(A, "payments")], [(f"research ({B})", ATTENTION)], id="gone"),
    ],
)
def test_accounts_of_the_organization(
    members: list[tuple[str, Member]], found: list[tuple[str, str]]
) -> None:
    every = fleet({}, {})
    assert said(list(of_the_organization(every, every, dict(members), EXAMPLE_ACCOUNT, "a.yml"))) == found


def test_a_choice_of_accounts_lacks_nothing() -> None:
    every = fleet({}, {})
    members = dict([member(A, "payments"), member(B, "research")])
    assert list(of_the_organization(every[:1], every, members, EXAMPLE_ACCOUNT, "a.yml")) == []


@pytest.mark.parametrize(
    ("owners", "contact", "domains", "found"),
    [
        pytest.param(["a@example.com", "b@Example.com"], "", [], [], id="one-domain"),
        pytest.param(["a@example.com", "b@exmaple.com", "c@example.com"], "", [], [ATTENTION], id="mistyped"),
        pytest.param(["a@example.com", "b@example.org"], "", [], [ATTENTION] * 2, id="each-another"),
        pytest.param(
            ["a@example.com", "b@example.org"], "x@example.org", [], [ATTENTION], id="that-of-the-contact"
        ),
        pytest.param(["a@example.com"], "", [], [], id="one-owner"),
        pytest.param(["a@exmaple.com"], "x@example.com", [], [ATTENTION], id="not-that-of-the-contact"),
        pytest.param(["a@example.com", "no address"], "", [], [], id="no-address-has-its-own-check"),
        pytest.param(["a@example.com", "b@exmaple.com"], "", ["example.com"], [HOLE], id="not-allowed"),
        pytest.param(
            ["a@example.com", "b@example.org"], "", ["example.com", "example.org"], [], id="both-allowed"
        ),
        pytest.param(["a@sub.example.com"], "", ["example.com"], [HOLE], id="subdomain"),
    ],
)
def test_domains_of_owners(owners: list[str], contact: str, domains: list[str], found: list[str]) -> None:
    rows = [{"vars": {"owner": each}} for each in owners]
    every = fleet(*rows, **({"contact": contact} if contact else {}))
    assert [each.status for each in owners_domains(every, every, domains)] == found


def test_the_domain_that_is_meant_is_named() -> None:
    every = owned("a@example.com", "b@exmaple.com", "c@example.com")
    (found,) = owners_domains(every, every, ())
    assert found.place == f"research ({B})"
    assert found.text == "no other owner has an address of exmaple.com; example.com is the domain of others"


QUEUE = f"https://sqs.us-east-1.amazonaws.com/{EXAMPLE_ACCOUNT}/c7n-mailer"


@pytest.mark.parametrize(
    ("variables", "used", "runner", "found"),
    [
        pytest.param({"contact": SHIPPED["contact"]}, ["contact"], A, [HOLE], id="contact"),
        pytest.param({"start_url": SHIPPED["start_url"]}, ["start_url"], A, [HOLE], id="start-url"),
        pytest.param({"queue_url": QUEUE}, ["contact"], A, [HOLE], id="queue"),
        pytest.param(
            {"identity_center_role": f"arn:aws:iam::{EXAMPLE_ACCOUNT}:role/X"},
            ["contact"],
            A,
            [HOLE],
            id="role",
        ),
        pytest.param({"mine": f"arn:aws:sns:us-east-1:{EXAMPLE_ACCOUNT}:x"}, ["mine"], A, [HOLE], id="own"),
        pytest.param({"contact": "security@example.com"}, ["contact"], A, [], id="another-contact"),
        pytest.param({"contact": SHIPPED["contact"]}, ["owner"], A, [], id="not-used"),
        pytest.param({"contact": SHIPPED["contact"]}, [], A, [HOLE], id="no-policies"),
        pytest.param({"number": f"9{EXAMPLE_ACCOUNT}"}, ["number"], A, [], id="in-a-longer-number"),
        pytest.param({"queue_url": QUEUE}, [], EXAMPLE_ACCOUNT, [], id="local-queue"),
        pytest.param(
            {"contact": SHIPPED["contact"]}, ["contact"], EXAMPLE_ACCOUNT, [ATTENTION], id="local-contact"
        ),
    ],
)
def test_variables_as_they_are_shipped(
    variables: dict[str, str], used: list[str], runner: str, found: list[str]
) -> None:
    assert [each.status for each in placeholders(fleet({}, {}, **variables), used, {runner, A})] == found


def test_a_placeholder_of_some_accounts_names_them() -> None:
    every = fleet({"vars": {"contact": SHIPPED["contact"]}}, {"vars": {"contact": "x@example.com"}})
    (found,) = placeholders(every, ["contact"], {A})
    assert found.text.startswith("contact in payments is cloud-governance@example.com")


def test_the_placeholders_are_those_of_the_shipped_file() -> None:
    shipped = yaml.safe_load((Path(__file__).parents[2] / "accounts.yml").read_text())["vars"]
    assert {name: shipped[name] for name in SHIPPED} == SHIPPED
    found = {each.text.split(" ")[0] for each in placeholders(fleet({}, **shipped), (), {A})}
    assert found == {*SHIPPED, "queue_url", "realtime_queue_url", "identity_center_role"}


ASKS = {"Effect": "Deny", "Condition": {"BoolIfExists": {"aws:multifactorauthPRESENT": "false"}}}
PLAIN = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


def document(statement: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.mark.parametrize(
    ("of_user", "of_group", "managed", "found"),
    [
        pytest.param(PLAIN, PLAIN, PLAIN, [], id="no-condition"),
        pytest.param(ASKS, PLAIN, PLAIN, ["ann"], id="own"),
        pytest.param(PLAIN, ASKS, PLAIN, ["bob"], id="of-a-group"),
        pytest.param(PLAIN, PLAIN, ASKS, ["ann", "bob"], id="managed"),
    ],
)
def test_users_whose_policies_ask_for_mfa(
    of_user: dict[str, Any], of_group: dict[str, Any], managed: dict[str, Any], found: list[str]
) -> None:
    arn = f"arn:aws:iam::{A}:policy/own"
    versions = [
        {"VersionId": "v1", "IsDefaultVersion": False, "Document": document(ASKS)},
        {"VersionId": "v2", "IsDefaultVersion": True, "Document": document(managed)},
    ]
    attached = {"AttachedManagedPolicies": [{"PolicyArn": arn, "PolicyName": "own"}]}
    users = (
        {"UserName": "ann", **attached, "UserPolicyList": [{"PolicyDocument": document(of_user)}]},
        {"UserName": "bob", "GroupList": ["people"]},
        {"UserName": "eve"},
    )
    group = {**attached, "GroupPolicyList": [{"PolicyDocument": document(of_group)}]}
    account = AccountDetails(
        users, {"people": group}, (), ({"Arn": arn, "DefaultVersionId": "v2", "PolicyVersionList": versions},)
    )
    assert mfa_conditions(account) == found
    checks = list(refused_for_mfa({"payments": found, "research": []}))
    assert [each.status for each in checks] == [ATTENTION] * bool(found)
    assert all(f"{name} in payments" in each.text for name in found for each in checks)
    assert all("--identity-center-mfa yes" in each.remedy for each in checks)


def rule(text: str, **more: str) -> dict[str, str]:
    field, _, pattern = text.partition(" ")
    return {field: pattern, "reason": "r", "expires": "2027-01-01", **more}


def judged(
    rules: Sequence[dict[str, str]], *names: Sequence[str], unread: int = 0
) -> tuple[list[Check], list[NamesRead]]:
    """``names``: of the users of each account. ``unread``: further accounts."""
    parsed = parse_rules(list(rules), "exempt")
    every = fleet(*({} for _ in range(len(names) + unread)))
    read = [
        names_of(target, [user(each) for each in of], parsed, TODAY)
        for target, of in zip(every, names, strict=False)
    ]
    return list(idle_exemptions(read, every, parsed)), read


@pytest.mark.parametrize(
    ("pattern", "names", "told"),
    [
        pytest.param("user alice", ["alice"], "", id="matches"),
        pytest.param("user alice", ["bob"], "match nobody", id="nobody"),
        pytest.param("user alice", [], "match nobody", id="no-users"),
        pytest.param("user alice", ["alice.smith"], "nearly matches alice.smith", id="a-glob-away"),
        pytest.param("user git-*", ["git"], "nearly matches git", id="without-the-dash"),
        pytest.param("user git-*", ["git_web"], "nearly matches git_web", id="another-separator"),
        pytest.param("user Alice", ["alice"], "nearly matches alice", id="case"),
        pytest.param("user smith", ["alice.smith"], "nearly matches alice.smith", id="the-end"),
        pytest.param("user alcie.smith", ["alice.smith"], "nearly matches alice.smith", id="mistyped"),
        pytest.param("user ci", ["cindy"], "match nobody", id="part-of-a-word"),
        pytest.param("user deploy", ["backup", "develop"], "match nobody", id="unlike"),
        pytest.param("user a[bc]?", ["ABX"], "nearly matches ABX", id="glob-in-another-case"),
    ],
)
def test_an_exemption_that_matches_nobody(pattern: str, names: list[str], told: str) -> None:
    found, _ = judged([rule(pattern)], names)
    assert [each.status for each in found] == [ATTENTION] * bool(told)
    assert all(told in each.text for each in found)


@pytest.mark.parametrize(
    ("pattern", "who", "near"),
    [
        pytest.param("path /emergency/*", {"path": "/emergency-access/"}, "/emergency-access/", id="path"),
        pytest.param("path /emergency/", {"path": "/emergency/ops/"}, "/emergency/ops/", id="path-below"),
        pytest.param("group Admins", {"group": groups("admins")}, "admins", id="group"),
        pytest.param(
            "tag Purpose=break-glass", {"tags": {"purpose": "break-glass"}}, "purpose=break-glass", id="tag"
        ),
        pytest.param("tag Purpose=git", {"tags": {"Purpose": "git-web"}}, "Purpose=git-web", id="value"),
    ],
)
def test_each_field_may_be_nearly_matched(pattern: str, who: dict[str, Any], near: str) -> None:
    rules = parse_rules([rule(pattern)], "exempt")
    every = fleet({})
    read = [names_of(every[0], [user("x", **{"group": groups(), **who})], rules, TODAY)]
    (found,) = idle_exemptions(read, every, rules)
    assert f"nearly matches {near} in payments" in found.text


def test_an_exemption_that_matches_in_one_account_and_nearly_in_another() -> None:
    (found,), _ = judged([rule("user ci")], ["ci"], ["ci-2", "ci-3", "ci-4", "ci-5"])
    assert "matches nobody in research, and nearly matches ci-2 in research" in found.text
    assert "and 1 more" in found.text


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        pytest.param([rule("user ci", account="payments")], (["ci"], ["ci-2"]), id="of-one-account"),
        pytest.param([rule("user ci"), rule("user ci-*")], (["ci"], ["ci-2"]), id="exempt-by-another"),
        pytest.param([rule("user ci")], (["ci", "ci-2"],), id="matches-another-there"),
        pytest.param([rule("user ci")], (["ci"], ["deploy-ci"]), id="ends-alike"),
        pytest.param(
            [{**rule("user ci"), "expires": "2026-11-24"}, rule("user ci")], (["ci"],), id="renewed"
        ),
        pytest.param([rule("user ci", account="other")], (["ci-2"],), id="of-no-account"),
    ],
)
def test_exemptions_that_need_no_attention(rules: list[dict[str, str]], names: Sequence[list[str]]) -> None:
    assert judged(rules, *names)[0] == []


@pytest.mark.parametrize(
    ("names", "status", "told"),
    [
        pytest.param(
            ["ci"], HOLE, "has expired, so that it no longer protects ci in payments", id="of-a-user"
        ),
        pytest.param([], ATTENTION, "1 match nobody", id="of-nobody"),
        pytest.param(["cj", "ci-2"], ATTENTION, "nearly matches ci-2", id="nearly"),
    ],
)
def test_an_exemption_that_has_expired(names: list[str], status: str, told: str) -> None:
    (found,), _ = judged([{**rule("user ci"), "expires": "2026-11-24"}], names)
    assert (found.status, told in found.text) == (status, True)


def test_many_that_match_nobody_are_one_line() -> None:
    (found,), _ = judged([rule(f"user nobody{each}") for each in range(12)], [])
    assert found.text.startswith('12 match nobody: user "nobody0" until 2027-01-01 (r)')
    assert found.text.endswith("and 2 more")


def test_what_an_account_that_was_not_read_has_is_unknown() -> None:
    found, _ = judged([rule("user x"), rule("user ci"), rule("user y", account=A)], ["ci"], unread=1)
    assert [each.status for each in found] == [ATTENTION, UNKNOWN]
    assert "1 match nobody" in found[0].text
    assert found[1].text == f"whether 1 of the rules match anybody: not read: research ({B})"


def test_of_users_only_what_rules_ask_for_is_kept() -> None:
    _, (read,) = judged([rule("user ci")], ["ci", "bob"])
    assert dict(read.unmatched) == {"user": frozenset({"bob"})}


def test_a_bucket_of_another_region_is_written_with_it() -> None:
    assert bucket_doubt("s3://b/p", "eu-west-1", "eu-west-1") is None
    doubt = bucket_doubt("s3://b/p?region=us-east-1&sse=AES256", "eu-west-1", "us-east-1")
    assert doubt
    assert "write s3://b/p?region=eu-west-1&sse=AES256, or name a bucket in us-east-1" in doubt.remedy


def telling(*of: str, output: str = "") -> dict[str, Any]:
    mode = {"mode": {"type": "periodic", "execution-options": {"output_dir": output}}} if output else {}
    return {"name": "told", "actions": [{"type": "notify-owners", "of": [*of]}], **mode}


@pytest.mark.parametrize(
    ("policies", "status", "text"),
    [
        pytest.param([{"name": "machines"}, telling("machines")], "", "", id="well"),
        pytest.param(
            [{"name": "machines"}, telling("machnes")], HOLE, "reports what machnes did", id="misspelt"
        ),
        pytest.param([telling("of-another-file")], ATTENTION, "is no policy", id="in-another-file"),
        pytest.param([telling("machines"), {"name": "machines"}], ATTENTION, "runs after it", id="too-early"),
        pytest.param(
            [{"name": "machines"}, telling("machines", output="s3://out/told")],
            HOLE,
            "has another output",
            id="elsewhere",
        ),
        pytest.param(
            [
                {**telling("x", output="s3://out"), "name": "x", "actions": []},
                telling("x", output="s3://out"),
            ],
            "",
            "",
            id="functions",
        ),
    ],
)
def test_a_policy_that_tells_of_others_names_them(
    policies: list[dict[str, Any]], status: str, text: str
) -> None:
    found = [*told_of_others(policies)]
    assert [each.status for each in found] == ([status] if status else [])
    assert text in "".join(each.text for each in found)
