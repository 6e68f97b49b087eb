# SPDX-License-Identifier: Apache-2.0
"""The list for the owners of an external identity provider: whom and what they are to add, in SCIM's own terms.

Columns: attributes of RFC 7643 (core schema of User), then ``groups`` and what is ``missing``.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable

from c7n_iamusers.aws.stores import Store
from c7n_iamusers.model.access import DesiredAccess, PersonKey
from c7n_iamusers.model.access_plan import Missing

PEOPLE_FILE = "people-to-add.csv"
COLUMNS = (
    "userName",
    "name.givenName",
    "name.familyName",
    "displayName",
    "emails.value",
    "emails.type",
    "emails.primary",
    "groups",
    "missing",
)
#: What spreadsheets take for a formula, at the beginning of a cell that anybody with iam:TagUser could fill.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_people_to_add(output: Store, desired: DesiredAccess, missing: Iterable[Missing]) -> str | None:
    """Write the list, one row a person, or remove an earlier one where nobody is missing any more; where it is."""
    rows = list(_rows(desired, missing))
    if not rows:
        if output.read(PEOPLE_FILE) is not None:
            output.remove(PEOPLE_FILE)
        return None
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([[_harmless(cell) for cell in row] for row in rows])
    output.replace(PEOPLE_FILE, text.getvalue().encode())
    return output.place(PEOPLE_FILE)


def _rows(desired: DesiredAccess, missing: Iterable[Missing]) -> Iterable[list[str]]:
    groups: defaultdict[PersonKey, set[str]] = defaultdict(set)
    lacking: defaultdict[PersonKey, set[str]] = defaultdict(set)
    for each in missing:
        groups[each.claim.person].add(each.claim.group)
        lacking[each.claim.person].add(each.what)
    for key in sorted(groups):
        person = desired.people[key]
        names = [person.username, person.given_name, person.family_name, person.display_name]
        rest = [";".join(sorted(groups[key])), ";".join(sorted(lacking[key]))]
        yield [*names, person.email, "work", "true", *rest]


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
