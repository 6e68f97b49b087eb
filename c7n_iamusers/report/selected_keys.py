# SPDX-License-Identifier: Apache-2.0
"""What a report keeps of each access key that a policy selected. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any

from c7n_iamusers.evidence.assessment import ANNOTATION
from c7n_iamusers.evidence.model import UNKNOWN
from c7n_iamusers.text.times import as_text, moment

#: The member of a key's resource with its id, which no user's has; and that of the annotation with its evidence.
KEY_ID, KEY = "AccessKeyId", "key"
#: The beginning of the ids of findings on a key; others are on its user.
_OF_KEY = "key-"
#: When a key was used last, where AWS says that it never was.
NEVER = "never"


@dataclass(frozen=True, slots=True)
class SeenUse:
    """The last use of a key as a run saw it. ``at``: as text; NEVER; or empty where that is not known.

    ``where``: the service and Region, or empty. ``source``: which of AWS's answers says it, as of ``as_of``.
    """

    at: str = ""
    where: str = ""
    source: str = ""
    as_of: str = ""

    @classmethod
    def of(cls, key: Mapping[str, Any]) -> SeenUse:
        """That of the annotation's evidence on a key."""
        used = key.get("used")
        where = " in ".join(str(key[name]) for name in ("service", "region") if key.get(name))
        at = NEVER if used is False else as_text(moment(used)) or ""
        return cls(
            at, intern(where), intern(str(key.get("source") or "")), intern(str(key.get("as_of") or ""))
        )

    def as_data(self) -> dict[str, str]:
        """JSON types only."""
        return {"used": self.at, "used_where": self.where, "use_source": self.source, "use_as_of": self.as_of}


@dataclass(frozen=True, slots=True)
class SelectedKey:
    """``arn``, ``user_id``: of its user. ``unique_id``: its own id. ``kind``: of its user. ``findings``: on the key."""

    arn: str
    user_id: str
    unique_id: str
    created: str
    kind: str
    use: SeenUse
    findings: tuple[str, ...]

    def created_at(self) -> datetime | None:
        """None if the output does not say it."""
        return moment(self.created)


def selected_keys(resources: Iterable[Mapping[str, Any]]) -> Iterator[SelectedKey]:
    """What a report needs of resources of access keys, without their users' policies, tags and groups."""
    known = dict[SelectedKey, SelectedKey]()
    for resource in resources:
        annotation = resource.get(ANNOTATION) or {}
        told = (each for each in annotation.get("findings") or () if each["id"].startswith(_OF_KEY))
        arn, user_id, key_id, created = (
            intern(str(resource.get(name) or "")) for name in ("Arn", "UserId", KEY_ID, "CreateDate")
        )
        found = SelectedKey(
            arn,
            user_id,
            key_id,
            created,
            intern(str(annotation.get("kind") or UNKNOWN)),
            SeenUse.of(annotation.get(KEY) or {}),
            tuple(intern(each["text"]) for each in told),
        )
        yield known.setdefault(found, found)
