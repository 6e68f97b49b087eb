# SPDX-License-Identifier: Apache-2.0
"""A plan of deletions for people to review: the exact ordered calls for each user of an account, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from c7n_iamusers.exceptions import PlanInvalid
from c7n_iamusers.model.calls import ApiCall, Subject
from c7n_iamusers.model.schema_check import schema_problem

SCHEMA_VERSION = 1

_TEXT = {"type": "string", "minLength": 1}
_CALL = {
    "type": "object",
    "additionalProperties": False,
    "required": ["service", "operation", "parameters"],
    "properties": {"service": _TEXT, "operation": _TEXT, "parameters": {"type": "object"}},
}
_USER: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["user", "arn", "unique_id", "fingerprint", "attachments", "calls", "skipped"],
    "properties": {
        "user": _TEXT,
        "arn": _TEXT,
        "unique_id": {"type": "string"},
        "fingerprint": {"type": "string", "pattern": "^([0-9a-f]{64})?$"},
        "attachments": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        "calls": {"type": "array", "items": _CALL},
        "skipped": {"type": "string", "description": "why it is left alone; then it has no calls"},
    },
}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Plan of deletions of IAM users",
    "type": "object",
    "additionalProperties": False,
    "required": ["schema_version", "made", "account_id", "policy", "users"],
    "properties": {
        "schema_version": {"const": SCHEMA_VERSION},
        "made": {"type": "string", "format": "date-time"},
        "account_id": {"type": "string", "pattern": r"^\d{12}$"},
        "policy": {"type": "string"},
        "users": {"type": "array", "items": _USER},
    },
}


@dataclass(frozen=True)
class PlannedDeletion:
    """``calls`` in their order, none where ``skipped`` says why the user stays.

    ``fingerprint``: of the user that was planned for; ``attachments``: kind -> how many.
    """

    subject: Subject
    fingerprint: str = ""
    calls: tuple[ApiCall, ...] = ()
    attachments: Mapping[str, int] = field(default_factory=dict)
    skipped: str = ""

    def as_data(self) -> dict[str, Any]:
        """The user's entry in the file."""
        subject = self.subject
        calls = [
            {"service": c.service, "operation": c.operation, "parameters": dict(c.parameters)}
            for c in self.calls
        ]
        who = {"user": subject.name, "arn": subject.arn, "unique_id": subject.unique_id}
        what = {"fingerprint": self.fingerprint, "attachments": dict(self.attachments)}
        return {**who, **what, "calls": calls, "skipped": self.skipped}


@dataclass(frozen=True)
class DeletionPlan:
    """What one policy would do in one account. ``made``: a datetime, or ISO 8601 text once loaded."""

    account_id: str
    policy: str
    made: datetime | str
    users: tuple[PlannedDeletion, ...]

    def of(self, subject: Subject) -> PlannedDeletion | None:
        """What was planned for the user of that ARN and unique id; None where nothing was."""
        return self._users.get(subject)

    def as_json(self) -> str:
        """The plan as text."""
        made = self.made.isoformat() if isinstance(self.made, datetime) else self.made
        head = {
            "schema_version": SCHEMA_VERSION,
            "made": made,
            "account_id": self.account_id,
            "policy": self.policy,
        }
        return json.dumps({**head, "users": [user.as_data() for user in self.users]}, indent=2)

    @cached_property
    def _users(self) -> dict[Subject, PlannedDeletion]:
        return {each.subject: each for each in self.users}

    @classmethod
    def from_json(cls, text: str | bytes) -> DeletionPlan:
        """Raises PlanInvalid that says where the text is not a plan of a version known here."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise PlanInvalid(f"not a plan of deletions, nor JSON at all: {error}") from error
        problem = schema_problem(data, SCHEMA)
        try:
            if problem is None:
                return cls(
                    data["account_id"], data["policy"], data["made"], tuple(map(_planned, data["users"]))
                )
        except (KeyError, TypeError, AttributeError) as error:
            problem = repr(error)
        raise PlanInvalid(f"not a plan of deletions of version {SCHEMA_VERSION}: {problem}")


def _planned(data: Mapping[str, Any]) -> PlannedDeletion:
    calls = tuple(ApiCall(each["service"], each["operation"], each["parameters"]) for each in data["calls"])
    subject = Subject(data["user"], data["arn"], data["unique_id"])
    return PlannedDeletion(subject, data["fingerprint"], calls, data["attachments"], data["skipped"])
