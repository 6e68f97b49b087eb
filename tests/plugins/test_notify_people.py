# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n_mailer.utils import get_message_subject

from aws_local_org import LocalOrg
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.identity_center.output.aws_config import PROFILES, Role, aws_config, file_of
from tests.plugins.test_notify_owners import EVERYBODY, QUEUE, records, sent
from tests.policies import policy

FILTER = {"type": "identity-center", "state": "provisioned", "user": {"username": "tag:E", "email": "tag:E"}}


pytestmark = pytest.mark.usefixtures("elsewhere")


def notify(notices: Path, *resources: dict[str, Any], filters: Any = (FILTER,), **options: Any) -> None:
    """Run the action on annotated resources, as the filter or the action before it leaves them."""
    action = {
        "type": "notify-people",
        "notices": str(notices),
        "email-domains": ["example.com"],
        "template": "iam-users-your-access.html",
        "account-name": "payments",
        "transport": {"type": "sqs", "queue": QUEUE},
        "assume_role": False,
        **options,
    }
    found = policy({"filters": [*EVERYBODY, *filters], "actions": [action]})
    found.resource_manager.actions[0].process(list(resources))


def user(name: str, email: str = "", key: str = "provisioning", state: str = "provisioned") -> dict[str, Any]:
    known = {"status" if key == "provisioning" else "state": state, "email": email, "username": email}
    arn = f"arn:aws:iam::111122223333:user/{name}"
    return {"UserName": name, "UserId": f"AIDA{name}", "Arn": arn, "Path": "/", "c7n:IamUser": {key: known}}


def test_each_person_gets_one_mail_and_only_once(
    org: LocalOrg, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        user("alice", "alice@example.com"),
        user("alice-cli", "Alice@example.com", state="unchanged"),
        user("bob", "bob@example.com", key="identity-center"),
        user("frank", "frank@example.com", key="identity-center", state="used"),
        user("carol", "carol@example.com", state="failed"),
        user("dave", "dave@example.com", state="intended"),
        user("erin", "erin@example.com", key="identity-center", state="pending"),
        user("mallory", "mallory@evil.example"),
        user("nobody"),
    ]
    for _ in range(2):
        notify(tmp_path, *rows)
    messages = {each["action"]["to"][0]: each for each in sent(org)}
    named = {to: [user["UserName"] for user in each["resources"]] for to, each in messages.items()}
    assert named == {
        "alice@example.com": ["alice", "alice-cli"],
        "bob@example.com": ["bob"],
        "frank@example.com": ["frank"],
    }
    assert all(len(each["action"]["to"]) == 1 for each in messages.values())
    subject = "payments: you have access through IAM Identity Center"
    assert {get_message_subject(each) for each in messages.values()} == {subject}
    messages_on_record = [each for each in records(tmp_path) if each["step"] != "queue"]
    assert sorted(
        (each["step"], each["addresses"][0], len(each["users"])) for each in messages_on_record
    ) == [
        ("access", "alice@example.com", 2),
        ("access", "bob@example.com", 1),
        ("access", "frank@example.com", 1),
    ]
    assert (
        "user mallory of account 111122223333: its person gets no mail: 'mallory@evil.example'" in caplog.text
    )
    assert "user nobody of account 111122223333: its person gets no mail: ''" in caplog.text
    assert "carol" not in caplog.text


def test_a_person_gets_the_same_in_slack_where_the_policy_says_so(org: LocalOrg, tmp_path: Path) -> None:
    notify(tmp_path, user("alice", "alice@example.com"), slack_template="slack_iam_users")
    assert [each["action"]["to"] for each in sent(org)] == [
        ["alice@example.com", "slack://alice@example.com"]
    ]
    assert [each["addresses"] for each in records(tmp_path) if each["step"] == "access"] == [
        ["alice@example.com"]
    ]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        pytest.param({"to": ["x@example.com"]}, "remove to, or use notify", id="recipients"),
        pytest.param({"filters": ()}, "needs to know who has access", id="no-access"),
        pytest.param(
            {"filters": ({**FILTER, "state": "pending"},)}, "needs to know who has access", id="pending"
        ),
    ],
)
def test_what_does_not_validate(org: LocalOrg, tmp_path: Path, options: Any, fault: str) -> None:
    with pytest.raises(PolicyValidationError, match=fault):
        notify(tmp_path, **options)


def test_notices_that_cannot_be_written(org: LocalOrg, tmp_path: Path) -> None:
    (tmp_path / "notices").write_text("a file")
    with pytest.raises(PolicyExecutionError, match="Nobody was addressed"):
        notify(tmp_path / "notices", user("alice", "alice@example.com"))
    assert sent(org) == []


PORTAL = "https://d-1234567890.awsapps.com/start"


def with_portal(name: str, email: str) -> dict[str, Any]:
    found = user(name, email)
    found["c7n:IamUser"]["provisioning"] |= {"start-url": PORTAL, "region": "us-east-1"}
    return found


def leave(output: Path, email: str, more: str = "") -> str:
    """The file of a person, as provision apply --aws-config writes it, and its text."""
    text = aws_config(
        PORTAL, "us-east-1", [Role("111122223333", "Readers", "payments"), Role("4" * 12, "Writers")]
    )
    DirectoryStore(output).replace(f"{PROFILES}/{file_of(email, email)}", f"{text}{more}".encode())
    return text


def test_the_mail_has_the_profiles_of_all_accounts(org: LocalOrg, tmp_path: Path) -> None:
    text = leave(tmp_path / "output", "alice@example.com")
    notify(tmp_path, with_portal("alice", "Alice@Example.com"), **{"profiles-from": str(tmp_path / "output")})
    (message,) = sent(org)
    assert message["action"]["profiles"] == text
    assert "[profile payments-Readers]" in text
    assert f"[profile {'4' * 12}-Writers]" in text


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        pytest.param(
            None, "it does not exist: run c7n-iamusers provision apply with --aws-config", id="missing"
        ),
        pytest.param(
            "credential_process = evil\n", "'credential_process = evil', which no run writes", id="key"
        ),
        pytest.param("\xff", "which no run writes", id="other-text"),
    ],
)
def test_a_file_that_no_run_wrote_is_left_out(
    org: LocalOrg, tmp_path: Path, caplog: pytest.LogCaptureFixture, more: str | None, fault: str
) -> None:
    if more is not None:
        leave(tmp_path / "output", "alice@example.com", more)
    notify(tmp_path, with_portal("alice", "alice@example.com"), **{"profiles-from": str(tmp_path / "output")})
    (message,) = sent(org)
    assert message["action"]["profiles"] == ""
    assert "the mail has only the profiles of this account" in caplog.text
    assert fault in caplog.text


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        pytest.param(
            "email-domain",
            ["example.com"],
            "has no option 'email-domain': write email-domains",
            id="misspelt",
        ),
        pytest.param("template", None, "template is blank", id="blank"),
    ],
)
def test_options_are_checked_without_the_schema_too(tmp_path: Path, key: str, value: Any, told: str) -> None:
    """`c7n-org run` checks no schema."""
    given = {"type": "notify-people", "notices": str(tmp_path), "email-domains": ["example.com"]}
    more = {"template": "iam-users-your-access.html", "account-name": "payments", "assume_role": False}
    action = {**given, **more, "transport": {"type": "sqs", "queue": QUEUE}}
    found = policy({"filters": [*EVERYBODY, FILTER], "actions": [action]}).resource_manager.actions[0]
    found.validate()
    found.data[key] = value
    with pytest.raises(PolicyValidationError, match=told):
        found.validate()
