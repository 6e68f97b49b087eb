# SPDX-License-Identifier: Apache-2.0
"""Writes a run's results for people and tools: the overall one, and each account's beside its intents."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.outcomes import Outcome
from c7n_iamusers.execution.stores import Store, read_all, replace_all
from c7n_iamusers.identity_center import object_records
from c7n_iamusers.identity_center.access_plan import Change
from c7n_iamusers.identity_center.applying import groups_before, served_users
from c7n_iamusers.identity_center.applying.run_records import RESULT_SCHEMA
from c7n_iamusers.identity_center.model import ASSIGNMENT, MEMBERSHIP, Claim, Instance
from c7n_iamusers.identity_center.output.run_report import Report
from c7n_iamusers.identity_center.planning.changeset import assignment_key
from c7n_iamusers.identity_center.requests.intents import permission_set_data
from c7n_iamusers.identity_center.writer.writer import DONE, FAILED, ChangeResult

RESULT_FILE = "identity-center-result.json"


def check_account_results(output: Store, places: Iterable[str]) -> None:
    """Raises OSError if an earlier run's result can't be replaced, such as a symbolic link."""
    for _ in read_all(output, [str(PurePosixPath(place, RESULT_FILE)) for place in places]):
        pass


def write_account_results(
    output: Store, places: Iterable[str], report: Report, now: Callable[[], datetime] = utc_now
) -> None:
    """Write RESULT_FILE beside each intents file: the results of its assignments and users. Raises OSError."""
    outcomes: dict[str, list[Outcome]] = {place: [] for place in places}
    claims: dict[str, list[Claim]] = {place: [] for place in outcomes}
    for place, outcome in report.outcomes():
        outcomes[place].append(outcome)
    for claim in report.desired.claims:
        claims[claim.place].append(claim)
    planned = {change.key: change for change in report.plan.changes if change.kind == ASSIGNMENT}
    time = now()

    def content(place: str) -> bytes:
        data = {
            "schema": RESULT_SCHEMA,
            "assignments": _assignments(report, planned, claims[place]),
            "users": [outcome.at(time).as_data() for outcome in outcomes.pop(place)],
        }
        return json.dumps(data, indent=1).encode()

    replace_all(
        output, ((str(PurePosixPath(place, RESULT_FILE)), content(place)) for place in list(outcomes))
    )


def overall_result(
    report: Report,
    created: object_records.CreatedObjects,
    removed: Iterable[object_records.Removed],
    instance: Instance,
    finished: datetime,
    earlier: groups_before.Groups | None,
    served: Iterable[served_users.Row] = (),
) -> dict[str, Any]:
    """The result of the run, with iterators of rows. ``permission-sets``: as requested, to detect later changes.

    ``earlier``: what groups had before killed runs that it continues; None if unknown. ``served``: the memberships of
    these runs.
    """
    statuses = Counter(outcome.status for _, outcome in report.outcomes())
    ids = _ids(created)
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
        ]
        + [{"change": "", "code": "Strangers", "reason": member} for member in report.unexpected_members]
        + [{"change": "", "code": "Changed", "reason": changed_set} for changed_set in report.changed_sets],
        "created": (each.as_data() for each in created),
        "removed": (each.as_data() for each in removed),
        "memberships": served_users.merged(served_users.rows(report, ids), served, {*ids.values()}),
        "assignments": _requested(report),
        **groups_before.of_result(report, created, earlier),
        "permission-sets": {
            name: permission_set_data(requested)
            for name, requested in sorted(report.desired.permission_sets.items())
        },
    }


def _ids(created: Iterable[object_records.Created]) -> dict[object_records.MembershipKey, str]:
    """Membership ids of the created memberships, as far as known."""
    return {each.membership: each.identifier for each in created if each.kind == MEMBERSHIP}


def _requested(report: Report) -> dict[str, list[list[str]]]:
    """Id of each group of people who are served -> its requested assignments, including existing ones."""
    requested: defaultdict[str, list[list[str]]] = defaultdict(list)
    for group_id, assignment in report.assignments():
        requested[group_id].append([assignment.account_id, assignment.permission_set_arn])
    return dict(requested)


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


def _status(change: Change | None, ended: ChangeResult | None) -> tuple[str, str]:
    if change is None:
        return "not-made", "no user may have it now: see users"
    if ended is None:
        return ("not-made" if change.is_work else "unchanged"), ""
    return {DONE: "succeeded", FAILED: "failed"}.get(ended.status, "not-made"), ended.reason
