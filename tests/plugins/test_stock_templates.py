# SPDX-License-Identifier: Apache-2.0
"""Messages of ours with c7n-mailer's own templates, rendered by its own code: an owner can act on them."""

from __future__ import annotations

import html
import json
import logging
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import c7n_mailer
import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n_mailer.utils import get_rendered_jinja
from c7n_mailer.utils_email import get_mimetext_message

import c7n_iamusers
from aws_local_org import LocalOrg
from c7n_iamusers.evidence import assessment
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.notices import stock_rows
from c7n_iamusers.notices.templates import OURS, STOCK, misspelt, of_another_resource
from tests.plugins import test_notify_owners as owners
from tests.plugins import test_notify_people as people
from tests.policies import ACCOUNT, policy
from tests.test_slack_messages import said_in, told_of

FOLDER = Path(c7n_mailer.__file__).parent / "msg-templates"
SHIPPED = Path(c7n_iamusers.__file__).parent / "mailer_templates"
STOCK_HTML = {"template": "default.html", "subject": None}
CONTACT = "cloud-team@example.com"


pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """Two users: one has a tag and a password, so that what AWS says of them has different keys."""
    client = org.client("iam", account_id=ACCOUNT)
    client.create_user(UserName="alice", Tags=[{"Key": "Owner", "Value": "x@example.com"}])
    client.create_login_profile(UserName="alice", Password="a-Secret-of-24-letters!")
    client.create_user(UserName="bob", Path="/<b>bold</b>/")
    return client


def mail(message: dict[str, Any]) -> str:
    config = {"from_address": "c@example.com", "templates_folders": [str(FOLDER)]}
    made = get_mimetext_message(
        config, logging.getLogger("mailer"), message, message["resources"], ["owner@example.com"]
    )
    assert made.get_content_type() == "text/html"
    text = made.get_payload(decode=True)
    assert isinstance(text, bytes)
    return text.decode()


def slack(message: dict[str, Any]) -> dict[str, Any]:
    text = get_rendered_jinja(
        "#iam",
        message,
        message["resources"],
        logging.getLogger(),
        "slack_template",
        "slack_default",
        [str(FOLDER), str(SHIPPED)],
    )
    assert text
    found: dict[str, Any] = json.loads(text)
    return found


def cells(text: str) -> list[list[str]]:
    """The rows of the table, with its heading first."""
    heading = re.findall(r"<th>(.*?)</th>", text)
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", text, re.S)]
    return [heading, *filter(None, rows)]


def test_an_announcement_says_who_what_when_and_whom_to_ask(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    options = {"contact": CONTACT, "account-name": 'pay <&> \\ "co"', "quarantined-for": 14}
    owners.notify(tmp_path, **STOCK_HTML, **options)
    (message,) = owners.sent(org)
    stop, day = ((utc_now().date() + timedelta(days=each)).isoformat() for each in (16, 30))
    text = mail(message)
    before, _, after = text.partition("<table")
    said = (
        f"1 IAM user is to be denied everything on {stop} and deleted on {day}, 1 other without a replacement"
    )
    assert f"{said} (AWS account {ACCOUNT})" in before
    assert "deleted with everything attached: password, keys" in after
    assert "says when its access stops" in after
    assert f"an exemption with a reason and an end before that day: {CONTACT}." in after
    heading, *rows = cells(text)
    assert {len(row) for row in (heading, *rows)} == {len(stock_rows.rows([{}], {})[0])}
    ends = {row[heading.index("UserName")]: row[heading.index("Deletion on or after")] for row in rows}
    assert ends == {"bob": day, "alice": "-"}
    known = {row[heading.index("UserName")]: row[heading.index("What is known")] for row in rows}
    assert known["bob"] == f"denied everything on {stop}, deleted on {day}"
    assert known["alice"].startswith("needs a replacement first: ")
    assert "c7n:IamUser" not in text
    assert "<b>bold" not in text
    assert "pay <&>" not in text
    shown = {field["title"]: field["value"] for field in slack(message)["attachments"][0]["fields"]}
    assert day in html.unescape(shown["Violation Description"])
    assert CONTACT in shown["Action Description"]
    assert "alice" in shown["Resources"]


def test_a_reminder_says_that_it_is_one(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    owners.notify(tmp_path, **{**STOCK_HTML, "days": 5})
    owners.notify(tmp_path, **{**STOCK_HTML, "step": "remind", "days": 7})
    texts = [mail(each) for each in owners.sent(org)]
    day = (utc_now().date() + timedelta(days=5)).isoformat()
    assert sorted(
        f"reminder: 1 IAM user is to be deleted on {day}, 1 other without a replacement" in each
        for each in texts
    ) == [
        False,
        True,
    ]


def test_news_say_what_became_of_each_user(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    deleting = {"type": "composite-delete", "noticed": "none", "require": "none"}
    options = {**STOCK_HTML, "step": "inform", "days": None, "contact": CONTACT}
    actions = [deleting, owners.action(tmp_path, **options)]
    policy({"filters": owners.EVERYBODY, "actions": actions}).run()
    (message,) = owners.sent(org)
    text = mail(message)
    heading, *rows = cells(text)
    assert {row[heading.index("What is known")].partition(":")[0] for row in rows} == {"deleted"}
    assert "2 IAM users deleted on" in text
    assert f"Write to {CONTACT}" in text


def test_a_new_credential(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    owners.notify(tmp_path, **{**STOCK_HTML, "step": "created", "days": 2, "contact": CONTACT})
    (message,) = owners.sent(org)
    text = mail(message)
    assert "new long-term credentials of 2 IAM users" in text
    assert f"say so at once. It must stay? Ask for an exemption with a reason and an end: {CONTACT}" in text


def test_a_persons_own_mail(org: LocalOrg, tmp_path: Path) -> None:
    action = {
        "type": "notify-people",
        "notices": str(tmp_path / "notices"),
        "email-domains": ["example.com"],
        "template": "default.html",
        "transport": {"type": "sqs", "queue": owners.QUEUE},
        "assume_role": False,
        "contact": CONTACT,
        "account-name": "payments",
        "start-url": "https://d-1.awsapps.com/start",
    }
    found = policy({"filters": [*owners.EVERYBODY, people.FILTER], "actions": [action]})
    found.resource_manager.actions[0].process([people.user("bob", "bob@example.com")])
    (message,) = owners.sent(org)
    text = mail(message)
    assert "payments: you have access through IAM Identity Center" in text
    assert "(https://d-1.awsapps.com/start)" in text
    assert CONTACT in text
    heading, row = cells(text)
    assert row[heading.index("UserName")] == "bob"


def test_the_policys_own_texts_stay(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    owners.notify(tmp_path, **STOCK_HTML, violation_desc="Ours", action_desc="Also ours")
    (message,) = owners.sent(org)
    assert (message["action"]["violation_desc"], message["action"]["action_desc"]) == ("Ours", "Also ours")


def test_messages_with_our_templates_have_the_texts_too(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    owners.notify(tmp_path, contact=CONTACT)
    (message,) = owners.sent(org)
    assert "to be deleted on" in message["action"]["violation_desc"]
    assert CONTACT in message["action"]["action_desc"]
    assert {"c7n:IamUser", "Arn"} <= message["resources"][0].keys()


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        pytest.param({}, set(), id="neither"),
        pytest.param({"slack_template": "slack_iam_users"}, set(), id="our-slack-template"),
        pytest.param(
            {"to": [owners.OWNER, "resource-owner"], "email-domains": ["example.com"]}, {"Tags"}, id="owners"
        ),
    ],
)
def test_rows_keep_what_c7n_mailer_reads(
    org: LocalOrg, iam: Any, tmp_path: Path, options: dict[str, Any], kept: set[str]
) -> None:
    owners.notify(tmp_path, **STOCK_HTML, **options)
    (message,) = owners.sent(org)
    first, second = ([*each] for each in message["resources"])
    assert first == second
    assert {key for key, value in message["resources"][0].items() if not isinstance(value, str)} == kept
    if "slack_template" in options:
        found = slack(message)
        day = (utc_now().date() + timedelta(days=30)).isoformat()
        assert f"1 IAM user is to be deleted on {day}, 1 other without a replacement" in said_in(found)
        assert [*told_of(found)] == ["bob", "alice"]


def test_our_slack_template_reads_flat_rows_as_they_were_before_escaping() -> None:
    outcome = {"status": "skipped", "reason": "said \"no\" & 'left' <!channel>"}
    resources: list[dict[str, Any]] = [
        {"UserName": "alice", "c7n:IamUser": {"outcome": outcome}},
        {"UserName": "bob"},
    ]
    action = {"slack_template": "slack_iam_users", "template": "default.html"}
    message = {"action": action, "policy": {"name": "p", "actions": []}, "account_id": ACCOUNT}
    flat = slack({**message, "resources": stock_rows.rows(resources, action)})
    assert told_of(flat) == {"alice": "skipped: said \"no\" &amp; 'left' &lt;!channel&gt;", "bob": "-"}
    assert flat["blocks"][2]["text"]["text"] == "p"


def test_a_slack_template_of_others_gets_whole_users(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    owners.notify(tmp_path, **STOCK_HTML, slack_template="acme")
    (message,) = owners.sent(org)
    assert {"Arn", "c7n:IamUser", "UserId"} <= message["resources"][0].keys()


def test_the_constants_are_those_of_others() -> None:
    assert stock_rows.ANNOTATION == assessment.ANNOTATION
    ours = {file.name.removesuffix(".j2") for file in SHIPPED.iterdir()}
    assert {each for names in OURS.values() for each in names} == ours - {"iam-users-parts"}
    assert {file.name.removesuffix(".j2") for file in FOLDER.iterdir()} == STOCK


@pytest.mark.parametrize(
    ("key", "name", "right"),
    [
        ("template", "iam-users-flaged.html", "iam-users-flagged.html"),
        ("template", "iam-user-flagged.html", "iam-users-flagged.html"),
        ("template", "IAM-Users-Flagged.html", "iam-users-flagged.html"),
        ("template", "iam_users_flagged.html", "iam-users-flagged.html"),
        ("template", "iam-users-flagged", "iam-users-flagged.html"),
        ("template", "iam-users-flagged.html.j2", "iam-users-flagged.html"),
        ("template", "iam-users-delete.html", "iam-users-deleted.html"),
        ("template", "iam-users-your-acces.html", "iam-users-your-access.html"),
        ("template", "slack_iam_users", OURS["template"][0]),
        ("slack_template", "slack_iam_user", "slack_iam_users"),
        ("slack_template", "slack-iam-users.j2", "slack_iam_users"),
        ("slack_template", "iam-users-flagged.html", "slack_iam_users"),
        # those of others, and those that are right
        ("template", "iam-users-flagged-de.html", ""),
        ("template", "acme/iam-users-flagged.html", ""),
        ("template", "iam-users-old-keys.html", ""),
        ("template", "acme-notice.html", ""),
        ("template", "default.html", ""),
        ("template", "default", ""),
        ("template", "{template}", ""),
        ("template", "iam-users-{step}.html", ""),
        ("slack_template", "slack_default", ""),
        ("slack_template", "slack_acme", ""),
        *((key, name, "") for key, names in OURS.items() for name in names),
    ],
)
def test_a_misspelt_template_is_named_with_the_right_one(key: str, name: str, right: str) -> None:
    found = misspelt({key: name})
    assert bool(found) is bool(right)
    assert not right or f"{key} is {name!r}" in found
    assert not right or f"write {right};" in found


@pytest.mark.parametrize("key", ["template", "slack_template"])
def test_validate_refuses_it(tmp_path: Path, key: str) -> None:
    wrong = {"template": "iam-users-flaged.html", "slack_template": "slack_iam_user"}[key]
    data = {"filters": owners.EVERYBODY, "actions": [owners.action(tmp_path, **{key: wrong})]}
    with pytest.raises(PolicyValidationError, match=f"notify-owners: {key} is '{wrong}'.*: write "):
        policy(data).validate()
    person = {
        "type": "notify-people",
        "notices": str(tmp_path),
        "email-domains": ["example.com"],
        "template": "iam-users-your-access.html",
        "transport": {"type": "sqs", "queue": owners.QUEUE},
    }
    data = {"filters": [*owners.EVERYBODY, people.FILTER], "actions": [{**person, key: wrong}]}
    with pytest.raises(PolicyValidationError, match=f"notify-people: {key} is '{wrong}'.*: write "):
        policy(data).validate()


def test_each_template_shows_users_or_access_keys() -> None:
    unfit = {
        keys: [name for name in OURS["template"] if of_another_resource({"template": name}, keys)]
        for keys in (True, False)
    }
    assert unfit[False] == ["iam-keys-flagged.html", "iam-keys-changed.html"]
    assert sorted((*unfit[True], *unfit[False])) == sorted(OURS["template"])
    for other in ("default.html", "iam-keys-flagged-de.html", "{template}", None):
        assert not of_another_resource({"template": other, "slack_template": "slack_iam_users"}, False)


def test_a_template_of_keys_says_nothing_of_users(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    wrong = {
        "filters": owners.EVERYBODY,
        "actions": [owners.action(tmp_path, template="iam-keys-flagged.html")],
    }
    with pytest.raises(
        PolicyValidationError, match=r"shows access keys, and the policy is on aws\.iam-user: write iam"
    ):
        policy(wrong).validate()
    wrong["actions"][0]["template"] = "{look}"
    found = policy(wrong)
    found.validate()
    found.expand_variables(found.get_variables({"look": "iam-keys-flagged.html"}))
    with pytest.raises(PolicyExecutionError, match=r"shows access keys.*Nobody was addressed"):
        found.run()


def test_a_variable_that_is_misspelt_addresses_nobody(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    data = {"filters": owners.EVERYBODY, "actions": [owners.action(tmp_path, template="{look}")]}
    found = policy(data)
    found.validate()
    found.expand_variables(found.get_variables({"look": "iam-users-flaged.html"}))
    with pytest.raises(PolicyExecutionError, match=r"write iam-users-flagged\.html"):
        found.run()
    assert owners.sent(org) == []
    assert owners.records(tmp_path) == []
