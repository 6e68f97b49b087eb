# SPDX-License-Identifier: Apache-2.0
"""What a row of the table of attachment kinds is made of. Shapes: botocore ``iam`` 2010-05-08."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from c7n_iamusers.model.iam_user import Item

ACTIVE = "Active"
INACTIVE = "Inactive"


def _always(_: Item) -> bool:
    return True


@dataclass(frozen=True)
class Reading:
    """How a kind is read for one user: ``result`` is the response's member, a list or a single structure.

    ``bulk``: the account-wide operation that gives the same for all users at once, where there is one.
    """

    operation: str
    result: str
    single: bool = False
    bulk: str | None = None


@dataclass(frozen=True)
class Detail:
    """The call that completes a listed item for the snapshot: parameter -> member of the item."""

    operation: str
    parameters: Mapping[str, str]
    result: tuple[str, ...] = ()
    constants: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Removal:
    """One removing call: parameter -> member of the item; ``by_user`` adds the UserName."""

    operation: str
    parameters: Mapping[str, str]
    by_user: bool = True
    applies: Callable[[Item], bool] = _always


@dataclass(frozen=True)
class StatusChange:
    """The call that switches a credential off and on again by its ``Status``; parameter -> member of the item."""

    operation: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Restoration:
    """The call that brings an item back: parameter -> member of the item.

    ``match``: the member by which an item that came back is known again, where it gets a new identifier.
    ``present_codes``: error codes which say that it is there already.
    """

    operation: str
    parameters: Mapping[str, str]
    match: str | None = None
    present_codes: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class AttachmentKind:
    """A row. ``title`` is what a mail calls it; ``reading`` None where GetUser itself tells.

    ``state``: the members that make up what it is; others (dates, last use) are no change of the user.
    ``status_change`` None: ``quarantined_by`` says what stops it instead.
    ``restoration`` None: ``lost`` says why it can't come back, or, where that is empty, it comes back with
    the user itself (CreateUser).
    """

    name: str
    title: str
    identifier: str
    reading: Reading | None
    removals: tuple[Removal, ...]
    state: tuple[str, ...]
    detail: Detail | None = None
    status_change: StatusChange | None = None
    quarantined_by: str = ""
    restoration: Restoration | None = None
    lost: str = ""

    @property
    def reads(self) -> frozenset[str]:
        """The IAM operations that read the kind for one user, for declared permissions."""
        return frozenset(part.operation for part in (self.reading, self.detail) if part)

    @property
    def reads_of_all(self) -> frozenset[str]:
        """The IAM operation that reads the kind for all users at once, if any, for declared permissions."""
        return frozenset({self.reading.bulk} if self.reading and self.reading.bulk else ())

    @property
    def removing(self) -> frozenset[str]:
        """The IAM operations that remove the kind, for declared permissions."""
        return frozenset(removal.operation for removal in self.removals)

    @property
    def switching(self) -> frozenset[str]:
        """The IAM operations that quarantine and release the kind, for declared permissions."""
        return frozenset({self.status_change.operation}) if self.status_change else frozenset()

    @property
    def restoring(self) -> frozenset[str]:
        """The IAM operations that restore the kind, for declared permissions."""
        return frozenset({self.restoration.operation}) if self.restoration else frozenset()
