# SPDX-License-Identifier: Apache-2.0
"""Which access keys a text names. Pure. Of a text, nothing but the ids in it is kept: it may hold secrets."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

#: The id of a long-term access key: "IAM identifiers", unique identifiers (IAM User Guide). Temporary ones begin with
#: ASIA, and end by themselves.
KEY_ID = re.compile(r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))AKIA[A-Z0-9]{16}(?![A-Za-z0-9])")
#: The environment variable from which SDKs and the AWS CLI take the id of a key.
VARIABLE = "AWS_ACCESS_KEY_ID"


@dataclass(frozen=True)
class Text:
    """A text in the configuration of ``resource``, an ARN or a name. ``where``: what of the resource it is.

    ``name``: of the variable or parameter whose value it is; empty for other texts.
    """

    resource: str
    where: str
    value: str = field(repr=False)
    name: str = ""


@dataclass(frozen=True)
class Unread:
    """What of ``resource`` could not be read, and why. ``resource``: empty for all of a service."""

    why: str
    resource: str = ""


@dataclass(frozen=True)
class KeyPlace:
    """The access key ``key_id`` stands in ``where`` of ``resource``. ``other``: it is none of those that were asked
    for, and the SDK in that place takes it.
    """

    resource: str
    where: str
    key_id: str
    other: bool = False


def places_in(text: Text, asked: Collection[str] | None) -> Iterator[KeyPlace]:
    """The places of the keys ``asked`` for in a text; those of all keys if None."""
    for key_id in dict.fromkeys(KEY_ID.findall(text.value)):
        if asked is None or key_id in asked:
            yield KeyPlace(text.resource, text.where, key_id)
        elif text.name.upper() == VARIABLE:
            yield KeyPlace(text.resource, text.where, key_id, other=True)
