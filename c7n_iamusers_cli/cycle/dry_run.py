# SPDX-License-Identifier: Apache-2.0
"""``cycle --dry-run``: whom today's steps would take. It writes to a directory that ends with it, and nowhere else."""

from __future__ import annotations

import shlex
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c7n_iamusers.cycle.approvals import PlanState, to_apply
from c7n_iamusers.cycle.command_lines import (
    INTENTS,
    Center,
    Line,
    Run,
    below,
    plan_place,
    provision_line,
    report_line,
)
from c7n_iamusers.cycle.due import Account, Due, due_today, mails_of
from c7n_iamusers.cycle.foresight import STAYS, Foreseen, foresee
from c7n_iamusers.cycle.steps import APPROVABLE, BY_NAME, PROVISION
from c7n_iamusers.cycle.waves import Record
from c7n_iamusers.exceptions import NoticesUnreadable
from c7n_iamusers.execution.given import parsed_file
from c7n_iamusers.identity_center.requests.intents import INTENTS_FILE
from c7n_iamusers.report.checks import BLOCKING
from c7n_iamusers.text.documents import read_json
from c7n_iamusers.text.times import as_text
from c7n_iamusers.text.wording import counted
from c7n_iamusers_cli.cycle.approved import needs_approval, only_intents
from c7n_iamusers_cli.cycle.command import utc_now
from c7n_iamusers_cli.cycle.day import Choice, chosen_accounts, opening_lines
from c7n_iamusers_cli.cycle.plans import PLAN_TEXT, Plans, access_in_words, approvals_in
from c7n_iamusers_cli.cycle.workspace import Workspace, check_rows, last_record
from c7n_iamusers_cli.only import narrowed
from c7n_iamusers_cli.output import end_check, print_json, print_table, say
from c7n_iamusers_cli.yaml_files import as_yaml

if TYPE_CHECKING:
    from c7n_iamusers.execution.stores import Store
    from c7n_iamusers.notices.notices import Notices

#: The steps whose users are named: they announce, deny or delete. The others are shown as due or not.
_NAMED = ("announce", "brownout", "listen", "quarantine", "delete")


@dataclass
class Today:
    """What a cycle would do now. ``due``: each step. ``users``: of the steps that take any, by step.

    ``access``: the plan of `provision plan` for today's intents, None if there is none; ``access_lines``: in words.
    ``checks``: the lines of the check of what earlier runs left. ``plans``: those that are not applied yet,
    each with whether a cycle would apply it now.
    ``problems``: what could not be found out.
    """

    workspace: Workspace
    execute: Callable[[Line], int]
    scratch: Path
    choice: Choice
    now: datetime
    due: list[Due] = field(default_factory=list)
    users: dict[str, list[Foreseen]] = field(default_factory=dict)
    access: Mapping[str, Any] | None = None
    access_lines: list[str] = field(default_factory=list)
    checks: list[Mapping[str, Any]] = field(default_factory=list)
    plans: list[tuple[PlanState, bool]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def look(self) -> None:
        """Find it out. Raises IamUsersError."""
        store = self.workspace.left
        last = last_record(store) if store else None
        self.accounts, self.waves = chosen_accounts(self.workspace, last, self.choice, self.now)
        steps = [each for each in self.workspace.steps if each.name in (self.choice.steps or BY_NAME)]
        self.due = due_today(steps, self.accounts, self.now)
        for each in self.due:
            if each.accounts and each.step.name in _NAMED:
                self.users[each.step.name] = list(self._foreseen(each))
            if each.accounts and each.step.name == PROVISION:
                self._access(each)
            if each.step.name == self.choice.until:
                break
        if ran := [each for each in self.accounts if store and _has_run(each, last, store)]:
            self._check(ran)
        if store:
            self._plans(Plans(store, self.workspace.settings.output))

    def _plans(self, plans: Plans) -> None:
        """The plans that are not applied yet, and whether a cycle would apply them now."""
        states, approvals = plans.states(), approvals_in(self.workspace.directory)
        for each in states:
            if not each.ended:
                self.plans.append((each, each in to_apply(each.step, states, approvals, self.now)))

    def _access(self, due: Due) -> None:
        """Who would get what: today's intents, which change nothing, in the scratch directory, and a plan of them."""
        step, used = due.step, self.workspace.policies_of(due.step)
        data = only_intents(self.workspace.policies(step))
        if not data["policies"]:
            self.access_lines = [
                f"{used} gives access without a plan that could be shown here: take provision-intents.yml"
            ]
            return
        run = self._run(due, narrowed(data, self.choice.users) if self.choice.users else data)
        if code := self.execute(run.policies_line(INTENTS)):
            self.problems.append(f"{step.name}: the run that asks for access ended with {code}, see above")
        from c7n_iamusers.execution.stores import below as files_below

        if not any(files_below(self.scratch / INTENTS, INTENTS_FILE)):
            self.access_lines = ["nobody asks for access"]
            return
        out = self.scratch / "access.json"
        code = self.execute(provision_line("plan", run, self._center(), "--out", str(out)))
        if code:
            self.problems.append(
                f"{step.name}: provision plan ended with {code}, see above: a cycle would, too"
            )
        if out.exists():
            content = out.read_bytes()
            self.access = read_json(content)
            self.access_lines = access_in_words(content, whole=False).splitlines()

    def _center(self) -> Center:
        """As a cycle reaches it, with the records of earlier runs, which are not in the scratch directory."""
        center, records = self.workspace.center, below(self.workspace.settings.output, INTENTS)
        if center.records or not self.workspace.is_there(records):
            return center
        return replace(center, records=records)

    def _run(self, due: Due, data: Mapping[str, Any] | None = None) -> Run:
        """What a step runs with, in the scratch directory. ``data``: policies in place of the step's."""
        accounts, policies = (self.scratch / f"{due.step.name}{end}" for end in (".yml", ".policies.yml"))
        self.workspace.write_accounts(str(accounts), due.accounts, due.step.changes_users)
        if data:
            self.workspace.write(str(policies), as_yaml(data))
        used = str(policies) if data else self.workspace.policies_of(due.step)
        return Run(str(accounts), used, str(self.scratch))

    def _foreseen(self, due: Due) -> Iterator[Foreseen]:
        step, data = due.step, self.workspace.policies(due.step)
        if self.choice.users:
            data = narrowed(data, self.choice.users)
        run = self._run(due, data if self.choice.users else None)
        if code := self.execute(run.policies_line(step.name, dry=True)):
            self.problems.append(f"{step.name}: the dry run ended with {code}")
        for account in due.accounts:
            yield from self._of_account(step.name, account, data)

    def _of_account(self, step: str, account: Account, data: Mapping[str, Any]) -> Iterator[Foreseen]:
        from c7n_iamusers.execution.stores import below
        from c7n_iamusers.organization.readiness import filled_in

        (target,) = (each for each in self.workspace.targets if each.account_id == account.account_id)
        try:
            notices = self.workspace.notices(target, self.now)
        except NoticesUnreadable as error:
            self.problems.append(f"{step}: {account}: {error}")
            return
        for policy in data["policies"]:
            made = below(self.scratch / step / account.name, "resources.json")
            files = sorted(each for each in made if each.parent.name == policy["name"])
            if not files:
                self.problems.append(f"{step}: {account}: the policy {policy['name']} did not run, see above")
            for file in files:
                try:
                    yield from self._of_file(filled_in(policy, target), file, notices)
                except (OSError, ValueError) as error:
                    self.problems.append(f"{step}: {account}: {policy['name']} is not foreseen: {error}")

    def _of_file(self, policy: Any, file: Path, notices: Notices) -> Iterator[Foreseen]:
        return foresee(policy, parsed_file(file, read_json), notices, self.now)

    def _check(self, ran: Sequence[Account]) -> None:
        """What blocks the accounts that ``ran``, by what they left; the page goes to the scratch directory, too."""
        accounts, check = self.scratch / "report.yml", self.scratch / "check.json"
        self.workspace.write_accounts(str(accounts), ran, False)
        line = report_line(
            str(accounts), self.workspace.settings.output, str(check), str(self.scratch / "r.html")
        )
        code = self.execute(line)
        if check.exists():
            self.checks = check_rows(check)
        else:
            self.problems.append(f"the check of what earlier runs left ended with {code}, see above")


def _has_run(account: Account, last: Record | None, store: Store) -> bool:
    """Whether a cycle was to run in the account: that nothing ran before its first one is no fault.

    An account may come into a wave that is open: then neither the ``last`` cycle nor the output knows it.
    """
    if account.announced is None or account.announced.first:
        return True
    opened = last.opened.get(account.wave or 0) if last else None
    if not (last and last.checked and opened and opened <= last.checked):
        return False
    place = BY_NAME["announce"].place
    tops = dict.fromkeys((account.name, account.account_id))
    try:
        return account.account_id in last.blocked or any(store.names(f"{place}/{each}/") for each in tops)
    except OSError:
        return True  # the check says what can't be read


def show_today(workspace: Workspace, choice: Choice, as_json: bool) -> None:
    """Print what a cycle would do now, and end as its checks say."""
    from c7n_iamusers.execution.interruption import Interruption
    from c7n_iamusers_cli.cycle.processes import Processes

    with tempfile.TemporaryDirectory(prefix="c7n-iamusers-") as scratch, Interruption() as interruption:
        run = Processes(workspace.directory, {}, interruption.stopped, quiet=True)

        def execute(line: Line) -> int:
            say(f"$ {shlex.join(line)}", err=True)
            interruption.exit_if_stopped()
            return run(line)

        today = Today(workspace, execute, Path(scratch), choice, utc_now())
        today.look()
    interruption.exit_if_stopped()
    if as_json:
        print_json(as_data(today))
    else:
        show(today)
    # a cycle begins by reading the queue again: mails that wait for that would block nothing
    blocking = sum(each["level"] == BLOCKING and each["kind"] != "mail" for each in today.checks)
    waiting = sum(not approved for _, approved in today.plans)
    end_check(blocking + len(today.problems), len(today.checks) + waiting)


def show(today: Today) -> None:
    """In words, and as a table of users."""
    names = {each.account_id: str(each) for each in today.accounts}
    for line in opening_lines(today.workspace, today.accounts, today.waves):
        say(line)
    for each in today.due:
        for line in _lines_of(today, each):
            say(line)
    rows = [
        [step, names.get(user.account_id, user.account_id), user.user, user.outcome, user.why]
        for step, users in today.users.items()
        for user in sorted(users, key=lambda each: (each.outcome == STAYS, each.account_id, each.user))
    ]
    if rows:
        print_table(["Step", "Account", "User", "Would be", "Why not"], rows)
    for row in today.checks:
        level = "blocking" if row["level"] == BLOCKING else "attention"
        where = names.get(row["account"], row["account"]) or "all accounts"
        user = f", user {row['user']}" if row["user"] else ""
        say(f"{level}: {where}{user}: {row['what']}: {row['why']}")
    for plan, approved in today.plans:
        waits = f"waits: c7n-iamusers approve {plan.sha256}"
        place = plan_place(today.workspace.settings.output, plan.sha256, PLAN_TEXT)
        say(f"plan: {plan.step}: {'approved, and applied by the next cycle' if approved else waits}: {place}")
    for problem in today.problems:
        say(f"failed: {problem}", err=True)
    say(f"mails: {mails_of(today.accounts)}")


def _lines_of(today: Today, due: Due) -> Iterator[str]:
    """Whether a step is due, how many users it would take; and of a step that has a plan, what that is."""
    name = due.step.name
    counts = Counter(user.outcome for user in today.users.get(name, ()))
    told = "".join(f", {count} {outcome}" for outcome, count in sorted(counts.items()))
    waits = "; ".join(f"{why} ({counted(len(of), 'account')})" for why, of in due.waiting.items())
    head = f"due in {counted(len(due.accounts), 'account')}{told}" if due.accounts else "not due"
    yield f"{name}: {head}{': ' + waits if waits else ''}"
    if name == PROVISION:
        yield from (f"  {line}" for line in today.access_lines)
    asked = name in APPROVABLE and [of for of in due.accounts if needs_approval(today.workspace, of, name)]
    if asked:
        yield f"{name}: only by a plan that was approved, in {counted(len(asked), 'account')}"


def as_data(today: Today) -> dict[str, Any]:
    """The same in JSON types."""
    return {
        "accounts": [each.account_id for each in today.accounts],
        "waves": {"open": list(today.waves.open), "next": today.waves.opens, "why": today.waves.why},
        "steps": [
            {
                "name": each.step.name,
                "accounts": [account.account_id for account in each.accounts],
                "waiting": {why: [account.account_id for account in of] for why, of in each.waiting.items()},
                "users": [asdict(user) for user in today.users.get(each.step.name, ())],
            }
            for each in today.due
        ],
        "access": today.access,
        "checks": [dict(each) for each in today.checks],
        "plans": [
            {
                "step": plan.step,
                "sha256": plan.sha256,
                "made": as_text(plan.made),
                "accounts": list(plan.accounts),
                "approved": approved,
            }
            for plan, approved in today.plans
        ],
        "problems": today.problems,
        "mails": mails_of(today.accounts).as_data(),
    }
