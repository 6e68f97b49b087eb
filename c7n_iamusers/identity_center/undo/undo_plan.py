# SPDX-License-Identifier: Apache-2.0
"""The plan of an undo, as a value: its changes, what it keeps and why, and what it rests on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.identity_center import access_plan, model


@dataclass(frozen=True)
class Kept:
    """A created object that is not deleted, or a removed object that is not restored, and why.

    ``as_before``: the object existed before the run, so the undo is complete with it. ``remedy``: what to do, in words,
    without names for ids.
    """

    name: str
    reason: str
    as_before: bool = False
    remedy: str = ""

    @property
    def text(self) -> str:
        """Why, and what to do."""
        return f"{self.reason}: {self.remedy}" if self.remedy else self.reason


@dataclass(frozen=True)
class UndoBasis:
    """What the plan of an undo rests on, to check again right before each call.

    ``held``: group id -> all its assignments. ``staying``: group id -> members whose memberships of the run stay.
    ``groups``: id of a created group -> the parameters of its creation; ``users``: the same for users. ``sets``: ARN of
    a created permission set -> its requested settings, if known. ``memberships``: the ids of the run's existing ones.
    """

    held: Mapping[str, frozenset[model.Assignment]] = field(default_factory=dict)
    staying: Mapping[str, frozenset[str]] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    users: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sets: Mapping[str, PermissionSet | None] = field(default_factory=dict)
    memberships: frozenset[str] = frozenset()


@dataclass(frozen=True)
class UndoPlan:
    """``changes`` in an order in which they can be made."""

    changes: tuple[access_plan.Change, ...]
    kept: tuple[Kept, ...]
    basis: UndoBasis = field(default_factory=UndoBasis)
