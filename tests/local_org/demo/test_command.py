# SPDX-License-Identifier: Apache-2.0
"""The demo itself, with few users."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from aws_local_org import Settings
from aws_local_org.demo import planted_keys
from aws_local_org.demo.command import MARKER, _accounts_file, prepared
from aws_local_org.demo.planted import CALLED, IN_USE, MARKED, OWNERLESS, TRUSTED, UNANNOUNCED
from aws_local_org.demo.steps import Commands
from aws_local_org.demo.workspace import clear
from aws_local_org.settings import members
from c7n_iamusers_cli.main import main
from tests.conftest import hurry
from tests.local_org.demo.in_this_process import run_in_this_process
from tests.policies import waived

ROOT = Path(__file__).parents[3]
DEMO = ["demo", "--users-per-account", "12"]


def checkout(path: Path) -> Path:
    """A copy of what the demo needs of this one."""
    source = path / "source"
    (source / "policies").mkdir(parents=True)
    for name in (
        "accounts.yml",
        "mailer.yml",
        *(f"policies/{path.name}" for path in (ROOT / "policies").iterdir()),
    ):
        (source / name).write_bytes((ROOT / name).read_bytes())
    return source


def check_counts(text: str) -> None:
    """What the demo prints of its users, steps and tables."""
    assert "3 accounts and 61 IAM users is up: 12 in each account, and 25 planted ones" in text
    counts = re.findall(r"^cycle: .*: done, (\d+) users \(", text, re.MULTILINE)
    assert [int(each) > 0 for each in counts] == [True] * 6
    assert "deliver these mails: done, 7 mails (" in text
    # people who were deleted without access, and how many planted users are left and deleted
    assert "Deleted without access (must be 0)" in text
    table = {line.split()[0]: re.split(" {2,}", line.strip()) for line in text.splitlines() if line}
    assert {table[each][7] for each in ("111122223333", "444455556666", "777788889999", "all")} == {"0"}
    left = {IN_USE: ("3", "0"), CALLED: ("1", "2"), UNANNOUNCED: ("3", "0")}
    assert {name: tuple(table[name][3:5]) for name in left} == left
    assert "active within 30 days" in table[IN_USE][5]
    assert "its owners were not addressed" in table[UNANNOUNCED][5]
    assert table[MARKED][2:4] == ["0", "3"]


def test_the_whole_job(tmp_path: Path, no_local_org: None, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    hurry(monkeypatch)
    run_in_this_process(monkeypatch)
    done = CliRunner(env={"COLUMNS": "300"}).invoke(main, [*DEMO, "--source", str(ROOT), "--work", str(work)])
    assert done.exit_code == 0, done.output
    assert "0 faults" in done.stdout
    assert "777788889999" in (work / "report.html").read_text()
    assert "Time is compressed" in done.stdout
    # announced, replaced, reminded, overdue; denied, deactivated and deleted, machines and people in one;
    # attempted; released; keys announced twice, made inactive, deleted. The stopped run was without what tells
    assert len(list((work / "mails").glob("*.eml"))) == 7 * 3 + 1 + 1 + 4
    assert f"Report:     {work / 'report.html'}" in done.stdout
    gone = int(
        re.findall(r"delete the users that were quiet in quarantine: done, (\d+) users", done.stdout)[0]
    )
    receipts = [path.name.rsplit(".", 2) for path in (work / "receipts").glob("*/*.json")]
    of_keys = {name for name, unique_id, _ in receipts if unique_id.startswith("AKIA")}
    assert (of_keys, len(receipts)) == ({planted_keys.RETIRED, TRUSTED}, gone + 2)
    check_counts(done.stdout)
    for name, story in planted_keys.STORIES.items():
        assert re.search(rf"AKIA\w+ +{name} +{re.escape(story.told)} .*{story.end} ", done.stdout)
    # the owner's answer is in the demo's own exemptions
    assert CALLED in (work / "policies" / "exemptions.csv").read_text()
    assert CALLED not in (ROOT / "policies" / "exemptions.csv").read_text()
    outcomes = [
        json.loads(path.read_text())
        for path in sorted((work / "output" / "removal").glob("*/us-east-1/iam-users-delete*/outcomes.json"))
    ]
    assert len(outcomes) == 6
    for rows in outcomes:
        assert {row["status"] for row in rows} == {"deleted", "skipped"}
        assert all(
            row["reason"].startswith("active within 30 days: its access key 1 was used")
            for row in rows
            if row["user"] == IN_USE
        )
    # each of these mails is on record
    messages = [each for each in (work / "notices").glob("*/*.json") if not each.stem.endswith("-queue")]
    assert len(messages) == 7 * 3 + 1 + 1 + 4
    assert not (ROOT / "notices").exists()


def test_what_did_not_happen_is_a_fault(tmp_path: Path) -> None:
    """c7n-org itself ends with 0 here: the policy fails in its worker."""
    source = checkout(tmp_path)
    path = source / "policies" / "exemptions.csv"
    path.write_text(path.read_text().replace("reason", "because"))
    program = Path(sys.executable).with_name("c7n-iamusers")
    command = [str(program), *DEMO, "--source", str(source), "--work", str(tmp_path / "work")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "the policy did not run" in done.stdout


def test_policies_that_spare_too_few_are_faults(
    tmp_path: Path, no_local_org: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    run_in_this_process(monkeypatch)
    source = checkout(tmp_path)
    path = source / "policies" / "quarantine.yml"
    data = yaml.safe_load(path.read_text())
    data["policies"] = data["policies"][:2]
    machines, people = data["policies"]
    machines["filters"] = [{"type": "unnecessary", "exempt": "none", "kinds": ["machine", "no-credentials"]}]
    people["filters"] = [{"type": "unnecessary", "exempt": "none", "kinds": ["human", "mixed", "unknown"]}]
    for policy in data["policies"]:
        policy["actions"] = [waived({"type": policy["actions"][0]["type"]})]
    path.write_text(yaml.safe_dump(data, sort_keys=False))

    def by_hand(commands: Commands, step: str) -> int:
        """A cycle would run no quarantine, since nobody is announced."""
        file = commands.work / "policies" / f"{step}.yml"
        return commands.c7n_org(step, commands.work / "accounts.yml", file)

    monkeypatch.setattr(Commands, "cycle", by_hand)
    with prepared(source, tmp_path / "work", seed_number=1, users_per_account=12) as demo:
        demo.quarantine()
    faults = "\n".join(demo.faults)
    for told in (
        "break-glass was quarantined, although it is exempt",
        "although it was used on",
        f"{TRUSTED} was quarantined, although the role handover trusts it",
        f"{OWNERLESS} was quarantined, although its person has no access through Identity Center",
    ):
        assert told in faults


def a_directory(path: Path) -> Path:
    (path / "output").mkdir(parents=True)
    (path / "output" / "thesis.txt").write_text("years of work")
    return path


def a_file(path: Path) -> Path:
    path.write_text("years of work")
    return path


def a_link(path: Path) -> Path:
    (a_directory(path.with_name("elsewhere")) / MARKER).touch()
    path.symlink_to(path.with_name("elsewhere"))
    return path


def a_link_to_nothing(path: Path) -> Path:
    path.symlink_to(path.with_name("nowhere"))
    return path


def a_linked_marker(path: Path) -> Path:
    a_file(path.with_name("other"))
    (a_directory(path) / MARKER).symlink_to(path.with_name("other"))
    return path


def a_marker_that_is_a_directory(path: Path) -> Path:
    (a_directory(path) / MARKER).mkdir()
    return path


def everything(path: Path) -> dict[str, str]:
    return {str(each): each.read_text() if each.is_file() else "" for each in sorted(path.rglob("*"))}


@pytest.mark.parametrize(
    "make",
    [a_directory, a_file, a_link, a_link_to_nothing, a_linked_marker, a_marker_that_is_a_directory],
    ids=lambda make: make.__name__,
)
def test_a_directory_that_no_demo_made_is_left_alone(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    work = make(tmp_path / "work")
    before = everything(tmp_path)
    done = CliRunner().invoke(main, ["demo", "--source", str(ROOT), "--work", str(work)])
    assert done.exit_code == 1
    assert "has no marker of a demo" in done.output
    assert "rm -r" in done.output
    assert everything(tmp_path) == before


def test_of_a_demos_directory_only_what_demos_make_is_removed(tmp_path: Path) -> None:
    work, elsewhere = tmp_path / "work", a_directory(tmp_path / "elsewhere")
    clear(work, "demo", MARKER)
    (work / "output").mkdir()
    (work / "output" / "old.json").touch()
    (work / "mailer.yml").touch()
    (work / "logs").symlink_to(elsewhere)
    (work / "notes.txt").write_text("a person's own")
    clear(work, "demo", MARKER)
    assert sorted(path.name for path in work.iterdir()) == [MARKER, "notes.txt"]
    assert (elsewhere / "output" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("file", ["accounts.yml", "mailer.yml"])
@pytest.mark.parametrize("text", ["other: {}", "[", ""], ids=["another", "no-yaml", "empty"])
def test_accounts_that_cannot_be_read_are_an_error(tmp_path: Path, file: str, text: str) -> None:
    source = checkout(tmp_path)
    (source / file).write_text(text)
    done = CliRunner().invoke(main, ["demo", "--source", str(source), "--work", str(tmp_path / "work")])
    assert done.exit_code == 1
    assert re.search(rf"{re.escape(str(source))}(?:/{re.escape(file)})? can.t be read", done.output)


def test_further_accounts_are_invented_beside_those_of_the_checkout(tmp_path: Path) -> None:
    settings = Settings(member_accounts=members(40))
    file = _accounts_file(checkout(tmp_path), settings, tmp_path / "notices")
    assert [(each["account_id"], each["name"]) for each in file["accounts"]] == [*settings.member_accounts]
    assert len({each["vars"]["owner"] for each in file["accounts"]}) == 40
    assert file["vars"]["notices"] == str(tmp_path / "notices")
    assert members(3) == Settings().member_accounts


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    clear(tmp_path, "demo", MARKER)
    assert [path.name for path in tmp_path.iterdir()] == [MARKER]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param("accounts.yml", "name: payments", "name: paymnts", "111122223333 paymnts", id="name"),
        pytest.param("accounts.yml", '"777788889999"', '"000000000000"', "000000000000 platform", id="id"),
        pytest.param("mailer.yml", '"444455556666"', '"444455556660"', "444455556660", id="owners"),
        pytest.param("mailer.yml", '"444455556666"', "444455556666", "mailer.yml", id="owners-unquoted"),
    ],
)
def test_names_that_match_no_account_are_refused(
    tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    path = checkout(tmp_path) / file
    path.write_text(path.read_text().replace(old, new))
    done = CliRunner().invoke(main, ["demo", "--source", str(path.parent), "--work", str(tmp_path / "work")])
    assert done.exit_code == 1
    assert f"{file}: the demo's accounts are 111122223333" in done.output
    assert message in done.output
    assert not (tmp_path / "work").exists()
