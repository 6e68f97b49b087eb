# SPDX-License-Identifier: Apache-2.0
"""Reads the policies of an account's resources as Cloud Custodian's filter ``cross-account`` reads them.

The filter judges; only what it reads is taken: its checker notes the policies instead. Some filters pass over what is
denied. So each failed call is seen where the SDK makes it, and a service with one is unread, unless AWS said that there
is no such policy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import boto3
import botocore.session
from botocore.exceptions import BotoCoreError, ClientError
from c7n.executor import MainThreadExecutor
from c7n.utils import local_session

from c7n_iamusers.evidence.event_history import enabled_regions
from c7n_iamusers.evidence.index import Inventory
from c7n_iamusers.evidence.model import Source
from c7n_iamusers.evidence.reader import Piece
from c7n_iamusers.evidence.selection import BlastRadius
from c7n_iamusers.execution.retries import BUSY_CODES, Backoff, error_code
from c7n_iamusers.plugins.resources import AccountReadings
from c7n_iamusers.resource_policies.reading import AccessEntry, Reading, ResourcePolicy, Unread, parsed
from c7n_iamusers.resource_policies.sources import (
    EKS,
    FIRST,
    RESOURCE_POLICIES,
    PolicySource,
    sources_of,
)

#: Regions that are read at once.
_AT_ONCE = 8
#: Parts of the codes by which services say that there is no policy, or no such resource any more.
_NOTHING = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist")
#: What services return in place of a policy.
_NO_POLICY: Sequence[Any] = (None, "", "{}", {})
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
        from c7n.config import Config

        return cls(session, Config.empty(account_id=account_id, region=region))

    def in_region(self, region: str) -> Any:
        """A new session there."""
        profile, given = self.session.profile_name, self.session._session
        core = botocore.session.Session(profile=None if profile == "default" else profile)
        core.set_default_client_config(given.get_default_client_config())
        for name in ("user_agent_name", "user_agent_version", "user_agent_extra"):
            setattr(core, name, getattr(given, name))
        # boto3 has no public way to take over credentials that refresh themselves
        core._credentials = self.session.get_credentials()  # type: ignore[attr-defined]
        return boto3.Session(botocore_session=core, region_name=region)

    def read(self, services: Collection[str], regions: Sequence[str]) -> Reading:
        """The policies of ``services`` in ``regions``, read now. It raises nothing: see ``Reading.unread``."""
        from c7n.resources import load_resources  # each resource, only where it is read

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
                    lambda each: _Region(self, *each).read(EKS in services and each[0] in regions),
                    asked.items(),
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


def with_policies(
    manager: Any, inventory: Inventory, asked: BlastRadius, backoff: Backoff, clock: Callable[[], datetime]
) -> Inventory:
    """``inventory`` with the policies of resources that are ``asked`` for, if any, in the account of ``manager``.

    They are read once a run, and once for all policies that c7n runs in the account with its cache.
    """
    if not asked.services:
        return inventory
    name = ":".join((RESOURCE_POLICIES, *sorted(asked.services), *sorted(asked.regions)))
    piece = AccountReadings.of(manager).kept(name, lambda: _piece(manager, asked, backoff, clock()))
    sources = {**inventory.sources, RESOURCE_POLICIES: piece.source}
    return replace(inventory, resource_policies=piece.value, sources=sources)


def _piece(manager: Any, asked: BlastRadius, backoff: Backoff, began: datetime) -> Piece:
    session = manager.session_factory(region=manager.config.region)
    reading = read_everywhere(PolicyReader(session, manager.config), asked, backoff)
    where = f"{', '.join(reading.services)} in {', '.join(reading.regions)}"
    return Piece(reading, Source(where, began, reading.problem))


def read_everywhere(reader: PolicyReader, asked: BlastRadius, backoff: Backoff) -> Reading:
    """What is ``asked`` for, in all Regions that are enabled in the account unless it names some.

    Where these can't be listed, it is told as unread, and only the Region of c7n's configuration is read.
    """
    here, unread = str(reader.config.region), tuple[Unread, ...]()
    regions = asked.regions
    try:
        regions = regions or enabled_regions(reader.in_region(here).client("ec2"), backoff)
    except (ClientError, BotoCoreError) as error:
        why = f"which Regions are enabled: {error}: allow ec2:DescribeRegions, or name the Regions"
        regions, unread = (here,), (Unread("ec2", "", why),)
    reading = reader.read(asked.services, regions)
    return replace(reading, unread=(*unread, *reading.unread))


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
        from c7n.policy import Policy

        config = self.reader.config.copy(
            region=self.region, cache=None, cache_period=0, output_dir="", metrics_enabled=None, tracer=None
        )
        data: dict[str, Any] = {"name": "c7n-iamusers-policies", "resource": f"aws.{row.resource}"}
        if row.resource == "s3":
            data["query"] = [{"augment-keys": ["Policy"]}]  # or c7n reads ten properties of each bucket
        factory = _Factory(self._factory, self.region)
        manager = Policy(data, config, factory).resource_manager
        if row.service == "sqs":  # c7n has the endpoint of one partition in it
            manager.get_client = lambda: local_session(factory).client(row.service)
        return manager

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
        for number, text in enumerate((each for each in checker.noted if each not in _NO_POLICY), 1):
            name = f"policy {number}" if len(checker.noted) > 1 else ""  # an identity of SES has several
            try:
                self.policies.append(ResourcePolicy(row.service, arn, region, parsed(text), name))
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
    """Whether the service has an endpoint in the Region, as far as the SDK knows.

    A Region that the SDK does not know at all, because it is new and the account has enabled it, is asked.
    """
    partition = session.get_partition_for_region(region)
    known = session.get_available_regions(row.service, partition)
    return not known or region in known or region not in session.get_available_regions("ec2", partition)


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
