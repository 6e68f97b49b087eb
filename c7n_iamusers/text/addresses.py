# SPDX-License-Identifier: Apache-2.0
"""E-mail addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable

from c7n_iamusers.text.wording import folded

#: RFC 5321 4.5.3.1: a path of 256 octets includes its angle brackets.
LONGEST = 254
_ATOM = r"[^@\s.,:;<>()\[\]{}\\\"\x00-\x1f\x7f-\x9f]+"
_LABEL = r"[^\W_](?:(?:[^\W_]|-)*[^\W_])?"
#: A dot-atom and a domain of several labels (RFC 5322, RFC 1123), in letters of any script (RFC 6531). The last label
#: begins with a letter. Braces make a variable.
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?=[^\W\d_].){_LABEL}")


def is_address(text: object, *, international: bool = False) -> bool:
    """Whether ``text`` is one e-mail address.

    ``international``: also one with other letters than those of ASCII. c7n-mailer can't send to such an address.
    """
    if not isinstance(text, str) or len(text) > LONGEST or not (international or text.isascii()):
        return False
    return bool(_ADDRESS.fullmatch(text))


def foreign_domain(address: str, domains: Iterable[str]) -> str:
    """The domain of ``address`` if it is none of ``domains``; empty if it is one, or if there are no ``domains``."""
    allowed, domain = {folded(each) for each in domains}, folded(address.rpartition("@")[2])
    return domain if allowed and domain not in allowed else ""
