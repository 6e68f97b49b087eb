# SPDX-License-Identifier: Apache-2.0
"""The reference of attachment kinds, ``docs/attachment-kinds.md``, from the table that all work on users rests on.

``python -m c7n_iamusers.reporting.attachment_reference > docs/attachment-kinds.md`` writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterable

from c7n_iamusers.model.attachment_rows import AttachmentKind, Removal
from c7n_iamusers.model.attachments import ATTACHMENT_KINDS
from c7n_iamusers.model.permissions import DELETION, QUARANTINE, RELEASE, RESTORATION

_HEAD = """# What hangs off an IAM user

Everything that this package reads, quarantines, deletes and restores, in the order of deletion: credentials first,
policies last. A Deny on everything goes on the user before the first of them comes off, and stays until all are
gone. Restoring goes the other way round: policies and groups first, what the user signs in with last.

| kind | read by | quarantined by | deleted by | restored by |
| --- | --- | --- | --- | --- |
"""
_PERMISSIONS = """
## Permissions

What each needs in the users' account. `c7n-iamusers permissions --policy FILE` prints the least IAM policy for given
policies, with resources and conditions.
"""
_NEEDS = (
    ("composite-delete", DELETION),
    ("quarantine", QUARANTINE),
    ("release", RELEASE),
    ("c7n-iamusers restore", RESTORATION),
)


def reference() -> str:
    """The reference as Markdown."""
    permissions = "".join(
        f"\n`{name}`: {', '.join(f'`{each}`' for each in needs)}\n" for name, needs in _NEEDS
    )
    return _HEAD + "".join(map(_line, ATTACHMENT_KINDS)) + _PERMISSIONS + permissions


def _line(kind: AttachmentKind) -> str:
    cells = (kind.title, _reading(kind), _quarantine(kind), _removal(kind), _restoration(kind))
    return f"| {' | '.join(cells)} |\n"


def _reading(kind: AttachmentKind) -> str:
    if kind.reading is None:
        return "`GetUser`, or in bulk `GetAccountAuthorizationDetails`"
    own = _named(part.operation for part in (kind.reading, kind.detail) if part)
    if kind.reading.bulk == kind.reading.operation:
        return f"{own}, also of all users at once"
    return f"{own}, or in bulk `{kind.reading.bulk}`" if kind.reading.bulk else own


def _quarantine(kind: AttachmentKind) -> str:
    if kind.status_change is None:
        return kind.quarantined_by
    return f"`{kind.status_change.operation}` to Inactive; release sets Active what was active before"


def _removal(kind: AttachmentKind) -> str:
    return ", then ".join(map(_part, kind.removals)) or "`DeleteUser`: it goes with the user"


def _part(removal: Removal) -> str:
    return f"`{removal.operation}`{'' if removal.by_user else ' (virtual ones only)'}"


def _restoration(kind: AttachmentKind) -> str:
    if kind.lost:
        return f"can't come back: {kind.lost}"
    return (
        f"`{kind.restoration.operation}`" if kind.restoration else "`CreateUser`: it comes back with the user"
    )


def _named(operations: Iterable[str]) -> str:
    return ", ".join(f"`{operation}`" for operation in operations)


if __name__ == "__main__":
    print(reference(), end="")
