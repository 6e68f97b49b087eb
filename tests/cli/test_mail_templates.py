# SPDX-License-Identifier: Apache-2.0
"""``preflight --mailer``: whether c7n-mailer makes a message of each template that the policies name."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n_mailer import cli as mailer_cli

from aws_local_org import LocalOrg
from c7n_iamusers.organization.readiness import Check, Target
from c7n_iamusers_cli import mail_templates
from c7n_iamusers_cli.mail_templates import SHIPPED, folders, refused_by_mailer
from tests.cli.test_preflight import POLICY, QUEUE, Rehearsal

ROOT = Path(__file__).parents[2]
NOTIFY: dict[str, Any] = {
    "type": "notify-owners",
    "notices": "notices",
    "step": "announce",
    "days": 30,
    "template": "iam-users-flagged.html",
    "to": ["owner@example.com"],
    "contact": "c@example.com",
    "transport": {"type": "sqs", "queue": "{queue_url}"},
    "assume_role": False,
}
TARGET = Target("111122223333", "payments", (), "", "", ("us-east-1",), {"look": "iam-users-flagged.html"})


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """c7n-mailer with its own templates, and an empty folder beside it where this package installs others."""
    place = tmp_path / "site-packages"
    ignored = shutil.ignore_patterns("__pycache__", "*.py")
    shutil.copytree(Path(mailer_cli.__file__).parent, place / "c7n_mailer", ignore=ignored)
    monkeypatch.setattr(mailer_cli, "__file__", str(place / "c7n_mailer" / "cli.py"))
    (place / "msg-templates").mkdir()
    return place / "msg-templates"


@pytest.fixture
def installed(beside: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, beside, dirs_exist_ok=True))


def checked(*actions: dict[str, Any], templates: str | None = None, **changes: Any) -> list[Check]:
    policies = [{"name": "flag", "resource": "aws.iam-user", **changes, "actions": list(actions)}]
    Path("mailer.yml").write_text(yaml.safe_dump({"queue_url": QUEUE, "slack_token": "xoxb"}))
    return list(mail_templates.checks(Path("mailer.yml"), templates, policies, [TARGET]))


@pytest.mark.parametrize("given", [None, "mine", "~/mine", "$HOME/mine"])
def test_the_folders_are_those_of_c7n_mailer(monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
    found: list[str] = []

    def processor(config: Any, logger: Any) -> Any:
        found.extend(config["templates_folders"])
        raise SystemExit

    Path("mailer.yml").write_text(yaml.safe_dump({"queue_url": QUEUE}))
    monkeypatch.setattr(mailer_cli, "get_processor", processor)
    option = ["-t", given] if given else []
    monkeypatch.setattr(sys, "argv", ["c7n-mailer", "--run", "-c", "mailer.yml", *option])
    with pytest.raises(SystemExit):
        mailer_cli.main()
    assert folders(given) == tuple(found)
    assert len(found) == (4 if given else 3)


def test_what_is_found_and_rendered_is_named_with_its_folder(installed: Path) -> None:
    action = {**NOTIFY, "template": "{look}", "slack_template": "slack_iam_users"}
    (check,) = checked(action)
    assert (check.status, check.name) == ("ok", "templates")
    assert check.text == f"iam-users-flagged.html in {installed}; slack_iam_users in {installed}"


@pytest.mark.parametrize("file", sorted((ROOT / "policies").glob("*.yml")), ids=lambda file: file.stem)
def test_the_templates_of_the_policies_that_come_along(installed: Path, file: Path) -> None:
    policies = yaml.safe_load(file.read_text())["policies"]
    Path("mailer.yml").write_text((ROOT / "mailer.yml").read_text())
    found = list(mail_templates.checks(Path("mailer.yml"), None, policies, [TARGET]))
    assert {each.status for each in found} <= {"ok"}, found


SLACK = {"slack_template": "of-ours"}


@pytest.mark.parametrize(
    ("options", "text", "told"),
    [
        pytest.param(
            {"template": "of-ours.html"}, None, "there is no file of-ours.html.j2 in the", id="none"
        ),
        pytest.param(SLACK, None, "slack_template of-ours: there is no file of-ours.j2", id="no-slack"),
        pytest.param({"template": "of-ours.html"}, "", "renders an empty message", id="blank"),
        pytest.param(
            {"template": "of-ours.html"},
            "<html><head><title>x</title><style>a{}</style></head><body>{# #}<p> </p></body></html>",
            "renders an empty message",
            id="nothing-but-tags",
        ),
        pytest.param(
            {"template": "of-ours.html"}, "{% if %}", "can't read it: Invalid template", id="syntax"
        ),
        pytest.param({"template": "of-ours.html"}, "{{ 1 / 0 }}", "ZeroDivisionError", id="fails"),
        pytest.param(
            {"template": "of-ours.html"}, '{% include "parts.j2" %}', "TemplateNotFound: ", id="part"
        ),
        pytest.param(
            {"template": "of-ours.html"}, "{{ resources[0].Instance.Id }}", "UndefinedError", id="undefined"
        ),
        pytest.param(SLACK, "{'text': 1}", "renders no JSON", id="no-json"),
        pytest.param(
            {"template": "iam-users-flaged.html"}, None, "write iam-users-flagged.html", id="misspelt"
        ),
        pytest.param({"template": "{nowhere}/x"}, None, "could evaluate another file", id="no-name"),
        pytest.param({"template": None}, None, "says neither the day nor what happens", id="plain-default"),
        pytest.param({"template": "of-ours.html"}, "<p>{{ resources[0].UserName }}</p>", "", id="well"),
        pytest.param(SLACK, '{"text": {{ resources[0].UserName|tojson }}}', "", id="well-in-slack"),
        pytest.param({"template": "default.html"}, None, "", id="stock"),
        pytest.param({"to": ["o@example.com", "slack://#iam"]}, None, "", id="stock-in-slack"),
    ],
)
def test_a_template_without_a_message(
    installed: Path, options: dict[str, Any], text: str | None, told: str
) -> None:
    given = {key: value for key, value in {**NOTIFY, **options}.items() if value is not None}
    if text is not None:
        name = options.get("template") or options["slack_template"]
        (installed / f"{name}.j2").write_text(text)
    (check,) = checked(given)
    assert check.status == ("hole" if told else "ok"), check
    assert told in check.text
    if told:
        assert check.text.startswith("policy flag: ")
        assert check.remedy
    if "no file" in told or "renders" in told:
        assert all(each in check.text for each in folders(None))


def test_the_templates_of_another_environment_are_missing_until_their_folder_is_given(beside: Path) -> None:
    (check,) = checked(NOTIFY)
    assert check.status == "hole"
    assert f"searches: {folders(None)[0]}, {beside}, {os.getcwd()}. It then sends a mail" in check.text
    (check,) = checked(NOTIFY, templates=str(SHIPPED))
    assert check.status == "ok"
    Path("empty").mkdir()
    for each in ("empty", "nowhere"):
        (check,) = checked(NOTIFY, templates=each)
        assert check.status == "hole"
    assert f"{Path('nowhere').absolute()} (not there)" in check.text


def test_a_changed_copy_that_the_mailer_never_reads_is_told(installed: Path) -> None:
    Path("mine").mkdir()
    copy = Path(shutil.copy(SHIPPED / "iam-users-flagged.html.j2", "mine"))
    assert [each.status for each in checked(NOTIFY, templates="mine")] == ["ok"]
    copy.write_text("<p>Changed</p>")
    (check,) = checked(NOTIFY, templates="mine")
    assert check.status == "hole"
    assert f"and never {copy.absolute()}, which has another text" in check.text


@pytest.mark.parametrize("name", ["iam-users-flagged.html", "iam-users-parts"])
def test_a_copy_of_another_version_is_told(installed: Path, name: str) -> None:
    with (installed / f"{name}.j2").open("a") as file:
        file.write("<p>Of an earlier version</p>")
    (check,) = checked(NOTIFY)
    assert check.status == "hole"
    assert str(SHIPPED) in check.text


def test_policies_with_one_fault_are_one_problem(beside: Path) -> None:
    policies = [{"name": name, "resource": "iam-user", "actions": [NOTIFY]} for name in ("flag", "remind")]
    Path("mailer.yml").write_text(yaml.safe_dump({"queue_url": QUEUE}))
    (check,) = mail_templates.checks(Path("mailer.yml"), None, policies, [TARGET, TARGET])
    assert check.text.startswith("policies flag, remind: template iam-users-flagged.html: ")


def test_a_message_about_other_resources_is_not_invented(beside: Path) -> None:
    notify = {"type": "notify", "to": ["x@example.com"], "template": "default"}
    (check,) = checked(notify, "stop", {"type": "tag"}, resource="aws.ec2")  # type: ignore[arg-type]
    assert check.status == "ok"
    (check,) = checked({**notify, "template": "none"}, resource="aws.ec2")
    assert check.status == "hole"


def test_without_c7n_mailer_it_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "c7n_mailer", None)
    (check,) = checked(NOTIFY)
    assert check.status == "unknown"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "queue_url: q\ntemplates_folders: [x]\n", "'templates_folders' was unexpected", id="key"
        ),
        pytest.param(
            "queue_url: q\nsmtp_port: '25'\n",
            'smtp_port: its value is not what the schema allows (type: "',
            id="kind",
        ),
        pytest.param("[]", "the whole: its value is not what the schema allows (type: ", id="list"),
        pytest.param("\ufeffqueue_url: q\r\nregion: us-east-1\r\n", "", id="bom-and-crlf"),
        pytest.param("\tqueue_url: q", "", id="not-yaml"),  # told by the check of its queue
    ],
)
def test_a_configuration_that_c7n_mailer_refuses(text: str, told: str) -> None:
    Path("mailer.yml").write_text(text)
    found = list(mail_templates.checks(Path("mailer.yml"), None, [], []))
    assert len(found) == bool(told)
    assert told in "".join(each.text for each in found)


@pytest.mark.parametrize(
    ("config", "action", "told"),
    [
        pytest.param({}, {"to": ["a@b.example", "slack://#iam"]}, "no slack_token, ", id="channel"),
        pytest.param({}, {"to": ["slack://webhook/#iam"]}, "no slack_webhook, ", id="webhook-of-the-mailer"),
        pytest.param(
            {"slack_webhook": "https://hooks.slack.com/x"},
            {"to": ["slack://a@b.example"]},
            "no slack_token, ",
            id="person",
        ),
        pytest.param(
            {},
            {"type": "notify-people", "slack_template": "slack_iam_users"},
            "no slack_token, ",
            id="people",
        ),
        pytest.param({}, {"to": ["https://hooks.slack.com/x"]}, "", id="hook"),
        pytest.param({"slack_token": "xoxb"}, {"to": ["slack://#iam"]}, "", id="well"),
        pytest.param({}, {"slack_template": "slack_iam_users"}, "", id="nobody-in-slack"),
    ],
)
def test_recipients_in_slack_that_nobody_can_post_to(
    installed: Path, config: dict[str, Any], action: dict[str, Any], told: str
) -> None:
    Path("mailer.yml").write_text(yaml.safe_dump({"queue_url": QUEUE, **config}))
    policies = [{"name": "flag", "resource": "aws.iam-user", "actions": [{**NOTIFY, **action}]}]
    found = mail_templates.checks(Path("mailer.yml"), None, policies, [TARGET])
    problems = [each.text for each in found if each.status != "ok"]
    assert len(problems) == bool(told)
    assert told in "".join(problems)


def test_preflight_fails_for_a_misspelt_or_missing_template(
    org: LocalOrg, tmp_path: Path, installed: Path
) -> None:
    fleet = Rehearsal(org, tmp_path)
    mailer = {"queue_url": QUEUE, "region": "us-east-1", "from_address": "mailer@example.com"}
    Path("mailer.yml").write_text(yaml.safe_dump(mailer))

    def run(template: str, *arguments: str) -> Any:
        action = {**NOTIFY, "notices": str(tmp_path / "notices"), "template": template}
        Path("policies.yml").write_text(yaml.safe_dump({"policies": [{**POLICY, "actions": [action]}]}))
        return fleet.run("--mailer", "mailer.yml", *arguments)

    well = 3  # mails go through SES, which is not asked
    assert run("iam-users-flagged.html").exit_code == well
    result = run("iam-users-flaged.html")
    assert result.exit_code == 1
    assert "problem: templates: policy delete: template is 'iam-users-flaged.html'" in result.stdout
    result = run("of-ours.html")
    assert result.exit_code == 1
    assert "problem: templates: policy delete: template of-ours.html: there is no file" in result.stdout
    Path("mine").mkdir()
    (Path("mine") / "of-ours.html.j2").write_text("<p>{{ action['violation_desc'] }}</p>")
    assert run("of-ours.html", "--mailer-templates", "mine").exit_code == well


def test_folders_without_a_mailer_are_refused(org: LocalOrg, tmp_path: Path) -> None:
    result = Rehearsal(org, tmp_path).run("--mailer-templates", "mine")
    assert result.exit_code == 2
    assert "also give --mailer" in result.stderr


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("smtp_password: 1234567890123", id="digits-without-quotes"),
        pytest.param("smtp_password: {x: '1234567890123'}", id="an-object"),
        pytest.param("slack_token: ['1234567890123']", id="a-list"),
    ],
)
def test_what_c7n_mailer_refuses_is_told_without_its_value(tmp_path: Path, given: str) -> None:
    (tmp_path / "mailer.yml").write_text(f"queue_url: https://example.com/q\nrole: r\n{given}\n")
    (found,) = refused_by_mailer(tmp_path / "mailer.yml")
    assert given.partition(":")[0] in str(found)
    assert "1234567890123" not in str(found)
