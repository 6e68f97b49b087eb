# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers exemptions requests``: rows of replies, in the columns of the list."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.exemptions import parse_list
from c7n_iamusers.notices.notices import ANNOUNCED, Notice
from c7n_iamusers_cli.main import main
from tests.policies import ACCOUNT
from tests.readme import ROOT
from tests.unreadable import UNREADABLE, Lose

OWNER = "payments-owner@example.com"
LIST = Path("policies", "exemptions.csv")


def row(user: str = "jane.doe", reason: str = "nightly export", days: int = 90) -> str:
    return f'{ACCOUNT},"{user}",,"{reason}",{OWNER},{utc_now().date() + timedelta(days=days)}'


def reply(name: str, text: str) -> None:
    path = Path("replies", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"From: {OWNER}\nSubject: Exemption\n\n{text}\n")


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped list and accounts file; jane.doe and =sum were announced."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    for name in ("accounts.yml", str(LIST)):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    time = utc_now() - timedelta(days=3)
    users = tuple(
        Subject(name, f"arn:aws:iam::{ACCOUNT}:user/{name}", f"AIDA{number}")
        for number, name in enumerate(("jane.doe", "=sum"))
    )
    notice = Notice(ACCOUNT, ANNOUNCED, time, time.date() + timedelta(days=30), (OWNER,), "1", "flag", users)
    DirectoryStore(tmp_path / "notices").create(notice.name, notice.as_json())
    return tmp_path


def requests(*arguments: str, place: str = "replies") -> Result:
    return CliRunner().invoke(main, ["exemptions", "requests", place, "-c", "accounts.yml", *arguments])


def test_what_passes_can_be_appended_to_the_list() -> None:
    reply("a.eml", row())
    reply("deeper/b.txt", row("=sum", "=SUM(A1)"))
    result = requests()
    assert result.exit_code == 0, result.output
    assert "2 mails: 2 rows for policies/exemptions.csv, 0 problems" in result.stderr
    merged = parse_list(LIST.read_text() + result.stdout, "csv", "merged")
    assert [(each.pattern, each.account, each.reason) for each in merged[-2:]] == [
        ("jane.doe", ACCOUNT, "nightly export"),
        ("=sum", ACCOUNT, "'=SUM(A1)"),
    ]
    assert LIST.read_bytes() == (ROOT / LIST).read_bytes()


def test_a_list_with_columns_of_its_own_gets_rows_of_its_form() -> None:
    LIST.write_text("ticket,expires,user,account,reason,owner\nT-1,2099-01-01,git-*,,clients,team\n")
    reply("a.eml", row())
    merged = parse_list(LIST.read_text() + requests().stdout, "csv", "merged")
    assert (merged[1].pattern, merged[1].account) == ("jane.doe", ACCOUNT)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        pytest.param("a.eml", row("jane.*"), "refused: user 'jane.*' may protect others too", id="refused"),
        pytest.param("a.eml", row(reason=""), "1 rows without a reason", id="unfilled"),
        pytest.param("a.eml", "keep her!", f"no row of the list: read it, and answer {OWNER}", id="no-row"),
        pytest.param("a.eml", row(days=500), "more than 366 days", id="long"),
    ],
)
def test_what_a_person_must_look_at_ends_the_command_with_one(name: str, text: str, told: str) -> None:
    reply(name, text)
    result = requests()
    assert (result.exit_code, result.stdout) == (1, "")
    assert told in result.stderr


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param(None, b"", id="no-file"),
        pytest.param("inbox.mbox", b"From \n\n", id="an-mbox-without-mails"),
        pytest.param("a.eml", b"", id="an-empty-file"),
    ],
)
def test_a_place_without_a_mail_is_no_quiet_success(name: str | None, content: bytes) -> None:
    """Not where another place has one either."""
    Path("empty").mkdir()
    if name:
        Path("empty", name).write_bytes(content)
    reply("a.eml", row())
    result = CliRunner().invoke(main, ["exemptions", "requests", "replies", "empty", "-c", "accounts.yml"])
    assert (result.exit_code, result.stdout.count("\n")) == (1, 1)
    assert "empty" in result.stderr.splitlines()[0]


def test_a_longer_exemption_is_allowed_on_request() -> None:
    reply("a.eml", row(days=500))
    assert requests("--longest", "600").exit_code == 0


def test_one_bad_reply_hides_no_good_one() -> None:
    reply("a.eml", row(reason="..."))
    reply("b.eml", row())
    result = requests()
    assert result.exit_code == 1
    assert "nightly export" not in result.stdout  # two rows for one user
    assert "the rows for this user differ" in result.stderr
    reply("a.eml", row("nobody"))
    result = requests()
    assert (result.exit_code, result.stdout.count("\n")) == (1, 1)
    assert "nightly export" in result.stdout


@pytest.mark.parametrize("broken", ["no-notices", "notice", "list", "column", "fifo", "deep", "charset"])
def test_what_cannot_be_read_is_no_quiet_success(broken: str) -> None:
    reply("a.eml", row())
    if broken == "no-notices":
        accounts = yaml.safe_load(Path("accounts.yml").read_text())
        del accounts["vars"]["notices"]
        Path("accounts.yml").write_text(yaml.safe_dump(accounts))
    elif broken == "notice":
        Path("notices", ACCOUNT, "20261101T000000Z-announced-0.json").write_text(json.dumps({}))
    elif broken == "list":
        LIST.write_text("user,reason\n")
    elif broken == "column":
        LIST.write_text("user,reason,expires\na,b,2099-01-01\n")
    elif broken == "deep":
        parts = (f"Content-Type: multipart/mixed; boundary={n}\n\n--{n}\n" for n in range(3000))
        Path("replies/deep.eml").write_text(f"From: {OWNER}\n{''.join(parts)}")
    elif broken == "charset":
        Path("replies/odd.eml").write_text(
            f"From: {OWNER}\nContent-Type: text/plain; charset=punycode\n\n{row()}"
        )
    else:
        os.mkfifo("replies/pipe")
    result = requests()
    assert result.exit_code == 1
    told = {
        "no-notices": "no variable notices",
        "notice": "it is of account None",
        "list": "exemptions.csv",
        "fifo": "FIFO",
        "deep": "replies/deep.eml: can't be read: ",
        "charset": "replies/odd.eml: can't be read: its charset is 'punycode'",
    }
    assert told.get(broken, "has no column account, owner") in result.stderr


@pytest.mark.parametrize(("lose", "told"), UNREADABLE)
def test_replies_that_can_not_be_read_are_no_quiet_success(
    monkeypatch: pytest.MonkeyPatch, lose: Lose, told: str
) -> None:
    reply("a.eml", row())
    reply("december/b.eml", row("=sum"))
    lose(monkeypatch, Path("replies", "december").absolute())
    result = requests(place=str(Path("replies").absolute()))
    assert result.exit_code == 1
    assert told in result.stderr
