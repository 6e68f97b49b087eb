# SPDX-License-Identifier: Apache-2.0
"""Asks AWS whether c7n-mailer may take mails out of the queue, and the mail server whether it accepts them from it."""

from __future__ import annotations

import base64
import binascii
import re
import smtplib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.callers import caller_of
from c7n_iamusers.execution.executor import SINGLE_TRY
from c7n_iamusers.execution.paging import items
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.iam.permissions import simulation
from c7n_iamusers.notices.mailer_needs import MAILER_REGION, MailerNeed, mailer_needs
from c7n_iamusers.notices.queue_counts import (
    queue_arn,
    queue_region,
    read_queue,
)
from c7n_iamusers.organization.readiness import HOLE, OK, ORGANIZATION, UNKNOWN, Check
from c7n_iamusers.text.wording import visible

_ERRORS = (ClientError, BotoCoreError)
#: Where SimulatePrincipalPolicy does not look ("Testing IAM policies with the IAM policy simulator").
_BEYOND = "as far as identity policies tell: service control policies may still deny"
#: The AWS managed key, with which SQS encrypts for everybody who may use the queue.
_OF_SQS = "alias/aws/sqs"
#: Seconds for each answer of the mail server.
_ANSWERING = 10.0
_SESSION_OF_ROLE = re.compile(
    r"arn:(?P<partition>[^:]+):sts::(?P<account>\d{12}):assumed-role/(?P<name>[^/]+)/.*", re.ASCII
)
_MAILER_ROLE = (
    "run c7n-mailer as a role with what `c7n-iamusers roles --role mailer --mailer {file}` prints, and name it as "
    "--mailer-role ARN here"
)


@dataclass(frozen=True)
class MailProbes:
    """``session``: boto3's, of the runner. ``caller``: the runner's ARN."""

    session: Any
    caller: str
    backoff: Backoff

    def _client(self, service: str, region: str | None) -> Any:
        return self.session.client(service, region_name=region, config=SINGLE_TRY)

    def rights(self, config: Mapping[str, Any], role: str, file: Path) -> Check:
        """Whether c7n-mailer may do what its ``config`` needs. ``file``: where that stands.

        ``role``: the ARN of its role; empty where it acts as ``profile`` of the configuration, or as the runner.
        Raises InvalidPolicyData.
        """
        place, name = ORGANIZATION, "mailer permissions"
        url, region = str(config["queue_url"]), str(config.get("region") or MAILER_REGION)
        if url.startswith("https://sqs.") and queue_region(url) != region:
            told = f"{file} reads {url} in {region}, where it is not"
            return Check(place, name, HOLE, told, f"give region: {queue_region(url)} there")
        profile = config.get("profile")
        try:
            session = boto3.Session(profile_name=str(profile)) if profile and not role else None
            caller = caller_of(session) if session else self.caller
            principal = role or self._principal(session, caller)
            _, partition, _, _, account, kind = principal.split(":", 5)
            if kind == "root":
                return Check(place, name, OK, f"{principal} may do everything in its account")
            keys, unknown = self._keys(config, partition)
            needs = mailer_needs(config, account, partition, keys)
            denied = self._denied(session, principal, needs)
        except (*_ERRORS, EvidenceUnreadable) as error:
            told = f"{role or self.caller}: not checked by iam:SimulatePrincipalPolicy: {error}"
            return Check(place, name, UNKNOWN, told, _MAILER_ROLE.format(file=file))
        if denied:
            told = f"c7n-mailer as {principal} may not {', '.join(denied)} ({_BEYOND})"
            return Check(place, name, HOLE, told, _MAILER_ROLE.format(file=file))
        if unknown:
            return Check(place, name, UNKNOWN, unknown, "allow kms:Decrypt on that key to c7n-mailer's role")
        number = sum(len(need.actions) for need in needs)
        return Check(place, name, OK, f"{principal}: {number} actions are allowed, {_BEYOND}")

    def mailer(
        self, config: Mapping[str, Any], file: Path, queues: Sequence[str], recipient: str
    ) -> Iterator[Check]:
        """Whether c7n-mailer with its ``config`` reads one of ``queues``, and its mail server takes a mail from it.

        ``file``: where the configuration stands. ``recipient``: the address of an owner; empty if none is known. No
        mail is sent.
        """
        place, name, queue = ORGANIZATION, "mailer", config["queue_url"]
        if queues and queue not in queues:
            told = f"{file} reads {queue}, and mails go to {', '.join(queues)}"
            yield Check(place, name, HOLE, told, "give one queue as queue_url there and in the accounts file")
        if not config.get("from_address"):
            told = f"{file} has no from_address, and c7n-mailer sends nothing without it"
            yield Check(place, name, HOLE, told, "give one that your mail system accepts")
            return
        if not config.get("smtp_server"):
            yield Check(place, name, UNKNOWN, f"{file}: not checked: no smtp_server, so mails go through SES")
            return
        yield self._server(config, file, recipient)

    def _server(self, config: Mapping[str, Any], file: Path, recipient: str) -> Check:
        """Whether the mail server takes a mail to ``recipient`` from c7n-mailer."""
        place, name = ORGANIZATION, "mailer"
        where = f"{config['smtp_server']}:{config.get('smtp_port', 25)}"
        try:
            _begin_mail(config, self._password(config), recipient)
        except _ERRORS as error:
            told = f"{where}: not checked: smtp_password can't be decrypted: {error}"
            remedy = (
                f"allow kms:Decrypt on its key to {self.caller}, or run this command as c7n-mailer's role"
            )
            return Check(place, name, UNKNOWN, told, remedy)
        except OSError as error:
            remedy = f"correct smtp_server, smtp_port, smtp_ssl or from_address in {file}, or the mail server"
            return Check(place, name, HOLE, f"{where} takes no mail: {error}", remedy)
        except (ValueError, TypeError, AttributeError) as error:  # which may have a part of the password
            remedy = f"correct smtp_port, smtp_username or smtp_password in {file}"
            return Check(place, name, HOLE, f"{where} takes no mail: {type(error).__name__}", remedy)
        return Check(place, name, OK, where)

    def _password(self, config: Mapping[str, Any]) -> str | None:
        """The password for the mail server, decrypted where it is encrypted, as c7n_mailer/utils.py does.

        Raises ClientError, BotoCoreError, ValueError.
        """
        given = config.get("smtp_password")
        try:
            blob = base64.b64decode(given or b"")
        except (TypeError, binascii.Error):
            return given
        if not given:
            return None
        kms = self._client("kms", str(config.get("region") or MAILER_REGION))
        try:
            return str(self.backoff.call(kms.decrypt, CiphertextBlob=blob)["Plaintext"].decode())
        except ClientError as error:
            if error_code(error) != "InvalidCiphertextException":
                raise
        return str(given)

    def _principal(self, session: Any, caller: str) -> str:
        """The ARN of the role or user behind ``caller``, whose policies count."""
        found = _SESSION_OF_ROLE.fullmatch(caller)
        if not found:
            return caller
        try:  # IAM knows the role's path
            role = self._iam_of(session).get_role(RoleName=found["name"])["Role"]
        except _ERRORS:
            return f"arn:{found['partition']}:iam::{found['account']}:role/{found['name']}"
        return str(role["Arn"])

    def _iam_of(self, session: Any) -> Any:
        return session.client("iam", config=SINGLE_TRY) if session else self._client("iam", None)

    def _keys(self, config: Mapping[str, Any], partition: str) -> tuple[tuple[str, ...], str]:
        """The KMS key of the mailer's queue, if it needs a permission; and why that is unknown, or empty."""
        url = str(config["queue_url"])
        key = (
            read_queue(self._client, url, datetime.now(timezone.utc)).key
            if url.startswith("https://")
            else ""
        )
        if key.startswith("arn:") and ":key/" in key:
            return (key,), ""
        if not key or key == _OF_SQS:
            return (), ""
        if key.startswith(("alias/", "arn:")):
            return (), f"{url} is encrypted with {key}: whether c7n-mailer may use that key was not checked"
        *_, account, _ = queue_arn(url, partition).rsplit(":", 2)
        return (f"arn:{partition}:kms:{queue_region(url)}:{account}:key/{key}",), ""

    def _denied(self, session: Any, principal: str, needs: Iterable[MailerNeed]) -> list[str]:
        """What the policies of ``principal`` don't allow, as "ACTION on RESOURCE"."""
        iam, denied = self._iam_of(session), list[str]()
        for need in needs:
            for resource in need.resources:
                asked = simulation(principal, need.actions, [resource], need.condition)
                found = items(iam, "SimulatePrincipalPolicy", "EvaluationResults", self.backoff, **asked)
                denied += [
                    f"{row['EvalActionName']} on {resource}"
                    for row in found
                    if row["EvalDecision"] != "allowed"
                ]
        return denied


def _begin_mail(config: Mapping[str, Any], password: str | None, recipient: str) -> None:
    """Begin a mail as c7n-mailer does (c7n_mailer/smtp_delivery.py), and stop before its text.

    Raises OSError where the server refuses, and ValueError, TypeError or AttributeError for values that can't be sent.
    """
    server, port = str(config["smtp_server"]), int(config.get("smtp_port", 25))
    with closing(smtplib.SMTP(server, port, timeout=_ANSWERING)) as connection:
        if config.get("smtp_ssl", True):
            connection.starttls()
            connection.ehlo()
        user = config.get("smtp_username")
        if user or password:
            connection.login(user, password)  # type: ignore[arg-type]  # None fails in c7n-mailer too
        connection.ehlo_or_helo_if_needed()
        _accepted("from_address", connection.mail(config["from_address"]))
        if recipient:
            _accepted(recipient, connection.rcpt(recipient))
        connection.rset()
        connection.quit()


def _accepted(what: str, answer: tuple[int, bytes]) -> None:
    """Raises SMTPResponseException, an OSError."""
    code, text = answer
    if code not in (250, 251):
        raise smtplib.SMTPResponseException(
            code, f"it refuses {what}: {visible(text.decode(errors='replace'))}"
        )
