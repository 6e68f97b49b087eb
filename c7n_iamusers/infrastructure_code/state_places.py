# SPDX-License-Identifier: Apache-2.0
"""Reads Terraform states at the places that a policy names: one state, or all below a directory or prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.client import HTTPException

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.execution.given import is_directory, shown_place
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.infrastructure_code.terraform_state import InState, StateIndex, resources_in
from c7n_iamusers.text.documents import LARGEST_GIVEN, unpacked

#: How the names of states end, as Terraform's backends write them by default ("Backend type: s3", "local").
_ENDING = ".tfstate"
#: States below one place. One with 20 MB takes a second.
MOST_STATES = 2_000
#: What reading or parsing a state raises. NotInFormat is a ValueError.
_UNREADABLE = (OSError, ValueError, HTTPException, ClientError, BotoCoreError)


def read_states(
    places: Sequence[str], content: Callable[[str], bytes], store: Callable[[str], Store]
) -> StateIndex:
    """The users and keys in all states at ``places``. What can't be read is in ``unread``, with its place.

    A place that ends with / stands for every state below it whose name ends with .tfstate. ``content``: reads any other
    one. ``store``: of a place that ends with /. Both may raise OSError, ValueError, HTTPException and boto3's errors.
    """
    found, unread = list[InState](), list[str]()
    for place in places:
        try:
            states = list(_states(place, content, store))
        except _UNREADABLE as error:
            unread.append(f"{shown_place(place)}: {error}")
            continue
        for shown, read in states:
            try:
                found += resources_in(read(), shown)
            except _UNREADABLE as error:
                unread.append(f"{shown}: {error}")
    return StateIndex.of(found, unread)


def _states(
    place: str, content: Callable[[str], bytes], store: Callable[[str], Store]
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Each state at ``place``: as messages show it, and what reads it."""
    if not is_directory(place):
        yield shown_place(place), partial(content, place)
        return
    held = store(place)
    names = [name for name in held.names("") if name.endswith(_ENDING)]
    if not names:
        raise ValueError(
            f"there is no state below it, whose name ends with {_ENDING}: name the states themselves"
        )
    if len(names) > MOST_STATES:
        raise ValueError(
            f"there are {len(names)} states below it, more than {MOST_STATES}: name several prefixes"
        )
    for name in names:
        yield held.place(name), partial(_content, held, name)


def _content(store: Store, name: str) -> bytes:
    found = store.read(name, LARGEST_GIVEN)
    if found is None:
        raise FileNotFoundError("it is gone")
    return unpacked(found)
