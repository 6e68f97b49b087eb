# SPDX-License-Identifier: Apache-2.0
"""For which IAM users the memberships of a run are. A killed run leaves this record for later runs.

Without it, the next run could give a person another IAM user's access, and an undo could not tell who needs what.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from c7n_iamusers.execution.stores import Store, read_all
from c7n_iamusers.identity_center import model, object_records
from c7n_iamusers.identity_center.applying import record_format
from c7n_iamusers.identity_center.applying.killed_run import parsed
from c7n_iamusers.identity_center.output.run_report import Report
from c7n_iamusers.identity_center.planning.changeset import membership_key, user_key
from c7n_iamusers.identity_center.planning.operations import USER_ID
from c7n_iamusers.identity_center.writer.writer import DONE
from c7n_iamusers.text import validators
from c7n_iamusers.text.json_pieces import json_pieces

#: The name of the record in the directory of a run.
FILE, SCHEMA = "served-users.json", 1
#: A row of a result's ``memberships``. In a record, the ids of what the run has yet to create are empty.
Row = Mapping[str, Any]

_NAME, _ID_IF_ANY = validators.text(2048, shortest=1), validators.text(2048)
_ROW = validators.record(
    {
        **dict.fromkeys(("group", "username"), _NAME),
        **dict.fromkeys(("group-id", "user-id", "id"), _ID_IF_ANY),
        "users": record_format.iam_users,
    }
)
_DATA = validators.record(
    {"schema": validators.one_of(SCHEMA), "memberships": validators.listing(_ROW, 10_000_000)}
)


def rows(report: Report, created: Mapping[object_records.MembershipKey, str]) -> Iterator[Row]:
    """The IAM users of each existing membership of the run. ``created``: the ids of memberships that it created."""
    for key, row in _rows(report, created):
        ended = report.ended.get(key)
        if row["user-id"] and row["group-id"] and (ended is None or ended.status == DONE):
            yield row


def _rows(
    report: Report, created: Mapping[object_records.MembershipKey, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The key of each membership's change, and its row."""
    people = report.desired.people
    present = {each.group_id: each.memberships for each in report.groups.values()}
    served = sorted(
        (each.group, each.person, each.subject.arn, each.subject.unique_id) for each in report.plan.served
    )
    for (group, person), users in groupby(served, itemgetter(0, 1)):
        known, group_id = report.plan.known_people.get(person), report.group_id(group)
        user_id = known.user_id if known else report.made(user_key(person), USER_ID)
        named = {"group": group, "username": people[person].username}
        of_users = {arn: unique_id for _, _, arn, unique_id in users}
        identifier = present.get(group_id, {}).get(user_id) or created.get((group_id, user_id), "")
        ids = {"id": identifier, "group-id": group_id, "user-id": user_id}
        yield membership_key(person, group), {**named, **ids, "users": of_users}


def record(output: Store, directory: str, report: Report) -> None:
    """Record, before the first change, the IAM users of all memberships in the plan of ``report``. Raises OSError."""
    found = (row for _, row in _rows(report, {}))
    output.stream(f"{directory}/{FILE}", json_pieces({"schema": SCHEMA, "memberships": found}))


def read(output: Store, directory: str, created: Iterable[object_records.Created]) -> list[Row]:
    """The rows of the memberships that a killed run found, or ``created`` by its journal.

    Raises IdentityCenterError if the record can't be read; OSError.
    """
    ((name, content),) = read_all(output, [f"{directory}/{FILE}"])
    if content is None:
        return []
    data = parsed(content, _DATA, output.place(name), "the IAM users of a killed run")
    return list(_completed(data["memberships"], created))


def _completed(recorded: Iterable[Row], created: Iterable[object_records.Created]) -> Iterator[Row]:
    groups, users, memberships = dict[str, str](), dict[str, str](), dict[object_records.MembershipKey, str]()
    for each in created:
        if each.kind == model.GROUP:
            groups[each.parameters["DisplayName"]] = each.identifier
        elif each.kind == model.USER:
            users[each.parameters["UserName"]] = each.identifier
        elif each.kind == model.MEMBERSHIP:
            memberships[each.membership] = each.identifier
    for row in recorded:
        key = (
            row["group-id"] or groups.get(row["group"], ""),
            row["user-id"] or users.get(row["username"], ""),
        )
        if all(key) and (row["id"] or key in memberships):
            ids = {"group-id": key[0], "user-id": key[1], "id": row["id"] or memberships[key]}
            yield {**row, **ids}


def merged(own: Iterable[Row], earlier: Iterable[Row], made: Collection[str] = ()) -> Iterator[Row]:
    """``own`` rows of a run, with the IAM users of ``earlier`` rows of the killed runs that it continues.

    ``made``: the ids of the memberships that all these runs are known to have created.
    """
    left: dict[object_records.MembershipKey, Row] = {}
    for row in earlier:
        key = object_records.membership_of(row)
        left[key] = _with_earlier(row, left.get(key, row), made)
    for row in own:
        yield _with_earlier(row, left.pop(object_records.membership_of(row), row), made)
    yield from left.values()


def _with_earlier(row: Row, before: Row, made: Collection[str]) -> Row:
    """``row`` with the IAM users of ``before``, unless the membership was made anew between the two.

    A call that created it without an answer left no id.
    """
    if row["id"] != before["id"] and row["id"] and (before["id"] or row["id"] in made):
        return row
    return {**row, "users": {**before["users"], **row["users"]}}
