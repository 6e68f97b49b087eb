# SPDX-License-Identifier: Apache-2.0
"""Texts that somebody else chose: what an account's name, a tag, a reason or a caller's name may hold."""

from __future__ import annotations

#: Where Jinja evaluates it without a sandbox, it makes the directory ``pwned``; it could run any command.
COMMAND = "{{ cycler.__init__.__globals__.os.mkdir('pwned') }}"
ESCAPE, BELL, BACKWARDS, ZERO_WIDTH = "\x1b[2K", "\x07", "\u202e", "\u200b"
LINK = "www.evil-login.com"

#: id -> text.
TEXTS: dict[str, str] = {
    "jinja-expression": COMMAND,
    "jinja-statement": "{% set x = cycler.__init__.__globals__.os.mkdir('pwned') %}",
    "jinja-comment": "a {# b #} c",
    "jinja-end-of-raw": "{% endraw %}" + COMMAND,
    "jinja-unfinished": "{{ 7 * ",
    "format": "{0.__class__} {account_id} {now:%Y}",
    "header": "x\r\nBcc: eve@evil.example\r\n\r\nbody",
    "line": "x\n2026-01-01 00:00:00,000: custodian.actions:INFO alice: deleted",
    "terminal": f"x{ESCAPE}\r{BELL}deleted",
    "direction": f"exe.{BACKWARDS}gpj",
    "zero-width": f"ad{ZERO_WIDTH}min",
    "markup": "<img src=x onerror=alert(1)><a href='https://evil.example'>click</a>",
    "link": LINK,
    "url": "https://evil.example/login",
    "mention": "<!channel> <@U1>",
    "quote": '"},"channel":"#general","x":"',
    "formula": "=cmd|' /C calc'!A0",
    "option": "--output=/etc/passwd",
    "path": "../../etc/passwd",
    "yaml": 'x"\npolicies: [{name: evil, resource: aws.iam-user, actions: [delete]}]',
    "surrogate": "a\ud800b",
    "separators": "a\u2028b\u2029c\x85d",
}

#: What no line of a log, a mail, a page or a terminal has as it is.
INVISIBLE = frozenset("\r\x1b\x07\u202e\u200b\u2028\u2029\x85\ud800")
