# SPDX-License-Identifier: Apache-2.0
"""What a run leaves behind: a result for each account's policy, and one of the run as a whole, for undoing it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from c7n_iamusers.aws.stores import Store, replace_all
from c7n_iamusers.decisions.changes import assignment_key
from c7n_iamusers.fleet.access_run import Report
from c7n_iamusers.fleet.run_directory import RESULT_SCHEMA, read_results
from c7n_iamusers.identity_center.writer.writer import DONE, FAILED, Ended
from c7n_iamusers.model.access import Claim
from c7n_iamusers.model.access_plan import Change
from c7n_iamusers.model.creations import Created, Removed
from c7n_iamusers.model.identity_center import Instance, folded
from c7n_iamusers.model.intent_documents import permission_set_data
from c7n_iamusers.model.outcome import Outcome

RESULT_FILE = "identity-center-result.json"


def write_account_results(output: Store, places: Iterable[str], report: Report) -> None:
    """Beside each intents, what became of its assignments and its users. Raises OSError."""
    outcomes: dict[str, list[Outcome]] = {place: [] for place in places}
    claims: dict[str, list[Claim]] = {place: [] for place in outcomes}
    for place, outcome in report.outcomes():
        outcomes[place].append(outcome)
    for claim in report.desired.claims:
        claims[claim.place].append(claim)
    planned = {change.key: change for change in report.plan.changes}

    def content(place: str) -> bytes:
        data = {
            "schema": RESULT_SCHEMA,
            "assignments": _assignments(report, planned, claims[place]),
            "users": [outcome.as_data() for outcome in outcomes[place]],
        }
        return json.dumps(data, indent=1).encode()

    replace_all(output, ((str(PurePosixPath(place, RESULT_FILE)), content(place)) for place in outcomes))


def overall_result(
    report: Report,
    created: Iterable[Created],
    removed: Iterable[Removed],
    instance: Instance,
    finished: datetime,
) -> dict[str, Any]:
    """The result of the run as a whole. ``permission-sets``: as they were asked for, to tell later changes by."""
    statuses = Counter(outcome.status for _, outcome in report.outcomes())
    return {
        "schema": RESULT_SCHEMA,
        "finished": finished.isoformat(),
        "instance": instance.arn,
        "identity-store": instance.identity_store_id,
        "region": instance.region,
        "users": dict(statuses),
        "failures": [
            {"change": key, "code": ended.code, "reason": ended.reason}
            for key, ended in report.ended.items()
            if ended.status == FAILED
        ],
        "created": [each.as_data() for each in created],
        "removed": [each.as_data() for each in removed],
        "memberships": _memberships(report),
        "permission-sets": {
            name: permission_set_data(wanted)
            for name, wanted in sorted(report.desired.permission_sets.items())
        },
    }


def memberships_made(output: Store) -> dict[tuple[str, str], frozenset[str]]:
    """Group and username -> ARNs of the IAM users for whom a run below ``output`` made the membership.

    Raises IdentityCenterError and OSError for a result that can't be read.
    """
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for _, result in read_results(output):
        for row in result.get("memberships", ()):
            found[row["group"], folded(row["username"])].update(row["users"])
    return {membership: frozenset(users) for membership, users in found.items()}


def _memberships(report: Report) -> list[dict[str, Any]]:
    """For whose sake each person is in its group: who else is in it later was not put there by this run."""
    found: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for claim in report.plan.served:
        subject = claim.subject
        found[claim.group, report.desired.people[claim.person].username][subject.arn] = subject.unique_id
    return [
        {"group": group, "username": username, "users": dict(sorted(users.items()))}
        for (group, username), users in sorted(found.items())
    ]


def _assignments(
    report: Report, planned: Mapping[str, Change], claims: Iterable[Claim]
) -> list[dict[str, str]]:
    rows = []
    for group, grant in sorted({(claim.group, claim.grant) for claim in claims}):
        key = assignment_key(group, grant)
        status, reason = _status(planned.get(key), report.ended.get(key))
        row = {"account": grant.account_id, "permission-set": grant.permission_set, "group": group}
        rows.append({**row, "status": status, "reason": reason})
    return rows


def _status(change: Change | None, ended: Ended | None) -> tuple[str, str]:
    if change is None:
        return "not-made", "nobody may have it now: see users"
    if ended is None:
        return ("not-made" if change.is_work else "unchanged"), ""
    return {DONE: "succeeded", FAILED: "failed"}.get(ended.status, "not-made"), ended.reason
