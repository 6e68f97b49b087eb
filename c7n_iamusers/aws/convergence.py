# SPDX-License-Identifier: Apache-2.0
"""Applying a plan whose ground may shift under it: read, plan, apply, and on a race again from the reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from c7n_iamusers.aws.executor import Applied, CallFailed, Executor
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.model.calls import ApiCall, Plan, Subject

State = TypeVar("State")

#: An earlier write has not spread yet, another writer was faster, or a lost response was of a call that
#: had been made: what is there now must be judged anew, never adopted unseen.
RACES = frozenset({"ConflictException", "ResourceNotFoundException"})
#: Seconds for a race to settle.
BUDGET = 60.0


def converge(
    executor: Executor,
    backoff: Backoff,
    subject: Subject,
    applied: Applied,
    state: State,
    read: Callable[[], State],
    plan: Callable[[State], tuple[ApiCall, ...]],
) -> State:
    """Apply ``plan(state)``; after a race, ``plan(read())``, and so on. Returns the last state planned from.

    Raises CallFailed for any other failure, and for a race that outlasts ``BUDGET``; whatever ``read`` and
    ``plan`` raise.
    """
    delays = replace(backoff, budget=min(backoff.budget, BUDGET)).delays()
    while True:
        try:
            executor.apply(Plan(subject, plan(state)), applied)
            return state
        except CallFailed as error:
            delay = next(delays, None)
            if error.code not in RACES or delay is None:
                raise
            backoff.sleep(delay)
            state = read()
