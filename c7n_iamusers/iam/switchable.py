# SPDX-License-Identifier: Apache-2.0
"""The credentials of a user that can be made inactive, and active again. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.user import IamUser, Item


def identity_of(credential: tuple[attachments.AttachmentKind, Item]) -> str:
    """The id of a credential."""
    kind, item = credential
    return str(item[kind.identifier])


def switchable(user: IamUser, status: str) -> Iterator[tuple[attachments.AttachmentKind, Item]]:
    """The credentials of ``user`` that have a status, and have ``status``."""
    for kind in attachments.SWITCHABLE_KINDS:
        yield from ((kind, item) for item in user.attachments[kind.name] if item.get("Status") == status)


def titles_of(user: IamUser, status: str) -> list[str]:
    """The same credentials, each as its kind and its id, for people."""
    return [f"{kind.title} {item[kind.identifier]}" for kind, item in switchable(user, status)]
