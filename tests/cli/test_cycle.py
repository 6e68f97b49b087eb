# SPDX-License-Identifier: Apache-2.0
"""`c7n-iamusers cycle`: which commands it runs, which accounts go on after a check, and what a killed one leaves."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from c7n_iamusers.exceptions import InvalidPolicyData, OutputUnreadable
from c7n_iamusers_cli.cycle.command import closing_lines
from c7n_iamusers_cli.cycle.day import Choice, Ended
from c7n_iamusers_cli.cycle.workspace import Workspace
from c7n_iamusers_cli.main import main
from tests.cli.cycle_workspace import (
    ALL_STEPS,
    IDS,
    NOW,
    PAYMENTS,
    RESEARCH,
    Commands,
    Killed,
    accounts_in,
    announce,
    cycled,
    day_of,
    last_record,
    leave_intents,
    make_workspace,
    row,
    steps_in,
)

EVERYBODY = list(IDS)
#: A file of `provision plan --out`.
ACCESS: dict[str, Any] = {
    "schema": 3,
    "changes": [
        {
            "key": "set:ReadOnly",
            "kind": "permission-set",
            "action": "create",
            "name": "ReadOnly",
            "administrative": "AdministratorAccess",
        }
    ],
    "refused": [{"arn": "arn:aws:iam::1:user/joe", "reason": "joe of account 1: so", "code": "refused"}],
    **{each: [] for each in ("standing", "missing", "stale", "totals", "strangers", "over-quota", "reaches")},
    "fed-by-others": "",
    "unlisted": 0,
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Of three accounts, whose users were announced 31 days ago; no step waits for an approval."""
    found = make_workspace(tmp_path / "w", approve=[])
    announce(found, 31, *EVERYBODY)
    return found


@pytest.mark.parametrize(
    ("days", "steps"),
    [
        (None, "announce provision your-access"),
        (1, "announce remind provision your-access"),
        (16, "announce remind provision listen attempts your-access"),
        (23, "announce remind provision listen quarantine attempts your-access"),
        (30, " ".join(ALL_STEPS)),
    ],
)
def test_what_is_due_runs_and_nothing_else(tmp_path: Path, days: float | None, steps: str) -> None:
    workspace = make_workspace(tmp_path / "w", approve=[])
    if days is not None:
        announce(workspace, days, *EVERYBODY)
    found = cycled(workspace)
    assert (found.code, steps_in(found.commands.kinds)) == (0, steps.split())
    # each step is checked, and the whole at the end
    checked = {each.removeprefix("check ") for each in found.commands.kinds if each.startswith("check")}
    assert checked == {*steps.split(), "report"}
    assert found.commands.kinds[-1] == "check report"


def test_each_step_acts_by_its_role_and_leaves_its_output_in_its_place(workspace: Path) -> None:
    found = cycled(workspace)
    run = {
        each: line
        for each, line in zip(found.commands.kinds, found.commands.lines, strict=True)
        if " " not in each
    }
    removers = set()
    for step, line in run.items():
        data = yaml.safe_load((workspace / line[line.index("-c") + 1]).read_text())
        assert (workspace / line[line.index("-c") + 1]).stat().st_mode & 0o777 == 0o600
        roles = {each["role"].rpartition("/")[2] for each in data["accounts"]}
        assert len(roles) == 1
        removers |= {step} if roles == {"IamUsersRemover"} else set()
        assert line[:2] == ("c7n-org", "run")
        assert line[4:6] == ("-t", "cycle")
    assert removers == {"listen", "quarantine", "delete"}
    places = {step: line[line.index("-s") + 1] for step, line in run.items()}
    assert {places[each] for each in ("listen", "quarantine", "attempts", "delete")} == {"output/removal"}
    assert places["announce"] == "output/flag"


def test_intents_are_applied_between_the_policies_that_write_and_that_tell(workspace: Path) -> None:
    lines = cycled(workspace).commands.lines
    kinds = [Commands.kind(each) for each in lines]
    at = kinds.index("provision apply")
    assert kinds[at - 2 : at + 3] == [
        "provision",
        "check provision",
        "provision apply",
        "provision",
        "check provision",
    ]
    assert lines[at - 2][-6:] == ("-p", "iam-users-intents", "-s", "output/intents", "--cache-period", "0")
    assert lines[at + 1][-6:] == ("-p", "iam-users-moved", "-s", "output/moved", "--cache-period", "0")
    apply = " ".join(lines[at])
    assert "--member-role arn:aws:iam::{account_id}:role/IamUsersReader" in apply
    assert "--role arn:aws:iam::123456789012:role/IdentityCenterProvisioner --region us-east-1" in apply
    # the shipped records are above the intents: the command's own default finds them
    assert "--records" not in apply


def test_another_role_provisions_and_the_records_are_elsewhere(tmp_path: Path) -> None:
    workspace = make_workspace(
        tmp_path / "w", roles={"provisioner": "team/P"}, output="s3://b-1/out?region=eu-west-1"
    )
    file = workspace / "accounts.yml"
    file.write_text(file.read_text().replace("records: output", "records: s3://b-1/records"))
    center = Workspace.read(workspace).center
    assert center.role == "arn:aws:iam::123456789012:role/team/P"
    from c7n_iamusers.cycle.command_lines import Run, provision_line

    line = " ".join(provision_line("apply", Run("a.yml", "p.yml", "s3://b-1/out?region=eu-west-1"), center))
    assert " -s s3://b-1/out/intents?region=eu-west-1 --records s3://b-1/records " in line


def test_an_account_that_a_check_names_goes_no_further_and_the_others_do(workspace: Path) -> None:
    commands = Commands(workspace, {"listen": [row("payments", "iam-users-listen failed")]})
    found = cycled(workspace, commands)
    assert found.code == 1
    assert found.day.blocked == {PAYMENTS: "iam-users-listen failed: so"}
    assert {
        each: accounts_in(workspace, each) for each in ("announce", "listen", "quarantine", "delete")
    } == {
        "announce": EVERYBODY,
        "listen": EVERYBODY,
        "quarantine": ["research", "platform"],
        "delete": ["research", "platform"],
    }
    assert (
        "listen: blocked in 1 account; on go: research (444455556666), platform (777788889999)" in found.said
    )
    assert accounts_in(workspace, "report") == EVERYBODY


@pytest.mark.parametrize(
    ("kind", "clean"),
    [pytest.param("failure", False, id="failed"), pytest.param("quarantine", True, id="in-use")],
)
def test_what_is_of_a_user_blocks_nobody_else(workspace: Path, kind: str, clean: bool) -> None:
    """One user that fails, or calls AWS under its Deny, must not keep its account from going on for ever."""
    named = [row("payments", "so it is", user="joe", kind=kind)]
    found = cycled(workspace, Commands(workspace, {"listen": named, "quarantine": named, "report": named}))
    assert (found.code, steps_in(found.commands.kinds), found.day.blocked) == (1, ALL_STEPS, {})
    assert found.day.problems == [f"user joe of account {PAYMENTS}: so it is: so"]
    assert accounts_in(workspace, "delete") == EVERYBODY
    record = last_record(workspace)
    assert record is not None
    assert bool(record.clean) == clean


def test_a_name_that_an_earlier_run_for_one_user_did_not_find_blocks_nobody(workspace: Path) -> None:
    named = [row("payments", "nobody of this name", kind="selection")]
    found = cycled(workspace, Commands(workspace, {"listen": named, "report": named}))
    assert (found.code, found.day.blocked, found.day.problems) == (3, {}, [])
    assert "look: nobody of this name: so" in found.said


def test_why_an_account_is_blocked_can_be_read_again_whatever_names_are_in_it(workspace: Path) -> None:
    name = os.fsencode(workspace / "notices" / PAYMENTS) + b"/\xff20260101T000000000000Z-announced-p.json"
    Path(os.fsdecode(name)).write_text("{")
    for day in range(2):
        found = cycled(workspace, None, NOW + timedelta(days=day))
        assert list(found.day.blocked) == [PAYMENTS]
    long = [row("research", "x" * 990 + "\x1b" * 50)]
    cycled(workspace, Commands(workspace, {"listen": long}), NOW + timedelta(days=2))
    assert cycled(workspace, None, NOW + timedelta(days=3)).day.blocked.keys() == {PAYMENTS}


@pytest.mark.parametrize(
    "name", ["x/../payments", "../../escape", "a\x1b[2K", "-x", "{now:%Y}", "Output", "removal"]
)
def test_a_name_that_is_no_directory_is_refused_before_anything_runs(workspace: Path, name: str) -> None:
    file = workspace / "accounts.yml"
    data = yaml.safe_load(file.read_text())
    data["accounts"][1]["name"] = name
    file.write_text(yaml.safe_dump(data))
    with pytest.raises(InvalidPolicyData, match=f"the name of account {RESEARCH} has"):
        cycled(workspace)


def test_where_all_accounts_are_blocked_the_end_says_so_once(workspace: Path) -> None:
    found = cycled(workspace, Commands(workspace, {"announce": [row(each, "no role") for each in EVERYBODY]}))
    lines = list(closing_lines(found.day))
    (blocked,) = (each for each in lines if each.startswith("blocked: "))
    assert blocked.startswith(f"blocked: payments ({PAYMENTS}), research (")
    assert blocked.endswith(": no role: so")
    assert (
        "no account went on, of 3: correct what is named here, and run it again; what was done stays done"
        in lines
    )
    assert "next: c7n-iamusers preflight -c accounts.yml -a payments -a research -a platform" in lines
    one = cycled(workspace, Commands(workspace, {"announce": [row("payments")]}))
    assert not [each for each in closing_lines(one.day) if each.startswith("no account went on")]


def test_what_is_of_no_account_ends_the_cycle(workspace: Path) -> None:
    found = cycled(workspace, Commands(workspace, {"remind": [row("", "an exemption that has expired")]}))
    assert (found.code, steps_in(found.commands.kinds)) == (1, ["announce", "remind"])
    assert found.commands.kinds[-1] == "check report"
    assert found.day.blocked == {"": "an exemption that has expired: so"}


def test_where_nobody_asks_for_access_nothing_is_planned_and_that_is_no_fault(workspace: Path) -> None:
    """A first wave of machines alone."""
    found = cycled(workspace, Commands(workspace, asks=False))
    assert (found.code, found.day.problems) == (0, [])
    assert not [each for each in found.commands.kinds if each.startswith("provision ")]
    assert "provision: nobody asks for access in 3 accounts" in found.said


def test_attention_blocks_nobody(workspace: Path) -> None:
    rows = [row("payments", "selected nobody", "attention")]
    found = cycled(workspace, Commands(workspace, {"listen": rows}))
    assert (found.code, steps_in(found.commands.kinds), found.day.blocked) == (3, ALL_STEPS, {})


@pytest.mark.parametrize(
    ("codes", "ran", "blocked"),
    [
        # some account failed, and says that it did not: it stops no other
        ({"listen": 1}, ALL_STEPS, []),
        # nothing says how far it came
        ({"announce": 137}, ["announce"], [""]),
        # who has no access is spared by each later step
        ({"provision apply": 1}, ALL_STEPS, []),
    ],
)
def test_a_command_that_fails(
    workspace: Path, codes: dict[str, int], ran: list[str], blocked: list[str]
) -> None:
    found = cycled(workspace, Commands(workspace, codes=codes))
    assert (found.code, steps_in(found.commands.kinds), list(found.day.blocked)) == (1, ran, blocked)


def test_a_check_that_leaves_nothing_ends_the_cycle(workspace: Path) -> None:
    class Silent(Commands):
        def _check(self, line: Any) -> int:
            return 1

    # that of the day before counts for nothing
    cycled(workspace)
    found = cycled(workspace, Silent(workspace))
    assert (found.code, steps_in(found.commands.kinds), list(found.day.blocked)) == (1, ["announce"], [""])


def test_notices_that_cannot_be_read_block_their_account_alone(workspace: Path) -> None:
    (workspace / "notices" / RESEARCH / "x.json").write_text("{")
    found = cycled(workspace)
    assert (found.code, list(found.day.blocked)) == (1, [RESEARCH])
    assert accounts_in(workspace, "announce") == ["payments", "platform"]


def test_attempts_are_asked_for_once_a_week(workspace: Path) -> None:
    days = [
        day
        for day in range(14)
        if "attempts" in cycled(workspace, now=NOW + timedelta(days=day)).commands.kinds
    ]
    assert days == [0, 6, 12]


def test_a_brownout_runs_once(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w", steps=["announce", "brownout", "listen"])
    announce(workspace, 10, *EVERYBODY)
    found = [steps_in(cycled(workspace, now=NOW + timedelta(days=day)).commands.kinds) for day in range(3)]
    assert found == [["announce", "brownout"], ["announce"], ["announce"]]


@pytest.mark.parametrize(
    ("choice", "accounts"),
    [
        (Choice(accounts=("payments",)), ["payments"]),
        (Choice(accounts=(RESEARCH, "payments")), ["payments", "research"]),
        (Choice(waves=(1,)), ["payments"]),
        (Choice(waves=(0, 1)), None),
        (Choice(accounts=("paiments",)), None),
        (Choice(waves=(2,)), None),
        (Choice(accounts=("research",)), None),
    ],
)
def test_only_some_accounts(tmp_path: Path, choice: Choice, accounts: list[str] | None) -> None:
    waves = dict.fromkeys(EVERYBODY, 1)
    if choice.waves or choice.accounts == ("research",):
        waves |= {"research": 2, "platform": 2}
    workspace = make_workspace(tmp_path / "w", waves, approve=[])
    if accounts is None:
        with pytest.raises(InvalidPolicyData, match=r"correct --only|in an open wave"):
            cycled(workspace, choice=choice)
        return
    cycled(workspace, choice=choice)
    assert accounts_in(workspace, "announce") == accounts


def test_only_one_user(workspace: Path) -> None:
    found = cycled(workspace, choice=Choice(users=("jane.doe",)))
    line = next(each for each in found.commands.lines if Commands.kind(each) == "listen")
    data = yaml.safe_load((workspace / line[line.index("-u") + 1]).read_text())
    assert data["policies"][0]["filters"][0] == {
        "type": "value",
        "key": "UserName",
        "op": "in",
        "value": ["jane.doe"],
    }
    assert "check report" not in found.commands.kinds


def test_only_some_steps(workspace: Path) -> None:
    found = cycled(workspace, choice=Choice(steps=("listen", "remind")))
    assert found.commands.kinds == ["remind", "check remind", "listen", "check listen"]


def test_until_a_step(workspace: Path) -> None:
    found = cycled(workspace, choice=Choice(until="listen"))
    assert steps_in(found.commands.kinds) == ALL_STEPS[: ALL_STEPS.index("listen") + 1]
    assert "check report" not in found.commands.kinds


def test_the_cycle_runs_the_mailer_if_the_settings_say_so(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w", mailer="cycle", approve=[])
    announce(workspace, 16, *EVERYBODY)
    found = cycled(workspace)
    assert [each[0] for each in found.commands.lines].count("c7n-mailer") == 6
    mailer = found.commands.lines[[each[0] for each in found.commands.lines].index("c7n-mailer")]
    assert mailer == ("c7n-mailer", "--run", "-c", "mailer.yml")
    assert (
        found.said[-1]
        == "the cycle runs c7n-mailer; before this cycle: 3 messages known to have left the queue"
    )


# waves


def test_the_next_wave_opens_after_clean_days_and_not_before(tmp_path: Path) -> None:
    workspace = make_workspace(
        tmp_path / "w", {"payments": 1, "research": 2, "platform": 2}, waves={"clean-days": 3}
    )
    seen = []
    for day in range(6):
        findings = {"announce": [row("payments")]} if day == 1 else {}
        cycled(workspace, Commands(workspace, findings), NOW + timedelta(days=day))
        seen.append(accounts_in(workspace, "announce"))
    assert seen == [*[["payments"]] * 5, EVERYBODY]
    record = last_record(workspace)
    assert record is not None
    assert list(record.opened) == [1, 2]


def test_a_failure_that_no_check_names_opens_no_wave(tmp_path: Path) -> None:
    workspace = make_workspace(
        tmp_path / "w", {"payments": 1, "research": 2, "platform": 2}, waves={"clean-days": 1}
    )
    for day in range(3):
        found = cycled(workspace, Commands(workspace, codes={"announce": 1}), NOW + timedelta(days=day))
        assert (found.code, found.day.blocked) == (1, {})
    assert accounts_in(workspace, "announce") == ["payments"]
    record = last_record(workspace)
    assert record is not None
    assert "its check names nobody: see its messages above" in record.blocked[PAYMENTS]


def test_a_partial_cycle_does_not_count_for_waves(tmp_path: Path) -> None:
    workspace = make_workspace(
        tmp_path / "w", {"payments": 1, "research": 2, "platform": 2}, waves={"clean-days": 0}
    )
    cycled(workspace, choice=Choice(until="announce"))
    cycled(workspace, now=NOW + timedelta(days=1))
    assert accounts_in(workspace, "announce") == ["payments"]


def test_a_record_that_is_none_is_refused(workspace: Path) -> None:
    cycled(workspace)
    (record,) = (workspace / "output" / "cycle" / "runs").glob("*.json")
    record.write_text("{}")
    with pytest.raises(OutputUnreadable, match="move the broken one away"):
        cycled(workspace)


# a killed cycle


@pytest.mark.parametrize("at", range(20))
def test_a_cycle_that_is_killed_anywhere_is_run_again_to_its_end(workspace: Path, at: int) -> None:
    """Each command goes on by itself, and none is left out because an earlier cycle had begun it."""
    whole = cycled(workspace)
    assert at < len(whole.commands.lines)
    again = workspace.parent / "again"
    make_workspace(again, approve=[])
    announce(again, 31, *EVERYBODY)
    with pytest.raises(Killed):
        cycled(again, Commands(again, dies_at=at))
    found = cycled(again)
    assert found.code == 0
    ran = set(whole.commands.kinds)
    # what is asked once in some days may have ended before
    assert ran - {"attempts", "check attempts"} <= set(found.commands.kinds) <= ran
    record, expected = last_record(again), last_record(workspace)
    assert record is not None
    assert expected is not None
    assert (record.clean, record.opened, set(record.ran)) == (
        expected.clean,
        expected.opened,
        set(expected.ran),
    )


def test_a_signal_ends_it_after_the_command_that_runs(workspace: Path) -> None:
    signals: list[bool] = []
    commands = Commands(workspace, during=lambda line: signals.append(True) if "listen" in line[3] else None)
    day, said = day_of(workspace, commands, stopped=lambda: bool(signals))
    with pytest.raises(Ended):
        day.go()
    assert Commands.kind(commands.lines[-1]) == "listen"
    assert said[-1].startswith("$ c7n-org run -c .cycle/listen.yml")


# mistakes


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda w: (w / "iam-users.yml").unlink(), "run this command in a workspace"),
        (
            lambda w: (w / "iam-users.yml").write_text("accunts: x"),
            "iam-users.yml: line 1: there is no setting",
        ),
        (lambda w: (w / "iam-users.yml").write_text("accounts: a.yml"), "there is no"),
        (lambda w: (w / "iam-users.yml").write_text("policies: p"), "there is no"),
        (
            lambda w: (
                (w / "policies" / "listen.yml").unlink()
                or (w / "iam-users.yml").write_text("steps: [listen]")
            ),
            "listen needs listen.yml",
        ),
        (
            lambda w: _replace(w, "IamUsersReader", "IamUsersRemover"),
            "says that IamUsersReader is the role that only",
        ),
        (lambda w: _replace(w, "identity_center_role:", "center:"), "vars lack identity_center_role"),
        (lambda w: _replace(w, "name: research", "name: payments"), "leave one entry each"),
        (
            lambda w: _replace(w, "name: research", "name: research\n  tags: [cycle]"),
            "which is the cycle's own",
        ),
        (
            lambda w: _replace(w, "name: research", "name: research\n  tags: ['wave:2']"),
            "give each account a wave",
        ),
    ],
)
def test_mistakes_in_the_workspace_are_refused_before_anything_is_done(
    workspace: Path, change: Any, says: str
) -> None:
    change(workspace)
    found = CliRunner().invoke(main, ["cycle", "-w", str(workspace)])
    assert found.exit_code == 1, found.output
    assert says in found.output
    assert not (workspace / "output").exists()


def _replace(workspace: Path, old: str, new: str) -> None:
    file = workspace / "accounts.yml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--only", "jane"], "is none of user=NAME"),
        (["--only", "user=j*"], "is a pattern"),
        (["--only", "wave=one"], "is no number of a wave"),
        (["--only", "step=lissten"], "there is no step 'lissten'"),
        (["--until", "nothing"], "is not one of"),
    ],
)
def test_options_that_are_wrong(workspace: Path, given: list[str], says: str) -> None:
    found = CliRunner().invoke(main, ["cycle", "-w", str(workspace), *given])
    assert (found.exit_code, says in found.output) == (2, True), found.output


def test_one_cycle_at_a_time(workspace: Path) -> None:
    from c7n_iamusers_cli.cycle.locking import CycleRunning, cycle_lock

    found = Workspace.read(workspace)
    with cycle_lock(found) as is_lost:
        assert not is_lost()
        with pytest.raises(CycleRunning, match=r"is in use by c7n-iamusers cycle"), cycle_lock(found):
            pass
        (workspace / "output" / "cycle" / ".run.lock").unlink()
        assert is_lost()
    with cycle_lock(found):
        pass


def test_what_is_printed_and_the_codes(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command as a whole, with commands that run nothing."""
    ran: list[Any] = []

    def instead(directory: Path, environment: Any, stopped: Any, quiet: bool = False) -> Commands:
        ran.append((environment, quiet))
        return Commands(
            directory, {"announce": [row("payments", "denied")], "report": [row("payments", "denied")]}
        )

    monkeypatch.setattr("c7n_iamusers_cli.cycle.processes.Processes", instead)
    text = CliRunner().invoke(main, ["cycle", "-w", str(workspace)])
    assert text.exit_code == 1, text.output
    assert (
        "$ c7n-org run -c .cycle/announce.yml -t cycle -u policies/flag-and-notify.yml -s output/flag"
        in text.output
    )
    assert f"blocked: payments ({PAYMENTS}): denied: so" in text.output
    data = CliRunner().invoke(main, ["cycle", "-w", str(workspace), "--format", "json"])
    found = json.loads(data.stdout)
    assert (found["exit"], found["blocked"]) == (1, {PAYMENTS: "denied: so"})
    assert [each["name"] for each in found["steps"]] == [*ALL_STEPS, "report"]
    assert [quiet for _, quiet in ran] == [False, True]
    assert all(env["C7N_SESSION_SUFFIX"].startswith("cycle-") for env, _ in ran)


# a dry run


def test_a_dry_run_shows_whom_it_would_take_and_writes_nothing(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cycled(workspace)
    before = {each: each.stat().st_mtime_ns for each in workspace.rglob("*")}

    def instead(directory: Path, environment: Any, stopped: Any, quiet: bool) -> Any:
        assert quiet
        return lambda line: _leave(directory, line)

    monkeypatch.setattr("c7n_iamusers_cli.cycle.processes.Processes", instead)
    line = ["cycle", "-w", str(workspace), "--dry-run", "--only", "account=payments"]
    text = CliRunner().invoke(main, line)
    data = CliRunner().invoke(main, [*line, "--format", "json"])
    assert {each: each.stat().st_mtime_ns for each in workspace.rglob("*")} == before
    assert data.stdout, data.output
    found = json.loads(data.stdout)
    steps = {each["name"]: each for each in found["steps"]}
    (denied,) = [each for each in steps["listen"]["users"] if each["policy"] == "iam-users-listen"]
    assert (denied["user"], denied["outcome"]) == ("jane", "denied")
    (kept,) = [each for each in steps["delete"]["users"] if each["policy"] == "iam-users-delete"]
    assert (kept["outcome"], "not in quarantine" in kept["why"]) == ("stays", True)
    assert re.search(r"^listen +payments \(\d+\) +jane +denied", text.stdout, re.MULTILINE), text.stdout
    assert "listen: due in 1 account, 2 denied" in text.stdout
    # each user of each step has a row, with the reason of who stays
    assert re.search(
        r"^announce +payments \(\d+\) +jane +stays +it is announced for", text.stdout, re.MULTILINE
    )
    # who would get which access, by the plan that a run would make
    assert "  + permission-set ReadOnly  ADMINISTRATOR by AdministratorAccess" in text.stdout
    assert "  ! refused        joe of account 1: so" in text.stdout
    assert "provision: only by a plan" not in text.stdout
    assert found["access"] == ACCESS
    # mails that wait for a reading of the queue block nothing, and a failed user does
    assert (text.exit_code, data.exit_code) == (1, 1)
    assert f"blocking: payments ({PAYMENTS}): failed: so" in text.stdout


def _leave(directory: Path, line: Any) -> int:
    """What a dry run of policies leaves: one user of each policy; and what a check finds."""
    place = Path(line[line.index("-s") + 1])
    if "report" in line:
        found = [row("payments"), {**row("", "mails"), "kind": "mail"}]
        Path(line[line.index("--check-output") + 1]).write_text(json.dumps(found))
        return 1
    assert directory not in place.parents
    if "provision" in line:
        assert "apply" not in line
        Path(line[line.index("--out") + 1]).write_text(json.dumps(ACCESS))
        return 0
    if "--dryrun" not in line:
        # what asks for access does nothing else
        assert place.name == "intents"
        (policy,) = yaml.safe_load((directory / line[line.index("-u") + 1]).read_text())["policies"]
        assert [each["mode"] for each in policy["actions"]] == ["intent"]
        leave_intents(place, ["payments"])
        return 0
    user = {"UserName": "jane", "UserId": "AIDA1", "Arn": f"arn:aws:iam::{PAYMENTS}:user/jane", "Path": "/"}
    for policy in yaml.safe_load((directory / line[line.index("-u") + 1]).read_text())["policies"]:
        output = place / "payments" / "us-east-1" / policy["name"]
        output.mkdir(parents=True)
        (output / "resources.json").write_text(json.dumps([user]))
    return 0


def test_that_nothing_ran_before_the_first_cycle_is_no_fault(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "output" / "setup").mkdir(parents=True)
    shutil.rmtree(workspace / "notices")
    asked: list[Any] = []

    def instead(directory: Path, *_: Any, **__: Any) -> Any:
        def execute(line: Any) -> int:
            asked.append(line)
            return _leave(directory, line)

        return execute

    monkeypatch.setattr("c7n_iamusers_cli.cycle.processes.Processes", instead)
    line = ["cycle", "-w", str(workspace), "--dry-run", "--only", "account=payments"]
    found = CliRunner().invoke(main, line)
    assert found.exit_code == 0, found.output
    assert not [line for line in asked if "report" in line]


def test_an_account_whose_dry_run_cannot_be_read_hides_no_other(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def instead(directory: Path, *_: Any, **__: Any) -> Any:
        def execute(line: Any) -> int:
            code = _leave(directory, line)
            for file in Path(line[line.index("-s") + 1]).rglob("iam-users-listen/resources.json"):
                file.write_text("{")
            return code

        return execute

    monkeypatch.setattr("c7n_iamusers_cli.cycle.processes.Processes", instead)
    found = CliRunner().invoke(
        main, ["cycle", "-w", str(workspace), "--dry-run", "--only", "account=payments"]
    )
    assert (found.exit_code, found.exception.__class__) == (1, SystemExit)
    assert f"listen: payments ({PAYMENTS}): iam-users-listen is not foreseen: " in found.output
    assert "jane" in found.output


@pytest.mark.parametrize(
    ("waves", "left", "blocked", "checked"),
    [
        ((1, 2), (), (), ["payments"]),
        ((1, 1), (), (), ["payments"]),
        ((1, 1), ("research",), (), ["payments", "research"]),
        ((1, 1), (RESEARCH,), (), ["payments", "research"]),
        ((1, 1), (), ("research",), ["payments", "research"]),
    ],
    ids=["a-wave-that-opens", "a-new-account", "ran", "ran-in-a-bucket", "never-could"],
)
def test_an_account_is_checked_once_a_cycle_was_to_run_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    waves: tuple[int, int],
    left: Sequence[str],
    blocked: Sequence[str],
    checked: list[str],
) -> None:
    """`report --check` calls it blocking that nothing ran in an account."""
    in_waves = {"payments": waves[0], "research": waves[1], "platform": 3}
    workspace = make_workspace(tmp_path / "w", in_waves, waves={"clean-days": 0})
    announce(workspace, 1, "payments")
    cycled(
        workspace,
        Commands(workspace, {"announce": [row(each) for each in blocked]}),
        now=NOW - timedelta(days=1),
    )
    for each in left:
        (workspace / "output" / "flag" / each / "us-east-1").mkdir(parents=True)
        (workspace / "output" / "flag" / each / "us-east-1" / "resources.json").touch()
    asked: list[list[str]] = []

    def instead(directory: Path, *_: Any, **__: Any) -> Any:
        def execute(line: Any) -> int:
            if "report" in line:
                file = Path(line[line.index("-c") + 1])
                entries = yaml.safe_load(file.read_text())["accounts"]
                asked.append([each["name"] for each in entries if "cycle" in each.get("tags", ())])
            return 0

        return execute

    monkeypatch.setattr("c7n_iamusers_cli.cycle.processes.Processes", instead)
    monkeypatch.setattr("c7n_iamusers_cli.cycle.dry_run.utc_now", lambda: NOW)
    CliRunner().invoke(main, ["cycle", "-w", str(workspace), "--dry-run"])
    assert asked == [checked]


def test_a_dry_run_that_could_not_look_says_so(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("c7n_iamusers_cli.cycle.processes.Processes", lambda *_, **__: lambda line: 2)
    found = CliRunner().invoke(main, ["cycle", "-w", str(workspace), "--dry-run", "--until", "announce"])
    assert found.exit_code == 1
    assert "announce: the dry run ended with 2" in found.output
    assert "the policy iam-users-flag did not run" in found.output
    assert not (workspace / "output").exists()
