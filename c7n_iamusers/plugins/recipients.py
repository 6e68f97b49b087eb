# SPDX-License-Identifier: Apache-2.0
"""The recipients of messages: those that a policy may name, and those that ``to_from`` and ``cc_from`` name now."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import partial
from http.client import HTTPException
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.cache import NullCache
from c7n.resolver import ValuesFrom
from jmespath.exceptions import JMESPathError

from c7n_iamusers.execution.given import read_place, shown_place
from c7n_iamusers.notices.mailer_texts import chosen_by_others
from c7n_iamusers.text.addresses import is_address
from c7n_iamusers.text.documents import check_json
from c7n_iamusers.text.wording import quoted

#: Recipients of a message. SQS has room for many more, but so many are a mistake.
MOST_RECIPIENTS = 1_000
#: Bytes of the list that they are read from, uncompressed.
_LARGEST = 4 * 1024 * 1024
_UNREADABLE = (
    *(OSError, ValueError, HTTPException, ClientError, BotoCoreError, JMESPathError),
    *(KeyError, IndexError, TypeError, AttributeError, RecursionError, csv.Error),
)

#: Why a message to owners would reach nobody.
NOBODY = (
    "notify-owners has no e-mail address in to: (addresses that c7n-mailer looks up later are unknown here): give "
    "one, "
    'such as "{owner}" with a var owner of each account in accounts.yml'
)


def recipients_fault(action: Mapping[str, Any]) -> str:
    """What in ``to`` and ``cc`` of an ``action`` may reach nobody, or is chosen by others; empty if nothing."""
    to = action.get("to", ())
    if "to_from" not in action and not any(map(_may_be_address, to)):
        return f"{NOBODY}; to is {quoted(list(to))}"
    addressed = (*to, *action.get("cc", ()))
    if "resource-owner" in addressed and "email-domains" not in action:
        return (
            f"{action['type']}: resource-owner writes to addresses in tags, which many people can set: limit them by "
            "email-domains: [YOUR DOMAIN]"
        )
    if others := [recipient for recipient in addressed if chosen_by_others(recipient)]:
        return (
            f"{action['type']}: {', '.join(others)}: whoever makes a call or writes a tag chooses that recipient: "
            "name one, or address callers by step: created with email-domains"
        )
    return ""


def _may_be_address(text: str) -> bool:
    """An address, or a variable that Cloud Custodian has not filled in yet."""
    return is_address(text) or "{" in text


def recipients(source: Mapping[str, Any], message: Mapping[str, Any], manager: Any) -> list[str]:
    """What ``source``, the value of ``to_from`` or ``cc_from``, names now. ``message``: fills in variables.

    Raises ValueError, without what may give access, where it can't be read within the bounds of ``execution.given``, or
    is no list of at most MOST_RECIPIENTS texts.
    """
    filled = {
        key: value.format(**message) if key in ("url", "expr") and isinstance(value, str) else value
        for key, value in source.items()
    }
    place = shown_place(str(filled["url"]))
    try:
        named = _Values(filled, manager).get_values()
    except _UNREADABLE as error:
        raise ValueError(f"{place} can't be read: {error}") from error
    if not isinstance(named, list | set | tuple) or not all(
        isinstance(recipient, str) for recipient in named
    ):
        raise ValueError(f"{place} is no list of texts")
    if len(named) > MOST_RECIPIENTS:
        raise ValueError(f"{place} has {len(named)} recipients, more than {MOST_RECIPIENTS}")
    return sorted(named)


class _Values(ValuesFrom):  # type: ignore[misc]  # c7n is untyped
    """Reads the source anew, and takes no more of it than ``read_place`` does."""

    def __init__(self, data: Mapping[str, Any], manager: Any) -> None:
        super().__init__(data, manager)
        self.cache, self.resolver = NullCache({}), self

    def resolve(self, uri: str, headers: Mapping[str, str]) -> str:
        """The text at ``uri``, in the place of Cloud Custodian's resolver."""
        s3 = partial(self._client, "s3")
        place = uri if "://" in uri else uri.removeprefix("file:")  # a relative path
        text = read_place(place, headers, s3, largest=_LARGEST).decode()
        if uri.endswith(".json") or self.data.get("format") == "json":
            check_json(text)
        return text

    def _client(self, service: str, region: str | None) -> Any:
        return self.manager.session_factory().client(service, region_name=region)
