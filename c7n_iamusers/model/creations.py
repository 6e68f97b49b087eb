# SPDX-License-Identifier: Apache-2.0
"""What runs have created in Identity Center, so that it can be undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
