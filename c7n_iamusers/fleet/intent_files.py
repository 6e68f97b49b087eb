# SPDX-License-Identifier: Apache-2.0
"""The intents that the policies of a fleet run have left below its output directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from c7n_iamusers.aws.stores import DirectoryStore
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.intent_documents import NotIntents, intents_data, intents_from
from c7n_iamusers.model.intents import INTENTS_FILE, Intents


def write_intents(directory: Path, intents: Intents) -> Path:
    """Replace the directory's intents; durable when this returns. Raises OSError."""
    text = json.dumps(intents_data(intents), indent=1, default=str)
    DirectoryStore(directory).replace(INTENTS_FILE, text.encode())
    return directory / INTENTS_FILE


def read_intents(output: Path) -> list[Intents]:
    """All intents below ``output``; their place is the directory that they lie in, as seen from there.

    Raises IdentityCenterError where there are none, or where a file can't be read: one account's intents less
    would look like a smaller fleet.
    """
    paths = sorted(output.rglob(INTENTS_FILE))
    if not paths:
        raise IdentityCenterError(
            f"no {INTENTS_FILE} below {output}: run a policy whose action provision-identity-center has mode: intent, "
            f"with c7n-org run ... -s {output}"
        )
    shared = SharedDocuments()
    return [_read(path, output, shared) for path in paths]


class SharedDocuments:
    """A hook for JSON: users' policies that say the same are one object, which nobody may change.

    80,000 users have a few hundred policies between them, and their texts would take most of a run's memory.
    """

    _KEYS = ("Statement", "PolicyDocument", "PolicyArn")

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}

    def __call__(self, found: dict[str, Any]) -> dict[str, Any]:
        if any(key in found for key in self._KEYS):
            return self._known.setdefault(json.dumps(found), found)
        return found


def _read(path: Path, output: Path, shared: SharedDocuments) -> Intents:
    try:
        return intents_from(
            json.loads(path.read_text(encoding="utf-8"), object_hook=shared),
            str(path.parent.relative_to(output)),
        )
    except (OSError, ValueError) as error:
        kind = "" if isinstance(error, NotIntents) else f"{type(error).__name__}: "
        raise IdentityCenterError(f"{path}: can't be read as intents: {kind}{error}") from error
