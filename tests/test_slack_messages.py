# SPDX-License-Identifier: Apache-2.0
"""The notices in Slack: what c7n-mailer's own code posts there, against Slack's limits."""

from __future__ import annotations

import copy
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import c7n_mailer
import pytest
from c7n_mailer import slack_delivery

from tests.test_mailer_templates import (
    FINDINGS,
    GOING,
    HELD,
    HELD_BACK,
    INTENDED,
    KEY_OUTCOMES,
    KEYS,
    LACKING,
    MANAGED,
    SAID_OF_KEY_OUTCOMES,
    SAID_OF_KEYS,
    STATES,
    TEMPLATES,
    USED_NOW,
    called_by,
    fated,
    message,
    noticed,
    user,
)

FOLDERS = [str(TEMPLATES), str(Path(c7n_mailer.__file__).parent / "msg-templates")]
HOSTILE = "<!channel> & <https://evil.example|AWS console> <@U123> *b* _i_ `c`"
HOOK = "https://hooks.slack.com/services/T0/B0/x"
#: Less than Slack has refused, 11,341 characters of all blocks (slackapi/bolt-js issues 2509 and 2867).
MOST_TEXT = 10_500


def posted(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], to: str = "slack://#iam"
) -> tuple[str, dict[str, Any]]:
    """The URL and the payload that c7n-mailer posts for ``told``, a message as it is in the queue."""
    calls = list[tuple[str, bytes]]()

    def post(url: str, data: Any, headers: Any, timeout: int) -> Any:
        answer = {"ok": True, "user": {"id": "U42"}}
        if "lookupByEmail" not in url:
            calls.append((url, data))
        return SimpleNamespace(
            status_code=200, headers={"content-type": "application/json"}, json=lambda: answer
        )

    monkeypatch.setattr(slack_delivery.requests, "post", post)
    config = {"slack_token": "xoxb", "slack_webhook": HOOK, "templates_folders": FOLDERS}
    sending = slack_delivery.SlackDelivery(config, logging.getLogger("mailer"), None)
    told = {**told, "action": {**told["action"], "to": ["owner@example.com", to]}}
    sending.slack_handler(told, sending.get_to_addrs_slack_messages_map(copy.deepcopy(told)))
    ((url, data),) = calls
    return url, json.loads(data)


def texts(node: Any) -> Iterator[str]:
    """All texts of blocks."""
    if isinstance(node, list):
        for each in node:
            yield from texts(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "text" and isinstance(value, str):
                yield value
            else:
                yield from texts(value)


def faults(payload: dict[str, Any]) -> list[str]:
    """What Slack refuses of a payload (docs.slack.dev: chat.postMessage; Blocks: header, section, context)."""
    (attachment,) = payload["attachments"]
    everything = [payload["blocks"], attachment["blocks"]]
    found = [f"{len(blocks)} blocks" for blocks in everything if not 1 <= len(blocks) <= 50]
    found += [fault for blocks in everything for block in blocks for fault in faults_of(block)]
    length = sum(map(len, texts(everything)))
    return [*found, *([f"{length} characters"] if length > MOST_TEXT else [])]


def faults_of(block: dict[str, Any]) -> Iterator[str]:
    kind = block["type"]
    most = {"header": 150, "section": 2000 if "fields" in block else 3000, "context": 2000}[kind]
    if kind == "header" and block["text"]["type"] != "plain_text":
        yield "a header that is no plain text"
    several = [*block.get("fields", ()), *block.get("elements", ())]
    if len(several) > 10:
        yield "more than ten"
    for each in several or [block["text"]]:
        option = {"mrkdwn": "verbatim", "plain_text": "emoji"}[each["type"]]
        if each.keys() != {"type", "text", option} or not 1 <= len(each["text"]) <= most:
            yield f"{kind}: {len(each['text'])} characters, {sorted(each)}"


def told_of(payload: dict[str, Any]) -> dict[str, str]:
    """What is said of each user."""
    sections = [block for block in payload["attachments"][0]["blocks"] if "fields" in block]
    cells = [each["text"] for block in sections for each in block["fields"]]
    return dict(zip((each.strip("`") for each in cells[::2]), cells[1::2], strict=True))


def said_in(payload: dict[str, Any]) -> str:
    """All that is shown, in one line, without formatting."""
    shown = " ".join(texts([payload["blocks"], payload["attachments"]]))
    return " ".join(re.sub(r"<[^|>]*\|([^>]*)>", r"\1", shown.replace("*", "")).split())


def of(state: str, rows: list[dict[str, Any]], /, days: Any = None, **action: Any) -> dict[str, Any]:
    told = message(state, days)
    return {**told, "resources": rows, "action": {**told["action"], **action}}


def outcome(status: str, **more: Any) -> dict[str, Any]:
    return {"UserName": status, "c7n:IamUser": {"outcome": {"status": status, **more}}}


def access(name: str, **known: Any) -> dict[str, Any]:
    return {"UserName": name, "c7n:IamUser": known}


def digested(name: str, done: bool, text: str, account: str = "111122223333") -> dict[str, Any]:
    told = {"account": account, "account-name": f"name of {account}", "done": done, "day": "", "text": text}
    return {"UserName": name, "c7n:IamUser": {"digest": told}}


CASES = [
    pytest.param(
        of("flagged", [GOING, USED_NOW, LACKING], step="announce"),
        [
            "IAM users to be deleted or moved AWS account 111122223333 (payments)",
            "This message is about 3 IAM users: • 1 is to be denied everything on 2026-12-10 and deleted on 2026-12-24",
            "• 1 is in use: move it by 2026-12-24 • 1 needs a replacement first, and stays until then",
            "What to do • To be deleted: does nobody need it? Do nothing.",
            "• In use: replace it as its row says, and stop using it, by 2026-12-24; or ask for it to stay.",
            "whose it is, or that nobody needs it. You don't create a person's replacement: cloud@example.com does.",
            "To be denied and deleted: 1",
            "In use, to be moved: 1",
            "Needs a replacement first: 1",
            "write to cloud@example.com its name",
        ],
        {
            "going": "denied everything on 2026-12-10, deleted on 2026-12-24",
            "busy": "in use: active within 30 days: its password was used &lt;today&gt;",
            "jane": "needs a replacement first: no user has that name",
        },
        id="announcement",
    ),
    pytest.param(
        of("flagged", [MANAGED], step="announce"),
        ["• 1 is left alone for another reason; of these, 1 denied everything, and not deleted"],
        {"managed": "denied everything on 2026-12-10, not deleted: CloudFormation manages it"},
        id="managed-as-code",
    ),
    pytest.param(
        of("flagged", [HELD_BACK], step="remind"),
        [
            "Reminder: IAM user to be deleted",
            "1 is denied everything already, and to be deleted on 2026-12-24",
        ],
        {"held": "denied everything since 2026-12-10, deleted on 2026-12-24"},
        id="reminder",
    ),
    pytest.param(
        of("flagged", [USED_NOW], step="announce", parts=3, part=2, users=5),
        [
            "IAM user to be moved",
            "Part 2 of 3, with 1 of the 5 users",
            "This part of the message is about 1 IAM user:",
        ],
        {"busy": "in use: active within 30 days: its password was used &lt;today&gt;"},
        id="a-part",
    ),
    pytest.param(
        of(
            "flagged",
            [fated("b", "goes", "deleted on 2026-12-24", deleted="2026-12-24", brownout="2026-12-03")],
        ),
        ["Before that, on or after 2026-12-03, the user to be deleted is denied everything for some minutes"],
        {"b": "deleted on 2026-12-24"},
        id="brownout",
    ),
    pytest.param(
        of("flagged", [noticed("a", "2026-12-24"), noticed("b", "2026-12-31")]),
        ["2 are to be deleted on or after 2026-12-24, 2026-12-31", "What to do by 2026-12-24"],
        dict.fromkeys("ab", "The rule. Exempt until 2025-12-31 &lt;long ago&gt;."),
        id="without-a-forecast",
    ),
    pytest.param(
        of("denied", [user("denied", "x")], step="denied"),
        [
            "Access has stopped",
            "1 IAM user is denied everything: who uses it can't sign in or call AWS any more",
            "Nothing is deleted before 2026-12-24, and until then everything can be given back",
            "Something has stopped? Write to cloud@example.com, with the name of the user",
            '```c7n-iamusers user -c accounts-restore.yml -a "111122223333" --give-back -- "USER"```',
            "open the AWS access portal",
        ],
        {"x": "denied everything since 2026-12-10, deleted on 2026-12-24 or later"},
        id="denied",
    ),
    pytest.param(
        of("denied", [outcome("browned-out", reason="denied until 10:15 UTC")], step="denied"),
        ["Access has stopped for some minutes", "as a rehearsal. It ends by itself"],
        {"browned-out": "denied until 10:15 UTC"},
        id="brownout-began",
    ),
    pytest.param(
        of(
            "overdue",
            [user("overdue", "x")],
            step="overdue",
            **{"escalate-to": ["boss@example.com"], "every": 7},
        ),
        [
            "1 IAM user should have been moved by now, and is still here. This is message 3 about it.",
            "This message comes again every 7 days until it is moved; after 4 messages boss@example.com gets it too.",
            "Nothing is deleted for being overdue.",
            "What to do now: move each user as its row says",
        ],
        {"x": "in use: its key was used &lt;today&gt;. Was to be moved by 2026-12-24, message 3"},
        id="overdue",
    ),
    pytest.param(
        of(
            "deleted",
            [outcome("deleted"), outcome("skipped", reason="in use"), outcome("released"), outcome("failed")],
            step="inform",
        ),
        [
            "1 IAM user was deleted on 2025-11-24, 2 are still there.",
            "1 IAM user was given back",
            "If something broke: a snapshot of each user",
            "Given back: 1",
            "Deleted, with everything attached: 1",
            "Still there: 2",
        ],
        {"deleted": "deleted", "skipped": "not deleted: in use", "released": "released", "failed": "failed"},
        id="inform",
    ),
    pytest.param(
        of(
            "replaced",
            [access("a", provisioning=INTENDED), access("b", **{"identity-center": HELD}), access("c")],
            step="inform",
        ),
        [
            "1 of these people has access to the account through IAM Identity Center",
            "1 of these people gets access through IAM Identity Center. It is requested and not there yet",
            "1 of these people has no replacement yet.",
            "open the AWS access portal",
        ],
        {
            "a": "user name b@example[.]com, role Readers",
            "b": "user name b@example[.]com, role Readers",
            "c": "it is not known whose it is: the user needs a tag with the e-mail address of its person",
        },
        id="replaced",
    ),
    pytest.param(
        of("your-access", [user("your-access", "x")]),
        [
            "You have access through IAM Identity Center",
            "• User name: `b@example[.]com` • Role: `Readers`",
            "give it a role",
        ],
        {"x": "provisioned"},
        id="people",
    ),
    pytest.param(
        of("attempted", [user("attempted", "x")], step="inform"),
        ["IAM users in quarantine are still in use", "None of them is deleted under this Deny"],
        {"x": "ec2 RunInstances on 2026-11-25 09:30 UTC from 203.0.113.7 &lt;b&gt; in eu-west-1"},
        id="attempted",
    ),
    pytest.param(
        of("created", [user("created", "x")], step="created"),
        [
            "New long-term credentials in your AWS account",
            "You made it? People sign in through IAM Identity Center",
        ],
        {
            "x": 'CreateAccessKey by &lt;root&gt;. Matching exemption: user "git-*" (&lt;why&gt;). '
            "quarantined: denied &lt;everything&gt;"
        },
        id="created",
    ),
    pytest.param(
        of("used", [user("used", "x")], step="used"),
        ["A break-glass user is used", "Say so at once to cloud@example.com"],
        {"x": "console sign-in from 203.0.113.7, which &lt;failed&gt;"},
        id="used",
    ),
    pytest.param(
        of(
            "digest", [digested("a", True, "deleted on 2026-11-29"), digested("b", False, "in use", "4" * 12)]
        ),
        ["Your IAM users: a summary 2 AWS accounts", "What was done: 1", "What comes next: 1"],
        {
            "a": "deleted on 2026-11-29, name of 111122223333 (111122223333)",
            "b": "in use, name of 444444444444 (444444444444)",
        },
        id="digest",
    ),
    pytest.param(
        of("keys-flagged", KEYS, step="announce"),
        [
            "Access keys to be deleted",
            "This message is about 4 access keys: •",
            "Ask for it, by 2026-12-10.",
            "To ask, write to cloud@example.com, with the account, the user and the key.",
            *SAID_OF_KEYS,
        ],
        {
            f"bot-{number}": f"AKIA{number:016}: {each['c7n:IamUser']['notice']['text']}. Last used on 2026-08-01"
            for number, each in enumerate(KEYS, 1)
        },
        id="keys-announced",
    ),
    pytest.param(
        of("keys-changed", KEY_OUTCOMES, step="inform"),
        ["Access keys: what was done", *SAID_OF_KEY_OUTCOMES],
        {
            f"bot-{number}": f"AKIA{number:016}: {fate}. Last used on 2026-08-01"
            for number, fate in enumerate(
                (
                    "inactive since 2026-12-10, deleted on 2026-12-24 or later. It can be given back",
                    "deleted on 2026-12-10. It was inactive since 2026-11-26 08:00 UTC",
                    "given back on 2026-12-10",
                    "left alone. It is in use",
                    "failed. AccessDenied",
                ),
                1,
            )
        },
        id="keys-changed",
    ),
    pytest.param(
        of("flagged", [access("a", findings=FINDINGS), access("b")], template="mine.html"),
        ["2 are to be deleted, with everything attached"],
        {"a": "The rule. Exempt until 2025-12-31 &lt;long ago&gt;.", "b": "-"},
        id="a-mail-of-others",
    ),
]


@pytest.mark.parametrize(("told", "said", "users"), CASES)
def test_slack_gets_what_the_mail_says_as_blocks(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], said: list[str], users: dict[str, str]
) -> None:
    url, payload = posted(monkeypatch, told)
    assert (url, payload["channel"]) == ("https://slack.com/api/chat.postMessage", "iam")
    shown = said_in(payload)
    assert [each for each in said if each not in shown] == []
    assert told_of(payload) == users
    assert faults(payload) == []


@pytest.mark.parametrize(
    ("to", "channel"),
    [
        pytest.param("slack://#iam", "iam", id="channel"),
        pytest.param("slack://jane@example.com", "U42", id="person"),
        pytest.param(HOOK, None, id="webhook"),
        pytest.param("slack://webhook/#iam", "iam", id="webhook-of-the-mailer"),
    ],
)
def test_each_kind_of_recipient(monkeypatch: pytest.MonkeyPatch, to: str, channel: str | None) -> None:
    url, payload = posted(monkeypatch, of("flagged", [GOING], subject="payments: 1 IAM user <is>"), to)
    assert payload.get("channel") == channel
    assert (url == HOOK) == ("webhook" in to or to == HOOK)
    assert payload["text"] == "payments: 1 IAM user &lt;is&gt;"
    assert faults(payload) == []


@pytest.mark.parametrize("state", [*STATES, "replaced-rows"])
@pytest.mark.parametrize("number", [1, 12, 300])
def test_any_number_of_users_fits_slack(monkeypatch: pytest.MonkeyPatch, state: str, number: int) -> None:
    rows = [user(state.removesuffix("-rows"), f"user-{each}") for each in range(number)]
    if state == "replaced-rows":
        rows = [{"UserName": each["UserName"], "What is known": "is here", "Findings": "-"} for each in rows]
    _, payload = posted(monkeypatch, of(state, rows, 30))
    assert faults(payload) == []
    shown = told_of(payload)
    assert [*shown] == [f"user-{each}" for each in range(min(number, 40))]
    rest = [each for each in texts(payload["attachments"]) if each.startswith("and ")]
    assert rest == (["and 260 more: the mail names all of them"] if number > 40 else [])


def test_each_group_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{**GOING, "UserName": f"going-{each}"} for each in range(300)]
    _, payload = posted(monkeypatch, of("flagged", [*rows, USED_NOW, LACKING]))
    assert [*told_of(payload)][-2:] == ["busy", "jane"]
    assert "• 300 are to be denied everything on 2026-12-10" in said_in(payload)
    assert "and 287 more: the mail names all of them" in said_in(payload)


@pytest.mark.parametrize("text", ["&<>\"'" * 400, "a.b" * 400, "x" * 2000, HOSTILE * 40])
@pytest.mark.parametrize("state", STATES)
def test_long_texts_are_cut(monkeypatch: pytest.MonkeyPatch, state: str, text: str) -> None:
    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: value if key in ("status", "state", "severity", "id", "group") else filled(value)
                for key, value in node.items()
            }
        if isinstance(node, list):
            return [filled(each) for each in node]
        return text if isinstance(node, str) else node

    rows = [{**user(state, text), "c7n:IamUser": filled(STATES[state])} for _ in range(60)]
    told = {**of(state, rows, **{"account-name": text, "contact": text, "subject": text}), "account": text}
    _, payload = posted(monkeypatch, told)
    assert faults(payload) == []
    assert "evil.example" not in json.dumps(payload)


@pytest.mark.parametrize(
    "known",
    [
        pytest.param({"findings": [{"id": "x", "severity": "high", "text": HOSTILE}]}, id="finding"),
        pytest.param({"outcome": {"status": "skipped", "reason": HOSTILE}}, id="outcome"),
        pytest.param({"provisioning": {"status": "failed", "reason": HOSTILE}}, id="provisioning"),
        pytest.param({"identity-center": {"state": "absent", "reason": HOSTILE}}, id="identity-center"),
    ],
)
def test_slack_reads_no_mention_no_link_and_no_formatting_in_what_people_write(
    monkeypatch: pytest.MonkeyPatch, known: dict[str, Any]
) -> None:
    rows = [{**user("flagged", HOSTILE), "c7n:IamUser": known}]
    _, payload = posted(monkeypatch, {**of("flagged", rows, contact=HOSTILE), "account": HOSTILE})
    shown = "&lt;!channel&gt; &amp; &lt;https[://]evil[.]example|AWS console&gt; &lt;@U123&gt; *b* _i_ "
    ((name, told),) = told_of(payload).items()
    assert name == f"{shown}'c'"  # in code
    assert told.endswith(f"{shown}`c`")
    (fields,) = [each["fields"] for each in payload["attachments"][0]["blocks"] if "fields" in each]
    assert [each["type"] for each in fields] == ["mrkdwn", "plain_text"]
    assert f"AWS account 111122223333 ({shown}" in payload["blocks"][1]["elements"][0]["text"]
    links = re.findall(r"<[^>]*>", " ".join(texts([payload["blocks"], payload["attachments"]])))
    assert links == ["<https://d-1.awsapps.com/start|the AWS access portal>"]


def test_slack_says_what_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    row = fated("going", "goes", "deleted on 2026-12-24")
    named = [{"resource": "arn:aws:s3:::b"}, {"resource": "arn:aws:sqs:eu-west-1:1:q"}]
    row["c7n:IamUser"]["named_by"] = named
    _, payload = posted(monkeypatch, of("flagged", [row]))
    told = told_of(payload)["going"]
    assert told == "deleted on 2026-12-24. Breaks when it is deleted: arn:aws:s3:::b and 1 more"


def test_slack_says_who_calls_and_what_to_do_first(monkeypatch: pytest.MonkeyPatch) -> None:
    row = fated("going", "goes", "deleted on 2026-12-24")
    row["c7n:IamUser"] |= {
        key: called_by("flagged", "At 8.8.8.8, <boto3>")["c7n:IamUser"][key] for key in ("usage", "priority")
    }
    _, payload = posted(monkeypatch, of("flagged", [row]))
    told = told_of(payload)["going"]
    assert "Priority 2 of 9: AKIA1: active" in told
    assert told.endswith(". At 8.8.8.8, &lt;boto3&gt;")
    _, payload = posted(monkeypatch, of("keys-flagged", [called_by("keys-flagged", "At 8.8.8.8, boto3")]))
    assert "At 8.8.8.8, boto3" in said_in(payload)


@pytest.mark.parametrize(
    "contact", ["#cloud-help", "cloud team", "a@b.c|<!channel>", "https://x.example/<!here>"]
)
def test_a_contact_that_is_no_address_is_no_link(monkeypatch: pytest.MonkeyPatch, contact: str) -> None:
    _, payload = posted(monkeypatch, of("denied", [user("denied")], contact=contact, **{"start-url": ""}))
    assert "<" not in "".join(texts(payload["blocks"]))
    assert "Write to " in said_in(payload)


def test_the_command_that_gives_back_stands_as_it_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without names: a dot in them would be parted, so that what is copied would be another name."""
    _, payload = posted(monkeypatch, of("denied", [user("denied", "jane.doe")]))
    assert 'c7n-iamusers user -c accounts-restore.yml -a "111122223333" --give-back -- "USER"' in said_in(
        payload
    )
