# SPDX-License-Identifier: Apache-2.0
"""Whether a deletion is the one that was reviewed. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from c7n_iamusers.decisions.deletion import is_denial
from c7n_iamusers.decisions.user_state import is_covered
from c7n_iamusers.model.calls import ApiCall, Plan
from c7n_iamusers.model.deletion_plan import PlannedDeletion
from c7n_iamusers.model.snapshot import Snapshot


def review_refusal(
    reviewed: PlannedDeletion | None, snapshot: Snapshot, plan: Plan, earlier: Iterable[Snapshot]
) -> str | None:
    """Why ``plan``, made now for the user of ``snapshot``, is not what was reviewed; None where it is.

    A deletion that an earlier run began and did not end goes on: ``earlier`` then has a snapshot of the user
    as it was reviewed, and what is left of the user stands in that. In which form the Deny-all goes on the user
    is no matter of review: it only denies.
    """
    if reviewed is None:
        return "it is not in the reviewed plan"
    if reviewed.skipped:
        return f"the reviewed plan leaves it alone: {reviewed.skipped}"
    if reviewed.fingerprint != snapshot.fingerprint and not _begun(reviewed, snapshot, earlier):
        return "it has changed since the plan was made: plan and review it again"
    known = {_key(call) for call in reviewed.calls}
    further = next((c for c in plan.calls if _key(c) not in known and not is_denial(c)), None)
    if further is None:
        return None
    return f"{further.operation} would be called now, which nobody has reviewed: plan and review it again"


def _begun(reviewed: PlannedDeletion, snapshot: Snapshot, earlier: Iterable[Snapshot]) -> bool:
    return is_covered(snapshot, (each for each in earlier if each.fingerprint == reviewed.fingerprint))


def _key(call: ApiCall) -> tuple[str, str, str]:
    return call.service, call.operation, repr(sorted(call.parameters.items()))
