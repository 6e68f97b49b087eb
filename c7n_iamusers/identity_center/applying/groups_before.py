# SPDX-License-Identifier: Apache-2.0
"""What groups had before a run changed them. A killed run leaves this record for the run that continues it.

An undo needs it, because it must not end later assignments and memberships of a group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from c7n_iamusers.execution.stores import Store, read_all
from c7n_iamusers.identity_center import model, object_records
from c7n_iamusers.identity_center.applying import record_format
from c7n_iamusers.identity_center.applying.killed_run import parsed
from c7n_iamusers.identity_center.output.run_report import Report
from c7n_iamusers.identity_center.planning.changeset import assignment_key, membership_key
from c7n_iamusers.text import validators
from c7n_iamusers.text.json_pieces import json_pieces

#: The name of the record in the directory of a run.
FILE, SCHEMA = "groups-before.json", 1
#: Id of a group -> its ``assignments`` (account id, ARN) and its ``members``.
Groups = Mapping[str, Mapping[str, Any]]

_MANY, _ID = 10_000_000, validators.text(2048, shortest=1)
_GROUP = validators.record(
    {
        "assignments": validators.listing(record_format.assigned, _MANY),
        "members": validators.listing(_ID, _MANY),
    }
)
_DATA = validators.record({"schema": validators.one_of(SCHEMA), "groups": validators.mapping(_ID, _GROUP)})


def record(output: Store, directory: str, report: Report) -> None:
    """Record, before the first change, what the groups in the plan of ``report`` have now. Raises OSError."""
    groups = {each.group_id: _as_data(each) for each in _changing(report)}
    output.stream(f"{directory}/{FILE}", json_pieces({"schema": SCHEMA, "groups": groups}))


def read(output: Store, directories: Iterable[str]) -> Groups | None:
    """What killed runs recorded, oldest first; None if one of them recorded nothing, so that it is unknown.

    Raises IdentityCenterError if a record can't be read; OSError.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for name, content in read_all(output, [f"{directory}/{FILE}" for directory in directories]):
        if content is None:
            return None
        data = parsed(content, _DATA, output.place(name), "what groups had before a killed run")
        found = {**data["groups"], **found}
    return found


def of_result(
    report: Report, created: Iterable[object_records.Created], earlier: Groups | None
) -> dict[str, Any]:
    """``groups``: id of each group that existed before the run and that people joined -> its assignments before it.
    ``members``: id of each that the run assigned -> its members before the run.

    ``created``: by the run and the killed ones that it continues. ``earlier``: see ``read``. If it is None, no group is
    listed, so that an undo keeps what may be others'.
    """
    joined, assigned, own, names = set[str](), set[str](), set[str](), set[str]()
    # In one pass: a large run creates some hundred thousand.
    for each in created:
        if each.kind == model.MEMBERSHIP:
            joined.add(each.membership[0])
        elif each.kind == model.ASSIGNMENT:
            assigned.add(each.assignment[0])
        elif each.kind == model.GROUP:
            own.add(each.identifier)
            names.add(each.parameters["DisplayName"])
    # A group without an id in the journal was created by a call whose answer is lost.
    own |= {group.group_id for group in report.groups.values() if group.name in names}
    now = {group.group_id: _as_data(group) for group in report.groups.values()}
    known = {} if earlier is None else {**now, **earlier}
    joined, assigned = (joined & known.keys()) - own, (assigned & known.keys()) - own
    return {
        "groups": {group_id: known[group_id]["assignments"] for group_id in sorted(joined)},
        "members": {group_id: known[group_id]["members"] for group_id in sorted(assigned)},
    }


def _as_data(group: model.KnownGroup) -> dict[str, Any]:
    assignments = [
        [assignment.account_id, assignment.permission_set_arn] for assignment in sorted(group.assignments)
    ]
    return {"assignments": assignments, "members": sorted(group.members)}


def _changing(report: Report) -> Iterator[model.KnownGroup]:
    work = {change.key for change in report.plan.work}
    names = {
        claim.group
        for claim in report.desired.claims
        if not work.isdisjoint(
            (membership_key(claim.person, claim.group), assignment_key(claim.group, claim.grant))
        )
    }
    yield from (report.groups[name] for name in sorted(names & report.groups.keys()))
