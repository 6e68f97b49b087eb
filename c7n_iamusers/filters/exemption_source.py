# SPDX-License-Identifier: Apache-2.0
"""Where ``exempt-from`` points: a path, or any URL that c7n itself can read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from zlib import error as ZlibError

from botocore.exceptions import BotoCoreError, ClientError
from c7n.cache import NullCache
from c7n.resolver import URIResolver

from c7n_iamusers.decisions.exemption_lists import format_of, parse_list
from c7n_iamusers.decisions.rows import FORMATS
from c7n_iamusers.exceptions import EvidenceUnreadable, InvalidPolicyData
from c7n_iamusers.model.exemption import ExemptionRule

_UNREADABLE = (OSError, ValueError, HTTPException, ZlibError, ClientError, BotoCoreError)
_PLACES = ("from", "url")
_KEYS = (*_PLACES, "format", "headers", "min-rules", "sha256")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class ExemptionSource:
    """A list of exemption rules. ``url``: with a scheme, or a path, relative to the current directory.

    ``min_rules``: a list with fewer is taken for cut off. ``sha256``: of its bytes, unpacked; empty for any.
    """

    url: str
    form: str
    headers: Mapping[str, str] = field(default_factory=dict)
    min_rules: int = 1
    sha256: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it lies on this machine, so that it can be looked at when the policy is validated."""
        return "://" not in self.url or self.url.startswith("file://")

    @property
    def permissions(self) -> tuple[str, ...]:
        """The IAM actions that reading it needs."""
        return ("s3:GetObject",) if self.url.startswith("s3://") else ()

    def rules(self, session_factory: Any) -> tuple[ExemptionRule, ...]:
        """Its rules, read now.

        Raises EvidenceUnreadable where they can't be, InvalidPolicyData where any is faulty, or where the list is not
        the one that the policy means.
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
                "probably cut off. Mend it, or lower min-rules"
            )
        return rules

    @property
    def shown(self) -> str:
        """The URL for messages: a query may hold a signature that gives access."""
        return self.url.partition("?")[0]

    def _content(self, session_factory: Any) -> bytes:
        url = self.url if "://" in self.url else Path(self.url).expanduser().absolute().as_uri()
        # Never from c7n's cache: an exemption that somebody added a minute ago must count.
        resolver = URIResolver(session_factory, NullCache({}))
        try:
            return str(resolver.resolve(url, dict(self.headers))).encode()
        except UnicodeDecodeError as error:
            # c7n decodes UTF-8 only; the list may be of another encoding that its first bytes tell.
            return error.object
        except _UNREADABLE as error:
            raise EvidenceUnreadable(
                f"exempt-from {self.shown} can't be read: {error}. Nobody knows who is exempt, so nobody is flagged"
            ) from error


def parse_source(data: Any, where: str) -> ExemptionSource:
    """The source in a policy's ``exempt-from``: a path or URL, or a mapping of ``from`` (or ``url``) and options.

    Raises InvalidPolicyData with the place and the mend.
    """
    given = {"from": data} if isinstance(data, str) else data
    place = _place(given)
    if not place:
        found = sorted(map(str, given)) if isinstance(given, Mapping) else repr(data)
        raise InvalidPolicyData(
            f"{where}: must be a path or URL, or a mapping of from (a path or URL) and, where wanted, format, headers, "
            f"min-rules, sha256, not {found}"
        )
    headers = given.get("headers", {})
    if not isinstance(headers, Mapping) or not all(map(_is_text, headers.values())):
        raise InvalidPolicyData(f"{where}: headers must map names to texts")
    form = given.get("format", format_of(place))
    if form not in FORMATS:
        shown = place.partition("?")[0]
        raise InvalidPolicyData(
            f"{where}: {shown} does not end in .json, .csv, .yaml or .yml: say format: {', '.join(FORMATS)}"
        )
    texts = {str(name): text for name, text in headers.items()}
    return ExemptionSource(place, form, texts, _min_rules(given, where), _sha256(given, where))


def _place(given: Any) -> str:
    if not isinstance(given, Mapping) or not set(given) <= set(_KEYS):
        return ""
    places = [given[key] for key in _PLACES if key in given]
    return str(places[0]) if len(places) == 1 and _is_text(places[0]) else ""


def _min_rules(given: Mapping[str, Any], where: str) -> int:
    value = given.get("min-rules", 1)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise InvalidPolicyData(
        f"{where}: min-rules must be the number of rules that the list has at least, not {value!r}"
    )


def _sha256(given: Mapping[str, Any], where: str) -> str:
    value = given.get("sha256", "")
    if "sha256" not in given or (isinstance(value, str) and _SHA256.fullmatch(value)):
        return str(value)
    raise InvalidPolicyData(
        f"{where}: sha256 must be 64 hexadecimal digits, as sha256sum prints them, not {value!r}"
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
