# SPDX-License-Identifier: Apache-2.0
"""What people share, as a run found it and as far as it has brought it."""

from __future__ import annotations

from dataclasses import dataclass, field

from c7n_iamusers.aws.executor import Applied
from c7n_iamusers.decisions.permission_sets import PERMISSION_SET
from c7n_iamusers.decisions.provisioning import GROUP
from c7n_iamusers.model.identity_center import Access, KnownGroup, KnownPermissionSet


@dataclass(frozen=True)
class Standing:
    """What was there when the run began; ``assigned``: the group held the set in the account."""

    permission_set: KnownPermissionSet | None
    group: KnownGroup | None
    assigned: bool


@dataclass
class Grant:
    """How far it has come, true after a failure too. ``group_id``: None where the identity provider owes the group."""

    access: Access
    group_id: str | None = None
    applied: Applied = field(default_factory=Applied)

    @property
    def created(self) -> str:
        """In words, what this run has created, for a failure to mention; empty for nothing."""
        titles = {
            PERMISSION_SET: f"permission set {self.access.permission_set.name}",
            GROUP: f"group {self.access.group}",
        }
        return " and ".join(title for name, title in titles.items() if name in self.applied.values)
