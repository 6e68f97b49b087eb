# SPDX-License-Identifier: Apache-2.0
"""Replies to announcements that ask for exemptions: the rows in them, and the faults of each. Pure.

An announcement has a row of the list of exemptions for each of its users, without a reason (iam-users-parts.j2).
Whoever answers fills the reason in. Anybody may write such a mail, with any sender: a person decides. A mail may also
take Python's mail readers hours, or make them fail: each mail is read alone, within bounds.
"""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from email import message_from_bytes
from email.message import Message
from email.utils import parseaddr
from fnmatch import fnmatchcase

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.exemptions import ExemptionRule, parse_rules
from c7n_iamusers.notices.notices import Notices
from c7n_iamusers.text.validators import is_account_id
from c7n_iamusers.text.wording import folded, has_glyphs, quoted, shown

#: The cells of a row of ours, in their order.
COLUMNS = ("account", "user", "path", "reason", "owner", "expires")
#: Between the mails of an mbox file (RFC 4155).
_NEXT_MAIL = re.compile(rb"\r?\n\r?\nFrom [^\r\n]*\r?\n")
_LINE_END, _TAG = re.compile(r"(?i)<br\b[^<>]*>|</(?:p|div|tr|pre|li)>"), re.compile(r"<[^<>]*>")
#: What mail programs put before a line that they quote, and in place of plain quotes.
_BEFORE, _QUOTES = ">| \t\xa0", str.maketrans(dict.fromkeys("“”„‟«»", '"'))
#: The first cell of a row of ours, an account, also after a spreadsheet.
_BEGIN = re.compile(r"""["']?[0-9][0-9 .'_E+-]{5,}"?([,;])""")
#: What a mail may have at most. Python's readers take the square of a header's length, and look at each line once for
#: each boundary. An account has 5,000 users by default.
_LARGEST, _LONGEST_HEADER, _MOST_PARTS, _MOST_ROWS = 1 << 20, 2_000, 20, 5_000
#: A header Content-Type with its continuation lines, as email.feedparser finds it, of the mail or of a part.
_CONTENT_TYPE = re.compile(rb"(?i)(?<![^\r\n])content-type:[^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*")
#: The charsets of mail programs, in lower case. Python has further codecs, some of which take the square of the length.
_CHARSETS = frozenset(
    {
        *(
            "utf-8",
            "utf8",
            "us-ascii",
            "ascii",
            "koi8-r",
            "koi8-u",
            "gb2312",
            "gbk",
            "gb18030",
            "big5",
            "euc-jp",
        ),
        *(
            "iso-2022-jp",
            "shift-jis",
            "euc-kr",
            "ks-c-5601-1987",
            "iso-2022-kr",
            "tis-620",
            "latin1",
            "latin-1",
        ),
        *("utf-16", "utf-16le", "utf-16be", "big5-hkscs", "gb-2312-80", "ansi-x3.4-1968"),
        *(f"iso-8859-{number}" for number in range(1, 17) if number != 12),
        *(f"{family}{number}" for family in ("windows-", "cp") for number in (874, 932, *range(1250, 1259))),
    }
)
#: The lines over which a mail program may fold a reason.
_FOLDED = 20


@dataclass(frozen=True)
class Reply:
    """One mail. ``sender``: the address that it claims, or empty. ``rows``: the cells of those with a reason.

    ``unfilled``: how many rows have none, as they were sent. ``problem``: why it can't be read, in words; or empty.
    """

    place: str
    sender: str
    rows: tuple[tuple[str, ...], ...]
    unfilled: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Known:
    """What rows are checked against. ``longest``: the maximum days of an exemption. ``rules``: of the present list.

    ``accounts``: id -> name, of the accounts file. ``notices``: id -> the messages of an account, where they were read.
    """

    today: date
    longest: int
    rules: Sequence[ExemptionRule]
    accounts: Mapping[str, str]
    notices: Mapping[str, Notices]


@dataclass(frozen=True)
class ExemptionRequest:
    """A row that somebody filled in. ``rule``: for the list. ``faults``: why the list must not get it, in words.

    ``place``: the mail and the row's account and user. ``remarks``: what a person should know first.
    """

    place: str
    rule: ExemptionRule | None = None
    faults: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def replies(data: bytes, place: str) -> Iterator[Reply]:
    """The mails in a file: one mail, an mbox, or a text without a mail's header. No mail hides another."""
    mails = [data]
    if data.startswith(b"From "):
        mails = [each for each in _NEXT_MAIL.split(b"\n\n" + data) if each.strip()]
    for number, mail in enumerate(mails, 1):
        where = f"{place}, mail {number}" if len(mails) > 1 else place
        try:
            yield _reply(mail, where)
        except Exception as error:  # noqa: BLE001  # a bad mail must not hide the others
            why = str(error) if isinstance(error, _Unreadable) else repr(error)
            yield Reply(where, "", (), problem=f"{why}: read it by eye")


class _Unreadable(Exception):
    """A mail that no mail program writes, or that is larger than all rows of an account."""


def _reply(mail: bytes, place: str) -> Reply:
    """Raises _Unreadable, and whatever Python's readers of mails raise."""
    if len(mail) > _LARGEST:
        raise _Unreadable(
            f"it has {len(mail)} bytes, and a mail can have {_LARGEST}: save it without attachments, or"
        )
    _check_types(mail)
    message = message_from_bytes(mail)
    senders = _headers(message, "From")
    texts = (
        [_texts(message, False), _texts(message, True)]
        if senders
        else [[mail.decode("utf-8-sig", "replace")]]
    )
    # the plain form of a mail may say no more than that there is another one
    rows = next(filter(None, ([row for text in form for row in _rows(text)] for form in texts)), [])
    # a mail program may quote what it answers, and send it as plain text and again as an attachment
    filled = dict.fromkeys(row for row in rows if len(row) != len(COLUMNS) or row[3])
    if len(filled) > _MOST_ROWS:
        raise _Unreadable(f"it has {len(filled)} rows with a reason, and a mail can have {_MOST_ROWS}")
    return Reply(
        place,
        parseaddr(senders[0])[1] if len(senders) == 1 else "",
        tuple(filled),
        len({row[:2] for row in rows if row not in filled} - {row[:2] for row in filled}),
    )


def _check_types(mail: bytes) -> None:
    """Hold every Content-Type against the bounds: Python's parser reads them to find the parts. Raises _Unreadable."""
    multipart = 0
    for found in _CONTENT_TYPE.finditer(mail):
        if len(found[0]) > _LONGEST_HEADER:
            raise _Unreadable(f"it has a header Content-Type of more than {_LONGEST_HEADER} characters")
        multipart += b"multipart" in found[0].lower()
    if multipart > _MOST_PARTS:
        raise _Unreadable(f"it has more than {_MOST_PARTS} parts with parts in them")


def _headers(message: Message, name: str) -> list[str]:
    """The headers of that name. Raises _Unreadable."""
    found = [str(each) for each in message.get_all(name, ())]
    if any(len(each) > _LONGEST_HEADER for each in found):
        raise _Unreadable(f"it has a header {name} of more than {_LONGEST_HEADER} characters")
    return found


def _texts(message: Message, in_html: bool) -> Iterator[str]:
    """The parts that are HTML, without its tags, or all other ones. Raises _Unreadable for an unknown charset."""
    for part in message.walk():
        if part.get_content_maintype() != "text" or (part.get_content_subtype() == "html") is not in_html:
            continue
        content = part.get_payload(decode=True)
        charset = part.get_content_charset("utf-8")
        if charset.replace("_", "-") not in _CHARSETS:
            raise _Unreadable(f"its charset is {quoted(charset)}, which no mail program writes")
        text = content.decode(charset, "replace") if isinstance(content, bytes) else ""
        if in_html:
            text = html.unescape(_TAG.sub("", _LINE_END.sub("\n", text)))
        yield text


def _rows(text: str) -> Iterator[tuple[str, ...]]:
    """The cells of each line that is a row of ours or was one. A row that can't be read is one cell."""
    lines = [line.translate(_QUOTES).strip(_BEFORE) for line in text.splitlines()]
    for at, line in enumerate(lines):
        begin = _BEGIN.match(line)
        if not begin or (line.count(begin[1]) < 4 and not line.startswith('"', begin.end())):
            continue
        for following in lines[at + 1 : at + _FOLDED]:
            if line.count('"') % 2 == 0:
                break
            line = f"{line} {following}".rstrip()
        try:
            (cells,) = csv.reader([line], delimiter=begin[1], strict=True)
        except (csv.Error, ValueError):
            cells = [line]
        yield tuple(cell.strip() for cell in cells)


def requests(found: Iterable[Reply], known: Known) -> list[ExemptionRequest]:
    """What the rows of the replies ask for, each once. Rows for one user that differ are all refused."""
    asked = [_request(row, reply, known) for reply in found for row in reply.rows]
    rules: dict[tuple[str, str], dict[ExemptionRule, ExemptionRequest]] = {}
    for each in asked:
        if each.rule:
            rules.setdefault((each.rule.account, each.rule.pattern), {}).setdefault(each.rule, each)
    for its in rules.values():
        if len(its) > 1:
            fault = (
                f"the rows for this user differ, in {shown([each.place for each in its.values()])}: ask again"
            )
            its.update({rule: replace(each, faults=(*each.faults, fault)) for rule, each in its.items()})
    return [
        *(each for each in asked if not each.rule),
        *(each for its in rules.values() for each in its.values()),
    ]


def _request(row: Sequence[str], reply: Reply, known: Known) -> ExemptionRequest:
    place = f"{reply.place}: {','.join(row[:2])}"
    if len(row) != len(COLUMNS):
        fault = f"has {len(row)} cells, and must have {', '.join(COLUMNS)}: put the reason between the quotes, without "
        return ExemptionRequest(place, faults=(f"{fault}quotes in it",))
    try:
        entry = {name: text for name, text in zip(COLUMNS, row, strict=True) if text}
        (rule,) = parse_rules([entry], "row")
    except InvalidPolicyData as error:
        return ExemptionRequest(place, faults=(str(error).replace("row[0]: ", ""),))
    faults = [*_of_rule(rule, known), *_of_user(rule, known)]
    return ExemptionRequest(place, rule, tuple(faults), tuple(_remarks(rule, reply.sender, known)))


def _of_rule(rule: ExemptionRule, known: Known) -> Iterator[str]:
    if rule.field != "user" or {*rule.pattern} & {*"*?["}:
        yield f"{rule.field} {quoted(rule.pattern)} may protect others too: write such a rule yourself"
    if not is_account_id(rule.account):
        yield "names no account by its id: such a rule may protect users of others"
    elif rule.account not in known.accounts:
        yield f"account {rule.account} is not in the accounts file"
    if rule.expires < known.today:
        yield f"ended on {rule.expires}"
    if rule.expires > known.today + timedelta(days=known.longest):
        yield f"lasts until {rule.expires}, more than {known.longest} days: agree on an earlier day"
    if not any(map(str.isalpha, rule.reason)) or folded(rule.reason).strip(" .<>[]") == "reason":
        yield f"{quoted(rule.reason)} is no reason"
    if not has_glyphs(rule.reason + rule.owner):
        yield "has an invisible character: type reason and owner anew"


def _of_user(rule: ExemptionRule, known: Known) -> Iterator[str]:
    if rule.account in known.accounts and rule.account not in known.notices:
        yield f"nobody knows whether there is such a user: the notices of account {rule.account} were not read"
    elif rule.account in known.notices:
        names = {user.name for user, _ in known.notices[rule.account].named(rule.pattern)}
        if not names:
            yield f"no message was sent about a user {quoted(rule.pattern)} of account {rule.account}"
        elif rule.pattern not in names:
            yield f"protects nobody, as case counts: the user is {', '.join(sorted(names))}"
    for each in _present(rule, known):
        if each.expires >= rule.expires:
            yield f"is in the list already: {each}"


def _present(rule: ExemptionRule, known: Known) -> Iterator[ExemptionRule]:
    """The rules of the list, by name, that protect the user today."""
    for each in known.rules:
        holds = (
            each.holds_in(rule.account, known.accounts.get(rule.account, "")) and each.expires >= known.today
        )
        if holds and each.field == "user" and fnmatchcase(rule.pattern, each.pattern):
            yield each


def _remarks(rule: ExemptionRule, sender: str, known: Known) -> Iterator[str]:
    for each in _present(rule, known):
        if each.expires < rule.expires:
            yield f"goes on after {each}"
    notices = known.notices.get(rule.account)
    told = {
        folded(address)
        for _, notice in (notices.named(rule.pattern) if notices else ())
        for address in notice.addresses
    }
    if told and folded(sender) not in told:
        yield f"{sender or 'an unknown sender'} asks, and the messages about the user went to {', '.join(sorted(told))}"
