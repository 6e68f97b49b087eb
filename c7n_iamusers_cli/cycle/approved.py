# SPDX-License-Identifier: Apache-2.0
"""The steps that can wait for an approval: access in Identity Center, and deletions.

Both have a plan that the command itself makes and applies: `provision plan --out` and `apply --plan`, and the options
``plan-only`` and ``plan`` of composite-delete. What is applied is the file that was approved. What would differ by now
is spared by the command itself, and is in the next plan, which waits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from c7n_iamusers.cycle.approvals import bound, deleting_policies, lapsed, planning, to_apply
from c7n_iamusers.cycle.command_lines import INTENTS, MOVED, Run, own, provision_line
from c7n_iamusers.cycle.settings import SETTINGS_FILE
from c7n_iamusers.cycle.steps import DELETE, PROVISION, REMOVAL, Step
from c7n_iamusers.cycle.waves import wave_of
from c7n_iamusers.exceptions import OutputUnreadable, PlanInvalid
from c7n_iamusers.execution.given import read_given
from c7n_iamusers.identity_center.requests.intents import INTENTS_FILE
from c7n_iamusers.text.wording import counted
from c7n_iamusers_cli.cycle.day import Day, plain
from c7n_iamusers_cli.cycle.plans import Plans, approvals_in, made_plans
from c7n_iamusers_cli.yaml_files import as_yaml

if TYPE_CHECKING:
    from datetime import datetime

    from c7n_iamusers.cycle.approvals import Approval, PlanState
    from c7n_iamusers.cycle.due import Account
    from c7n_iamusers.deletion.reviewed_plan import DeletionPlan
    from c7n_iamusers_cli.cycle.workspace import Workspace

_INTENTS_ACTION = "provision-identity-center"


def provision(day: Day, step: Step, accounts: list[Account]) -> None:
    """Write intents, apply them by `provision`, and tell owners of people who have access.

    With policies that provide access themselves, the step is a plain one.
    """
    run, data = day.prepared(step, accounts), day.policies(step)
    waiting = {each.account_id for each in accounts if needs_approval(day.workspace, each, PROVISION)}
    intents = [str(each["name"]) for each in data["policies"] if writes_intents(each)]
    if not intents:
        if waiting:
            day.problem(
                f"{run.policies} writes no intents, so there is no plan to approve: take provision-intents.yml, or say "
                f"in {SETTINGS_FILE} what waits, such as approve: [{DELETE}]"
            )
        if at_once := [each for each in accounts if each.account_id not in waiting]:
            day.policies_and_check(day.prepared(step, at_once), step, "provision")
        return
    day.policies_and_check(run, step, INTENTS, *intents)
    free = day.free(accounts)
    at_once = [each for each in free if each.account_id not in waiting]
    if at_once and _somebody_asks(day, at_once):
        line = provision_line("apply", day.prepared(step, at_once), day.workspace.center)
        if code := day.command(line):
            # who has no access is spared by each later step, which reads it for each person
            day.problem(f"provision apply ended with {code}: nobody without access is denied or deleted")
    asked = [each for each in free if each.account_id in waiting]
    if asked and _somebody_asks(day, asked):
        _apply_approved(day, day.prepared(step, asked), asked)
    others = [str(each["name"]) for each in data["policies"] if not writes_intents(each)]
    if free and others:
        day.policies_and_check(day.prepared(step, free), step, MOVED, *others)


def _somebody_asks(day: Day, accounts: Sequence[Account]) -> bool:
    """Whether a run left intents of one of ``accounts``: where it selects nobody, it leaves none.

    Raises OutputUnreadable.
    """
    wanted = {part for each in accounts for part in (each.name, each.account_id)}
    store = day.workspace.output
    try:
        names = store.names(f"{INTENTS}/", INTENTS_FILE)
    except OSError as error:
        raise OutputUnreadable(f"{store.place(INTENTS)} can't be read: {error}") from error
    if any(wanted & {*name.split("/")} for name in names):
        return True
    day.say(f"provision: nobody asks for access in {counted(len(accounts), 'account')}")
    return False


def writes_intents(policy: Mapping[str, Any]) -> bool:
    """Whether a policy requests access, which a run of `provision` gives."""
    return any(map(_is_intent, policy.get("actions") or ()))


def _is_intent(action: Any) -> bool:
    return (
        isinstance(action, Mapping)
        and action.get("type") == _INTENTS_ACTION
        and action.get("mode") == "intent"
    )


def only_intents(data: Mapping[str, Any]) -> dict[str, Any]:
    """A file of policies, so that those that request access do that alone, and the others are left out."""
    chosen = [each for each in data["policies"] if writes_intents(each)]
    return {
        **data,
        "policies": [{**each, "actions": list(filter(_is_intent, each["actions"]))} for each in chosen],
    }


def _apply_approved(day: Day, run: Run, accounts: Sequence[Account]) -> None:
    """Apply the plan that was approved: one that was begun, or else the one that a run would make now."""
    plans = Plans.of(day.workspace)
    try:
        approvals, states = approvals_in(day.workspace.directory), plans.states()
    except PlanInvalid as error:
        day.problem(str(error))
        return
    begun = [each for each in to_apply(PROVISION, states, approvals, day.began) if each.begun]
    if begun and not day.choice.users:  # it is of all intents
        _apply_access(day, run, plans, begun[0])
        return
    file = own("provision-plan.json")
    path = day.workspace.directory / file
    path.unlink(missing_ok=True)
    code = day.command(provision_line("plan", run, day.workspace.center, "--out", file))
    if not path.exists():
        day.problem(f"provision plan ended with {code}, so nothing was provisioned")
        return
    if code:  # who fails or is refused is not in the plan, and keeps the user
        day.problem(
            f"provision plan ended with {code}, see its lines above: whoever they name keeps the user"
        )
    state = plans.put_access(read_given(path), [each.account_id for each in accounts], day.now())
    if state is None:
        day.say("provision: nothing is to be changed")
    elif to_apply(PROVISION, [state], approvals, day.began):
        _apply_access(day, run, plans, state)
    else:
        told = [f"its plan is {plans.place(state.sha256)}", *plans.changed_since(state)]
        day.waits(PROVISION, state.sha256, told)


def _apply_access(day: Day, run: Run, plans: Plans, state: PlanState) -> None:
    """Apply a plan, to its end or to an error: after one, the next cycle makes a new plan, which waits.

    `provision apply` itself compares the plan with what a run would do now, and refuses one that differs.
    """
    try:
        content = plans.access_file(state)
    except PlanInvalid as error:
        day.problem(str(error))
        return
    file = own("provision-approved.json")
    day.workspace.write_bytes(file, content)
    plans.update(begun := state.begin(day.now()))
    reviewed = ("--plan", file, "--plan-sha256", hashlib.sha256(content).hexdigest())
    code = day.command(provision_line("apply", run, day.workspace.center, *reviewed))
    plans.update(begun.end(state.accounts, day.now()))
    if code:
        day.problem(f"provision apply ended with {code}: nobody without access is denied or deleted")


def delete(day: Day, step: Step, accounts: list[Account]) -> None:
    """Delete at once in accounts that need no approval; in the others what was approved, and plan the rest."""
    waiting = [each for each in accounts if needs_approval(day.workspace, each, DELETE)]
    if at_once := [each for each in accounts if each not in waiting]:
        plain(day, step, at_once)
    if waiting := day.free(waiting):
        try:
            _Deletions(day, step, Plans.of(day.workspace), approvals_in(day.workspace.directory)).go(waiting)
        except PlanInvalid as error:
            day.problem(f"nothing was deleted that needs an approval: {error}")


def needs_approval(workspace: Workspace, account: Account, step: str) -> bool:
    """Whether ``step`` waits for an approval in ``account``: as the settings say, by default in the first wave.

    ``step``: PROVISION or DELETE.
    """
    asked = workspace.settings.approve
    if asked is not None:
        return step in asked
    return (account.wave or 0) == min(wave_of(each.tags) or 0 for each in workspace.targets)


def _approved(policy: str, account: str) -> str:
    """Where in the workspace a run finds the plan that was approved."""
    return own(f"delete-approved/{policy}/{account}.json")


class _Deletions:
    """Deletions by plans. Raises PlanInvalid where one can't be read, or was changed since its approval."""

    def __init__(self, day: Day, step: Step, plans: Plans, approvals: Sequence[Approval]) -> None:
        self.day, self.step, self.plans, self.approvals = day, step, plans, approvals

    def go(self, accounts: Sequence[Account]) -> None:
        """Apply what was approved, and plan what else is due."""
        states = self.plans.states()
        for late, why in lapsed(DELETE, states, self.approvals, self.day.began):
            self.day.say(f"delete: the plan {late.sha256} is not applied: {why}")
        unfinished = set[str]()
        for state in to_apply(DELETE, states, self.approvals, self.day.began):
            chosen = [
                each
                for each in self.day.free(accounts)
                if each.account_id in state.accounts and each.account_id not in state.applied
            ]
            if chosen:
                self._apply(state, chosen)
                unfinished |= {each.account_id for each in chosen} & self.day.blocked.keys()
        if rest := [each for each in self.day.free(accounts) if each.account_id not in unfinished]:
            self._plan(rest)

    def _apply(self, state: PlanState, accounts: Sequence[Account]) -> None:
        day = self.day
        run, data = day.prepared(self.step, accounts), day.policies(self.step)
        names = deleting_policies(day.workspace.policies(self.step))
        for (policy, account), content in self.plans.deletion_files(state, names).items():
            day.workspace.write_bytes(_approved(policy, account), content)
        file = own("delete-approved.yml")
        places = {policy: _approved(policy, "{account_id}") for policy in names}
        day.workspace.write(file, as_yaml(bound(data, places)))
        self.plans.update(state := state.begin(day.now()))
        day.say(f"delete: applies the plan {state.sha256}, as it was approved")
        day.policies_and_check(run, self.step, REMOVAL, policies=file)
        if not day.choice.users:  # otherwise the others of the plan are still to come
            self.plans.update(state.end([each.account_id for each in day.free(accounts)], day.now()))

    def _plan(self, accounts: Sequence[Account]) -> None:
        day = self.day
        run, data = day.prepared(self.step, accounts), day.policies(self.step)
        policies, began = deleting_policies(data), day.now().replace(microsecond=0)
        file = own("delete-plan.yml")
        day.workspace.write(file, as_yaml(planning(data)))
        day.policies_and_check(run, self.step, REMOVAL, policies=file)
        found = [plan for each in day.free(accounts) for plan in self._made(each, policies, began)]
        state = self.plans.put_deletions(found, policies, day.now())
        if state is None:
            day.say("delete: nobody is to be deleted")
            return
        users = sum(not user.skipped for each in found for user in each.users)
        told = [
            f"{counted(users, 'user')} in {counted(len(state.accounts), 'account')}; the plan is "
            f"{self.plans.place(state.sha256)}",
            *self.plans.changed_since(state),
        ]
        day.waits(DELETE, state.sha256, told)

    def _made(self, account: Account, policies: Sequence[str], since: datetime) -> list[DeletionPlan]:
        try:
            return made_plans(self.plans.store, REMOVAL, account, policies, since)
        except PlanInvalid as error:
            self.day.block(account.account_id, str(error))
            return []


#: The steps of this module.
STEPS = {PROVISION: provision, DELETE: delete}
