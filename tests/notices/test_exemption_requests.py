# SPDX-License-Identifier: Apache-2.0
"""Rows of the list of exemptions in replies: as mail programs send them, and what speaks against each."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone
from email.message import EmailMessage
from typing import Any

import pytest

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.notices.exemption_requests import Known, replies, requests
from c7n_iamusers.notices.notices import ANNOUNCED, Notice, Notices

pytestmark = pytest.mark.pure

ACCOUNT, OTHER = "111122223333", "444455556666"
OWNER = "payments-owner@example.com"
TODAY = date(2026, 11, 28)
ROW = f'{ACCOUNT},"jane.doe",,"nightly export",{OWNER},2027-05-27'
UNFILLED = f'{ACCOUNT},"left",,"",{OWNER},2027-05-27'
CELLS = (ACCOUNT, "jane.doe", "", "nightly export", OWNER, "2027-05-27")


def mail(text: str = ROW, sender: str = OWNER, html: str = "", **more: Any) -> bytes:
    message = EmailMessage()
    message["From"] = f"The Owner <{sender}>"
    message["Subject"] = "Exemption for account 111122223333"
    if text:
        message.set_content(text, **more)
    if html:
        message.add_alternative(html, subtype="html")
    return bytes(message)


def notices(*names: str) -> Notices:
    time = datetime(2026, 11, 20, tzinfo=timezone.utc)
    users = tuple(
        Subject(name, f"arn:aws:iam::{ACCOUNT}:user/{name}", f"AIDA{name.upper()}") for name in names
    )
    return Notices(
        [Notice(ACCOUNT, ANNOUNCED, time, date(2026, 12, 20), (OWNER,), "1", "flag", users)], "notices"
    )


KNOWN = Known(
    TODAY, 366, (), {ACCOUNT: "payments", OTHER: "research"}, {ACCOUNT: notices("jane.doe", "left")}
)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(mail(), id="plain"),
        pytest.param(mail(f"Dear team,\n\n> {ROW}\n"), id="quoted"),
        pytest.param(mail(f"account,user,path,reason,owner,expires\n{ROW}"), id="with-header"),
        pytest.param(mail(ROW.replace("nightly export", "nightly\nexport")), id="folded"),
        pytest.param(mail(ROW.replace("nightly export", "nightly\n> export")), id="quoted-and-folded"),
        pytest.param(mail(re.sub('"([^"]*)"', "“\\1”", ROW)), id="typographic-quotes"),
        pytest.param(mail(ROW.replace(",", ";")), id="semicolons"),
        pytest.param(mail(ROW.replace('"', "")), id="saved-by-a-spreadsheet"),
        pytest.param(mail(ROW, cte="base64"), id="base64"),
        pytest.param(mail(f"Grüße\n{ROW}", charset="iso-8859-1"), id="latin-1"),
        pytest.param(mail(ROW).replace(b"utf-8", b"Windows-1252"), id="windows"),
        pytest.param(
            mail("", html=f"<div>{ROW.replace('.', '<span>.</span>').replace(chr(34), '&quot;')}</div>"),
            id="html",
        ),
        pytest.param(mail(ROW, html=f"<pre>{ROW}</pre>"), id="both-forms"),
        pytest.param(mail("See the other form.", html=f"<pre>{ROW}</pre>"), id="plain-form-is-a-stub"),
        pytest.param(mail(f"{ROW}\n\n> {ROW}"), id="twice"),
        pytest.param(ROW.encode("utf-8-sig"), id="no-mail"),
        pytest.param(b"From x\n" + mail(), id="mbox-of-one"),
    ],
)
def test_a_row_is_found_however_it_is_sent(data: bytes) -> None:
    (reply,) = replies(data, "a.eml")
    assert reply.rows == (CELLS,)
    assert reply.sender == (OWNER if b"From:" in data else "")
    (request,) = requests([reply], KNOWN)
    assert request.faults == ()
    assert request.rule == ExemptionRule(
        "user", "jane.doe", "nightly export", date(2027, 5, 27), OWNER, ACCOUNT
    )


@pytest.mark.parametrize(
    ("text", "rows", "unfilled"),
    [
        pytest.param("Please keep jane.doe, she needs it.", 0, 0, id="no-row"),
        pytest.param(UNFILLED, 0, 1, id="as-it-was-sent"),
        pytest.param(f"{ROW}\n{UNFILLED}", 1, 1, id="one-of-two"),
        pytest.param(f"{ROW}\n> {ROW.replace('nightly export', '')}", 1, 0, id="quoted-below"),
        pytest.param("On 2026-11-25, 10:00, we, wrote: 1, 2, 3", 0, 0, id="prose"),
        pytest.param("account,user,path,reason,owner,expires", 0, 0, id="header"),
    ],
)
def test_what_is_no_request(text: str, rows: int, unfilled: int) -> None:
    (reply,) = replies(mail(text), "a.eml")
    assert (len(reply.rows), reply.unfilled) == (rows, unfilled)


def test_each_mail_of_an_mbox_has_its_sender() -> None:
    data = b"From 1\n" + mail() + b"\n\nFrom 2\n" + mail("none", sender="eve@example.org")
    first, second = replies(data, "box")
    assert (first.place, first.sender, len(first.rows)) == ("box, mail 1", OWNER, 1)
    assert (second.place, second.sender, len(second.rows)) == ("box, mail 2", "eve@example.org", 0)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param("jane.doe", "jane.*", "may protect others too", id="glob"),
        pytest.param('"jane.doe",', ",/team/*", "may protect others too", id="path"),
        pytest.param('"jane.doe",', '"jane.doe",/team/*', "exactly one of", id="user-and-path"),
        pytest.param("jane.doe", "jane.dow", "no message was sent about a user 'jane.dow'", id="mistyped"),
        pytest.param("jane.doe", "Jane.Doe", "the user is jane.doe", id="case"),
        pytest.param(ACCOUNT, OTHER, f"the notices of account {OTHER} were not read", id="notices-unread"),
        pytest.param(ACCOUNT, "777788889999", "is not in the accounts file", id="other-account"),
        pytest.param(ACCOUNT, "1111-2222-3333", "write an id as 12 digits", id="account-with-separators"),
        pytest.param(ACCOUNT, "1.11122E+11", "a spreadsheet has made a number", id="account-as-a-number"),
        pytest.param("nightly export", "...", "is no reason", id="placeholder"),
        pytest.param("nightly export", "x \x1b[2J", "invisible character", id="escape-sequence"),
        pytest.param("nightly export", "x \u202e", "invisible character", id="direction-mark"),
        pytest.param("nightly export", "REASON", "is no reason", id="word-reason"),
        pytest.param("nightly export", 'the "export"', "has 1 cells", id="quotes-within"),
        pytest.param('"nightly export"', "nightly, export", "has 7 cells", id="comma-without-quotes"),
        pytest.param("2027-05-27", "2026-11-27", "ended on 2026-11-27", id="past"),
        pytest.param("2027-05-27", "2027-11-30", "more than 366 days", id="too-long"),
        pytest.param("2027-05-27", "27.5.2027", "expires is not a date", id="other-date"),
        pytest.param(",2027-05-27", "", "has 5 cells", id="no-day"),
    ],
)
def test_a_row_that_must_not_be_merged_is_refused(old: str, new: str, fault: str) -> None:
    assert old in ROW
    (reply,) = replies(mail(ROW.replace(old, new)), "a.eml")
    (request,) = requests([reply], KNOWN)
    assert fault in "; ".join(request.faults)
    assert request.place.startswith("a.eml: ")


@pytest.mark.parametrize(
    ("pattern", "account", "expires", "fault", "remark"),
    [
        pytest.param("jane.doe", "", "2027-06-30", "is in the list already", "", id="as-long"),
        pytest.param("jane.doe", "", "2027-05-27", "is in the list already", "", id="until-the-same-day"),
        pytest.param("jane*", "pay*", "2027-06-30", "is in the list already", "", id="by-a-glob"),
        pytest.param("jane.doe", "", "2026-12-31", "", "goes on after user", id="longer"),
        pytest.param("jane.doe", "", "2026-11-01", "", "", id="ended"),
        pytest.param("jane.doe", "research", "2027-06-30", "", "", id="of-another-account"),
    ],
)
def test_what_the_list_has_already(pattern: str, account: str, expires: str, fault: str, remark: str) -> None:
    rule = ExemptionRule("user", pattern, "x", date.fromisoformat(expires), "", account)
    known = Known(TODAY, 366, [rule], KNOWN.accounts, KNOWN.notices)
    (request,) = requests(replies(mail(), "a"), known)
    assert (fault in "".join(request.faults), bool(request.faults)) == (True, bool(fault))
    assert (remark in "".join(request.remarks), bool(request.remarks)) == (True, bool(remark))


def test_a_group_of_that_name_is_no_rule_for_the_user() -> None:
    rule = ExemptionRule("group", "jane*", "x", date(2027, 6, 30), "", "")
    (request,) = requests(replies(mail(), "a"), Known(TODAY, 366, [rule], KNOWN.accounts, KNOWN.notices))
    assert (request.faults, request.remarks) == ((), ())


@pytest.mark.parametrize("sender", ["colleague@example.com", "payments-owner@example.org"])
def test_who_was_not_written_to_is_named(sender: str) -> None:
    (request,) = requests(replies(mail(sender=sender), "a"), KNOWN)
    assert request.faults == ()
    assert request.remarks == (f"{sender} asks, and the messages about the user went to {OWNER}",)


def test_rows_that_differ_are_refused_and_equal_ones_count_once() -> None:
    first, same = (next(replies(mail(), place)) for place in ("a", "b"))
    other = next(replies(mail(ROW.replace("2027-05-27", "2027-02-01")), "c"))
    assert len(requests([first, same], KNOWN)) == 1
    found = requests([first, same, other], KNOWN)
    assert [each.place[0] for each in found] == ["a", "c"]
    assert all("the rows for this user differ" in each.faults[0] for each in found)


@pytest.mark.parametrize(
    "data", [b"", b"From ", b"\x00\xff" * 900, b"From:\n\n", b"<" * 100_000, b'1,",,,,\n' * 3000]
)
def test_a_hostile_file_ends_soon(data: bytes) -> None:
    found = list(replies(data, "x"))
    assert all(each.faults for each in requests(found, KNOWN))


PLAIN = b"From: a@example.org\nContent-Type: text/plain"
NESTED = b"From: a@example.org\n" + b"".join(
    b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (each, each) for each in range(30)
)
#: Python's reader of a header's parameters takes the square of these.
QUOTES = b'\\";'
MULTIPART = b'From: a@example.org\nContent-Type: multipart/mixed; boundary=x; a="'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(
            PLAIN + b'; a="' + QUOTES * 1_000 + b"\n\n", "header Content-Type of more than", id="parameters"
        ),
        pytest.param(b"From: " + b"a:" * 20_000 + b"\n\n", "header From of more than", id="groups"),
        *[
            pytest.param(PLAIN + b"; charset=" + name + b"\n\n", "charset is", id=name.decode())
            for name in (
                b"punycode",
                b"idna",
                b"unicode_escape",
                b"utf-7",
                b"rot13",
                b"zlib",
                b"no-such-charset",
            )
        ],
        pytest.param(NESTED, "more than 20 parts", id="parts-in-parts"),
        pytest.param(
            NESTED.replace(b"boundary", b"boundary*%b" % (b"0" * 25)),
            "more than 20 parts",
            id="numbered-boundary",
        ),
        pytest.param(NESTED.replace(b" multi", b"\n multi"), "more than 20 parts", id="folded-boundary"),
        pytest.param(PLAIN + b"\n\n" + b"x" * (1 << 20), "bytes, and a mail can have 1048576", id="large"),
        pytest.param(
            PLAIN.replace(b"plain", b"html") + b"\n\n&#" + b"9" * 5_000 + b";", "ValueError", id="number"
        ),
        pytest.param(
            b"From: a@example.org\n" + b"Content-Type: message/rfc822\n\n" * 5_000,
            "RecursionError",
            id="mails-in-mails",
        ),
        pytest.param(
            PLAIN
            + b"\n\n"
            + b"".join(b'"111122223333","u%d","/","r","o",""\n' % each for each in range(5_001)),
            "5001 rows with a reason",
            id="rows",
        ),
    ],
)
def test_a_mail_beyond_the_bounds_is_named_and_hides_no_other(data: bytes, why: str) -> None:
    hostile, good = replies(b"From 1\n" + data + b"\n\nFrom 2\n" + mail(), "box")
    assert (hostile.place, hostile.rows) == ("box, mail 1", ())
    assert why in hostile.problem
    assert (good.rows, good.sender, good.problem) == ((CELLS,), OWNER, "")


def test_a_long_content_type_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("c7n_iamusers.notices.exemption_requests.message_from_bytes", None)
    rest = b"".join(QUOTES * 99 + b"\r\n\t" for _ in range(3_000))
    for before in (b"", b"Subject: x\n", b"Subject: x\r\n\r\n--x\r\n", b"Subject: x\r"):
        (reply,) = replies(before + MULTIPART + rest + b"\n\n", "a")
        assert "header Content-Type of more than 2000 characters" in reply.problem


def test_other_long_headers_and_long_lines_of_a_text_are_read() -> None:
    """Mail servers add headers of some thousand characters, and an attachment may be of any length."""
    text = f"{ROW}\nstyle: {'x' * 5_000}\n {'y' * 5_000}"
    (reply,) = replies(b"X-Microsoft-Antispam: " + b"BCL:0; " * 900 + b"\n" + mail(text), "a")
    assert (reply.rows, reply.problem) == ((CELLS,), "")
