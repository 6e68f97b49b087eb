# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers_cli.main import main

PAYMENTS, RESEARCH, PLATFORM = "111122223333", "444455556666", "777788889999"
MANAGEMENT = "123456789012"
DOMAIN = ("--email-domain", "example.com")
ACCOUNTS = f"""\
# who is processed
accounts:
  - name: payments
    account_id: "{PAYMENTS}"
    role: CloudCustodian
    vars:
      # in mails
      account_name: payments
  - name: research
    account_id: "{RESEARCH}"
    role: CloudCustodian
"""


@pytest.fixture
def here(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("accounts.yml").write_text(ACCOUNTS)
    Path("mailer.yml").write_text("queue_url: x  # where\n")
    return tmp_path


def owners(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["owners", *arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def tag(org: LocalOrg, account: str, value: str, key: str = "Owner") -> None:
    org.client("organizations").tag_resource(ResourceId=account, Tags=[{"Key": key, "Value": value}])


def contact(org: LocalOrg, account: str, address: str, kind: str = "SECURITY") -> None:
    named = {} if account == MANAGEMENT else {"AccountId": account}
    org.client("account").put_alternate_contact(
        AlternateContactType=kind, EmailAddress=address, Name="n", PhoneNumber="1", Title="t", **named
    )


def rows(result: Result) -> list[tuple[str, str, str]]:
    return [(each["account"], each["owner"], each["source"]) for each in json.loads(result.stdout)]


def test_each_account_has_the_owner_of_its_first_source(org: LocalOrg, here: Path) -> None:
    tag(org, PAYMENTS, "pay@example.com")
    contact(org, RESEARCH, "lab@example.com")
    contact(org, MANAGEMENT, "root@example.com")
    result = owners("--format", "json", *DOMAIN)
    assert result.exit_code == 0, result.output
    assert rows(result) == [
        (MANAGEMENT, "root@example.com", "alternate-contact:SECURITY"),
        (PAYMENTS, "pay@example.com", "tag:Owner"),
        (RESEARCH, "lab@example.com", "alternate-contact:SECURITY"),
        (PLATFORM, "aws+platform@example.com", "organization"),
    ]


def test_only_the_accounts_of_the_file_in_the_order_that_is_asked_for(org: LocalOrg, here: Path) -> None:
    tag(org, PAYMENTS, "pay@example.com")
    contact(org, RESEARCH, "ops@example.com", "OPERATIONS")
    chosen = ("--from", "alternate-contact:OPERATIONS", "--from", "organization", "--from", "tag:Owner")
    result = owners("-c", "accounts.yml", "--format", "json", *chosen)
    assert rows(result) == [
        (PAYMENTS, "aws+payments@example.com", "organization"),
        (RESEARCH, "ops@example.com", "alternate-contact:OPERATIONS"),
    ]
    assert (
        f"note: account {PLATFORM} (platform) is not in accounts.yml: c7n-org leaves it out" in result.stderr
    )


def test_a_table_and_csv(here: Path) -> None:
    chosen = ("-c", "accounts.yml", "--from", "organization")
    head, first, _ = owners(*chosen).stdout.splitlines()
    assert head.split() == ["account", "name", "owner", "source"]
    assert first.split() == [PAYMENTS, "payments", "aws+payments@example.com", "organization"]
    (found, _) = csv.DictReader(io.StringIO(owners(*chosen, "--format", "csv").stdout))
    assert found["owner"] == "aws+payments@example.com"


def test_an_address_of_another_domain_is_refused_and_the_next_source_taken(org: LocalOrg, here: Path) -> None:
    tag(org, PAYMENTS, "mallory@evil.example")
    result = owners("-c", "accounts.yml", "--format", "json", *DOMAIN)
    assert rows(result)[0] == (PAYMENTS, "aws+payments@example.com", "organization")
    assert (
        f"note: account {PAYMENTS} (payments): tag:Owner is not taken: 'mallory@evil.example'"
        in result.stderr
    )


def test_a_suspended_account_is_left_out_and_said(org: LocalOrg, here: Path) -> None:
    org.client("organizations").close_account(AccountId=RESEARCH)
    result = owners("-c", "accounts.yml", "--format", "json", "--from", "organization")
    assert [each[0] for each in rows(result)] == [PAYMENTS]
    assert f"note: account {RESEARCH} (research) is left out: it is SUSPENDED" in result.stderr


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        pytest.param(["tag:Owner"], "no owner's address in tag:Owner: write vars", id="nobody"),
        pytest.param(["accounts"], "no owner's address in accounts", id="not-in-the-file"),
    ],
)
def test_an_account_without_an_owner_is_named(
    org: LocalOrg, here: Path, chosen: list[str], told: str
) -> None:
    tag(org, RESEARCH, "lab@example.com")
    result = owners("-c", "accounts.yml", *(part for each in chosen for part in ("--from", each)))
    assert result.exit_code == 1
    assert f"no owner: account {PAYMENTS} (payments): {told}" in result.stderr


def test_a_source_that_cannot_be_read_is_no_reason_to_take_the_next(org: LocalOrg, here: Path) -> None:
    org.client("organizations").disable_aws_service_access(ServicePrincipal="account.amazonaws.com")
    tag(org, PAYMENTS, "pay@example.com")
    result = owners("-c", "accounts.yml", "--format", "json", *DOMAIN)
    assert result.exit_code == 1
    assert rows(result) == [(PAYMENTS, "pay@example.com", "tag:Owner"), (RESEARCH, "", "")]
    assert (
        f"no owner: account {RESEARCH} (research): alternate-contact:SECURITY can't be read" in result.stderr
    )
    assert "enable trusted access for AWS Account Management" in result.stderr


def test_an_account_that_is_not_in_the_organization(here: Path) -> None:
    Path("accounts.yml").write_text(
        'accounts:\n- {account_id: "999999999999", name: x, role: CloudCustodian}\n'
    )
    result = owners("-c", "accounts.yml")
    assert result.exit_code == 1
    assert (
        "account 999999999999 (x): tag:Owner can't be read: the account is not in the organiz"
        in result.stderr
    )


def test_a_member_may_not_list_the_accounts(here: Path) -> None:
    result = owners("--role", f"arn:aws:iam::{PAYMENTS}:role/CloudCustodian")
    assert result.exit_code == 1
    assert "Error: the organization's accounts can't be listed: " in result.stderr
    assert "give --role, a role of the management account" in result.stderr


def test_the_accounts_file_alone_needs_no_aws(org: LocalOrg, here: Path) -> None:
    org.clear_calls()
    Path("accounts.yml").write_text(ACCOUNTS + "    vars: {owner: lab@example.org}\n")
    result = owners("-c", "accounts.yml", "--from", "accounts", "--format", "json", *DOMAIN)
    assert rows(result)[1] == (RESEARCH, "lab@example.org", "accounts")
    assert org.calls == []


def test_owners_are_written_into_both_files(org: LocalOrg, here: Path) -> None:
    os.chmod("accounts.yml", 0o640)
    tag(org, PAYMENTS, "pay@example.com")
    result = owners("-c", "accounts.yml", "--write", "--mailer", "mailer.yml", *DOMAIN)
    assert result.exit_code == 0, result.output
    text = Path("accounts.yml").read_text()
    assert "      owner: pay@example.com\n      # in mails\n      account_name: payments\n" in text
    assert text.replace("      owner: pay@example.com\n", "").startswith(ACCOUNTS[:-30])
    assert [each["vars"]["owner"] for each in yaml.safe_load(text)["accounts"]] == [
        "pay@example.com",
        "aws+research@example.com",
    ]
    assert Path("accounts.yml").stat().st_mode & 0o777 == 0o640
    mailer = Path("mailer.yml").read_text()
    assert mailer.startswith("queue_url: x  # where\naccount_emails:\n")
    assert yaml.safe_load(mailer)["account_emails"] == {
        PAYMENTS: ["pay@example.com"],
        RESEARCH: ["aws+research@example.com"],
    }
    again = owners("-c", "accounts.yml", "--write", "--mailer", "mailer.yml", *DOMAIN)
    assert again.exit_code == 0
    assert (Path("accounts.yml").read_text(), Path("mailer.yml").read_text()) == (text, mailer)
    assert sorted(os.listdir()) == ["accounts.yml", "mailer.yml"]


def test_who_else_gets_an_accounts_mail_is_said(here: Path) -> None:
    Path("mailer.yml").write_text(
        f"account_emails: {{'{PAYMENTS}': [old@example.com], '{PLATFORM}': [p@example.com]}}\n"
    )
    result = owners("-c", "accounts.yml", "--write", "--mailer", "mailer.yml", "--from", "organization")
    said = [line for line in result.stderr.splitlines() if "who still get its mail" in line]
    assert said == [
        f"note: mailer.yml has old@example.com for account {PAYMENTS} too, who still get its mail"
    ]


def test_an_owner_of_all_accounts_is_not_written_into_each(here: Path) -> None:
    text = f"vars: {{owner: all@example.com}}\n{ACCOUNTS}"
    Path("accounts.yml").write_text(text)
    result = owners("-c", "accounts.yml", "--write", "--mailer", "mailer.yml")
    assert result.exit_code == 0, result.output
    assert Path("accounts.yml").read_text() == text
    assert yaml.safe_load(Path("mailer.yml").read_text())["account_emails"][RESEARCH] == ["all@example.com"]


def test_owners_are_written_into_a_new_file(here: Path) -> None:
    result = owners("-c", "accounts.yml", "--output", "new.yml", "--from", "organization")
    assert result.exit_code == 0, result.output
    assert Path("accounts.yml").read_text() == ACCOUNTS
    assert yaml.safe_load(Path("new.yml").read_text())["accounts"][1]["vars"] == {
        "owner": "aws+research@example.com"
    }
    assert owners("-c", "accounts.yml", "--output", "new.yml", "--from", "organization").exit_code == 2


def test_an_account_without_an_owner_does_not_keep_the_others_from_being_written(
    org: LocalOrg, here: Path
) -> None:
    tag(org, PAYMENTS, "pay@example.com")
    result = owners("-c", "accounts.yml", "--write", "--from", "tag:Owner", *DOMAIN)
    assert result.exit_code == 1
    found = yaml.safe_load(Path("accounts.yml").read_text())["accounts"]
    assert [each.get("vars", {}).get("owner") for each in found] == ["pay@example.com", None]


def test_tags_are_not_written_without_the_domains(org: LocalOrg, here: Path) -> None:
    tag(org, PAYMENTS, "mallory@evil.example")
    result = owners("-c", "accounts.yml", "--write")
    assert result.exit_code == 1
    assert "nothing was written: account 111122223333 (payments) and 0 more" in result.stderr
    assert Path("accounts.yml").read_text() == ACCOUNTS


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        pytest.param("mailer.yml", f"account_emails: {{{PAYMENTS}: []}}", "ids in quotes", id="mailer"),
        pytest.param("mailer.yml", "a: [", "mailer.yml: line 1: expected", id="no-yaml"),
        pytest.param("mailer.yml", b"a: \xff", "mailer.yml: 'utf-8' codec", id="no-utf-8"),
    ],
)
def test_one_file_that_cannot_be_edited_leaves_both(here: Path, name: str, text: Any, told: str) -> None:
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    result = owners("-c", "accounts.yml", "--write", "--mailer", "mailer.yml", "--from", "organization")
    assert result.exit_code == 1
    assert "Error: nothing was written: mailer.yml: " in result.stderr
    assert told in result.stderr
    assert Path("accounts.yml").read_text() == ACCOUNTS


def test_a_file_that_cannot_be_written_stays(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", fail)
    result = owners("-c", "accounts.yml", "--write", "--from", "organization")
    assert result.exit_code == 1
    assert "accounts.yml can't be written: no space left on device" in result.stderr
    assert Path("accounts.yml").read_text() == ACCOUNTS
    assert sorted(os.listdir()) == ["accounts.yml", "mailer.yml"]


def test_a_broken_accounts_file(here: Path) -> None:
    Path("accounts.yml").write_text("accounts: [{account_id: 1}]")
    result = owners("-c", "accounts.yml")
    assert result.exit_code == 1
    assert (
        "Error: accounts.yml: can't be read as c7n-org's accounts file: entry 1 of accounts" in result.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["--write"], "need the accounts file: give it by -c", id="no-file"),
        pytest.param(["-c", "accounts.yml", "--write", "--output", "x"], "give one", id="both"),
        pytest.param(["-c", "accounts.yml", "--mailer", "mailer.yml"], "only with --write", id="mailer"),
        pytest.param(["--from", "tag"], "'tag' is no source of owners", id="source"),
        pytest.param(["--role", "x"], "is not the ARN of a role", id="role"),
    ],
)
def test_options_that_contradict_are_refused(here: Path, arguments: list[str], told: str) -> None:
    result = owners(*arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())
