# SPDX-License-Identifier: Apache-2.0
"""The record of users that were exempt when owners were addressed, each with one of the rules.

A user that was exempt after its announcement must be announced again once it is no longer exempt, even if the rule is
gone: its owner may believe that the user stays. One file holds one run: ``exempt/<account id>/<time>.json``. The first
one is written before the first announcement of an account, even if nobody is exempt, so that the removal of records is
noticed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.iam.user_fields import FIELDS
from c7n_iamusers.text.documents import MOST_OF_RECORD, read_json
from c7n_iamusers.text.times import as_text, moment

DIRECTORY = "exempt"
#: Characters of a pattern. Others write the lists, and the file must stay within the bounds of its reader.
_LONGEST = 100


@dataclass(frozen=True)
class Exempted:
    """``user`` was exempt at ``time`` by the rule with this ``field``, ``pattern`` and ``account``."""

    user: Subject
    time: datetime
    field: str
    pattern: str
    account: str = ""

    @classmethod
    def by(cls, rule: ExemptionRule, user: Subject, time: datetime) -> Exempted:
        """The record of a user that ``rule`` protects. It has only the beginning of a long pattern."""
        return cls(user, time, rule.field, rule.pattern[:_LONGEST], rule.account[:_LONGEST])

    def __str__(self) -> str:
        return f"exempt on {self.time:%Y-%m-%d} by {self.field} {self.pattern!r}"


def place_of(account_id: str, time: datetime | None = None) -> str:
    """The name of the file of a run at ``time``; without it, of the directory."""
    return f"{DIRECTORY}/{account_id}/" + (f"{time:%Y%m%dT%H%M%S%fZ}.json" if time else "")


def as_json(account_id: str, time: datetime, found: Sequence[Exempted]) -> bytes:
    """The content of the file of a run."""
    users = [
        {
            "user": each.user.name,
            "arn": each.user.arn,
            "unique-id": each.user.unique_id,
            "field": each.field,
            "pattern": each.pattern,
            "in": each.account,
        }
        for each in found
    ]
    return (
        json.dumps({"account": account_id, "time": as_text(time), "exempt": users}, indent=1).encode() + b"\n"
    )


def parse_exempted(content: bytes, account_id: str) -> list[Exempted]:
    """The records in a file in the directory of ``account_id``. Raises ValueError if the content is not such a file."""
    data = read_json(content, most=MOST_OF_RECORD)
    if not isinstance(data, Mapping) or not isinstance(data.get("exempt"), list):
        raise ValueError("it has no list named exempt")
    time = moment(data.get("time"))
    if time is None:
        raise ValueError("it has no time")
    if data.get("account") != account_id:
        raise ValueError(f"it is of account {data.get('account')}")
    return [_exempted(each, time) for each in data["exempt"]]


def _exempted(data: Any, time: datetime) -> Exempted:
    texts = data if isinstance(data, Mapping) else {}
    keys = ("user", "arn", "unique-id", "field", "pattern", "in")
    name, arn, unique_id, field, pattern, account = (str(texts.get(key, "")) for key in keys)
    if not (name and arn and unique_id and field in FIELDS and pattern):
        raise ValueError("an entry of it is incomplete")
    return Exempted(Subject(name, arn, unique_id), time, field, pattern, account)
