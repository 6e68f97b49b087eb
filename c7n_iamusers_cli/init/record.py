# SPDX-License-Identifier: Apache-2.0
"""What init wrote into a workspace, so that it never replaces what somebody has edited since."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.text import validators

#: The file with the digests of what was written, the answers and the waves.
RECORD = ".iam-users-init.json"
#: What people keep: init writes it once, and has nothing to say about it later.
OF_PEOPLE = frozenset({"policies/exemptions.csv"})
#: What becomes of a file.
WRITTEN, REPLACED, SAME, EDITED, REMOVED = "written", "replaced", "same", "edited", "removed"

_TEXT = validators.text(10_000)
_TEXTS = validators.mapping(_TEXT, _TEXT)
_SHAPES = {
    "organization": _TEXT,
    "day": validators.text(10, r"(\d{4}-\d\d-\d\d)?"),
    "answers": _TEXTS,
    "options": validators.record(
        {},
        {
            **dict.fromkeys(("runner_account", "region", "output"), _TEXT),
            "sources": validators.listing(_TEXT, 100),
            "owners": _TEXTS,
            "variables": validators.mapping(_TEXT, lambda *_: None),
        },
    ),
    "waves": validators.mapping(_TEXT, validators.whole(1)),
    "files": _TEXTS,
}


@dataclass(frozen=True)
class Record:
    """``answers``: option -> answer. ``waves``: account id -> wave. ``files``: path -> SHA-256 of what was written.

    ``day``: of the first run, YYYY-MM-DD. ``organization``: its id; empty before the first run.
    """

    organization: str = ""
    day: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    waves: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def read_record(directory: Path) -> Record:
    """What the last run left; nothing where there was none. Raises InvalidPolicyData where it can't be read."""
    from c7n_iamusers.execution.given import parsed_file
    from c7n_iamusers.text.documents import read_json

    path = directory / RECORD
    if not path.exists():
        return Record()
    try:
        found = Record(**parsed_file(path, read_json))
        _check(found)
        return found
    except (OSError, ValueError, TypeError) as error:
        raise InvalidPolicyData(
            f"nothing was written: {path} can't be read ({error}): restore it, or remove it; then each file that "
            "differs counts as edited"
        ) from error


def _check(found: Record) -> None:
    """Raises ValueError if init can't have written it."""
    for name, shape in _SHAPES.items():
        shape(getattr(found, name), name)


@dataclass(frozen=True)
class Change:
    """What becomes of one file. ``difference``: of an edited one, from what is there to what init would write."""

    path: str
    status: str
    difference: str = ""


def change(directory: Path, path: str, text: str, known: str, replace: bool) -> Change:
    """What is to become of a file. ``known``: the digest of what init wrote there; empty if it never did.

    ``replace``: it is to have the new content whatever is there. Raises InvalidPolicyData where it can't be read.
    """
    from c7n_iamusers.execution.given import read_given

    place = directory / path
    if not (place.exists() or place.is_symlink()):
        return Change(path, REMOVED if known and not replace else WRITTEN)
    try:
        before = read_given(place)
    except OSError as error:
        raise InvalidPolicyData(f"nothing was written: {place} can't be read: {error}") from error
    if path in OF_PEOPLE and replace:
        raise InvalidPolicyData(
            f"nothing was written: {place} has the exemptions that people granted: edit it instead"
        )
    if before == text.encode() or path in OF_PEOPLE:
        return Change(path, SAME)
    if replace or digest(before) == known:
        return Change(path, REPLACED)
    lines = difflib.unified_diff(
        before.decode(errors="replace").splitlines(), text.splitlines(), path, f"{path} (init)", lineterm=""
    )
    return Change(path, EDITED, "\n".join(lines))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write(directory: Path, texts: Mapping[str, str], changes: Collection[Change], record: Record) -> None:
    """Write each file that is new or as init left it, and then the record. Raises InvalidPolicyData."""
    wanted = {each.path: each.status for each in changes}
    files = dict(record.files)
    for path, text in texts.items():
        if wanted[path] in (WRITTEN, REPLACED):
            _put(directory / path, text)
        if wanted[path] in (WRITTEN, REPLACED, SAME) and path not in OF_PEOPLE:
            files[path] = digest(text.encode())
    data = {
        "organization": record.organization,
        "day": record.day,
        "answers": dict(record.answers),
        "options": dict(record.options),
        "waves": dict(record.waves),
        "files": files,
    }
    content = json.dumps(data, indent=2, sort_keys=True) + "\n"
    if not (directory / RECORD).exists() or (directory / RECORD).read_text() != content:
        _put(directory / RECORD, content)


def _put(path: Path, text: str) -> None:
    from c7n_iamusers.execution.stores import write_draft

    try:
        draft = write_draft(path, (text.encode(),))
        try:
            os.replace(draft, path)
        except OSError:
            draft.unlink()
            raise
    except OSError as error:
        raise InvalidPolicyData(f"{path} can't be written: {error}: run the command again") from error
