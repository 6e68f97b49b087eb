# SPDX-License-Identifier: Apache-2.0
"""Asks AWS whether all is ready for a run. It changes nothing but a probe object, which it deletes again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlparse
from uuid import uuid4

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.exceptions import EvidenceUnreadable, NoticesUnreadable
from c7n_iamusers.execution.bucket_store import bucket_output
from c7n_iamusers.execution.callers import account_of
from c7n_iamusers.execution.executor import SINGLE_TRY
from c7n_iamusers.execution.paging import items
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.execution.sessions import external
from c7n_iamusers.execution.stores import DirectoryStore, Store
from c7n_iamusers.iam.accounts import detail_attachments, read_account
from c7n_iamusers.iam.permissions import Needed, changes_users
from c7n_iamusers.iam.trust_principals import is_trusted
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.notices.held import COMMAND
from c7n_iamusers.notices.notices import Notices
from c7n_iamusers.notices.queue_counts import queue_url
from c7n_iamusers.notices.stop import stops_in
from c7n_iamusers.organization.function_checks import FunctionProbes, missing_statements
from c7n_iamusers.organization.likely_mistakes import mfa_conditions
from c7n_iamusers.organization.readiness import (
    ATTENTION,
    HOLE,
    OK,
    ORGANIZATION,
    UNKNOWN,
    Check,
    Target,
    filled,
    parts_of,
    simulations,
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
        check_functions: Callable[[FunctionProbes], Iterator[Check]] | None = None,
    ) -> Iterator[Check]:
        """What the account itself tells.

        ``needed``: the permissions of the policies that run here; None if there are none. ``functions``: the roles of
        Lambda functions. A role that only deploys these reads no users. ``take_users``: gets all users of the account,
        if they can be read; None if one page is enough. ``check_functions``: checks what functions need.
        """
        place = str(target)
        if not target.roles and not target.profile:
            yield Check(place, "role", HOLE, "it has no role", "give one in the accounts file: role: ARN")
            return
        try:
            clients = self.clients(target)
            iam = clients("iam")
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
        if roles and check_functions:
            yield from check_functions(FunctionProbes(target, clients, self.backoff))

    def _to_be_assumed(self, target: Target) -> str:
        if not target.roles:
            return f"correct profile {target.profile} in the AWS configuration of the runner"
        external = f" with the external id {target.external_id!r}" if target.external_id else ""
        return (
            f"create {target.roles[-1]} if it is missing, let its trust policy allow sts:AssumeRole to {self.caller}"
            f"{external}, and let that identity call sts:AssumeRole on it"
        )

    def users_with_mfa_conditions(self, target: Target) -> list[str]:
        """Their names; none where the account can't be read, which ``account`` reports."""
        try:
            found = read_account(self.iam(target), self.backoff, "User", "Group", "LocalManagedPolicy")
        except (EvidenceUnreadable, *_ERRORS):
            return []
        return mfa_conditions(found)

    def iam(self, target: Target) -> Any:
        """A client of iam in the account: see ``clients``."""
        return self.clients(target)("iam")

    def clients(self, target: Target) -> Callable[..., Any]:
        """Makes clients of services in the account, by the chain of roles as c7n-org assumes them.

        It takes the service, and if need be other options of boto3's ``client``, such as ``region_name``.
        Raises EvidenceUnreadable if the last role, or the profile, acts in another account; ClientError, BotoCoreError.
        """
        region = target.region
        if not target.roles:
            make: Any = self.session_in(target).client
            return lambda service, **options: make(service, **{"config": SINGLE_TRY, **options})
        keys = self._keys(target)
        return lambda service, **options: self._client(service, region, **keys, **options)

    def session_in(self, target: Target) -> boto3.Session:
        """A session in the account. Raises as ``clients`` does."""
        region = target.region
        if target.role_fault:
            raise EvidenceUnreadable(target.role_fault)
        if target.roles:
            return boto3.Session(region_name=region, **self._keys(target))
        session = boto3.Session(profile_name=target.profile, region_name=region)
        acting = account_of(session)
        if acting != target.account_id:
            raise EvidenceUnreadable(f"profile {target.profile} acts in account {acting}")
        return session

    def _keys(self, target: Target) -> dict[str, Any]:
        """The credentials of the last of its roles, as arguments of a client."""
        region, keys = target.region, dict[str, Any]()
        if target.role_fault:
            raise EvidenceUnreadable(target.role_fault)
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
        return keys

    def _client(self, service: str, region: str | None, **options: Any) -> Any:
        # A session makes clients for one thread at a time.
        with self._lock:
            return self.session.client(service, **{"region_name": region, "config": SINGLE_TRY, **options})

    def _read(
        self, place: str, iam: Any, take_users: Callable[[Iterator[IamUser]], object] | None = None
    ) -> Check:
        action = "iam:GetAccountAuthorizationDetails"
        try:
            if take_users:
                details = items(
                    iam, action.partition(":")[2], "UserDetailList", self.backoff, Filter=["User"]
                )
                take_users(IamUser(detail, detail_attachments(detail)) for detail in details)
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
                    f"(accounts-remove.yml, and accounts-restore.yml to release or restore them); else {remedy}"
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

    def lets_in(self, wanted: Any) -> Check:
        """Whether a bucket or queue has the policy that the functions need. ``wanted``: a ResourcePolicy."""
        name, region = wanted.resource.rpartition(":")[2], wanted.resource.split(":")[3] or None
        printed = f"`c7n-iamusers roles --role {wanted.kind.partition('-policy')[0]}-policy` prints it"
        try:
            if wanted.resource.split(":")[2] == "s3":
                text = self.backoff.call(self._client("s3", None).get_bucket_policy, Bucket=name)["Policy"]
            else:
                url = queue_url(wanted.resource, "", "")
                ask = self._client("sqs", region).get_queue_attributes
                found = self.backoff.call(ask, QueueUrl=url, AttributeNames=["Policy"])
                text = found.get("Attributes", {}).get("Policy") or ""
        except _ERRORS as error:
            if error_code(error) == "NoSuchBucket":
                told = f"the bucket {name} does not exist"
                return Check(ORGANIZATION, "who may reach it", HOLE, told, f"create it; {printed}")
            if error_code(error) != "NoSuchBucketPolicy":
                remedy = f"allow s3:GetBucketPolicy and sqs:GetQueueAttributes on it to {self.caller}"
                return Check(
                    ORGANIZATION, "who may reach it", UNKNOWN, f"{name}: not checked: {error}", remedy
                )
            text = ""
        lacking = missing_statements(wanted.document, text)
        if lacking:
            told = f"the policy of {name} does not let in the functions: it lacks {', '.join(lacking)}"
            return Check(ORGANIZATION, "who may reach it", HOLE, told, f"put it on: {printed}")
        return Check(ORGANIZATION, "who may reach it", OK, f"{name} lets in the functions")

    def list_of_functions(self, place: str) -> Check:
        """Whether the list of exemptions that functions need is there. ``place``: s3:::BUCKET/KEY."""
        bucket, _, key = place.removeprefix("s3:::").partition("/")
        name, url = "list of exemptions", f"s3://{bucket}/{key}"
        if "*" in key:
            return Check(ORGANIZATION, name, UNKNOWN, f"{url}: not checked: it differs between accounts")
        try:
            self.backoff.call(self._client("s3", None).head_object, Bucket=bucket, Key=key)
        except _ERRORS as error:
            told = f"{url} is not there, or {self.caller} may not read it: {error}"
            return Check(ORGANIZATION, name, HOLE, told, f"aws s3 cp policies/exemptions.csv {url}")
        return Check(ORGANIZATION, name, OK, url)

    def notices(self, notices: str) -> Check:
        """Whether notices can be recorded there, by creating and deleting a probe; and whether a STOP file is there."""
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

    def held(self, found: Sequence[Target], policies: Iterable[Any], now: datetime) -> Iterator[Check]:
        """Whether a digest sends what policies with ``digest: true`` hold; nothing without such policies."""
        parts = [part for data in policies for part in parts_of(data) if part.get("digest") is True]
        missed, waiting = list[str](), 0
        for target in found if parts else ():
            for place in dict.fromkeys(filled([part.get("notices") for part in parts], target)):
                try:
                    notices = Notices.read(self._store(place), target.account_id, now, checked=False)
                except (NoticesUnreadable, *_ERRORS) as error:
                    remedy = f"correct the notices, or let {self.caller} read them"
                    yield Check(str(target), "digest", UNKNOWN, f"what is held is unknown: {error}", remedy)
                    continue
                waiting += len(notices.held(now))
                missed += [str(target)] if notices.never_told(now) else []
        if missed:
            told = f"{', '.join(missed)}: what was held for a digest was not sent within twelve hours"
            remedy = f"run {COMMAND} after the policies with digest: true: until then nobody is told"
            yield Check(ORGANIZATION, "digest", HOLE, told, remedy)
        elif parts:
            told = f"policies hold their messages for {COMMAND}; {waiting} are held now"
            yield Check(ORGANIZATION, "digest", OK, told)

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
        """``existing``: the directory or, until it exists, its nearest existing parent."""
        if notices.startswith("s3://"):
            return bucket_output(notices, self.session)
        path = Path(notices).absolute()
        there = next(each for each in (path, *path.parents) if each.exists())
        return DirectoryStore(there if existing else path)


def bucket_doubt(place: str, region: str, asked: str) -> Check | None:
    """Whether the bucket of ``place`` is in the Region that runs ask."""
    if region == asked:
        return None
    url, _, query = place.partition("?")
    kept = [each for each in query.split("&") if each and not each.startswith("region=")]
    told = f"{place}: the bucket is in {region}, and would be asked in {asked}"
    remedy = f"write {url}?{'&'.join([f'region={region}', *kept])}, or name a bucket in {asked}"
    return Check(ORGANIZATION, "bucket", ATTENTION, told, remedy)
