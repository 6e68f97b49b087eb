# SPDX-License-Identifier: Apache-2.0
"""The intents that the policies of a fleet run have left below its output directory."""

from __future__ import annotations

import json
from pathlib import Path

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
    return [_read(path, output) for path in paths]


def _read(path: Path, output: Path) -> Intents:
    try:
        return intents_from(
            json.loads(path.read_text(encoding="utf-8")), str(path.parent.relative_to(output))
        )
    except (OSError, ValueError) as error:
        kind = "" if isinstance(error, NotIntents) else f"{type(error).__name__}: "
        raise IdentityCenterError(f"{path}: can't be read as intents: {kind}{error}") from error
