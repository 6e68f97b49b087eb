# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers provision --audit``: what everybody holds, compared with what the intents ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from c7n_iamusers.decisions.access_plan import Evidence
from c7n_iamusers.decisions.holdings_of_people import Held, held_by_people
from c7n_iamusers.fleet.access_run import AccessRun, Report
from c7n_iamusers.fleet.center import Center
from c7n_iamusers.fleet.plan_text import in_words
from c7n_iamusers.fleet.provisioning import Fleet
from c7n_iamusers.fleet.results import memberships_made
from c7n_iamusers.model.access_plan import CenterState, Total
from c7n_iamusers.model.access_proof import UNPROVEN


def audit(fleet: Fleet, center: Center, say: Callable[[str], None]) -> list[str]:
    """Say what each person holds in each account of the intents, and in each that has a set of ours; who is wider.

    Nothing is changed. It takes a call an account, one a permission set in it, and some a group and a set. Raises
    IdentityCenterError, ClientError and BotoCoreError.
    """
    run = AccessRun(center, fleet.desired, Evidence(fleet.deriving.proofs, memberships_made(fleet.output)))
    report, state = run.look_at_everybody()
    wider: list[str] = []
    strange = compared = 0
    for line, total in _lines(report, state):
        say(line)
        compared += 1
        strange += total is None
        if total is not None and total.verdict in UNPROVEN:
            wider.append(line.strip(" !"))
    accounts = len(state.standing.holders)
    say(
        f"Audit: {accounts} accounts, {compared} people and accounts; {len(wider)} wider or undecided, "
        f"{strange} not among the intents."
    )
    return wider


def _lines(report: Report, state: CenterState) -> Iterator[tuple[str, Total | None]]:
    """A line for each person and account, and its total; None for people of whom there are no intents."""
    ids = {known.user_id: key for key, known in report.plan.known_people.items()}
    totals = {(each.person, each.account_id): each for each in report.plan.totals}
    for account, user_id, held in held_by_people(state.standing):
        key = ids.get(user_id)
        total = totals.get((key, account)) if key else None
        username = state.standing.usernames.get(user_id, f"user id {user_id}")
        if total is None:
            told = "; ".join(_holding(each) for each in held)
            yield f"  ? {username} in account {account}: no intents are of it: holds {told}", None
        else:
            yield f"  {'!' if total.verdict in UNPROVEN else '='} {in_words(total, username)}", total


def _holding(held: Held) -> str:
    return f"{held.set_name} through {held.through}{' (ours)' if held.ours else ''}"
