# SPDX-License-Identifier: Apache-2.0
"""The notices, rendered by c7n-mailer's own code."""

from __future__ import annotations

import configparser
import html
import logging
import re
import shlex
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from botocore.configloader import load_config
from c7n_mailer.utils import get_rendered_jinja

import c7n_iamusers
from c7n_iamusers.evidence.model import KINDS
from c7n_iamusers.evidence.replacements import REPLACEMENTS
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.exemptions import parse_list
from c7n_iamusers.identity_center.output.aws_config import Role, aws_config
from c7n_iamusers.notices.exemption_requests import replies
from c7n_iamusers.text.wording import all_visible
from tests.hostile_texts import INVISIBLE, TEXTS

ROOT = Path(__file__).parent.parent
TEMPLATES = Path(c7n_iamusers.__file__).parent / "mailer_templates"
FINDINGS = [
    {"id": "iam-user", "severity": "medium", "text": "The rule."},
    {"id": "expired-exemption", "severity": "medium", "text": "Exempt until 2025-12-31 <long ago>."},
]
ATTEMPT = {
    "time": "2026-11-25T09:30:00+00:00",
    "service": "ec2",
    "action": "RunInstances",
    "region": "eu-west-1",
    "address": "203.0.113.7 <b>",
}
STATES: dict[str, dict[str, Any]] = {
    "flagged": {
        "findings": FINDINGS,
        "attachments": {"access-key": 2, "login-profile": 1, "tag": 3, "group": 0},
    },
    "replaced": {
        "findings": FINDINGS,
        "provisioning": {"status": "provisioned", "username": "b@example.com", "permission-set": "Readers"},
    },
    "deleted": {"findings": FINDINGS, "outcome": {"status": "skipped", "reason": 'said "no" & left'}},
    "denied": {
        "findings": FINDINGS,
        "outcome": {"status": "quarantined", "time": "2026-12-10T08:00:00", "reason": "kept <active>"},
        "notice": {"denied-since": "2026-12-10", "day": "2026-12-24"},
    },
    "overdue": {
        "findings": FINDINGS,
        "notice": {
            "day": "2026-12-24",
            "overdue": 3,
            "group": "in-use",
            "text": "in use: its key was used <today>",
        },
    },
    "created": {
        "findings": FINDINGS,
        "attachments": {"group": 1},
        "unread": ["login-profile", "access-key"],
        "created": {"event": "CreateAccessKey", "text": "CreateAccessKey by <root>"},
        "would-be-exempt": 'user "git-*" (<why>)',
        "outcome": {"status": "quarantined", "reason": "denied <everything>"},
    },
    "attempted": {
        "findings": FINDINGS,
        "attempts": {"state": "attempted", "quarantined": True, "attempts": [ATTEMPT]},
    },
    "keys-flagged": {
        "key": {
            "used": "2026-08-01T10:00:00+00:00",
            "service": "s3 <x>",
            "region": "eu-west-1",
            "created": "2024-03-01T00:00:00+00:00",
            "as_of": "2026-11-24T04:00:00+00:00",
        },
        "kind": "machine",
        "replacement": ["role"],
        "findings": [{"id": "key-superseded", "severity": "medium", "text": "Superseded by <another>."}],
        "notice": {
            "announced": "2026-11-24",
            "day": "2026-12-24",
            "group": "goes",
            "text": "inactive on 2026-12-10, deleted on 2026-12-24",
            "denied": "2026-12-10",
            "deleted": "2026-12-24",
        },
    },
    "keys-changed": {
        "key": {"used": False, "created": "2024-03-01T00:00:00+00:00"},
        "outcome": {
            "status": "deactivated",
            "time": "2026-12-10T08:00:00+00:00",
            "reason": "it can be <given back> until it is deleted",
        },
        "notice": {"day": "2026-12-24"},
    },
    "used": {"used": {"text": "console sign-in from 203.0.113.7, which <failed>"}},
    "your-access": {
        "findings": FINDINGS,
        "provisioning": {"status": "provisioned", "username": "b@example.com", "permission-set": "Readers"},
    },
}


def is_of_keys(state: str) -> bool:
    """Whether a message of this state is about single access keys."""
    return state.startswith("keys-")


def message(state: str, days: int | None = 30) -> dict[str, Any]:
    """What c7n's notify puts into the queue, decoded."""
    marks = [{"type": "mark-for-op", "days": days}] if days is not None else []
    return {
        "account": "payments",
        "account_id": "111122223333",
        "region": "us-east-1",
        "execution_start": 1764000000,
        "policy": {"name": "iam-users", "resource": "aws.iam-user", "actions": [*marks, {"type": "notify"}]},
        "action": {
            "template": f"iam-{'' if is_of_keys(state) else 'users-'}{state}.html",
            "slack_template": "slack_iam_users",
            "to": ["account-emails", "owner@example.com"],
            "contact": "cloud@example.com",
            "start-url": "https://d-1.awsapps.com/start",
        },
    }


def user(state: str, name: str = "a+b=c,d.e@f-g") -> dict[str, Any]:
    known = {"UserName": name, "Path": "/eng/", "PasswordLastUsed": "2026-10-01T00:00:00+00:00"}
    key = {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"} if is_of_keys(state) else {}
    return {**known, **key, "c7n:IamUser": STATES[state]}


def render(
    state: str,
    kind: str,
    resources: list[dict[str, Any]],
    days: int | None = 30,
    to: str = "x",
    account: str = "payments",
    **action: Any,
) -> str:
    told = {**message(state, days), "account": account}
    told["action"] = {**told["action"], **action}
    text: str | None = get_rendered_jinja(
        to, told, resources, logging.getLogger(), kind, "default", [str(TEMPLATES)]
    )
    assert text
    # a tag parts what a mail program would make a link of, and keeps a date on one line
    return re.sub(r'<span(?: class="day")?>(\.|//|\d{4}-\d\d-\d\d[^<]*)</span>', r"\1", text)


@pytest.mark.parametrize("state", STATES)
def test_mails_name_account_users_and_the_way_in(state: str) -> None:
    text = render(state, "template", [user(state), user(state, "second")])
    # who calls as a user in quarantine, or has a new one, is not yet known to be a person
    # nor has anybody who was not deleted lost anything
    way_in = (
        ()
        if state in ("attempted", "created", "deleted", "used") or is_of_keys(state)
        else ("https://d-1.awsapps.com/start", "first time")
    )
    for expected in ("111122223333", "payments", "a+b=c,d.e@f-g", "second", *way_in):
        assert expected in text


def test_the_flag_notice_tells_what_why_and_when() -> None:
    text = render("flagged", "template", [user("flagged")])
    assert "1 password, 2 access keys" in text
    assert "2026-10-01" in text
    assert "1 IAM user in this account is to be deleted on or after <b>20" in text
    assert "in use, that a role trusts, or whose person has no other access yet is skipped." in text
    assert "Exempt until 2025-12-31 &lt;long ago&gt;." in text
    assert "on or after" not in render("flagged", "template", [user("flagged")], days=None)


def noticed(name: str, day: str) -> dict[str, Any]:
    """A user as notify-owners sends it."""
    notice = {"announced": "2026-11-01", "day": day}
    return {**user("flagged", name), "c7n:IamUser": {**STATES["flagged"], "notice": notice}}


def naming(*resources: str, **known: Any) -> dict[str, Any]:
    """A user that policies of ``resources`` name."""
    place = {"service": "s3", "region": "eu-west-1", "where": "Principal of statement 1"}
    finding = {"id": "resource-policy-names-user", "severity": "medium", "text": "A text of its own."}
    named = [{**place, "resource": each} for each in resources]
    annotation = {**STATES["flagged"], "findings": [*FINDINGS, finding], "named_by": named, **known}
    return {**user("flagged"), "c7n:IamUser": annotation}


def test_a_notice_says_what_breaks() -> None:
    text = render("flagged", "template", [naming("arn:aws:s3:::b0", "arn:aws:s3:::b1")])
    place = "(Principal of statement 1)"
    assert f"<b>Breaks when it is deleted:</b> arn:aws:s3:::b0 {place}, arn:aws:s3:::b1 {place}<br>" in text
    assert "A text of its own" not in text
    many = render("flagged", "template", [naming(*(f"arn:aws:s3:::b{each}" for each in range(9)))])
    assert "arn:aws:s3:::b4 (Principal of statement 1) and 4 more<br>" in many
    assert "&lt;b&gt;" in render("flagged", "template", [naming("arn:aws:s3:::<b>")])


def test_a_notice_says_that_it_is_not_known_what_breaks() -> None:
    assert "What breaks when it is deleted is not known" in render(
        "flagged", "template", [naming(named_by=None, findings=FINDINGS)]
    )
    assert "reaks when it is deleted" not in render("flagged", "template", [naming(findings=FINDINGS)])
    assert "reaks when it is deleted" not in render("flagged", "template", [user("flagged")])


PRIORITY = {"number": 2, "of": 9, "text": "AKIA1: active, used from outside AWS (8.8.8.8), 412 days old"}
CALLER = "Passed in code (as the SDK reports) at 8.8.8.8, boto3 1.34.0, s3 in eu-west-1, last 2026-11-20, 312 calls"


def called_by(state: str, *callers: str, **more: Any) -> dict[str, Any]:
    """A user, or key, with one access key that ``callers`` use."""
    key = {
        "id": "AKIA1",
        "result": "calls",
        "text": "; ".join(callers),
        "callers": [{"text": each} for each in callers],
    }
    known = {**STATES[state], "usage": [{**key, **more}], "priority": PRIORITY}
    return {**user(state), "c7n:IamUser": known}


@pytest.mark.parametrize("state", ["flagged", "keys-flagged"])
def test_a_notice_says_who_calls_and_what_to_do_first(state: str) -> None:
    text = render(state, "template", [called_by(state, CALLER)])
    assert f"<b>Priority 2 of 9</b>: {PRIORITY['text']}<br>" in text
    assert f"<b>AKIA1</b>: {CALLER}<br>" in text
    many = render(
        state, "template", [called_by(state, CALLER, "At 9.9.9.9, boto3", "x", "y", **{"more-callers": 3})]
    )
    assert f"{CALLER}; At 9.9.9.9, boto3; and 5 more<br>" in many
    none = called_by(state, result="data-plane-only", text="last used on 2026-11-20 for s3, data plane only")
    assert "<b>AKIA1</b>: last used on 2026-11-20 for s3, data plane only<br>" in render(
        state, "template", [none]
    )


def test_a_long_list_names_one_caller_of_each_key() -> None:
    rows = [called_by("flagged", CALLER, "second") for _ in range(61)]
    assert f"{CALLER}; and 1 more<br>" in render("flagged", "template", rows)


def test_a_notice_says_that_it_is_not_known_who_calls() -> None:
    unlisted = {**user("flagged"), "c7n:IamUser": {**STATES["flagged"], "usage": None}}
    assert "Who calls with its access keys is not known" in render("flagged", "template", [unlisted])
    assert "Priority" not in render("flagged", "template", [user("flagged")])


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("state", ["flagged", "keys-flagged"])
def test_what_a_caller_says_of_itself_is_text_in_a_mail(state: str, name: str) -> None:
    hostile = str(all_visible(TEXTS[name]))
    plain = render(state, "template", [called_by(state, "x")])
    text = render(state, "template", [called_by(state, hostile, hostile)])
    tags = re.compile(r"<[a-z!/][^>]*>")
    added = [each for each in tags.findall(text) if each not in ("<span>", "</span>", '<span class="day">')]
    assert added == [
        each for each in tags.findall(plain) if each not in ("<span>", "</span>", '<span class="day">')
    ]
    assert not INVISIBLE & set(text)


@pytest.mark.parametrize("days", [30, None], ids=["beside-a-mark", "alone"])
def test_the_day_is_that_of_the_notice(days: int | None) -> None:
    """Of the record, and not of the day on which a reminder is sent, nor of a tag."""
    text = render("flagged", "template", [noticed("a", "2026-12-24"), noticed("b", "2026-12-24")], days=days)
    assert text.count("2026-12-24") == 2  # in the head, and where it says until when to act
    assert "2 IAM users in this account are to be deleted on or after <b>2026-12-24</b>" in text


def fated(name: str, group: str, text: str, **more: Any) -> dict[str, Any]:
    """A user as an announcement of today has it (``Forecast.as_data``)."""
    row = noticed(name, "2026-12-24")
    notice = {**row["c7n:IamUser"]["notice"], "group": group, "text": text, **more}
    return {**row, "c7n:IamUser": {**row["c7n:IamUser"], "notice": notice}}


GOING = fated(
    "going",
    "goes",
    "denied everything on 2026-12-10, deleted on 2026-12-24",
    denied="2026-12-10",
    deleted="2026-12-24",
)
HELD_BACK = fated(
    "held",
    "goes",
    "denied everything since 2026-12-10, deleted on 2026-12-24",
    **{"is-denied": True},
    deleted="2026-12-24",
)
USED_NOW = fated("busy", "in-use", "in use: active within 30 days: its password was used <today>")
LACKING = fated("jane", "replace-first", "needs a replacement first: no user has that name")
MANAGED = fated(
    "managed",
    "stays",
    "denied everything on 2026-12-10, not deleted: CloudFormation manages it",
    denied="2026-12-10",
)
MANAGED["c7n:IamUser"]["managed"] = [{"by": "CloudFormation", "text": "CloudFormation manages it"}]
GOING_MANAGED = {
    **GOING,
    "c7n:IamUser": {
        **GOING["c7n:IamUser"],
        "managed": [{"text": "Terraform manages it in <b>: delete it there"}],
    },
}


KEY_DENIED = {"denied": "2026-12-10", "deleted": "2026-12-24"}


def key(
    number: int, group: str = "", text: str = "", /, outcome: Any = None, **notice: Any
) -> dict[str, Any]:
    """An access key, as a message about keys has it. ``group``: of its forecast; empty for what became of it."""
    known: dict[str, Any] = {"key": {"used": "2026-08-01T10:00:00+00:00", "created": "2024-03-01T00:00:00"}}
    if outcome:
        known["outcome"] = {"time": "2026-12-10T08:00:00+00:00", **outcome}
    if group:
        notice = {"announced": "2026-11-24", "day": "2026-12-24", "group": group, "text": text, **notice}
    known["notice"] = notice
    return {"UserName": f"bot-{number}", "AccessKeyId": f"AKIA{number:016}", "c7n:IamUser": known}


KEYS = [
    key(1, "goes", "inactive on 2026-12-10, deleted on 2026-12-24", **KEY_DENIED),
    key(
        2,
        "goes",
        "inactive already, deleted on 2026-12-24 or later",
        **{"is-denied": True},
        deleted="2026-12-24",
    ),
    key(3, "in-use", "in use: active within 30 days: used on 2026-11-20"),
    key(4, "stays", "left alone: it is the last active key of a user in use"),
]
KEY_OUTCOMES = [
    key(1, outcome={"status": "deactivated", "reason": "it can be given back"}, day="2026-12-24"),
    key(2, outcome={"status": "retired", "reason": "it was inactive since 2026-11-26 08:00 UTC"}),
    key(3, outcome={"status": "activated", "reason": ""}),
    key(4, outcome={"status": "skipped", "reason": "it is in use"}),
    key(5, outcome={"status": "failed", "reason": "AccessDenied"}),
]
#: What mails and Slack say of KEYS, and of KEY_OUTCOMES, before their lists.
SAID_OF_KEYS = [
    "1 is to be made inactive on 2026-12-10 and deleted on 2026-12-24",
    "1 is inactive already, and to be deleted on 2026-12-24 or later",
    "1 is in use, and left alone while used: move it by 2026-12-24",
    "1 is left alone for another reason",
    "To be made inactive and deleted: does nobody need it? Do nothing.",
    "An inactive key is given back on request, as it was, until it is deleted.",
    "Inactive already: has nothing stopped? Do nothing.",
    "In use: move its program to a role, and stop using the key, by 2026-12-24. Once it was not used for 30 days, it "
    "is made inactive, and deleted later, without another announcement.",
    "Left alone: its row says why.",
    "A deleted key can't come back: nobody can read its secret any more, and a new key has another id",
    "each key's user, and the user's other key, stay as they are.",
    "To be made inactive and deleted: 1",
    "Inactive, to be deleted: 1",
    "In use: 1",
    "Left alone: 1",
]
SAID_OF_KEY_OUTCOMES = [
    "1 was made inactive, and is deleted on 2026-12-24 or later",
    "1 was deleted",
    "1 was given back, and works as before",
    "1 failed: it is tried again, and you need do nothing",
    "1 was left alone",
    "Made inactive: has nothing stopped? Do nothing. Has something stopped?",
    "before 2026-12-24: until it is deleted, it is given back on request, as it was.",
    "Deleted: it can't come back: nobody can read its secret any more",
    "Given back: move its program to a role. The key is left alone until it is announced again.",
    "each key's user, and the user's other key, stay as they are.",
]


@pytest.mark.parametrize(
    ("state", "rows", "said", "of_rows"),
    [
        pytest.param(
            "keys-flagged",
            KEYS,
            [
                *SAID_OF_KEYS,
                "Ask by the link in its row, by 2026-12-10.",
                "Ask by the link in its row, before 2026-12",
            ],
            [
                "Inactive on 2026-12-10, deleted on 2026-12-24",
                "Inactive already, deleted on 2026-12-24 or later",
                "In use: active within 30 days: used on 2026-11-20",
                "Left alone: it is the last active key of a user in use",
            ],
            id="announced",
        ),
        pytest.param(
            "keys-changed",
            KEY_OUTCOMES,
            SAID_OF_KEY_OUTCOMES,
            [
                "Inactive since 2026-12-10, deleted on 2026-12-24 or later It can be given back",
                "Deleted on 2026-12-10 It was inactive since 2026-11-26 08:00 UTC",
                "Given back on 2026-12-10",
                "Left alone It is in use",
                "Failed AccessDenied",
            ],
            id="changed",
        ),
    ],
)
def test_a_mail_about_keys_says_first_what_becomes_of_each_and_what_to_do(
    state: str, rows: list[dict[str, Any]], said: list[str], of_rows: list[str]
) -> None:
    text = in_lines(render(state, "template", rows, days=None).partition("</head>")[2])
    assert [each for each in said if each not in text] == []
    places = [text.index(f"AKIA{number:016}") for number in range(1, len(rows) + 1)]
    assert text.index("What to do") < min(places)
    # the row of each key begins with its fate
    for number, fate in enumerate(of_rows, 1):
        assert f"bot-{number}AKIA{number:016} {fate}" in text


@pytest.mark.parametrize(
    ("rows", "step", "title"),
    [
        pytest.param(KEYS[:1], "announce", "Access key to be deleted", id="one"),
        pytest.param(KEYS, "announce", "Access keys to be deleted", id="several"),
        pytest.param(KEYS[1:2], "remind", "Reminder: access key to be deleted", id="reminder"),
        pytest.param(KEYS[2:3], "announce", "Access key in use", id="in-use"),
        pytest.param(KEYS[3:], "announce", "Access key left alone", id="stays"),
    ],
)
def test_the_title_of_a_mail_about_keys_promises_no_deletion_of_others(
    rows: list[dict[str, Any]], step: str, title: str
) -> None:
    text = render("keys-flagged", "template", rows, days=None, step=step)
    assert f">{title}</h1>" in text
    assert "Reminder" in text or step != "remind"
    assert ("A deleted key can't come back" in in_lines(text)) == (rows[0] in KEYS[:2])


@pytest.mark.parametrize(
    ("used", "said"),
    [
        pytest.param(
            "2026-08-01T10:00:00+00:00",
            "Last used on 2026-08-01 for s3 in eu-west-1, as of 2026-11-24",
            id="used",
        ),
        pytest.param(False, "Never used as of 2026-11-24; created on 2024-03-01", id="never"),
        pytest.param(None, "AWS does not say when it was last used; created on 2024-03-01", id="unknown"),
    ],
)
def test_the_use_of_a_key_is_said_with_its_day_or_as_unknown(used: Any, said: str) -> None:
    row, where = (
        key(1, "goes", "deleted on 2026-12-24"),
        {"service": "s3", "region": "eu-west-1"} if used else {},
    )
    about = {**row["c7n:IamUser"]["key"], "used": used, "as_of": "2026-11-24T04:00:00+00:00", **where}
    row["c7n:IamUser"] = {**row["c7n:IamUser"], "key": about}
    assert said in in_lines(render("keys-flagged", "template", [row], days=None))


def test_a_key_whose_exemption_ended_is_named_as_such() -> None:
    row = key(1, "goes", "deleted on 2026-12-24", **{"was-exempt": "exempt by <a rule>"})
    for kind in ("template", "slack_template"):
        text = render("keys-flagged", kind, [row], days=None)
        assert "It was exempt by " in text
        assert "<a rule>" not in text


@pytest.mark.parametrize("name", ["jane.doe", 'x"<b>&?body=y', "\u2028a b"])
def test_a_link_asks_for_one_key_and_for_nothing_else(name: str) -> None:
    rows = [{**each, "UserName": name} for each in KEYS[:2]]
    links = re.findall(r'href="(mailto:[^"]*)"', render("keys-flagged", "template", rows, days=None))
    assert len(links) == 2
    for number, (link, said) in enumerate(zip(links, ("must stay", "must come back"), strict=True), 1):
        parsed = urllib.parse.urlsplit(html.unescape(link))
        query = urllib.parse.parse_qs(parsed.query, strict_parsing=True)
        assert (parsed.path, sorted(query)) == ("cloud@example.com", ["body", "subject"])
        assert query["subject"] == [
            f"Access key AKIA{number:016} of {name} in account 111122223333 (payments)"
        ]
        assert said in query["body"][0]


def test_sixty_keys_with_links_are_not_cut_off_by_gmail() -> None:
    rows = [{**KEYS[0], "UserName": f"user-{number:055}"} for number in range(60)]
    assert len(render("keys-flagged", "template", rows, days=None).encode()) < 102_000


def in_lines(text: str) -> str:
    """What people read of a mail, with single spaces."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", text)).split())


@pytest.mark.parametrize(
    ("rows", "said", "unsaid"),
    [
        pytest.param(
            [GOING, USED_NOW, LACKING],
            [
                "This mail is about 3 IAM users: 1 is to be denied everything on 2026-12-10 and deleted on 2026-12-24",
                "1 is in use: move it by 2026-12-24",
                "1 needs a replacement first, and stays until then",
                "What to do To be deleted: does nobody need it? Do nothing.",
                "In use: replace it as its row says, and stop using it, by 2026-12-24; "
                "or ask for it to stay by the link in its row.",
                "You don't create a person's replacement: cloud@example.com does.",
                "To be denied and deleted: 1",
                "In use: active within 30 days: its password was used <today>",
            ],
            ["left alone for another reason", "denied everything already"],
            id="three-groups",
        ),
        pytest.param(
            [USED_NOW, USED_NOW],
            [
                "This mail is about 2 IAM users: 2 are in use: move them by 2026-12-24",
                "What to do In use: replace it as its row says",
            ],
            ["to be denied", "deleted on", "replacement first"],
            id="nobody-goes",
        ),
        pytest.param(
            [HELD_BACK],
            [
                "1 is denied everything already, and to be deleted on 2026-12-24",
                "Denied everything since 2026-12-10, deleted on 2026-12-24",
            ],
            ["to be denied everything"],
            id="denied-already",
        ),
        pytest.param(
            [MANAGED, GOING_MANAGED],
            [
                "1 is left alone for another reason; of these, 1 denied everything, as its row says, and not deleted",
                "Denied everything on 2026-12-10, not deleted: CloudFormation manages it",
                "Terraform manages it in <b>: delete it there",
            ],
            ["1 is left alone for another reason Before"],
            id="managed-as-code",
        ),
    ],
)
def test_a_mail_says_first_what_becomes_of_whom_and_what_to_do(
    rows: list[dict[str, Any]], said: list[str], unsaid: list[str]
) -> None:
    text = in_lines(render("flagged", "template", rows, days=None).partition("</head>")[2])
    assert [each for each in said if each not in text] == []
    assert [each for each in unsaid if each in text] == []
    assert text.index("What to do") < text.index(rows[0]["UserName"])


@pytest.mark.parametrize(
    ("rows", "title"),
    [
        pytest.param([GOING], "IAM user to be deleted", id="one"),
        pytest.param([GOING, HELD_BACK], "IAM users to be deleted", id="deleted"),
        pytest.param([GOING, USED_NOW], "IAM users to be deleted or moved", id="both"),
        pytest.param([LACKING], "IAM user to be moved", id="moved"),
    ],
)
def test_a_title_promises_no_deletion_of_whom_it_is_not_about(rows: list[dict[str, Any]], title: str) -> None:
    text = render("flagged", "template", rows, days=None)
    assert f"{title}</h1>" in text


def test_a_brownout_is_of_the_users_that_are_to_be_deleted() -> None:
    dark = fated("going", "goes", "deleted on 2026-12-24", deleted="2026-12-24", brownout="2026-12-03")
    text = in_lines(render("flagged", "template", [dark, USED_NOW, LACKING], days=None))
    assert "on or after 2026-12-03, the user to be deleted is denied everything for some minutes" in text


def test_an_overdue_mail_says_what_to_do_about_who_needs_a_replacement() -> None:
    row = fated("jane", "replace-first", "needs a replacement first: no user has that name", overdue=2)
    row["c7n:IamUser"]["notice"]["day"] = "2026-11-01"
    text = in_lines(render("overdue", "template", [row]))
    assert "say by the link in its row whose it is, or that nobody needs it" in text
    assert "Whose is it? Or does nobody need it?" in text
    assert "Was to be moved by 2026-11-01" in text
    assert "This mail comes again every 7 days" in text


def test_a_user_that_came_back_is_named_as_such() -> None:
    row = noticed("a", "2026-12-24")
    row["c7n:IamUser"]["notice"]["came-back"] = "came back: a user of this name was <gone>"
    assert "came back: a user of this name was &lt;gone&gt;.</b>" in render("flagged", "template", [row])


def test_the_call_that_created_a_credential_is_named() -> None:
    text = render("created", "template", [user("created")])
    assert "CreateAccessKey by &lt;root&gt;" in text
    assert "<b>quarantined</b>: denied &lt;everything&gt;" in text
    assert "1 group; not read yet: login profile, access key" in text
    assert "Matching exemption: user &#34;git-*&#34; (&lt;why&gt;)." in text
    assert "Matching exemption: user" in render("created", "slack_template", [user("created")])


def test_an_alarm_says_what_was_done() -> None:
    text = render("used", "template", [user("used")])
    assert "console sign-in from 203.0.113.7, which &lt;failed&gt;" in text
    assert "Say so at once to cloud@example.com" in text


def test_days_that_differ_stand_beside_each_user() -> None:
    rows = [noticed("a", "2026-12-24"), noticed("b", "2026-12-31")]
    text = render("flagged", "template", rows, days=None)
    assert "each on or after its day" in text
    assert text.index("2026-12-24") < text.index("2026-12-31")


@pytest.mark.parametrize(("step", "said"), [("announce", False), ("remind", True)])
def test_a_reminder_says_that_it_is_one(step: str, said: bool) -> None:
    rows = [noticed("a", "2026-12-24")]
    text = render("flagged", "template", rows, days=None, step=step)
    assert ("Reminder: IAM user to be deleted" in text) == said


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({"badge": 1, "tag": 2}, "Attached: 1 badge<"),
        ({"access-key": 1, "badge-of-honour": 2}, "Attached: 1 access key, 2 badge of honours<"),
    ],
    ids=["one", "several"],
)
def test_a_kind_without_words_of_its_own_is_named_too(held: dict[str, int], told: str) -> None:
    flagged = {**user("flagged"), "c7n:IamUser": {**STATES["flagged"], "attachments": held}}
    assert told in re.sub(r"\s*([<>])\s*", r"\1", render("flagged", "template", [flagged]))


def test_who_has_no_replacement_is_not_told_to_have_one() -> None:
    failed = {"provisioning": {"status": "failed", "reason": "no e-mail"}}
    without = {**user("replaced", "bob"), "c7n:IamUser": failed}
    have, lack = render("replaced", "template", [user("replaced"), without]).split("Not yet: these people")
    assert "b@example.com" in have
    assert "bob" not in have
    assert "no e-mail" in lack
    alone = render("replaced", "template", [without])
    assert "People without a replacement" in alone
    assert "How to sign in" not in alone


PENDING = {"state": "pending", "reason": "bob does not hold Readers"}
HELD = {
    "state": "provisioned",
    "reason": "b holds R",
    "username": "b@example.com",
    "permission-set": "Readers",
}
INTENDED = {
    "status": "intended",
    "reason": "see x.json",
    "username": "b@example.com",
    "permission-set": "Readers",
}
NOT_YET, ON_ITS_WAY = "Not yet: these people have no replacement", "is on its way"


@pytest.mark.parametrize(
    ("known", "said", "unsaid"),
    [
        pytest.param(
            {"provisioning": INTENDED},
            [ON_ITS_WAY, "b@example.com", "Readers", "How to sign in then", "as soon as you can sign in"],
            [NOT_YET, "x.json", "These people have access", "Check now"],
            id="intended",
        ),
        pytest.param(
            {"identity-center": HELD},
            ["These people have access", "b@example.com", "Readers", "How to sign in"],
            [NOT_YET, ON_ITS_WAY, "needs a tag"],
            id="provisioned-by-the-filter",
        ),
        pytest.param(
            {"identity-center": {**HELD, "state": "used"}},
            ["These people have access", "b@example.com"],
            [NOT_YET, ON_ITS_WAY],
            id="used-by-the-filter",
        ),
        pytest.param(
            {"identity-center": PENDING},
            [NOT_YET, "bob does not hold Readers"],
            ["needs a tag", "How to sign in", "These people have access"],
            id="pending",
        ),
        pytest.param(
            {"identity-center": PENDING, "provisioning": STATES["replaced"]["provisioning"]},
            ["These people have access"],
            [NOT_YET, "bob does not hold Readers"],
            id="provisioned-since-the-filter",
        ),
        pytest.param(
            {},
            [NOT_YET, "needs a tag with the e-mail address"],
            ["on its way", "How to sign in"],
            id="nobody-knows",
        ),
    ],
)
def test_nobody_is_told_what_is_not_so(known: dict[str, Any], said: list[str], unsaid: list[str]) -> None:
    text = render(
        "replaced", "template", [{**user("replaced"), "c7n:IamUser": {"findings": FINDINGS, **known}}]
    )
    assert [each for each in said if each not in text] == []
    assert [each for each in unsaid if each in text] == []


def test_who_has_an_email_is_not_said_to_lack_it() -> None:
    tagged = {**user("replaced"), "Tags": [{"Key": "Email", "Value": "b@example.com"}], "c7n:IamUser": {}}
    text = render("replaced", "template", [tagged])
    assert "no access was prepared for it yet" in text
    assert "needs a tag" not in text


def test_one_mail_can_hold_all_three() -> None:
    rows = [{"provisioning": INTENDED}, {"identity-center": HELD}, {"identity-center": PENDING}]
    text = render("replaced", "template", [{**user("replaced"), "c7n:IamUser": known} for known in rows])
    assert text.index("These people have access") < text.index("On its way") < text.index(NOT_YET)
    assert text.count("How to sign in") == 1


BROKE, SIGN_IN = "If something broke", "How to sign in"


@pytest.mark.parametrize(
    ("users", "said", "unsaid"),
    [
        pytest.param(
            {"bob": ("skipped", "human")},
            ["No IAM user was deleted on 20", "1 is still there", "<b>not deleted</b>: because"],
            [BROKE, SIGN_IN, "0 IAM", "Deleted, with everything attached"],
            id="nobody",
        ),
        pytest.param(
            {"bob": ("deleted", "machine"), "amy": ("failed", "human"), "eve": ("skipped", "human")},
            [
                "1 IAM user was deleted",
                "2 are still there",
                BROKE,
                "<b>failed</b>: because",
                "not deleted</b>: because",
            ],
            [SIGN_IN],
            id="a-machine",
        ),
        pytest.param(
            {"bob": ("deleted", "no-credentials"), "amy": ("deleted", "mixed")},
            ["2 IAM users were deleted on 20", BROKE, SIGN_IN],
            ["still there", "not deleted"],
            id="a-person",
        ),
        pytest.param({"bob": ("deleted", None)}, [BROKE, SIGN_IN], [], id="of-unknown-kind"),
    ],
)
def test_a_deletion_mail_says_what_was_done(
    users: dict[str, tuple[str, str | None]], said: list[str], unsaid: list[str]
) -> None:
    rows = [
        {
            **user("deleted", name),
            "c7n:IamUser": {"kind": kind, "outcome": {"status": status, "reason": "because"}},
        }
        for name, (status, kind) in users.items()
    ]
    text = render("deleted", "template", rows)
    assert [each for each in ["IAM users: what was done</h1>", *said] if each not in text] == []
    assert [each for each in unsaid if each in text] == []


def test_what_people_write_is_escaped() -> None:
    assert "said &#34;no&#34; &amp; left" in render("deleted", "template", [user("deleted")])


def test_the_mail_on_the_day_says_who_since_when_until_when_and_how_it_comes_back() -> None:
    late = {"UserName": "late", "c7n:IamUser": {"outcome": STATES["denied"]["outcome"]}}
    failed = {"status": "failed", "reason": "its Deny <failed>", "time": "2026-12-10T08:00:00"}
    half = {"UserName": "half", "c7n:IamUser": {**STATES["denied"], "outcome": failed}}
    text = in_lines(
        render("denied", "template", [user("denied", "jane.doe"), late, half]).partition("</head>")[2]
    )
    for said in (
        "Access has stopped",
        "3 IAM users are denied everything",
        "Nothing is deleted before 2026-12-24, and until then everything can be given back",
        "jane.doe/eng/ Denied everything since 2026-12-10, deleted on 2026-12-24 or later",
        "late Denied everything since 2026-12-10 Last seen",  # of an earlier run, whose owner was not told
        "its Deny <failed>",
        'c7n-iamusers user -c accounts-restore.yml -a "111122223333" --give-back -- "USER"',
    ):
        assert said in text


def test_the_mail_on_deactivated_credentials_says_since_when_the_user_is_denied() -> None:
    row = user("denied")
    notice = {"denied-since": "2026-12-03", "deactivated": "2026-12-10", "day": "2026-12-17"}
    row["c7n:IamUser"] = {**row["c7n:IamUser"], "notice": notice}
    told = "enied everything since 2026-12-03, credentials deactivated on 2026-12-10, deleted on 2026-12-17 or later"
    for kind in ("template", "slack_template"):
        text = render("denied", kind, [row])
        assert "Credentials are deactivated" in text
        assert told in in_lines(text)
        assert "Access has stopped" in render("denied", kind, [row, user("denied", "new")])


@pytest.mark.parametrize("status", ["released", "restored"])
def test_what_is_said_of_who_was_given_back_is_a_sentence(status: str) -> None:
    outcome = {"status": status, "reason": "in quarantine since 2026-12-03 08:00 UTC"}
    row = {**user("deleted"), "c7n:IamUser": {"outcome": outcome}}
    assert ". In quarantine since 2026-12-03" in in_lines(render("deleted", "template", [row]))


def test_a_request_to_give_back_has_the_line_that_does_it() -> None:
    named: dict[str, Any] = {"account-name": 'a`b$(c)" & d'}
    text = render("denied", "template", [user("denied", "jane.doe")], **named)
    link = re.search(r'href="(mailto:[^"]*)"', text)
    assert link
    line = 'c7n-iamusers user -c accounts-restore.yml -a "ab(c) & d" --give-back -- "jane.doe"'
    assert line in body_of(html.unescape(link[1]))
    assert line in in_lines(text)


@pytest.mark.parametrize("name", ["-rf", "--yes", "a b; c `d` $(e)", 'x" | sh #'])
def test_no_name_is_an_option_or_a_command_in_that_line(name: str) -> None:
    text = in_lines(render("denied", "template", [user("denied", name)]))
    (line,) = re.findall(r"c7n-iamusers user .*", text)
    words = shlex.split(line)
    assert words[words.index("--give-back") + 1] == "--"
    assert words[words.index("--") + 1] == re.sub(r'["$`\\\\]', "", name)


@pytest.mark.parametrize(
    ("status", "title"),
    [("quarantined", "Access has stopped</h1>"), ("browned-out", "Access has stopped for some minutes</h1>")],
)
def test_a_brownout_is_said_to_end_by_itself(status: str, title: str) -> None:
    outcome = {"status": status, "reason": "until 2026-12-10 08:15:00 UTC, when its Deny-all ends by itself"}
    text = render("denied", "template", [{"UserName": "bot", "c7n:IamUser": {"outcome": outcome}}])
    assert title in text
    assert ("Denied everything until 2026-12-10 08:15:00 UTC" in text) == (status == "browned-out")


@pytest.mark.parametrize("state", ["denied", "overdue", "keys-flagged"])
def test_a_long_list_is_the_last_of_a_mail(state: str) -> None:
    """Gmail cuts mails off."""
    rows, further = [user(state, f"user-{number}") for number in range(61)], "How to sign in instead"
    further = "When a key stays" if is_of_keys(state) else further
    text = render(state, "template", rows)
    assert text.index(further) < text.index("user-0")
    assert text.count("mailto:") <= 1
    short = render(state, "template", rows[:60])
    assert short.index("user-59") < short.index(further)
    assert short.count("mailto:") >= 60


def test_an_overdue_mail_is_numbered_and_says_who_gets_it_next() -> None:
    more: dict[str, Any] = {"every": 7, "escalate-after": 4, "escalate-to": ["ops@example.com"]}
    text = in_lines(render("overdue", "template", [user("overdue")], **more).partition("</head>")[2])
    for said in (
        "1 IAM user should have been moved by now, and is still here. This is message 3 about it.",
        "every 7 days until it is moved; after 4 messages ops@example.com gets it too",
        "Nothing is deleted for being overdue.",
        "In use: its key was used <today>",
        "Was to be moved by 2026-12-24, message 3",
    ):
        assert said in text


def test_no_mail_says_that_a_user_with_attempts_under_its_deny_is_deleted() -> None:
    text = in_lines(render("attempted", "template", [user("attempted")]))
    assert "It is never deleted under this Deny." in text
    assert "Once the users' day has come" not in text


def test_the_mail_on_attempts_says_what_when_and_from_where() -> None:
    text = render("attempted", "template", [user("attempted")])
    for expected in ("ec2 RunInstances", "2026-11-25 09:30 UTC", "from 203.0.113.7 &lt;b&gt; in eu-west-1"):
        assert expected in text
    assert "cloud@example.com" in text


@pytest.mark.parametrize(
    ("attempt", "quarantined", "expected", "absent"),
    [
        pytest.param({"error": "AccessDenied"}, True, "eu-west-1: AccessDenied", "not denied", id="denied"),
        pytest.param({"source": "cloudtrail"}, True, "eu-west-1: not denied", "AccessDenied", id="allowed"),
        pytest.param({"source": "last-used"}, True, "in eu-west-1</p>", "not denied", id="not-known"),
        pytest.param({}, False, "is still in use", "quarantine began", id="in-no-quarantine"),
    ],
)
def test_the_mail_on_attempts_claims_no_denial_that_is_not_known(
    attempt: dict[str, str], quarantined: bool, expected: str, absent: str
) -> None:
    attempts = {"state": "attempted", "quarantined": quarantined, "attempts": [{**ATTEMPT, **attempt}]}
    text = render("attempted", "template", [{"UserName": "bot", "c7n:IamUser": {"attempts": attempts}}])
    assert expected in text
    assert absent not in text


@pytest.mark.parametrize("state", STATES)
def test_a_mail_fits_a_phone_and_a_dark_screen(state: str) -> None:
    text = render(state, "template", [user(state), user(state, "x" * 64)])
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert '<meta name="color-scheme" content="light dark">' in text
    assert "prefers-color-scheme: dark" in text
    assert "overflow-wrap:anywhere" in text
    assert all(row.count("<td") <= 2 for row in text.split("<tr>"))
    assert "nowrap" not in text.replace(".day { white-space: nowrap; }", "")
    dark = text.partition("prefers-color-scheme: dark")[2].partition("</style>")[0]
    colored = re.findall(r'<(\w+)([^>]*style="[^"]*color:#[^>]*)>', text.partition("</head>")[2])
    assert [tag for tag, rest in colored if tag != "body" and "class=" not in rest] == []
    assert {each for _, rest in colored for each in re.findall(r'class="(\w+)', rest)} <= set(
        re.findall(r"\.(\w+)", dark)
    )


def test_kind_replacement_and_risk_come_first() -> None:
    known = {"kind": "machine", "replacement": ["oidc-role", "exempt"], "attachments": {"access-key": 1}}
    risks = [
        {"id": "old-key", "severity": "medium", "text": "The key is old."},
        {"id": "admin", "severity": "high", "text": "It is an administrator."},
        {"id": "no-boundary", "severity": "low", "text": "No boundary."},
    ]
    text = render(
        "flagged", "template", [{**user("flagged"), "c7n:IamUser": {**known, "findings": risks}}], days=None
    )
    expected = [
        "Program; replacement: a role for the OIDC tokens",
        "It is an administrator.",
        "The key is old.",
        "Last seen",
    ]
    places = [text.index(each) for each in expected]
    assert places == sorted(places)
    assert "No boundary." not in text


def test_every_kind_and_replacement_has_words() -> None:
    parts = (TEMPLATES / "iam-users-parts.j2").read_text()
    assert [each for each in (*KINDS, *REPLACEMENTS) if f"  '{each}': " not in parts] == []


def test_a_part_says_which_one_it_is_and_how_many_users_there_are() -> None:
    rows = [noticed("a", "2026-12-24"), noticed("b", "2026-12-24")]
    text = render("flagged", "template", rows, days=None, part=2, parts=3, users=5)
    assert "<b>Part 2 of 3</b>, with 2 of the 5 users." in text
    assert "2 IAM users of this mail are to be deleted" in text
    whole = render("flagged", "template", rows, days=None, part=1, parts=1, users=2)
    assert "2 IAM users in this account are to be deleted" in whole
    assert "Part 1" not in whole


@pytest.mark.parametrize(
    "state",
    [
        *("created", "deleted", "denied", "overdue", "attempted", "replaced", "used"),
        *("keys-flagged", "keys-changed"),
    ],
)
def test_every_part_of_a_split_mail_says_which_one_it_is(state: str) -> None:
    said = f"<b>Part 2 of 3</b>, with 1 of the 5 {'access keys' if is_of_keys(state) else 'users'}."
    assert said in render(state, "template", [user(state)], part=2, parts=3, users=5)
    assert "Part 1" not in render(state, "template", [user(state)], part=1, parts=1, users=1)


def objection(users: list[str]) -> tuple[str, list[str]]:
    """The row of the exemptions list in a notice, and the links that ask for one."""
    rows = [noticed(name, "2026-12-24") for name in users]
    text = render("flagged", "template", rows, days=None, **{"account-name": "pay & co"})
    found = re.search(r"<pre[^>]*>(account,.*?)</pre>", text, re.DOTALL)
    assert found
    return html.unescape(found[1]), [
        html.unescape(each) for each in re.findall(r'href="(mailto:[^"]*)"', text)
    ]


def body_of(link: str) -> str:
    (body,) = urllib.parse.parse_qs(urllib.parse.urlsplit(link).query)["body"]
    return body


@pytest.mark.parametrize("name", ["jane.doe", "a+b=c,d.e@f-g"])
def test_a_notice_has_the_row_that_exempts_its_user(name: str) -> None:
    text, _ = objection([name])
    with pytest.raises(InvalidPolicyData, match=r"line 2: reason is missing"):
        parse_list(text, "csv", "list")
    (rule,) = parse_list(text.replace('""', '"needed"'), "csv", "list")
    assert (rule.field, rule.pattern, rule.account) == ("user", name, "111122223333")
    assert (rule.reason, rule.owner) == ("needed", "owner@example.com")
    # the columns after these are for those who keep the list
    assert (ROOT / "policies" / "exemptions.csv").read_text().startswith(f"{text.splitlines()[0]},")


def test_who_lacks_a_replacement_is_asked_for_by_name() -> None:
    """Its owner knows whose it is, or that nobody needs it; whoever runs the tool creates the replacement."""
    (link,) = re.findall(
        r'href="(mailto:[^"]*)">Whose is it', render("flagged", "template", [GOING, LACKING], days=None)
    )
    parsed = urllib.parse.urlsplit(html.unescape(link))
    asked = urllib.parse.parse_qs(parsed.query)
    assert parsed.path == "cloud@example.com"
    assert asked["subject"] == ["Whose is jane in account 111122223333"]
    assert "nobody needs it" in asked["body"][0]


def test_a_mail_has_no_lists_of_actions() -> None:
    long = {"id": "may-become-admin", "severity": "high", "text": f"May do {', '.join(['iam:X (P)'] * 40)}."}
    known = {**GOING, "c7n:IamUser": {**GOING["c7n:IamUser"], "findings": [long]}}
    text = in_lines(render("flagged", "template", [known], days=None).partition("</head>")[2])
    assert "May do iam:X (P), iam:X" in text
    assert text.count("iam:X") < 20
    assert "(P) ..." in text


def test_no_reply_exempts_more_than_one_user() -> None:
    names = ["jane.doe", "a+b=c,d.e@f-g"]
    text, links = objection(names)
    assert "USER" in text
    assert [name for name in names if name in text] == []
    *of_users, of_nobody = map(body_of, links)
    assert [sum(f'"{name}"' in body for name in names) for body in of_users] == [1, 1]
    assert '"USER"' in of_nobody


def test_the_row_of_a_notice_is_read_from_replies() -> None:
    text, (link, *_) = objection(["jane.doe"])
    body = body_of(link)
    whole = render("flagged", "template", [noticed("jane.doe", "2026-12-24")], days=None)
    head = b"From: owner@example.com\nContent-Type: text/"
    for mail in (
        head + b"plain\n\n" + body.replace('""', '"needed"').encode(),
        head + b"plain\n\n> " + text.replace('""', '"needed"').replace("\n", "\n> ").encode(),
        head + b"html\n\n" + whole.replace("&#34;&#34;", '"needed"', 1).encode(),
    ):
        (reply,) = replies(mail, "reply")
        assert reply.rows[0][:4] == ("111122223333", "jane.doe", "", "needed")
        assert len(reply.rows) + reply.unfilled == 1


@pytest.mark.parametrize(("count", "links"), [(1, 2), (3, 4), (500, 1)])
def test_a_link_asks_for_the_exemption_of_one_user(count: int, links: int) -> None:
    names = [f"user+{number:059}" for number in range(count)]
    _, found = objection(names)
    assert len(found) == links
    assert max(map(len, found)) < 2_000
    parsed = urllib.parse.urlsplit(found[0])
    query = urllib.parse.parse_qs(parsed.query, strict_parsing=True)
    assert parsed.path == "cloud@example.com"
    (subject,), (body,) = query["subject"], query["body"]
    name = names[0] if count < 500 else "USER"
    assert subject == f"Exemption for {name} in account 111122223333 (pay & co)"
    assert f'111122223333,"{name}",,"",owner@example.com,' in body


@pytest.mark.parametrize(("kind", "told"), [("machine", False), ("no-credentials", False), ("mixed", True)])
def test_how_people_sign_in_is_told_where_there_may_be_people(kind: str, told: bool) -> None:
    row = {**GOING, "c7n:IamUser": {**GOING["c7n:IamUser"], "kind": kind}}
    text = render("flagged", "template", [row], days=None)
    assert ("How to sign in afterwards" in text) == told


@pytest.mark.parametrize("count", [60, 300])
def test_no_mail_is_cut_off_by_gmail_before_it_says_what_to_do(count: int) -> None:
    """Gmail cuts mails off after 102 KB."""
    rows = [{**GOING, "UserName": f"user-{number:020}"} for number in range(count)]
    text = render("flagged", "template", rows, days=None)
    whole = len(text.encode()) < 102_000
    assert whole or text.encode().index(b"How to sign in afterwards") < 20_000


@pytest.mark.parametrize("state", sorted({*STATES, "digest"} - {"flagged"}))
def test_no_mail_says_what_to_do_below_a_long_list(state: str) -> None:
    """Nor can Gmail cut it off."""
    told = {"done": True, "account": "111122223333", "account-name": "payments", "text": "deleted"}
    known = {"digest": told} if state == "digest" else STATES[state]
    if state == "deleted":
        known = {**known, "outcome": {"status": "deleted"}}
    rows = [
        {**user(state if state in STATES else "flagged", f"user-{number:020}"), "c7n:IamUser": known}
        for number in range(300)
    ]
    text = render(state, "template", rows)
    to_do = {
        "attempted": "What to do",
        "created": "What to do",
        "deleted": "Write to cloud@example.com",
        "denied": "Something has stopped?",
        "digest": "What to do",
        "keys-changed": "What to do",
        "keys-flagged": "What to do",
        "overdue": "What to do now",
        "replaced": "What happens next",
        "used": "What to do",
        "your-access": "What happens next",
    }
    assert text.index(to_do[state]) < 20_000
    # these name users in one sentence
    assert state in ("deleted", "your-access") or text.index(to_do[state]) < text.index(
        "user-00000000000000000001"
    )


def test_without_an_address_there_is_no_link() -> None:
    assert "mailto:" not in render("flagged", "template", [user("flagged")], contact="the cloud team")


def test_a_long_list_comes_after_what_to_do() -> None:
    """Gmail cuts mails off."""
    rows = [noticed(f"user-{number}", "2026-12-24") for number in range(61)]
    text = render("flagged", "template", rows, days=None)
    assert text.index("A user must stay?") < text.index("Which users, and why")
    short = render("flagged", "template", rows[:60], days=None)
    assert short.index("A user must stay?") > short.index("Which users, and why")


REAL = {
    "status": "provisioned",
    "username": "b@example.com",
    "permission-set": "Readers",
    "start-url": "https://d-2.awsapps.com/start",
    "region": "eu-west-1",
}


@pytest.mark.parametrize("state", ["replaced", "your-access"])
@pytest.mark.parametrize("key", ["provisioning", "identity-center"])
def test_the_way_in_comes_from_the_real_result(state: str, key: str) -> None:
    known = {**REAL, "state": "provisioned"}
    rows = [{**user(state), "c7n:IamUser": {key: known}}]
    named: dict[str, Any] = {"start-url": "", "account-name": "Payments Prod"}
    text = html.unescape(render(state, "template", rows, **named))
    assert "https://d-2.awsapps.com/start" in text
    block = text.partition("<pre")[2].partition(">")[2].partition("</pre>")[0]
    parser = configparser.ConfigParser()
    parser.read_string(block)
    assert dict(parser["sso-session identity-center"]) == {
        "sso_start_url": "https://d-2.awsapps.com/start",
        "sso_region": "eu-west-1",
        "sso_registration_scopes": "sso:account:access",
    }
    assert dict(parser["profile Payments-Prod-Readers"]) == {
        "sso_session": "identity-center",
        "sso_account_id": "111122223333",
        "sso_role_name": "Readers",
    }


EVIL = "x]\ncredential_process = sh -c evil\n[profile default"


@pytest.mark.parametrize("state", ["replaced", "your-access"])
@pytest.mark.parametrize("name", [EVIL, "a \"b\" 'c'", "K\u00f6ln", "x\ry = z", "\u2028z=1"])
def test_no_name_of_an_account_adds_a_profile_or_a_key(tmp_path: Path, state: str, name: str) -> None:
    rows = [{**user(state), "c7n:IamUser": {"provisioning": REAL}}]
    named: dict[str, Any] = {"start-url": "", "account-name": name}
    text = html.unescape(render(state, "template", rows, **named))
    (tmp_path / "config").write_text(text.partition("<pre")[2].partition(">")[2].partition("</pre>")[0])
    found = load_config(str(tmp_path / "config"))
    ((_, profile),) = found["profiles"].items()
    assert set(profile) == {"sso_session", "sso_account_id", "sso_role_name"}
    assert set(found["sso_sessions"]) == {"identity-center"}


def test_a_persons_own_mail_has_the_profiles_of_all_accounts(tmp_path: Path) -> None:
    written = aws_config(REAL["start-url"], "eu-west-1", [Role("1" * 12, "A"), Role("2" * 12, "B=c", "x")])
    rows = [{**user("your-access"), "c7n:IamUser": {"provisioning": REAL}}]
    text = html.unescape(render("your-access", "template", rows, profiles=written))
    block = text.partition("<pre")[2].partition(">")[2].partition("</pre>")[0]
    assert block == written
    assert text.count("<pre") == 1


def test_access_that_is_only_requested_has_no_profile() -> None:
    text = render("replaced", "template", [{**user("replaced"), "c7n:IamUser": {"provisioning": INTENDED}}])
    assert "sso-session" not in text


def test_a_persons_own_mail_speaks_to_one_person() -> None:
    rows = [
        {**user("your-access", name), "c7n:IamUser": {"provisioning": REAL}} for name in ("bob", "bob-cli")
    ]
    text = render("your-access", "template", rows)
    assert "in place of your IAM users <b>bob</b>, <b>bob-cli</b>" in text
    assert text.count("[profile ") == 1
    assert "These people" not in text
    assert "If you own the account" not in text
