# SPDX-License-Identifier: Apache-2.0
"""Where ``exempt-from`` points: a path, or any URL that c7n itself can read."""

from __future__ import annotations

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
_KEYS = frozenset({"url", "format", "headers"})


@dataclass(frozen=True)
class ExemptionSource:
    """A list of exemption rules. ``url``: with a scheme, or a path, relative to the current directory."""

    url: str
    form: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether it lies on this machine, so that it can be looked at when the policy is validated."""
        return "://" not in self.url or self.url.startswith("file://")

    @property
    def permissions(self) -> tuple[str, ...]:
        """The IAM actions that reading it needs."""
        return ("s3:GetObject",) if self.url.startswith("s3://") else ()

    def rules(self, session_factory: Any) -> tuple[ExemptionRule, ...]:
        """Its rules, read now. Raises EvidenceUnreadable where they can't be, InvalidPolicyData where any is faulty."""
        return parse_list(self._content(session_factory), self.form, self.shown)

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


def parse_source(data: Any, where: str) -> ExemptionSource | None:
    """The source in a policy's ``exempt-from``, a text or a mapping of url, format and headers; None for none.

    Raises InvalidPolicyData with the place and the mend.
    """
    if data is None:
        return None
    given = {"url": data} if isinstance(data, str) else data
    if not isinstance(given, Mapping) or not set(given) <= _KEYS or not _is_text(given.get("url")):
        found = sorted(map(str, given)) if isinstance(given, Mapping) else repr(data)
        raise InvalidPolicyData(
            f"{where}: must be a path or URL, or a mapping of url, format, headers, not {found}"
        )
    headers = given.get("headers", {})
    if not isinstance(headers, Mapping) or not all(map(_is_text, headers.values())):
        raise InvalidPolicyData(f"{where}: headers must map names to texts")
    form = given.get("format") or format_of(given["url"])
    if form not in FORMATS:
        shown = given["url"].partition("?")[0]
        raise InvalidPolicyData(
            f"{where}: {shown} does not end in .json, .csv, .yaml or .yml: say format: {', '.join(FORMATS)}"
        )
    return ExemptionSource(given["url"], form, {str(name): text for name, text in headers.items()})


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
