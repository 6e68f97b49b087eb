# SPDX-License-Identifier: Apache-2.0
"""An SMTP server on loopback that keeps every mail as a file and forwards none."""

from __future__ import annotations

import itertools
import logging
import os
import re
import socket
from asyncio import AbstractServer
from collections.abc import Awaitable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from aws_local_org.errors import LocalOrgError

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
LARGEST_MAIL = 40 * 1024 * 1024  # SES takes messages of up to 40 MB


class SmtpSink:
    """Receives mail for as long as the ``with`` block lasts; each mail is one ``.eml`` file in ``mail_dir``.

    File names sort by arrival and contain the first recipient; X-Envelope-From and X-Envelope-To head each file, since
    the recipients that an SMTP client names need not be in the mail. Any user name and password is accepted, so
    that a mailer configuration with a login works unchanged; neither is kept. No STARTTLS: set ``smtp_ssl: false``.
    Raises LocalOrgError if the port is taken or the directory cannot be made.
    """

    def __init__(self, mail_dir: Path | str, port: int = 0) -> None:
        self.mail_dir = Path(mail_dir)
        self.port = port
        self._controller: _Controller | None = None

    def start(self) -> SmtpSink:
        mailbox = _Mailbox(_made(self.mail_dir))
        listener = _listener(self.port)
        self.port = listener.getsockname()[1]
        # aiosmtpd warns at every login about a deprecated interface.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        self._controller = _Controller(mailbox, listener)
        self._controller.start()
        return self

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def __enter__(self) -> SmtpSink:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Controller(Controller):
    """Serves on a socket that already listens, because aiosmtpd takes 5 seconds to detect that a port is taken."""

    def __init__(self, mailbox: _Mailbox, listener: socket.socket) -> None:
        self._listener = listener
        super().__init__(
            mailbox,
            hostname=LOOPBACK,
            port=listener.getsockname()[1],
            data_size_limit=LARGEST_MAIL,
            authenticator=_accept_any_login,
            auth_require_tls=False,
        )

    def _create_server(self) -> Awaitable[AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._listener)


class _Mailbox:
    """aiosmtpd's handler: DATA becomes a file, whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count(1)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        try:
            path = self._save(envelope.mail_from or "", envelope.rcpt_tos, envelope.original_content)
        except OSError as error:
            logger.error("a mail could not be kept in %s: %s", self._directory, error)
            return f"451 cannot keep the mail: {error.strerror or error}"
        logger.info("mail kept: %s", path)
        return "250 OK"

    def _save(self, sender: str, recipients: Sequence[str], content: bytes) -> Path:
        heading = f"X-Envelope-From: {sender}\r\nX-Envelope-To: {', '.join(recipients)}\r\n".encode()
        path = self._directory / self._file_name(recipients)
        partial = path.with_suffix(".part")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(heading + content)
        partial.replace(path)
        return path

    def _file_name(self, recipients: Sequence[str]) -> str:
        now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
        recipient = re.sub(r"[^\w+@.-]", "_", recipients[0])[:100]
        others = f"+{len(recipients) - 1}" if len(recipients) > 1 else ""
        return f"{now}-{next(self._numbers):05}-{recipient}{others}.eml"


def _accept_any_login(*_: Any) -> AuthResult:
    return AuthResult(success=True)


def _made(directory: Path) -> Path:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LocalOrgError(
            f"cannot make the mail directory {directory}: {error.strerror or error}"
        ) from error
    return directory


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise LocalOrgError(
            f"cannot listen for mail on {LOOPBACK}:{port}: {error.strerror or error}; choose another SMTP port, "
            f"or 0 for a free one"
        ) from error
