# SPDX-License-Identifier: Apache-2.0
"""The query that groups the calls in an organization's trail by key, for Athena. Pure.

It is for a table such as AWS describes in "Create the table for CloudTrail logs in Athena using partition projection"
(Athena User Guide): the columns are CloudTrail's members in lower case, and ``timestamp`` is the day of a partition.
Its result is read by ``event_files.py``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from c7n_iamusers.key_usage.event_files import COLUMNS
from c7n_iamusers.key_usage.tally import LONG_TERM, REFUSALS

#: A table, or DATABASE.TABLE, or CATALOG.DATABASE.TABLE ("Name databases, tables, and columns").
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}(\.[A-Za-z0-9_-]{1,255}){0,2}")
#: A call, of which each account that it concerns has an event, and each event may be delivered twice.
_CALL = "coalesce(sharedeventid, eventid)"
#: Where the values of COLUMNS come from.
_REFUSED = f"regexp_like(lower(errorcode), '^(client\\.)?({'|'.join(REFUSALS)})')"
_VALUES = {
    "key_id": "useridentity.accesskeyid",
    "service": "replace(eventsource, '.amazonaws.com', '')",
    "event": "eventname",
    "region": "awsregion",
    "address": "sourceipaddress",
    "user_agent": "useragent",
    "calls": f"count(DISTINCT {_CALL})",
    "denied": f"count(DISTINCT CASE WHEN {_REFUSED} THEN {_CALL} END)",
    "first_call": "min(eventtime)",
    "last_call": "max(eventtime)",
}
_GROUPED = 6


def is_table(name: str) -> bool:
    """Whether ``name`` can be a table's name in a query."""
    return bool(_NAME.fullmatch(name))


def athena_query(table: str, since: date, accounts: Sequence[str] = (), keys: Sequence[str] = ()) -> str:
    """The query. ``table``: see ``is_table``. ``since``: the first day. ``accounts``: their ids; all if empty.

    ``keys``: ids of access keys; those of all IAM users if empty.
    """
    named = ".".join(f'"{part}"' for part in table.split("."))
    selected = ",\n".join(f"  {_VALUES[name]} AS {name}" for name in COLUMNS)
    which = f"IN ({_texts(keys)})" if keys else f"LIKE '{LONG_TERM}%'"
    conditions = [f"\"timestamp\" >= '{since:%Y/%m/%d}'", f"useridentity.accesskeyid {which}"]
    conditions += [f"useridentity.accountid IN ({_texts(accounts)})"] if accounts else []
    grouped = ", ".join(map(str, range(1, _GROUPED + 1)))
    where = "\n  AND ".join(conditions)
    return f"SELECT\n{selected}\nFROM {named}\nWHERE {where}\nGROUP BY {grouped}\n"


def _texts(values: Sequence[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)
