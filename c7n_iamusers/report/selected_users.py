# SPDX-License-Identifier: Apache-2.0
"""What a report keeps of each user that a policy selected, and what it leaves out. Pure."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any

from c7n_iamusers.evidence.assessment import ANNOTATION

#: What is shown of the annotation, and its value where it is missing. Anything else is left out.
EVIDENCE: dict[str, Any] = {
    "kind": None,
    "selected_as": None,
    "reasons": [],
    "replacement": [],
    "findings": [],
    "unknown_findings": [],
    "last_activity": {},
    "credentials": None,
    "attachments": {},
    "unread": [],
    "trusted_by": None,
    "named_by": None,
    "usage": None,
    "priority": None,
    "sources": {},
    "identity-center": None,
    "attempts": None,
}
#: What is shown of each key in ``usage``: its text names the callers.
_OF_USAGE = ("id", "result", "text")
#: Of the compression: 8 KiB of what is before, the smallest that takes most users' evidence, and little to set up.
_WINDOW, _MEMORY, _LEVEL = -13, 5, 6


@dataclass(frozen=True, slots=True)
class PackedEvidence:
    """What a run found on a user, compressed: a report may be on 600,000 of them. ``keys``: its members.

    ``like``: the evidence on another user of the account, which mostly has the same texts.
    """

    packed: bytes
    keys: frozenset[str]
    like: bytes

    def data(self) -> dict[str, Any]:
        """The members, made anew each time."""
        text = zlib.decompressobj(_WINDOW, zdict=self.like).decompress(self.packed)
        found: dict[str, Any] = json.loads(text)
        return found


@dataclass(frozen=True, slots=True)
class Selected:
    """A user that a policy selected."""

    arn: str
    unique_id: str
    created: str
    evidence: PackedEvidence


def selected_users(resources: Iterable[Mapping[str, Any]]) -> Iterator[Selected]:
    """What a report needs of resources, without policies, tags and groups."""
    like, sets, known = b"", dict[frozenset[str], frozenset[str]](), dict[Selected, Selected]()
    for resource in resources:
        annotation = resource.get(ANNOTATION) or {}
        shown = {key: annotation[key] for key in EVIDENCE if key in annotation}
        if shown.get("usage"):
            shown["usage"] = [{key: each[key] for key in _OF_USAGE} for each in shown["usage"]]
        text = json.dumps(shown, separators=(",", ":")).encode()
        like = like or text
        squeeze = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY, zdict=like)
        packed = squeeze.compress(text) + squeeze.flush()
        keys = frozenset(shown)
        evidence = PackedEvidence(packed, sets.setdefault(keys, keys), like)
        # each run has the same users
        arn, unique_id, created = (
            intern(str(resource.get(key) or "")) for key in ("Arn", "UserId", "CreateDate")
        )
        selected = Selected(arn, unique_id, created, evidence)
        yield known.setdefault(selected, selected)
