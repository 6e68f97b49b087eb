# SPDX-License-Identifier: Apache-2.0
"""What runs have created and removed in Identity Center, so that it can be undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.model import access_plan as plan


@dataclass(frozen=True, slots=True)
class Created:
    """One object. ``kind``: as in ``model.access_plan``. ``identifier``: its id, empty where it is not known.

    ``parameters``: those of the call that made it. ``certain``: False where no answer to the call came, so that it
    may not exist.
    """

    kind: str
    identifier: str
    parameters: Mapping[str, Any]
    certain: bool = True

    def as_data(self) -> dict[str, Any]:
        """For the result of a run."""
        told = {"kind": self.kind, "id": self.identifier, "certain": self.certain}
        return {**told, "parameters": dict(self.parameters)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Created:
        """The same from there. Raises KeyError."""
        return cls(data["kind"], data["id"], data["parameters"], data["certain"])


@dataclass(frozen=True)
class Removed:
    """One object that a run removed, or may have. ``kind``: as in ``model.access_plan``.

    ``record``: what it was, with all that it takes to bring it back: see ``decisions.removals``.
    """

    kind: str
    record: Mapping[str, Any]

    def as_data(self) -> dict[str, Any]:
        """For the result of a run."""
        return {"kind": self.kind, **self.record}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Removed:
        """The same from there. Raises KeyError where it lacks what its kind must have."""
        return cls(data["kind"], {key: data[key] for key in _RECORDED[data["kind"]]})


_NAMED = ("group", "group-id")
_RECORDED = {
    plan.MEMBERSHIP: (*_NAMED, "user-id", "username", "gives"),
    plan.ASSIGNMENT: (*_NAMED, "account", "permission-set", "permission-set-arn", "content"),
    plan.GROUP: (*_NAMED, "description"),
    plan.PERMISSION_SET: ("permission-set-arn", "settings"),
}
