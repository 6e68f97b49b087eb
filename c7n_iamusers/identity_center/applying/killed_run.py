# SPDX-License-Identifier: Apache-2.0
"""Reads a run's records from before its first change, for the run that continues it if it is killed."""

from __future__ import annotations

from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.text.documents import MOST_JSON, NotInFormat, read_json
from c7n_iamusers.text.validators import Shape


def parsed(content: bytes, shape: Shape, place: str, what: str) -> Any:
    """The data of a record at ``place``. ``what``: its content, in words. Raises IdentityCenterError for any other."""
    try:
        data = read_json(content, most=MOST_JSON)
        shape(data, "record")
    except (NotInFormat, ValueError) as error:
        raise IdentityCenterError(
            f"{place} can't be read as {what}: {error}: find out who changed it; nothing was touched"
        ) from error
    return data
