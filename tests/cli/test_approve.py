# SPDX-License-Identifier: Apache-2.0
"""Plans that wait: deletions and access, `c7n-iamusers approve`, and what is not applied."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from c7n_iamusers.cycle.approvals import Approval, with_approval
from c7n_iamusers.cycle.command_lines import Line
from c7n_iamusers.deletion.reviewed_plan import DeletionPlan, PlannedDeletion
from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers_cli.cycle import dry_run
from c7n_iamusers_cli.cycle.day import Choice
from c7n_iamusers_cli.main import main
from tests.cli.cycle_workspace import (
    IDS,
    NOW,
    PAYMENTS,
    RESEARCH,
    Commands,
    Killed,
    accounts_in,
    announce,
    cycled,
    make_workspace,
    row,
)

DELETING = ("iam-users-delete", "iam-users-delete-people")


@dataclass
class Planning(Commands):
    """Leaves the plans that composite-delete and `provision plan` would. ``users``: account -> who is to be deleted."""

    users: dict[str, Sequence[str]] = field(default_factory=dict)
    access: Sequence[str] = ()
    now: datetime = NOW
    plans: int = 0
    #: Whether the output is laid out as one in a bucket.
    by_id: bool = False

    def __call__(self, line: Line) -> int:
        code = super().__call__(line)
        if ".cycle/delete-plan.yml" in line and line[0] == "c7n-org":
            for name in accounts_in(self.workspace, "delete"):
                self._plan(name, self.users.get(name, ()))
        if "--out" in line:
            changes = [{"key": each, "kind": "permission-set", "name": each} for each in self.access]
            # who gets nothing, by what was read when
            self.plans += 1
            plan = {"changes": changes, "refused": [{"reason": f"at {self.plans}"}]}
            (self.workspace / line[line.index("--out") + 1]).write_text(json.dumps(plan))
        return code

    def _plan(self, name: str, users: Sequence[str]) -> None:
        arn = f"arn:aws:iam::{IDS[name]}:user/"
        found = tuple(
            PlannedDeletion(
                Subject(each, f"{arn}{each}", f"AIDA{each.upper()}"),
                hashlib.sha256(each.encode()).hexdigest(),
                (ApiCall("iam", "DeleteUser", {"UserName": each}),),
            )
            for each in users
        )
        plan = DeletionPlan(IDS[name], DELETING[0], self.now, found)
        top = (IDS[name],) if self.by_id else (name, "us-east-1")
        place = (self.workspace / "output" / "removal").joinpath(*top, DELETING[0], "deletion-plan.json")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(plan.as_json())

    @property
    def applied(self) -> list[Line]:
        """The commands that apply a plan that was approved."""
        return [each for each in self.lines if ".cycle/delete-approved.yml" in each and each[0] == "c7n-org"]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = make_workspace(tmp_path / "w", steps=["announce", "delete"], provision=False)
    announce(found, 31, *IDS)
    # `approve` and plans have the clock of the machine
    monkeypatch.setattr("c7n_iamusers_cli.cycle.approve.utc_now", lambda: NOW)
    return found


def planned(workspace: Path, users: dict[str, Sequence[str]], days: float = 0, **more: Any) -> Any:
    """A cycle in which these users are to be deleted."""
    now = NOW + timedelta(days=days)
    return cycled(workspace, Planning(workspace, users=users, now=now, **more), now)


def approve(workspace: Path, sha256: str, *more: str) -> Any:
    return CliRunner().invoke(main, ["approve", sha256, "-w", str(workspace), "--by", "jane", *more])


def waiting(found: Any) -> str:
    """The plan that a cycle waits for; empty if it waits for none."""
    return next((each.plan for each in found.day.steps if each.plan), "")


def test_deletions_wait_until_their_plan_is_approved(workspace: Path) -> None:
    first = planned(workspace, {"payments": ["joe", "ann"], "research": []})
    sha256 = waiting(first)
    assert (first.code, len(sha256), first.commands.applied) == (3, 64, [])
    # the policies of the plan delete nobody, and tell nobody
    plan = yaml.safe_load((workspace / ".cycle" / "delete-plan.yml").read_text())
    assert [each["name"] for each in plan["policies"]] == [*DELETING]
    assert all(each["actions"][0]["plan-only"] for each in plan["policies"])
    text = (workspace / "output" / "cycle" / "plans" / sha256 / "plan.txt").read_text()
    assert "2 users are deleted by 2 calls" in text

    assert approve(workspace, sha256[:10], "--note", "as agreed").exit_code == 0
    second = planned(workspace, {}, 1)
    (line,) = second.commands.applied
    assert (second.code, waiting(second), accounts_in(workspace, "delete")) == (0, "", [*IDS])
    bound = yaml.safe_load((workspace / ".cycle" / "delete-approved.yml").read_text())
    places = [each.get("plan") for policy in bound["policies"] for each in policy["actions"]]
    assert places == [
        *(f".cycle/delete-approved/{each}/{{account_id}}.json" for each in DELETING),
        None,
    ]
    # each policy has a plan in each account of the plan, also one that deletes nobody
    for policy in DELETING:
        assert (workspace / places[DELETING.index(policy)].format(account_id=PAYMENTS)).is_file()
    assert "-s" in line
    # it was applied, and is not applied again
    third = planned(workspace, {"payments": ["joe"]}, 2)
    assert (third.code, third.commands.applied, waiting(third) != sha256) == (3, [], True)


def test_what_is_applied_is_the_copy_that_was_compared(workspace: Path) -> None:
    """Whoever writes the output may replace a plan while the run starts, which reads it again."""
    sha256 = waiting(planned(workspace, {"payments": ["joe"]}))
    approve(workspace, sha256)
    kept = workspace / "output" / "cycle" / "plans" / sha256 / DELETING[0] / f"{PAYMENTS}.json"
    approved = kept.read_bytes()
    applied = list[bytes]()

    def replaced(line: Line) -> None:
        if ".cycle/delete-approved.yml" in line and line[0] == "c7n-org":
            kept.write_bytes(b"{}")
            bound = yaml.safe_load((workspace / ".cycle" / "delete-approved.yml").read_text())
            place = bound["policies"][0]["actions"][0]["plan"].format(account_id=PAYMENTS)
            applied.append((workspace / place).read_bytes())

    planned(workspace, {}, 1, during=replaced)
    assert applied == [approved]


def test_an_approval_of_the_same_day_does_not_count_again(workspace: Path) -> None:
    sha256 = waiting(planned(workspace, {"payments": ["joe"]}))
    approve(workspace, sha256)
    assert len(planned(workspace, {"payments": ["joe"]}, 0.01).commands.applied) == 1
    again = planned(workspace, {"payments": ["joe"]}, 0.1)
    assert (again.commands.applied, waiting(again)) == ([], sha256)
    assert any(
        "the same plan was applied until" in each
        for each in planned(workspace, {"payments": ["joe"]}, 0.2).said
    )
    approve(workspace, sha256)
    assert len(planned(workspace, {"payments": ["joe"]}, 0.3).commands.applied) == 1


def test_an_approval_of_the_future_does_not_count(workspace: Path) -> None:
    sha256 = waiting(planned(workspace, {"payments": ["joe"]}))
    future = Approval(sha256, "delete", "jane", NOW + timedelta(days=30))
    (workspace / "approvals.csv").write_bytes(with_approval(None, future))
    found = planned(workspace, {"payments": ["joe"]}, 1)
    assert (found.commands.applied, waiting(found)) == ([], sha256)
    assert any("which is in the future" in each for each in found.said)


def test_a_plan_that_nobody_approved_in_time_is_made_again(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = waiting(planned(workspace, {"payments": ["joe"]}))
    monkeypatch.setattr("c7n_iamusers_cli.cycle.approve.utc_now", lambda: NOW + timedelta(days=7.5))
    assert "run the cycle, which makes it anew" in approve(workspace, sha256).output
    assert waiting(planned(workspace, {"payments": ["joe"]}, 8)) == sha256
    future = Approval(sha256, "delete", "jane", NOW + timedelta(days=8, hours=1))
    (workspace / "approvals.csv").write_bytes(with_approval(None, future))
    assert len(planned(workspace, {"payments": ["joe"]}, 9).commands.applied) == 1


def test_a_note_that_the_file_has_no_column_for_is_said_and_nothing_is_approved(workspace: Path) -> None:
    sha256 = waiting(planned(workspace, {"payments": ["joe"]}))
    file, header = workspace / "approvals.csv", b"sha256,step,who,when\n"
    file.write_bytes(header)
    refused = approve(workspace, sha256, "--note", "ticket 7")
    assert refused.exit_code != 0
    assert "no column note: add it, or approve without a note" in refused.output
    assert file.read_bytes() == header


@pytest.mark.parametrize(
    ("place", "content", "stops"),
    [
        pytest.param(f"research/us-east-1/{DELETING[0]}", "{", True, id="broken"),
        pytest.param(f"research/us-west-2/{DELETING[0]}", "", True, id="a-second-one"),
        pytest.param("research/x", "{", False, id="where-no-run-writes"),
        pytest.param(f"research/us-east-1/x/{DELETING[0]}", "", False, id="a-copy-where-no-run-writes"),
    ],
)
def test_what_lies_in_one_account_s_part_keeps_no_other_from_its_plan(
    workspace: Path, place: str, content: str, stops: bool
) -> None:
    def forge(line: Line) -> None:
        if ".cycle/delete-plan.yml" in line and "report" in line:
            made = removal / "research" / "us-east-1" / DELETING[0] / "deletion-plan.json"
            (removal / place).mkdir(parents=True, exist_ok=True)
            (removal / place / "deletion-plan.json").write_text(content or made.read_text())

    removal = workspace / "output" / "removal"
    found = planned(workspace, {"payments": ["joe"], "research": ["ann"]}, during=forge)
    plan = json.loads((workspace / "output/cycle/plans" / waiting(found) / "plan.json").read_text())
    planned_for = {each["account_id"] for each in plan["deletions"]}
    assert planned_for == ({PAYMENTS} if stops else {PAYMENTS, IDS["research"]})
    assert [*found.day.blocked] == [IDS["research"]] * stops


@pytest.mark.parametrize(
    "more", [("--by", "\u202e" * 60), ("--by", " "), ("--note", "x" * 1_001)], ids=["long", "blank", "note"]
)
def test_an_approval_that_could_not_be_read_again_is_not_written(
    workspace: Path, more: tuple[str, ...]
) -> None:
    sha256 = waiting(planned(workspace, {"payments": ["joe"]}))
    assert approve(workspace, sha256, *more).exit_code == 2
    assert not (workspace / "approvals.csv").exists()


def test_approve_names_whom_the_plan_is_about(workspace: Path) -> None:
    sha256 = waiting(planned(workspace, {"payments": ["joe", "ann"]}))
    (workspace / "output" / "cycle" / "plans" / sha256 / "plan.txt").write_text("nobody")
    printed = approve(workspace, sha256).output
    assert f"delete: + ann of account {PAYMENTS}\ndelete: + joe of account {PAYMENTS}\n" in printed


def test_an_earlier_plan_that_is_none_is_said_and_stops_nothing(workspace: Path) -> None:
    first = waiting(planned(workspace, {"payments": ["joe"]}))
    (workspace / "output" / "cycle" / "plans" / first / "plan.json").write_text("[]")
    found = planned(workspace, {"payments": ["joe", "ann"]}, 1)
    assert waiting(found)
    assert any(f"how it differs from the plan {first} before can't be said" in each for each in found.said)


def test_the_plan_of_the_next_day_is_the_same_as_long_as_it_deletes_the_same(workspace: Path) -> None:
    first, second = (planned(workspace, {"payments": ["joe"]}, day) for day in range(2))
    assert waiting(first) == waiting(second)
    third = planned(workspace, {"payments": ["ann"]}, 2)
    assert waiting(third) != waiting(first)
    assert [each for each in third.said if "of account" in each] == [
        f"delete: + ann of account {PAYMENTS}",
        f"delete: - joe of account {PAYMENTS}",
    ]


def test_plans_in_a_bucket_lie_below_the_account_s_id(workspace: Path) -> None:
    assert waiting(planned(workspace, {"payments": ["joe"]}, by_id=True))


def test_a_plan_that_an_earlier_run_left_is_not_taken(workspace: Path) -> None:
    planned(workspace, {"payments": ["joe"]})
    commands = Planning(workspace, users={"payments": ["joe"]}, now=NOW - timedelta(days=1))
    found = cycled(workspace, commands)
    assert (found.code, waiting(found)) == (0, "")


def test_only_the_first_wave_waits_by_default(tmp_path: Path) -> None:
    waves = {"payments": 1, "research": 2, "platform": 2}
    workspace = make_workspace(
        tmp_path / "w", waves, steps=["announce", "delete"], provision=False, waves={"clean-days": 0}
    )
    announce(workspace, 40, *IDS)
    cycled(workspace)
    found = planned(workspace, {"payments": ["joe"]})
    lines = [each for each in found.commands.lines if each[0] == "c7n-org" and ".cycle/delete.yml" in each]
    assert [each[each.index("-u") + 1] for each in lines] == ["policies/delete.yml", ".cycle/delete-plan.yml"]
    assert accounts_in(workspace, "delete") == ["payments"]
    assert waiting(found)


def test_a_cycle_that_is_killed_while_it_applies_goes_on_with_the_same_plan(workspace: Path) -> None:
    sha256 = waiting(planned(workspace, {"payments": ["joe"], "research": ["ann"]}))
    approve(workspace, sha256)
    commands = Planning(workspace, dies_at=2)
    with pytest.raises(Killed):
        cycled(workspace, commands)
    assert commands.applied
    # two weeks later: a plan that was begun is applied to its end
    again = planned(workspace, {}, 6)
    assert len(again.commands.applied) == 1
    assert planned(workspace, {}, 7).commands.applied == []


def test_a_plan_for_one_user_alone_goes_on_for_the_others(workspace: Path) -> None:
    approve(workspace, waiting(planned(workspace, {"payments": ["joe", "ann"]})))
    commands = Planning(workspace)
    cycled(workspace, commands, NOW, Choice(users=("joe",)))
    assert len(commands.applied) == 1
    narrowed = yaml.safe_load((workspace / ".cycle" / "delete-approved.yml").read_text())
    assert narrowed["policies"][0]["filters"][0]["value"] == ["joe"]
    assert [len(planned(workspace, {}, day).commands.applied) for day in (1, 2)] == [1, 0]


def test_an_account_that_failed_gets_the_plan_again(workspace: Path) -> None:
    approve(workspace, waiting(planned(workspace, {"payments": ["joe"], "research": ["ann"]})))
    failed = planned(workspace, {}, findings={"delete": [row("research", "iam-users-delete failed")]})
    assert (failed.code, [*failed.day.blocked]) == (1, [RESEARCH])
    again = planned(workspace, {}, 1)
    assert len(again.commands.applied) == 1
    assert planned(workspace, {}, 2).commands.applied == []


@pytest.mark.parametrize("file", ["plan.json", f"iam-users-delete/{PAYMENTS}.json", "state.json"])
@pytest.mark.parametrize("how", ["changed", "removed"])
def test_a_plan_that_was_changed_is_not_applied(workspace: Path, file: str, how: str) -> None:
    sha256 = waiting(planned(workspace, {"payments": ["joe"]}))
    approve(workspace, sha256)
    path = workspace / "output" / "cycle" / "plans" / sha256 / file
    if how == "removed":
        path.unlink()
    else:
        path.write_text(path.read_text().replace("joe", "ann").replace('"accounts"', '"counts"'))
    found = planned(workspace, {})
    assert found.commands.applied == []
    if (file, how) != ("state.json", "removed"):  # then it is no plan any more
        assert found.code == 1, found.said
        assert any(
            "it is not applied" in each or "nothing is applied" in each or "is not" in each
            for each in found.said
        )


def test_a_broken_approvals_file_approves_nothing(workspace: Path) -> None:
    sha256 = waiting(planned(workspace, {"payments": ["joe"]}))
    approve(workspace, sha256)
    file = workspace / "approvals.csv"
    file.write_text(file.read_text() + "x,delete,joe,2026-11-30,\n")
    found = planned(workspace, {})
    assert (found.code, found.commands.applied) == (1, [])
    assert any("approvals.csv: line 3" in each for each in found.day.problems)
    assert approve(workspace, sha256).exit_code == 1


@pytest.mark.parametrize(
    ("sha256", "says"),
    [
        ("0" * 64, "0 plans have a SHA-256 that begins with"),
        ("xyz", "is no SHA-256 of a plan"),
        ("abc", "is no SHA-256 of a plan"),
    ],
)
def test_what_is_no_plan_cannot_be_approved(workspace: Path, sha256: str, says: str) -> None:
    plan = waiting(planned(workspace, {"payments": ["joe"]}))
    done = approve(workspace, sha256)
    assert done.exit_code in (1, 2)
    assert says in done.output
    assert (plan in done.output) is (done.exit_code == 1)
    assert not (workspace / "approvals.csv").exists()


def test_a_plan_that_was_applied_cannot_be_approved_again(workspace: Path) -> None:
    sha256 = waiting(planned(workspace, {"payments": ["joe"]}))
    approve(workspace, sha256)
    planned(workspace, {})
    done = approve(workspace, sha256)
    assert (done.exit_code, "was applied on" in done.output) == (1, True)


def test_a_pull_request_approves_as_well(workspace: Path) -> None:
    sha256 = waiting(planned(workspace, {"payments": ["joe"]}))
    (workspace / "approvals.csv").write_bytes(with_approval(None, Approval(sha256, "delete", "joe", NOW)))
    assert len(planned(workspace, {}).commands.applied) == 1


# access


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("c7n_iamusers_cli.cycle.plans.access_in_words", bytes.decode)
    monkeypatch.setattr("c7n_iamusers_cli.cycle.approve.utc_now", lambda: NOW)
    return make_workspace(tmp_path / "w", steps=["announce", "provision"], approve=["provision"])


def applies(found: Any) -> list[str]:
    """The SHA-256 of the plans of access that were applied."""
    lines = [each for each in found.commands.lines if Commands.kind(each) == "provision apply"]
    return [each[each.index("--plan-sha256") + 1] for each in lines]


def test_access_waits_until_its_plan_is_approved(people: Path) -> None:
    first = cycled(people, Planning(people, access=["jane"]))
    sha256 = waiting(first)
    assert (first.code, applies(first)) == (3, [])
    # those who have access are told all the same
    assert first.commands.kinds[-2] == "check provision"
    assert approve(people, sha256).exit_code == 0
    second = cycled(people, Planning(people, access=["jane"], plans=7))
    assert second.code == 0
    # what is applied is the file that was made first, and approved, with the remarks of then
    kept = (people / "output" / "cycle" / "plans" / sha256 / "access.json").read_bytes()
    assert applies(second) == [hashlib.sha256(kept).hexdigest()]
    assert (people / ".cycle" / "provision-approved.json").read_bytes() == kept
    assert json.loads(kept)["refused"] == [{"reason": "at 1"}]


def test_access_that_would_differ_by_now_waits_again(people: Path) -> None:
    approve(people, waiting(cycled(people, Planning(people, access=["jane"]))))
    found = cycled(people, Planning(people, access=["jane", "joe"]))
    assert (found.code, applies(found), bool(waiting(found))) == (3, [], True)
    assert "provision: + permission-set joe" in found.said


def test_access_that_was_begun_is_applied_to_its_end(people: Path) -> None:
    sha256 = waiting(cycled(people, Planning(people, access=["jane"])))
    approve(people, sha256)
    whole = cycled(people, Planning(people, access=["jane"]))
    # as if it had been killed there: it has begun, and not ended
    state = people / "output" / "cycle" / "plans" / sha256 / "state.json"
    data = json.loads(state.read_text())
    state.write_text(json.dumps({**data, "ended": None, "applied": []}))
    again = cycled(people, Planning(people, access=["less"]))
    assert applies(again) == applies(whole)
    assert again.commands.kinds.count("provision plan") == 0


@pytest.mark.parametrize("at", range(8))
def test_approved_access_is_applied_whatever_kills_the_cycle(people: Path, at: int) -> None:
    sha256 = waiting(cycled(people, Planning(people, access=["jane"])))
    approve(people, sha256)
    killed = Planning(people, access=["jane"], dies_at=at)
    with pytest.raises(Killed):
        cycled(people, killed)
    state = people / "output" / "cycle" / "plans" / sha256 / "state.json"
    # what was applied is there, and no plan has it any more
    done = bool(json.loads(state.read_text())["ended"])
    found = cycled(people, Planning(people, access=[] if done else ["jane"]))
    data = json.loads(state.read_text())
    assert (found.code, data["applied"], bool(data["ended"])) == (0, data["accounts"], True)
    assert len(applies(found)) == (not done)
    assert cycled(people, Planning(people, access=[])).code == 0


def test_a_dry_run_looks_at_plans_that_nobody_has_approved(
    people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = waiting(cycled(people, Planning(people, access=["jane"])))
    written = {"--out": "{}", "--check-output": "[]"}

    def instead(*_: Any, **__: Any) -> Any:
        def execute(line: Line) -> int:
            for option in written.keys() & {*line}:
                Path(line[line.index(option) + 1]).write_text(written[option])
            return 0

        return execute

    monkeypatch.setattr("c7n_iamusers_cli.cycle.processes.Processes", instead)
    monkeypatch.setattr(dry_run, "access_in_words", lambda content, whole: "")
    monkeypatch.setattr(dry_run, "utc_now", lambda: NOW)
    line = ["cycle", "-w", str(people), "--dry-run", "--only", "step=provision"]
    before = CliRunner().invoke(main, line)
    assert (before.exit_code, f"waits: c7n-iamusers approve {sha256}" in before.stdout) == (3, True), (
        before.output
    )
    approve(people, sha256)
    after = CliRunner().invoke(main, [*line, "--format", "json"])
    assert after.exit_code == 0, after.output
    (plan,) = json.loads(after.stdout)["plans"]
    assert (plan["sha256"], plan["step"], plan["approved"]) == (sha256, "provision", True)


@pytest.mark.parametrize("how", ["changed", "removed", "no-json"])
def test_access_that_was_changed_is_not_applied(people: Path, how: str) -> None:
    sha256 = waiting(cycled(people, Planning(people, access=["jane"])))
    approve(people, sha256)
    file = people / "output" / "cycle" / "plans" / sha256 / "access.json"
    if how == "removed":
        file.unlink()
    else:
        file.write_text(file.read_text().replace("jane", "joe") if how == "changed" else "[")
    found = cycled(people, Planning(people, access=["jane"]))
    assert (found.code, applies(found)) == (1, [])


def test_a_plan_without_changes_waits_for_nobody(people: Path) -> None:
    found = cycled(people, Planning(people, access=[]))
    assert (found.code, waiting(found), applies(found)) == (0, "", [])


def test_who_fails_in_a_plan_keeps_nobody_else_waiting(people: Path) -> None:
    """`provision plan` ends with 1 for one user that fails, and its plan has the others."""
    found = cycled(people, Planning(people, codes={"provision plan": 1}, access=["jane"]))
    assert (found.code, len(waiting(found)), applies(found)) == (1, 64, [])
    assert "whoever they name keeps the user" in found.day.problems[0]
    none = cycled(people, Commands(people, codes={"provision plan": 1}))
    assert (none.code, waiting(none), applies(none)) == (1, "", [])
    assert "so nothing was provisioned" in none.day.problems[0]


@pytest.mark.parametrize(
    ("waves", "approve", "applied", "planned"),
    [
        (True, None, ["research", "platform"], ["payments"]),
        (False, None, None, [*IDS]),
        (True, [], [*IDS], None),
        (True, ["delete"], [*IDS], None),
        (True, ["provision"], None, [*IDS]),
    ],
    ids=["first-wave", "no-waves", "nothing", "delete-alone", "each-wave"],
)
def test_by_default_access_in_the_first_wave_waits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    waves: bool,
    approve: list[str] | None,
    applied: list[str] | None,
    planned: list[str] | None,
) -> None:
    monkeypatch.setattr("c7n_iamusers_cli.cycle.plans.access_in_words", bytes.decode)
    settings = {} if approve is None else {"approve": approve}
    in_waves = dict(zip(IDS, (1, 2, 2), strict=True)) if waves else None
    found = make_workspace(
        tmp_path / "w",
        in_waves,
        steps=["announce", "provision", "delete"],
        waves={"clean-days": 0},
        **settings,
    )
    cycled(found, now=NOW - timedelta(days=1))
    which = dict[str, list[str]]()

    def note(line: Line) -> None:
        if line[1] == "provision":
            which[line[2]] = accounts_in(found, "provision")

    done = cycled(found, Planning(found, access=["jane"], during=note))
    assert (which.get("apply"), which.get("plan")) == (applied, planned)
    assert (done.code, bool(waiting(done))) == ((3, True) if planned else (0, False))


def test_access_without_intents_has_no_plan(people: Path) -> None:
    (people / "policies" / "provision-intents.yml").unlink()
    found = cycled(people)
    assert found.code == 1
    assert "take provision-intents.yml" in found.day.problems[0]
