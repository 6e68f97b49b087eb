# SPDX-License-Identifier: Apache-2.0
"""Hostile files, by kind: small in code, made at the time of the test."""

from __future__ import annotations

import gzip
import json
import os
import socket
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from c7n_iamusers.text.documents import LARGEST, LARGEST_GIVEN, MOST_JSON
from c7n_iamusers.text.yaml_documents import LARGEST_YAML


@dataclass(frozen=True)
class Hostile:
    """``make``: puts it at a path. ``is_file``: whether it is a regular file of moderate size."""

    name: str
    make: Callable[[Path], object]
    is_file: bool = True


def _content(name: str, content: str | bytes) -> Hostile:
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return Hostile(name, lambda path: path.write_bytes(data))


def _aliases(levels: int, fan: int, form: str = "[{}]") -> str:
    """A few hundred bytes of YAML that stand for ``fan ** levels`` values."""
    lines = ["a0: &a0 [x]"]
    lines += [
        f"a{each}: &a{each} " + form.format(", ".join([f"*a{each - 1}"] * fan)) for each in range(1, levels)
    ]
    return "\n".join(lines)


def brackets(most: int) -> bytes:
    """JSON with a few more brackets and commas than ``most``: seven in 13 bytes, and six lists in memory."""
    return b"[" + b"[[[[[[]]]]]]," * (most // 7) + b"[[[[[[]]]]]]]"


def _merges(levels: int, fan: int) -> str:
    lines = ["a0: &a0 {k: v}"]
    lines += [
        f"a{each}: &a{each} {{<<: [{', '.join([f'*a{each - 1}'] * fan)}]}}" for each in range(1, levels)
    ]
    return "\n".join(lines)


JSON = (
    _content("deep-arrays", "[" * 100_000),
    _content("deep-arrays-closed", "[" * 200 + "]" * 200),
    _content("deep-objects", '{"a":' * 50_000),
    _content("deep-in-a-list", "[" + "[" * 100 + "]" * 100 + "]"),
    _content("deep-accounts", '{"accounts":' + "[" * 80 + "]" * 80 + "}"),
    _content("nan", '[{"user": NaN}]'),
    _content("infinity", '{"accounts": Infinity}'),
    _content("minus-infinity", '{"users": -Infinity}'),
    _content("large-number", '{"schema_version": ' + "9" * 5_000 + "}"),
    _content("many-digits", "[" + "1" * 100_000 + "]"),
    _content("beyond-a-float", '{"time": 1e999}'),
    _content("long-fraction", '{"time": 0.' + "1" * 100_000 + "}"),
    _content("duplicate-key", '{"users": [], "users": []}'),
    _content("duplicate-key-in-a-row", '[{"user": "a", "user": "b"}]'),
    _content("duplicate-deep", '{"a": {"b": [{"c": 1, "c": 2}]}}'),
    _content("half-a-character", '[{"user": "\\ud800"}]'),
    _content("half-a-character-in-a-key", '{"\\udfff": 1}'),
    _content("halves-in-the-wrong-order", '["\\udc00\\ud800"]'),
    _content("nul-escaped", '[{"user": "a\\u0000b"}]'),
    _content("control-character", '[{"user": "a\x07b"}]'),
    _content("truncated", '{"users": [{"name": "al'),
    _content("two-documents", '{"a": 1} {"a": 2}'),
    _content("comment", '{"a": 1} // yes'),
    _content("trailing-comma", '[{"user": "a"},]'),
    _content("single-quotes", "{'accounts': []}"),
    _content("null", "null"),
    _content("true", "true"),
    _content("number", "7"),
    _content("text", '"accounts"'),
    _content("empty-list", "[]"),
    _content("empty-object", "{}"),
    _content("list-of-null", "[null, null]"),
    _content("list-of-lists", "[[[[]]]]"),
    _content("list-of-numbers", "[1, 2, 3]"),
    _content("many-rows", "[" + "{}," * 2_999 + "{}]"),
    _content("many-lines", "[\n" + '{"user": "x"},\n' * 1_000 + "{}]"),
    _content("many-keys", json.dumps({f"key{number}": number for number in range(4_000)})),
    _content("long-text", json.dumps([{"user": "x" * 100_000}])),
    _content("long-key", json.dumps({"x" * 100_000: 1})),
    _content("many-backslashes", '["' + "\\\\" * 20_000 + '"]'),
    _content("users-is-a-number", '{"users": 5, "schema": 2, "account": "111122223333"}'),
    _content("details-are-an-object", '{"UserDetailList": {"UserName": 1}}'),
    _content("details-of-null", '{"UserDetailList": [{"UserName": null, "Arn": null, "Tags": 3}]}'),
    _content("accounts-are-an-object", '{"accounts": {"a": 1}}'),
    _content("accounts-of-numbers", '{"accounts": [5, null, []]}'),
    _content("account-without-members", '{"accounts": [{}]}'),
    _content("policies-are-null", '{"policies": null}'),
    _content("policies-of-numbers", '{"policies": [1, "two", null]}'),
    _content("a-policy-of-lists", '{"policies": [{"name": [], "resource": {}}]}'),
    _content("plan-of-null", '{"schema": 3, "instance": null, "choices": [], "changes": null}'),
    _content("a-plan-of-a-huge-schema", '{"schema": 1e30, "instance": "", "choices": {}, "changes": []}'),
    _content("content-is-a-list", '{"Content": [[]], "GeneratedTime": {}}'),
    _content("content-is-no-base64", '{"Content": "\\u00e9\\u00e9\\u00e9"}'),
)

YAML = (
    _content("aliases", _aliases(9, 9)),
    _content("aliases-of-accounts", _aliases(9, 9) + "\naccounts: *a8"),
    _content("aliases-in-mappings", _aliases(9, 9, "{{accounts: [{0}]}}")),
    _content("many-aliases-of-a-list", "a: &a [" + "x, " * 3_000 + "]\nb: [" + "*a, " * 3_000 + "]"),
    _content("merges", _merges(9, 9)),
    _content("merges-of-accounts", _merges(9, 9) + "\naccounts: [*a8]"),
    _content("a-list-in-itself", "&a [*a]"),
    _content("a-mapping-in-itself", "accounts: &a {b: *a}"),
    _content("a-merge-of-itself", "&a {<<: *a}"),
    _content("accounts-in-themselves", "accounts: &a\n- *a"),
    _content("deep-flow", "[" * 300),
    _content("deep-flow-closed", "{a: " * 200 + "}" * 200),
    _content("deep-blocks", "\n".join(" " * each + "a:" for each in range(300))),
    _content("deep-dashes", "- " * 3_000),
    _content("deep-questions", "? " * 3_000),
    _content("python-object", "!!python/object/apply:os.system ['true']"),
    _content("python-name", "- user: !!python/name:os.system x"),
    _content("tag-of-ours", "!accounts [1]"),
    _content("no-timestamp", "time: !!timestamp soon"),
    _content("no-integer", "number: !!int ''"),
    _content("no-boolean", "flag: !!bool perhaps"),
    _content("no-binary", "data: !!binary '*'"),
    _content("a-set", "--- !!set {a, b}"),
    _content("an-ordered-mapping", "--- !!omap [a: 1]"),
    _content("undefined-alias", "a: *b"),
    _content("duplicate-anchor", "a: &x 1\nb: &x 2\nc: *x"),
    _content("duplicate-yaml-key", "accounts: []\naccounts: []"),
    _content("two-merges", "a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a"),
    _content("yaml-nan", "accounts: .nan"),
    _content("yaml-infinity", "accounts: [-.inf]"),
    _content("yaml-beyond-a-float", "accounts: 1.0e+999"),
    _content("hexadecimal", "account_id: 0x" + "f" * 9_000),
    _content("binary-number", "account_id: 0b" + "1" * 50_000),
    _content("sexagesimal", "account_id: 1" + ":59" * 50_000),
    _content("digits", "account_id: " + "1" * 6_000),
    _content("no-such-day", "expires: 2027-13-45"),
    _content("no-such-hour", "expires: 2027-01-01T99:99:99Z"),
    _content("two-yaml-documents", "a: 1\n---\nb: 2"),
    _content("another-version", "%YAML 9.9\n---\na: 1"),
    _content("tab", "accounts:\n\t- a"),
    _content("a-list-as-a-key", "[a, b]: c"),
    _content("a-mapping-as-a-key", "? {a: b}\n: c"),
    _content("an-equals-sign", "a: ="),
    _content("yaml-control-character", "a: b\x07c"),
    _content("unterminated", 'a: "b'),
    _content("many-yaml-keys", "".join(f"k{number}: v\n" for number in range(3_000))),
    _content("long-scalar", "a: " + "b" * 50_000),
    _content("wide-flow", "[" + "a, " * 3_000 + "]"),
    _content("only-comments", "# nothing\n" * 1_000),
)

CSV = (
    _content("many-columns", ",".join(f"c{number}" for number in range(40_000)) + "\n"),
    _content("same-columns", ",".join(["user"] * 40_000) + "\nx\n"),
    _content("many-cells", "user,reason,expires\n" + "," * 40_000 + "\n"),
    _content("many-csv-rows", "user,reason,expires\n" + "x,r,2030-01-01\n" * 5_000),
    _content("many-faulty-rows", "user,reason,expires\n" + "x,,\n" * 5_000),
    _content("unclosed-quote", 'user,reason,expires\n"x,r,2030-01-01\n' + "y,r,2030-01-01\n" * 1_000),
    _content("quote-in-a-cell", 'user,reason,expires\nx"y,r,2030-01-01\n'),
    _content("long-cell", "user,reason,expires\n" + "x" * 200_000 + ",r,2030-01-01\n"),
    _content("separators", "user,reason;expires\nx,r;2030-01-01\n"),
    _content("only-a-header", "user,reason,expires\n"),
    _content("empty-names", "user,,,\nx,r,,\n"),
    _content("formula", "user,reason,expires\n=cmd|' /C calc'!A0,r,2030-01-01\n"),
    _content("nul-in-a-cell", "user,reason,expires\nx\0,r,2030-01-01\n"),
    _content("carriage-returns", "user,reason,expires\rx,r,2030-01-01\r"),
    _content("latin-1", "user,reason,expires\nx,\u00e9,2030-01-01\n".encode("latin-1")),
    _content("brackets", "user,reason,expires\n" + "[" * 20_000 + ",r,2030-01-01\n"),
    _content("stars", "user,reason,expires\n" + "*a" * 50_000 + ",r,2030-01-01\n"),
)


def _fifo_behind_a_link(path: Path) -> None:
    os.mkfifo(f"{path}.fifo")
    path.symlink_to(f"{path}.fifo")


def _zip() -> bytes:
    found = BytesIO()
    with zipfile.ZipFile(found, "w") as archive:
        archive.writestr("accounts.yml", "accounts: []")
    return found.getvalue()


_PACKED = gzip.compress(b'{"accounts": []}')
BYTES = (
    _content("nothing", b""),
    _content("spaces", b" \n\t\r\n" * 100),
    _content("a-byte-order-mark", b"\xef\xbb\xbf"),
    _content("no-text", bytes(range(256))),
    _content("nuls", b"\0" * 10_000),
    _content("utf-16", "accounts: []".encode("utf-16")),
    _content("utf-16-without-mark", "accounts: []".encode("utf-16-le")),
    _content("half-utf-16", "[{}]".encode("utf-16")[:-1]),
    _content("utf-32", "[]".encode("utf-32")),
    _content("surrogates", "\ud800"),
    _content("invisible", '[{"user": "\u202e\u200b\ufeff"}]'),
    _content("an-escape", "\x1b[2J\x1b[1A"),
    _content("newlines", b"\n" * 20_000),
    _content("gzip", _PACKED),
    _content("gzip-cut-off", _PACKED[:-9]),
    _content("gzip-and-more", _PACKED + b"more"),
    _content("gzip-twice", _PACKED + _PACKED),
    _content("gzip-of-nothing", b"\x1f\x8b"),
    _content("gzip-damaged", _PACKED[:12] + b"\xff" * 8),
    _content("zip", _zip()),
    _content("png", b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**31)),
    _content("program", b"\x7fELF" + b"\0" * 60),
)


def _grown(size: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.touch()
        os.truncate(path, size + 1)  # takes no room

    return make


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(path.parent, os.O_RDONLY)
        try:
            made.bind(f"/proc/self/fd/{here}/{path.name}")  # a path of a socket has at most 108 characters
        finally:
            os.close(here)


def _bomb(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(LARGEST_GIVEN // (1 << 20) + 1):
            file.write(bytes(1 << 20))


PLACES = (
    Hostile("fifo", os.mkfifo, False),
    Hostile("directory", Path.mkdir, False),
    Hostile("socket", _socket, False),
    Hostile("device-that-never-ends", lambda path: path.symlink_to("/dev/zero"), False),
    Hostile("link-to-a-fifo", _fifo_behind_a_link, False),
    Hostile("dangling-link", lambda path: path.symlink_to("nowhere"), False),
    Hostile("loop", lambda path: path.symlink_to(path), False),
    Hostile("larger-than-any", _grown(LARGEST), False),
    Hostile("larger-than-yaml", lambda path: path.write_bytes(b"#" * (LARGEST_YAML + 1))),
    Hostile("gzip-bomb", _bomb),
    Hostile("many-brackets", lambda path: path.write_bytes(brackets(MOST_JSON))),
)
CORPUS = (*JSON, *YAML, *CSV, *BYTES, *PLACES)
