# SPDX-License-Identifier: Apache-2.0
"""Service last accessed information, from the event history and the last use of access keys.

A job lists the services in the policies of a user, group, role or policy, and the used ones, as they are when it
begins. Denied calls count. It takes ``report_seconds``, like the credential report. There is no action level, and a use
shows at once, not hours later. Sources: the API reference of GenerateServiceLastAccessedDetails and
GetServiceLastAccessedDetails; "Refine permissions in AWS using last accessed information" (IAM User Guide).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow

from aws_local_org import cloudtrail, settings
from aws_local_org.errors import iam_error, no_such_entity
from aws_local_org.iam.base import Backend, Response
from aws_local_org.iam.policies import default_document
from aws_local_org.iam.results import PlainResult
from aws_local_org.iam.simulation import own_documents

#: Namespace -> name of the services that a wildcard stands for: those that the organization serves.
SERVICES = {
    "account": "AWS Account Management",
    "cloudtrail": "AWS CloudTrail",
    "cloudwatch": "Amazon CloudWatch",
    "config": "AWS Config",
    "events": "Amazon EventBridge",
    "iam": "AWS Identity and Access Management",
    "identitystore": "AWS Identity Store",
    "lambda": "AWS Lambda",
    "organizations": "AWS Organizations",
    "s3": "Amazon S3",
    "ses": "Amazon SES",
    "sns": "Amazon SNS",
    "sqs": "Amazon SQS",
    "ssm": "AWS Systems Manager",
    "sso": "AWS IAM Identity Center",
    "sts": "AWS Security Token Service",
}
#: Event sources that don't begin with the namespace.
_NAMESPACES = {"monitoring": "cloudwatch"}


@dataclass(frozen=True)
class Use:
    """A service, used by a user or role. ``time``: naive UTC."""

    namespace: str
    entity: str
    time: datetime
    region: str


@dataclass(frozen=True)
class Job:
    """``requested``: by time.monotonic(). ``services``: as at that moment."""

    services: Sequence[dict[str, Any]]
    created: datetime
    requested: float

    @property
    def is_ready(self) -> bool:
        return time.monotonic() - self.requested >= settings.current().report_seconds


class LastAccessedBackend(Backend):
    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.access_jobs: dict[str, Job] = {}


class LastAccessedResponse(Response):
    def generate_service_last_accessed_details(self) -> ActionResult:
        if self.params.get("Granularity", "SERVICE_LEVEL") != "SERVICE_LEVEL":
            raise iam_error("InvalidInput", "The local organization knows the level of services only.")
        found, job = _services(self.backend, self.params["Arn"]), str(uuid.uuid4())
        self._jobs[job] = Job(found, utcnow(), time.monotonic())
        return PlainResult({"JobId": job})

    def get_service_last_accessed_details(self) -> ActionResult:
        job = self._jobs.get(self.params["JobId"])
        if job is None:
            raise no_such_entity(f"Job {self.params['JobId']} cannot be found.")
        head = {"JobType": "SERVICE_LEVEL", "JobCreationDate": job.created, "JobCompletionDate": utcnow()}
        if not job.is_ready:
            return PlainResult({**head, "JobStatus": "IN_PROGRESS", "ServicesLastAccessed": []})
        return PlainResult(
            {**head, "JobStatus": "COMPLETED", "ServicesLastAccessed": job.services, "IsTruncated": False}
        )

    @property
    def _jobs(self) -> dict[str, Job]:
        backend: Any = self.backend
        jobs: dict[str, Job] = backend.access_jobs
        return jobs


def _services(backend: Any, arn: str) -> list[dict[str, Any]]:
    """What a job about ``arn`` lists. Raises NoSuchEntity."""
    documents, entities = _subject(backend, arn)
    uses: dict[str, dict[str, Use]] = {}
    for use in sorted(
        (use for entity in entities for use in _uses(backend, entity)), key=lambda use: use.time
    ):
        uses.setdefault(use.namespace, {})[use.entity] = use
    named = {namespace for document in documents for namespace in _namespaces(document)}
    return [_service(namespace, uses.get(namespace, {})) for namespace in sorted({*named, *uses})]


def _service(namespace: str, uses: dict[str, Use]) -> dict[str, Any]:
    last = max(uses.values(), key=lambda use: use.time, default=None)
    return {
        "ServiceName": SERVICES.get(namespace, namespace),
        "ServiceNamespace": namespace,
        "LastAuthenticated": last.time if last else None,
        "LastAuthenticatedEntity": last.entity if last else None,
        "LastAuthenticatedRegion": last.region if last else None,
        "TotalAuthenticatedEntities": len(uses),
    }


def _subject(backend: Any, arn: str) -> tuple[list[str], list[Any]]:
    """The documents of the policies of ``arn``, and the users and roles whose use counts."""
    holders = [*backend.users.values(), *backend.groups.values(), *backend.roles.values()]
    if policy := backend.managed_policies.get(arn):
        found = [holder for holder in holders if arn in holder.managed_policies]
        return [default_document(policy)], _members(found)
    entity = next((holder for holder in holders if holder.arn == arn), None)
    if entity is None:
        raise no_such_entity(f"ARN {arn} not found")
    return own_documents(entity), _members([entity])


def _members(holders: Sequence[Any]) -> list[Any]:
    """Users and roles, each once; groups are replaced by their users."""
    found = [member for holder in holders for member in getattr(holder, "users", [holder])]
    return list({each.arn: each for each in found}.values())


def _namespaces(document: str) -> Iterator[str]:
    """The services that the Allows of a policy name."""
    statements = json.loads(document)["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        actions = statement.get("Action", "*")  # NotAction allows what it does not name
        for action in (actions if isinstance(actions, list) else [actions]) * (
            statement["Effect"] == "Allow"
        ):
            prefix = action.partition(":")[0].lower()
            wild = [service for service in SERVICES if fnmatchcase(service, prefix)]
            yield from wild or [prefix]


def _uses(backend: Any, entity: Any) -> Iterator[Use]:
    """The uses by a user or role: one for each of its access keys and each event."""
    for key in getattr(entity, "access_keys", ()):
        if used := key.last_used:
            yield Use(used.service, entity.arn, used.timestamp, used.region)
    for event in cloudtrail.HISTORY.everywhere(backend.account_id):
        identity = event.detail().get("userIdentity") or {}
        issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
        if entity.arn in (identity.get("arn"), issuer.get("arn")):
            source = event.source.partition(".")[0]
            at = event.time.astimezone(timezone.utc).replace(tzinfo=None)
            yield Use(_NAMESPACES.get(source, source), entity.arn, at, event.region)
