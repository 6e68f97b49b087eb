# SPDX-License-Identifier: Apache-2.0
"""The STOP file beside the notices, which stops every destructive action."""

from __future__ import annotations

from c7n_iamusers.exceptions import NoticesUnreadable, Stopped
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.reasons import STOPPED

#: The name of a file beside the notices, or in an account's directory there. While it exists, no destructive action
#: begins with another user. Names that begin with it count too, in any case and with blanks before: an editor may make
#: STOP.txt of it.
STOP = "STOP"
#: Names of accounts' directories, from the first text up to the second one; no name of a STOP file lies between them.
_ACCOUNTS = ("0", ":")


def is_stop(name: str) -> bool:
    """Whether a file of this name is a STOP file."""
    return name.strip().casefold().startswith(STOP.casefold())


def stops_in(store: Store, place: str = "") -> list[str]:
    """The STOP files beside the notices, or in an account's directory ``place``. Raises OSError.

    Takes one call, or two where there are more than a thousand accounts.
    """
    found = store.entries(place, leap=_ACCOUNTS)
    return sorted(f"{place}{each}" for each in found if is_stop(each))


def check_stop(store: Store, place: str = "") -> None:
    """Raises Stopped if there is one (see ``stops_in``), and NoticesUnreadable if that can't be read."""
    try:
        found = stops_in(store, place)
    except OSError as error:
        raise NoticesUnreadable(
            f"whether the file {store.place(place + STOP)} exists can't be read: {error}. The user was not touched: "
            "make it readable and run again"
        ) from error
    if found:
        raise stopped(store.place(found[0]))


def stopped(file: str) -> Stopped:
    """The error that ``file`` causes."""
    return Stopped(STOPPED(file=file))
