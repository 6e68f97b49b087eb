# SPDX-License-Identifier: Apache-2.0
"""The format of a journal's lines: what they may hold, and their chain. Each holds the SHA-256 of the line before it.

So nobody can change, remove or add a line without a trace, except by writing all later ones anew. No line holds the
digest of the last one; ``report.verification`` finds an end that was cut off. An incomplete line of a killed run is
part of the chain: the next run ends it. The next line holds its digest and that of the last whole line, since an
incomplete line proves nothing.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.text.documents import LONGEST_LINE, MOST_JSON, NotInFormat, check_json_lines, read_json

#: The member of a line with the digest of the line before; empty in the first one.
PREVIOUS = "previous"
#: The member of a line after an incomplete one: the digest of the last whole line; empty if there is none.
LAST_WHOLE = "last_whole"
_PIECE = 65_536
#: Incomplete lines in a row: as many runs were killed while they wrote their first line.
_MOST_TORN = 100
#: Faults of a journal after which it is not read any more.
_MOST_FAULTS = 1_000

_REQUIRED = ("time", "user", "arn", "unique_id", "phase")
#: The type of each member, if a line has it. Checked by hand: a journal may have two million lines.
_SHAPE: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys((*_REQUIRED, PREVIOUS, LAST_WHOLE), str),
    **dict.fromkeys(("service", "operation", "result", "code", "request_id", "caller"), str),
    **dict.fromkeys(("snapshot", "sha256", "call", "error", "for_owners", "rests_on"), str),
    **dict.fromkeys(("parameters", "notes", "saved", "record", "announcement", "exemptions", "plan"), dict),
    **{"status": (str, int), "reason": str, "calls": int, "seconds": (int, float)},
    **dict.fromkeys(("made", "gone", "active", "also", "without", "left_out"), list),
}
#: An ARN of IAM has an account, that of an instance of Identity Center has none. One that several users of an account
#: share has no user.
_ARN = re.compile(r"arn:[a-z-]+:(?:iam::\d{12}|sso::(?:\d{12})?):.+", re.ASCII | re.DOTALL)
_USER = ":user/"


def line_fault(line: dict[str, Any]) -> str:
    """Why no run can have written such a line; empty if one can."""
    for name in _REQUIRED:
        if name not in line:
            return f"it lacks {name}"
    for name, kind in _SHAPE.items():
        if name in line and not isinstance(line[name], kind):
            return f"{name} is {type(line[name]).__name__}"
    arn = line["arn"]
    if not _ARN.fullmatch(arn):
        return "arn is no ARN of an account"
    if _USER in arn and arn.rpartition("/")[2] != line["user"]:
        return "its user is not that of its arn"
    return _parameters_fault(line.get("parameters") or {})


def _parameters_fault(parameters: dict[str, Any]) -> str:
    tags = parameters.get("Tags", ())
    if not isinstance(tags, list | tuple) or not all(isinstance(each, dict) for each in tags):
        return "parameters.Tags is no list of tags"
    return "" if isinstance(parameters.get("TagKeys", ()), list | tuple) else "parameters.TagKeys is no list"


def parsed(content: bytes, place: str = "the journal", most: int = MOST_JSON) -> Iterator[dict[str, Any]]:
    """The lines of a journal. Incomplete ones, as a crash leaves them, are skipped.

    Raises OSError, which names ``place``, if no run can have written it: a line or the whole is beyond a bound, or a
    line has another shape than ``journal_line`` gives it.
    """
    try:
        check_json_lines(content, most)
    except NotInFormat as error:
        raise OSError(f"{place} {error}") from error
    if content.count(b"\n") > MOST_JSON:
        raise OSError(f"{place} has more than {MOST_JSON} lines: find out who wrote it, and move it away")
    for line in parsed_lines(io.BytesIO(content), place):
        if fault := line_fault(line):
            raise OSError(
                f"{place} has a line that no run writes ({fault}): find out who wrote it, and move the journal away"
            )
        yield line


def parsed_lines(texts: Iterable[bytes], place: str = "the journal") -> Iterator[dict[str, Any]]:
    """``parsed`` of a journal that is read line by line. Raises OSError for a line beyond the bound."""
    for text in texts:
        if len(text) > LONGEST_LINE:
            raise OSError(
                f"{place} has a line of {len(text)} bytes, and no run writes more than {LONGEST_LINE}: find out who "
                "wrote it, and move it away"
            )
        if text.isspace():
            continue
        try:
            line = read_json(text)
        except NotInFormat:
            continue
        if isinstance(line, dict):
            yield line


def line_digest(line: bytes) -> str:
    """The SHA-256 of a line without its end, in hex."""
    return hashlib.sha256(line.removesuffix(b"\n")).hexdigest()


def last_line(descriptor: int, size: int) -> bytes:
    """The last line of an open file of ``size`` bytes, with its end if it has one. Raises OSError if it is too long."""
    begin, found = size, b""
    while begin > 0 and b"\n" not in found[:-1]:
        if len(found) > LONGEST_LINE:
            raise OSError(f"its last line has more than {LONGEST_LINE} bytes: find out who wrote it")
        end, begin = begin, max(0, begin - _PIECE)
        found = os.pread(descriptor, end - begin, begin) + found
    return found[found.rfind(b"\n", 0, len(found) - 1) + 1 :]


def last_whole(descriptor: int, size: int) -> str:
    """The digest of the last line that is JSON in the first ``size`` bytes of a file; empty if there is none.

    Raises OSError if too many incomplete lines follow it.
    """
    for _ in range(_MOST_TORN):
        if not size:
            return ""
        line = last_line(descriptor, size)
        if line_in(line) is not None:
            return line_digest(line)
        size -= len(line)
    raise OSError(f"it ends with more than {_MOST_TORN} incomplete lines: find out who wrote them")


@dataclass
class Chain:
    """The state of a journal's chain. Lines are counted from 1.

    ``faults``: line -> why no run wrote it there, in words. ``torn``: lines that a killed run left incomplete.
    ``forked``: lines that follow an earlier one than the line before. ``first``: the digest that the first line holds.
    ``last``: that of the last line. ``cut``: whether the last line is incomplete.
    """

    lines: int = 0
    faults: dict[int, str] = field(default_factory=dict)
    torn: list[int] = field(default_factory=list)
    forked: list[int] = field(default_factory=list)
    first: str = ""
    last: str = ""
    cut: bool = False


_CHANGED = "it does not follow the line before it: that line was changed, or lines between them were removed or added"
_UNLINKED = "it holds no digest of the line before it"
_FORKED = "it follows an earlier line"
_NOT_READ = (
    f"it has more than {LONGEST_LINE} bytes, or is after {_MOST_TORN} incomplete lines or {_MOST_FAULTS} such "
    "faults: the rest is not read"
)
_UNPROVEN = "it follows an incomplete line, and holds no digest of the last whole one"


def chain_of(content: bytes, read: Callable[[dict[str, Any]], object], forks: bool = False) -> Chain:
    """The chain of the journal with this ``content``. What the first line may follow is left to the caller.

    ``read``: called with each line that a run can have written. ``forks``: whether a line may follow any earlier one,
    as in a journal merged from several machines. It stops reading at a line that is too long, or at more incomplete
    lines or faults than runs and people leave: no run goes on after these.
    """
    found, known, whole, torn = Chain(), {""}, "", 0
    for number, text in enumerate(io.BytesIO(content), 1):
        line = line_in(text) if len(text) <= LONGEST_LINE else None
        torn = torn + 1 if line is None else 0
        if len(text) > LONGEST_LINE or torn > _MOST_TORN or len(found.faults) == _MOST_FAULTS:
            found.lines, found.faults[number] = number, _NOT_READ
            return found
        if line is None:
            found.torn.append(number)
        elif fault := _fault(line, found, whole, known if forks else ()):
            if fault == _FORKED:
                found.forked.append(number)
            else:
                found.faults[number] = fault
        found.first = str((line or {}).get(PREVIOUS, "")) if number == 1 else found.first
        found.lines, found.last = number, line_digest(text)
        known |= {found.last} if forks else set()
        whole = whole if line is None else found.last
        if line is not None and not line_fault(line):
            read(line)
    found.cut = (bool(content) and not content.endswith(b"\n")) or found.lines in found.torn
    return found


def _fault(line: dict[str, Any], before: Chain, whole: str, known: Collection[str]) -> str:
    """Why no run wrote the ``line`` after those ``before`` it; _FORKED if it follows one of ``known``; else empty.

    ``whole``: the digest of the last whole line.
    """
    if fault := line_fault(line):
        return fault
    if PREVIOUS not in line:
        return _UNLINKED
    if before.lines and line[PREVIOUS] != before.last:
        return _FORKED if line[PREVIOUS] in known else _CHANGED
    if before.torn[-1:] != [before.lines]:
        return ""
    if LAST_WHOLE not in line:
        return _UNPROVEN
    return "" if line[LAST_WHOLE] == whole or line[LAST_WHOLE] in known else _CHANGED


def line_in(text: bytes) -> dict[str, Any] | None:
    """The line in ``text``; None if that is incomplete."""
    try:
        line = read_json(text)
    except NotInFormat:
        return None
    return line if isinstance(line, dict) else None
