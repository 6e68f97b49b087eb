# SPDX-License-Identifier: Apache-2.0
"""Whether a plan is one to review, and whether a deletion is the one that was reviewed. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from c7n_iamusers.decisions.deny_all import is_denial
from c7n_iamusers.decisions.user_state import is_covered
from c7n_iamusers.decisions.wording import visible
from c7n_iamusers.exceptions import PlanInvalid
from c7n_iamusers.model.calls import ApiCall, Plan
from c7n_iamusers.model.deletion_plan import DeletionPlan, PlannedDeletion
from c7n_iamusers.model.snapshot import Snapshot

#: What puts something on a user; of these a deletion makes only those that deny.
_ADDING = ("Put", "Attach")


def load_plan(text: str | bytes) -> DeletionPlan:
    """The plan, for its reviewer or to be applied.

    Raises PlanInvalid where it is not one that a run could have made; see DeletionPlan.from_json. What a plan's
    calls put on a user must be the Deny-all.
    """
    plan = DeletionPlan.from_json(text)
    for user in plan.users:
        for call in user.calls:
            if call.operation.startswith(_ADDING) and not is_denial(call):
                given = ", ".join(f"{name} {value!r}" for name, value in call.parameters.items())
                raise PlanInvalid(
                    f"not a plan that a run has made: {user.subject}: {call.operation} of {given}: "
                    "a deletion puts nothing on a user but a Deny on everything"
                )
    return plan


def review_refusal(
    reviewed: PlannedDeletion | None, snapshot: Snapshot, plan: Plan, begun_on: Iterable[Snapshot]
) -> str | None:
    """Why ``plan``, made now for the user of ``snapshot``, is not what was reviewed; None where it is.

    A deletion that an earlier run began and did not end goes on: ``begun_on``, the snapshots that it took, then has
    one of the user as it was reviewed, and what is left of the user stands in that. In which form the Deny-all goes
    on the user is no matter of review: it only denies.
    """
    if reviewed is None:
        return "it is not in the reviewed plan"
    if reviewed.skipped:
        return f"the reviewed plan leaves it alone: {visible(reviewed.skipped)}"
    if reviewed.fingerprint != snapshot.fingerprint and not _begun(reviewed, snapshot, begun_on):
        return "it has changed since the plan was made: plan and review it again"
    known = {_key(call) for call in reviewed.calls}
    further = next((c for c in plan.calls if _key(c) not in known and not is_denial(c)), None)
    if further is None:
        return None
    return f"{further.operation} would be called now, which nobody has reviewed: plan and review it again"


def _begun(reviewed: PlannedDeletion, snapshot: Snapshot, begun_on: Iterable[Snapshot]) -> bool:
    return is_covered(snapshot, (each for each in begun_on if each.fingerprint == reviewed.fingerprint))


def _key(call: ApiCall) -> tuple[str, str, str]:
    return call.service, call.operation, repr(sorted(call.parameters.items()))
