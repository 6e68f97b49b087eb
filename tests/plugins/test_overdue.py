# SPDX-License-Identifier: Apache-2.0
"""Who is spared after the announced day is overdue: a numbered mail a week, later to a second contact, and no more."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from aws_local_org import LocalOrg
from tests.interference import deny
from tests.plugins import test_announced_groups
from tests.plugins.deletions import user_names
from tests.plugins.test_announced_groups import QUIET, fates
from tests.plugins.test_notify_owners import EVERYBODY, OWNER, action, age, notify, records, sent
from tests.policies import ACCOUNT, policy

pytestmark = pytest.mark.usefixtures("elsewhere")
iam = test_announced_groups.iam
SECOND = "operations@example.com"
OVERDUE = {
    "step": "overdue",
    "days": None,
    "subject": None,
    "template": "iam-users-overdue.html",
    "account-name": "p",
}


def overdue(notices: Path, **options: Any) -> None:
    notify(notices, **{**OVERDUE, **QUIET, "escalate-to": [SECOND], **options})


def test_who_is_spared_after_its_day_is_told_of_once_a_week(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notify(tmp_path, **QUIET)
    sent(org)
    age(tmp_path / ACCOUNT, 29)
    overdue(tmp_path)
    assert sent(org) == []  # the day is yet to come
    age(tmp_path / ACCOUNT, 1)
    numbers = list[tuple[str, list[str]]]()
    for _ in range(6):
        overdue(tmp_path)
        overdue(tmp_path)  # not twice in a week
        (message,) = sent(org)
        numbers.append((message["action"]["subject"], message["action"]["to"]))
        assert sorted(fates(message)) == ["bot", "jane"]  # alice is in nobody's way
        age(tmp_path / ACCOUNT, 7)
    said = "p: 2 IAM users are overdue, message {}: 1 in use, 1 without a replacement"
    assert [subject for subject, _ in numbers] == [said.format(number) for number in range(1, 7)]
    assert [SECOND in to for _, to in numbers] == [False] * 4 + [True] * 2
    found = sorted(
        (each for each in records(tmp_path) if each["step"] == "overdue"), key=lambda each: str(each["time"])
    )
    assert [each["users"][0]["what"] for each in found] == ["1", "2", "3", "4", "5", "6"]
    assert [each["addresses"] for each in found] == [[OWNER]] * 4 + [[OWNER, SECOND]] * 2
    assert user_names(iam) == ["alice", "bot", "jane"]


def test_who_is_moved_or_exempt_is_not_overdue(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notify(tmp_path, **QUIET)
    sent(org)
    age(tmp_path / ACCOUNT, 30)
    overdue(tmp_path, **{"active-within": 1, "require": "none"})  # nothing keeps them any more
    assert sent(org) == []
    rule = {"user": "b*", "reason": "needed", "expires": "2999-12-31"}
    run = action(tmp_path, **{**OVERDUE, **QUIET})
    policy({"filters": [{"type": "unnecessary", "exempt": [rule]}], "actions": [run]}).run()
    (message,) = sent(org)
    assert [*fates(message)] == ["jane"]


def test_what_was_announced_anew_is_counted_anew(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notify(tmp_path, **QUIET)
    age(tmp_path / ACCOUNT, 30)
    overdue(tmp_path)
    age(tmp_path / ACCOUNT, 95)
    notify(tmp_path, **QUIET)  # the first announcement has lapsed
    age(tmp_path / ACCOUNT, 30)
    sent(org)
    overdue(tmp_path)
    (message,) = sent(org)
    assert "overdue, message 1:" in message["action"]["subject"]


def set_contact(org: LocalOrg, address: str, kind: str = "OPERATIONS") -> None:
    org.client("account", account_id=ACCOUNT).put_alternate_contact(
        AlternateContactType=kind, EmailAddress=address, Name="n", PhoneNumber="1", Title="t"
    )


DOMAINS = {"email-domains": ["example.com"]}


@pytest.mark.parametrize(
    ("named", "contact", "tags", "told", "fault"),
    [
        pytest.param("alternate-contact:OPERATIONS", SECOND, {}, [SECOND], "", id="operations"),
        pytest.param(
            "alternate-contact:OPERATIONS",
            "",
            {},
            [],
            "the account has no OPERATIONS contact: set one",
            id="no-contact",
        ),
        pytest.param(
            "alternate-contact:SECURITY", SECOND, {}, [], "has no SECURITY contact", id="of-another-kind"
        ),
        pytest.param(
            "alternate-contact:OPERATIONS",
            "x@evil.example",
            {},
            [],
            "of domain evil.example: not in",
            id="foreign",
        ),
        pytest.param(
            "tag:Boss",
            "",
            {"bot": "b@example.com", "jane": "j@example.com"},
            ["b@example.com", "j@example.com"],
            "",
            id="tags",
        ),
        pytest.param(
            "tag:Boss",
            "",
            {"bot": "b@example.com"},
            ["b@example.com"],
            "jane without a tag Boss",
            id="one-without-a-tag",
        ),
        pytest.param(
            "tag:Boss",
            "",
            {"bot": "Bob", "jane": "j@x.example"},
            [],
            "'Bob', which is no e-mail address",
            id="no-address",
        ),
    ],
)
def test_a_second_contact_is_looked_up_once_it_is_needed(
    org: LocalOrg,
    iam: Any,
    tmp_path: Path,
    named: str,
    contact: str,
    tags: dict[str, str],
    told: list[str],
    fault: str,
) -> None:
    if contact:
        set_contact(org, contact)
    for name, value in tags.items():
        iam.tag_user(UserName=name, Tags=[{"Key": "Boss", "Value": value}])
    notify(tmp_path, **QUIET)
    age(tmp_path / ACCOUNT, 30)
    options = {**DOMAINS, "escalate-to": [named], "escalate-after": 1}
    org.clear_calls()
    overdue(tmp_path, **options)
    sent(org)
    assert [each for each in org.calls if each.operation == "GetAlternateContact"] == []
    age(tmp_path / ACCOUNT, 7)
    with pytest.raises(PolicyExecutionError, match=re.escape(fault)) if fault else nullcontext():
        overdue(tmp_path, **options)
    (message,) = sent(org)
    assert message["action"]["to"] == [OWNER, "account-emails", *told]
    assert len([each for each in org.calls if each.operation == "GetAlternateContact"]) == bool(
        "contact" in named
    )
    (record,) = [each for each in records(tmp_path) if each["users"][0].get("what") == "2"]
    assert record["addresses"] == [OWNER, *told]


def test_a_contact_that_cannot_be_read_is_said_and_hides_nothing(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_contact(org, SECOND)
    notify(tmp_path, **QUIET)
    age(tmp_path / ACCOUNT, 30)
    named = {"escalate-to": ["alternate-contact:OPERATIONS", "boss@example.com"], "escalate-after": 1}
    overdue(tmp_path, **DOMAINS, **named)
    age(tmp_path / ACCOUNT, 7)
    sent(org)
    deny(monkeypatch, "GetAlternateContact")
    with pytest.raises(
        PolicyExecutionError, match=r"OPERATIONS contact can't be read: .*: allow account:GetAlternateCon"
    ):
        overdue(tmp_path, **DOMAINS, **named)
    (message,) = sent(org)
    assert message["action"]["to"][-1] == "boss@example.com"


def test_looking_up_a_contact_is_a_permission_of_the_policy(tmp_path: Path) -> None:
    given = {**OVERDUE, **DOMAINS, "escalate-to": ["alternate-contact:OPERATIONS"]}
    found = policy({"filters": EVERYBODY, "actions": [action(tmp_path, **given)]})
    assert "account:GetAlternateContact" in found.get_permissions()
    plain = policy({"filters": EVERYBODY, "actions": [action(tmp_path, **OVERDUE)]})
    assert "account:GetAlternateContact" not in plain.get_permissions()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(
            {"escalate-to": ["alternate-contact:OPERATION"], **DOMAINS},
            "is no alternate contact",
            id="misspelt-kind",
        ),
        pytest.param({"escalate-to": ["tag:"], **DOMAINS}, "names no key", id="no-key"),
        pytest.param({"escalate-to": ["tag:Boss"]}, "tag:Boss needs email-domains", id="any-domain"),
        pytest.param({"escalate-to": None, "escalate-after": 3}, "escalate-after names nobody", id="nobody"),
        pytest.param(
            {"step": "announce", "days": 30},
            "escalate-to has no meaning with step: announce",
            id="other-step",
        ),
        pytest.param({"days": 3}, "has no day: remove days", id="days"),
    ],
)
def test_options_that_do_nothing_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    given = action(tmp_path, **{**OVERDUE, "escalate-to": [SECOND], **options})
    with pytest.raises(PolicyValidationError, match=said):
        policy({"filters": EVERYBODY, "actions": [given]})


@pytest.mark.parametrize("value", [[], [""], SECOND])
def test_the_schema_wants_a_list_of_contacts(tmp_path: Path, value: Any) -> None:
    given = action(tmp_path, **{**OVERDUE, "escalate-to": ["x"]})
    policy({"filters": EVERYBODY, "actions": [given]})
    with pytest.raises(PolicyValidationError, match="escalate-to"):
        policy({"filters": EVERYBODY, "actions": [{**given, "escalate-to": value}]})


def test_a_second_contact_that_is_no_address_is_refused_before_anything_is_sent(
    org: LocalOrg, iam: Any, tmp_path: Path
) -> None:
    notify(tmp_path, **QUIET)
    sent(org)
    age(tmp_path / ACCOUNT, 30)
    with pytest.raises(
        PolicyExecutionError, match="escalate-to has 'operations', which is no e-mail address"
    ):
        overdue(tmp_path, **{"escalate-to": ["operations"]})
    assert sent(org) == []
