# SPDX-License-Identifier: Apache-2.0
"""Asks AWS whether it can be known that mails leave the queue, and whether c7n-mailer may take them out of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.executor import SINGLE_TRY
from c7n_iamusers.execution.retries import Backoff, items
from c7n_iamusers.execution.sessions import caller_of
from c7n_iamusers.iam.permissions import simulation
from c7n_iamusers.notices.mailer_needs import MAILER_REGION, MailerNeed, mailer_needs
from c7n_iamusers.notices.queue import (
    ATTRIBUTES,
    QueueState,
    queue_arn,
    queue_region,
    queue_url,
    read_queue,
)
from c7n_iamusers.organization.readiness import HOLE, OK, ORGANIZATION, UNKNOWN, Check

_ERRORS = (ClientError, BotoCoreError)
#: Where SimulatePrincipalPolicy does not look ("Testing IAM policies with the IAM policy simulator").
_BEYOND = "as far as identity policies tell: service control policies may still deny"
#: Two readings, a day apart, and the day of the message itself.
_RETENTION = timedelta(days=3)
#: The key of AWS with which SQS encrypts for whoever may use the queue.
_OF_SQS = "alias/aws/sqs"
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

    def delivery(self, queue: str) -> Iterator[Check]:
        """Why runs can't find out whether messages leave ``queue``; nothing of one that can't be read itself."""
        place, name, url = ORGANIZATION, "delivery", queue_url(queue, "", "")
        if not queue.startswith(("arn:", "https://")):
            return
        found = self._read_queue(url).reading
        denied = [each for each in found.unread if each.permission == ATTRIBUTES]
        if denied and url not in {each.resource for each in denied}:
            told = (
                f"no announcement counts: {', '.join(map(str, denied))}, its dead-letter queue, was refused"
            )
            remedy = f"allow {ATTRIBUTES} on the dead-letter queue of {queue} to {self.caller}"
            yield Check(place, name, HOLE, told, remedy)
        if found.retention is not None and found.retention < _RETENTION:
            told = (
                f"no announcement counts: {queue} keeps messages for {found.retention}, and a policy that runs daily "
                "can't find out twice within that time whether a message left it"
            )
            yield Check(place, name, HOLE, told, "set its MessageRetentionPeriod to four days or more")

    def _client(self, service: str, region: str | None) -> Any:
        return self.session.client(service, region_name=region, config=SINGLE_TRY)

    def _read_queue(self, url: str) -> QueueState:
        return read_queue(self._client, url, datetime.now(timezone.utc))

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
        number = sum(len(each.actions) for each in needs)
        return Check(place, name, OK, f"{principal}: {number} actions are allowed, {_BEYOND}")

    def _principal(self, session: Any, caller: str) -> str:
        """The ARN of the role or user behind ``caller``, whose policies count."""
        found = _SESSION_OF_ROLE.fullmatch(caller)
        if not found:
            return caller
        try:  # which knows its path
            role = self._iam_of(session).get_role(RoleName=found["name"])["Role"]
        except _ERRORS:
            return f"arn:{found['partition']}:iam::{found['account']}:role/{found['name']}"
        return str(role["Arn"])

    def _iam_of(self, session: Any) -> Any:
        return session.client("iam", config=SINGLE_TRY) if session else self._client("iam", None)

    def _keys(self, config: Mapping[str, Any], partition: str) -> tuple[tuple[str, ...], str]:
        """The key of KMS that encrypts the mailer's queue, if it needs a permission; and why that is not known."""
        url = str(config["queue_url"])
        key = self._read_queue(url).key if url.startswith("https://") else ""
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
            for each in need.resources:
                asked = simulation(principal, need.actions, [each], need.condition)
                found = items(iam, "SimulatePrincipalPolicy", "EvaluationResults", self.backoff, **asked)
                denied += [
                    f"{row['EvalActionName']} on {each}" for row in found if row["EvalDecision"] != "allowed"
                ]
        return denied
