# SPDX-License-Identifier: Apache-2.0
"""``composite-delete`` with ``plan-only``: what it would do, as data for people to review; nothing is touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from c7n.exceptions import PolicyExecutionError

from c7n_iamusers.actions.acting_region import idle_region
from c7n_iamusers.actions.run_output import fail_at_the_end
from c7n_iamusers.actions.run_store import run_store
from c7n_iamusers.actions.user_deletion import UserDeletion
from c7n_iamusers.actions.user_run import Run, UserAction, outcome_of
from c7n_iamusers.aws.executor import Applied
from c7n_iamusers.aws.interruption import Interruption
from c7n_iamusers.aws.journal import NoJournal, utc_now
from c7n_iamusers.aws.stores import Store
from c7n_iamusers.model.annotation import subject_of
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.deletion_plan import DeletionPlan, PlannedDeletion
from c7n_iamusers.model.outcome import FAILED, PLANNED, SKIPPED, Outcome

PLAN_FILE = "deletion-plan.json"
Resource = dict[str, Any]
Proposal = tuple[PlannedDeletion, Outcome]


def propose(
    action: UserAction, deletion: Callable[[Run], UserDeletion], resources: Sequence[Resource]
) -> None:
    """Write the plan of ``action`` over ``resources`` to ``deletion-plan.json`` in the policy's output.

    ``deletion``: what would delete a user of the run.
    Raises PolicyExecutionError where the account can't be read, or the plan not be written.
    """
    manager = action.manager
    if idle := idle_region(manager):
        action.log.info("%s: %s", action.type, idle)
        return
    store = run_store(manager).store
    with Interruption() as interruption:
        run = action.tools(store, NoJournal(), interruption, len(resources))
        proposal = partial(_proposal, action, deletion(run), interruption)
        with action.executor_factory(max_workers=action.max_workers) as pool:
            proposals = list(pool.map(proposal, resources))
    interruption.follow()
    users = tuple(planned for planned, _ in proposals)
    _write(manager, store, DeletionPlan(run.account_id, str(manager.data.get("name")), utc_now(), users))
    outcomes = [outcome for _, outcome in proposals]
    action.tell(resources, outcomes)
    fail_at_the_end(manager, action.type, outcomes)


def _proposal(
    action: UserAction, deletion: UserDeletion, interruption: Interruption, resource: Resource
) -> Proposal:
    subject, found = subject_of(resource), []

    def work(evidence: Subject, _: Applied) -> tuple[str, str]:
        reason = action.spared(resource)
        found.append(PlannedDeletion(evidence, skipped=reason) if reason else deletion.propose(evidence))
        planned = found[0]
        return (SKIPPED, planned.skipped) if planned.skipped else (PLANNED, f"{len(planned.calls)} calls")

    outcome = outcome_of(subject, work, interruption)
    # Who could not be read stands in the plan too, so that a reviewer misses nobody.
    failed = outcome.status == FAILED or not found
    return (PlannedDeletion(subject, skipped=outcome.reason) if failed else found[0]), outcome


def _write(manager: Any, store: Store, plan: DeletionPlan) -> None:
    try:
        store.replace(PLAN_FILE, plan.as_json().encode())
    except OSError as error:
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: account {plan.account_id}: the plan can't be written to "
            f"{store.place(PLAN_FILE)}: {error}"
        ) from error
