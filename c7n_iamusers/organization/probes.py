# SPDX-License-Identifier: Apache-2.0
"""Asks AWS whether all is ready for a run: nothing is changed but for a probe's object, which is deleted again."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlparse
from uuid import uuid4

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.bucket_store import bucket_output
from c7n_iamusers.execution.executor import SINGLE_TRY
from c7n_iamusers.execution.given import parsed_file
from c7n_iamusers.execution.retries import Backoff, error_code, items
from c7n_iamusers.execution.sessions import account_of, caller_of, external
from c7n_iamusers.execution.stores import DirectoryStore, Store
from c7n_iamusers.iam.accounts import detail_attachments
from c7n_iamusers.iam.permissions import Needed, changes_users, simulation
from c7n_iamusers.iam.role_trust import is_trusted
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.notices.mailer_needs import MAILER_REGION, MailerNeed, mailer_needs
from c7n_iamusers.notices.queue import (
    ATTRIBUTES,
    FIFO,
    QueueState,
    queue_arn,
    queue_region,
    queue_url,
    read_queue,
)
from c7n_iamusers.notices.stop import stops_in
from c7n_iamusers.organization.likely_mistakes import QUEUE_ATTRIBUTES, bucket_doubt, queue_doubts
from c7n_iamusers.organization.readiness import (
    HOLE,
    OK,
    ORGANIZATION,
    UNKNOWN,
    Check,
    Target,
    filled,
    simulations,
)
from c7n_iamusers.text.documents import read_yaml

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
_ERRORS = (ClientError, BotoCoreError)
_SESSION_NAME = "c7n-iamusers"
_NO_REPORT = frozenset({"ReportNotPresent", "ReportExpired"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
#: LocationConstraint, where it is not the name of the Region (GetBucketLocation, Amazon S3 API Reference).
_LOCATIONS = {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}
#: Where SimulatePrincipalPolicy does not look ("Testing IAM policies with the IAM policy simulator").
_BEYOND = "as far as identity policies tell: service control policies may still deny"
LAMBDA = "lambda.amazonaws.com"
#: Seconds for the mail server to answer.
_CONNECTING = 5.0


@dataclass(frozen=True)
class Probes:
    """``session``: boto3's, of the runner. ``caller``: the runner's ARN."""

    session: Any
    caller: str
    backoff: Backoff
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def account(
        self,
        target: Target,
        needed: Needed | None,
        functions: Iterable[str] = (),
        take_users: Callable[[Iterator[IamUser]], object] | None = None,
    ) -> Iterator[Check]:
        """What the account itself tells.

        ``needed``: the permissions of the policies that run here; None if there are none. ``functions``: the roles of
        those that run as Lambda functions. The role that only deploys these reads no users. ``take_users``: gets all
        users of the account, if they can be read; None where one page is enough.
        """
        place = str(target)
        if not target.roles and not target.profile:
            yield Check(place, "role", HOLE, "it has no role", "give one in the accounts file: role: ARN")
            return
        try:
            iam = self.iam(target)
        except EvidenceUnreadable as error:
            key = "role" if target.roles else "profile"
            yield Check(place, "role", HOLE, str(error), f"correct {key} or account_id in the accounts file")
            return
        except _ERRORS as error:
            yield Check(place, "role", HOLE, str(error), self._to_be_assumed(target))
            return
        yield Check(place, "role", OK, target.roles[-1] if target.roles else f"profile {target.profile}")
        roles = dict.fromkeys(filled(functions, target))
        if needed is not None or not roles:
            yield self._read(place, iam, take_users)
            yield self._report(place, iam)
        if needed is not None:
            yield self._permissions(target, iam, needed)
        for role in roles:
            yield self._function_role(target, iam, role)

    def _to_be_assumed(self, target: Target) -> str:
        if not target.roles:
            return f"correct profile {target.profile} in the AWS configuration of the runner"
        external = f" with the external id {target.external_id!r}" if target.external_id else ""
        return (
            f"create {target.roles[-1]} if it is missing, let its trust policy allow sts:AssumeRole to {self.caller}"
            f"{external}, and let that identity call sts:AssumeRole on it"
        )

    def iam(self, target: Target) -> Any:
        """A client of iam in the account, by the chain of roles as c7n-org assumes them.

        Raises EvidenceUnreadable if the last role, or the profile, acts in another account; ClientError, BotoCoreError.
        """
        region, keys = target.region, dict[str, str]()
        if target.role_fault:
            raise EvidenceUnreadable(target.role_fault)
        if not target.roles:
            session = boto3.Session(profile_name=target.profile, region_name=region)
            acting = account_of(session)
            if acting != target.account_id:
                raise EvidenceUnreadable(f"profile {target.profile} acts in account {acting}")
            return session.client("iam", config=SINGLE_TRY)
        for role in target.roles:
            call = self._client("sts", region, **keys).assume_role
            found = self.backoff.call(
                call, RoleArn=role, RoleSessionName=_SESSION_NAME, **external(target.external_id)
            )
            credentials = found["Credentials"]
            keys = {
                "aws_access_key_id": credentials["AccessKeyId"],
                "aws_secret_access_key": credentials["SecretAccessKey"],
                "aws_session_token": credentials["SessionToken"],
            }
        return self._client("iam", region, **keys)

    def _client(self, service: str, region: str | None, **keys: str) -> Any:
        # A session makes clients for one thread at a time.
        with self._lock:
            return self.session.client(service, region_name=region, config=SINGLE_TRY, **keys)

    def _read(
        self, place: str, iam: Any, take_users: Callable[[Iterator[IamUser]], object] | None = None
    ) -> Check:
        action = "iam:GetAccountAuthorizationDetails"
        try:
            if take_users:
                details = items(
                    iam, action.partition(":")[2], "UserDetailList", self.backoff, Filter=["User"]
                )
                take_users(IamUser(each, detail_attachments(each)) for each in details)
            else:
                self.backoff.call(iam.get_account_authorization_details, MaxItems=1)
        except _ERRORS as error:
            return Check(place, "read", HOLE, str(error), f"allow {action} to the role, also in SCPs")
        return Check(place, "read", OK, action)

    def _report(self, place: str, iam: Any) -> Check:
        try:
            try:
                self.backoff.call(iam.get_credential_report)
            except ClientError as error:
                if error_code(error) in _NO_REPORT:
                    self.backoff.call(iam.generate_credential_report)
                elif error_code(error) != "ReportInProgress":
                    raise
        except _ERRORS as error:
            remedy = (
                "allow iam:GetCredentialReport and iam:GenerateCredentialReport to the role, also in SCPs"
            )
            return Check(place, "credential report", HOLE, str(error), remedy)
        return Check(place, "credential report", OK, "iam:GetCredentialReport")

    def _permissions(self, target: Target, iam: Any, needed: Needed) -> Check:
        place, name = str(target), "permissions"
        if not target.roles:
            return Check(
                place, name, UNKNOWN, "not checked: a profile does not say which role's policies count"
            )
        denied: list[str] = []
        asked = simulations(needed, target)
        try:
            for each in asked:
                found = items(iam, "SimulatePrincipalPolicy", "EvaluationResults", self.backoff, **each)
                denied += [row["EvalActionName"] for row in found if row["EvalDecision"] != "allowed"]
        except _ERRORS as error:
            told = "the role may not call it" if error_code(error) in _DENIED else str(error)
            return Check(place, name, UNKNOWN, f"not checked by iam:SimulatePrincipalPolicy: {told}")
        if denied:
            remedy = (
                "give the role what `c7n-iamusers permissions --policy FILE` prints, or look at its boundary"
            )
            if changes_users(denied):
                remedy = (
                    "if this role only reads, run the policy with the accounts file of the role that changes users "
                    f"(accounts-remove.yml); else {remedy}"
                )
            return Check(
                place, name, HOLE, f"not allowed: {', '.join(sorted(set(denied)))} ({_BEYOND})", remedy
            )
        number = sum(len(each["ActionNames"]) for each in asked)
        return Check(place, name, OK, f"{number} actions are allowed, {_BEYOND}")

    def _function_role(self, target: Target, iam: Any, role: str) -> Check:
        """Whether Lambda can assume ``role``, a name after its path or an ARN, in the account."""
        place, name = str(target), "function role"
        arn = (
            role
            if role.startswith("arn:")
            else f"arn:{target.partition}:iam::{target.account_id}:role/{role}"
        )
        if arn.split(":")[4] != target.account_id:
            told = f"{arn} is in another account, and a function has a role of its own account"
            return Check(place, name, HOLE, told, "name a role of the account as mode.role")
        printed = "`c7n-iamusers roles --role function --policy FILE` prints it"
        try:
            found = self.backoff.call(iam.get_role, RoleName=arn.rpartition("/")[2])["Role"]
            if found["Arn"] != arn:
                told = f"{arn} does not exist, and the role of this name is {found['Arn']}"
                return Check(place, name, HOLE, told, "name its path too, as mode.role: PATH/NAME")
            trusted = is_trusted(LAMBDA, found["AssumeRolePolicyDocument"])
        except ClientError as error:
            if error_code(error) == "NoSuchEntity":
                return Check(place, name, HOLE, f"{arn} does not exist", f"create it: {printed}")
            allow = f"allow iam:GetRole on it to {target.roles[-1] if target.roles else 'the role of its profile'}"
            remedy = f"{allow}, as `c7n-iamusers roles --setup` does for the deployer, or look in the account"
            return Check(place, name, UNKNOWN, f"{arn}: not checked: {error}", remedy)
        except (BotoCoreError, ValueError) as error:
            return Check(place, name, UNKNOWN, f"{arn}: not checked: {error}", "look in the account")
        if not trusted:
            remedy = f"let its trust policy allow sts:AssumeRole to {LAMBDA}: {printed}"
            return Check(place, name, HOLE, f"{arn} can't be assumed by {LAMBDA}", remedy)
        return Check(place, name, OK, arn)

    def queue(self, queue: str) -> Check:
        """Whether the queue that notices go to is there, and keeps messages long enough for two readings of it."""
        place, name = ORGANIZATION, "queue"
        remedy = (
            f"create the queue or correct {queue!r} (variable queue_url), and allow {ATTRIBUTES} and "
            f"sqs:SendMessage to {self.caller}"
        )
        if not queue.startswith(("arn:", "https://")):
            told = f"{queue}: it is no URL, so Cloud Custodian looks for it in each member account"
            return Check(place, name, HOLE, told, remedy)
        url = queue_url(queue, "", "")
        try:
            client = self._client("sqs", queue_region(url))
            self.backoff.call(client.get_queue_attributes, QueueUrl=url, AttributeNames=["QueueArn"])
        except _ERRORS as error:
            return Check(place, name, HOLE, f"{queue}: {error}", remedy)
        if url.endswith(FIFO):
            told = f"{queue} is a FIFO queue, to which Cloud Custodian can't send"
            return Check(place, name, HOLE, told, "name a standard queue as queue_url")
        found = self._read_queue(url).reading
        if denied := [each for each in found.unread if each.permission == ATTRIBUTES]:
            told = f"{queue}: no announcement counts, since {', '.join(map(str, denied))} was refused"
            remedy = f"allow {ATTRIBUTES} on the queue and on its dead-letter queue to {self.caller}"
            return Check(place, name, HOLE, told, remedy)
        if found.retention is not None and found.retention < _RETENTION:
            told = (
                f"{queue} keeps messages for {found.retention}: a policy that runs daily can't find out twice within "
                "that time whether a message left it, so no announcement counts"
            )
            return Check(place, name, HOLE, told, "set MessageRetentionPeriod to four days or more")
        return Check(place, name, OK, queue)

    def _read_queue(self, url: str) -> QueueState:
        return read_queue(self._client, url, datetime.now(timezone.utc))

    def mailer_rights(self, config: Mapping[str, Any], role: str, file: Path) -> Check:
        """Whether c7n-mailer may do what its ``config`` needs. ``file``: where that stands.

        ``role``: the ARN of its role; empty where it acts as ``profile`` of the configuration, or as the runner.
        Raises InvalidPolicyData.
        """
        place, name = ORGANIZATION, "mailer permissions"
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

    def mailer(self, file: Path, queues: Sequence[str]) -> Iterator[Check]:
        """Whether c7n-mailer reads one of ``queues``, and its mail server answers. ``file``: its configuration."""
        place, name = ORGANIZATION, "mailer"
        try:
            queue, region, server, port = parsed_file(file, _mailer_settings)
        except ValueError as error:
            told = f"{file}: can't be read as c7n-mailer's configuration: {error}"
            yield Check(
                place, name, HOLE, told, "give queue_url, from_address, and smtp_server or ses_region"
            )
            return
        if queues and queue not in queues:
            told = f"{file} reads {queue}, and mails go to {', '.join(queues)}"
            yield Check(place, name, HOLE, told, "give one queue as queue_url there and in the accounts file")
        if queue.startswith("https://sqs.") and queue_region(queue) != region:
            told = f"{file} reads {queue} in {region}, where it is not"
            yield Check(place, name, HOLE, told, f"give region: {queue_region(queue)} there")
        if not server:
            yield Check(place, name, UNKNOWN, f"{file}: not checked: no smtp_server, so mails go through SES")
            return
        try:
            socket.create_connection((server, port), timeout=_CONNECTING).close()
        except OSError as error:
            remedy = f"correct smtp_server and smtp_port in {file}, or start the mail server"
            yield Check(place, name, HOLE, f"{server}:{port} does not answer: {error}", remedy)
            return
        yield Check(place, name, OK, f"{server}:{port}")

    def notices(self, notices: str) -> Check:
        """Whether a notice can be recorded there: a probe is created where none is, and deleted; and the STOP file."""
        place, name, probe = ORGANIZATION, "notices", f".preflight-{uuid4().hex}"
        try:
            stops = stops_in(self._store(notices))
            store = self._store(notices, existing=True)
            store.create(probe, b"c7n-iamusers preflight\n")
        except (OSError, *_ERRORS) as error:
            rights = (
                "s3:PutObject, s3:GetObject and s3:ListBucket there"
                if notices.startswith("s3:")
                else "writing"
            )
            remedy = f"create {notices} (variable notices), and allow {rights} to {self.caller}"
            return Check(place, name, HOLE, f"{notices} can't be read and written: {error}", remedy)
        try:
            store.remove(probe)
        except OSError as error:
            told = f"{notices} can be written; the probe {store.place(probe)} could not be deleted: {error}"
            return Check(place, name, UNKNOWN, told, "delete it by hand; it is no notice and does no harm")
        if stops:
            told = f"{notices} has a file {stops[0]}, which stops quarantine and deletion in all accounts"
            return Check(place, name, HOLE, told, f"remove {stops[0]} there when they may run")
        return Check(place, name, OK, notices)

    def in_queue(self, queue: str) -> Iterator[Check]:
        """Whether messages leave a queue in time. Nothing where it can't be read, which ``queue`` tells."""
        url = queue_url(queue, "", "")
        try:
            client = self._client("sqs", queue_region(url))
            found = self.backoff.call(
                client.get_queue_attributes, QueueUrl=url, AttributeNames=[*QUEUE_ATTRIBUTES]
            )["Attributes"]
        except (*_ERRORS, ValueError):
            return
        yield from queue_doubts(queue, found)

    def bucket(self, url: str) -> Check:
        """Whether the bucket of ``url``, an output of Cloud Custodian, is there and in the Region of the runner."""
        place, name = ORGANIZATION, "bucket"
        parsed = urlparse(url)
        try:
            client = self._client("s3", dict(parse_qsl(parsed.query)).get("region"))
            found = self.backoff.call(client.get_bucket_location, Bucket=parsed.netloc)["LocationConstraint"]
        except _ERRORS as error:
            if error_code(error) == "NoSuchBucket":
                return Check(place, name, HOLE, f"{url}: {error}", f"create the bucket {parsed.netloc}")
            told = f"{url}: whether it is in the runner's Region is not checked: {error}"
            return Check(place, name, UNKNOWN, told, f"allow s3:GetBucketLocation on it to {self.caller}")
        region = _LOCATIONS.get(found, found)
        return bucket_doubt(url, region, client.meta.region_name) or Check(
            place, name, OK, f"{url} in {region}"
        )

    def _store(self, notices: str, existing: bool = False) -> Store:
        """``existing``: the directory or, where it is not there yet, the nearest one in which it will be made."""
        if notices.startswith("s3://"):
            return bucket_output(notices, self.session)
        path = Path(notices).absolute()
        there = next(each for each in (path, *path.parents) if each.exists())
        return DirectoryStore(there if existing else path)


def _mailer_settings(content: bytes) -> tuple[str, str, str | None, int]:
    """The queue, its Region, the mail server and its port of c7n-mailer's configuration."""
    config = read_yaml(content)
    return (
        str(config["queue_url"]),
        str(config.get("region", MAILER_REGION)),
        config.get("smtp_server"),
        int(config.get("smtp_port", 25)),
    )
