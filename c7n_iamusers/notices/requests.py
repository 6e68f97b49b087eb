# SPDX-License-Identifier: Apache-2.0
"""Replies to announcements that ask for exemptions: the rows in them, and what speaks against each. Pure.

An announcement has a row of the list of exemptions for each of its users, without a reason (iam-users-parts.j2). Who
answers it fills that in. Anybody may write such a mail, and give any sender: a person decides.
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
from c7n_iamusers.text.shapes import is_account_id
from c7n_iamusers.text.wording import folded, has_glyphs, quoted

#: The cells of a row of ours, in their order.
COLUMNS = ("account", "user", "path", "reason", "owner", "expires")
#: Between the mails of an mbox file (RFC 4155).
_NEXT_MAIL = re.compile(rb"\r?\n\r?\nFrom [^\r\n]*\r?\n")
_LINE_END, _TAG = re.compile(r"(?i)<br\b[^<>]*>|</(?:p|div|tr|pre|li)>"), re.compile(r"<[^<>]*>")
#: What mail programs put before a line that they quote, and in place of plain quotes.
_BEFORE, _QUOTES = ">| \t\xa0", str.maketrans(dict.fromkeys("“”„‟«»", '"'))
#: The first cell of a row of ours, an account, also after a spreadsheet.
_BEGIN = re.compile(r"""["']?[0-9][0-9 .'_E+-]{5,}"?([,;])""")
#: The lines over which a mail program may fold a reason.
_FOLDED = 20


@dataclass(frozen=True)
class Reply:
    """One mail. ``sender``: the address that it claims, or empty. ``rows``: the cells of those with a reason.

    ``unfilled``: how many rows have none, as they were sent.
    """

    place: str
    sender: str
    rows: tuple[tuple[str, ...], ...]
    unfilled: int = 0


@dataclass(frozen=True)
class Known:
    """What rows are held against. ``longest``: the days of an exemption at most. ``rules``: of the present list.

    ``accounts``: id -> name, of the accounts file. ``notices``: id -> the messages of an account, where they were read.
    """

    today: date
    longest: int
    rules: Sequence[ExemptionRule]
    accounts: Mapping[str, str]
    notices: Mapping[str, Notices]


@dataclass(frozen=True)
class Request:
    """A row that somebody filled in. ``rule``: what the list gets. ``faults``: why it must not, in words.

    ``place``: the mail and the row's account and user. ``remarks``: what a person should know first.
    """

    place: str
    rule: ExemptionRule | None = None
    faults: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def replies(data: bytes, place: str) -> Iterator[Reply]:
    """The mails in a file: one mail, an mbox, or a text without a mail's header.

    Raises RecursionError for parts within parts that nobody writes.
    """
    mails = [data]
    if data.startswith(b"From "):
        mails = [each for each in _NEXT_MAIL.split(b"\n\n" + data) if each.strip()]
    for number, mail in enumerate(mails, 1):
        message = message_from_bytes(mail)
        senders = [str(each) for each in message.get_all("From", ())]
        texts = (
            [_texts(message, False), _texts(message, True)]
            if senders
            else [[mail.decode("utf-8-sig", "replace")]]
        )
        # the plain form of a mail may say no more than that there is another one
        rows = next(filter(None, ([row for text in form for row in _rows(text)] for form in texts)), [])
        # a mail program may quote what it answers, and send it as plain text and again as an attachment
        filled = dict.fromkeys(row for row in rows if len(row) != len(COLUMNS) or row[3])
        yield Reply(
            f"{place}, mail {number}" if len(mails) > 1 else place,
            parseaddr(senders[0])[1] if len(senders) == 1 else "",
            tuple(filled),
            len({row[:2] for row in rows if row not in filled} - {row[:2] for row in filled}),
        )


def _texts(message: Message, in_html: bool) -> Iterator[str]:
    """The parts that are HTML, without its tags, or all other ones."""
    for part in message.walk():
        if part.get_content_maintype() != "text" or (part.get_content_subtype() == "html") is not in_html:
            continue
        content = part.get_payload(decode=True)
        content = content if isinstance(content, bytes) else b""
        try:
            text = content.decode(part.get_content_charset("utf-8"), "replace")
        except (LookupError, ValueError):  # of a charset that nobody knows
            text = content.decode("utf-8", "replace")
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


def requests(found: Iterable[Reply], known: Known) -> list[Request]:
    """What the rows of the replies ask for, each once. Rows for one user that differ are all refused."""
    asked = [_request(row, reply, known) for reply in found for row in reply.rows]
    rules: dict[tuple[str, str], dict[ExemptionRule, Request]] = {}
    for each in asked:
        if each.rule:
            rules.setdefault((each.rule.account, each.rule.pattern), {}).setdefault(each.rule, each)
    for its in rules.values():
        if len(its) > 1:
            fault = f"the rows for this user differ, in {', '.join(each.place for each in its.values())}: ask again"
            its.update({rule: replace(each, faults=(*each.faults, fault)) for rule, each in its.items()})
    return [
        *(each for each in asked if not each.rule),
        *(each for its in rules.values() for each in its.values()),
    ]


def _request(row: Sequence[str], reply: Reply, known: Known) -> Request:
    place = f"{reply.place}: {','.join(row[:2])}"
    if len(row) != len(COLUMNS):
        fault = f"has {len(row)} cells, and must have {', '.join(COLUMNS)}: put the reason between the quotes, without "
        return Request(place, faults=(f"{fault}quotes in it",))
    try:
        entry = {name: text for name, text in zip(COLUMNS, row, strict=True) if text}
        (rule,) = parse_rules([entry], "row")
    except InvalidPolicyData as error:
        return Request(place, faults=(str(error).replace("row[0]: ", ""),))
    faults = [*_of_rule(rule, known), *_of_user(rule, known)]
    return Request(place, rule, tuple(faults), tuple(_remarks(rule, reply.sender, known)))


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
        yield "has a character that nobody sees: type reason and owner anew"


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
