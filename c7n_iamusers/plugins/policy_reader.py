# SPDX-License-Identifier: Apache-2.0
"""Reads the policies of an account's resources as Cloud Custodian's filter ``cross-account`` reads them.

The filter judges; only what it reads is taken: its checker notes the policies instead. Some filters pass over what is
denied. So each failed call is seen where the SDK makes it, and a service with one is unread, unless AWS said that there
is no such policy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import boto3
import botocore.session
from botocore.exceptions import BotoCoreError, ClientError
from c7n.config import Config
from c7n.executor import MainThreadExecutor
from c7n.policy import Policy
from c7n.resources import load_resources

from c7n_iamusers.execution.retries import BUSY_CODES, error_code
from c7n_iamusers.resource_policies.reading import AccessEntry, Reading, ResourcePolicy, Unread, parsed
from c7n_iamusers.resource_policies.sources import EKS, FIRST, PolicySource, sources_of

#: Regions that are read at once.
_AT_ONCE = 8
#: Parts of the codes by which services say that there is no policy, or no such resource any more.
_NOTHING = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist")
#: What a filter of c7n raises where it takes a missing policy for one.
_MISTAKES = (AttributeError, KeyError, NameError, TypeError)


@dataclass
class _Calls:
    """What the SDK was answered. ``failed``: operation -> the codes of failures that are not "there is none"."""

    number: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    found_nothing: bool = False

    def attach(self, session: Any) -> Any:
        """Listen to each client that ``session`` makes."""
        session.events.register("after-call", self.answered)
        session.events.register("after-call-error", self.broken)
        return session

    def answered(self, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
        self.number += 1
        error = parsed.get("Error") or {}
        code = str(error.get("Code") or "")
        if not error:
            if self.failed.get(model.name) in BUSY_CODES:
                del self.failed[model.name]  # c7n tried again
        elif any(part in code for part in _NOTHING):
            self.found_nothing = True
        else:
            self.failed[model.name] = code

    def broken(self, exception: Exception, **_: Any) -> None:
        self.number += 1
        self.failed["connection"] = str(exception)

    def taken(self) -> dict[str, str]:
        """The failures since this was asked last."""
        failed, self.failed, self.found_nothing = self.failed, {}, False
        return failed


class _Noting:
    """In place of c7n's checker: it notes each policy, and finds nothing in it."""

    def __init__(self) -> None:
        self.noted: list[Any] = []

    def check(self, policy: Any) -> list[Any]:
        self.noted.append(policy)
        return []


@dataclass(frozen=True)
class PolicyReader:
    """``session``: boto3's, with credentials in an account. ``config``: c7n's, of that account.

    A session makes clients for one thread at a time. c7n keeps sessions by thread and Region, whatever the account. So
    each reading has threads of its own, and sessions with the same credentials.
    """

    session: Any
    config: Any

    @classmethod
    def of(cls, session: Any, account_id: str, region: str) -> PolicyReader:
        """Outside of a run of c7n."""
        return cls(session, Config.empty(account_id=account_id, region=region))

    def in_region(self, region: str) -> Any:
        """A new session there."""
        profile = self.session.profile_name
        core = botocore.session.Session(profile=None if profile == "default" else profile)
        # boto3 has no public way to take over credentials that refresh themselves
        core._credentials = self.session.get_credentials()
        return boto3.Session(botocore_session=core, region_name=region)

    def read(self, services: Collection[str], regions: Sequence[str]) -> Reading:
        """The policies of ``services`` in ``regions``, read now. It raises nothing: see ``Reading.unread``."""
        rows = sources_of(services)
        load_resources(tuple(f"aws.{row.resource}" for row in rows))
        first = regions[0] if regions else ""
        asked = {region: [row for row in rows if _is_read_in(row, region, first)] for region in regions}
        for row in rows:
            if row.only_in not in ("", FIRST) and row.only_in not in asked:
                asked[row.only_in] = [each for each in rows if each.only_in == row.only_in]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(
                pool.map(
                    lambda each: _Region(self, *each).read(EKS in services and each[0] in regions), asked.items()
                )
            )
        return Reading(
            tuple(sorted(services)),
            tuple(regions),
            tuple(policy for each in found for policy in each.policies),
            tuple(entry for each in found for entry in each.entries),
            tuple(problem for each in found for problem in each.unread),
            sum(each.calls.number for each in found),
        )


def _is_read_in(row: PolicySource, region: str, first: str) -> bool:
    return row.only_in in ("", region) or (row.only_in == FIRST and region == first)


@dataclass
class _Region:
    """One Region's part of a reading, by one thread."""

    reader: PolicyReader
    region: str
    rows: Sequence[PolicySource]
    policies: list[ResourcePolicy] = field(default_factory=list)
    entries: list[AccessEntry] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    calls: _Calls = field(default_factory=_Calls)

    def read(self, with_eks: bool) -> _Region:
        """Read all rows; the access entries of EKS too if they are asked for."""
        for row in self.rows:
            self._tried(row.service, partial(self._read, row))
        if with_eks:
            self._tried(EKS, self._read_entries)
        return self

    def _tried(self, service: str, read: Callable[[], None]) -> None:
        """Whatever a service answers, the others are read."""
        self.calls.taken()
        try:
            read()
        except (ClientError, BotoCoreError) as error:
            self._note(service, str(error))
            self.calls.taken()
        except Exception as error:  # noqa: BLE001
            self._note(service, f"its answer can't be read: {error!r}")
        for operation, code in self.calls.taken().items():
            self._note(service, f"{operation}: {code}")

    def _note(self, service: str, why: str, resource: str = "") -> None:
        self.unread.append(Unread(service, self.region, why, resource))

    def _factory(self, assume: bool = True, region: str | None = None) -> Any:
        return self.calls.attach(self.reader.in_region(region or self.region))

    def _manager(self, row: PolicySource) -> Any:
        config = self.reader.config.copy(
            region=self.region, cache=None, cache_period=0, output_dir="", metrics_enabled=None, tracer=None
        )
        data: dict[str, Any] = {"name": "c7n-iamusers-policies", "resource": f"aws.{row.resource}"}
        if row.resource == "s3":
            data["query"] = [{"augment-keys": ["Policy"]}]  # or c7n reads ten properties of each bucket
        factory = _Factory(self._factory, self.region)
        return Policy(data, config, factory).resource_manager

    def _read(self, row: PolicySource) -> None:
        if not _is_offered(self._factory(), row, self.region):
            return
        manager = self._manager(row)
        found = manager.resources()
        for operation, code in self.calls.taken().items():
            self._note(row.service, f"{operation}: {code}")
        for resource, arn in zip(found, manager.get_arns(found), strict=True):
            self._read_policy(row, manager, resource, arn or str(resource.get(manager.get_model().id)))

    def _read_policy(self, row: PolicySource, manager: Any, resource: dict[str, Any], arn: str) -> None:
        """The policies of one resource, as its filter reads them."""
        checker, its = _Noting(), manager.filter_registry.factory({"type": "cross-account"}, manager)
        its.checker_factory = lambda _: checker
        its.executor_factory = MainThreadExecutor
        try:
            its.process([resource])
        except _MISTAKES as error:
            if not self.calls.found_nothing:
                self._note(row.service, f"its policy can't be read: {error!r}", arn)
        except (ClientError, BotoCoreError) as error:
            if not self.calls.found_nothing:
                self._note(row.service, str(error), arn)
            self.calls.failed.clear()
        for operation, code in self.calls.taken().items():
            self._note(row.service, f"{operation}: {code}", arn)
        region = _region_of(resource, self.region)
        for text in filter(None, checker.noted):
            try:
                self.policies.append(ResourcePolicy(row.service, arn, region, parsed(text)))
            except ValueError as error:
                self._note(row.service, f"its policy is not a policy in JSON: {error}", arn)

    def _read_entries(self) -> None:
        """The access entries of each cluster: who may use it, by ARN."""
        client = self._factory().client(EKS, region_name=self.region)
        for name in _items(client, "list_clusters", "clusters"):
            try:
                for principal in _items(client, "list_access_entries", "accessEntries", clusterName=name):
                    cluster = _cluster_arn(principal, self.region, self.reader.config.account_id, name)
                    self.entries.append(AccessEntry(cluster, self.region, str(principal)))
            except ClientError as error:
                self.calls.taken()
                if error_code(error) != "ResourceNotFoundException":
                    self._note(EKS, f"{error}: its ConfigMap aws-auth may name users", str(name))


@dataclass
class _Factory:
    """c7n's session factory. ``region``: by which c7n keeps sessions."""

    make: Callable[..., Any]
    region: str

    def __call__(self, assume: bool = True, region: str | None = None) -> Any:
        return self.make(assume, region)


def _is_offered(session: Any, row: PolicySource, region: str) -> bool:
    """Whether the service has an endpoint in the Region, as far as the SDK knows."""
    from c7n.resources.aws import AWS

    service = AWS.resources.get(row.resource).resource_type.service
    known = session.get_available_regions(service, session.get_partition_for_region(region))
    return not known or region in known


def _region_of(resource: Mapping[str, Any], region: str) -> str:
    """Where it lies: buckets are listed from any Region, and one without a constraint lies in us-east-1."""
    if "Location" in resource and isinstance(resource["Location"], Mapping):
        return str(resource["Location"].get("LocationConstraint") or "us-east-1")
    return region


def _cluster_arn(principal: str, region: str, account_id: str, name: str) -> str:
    partition = principal.split(":")[1]
    return f"arn:{partition}:eks:{region}:{account_id}:cluster/{name}"


def _items(client: Any, operation: str, result: str, **parameters: Any) -> Iterator[Any]:
    for page in client.get_paginator(operation).paginate(**parameters):
        yield from page.get(result) or ()
