# SPDX-License-Identifier: Apache-2.0
"""What a row of the table of attachment kinds is made of. Shapes: botocore ``iam`` 2010-05-08."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from c7n_iamusers.model.iam_user import Item

ACTIVE = "Active"
INACTIVE = "Inactive"
#: Who uses a credential. EITHER: people and programs alike, so that it decides only where there is nothing else.
PERSON, PROGRAM, EITHER = "person", "program", "either"
#: How AWS tells the last use of a credential, where it does: a member of GetUser's answer, and an operation.
PASSWORD_LAST_USED, KEY_LAST_USED = "PasswordLastUsed", "GetAccessKeyLastUsed"
#: What the calls act on, as the last part of an ARN of IAM.
ON_USER = "user/*"


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
    """One removing call: parameter -> member of the item; ``by_user`` adds the UserName.

    ``resource``: what it acts on, for a role's policy ("Actions, resources, and condition keys for IAM").
    """

    operation: str
    parameters: Mapping[str, str]
    by_user: bool = True
    applies: Callable[[Item], bool] = _always
    resource: str = ON_USER


@dataclass(frozen=True)
class StatusChange:
    """The call that switches a credential off and on again by its ``Status``; parameter -> member of the item."""

    operation: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Restoration:
    """The call that brings an item back: parameter -> member of the item.

    ``match``: the member by which an item that came back is known again, where it gets a new identifier.
    ``present_codes``: error codes which say that it is there already. ``resource``: as of a Removal.
    """

    operation: str
    parameters: Mapping[str, str]
    match: str | None = None
    present_codes: frozenset[str] = frozenset()
    resource: str = ON_USER


@dataclass(frozen=True)
class CredentialTraits:
    """What evidence must know of a kind that is a credential.

    ``used_by``: PERSON, PROGRAM or EITHER. ``made``: the item's member that says when it was made.
    ``account_piece``: the piece of the account's inventory that tells of all users at once; empty where AWS lists the
    kind for one user at a time. Such a kind is a piece of evidence itself. It is listed where it decides: for every
    user whose kind is asked for, or, of EITHER, for those that have nothing else.
    ``use``: how AWS tells its last use; empty where AWS does not, so that who has one never counts as unused.
    ``signs_requests``: to any service, so that a role takes its place. ``service``: the only one that takes it, where
    neither that nor the item's ServiceName says. ``plural``: what logs call several.
    """

    used_by: str
    made: str = "CreateDate"
    account_piece: str = ""
    use: str = ""
    signs_requests: bool = False
    service: str = ""
    plural: str = ""


@dataclass(frozen=True, eq=False)
class AttachmentKind:
    """A row. ``title`` is what a mail calls it; ``reading`` None where GetUser itself tells.

    ``state``: the members that make up what it is; others (dates, last use) are no change of the user.
    ``status_change`` None: ``quarantined_by`` says what stops it instead.
    ``restoration`` None: ``lost`` says why it can't come back, or, where that is empty, it comes back with
    the user itself (CreateUser).
    ``credential``: where it is one. ``later``: the row was added after the first snapshots: one of before has no such
    kind, and where a user has none of it, its fingerprint is the same as before.
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
    credential: CredentialTraits | None = None
    later: bool = False

    @property
    def piece(self) -> str:
        """The piece of evidence that tells of the kind, as ``Evidence.sources`` names it."""
        return (self.credential.account_piece if self.credential else "") or f"{self.name}s"

    @property
    def plural(self) -> str:
        """What several are called."""
        return (self.credential.plural if self.credential else "") or f"{self.title}s"

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
