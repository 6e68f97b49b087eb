# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import pytest

from c7n_iamusers.exemptions import parse_rules
from c7n_iamusers.iam.permissions import GIVEN_BACK, Needed
from c7n_iamusers.organization.readiness import (
    DAYS,
    HOLE,
    OK,
    Check,
    Shared,
    exemptions_of_no_account,
    file_checks,
    shared_by,
    simulations,
    targets,
    variables_of,
)
from tests.hostile_texts import TEXTS

A, B = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{A}:role/Custodian"
ENTRY: Mapping[str, Any] = {"account_id": A, "name": "payments", "role": ROLE, "regions": ["us-east-1"]}


def checks(
    entry: Mapping[str, Any], used: Mapping[str, Any] | None = None, **shared: Any
) -> dict[str, Check]:
    (target,) = targets({"vars": shared, "accounts": [{**ENTRY, **entry}]})
    return {each.name: each for each in file_checks(target, used or {}, {"account_id"})}


@pytest.mark.parametrize(
    ("entry", "region"),
    [
        pytest.param({"regions": ["us-east-1"]}, "us-east-1", id="home"),
        pytest.param({"regions": ["eu-central-1"]}, "eu-central-1", id="one"),
        pytest.param({"regions": ["eu-central-1", "us-east-1"]}, "us-east-1", id="home-among-them"),
        pytest.param({"regions": ["eu-central-1,us-east-1"]}, "us-east-1", id="with-commas"),
        pytest.param({"regions": ["all"]}, "us-east-1", id="all"),
        pytest.param({"regions": []}, "us-east-1", id="none"),
        pytest.param(
            {"role": f"arn:aws-cn:iam::{A}:role/R", "regions": ["cn-north-1", "cn-northwest-1"]},
            "cn-north-1",
            id="cn",
        ),
    ],
)
def test_a_region_in_which_the_actions_run(entry: dict[str, Any], region: str) -> None:
    found = checks(entry)["region"]
    assert (found.status, found.text) == (OK, region)


@pytest.mark.parametrize(
    ("entry", "home"),
    [
        pytest.param({"regions": ["eu-central-1", "eu-west-1"]}, "us-east-1", id="several-without-the-home"),
        pytest.param({"role": f"arn:aws-cn:iam::{A}:role/R", "regions": []}, "cn-north-1", id="c7n-orgs-own"),
        pytest.param(
            {"role": f"arn:aws-us-gov:iam::{A}:role/R", "regions": ["us-gov-east-1", "us-east-1"]},
            "us-gov-west-1",
            id="gov",
        ),
    ],
)
def test_a_hole_where_no_region_is_the_home(entry: dict[str, Any], home: str) -> None:
    found = checks(entry)["region"]
    assert (found.status, found.remedy) == (HOLE, f"give one Region in the accounts file: regions: [{home}]")
    assert str(found.place) == f"payments ({A})"


def test_a_role_of_another_partition_than_the_regions() -> None:
    """c7n-org makes a name alone the ARN of a role in aws."""
    found = checks({"role": "CloudCustodian", "regions": ["us-gov-west-1"]})["region"]
    assert (found.status, found.text) == (
        HOLE,
        f"us-gov-west-1 is in partition aws-us-gov, and arn:aws:iam::{A}:role/CloudCustodian is not",
    )
    assert (
        found.remedy
        == f"give the whole ARN in the accounts file: role: arn:aws-us-gov:iam::{A}:role/CloudCustodian"
    )


def test_the_home_region_of_a_profile() -> None:
    entry = {"role": None, "profile": "gov", "regions": ["us-gov-east-1", "us-gov-west-1"]}
    assert checks(entry)["region"].text == "us-gov-west-1"


@pytest.mark.parametrize(
    ("entry", "shared", "status", "told"),
    [
        pytest.param({"vars": {"owner": "a@x.com"}}, {}, OK, "a@x.com", id="own"),
        pytest.param({}, {"owner": "s@x.com"}, OK, "s@x.com", id="of-all"),
        pytest.param({}, {}, HOLE, "no owner's address", id="none"),
        pytest.param({"vars": {"owner": ""}}, {"owner": "s@x.com"}, HOLE, "no owner's address", id="empty"),
        pytest.param(
            {"vars": {"owner": "Team"}}, {}, HOLE, "'Team' is not one e-mail address", id="no-address"
        ),
    ],
)
def test_the_owner(entry: dict[str, Any], shared: dict[str, Any], status: str, told: str) -> None:
    found = checks(entry, **shared)["owner"]
    assert (found.status, told in found.text, bool(found.remedy)) == (status, True, status == HOLE)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_an_accounts_name_is_a_name(text: str) -> None:
    plain = {TEXTS["link"], TEXTS["mention"]}
    found = checks({"name": text})["texts"]
    assert (found.status, bool(found.remedy)) == ((OK, False) if text in plain else (HOLE, True))


@pytest.mark.parametrize(
    ("name", "status"),
    [
        *[("999988887777", HOLE), (A, OK), ("99998888777", OK)],
        *[("us-east-1", HOLE), ("US-East-1", HOLE), ("us-east", OK)],
        *[("payments?region=us-east-1&x", HOLE), ("payments#", HOLE), ("pay%6Dents", HOLE), ("a;b", HOLE)],
    ],
)
def test_no_account_is_named_like_what_is_told_apart_by_its_name(name: str, status: str) -> None:
    assert checks({"name": name})["texts"].status == status


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        pytest.param({"contact": "c@x.com", "days": 30, "notices": "s3://b/{account_id}"}, "", id="plain"),
        pytest.param({"account_name": "Größe 日本"}, "", id="letters"),
        pytest.param({"account_name": TEXTS["jinja-expression"]}, "account_name has a template", id="jinja"),
        pytest.param({"contact": TEXTS["jinja-statement"]}, "contact has a template", id="statement"),
        pytest.param({"contact": TEXTS["jinja-comment"]}, "contact has a template", id="comment"),
        pytest.param({"contact": TEXTS["header"]}, "contact has a control character", id="header"),
        pytest.param({"contact": TEXTS["direction"]}, "contact has a control character", id="direction"),
        pytest.param({"contact": TEXTS["yaml"]}, "contact has a double quote", id="yaml"),
        pytest.param({"list": ["x", {"y": TEXTS["terminal"]}]}, "list has a control character", id="within"),
    ],
)
def test_variables_are_plain_text(variables: dict[str, Any], told: str) -> None:
    found = checks({"vars": variables})["texts"]
    assert (found.status, told in found.text) == (HOLE if told else OK, True)


@pytest.mark.parametrize(
    ("used", "told"),
    [
        pytest.param({"p": {"contact", "account_id", "account_name"}}, "", id="defined"),
        pytest.param({"p": {"url"}, "q": {"contact"}}, "not defined: url (policy p)", id="one"),
        pytest.param({"p": {"b", "a"}, "q": {"a"}}, "a, b (policy p); a (policy q)", id="several"),
    ],
)
def test_the_variables(used: dict[str, Any], told: str) -> None:
    found = checks({"vars": {"account_name": "x"}}, used, contact="c@x.com")["variables"]
    assert (found.status, told in found.text) == (HOLE if told else OK, True)


def test_without_policies_no_variable_is_asked_for() -> None:
    assert "variables" not in checks({})


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("{owner}", {"owner"}, id="alone"),
        pytest.param("iam-{account_id}-{team}", {"account_id", "team"}, id="in-a-text"),
        pytest.param("{{ account }}", set(), id="jinja"),
        pytest.param("{{account}}", set(), id="jinja-without-spaces"),
        pytest.param("arn:aws:s3:::${aws:username}", set(), id="policy-variable"),
        pytest.param("${username}", set(), id="dollar"),
        pytest.param("[].{name: UserName}", set(), id="jmespath"),
        pytest.param("{0}", set(), id="number"),
    ],
)
def test_what_is_a_variable(text: str, names: set[str]) -> None:
    assert variables_of({"actions": [{"to": [text]}], "n": 1}) == names


POLICY = {
    "name": "p",
    "filters": [{"not": [{"type": "identity-center", "role": "{center}", "region": "eu-west-1"}]}],
    "actions": [
        {
            "type": "notify-owners",
            "notices": "s3://notices/{account_id}",
            "transport": {"type": "sqs", "queue": "{queue_url}"},
        },
        "composite-delete",
    ],
}


def test_what_all_accounts_share_is_there_once() -> None:
    rows = [{"account_id": each, "role": "R", "vars": {"queue_url": "q"}} for each in (A, B)]
    found = targets({"vars": {"center": "arn:c", "identity_center_role": "arn:i"}, "accounts": rows})
    assert shared_by(found, [POLICY]) == Shared(
        ("q",), (f"s3://notices/{A}", f"s3://notices/{B}"), (("arn:c", "eu-west-1"), ("arn:i", ""))
    )


@pytest.mark.parametrize(
    ("shared", "expected"),
    [
        pytest.param({}, Shared((), (), ()), id="nothing"),
        pytest.param(
            {"queue_url": "q", "notices": "n", "identity_center_role": "arn:i"},
            Shared(("q",), ("n",), (("arn:i", ""),)),
            id="variables",
        ),
        pytest.param(
            {"identity_center_role": "arn:i", "identity_center_region": "eu-central-1"},
            Shared((), (), (("arn:i", "eu-central-1"),)),
            id="region",
        ),
        pytest.param({"queue_url": "{x}"}, Shared((), (), ()), id="undefined"),
    ],
)
def test_what_the_accounts_file_alone_names(shared: dict[str, Any], expected: Shared) -> None:
    assert shared_by(targets({"vars": shared, "accounts": [dict(ENTRY)]}), []) == expected


def test_each_action_is_asked_for_on_what_it_is_used_on() -> None:
    (target,) = targets({"accounts": [dict(ENTRY)]})
    needed = Needed(
        frozenset({"iam:DeleteUser", "iam:AttachUserPolicy", "iam:ListRoles", "s3:GetObject"}),
        frozenset({"iam:TagUser"}),
    )
    found = {each["ActionNames"][-1]: each for each in simulations(needed, target)}
    user = [f"arn:aws:iam::{A}:user/c7n-iamusers-preflight"]
    assert found["iam:TagUser"]["ResourceArns"] == user
    assert found["iam:TagUser"]["ActionNames"] == ["iam:DeleteUser", "iam:TagUser"]
    assert found["iam:ListRoles"]["ResourceArns"] == ["*"]
    (context,) = found["iam:AttachUserPolicy"]["ContextEntries"]
    assert context["ContextKeyValues"] == ["arn:aws:iam::aws:policy/AWSDenyAll"]
    assert {each["PolicySourceArn"] for each in found.values()} == {ROLE}
    # the printed role has it for the list of exemptions alone, which is an object of some bucket
    assert "s3:GetObject" not in {action for each in found.values() for action in each["ActionNames"]}


def test_what_a_release_gives_back_is_asked_for_without_a_condition() -> None:
    (target,) = targets({"accounts": [dict(ENTRY)]})
    (asked,) = simulations(Needed(GIVEN_BACK, restoring=GIVEN_BACK), target)
    assert asked["ActionNames"] == ["iam:PutUserPermissionsBoundary"]
    assert "ContextEntries" not in asked


@pytest.mark.parametrize(
    ("role", "arns"),
    [
        pytest.param("R", (f"arn:aws:iam::{A}:role/R",), id="name"),
        pytest.param(ROLE, (ROLE,), id="arn"),
        pytest.param([f"arn:aws:iam::{B}:role/Hop", ROLE], (f"arn:aws:iam::{B}:role/Hop", ROLE), id="chain"),
        pytest.param(None, (), id="none"),
    ],
)
def test_the_roles_as_c7n_org_takes_them(role: Any, arns: tuple[str, ...]) -> None:
    assert targets({"accounts": [{**ENTRY, "role": role}]})[0].roles == arns


@pytest.mark.parametrize(
    ("role", "acting"),
    [
        pytest.param("R", A, id="name"),
        pytest.param(ROLE, A, id="own"),
        pytest.param(f"arn:aws:iam::{B}:role/R", B, id="other"),
        pytest.param([f"arn:aws:iam::{B}:role/Hop", ROLE], A, id="chain-to-its-own"),
        pytest.param([ROLE, f"arn:aws:iam::{B}:role/R"], B, id="chain-to-another"),
        pytest.param(None, A, id="none"),
    ],
)
def test_the_last_role_is_of_the_account_of_its_entry(role: Any, acting: str) -> None:
    data = {"accounts": [{**ENTRY, "account_id": B, "name": "research"}, {**ENTRY, "role": role}]}
    data["accounts"][0]["role"] = "R"
    fault = f"role arn:aws:iam::{B}:role/R is in account {B}" if acting == B else ""
    assert [each.role_fault for each in targets(data, strict=False)] == ["", fault]
    with (
        pytest.raises(ValueError, match=re.escape(f"payments ({A}): {fault}: correct"))
        if fault
        else nullcontext()
    ):
        targets(data)


def test_exemptions_of_no_account() -> None:
    found = targets({"accounts": [ENTRY, {**ENTRY, "account_id": B, "name": "research", "role": "R"}]})
    named = ("", A, "Research", "pay*", "paymets", "999988887777")
    rules = [
        {"user": "x", "reason": "r", "expires": "2027-01-01", **({"account": each} if each else {})}
        for each in named
    ]
    told = exemptions_of_no_account(found, parse_rules(rules, "exempt"))
    assert told == [f'user "x" in account "{each}" until 2027-01-01' for each in named[-2:]]


@pytest.mark.parametrize("role", ["arn:aws:iam::1:role/R", [7], ["R"], 7])
def test_what_is_no_role(role: Any) -> None:
    with pytest.raises(ValueError, match=rf"account {A}: role .* is not the ARN of a role"):
        targets({"accounts": [{**ENTRY, "role": role}]})


@pytest.mark.parametrize(
    ("days", "status", "text"),
    [
        pytest.param((30, 16, 14), OK, "16 days, then 14 in quarantine", id="agree"),
        pytest.param((60, 16, 14), HOLE, "does not end after the 60 days that owners are told", id="early"),
        pytest.param((30, 16, 15), HOLE, "does not end after the 30 days", id="a-day-late"),
        pytest.param((30, 16, 14.5), OK, "then 14.5 in quarantine", id="part-of-a-day"),
        pytest.param((30, 20, 14), HOLE, "a quarantine after 20 days", id="late"),
        pytest.param(("30", 16, 14), HOLE, "announce_days is '30', and must be a number", id="quoted"),
        pytest.param((30, 16, None), None, "", id="missing"),
        pytest.param((0, 0, 0), HOLE, "quarantined_for_days is 0, and must be above 0", id="all-zero"),
        pytest.param((0, 0, 0.0001), OK, "0 days, then 0.0001 in quarantine", id="practice"),
        pytest.param((13, -1, 14), HOLE, "listen_after_days is -1, and must be 0 or more", id="negative"),
    ],
)
def test_the_days_of_an_account_agree(days: tuple[Any, ...], status: str | None, text: str) -> None:
    variables = dict(zip(DAYS, days, strict=True))
    found = checks({"vars": variables}).get("days")
    assert (found.status if found else None) == status
    assert text in (found.text if found else "")
