# SPDX-License-Identifier: Apache-2.0
"""The list of exemptions that ``exempt-from`` names: where it is, how it is read, and when it is refused."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers import defaults
from c7n_iamusers.exceptions import EvidenceUnreadable, InvalidPolicyData
from c7n_iamusers.execution.given import read_place, shown_place
from c7n_iamusers.exemptions import LARGEST_LIST, ExemptionRule, format_of, parse_list
from c7n_iamusers.text.rows import FORMATS
from c7n_iamusers.text.wording import quoted

_UNREADABLE = (OSError, ValueError, HTTPException, ClientError, BotoCoreError)
_PLACES = ("from", "url")
_KEYS = (*_PLACES, "format", "headers", "min-rules", "sha256")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class ExemptionSource:
    """A list of exemption rules. ``url``: a URL, or a path relative to the current directory.

    ``headers``: name -> text, or ``{env: NAME}`` for that of an environment variable. ``min_rules``: a list with fewer
    rules is refused. ``sha256``: of its uncompressed bytes; empty for any.
    """

    url: str = field(repr=False)
    form: str
    headers: Mapping[str, Any] = field(default_factory=dict, repr=False)
    min_rules: int = defaults.MIN_RULES
    sha256: str = ""

    @property
    def is_local(self) -> bool:
        """True if the list is on this machine, so that it can be checked when the policy is validated."""
        return "://" not in self.url or self.url.startswith("file://")

    @property
    def permissions(self) -> tuple[str, ...]:
        """The IAM actions that reading it needs."""
        return ("s3:GetObject",) if self.url.startswith("s3://") else ()

    def rules(self, session_factory: Any) -> tuple[ExemptionRule, ...]:
        """The rules in the list, read now.

        Raises EvidenceUnreadable if it can't be read, InvalidPolicyData if a rule is invalid, or the list does not have
        ``min_rules`` or ``sha256``.
        """
        content = self._content(session_factory)
        found = hashlib.sha256(content).hexdigest()
        if self.sha256 and found != self.sha256.lower():
            raise InvalidPolicyData(
                f"exempt-from {self.shown}: its SHA-256 is {found}, not {self.sha256}: it was changed or "
                "cut off since. Review it, then give that as sha256"
            )
        rules = parse_list(content, self.form, self.shown)
        if len(rules) < self.min_rules:
            raise InvalidPolicyData(
                f"exempt-from {self.shown}: has {len(rules)} rules, and min-rules asks for {self.min_rules}: it was "
                "probably cut off. Complete it, or lower min-rules"
            )
        return rules

    @property
    def shown(self) -> str:
        """The URL for messages, without what may give access."""
        return shown_place(self.url)

    def _content(self, session_factory: Any) -> bytes:
        def s3(region: str | None) -> Any:
            return session_factory().client("s3", region_name=region)

        try:
            # Not by c7n's resolver: it has no bounds, and keeps what it read, so that a new exemption would not count.
            headers = {name: _text_of(name, each) for name, each in self.headers.items()}
            return read_place(self.url, headers, s3, largest=LARGEST_LIST)
        except _UNREADABLE as error:
            raise EvidenceUnreadable(
                f"exempt-from {self.shown} can't be read: {error}. Without the exemptions no user is flagged: correct "
                "exempt-from, or run where its path begins, the checkout's root for the shipped policies"
            ) from error


class OneSession:
    """Makes the session of ``factory`` once. A new one would assume the policy's role each time that a list is read."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self._factory = factory
        self._session: Any = None
        #: By which c7n caches sessions.
        self.region = getattr(factory, "region", "global")

    def __call__(self) -> Any:
        """The session."""
        if self._session is None:
            self._session = self._factory()
        return self._session


def parse_source(data: Any, where: str) -> ExemptionSource:
    """The source in a policy's ``exempt-from``: a path or URL, or a mapping of ``from`` (or ``url``) and options.

    Raises InvalidPolicyData with the place and what to do.
    """
    given = {"from": data} if isinstance(data, str) else data
    place = _place(given)
    if not place:
        found = sorted(map(str, given)) if isinstance(given, Mapping) else quoted(data)
        raise InvalidPolicyData(
            f"{where}: must be a path or URL, or a mapping of from (a path or URL) and optionally format, headers, "
            f"min-rules, sha256, not {found}"
        )
    headers = given.get("headers", {})
    if not isinstance(headers, Mapping) or not all(map(_is_header, headers.values())):
        raise InvalidPolicyData(f"{where}: headers must map names to texts, or to {{env: NAME}}")
    form = given.get("format", format_of(place))
    if form not in FORMATS:
        shown = shown_place(place)
        raise InvalidPolicyData(
            f"{where}: {shown} does not end in .json, .csv, .yaml or .yml: give format: {', '.join(FORMATS)}"
        )
    texts = {str(name): text for name, text in headers.items()}
    return ExemptionSource(place, form, texts, _min_rules(given, where), _sha256(given, where))


def _place(given: Any) -> str:
    if not isinstance(given, Mapping) or not set(given) <= set(_KEYS):
        return ""
    places = [given[key] for key in _PLACES if key in given]
    return str(places[0]) if len(places) == 1 and _is_text(places[0]) else ""


def _min_rules(given: Mapping[str, Any], where: str) -> int:
    value = given.get("min-rules", defaults.MIN_RULES)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise InvalidPolicyData(
        f"{where}: min-rules must be a number, the least number of rules in the list, not {quoted(value)}"
    )


def _sha256(given: Mapping[str, Any], where: str) -> str:
    value = given.get("sha256", "")
    if "sha256" not in given or (isinstance(value, str) and _SHA256.fullmatch(value)):
        return str(value)
    raise InvalidPolicyData(
        f"{where}: sha256 must be 64 hexadecimal digits, as sha256sum prints them, not {quoted(value)}"
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_header(value: Any) -> bool:
    return _is_text(value) or (
        isinstance(value, Mapping) and set(value) == {"env"} and _is_text(value["env"])
    )


def _text_of(name: str, header: Any) -> str:
    """The text of a header. Raises ValueError where its variable is not set."""
    if isinstance(header, str):
        return header
    if not (found := os.environ.get(header["env"])):
        raise ValueError(f"the environment variable {header['env']}, for the header {name}, is not set")
    return found
