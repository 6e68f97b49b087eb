# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import email
import email.policy
import logging
import os
import smtplib
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from email.mime.text import MIMEText
from pathlib import Path

import pytest
from c7n_mailer.smtp_delivery import SmtpDelivery

from aws_local_org.errors import LocalOrgError
from aws_local_org.smtp_sink import SmtpSink

SENDER = "governance@example.com"


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[SmtpSink]:
    with SmtpSink(tmp_path / "mails") as running:
        yield running


def mails_in(sink: SmtpSink) -> list[EmailMessage]:
    files = sorted(sink.mail_dir.iterdir())
    return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]


def deliver(sink: SmtpSink, message: MIMEText, recipients: list[str]) -> None:
    """As c7n-mailer does, with the settings that a mailer configuration for the sink has."""
    config = {"smtp_server": "127.0.0.1", "smtp_port": sink.port, "smtp_ssl": False}
    SmtpDelivery(config, session=None, logger=logging.getLogger(__name__)).send_message(message, recipients)


def message_to(recipient: str, subject: str = "IAM users", text: str = "<p>Zoë</p>") -> MIMEText:
    message = MIMEText(text, "html", "utf-8")
    message["From"], message["To"], message["Subject"] = SENDER, recipient, subject
    return message


def test_a_mail_of_the_mailer_is_kept_whole(sink: SmtpSink) -> None:
    deliver(sink, message_to("payments@example.com"), ["payments@example.com"])
    (mail,) = mails_in(sink)
    assert mail["Subject"] == "IAM users"
    assert mail["X-Envelope-From"] == SENDER
    assert mail["X-Envelope-To"] == "payments@example.com"
    assert mail.get_content().strip() == "<p>Zoë</p>"


def test_recipients_that_the_mail_does_not_name_are_kept_too(sink: SmtpSink) -> None:
    deliver(sink, message_to("a@example.com"), ["a@example.com", "hidden@example.com"])
    (mail,) = mails_in(sink)
    assert mail["X-Envelope-To"] == "a@example.com, hidden@example.com"
    (file,) = sink.mail_dir.iterdir()
    assert file.name.endswith("-a@example.com+1.eml")


def test_nobody_else_reads_the_mails_whatever_the_umask(tmp_path: Path) -> None:
    os.umask(0)
    with SmtpSink(tmp_path / "mails") as sink:
        deliver(sink, message_to("a@example.com"), ["a@example.com"])
        (file,) = sink.mail_dir.iterdir()
        modes = [each.stat().st_mode & 0o777 for each in (sink.mail_dir, file)]
    assert modes == [0o700, 0o600]


def test_files_sort_by_arrival(sink: SmtpSink) -> None:
    for number in range(12):
        deliver(sink, message_to(f"{'cba'[number % 3]}@example.com", f"mail {number}"), ["x@example.com"])
    assert [mail["Subject"] for mail in mails_in(sink)] == [f"mail {number}" for number in range(12)]


def test_a_recipient_cannot_name_another_directory(sink: SmtpSink) -> None:
    deliver(sink, message_to("x@example.com"), ["../../x@example.com"])
    (file,) = sink.mail_dir.iterdir()
    assert file.name.endswith(".._.._x@example.com.eml")
    assert mails_in(sink)[0]["X-Envelope-To"] == "../../x@example.com"


def test_a_login_is_accepted_and_not_kept(sink: SmtpSink, caplog: pytest.LogCaptureFixture) -> None:
    with smtplib.SMTP("127.0.0.1", sink.port) as client:
        client.login("mailer", "hunter2")
        client.sendmail(SENDER, ["x@example.com"], message_to("x@example.com").as_string())
    (file,) = sink.mail_dir.iterdir()
    assert b"hunter2" not in file.read_bytes()
    assert "hunter2" not in caplog.text
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_it_listens_on_one_loopback_address_only(sink: SmtpSink) -> None:
    with socket.socket() as other:
        other.settimeout(2)
        assert other.connect_ex(("127.0.0.2", sink.port)) != 0


def test_stopping_frees_the_port_although_a_client_is_still_there(tmp_path: Path) -> None:
    with SmtpSink(tmp_path) as sink:
        client = smtplib.SMTP("127.0.0.1", sink.port)
    with client, SmtpSink(tmp_path, sink.port) as again:
        assert again.port == sink.port


def test_a_taken_port_is_said_so(sink: SmtpSink, tmp_path: Path) -> None:
    with pytest.raises(
        LocalOrgError, match=f"cannot listen for mail on 127.0.0.1:{sink.port}: Address already in use"
    ):
        SmtpSink(tmp_path, sink.port).start()


def test_a_directory_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalOrgError, match="cannot make the mail directory"):
        SmtpSink(tmp_path / "file" / "mails").start()


def test_a_mail_that_cannot_be_kept_is_not_acknowledged(sink: SmtpSink) -> None:
    os.rmdir(sink.mail_dir)
    with (
        smtplib.SMTP("127.0.0.1", sink.port) as client,
        pytest.raises(smtplib.SMTPDataError, match="cannot keep"),
    ):
        client.sendmail(SENDER, ["x@example.com"], message_to("x@example.com").as_string())
