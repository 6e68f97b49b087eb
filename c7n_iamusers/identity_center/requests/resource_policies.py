# SPDX-License-Identifier: Apache-2.0
"""Reads policies of resources from the ``resources.json`` files in the output of Cloud Custodian's policies.

Each file has ``metadata.json`` beside it, with the account and the time of the run. A resource has its policy under one
of ``_POLICIES``, by the resource's source or by a filter such as ``cross-account`` or ``has-statement``. A failed run
leaves its metadata and an earlier run's resources, or none. A policy that Cloud Custodian was denied is left out. So
resources without an answer are distinguished from those without a policy, and count as unread. So does each type of
resources, in each Region of any account's runs, that no run lists whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.given import read_given
from c7n_iamusers.execution.stores import below
from c7n_iamusers.identity_center.requests.others import ResourcePolicies
from c7n_iamusers.policy_comparison.other_policies import RESOURCE, OtherPolicy, parse_other_policy
from c7n_iamusers.text.documents import read_json, unpacked

_FILE, _METADATA = "resources.json", "metadata.json"
#: The keys of a resource's ARN and policy, by Cloud Custodian's resources and filters.
_ARNS = (
    "c7n:arn",
    "Arn",
    "ARN",
    "TopicArn",
    "QueueArn",
    "FunctionArn",
    "FileSystemArn",
    "KeyArn",
    "repositoryArn",
    "VaultARN",
)
_POLICIES = ("Policy", "c7n:Policy", "c7n:AccessPolicy", "AccessPolicies", "ResourcePolicy")
_BUCKET, _QUEUE = "s3", "sqs"
#: Resource types for which a missing key means no policy, because a run that can't read the policy fails. For all
#: others Cloud Custodian passes over a denied read. Policies of repositories are read only for a filter.
_NONE_WITHOUT_KEY, _BY_FILTER = frozenset({_QUEUE, "sns", "ecr"}), frozenset({"ecr"})
_KNOWN = frozenset({*_NONE_WITHOUT_KEY, _BUCKET, "kms-key", "lambda", "secrets-manager", "efs"})
#: The call with which Cloud Custodian reads a queue. It leaves out queues if that is denied.
_READ_QUEUE = "sqs.GetQueueAttributes"
#: What a policy that lists all resources may contain. A query, a mode or conditions, for example, can leave some out.
_KEYS = frozenset(
    {"actions", "comment", "comments", "description", "filters", "metadata", "name", "resource", "tags"}
)
#: The only filter that is true of every resource, and makes the policies be read.
_ALL = {"or": ["cross-account", {"not": ["cross-account"]}]}
_COUNT, _FAILED = "ResourceCount", "PolicyException"


def read_resource_policies(
    places: Iterable[Path], max_age: timedelta, now: datetime, partition: str = "aws"
) -> ResourcePolicies:
    """The policies in the runs of ``places``: directories, with all below them, or files.

    Raises IdentityCenterError if a file can't be read, is of an unknown account, or is older than ``max_age``; if there
    is none; and if resources of a file have a policy and no ARN.
    """
    found: list[OtherPolicy] = []
    listed_in, unread = defaultdict[str, set[_Kind]](set), defaultdict[str, list[str]](list)
    kinds = set[_Kind]()
    listed = list(places)
    try:
        directories = sorted({each for place in listed for each in _directories(place)})
    except OSError as error:
        raise _unusable(", ".join(map(str, listed)), f"can't be read whole: {error}") from error
    for directory in directories:
        run = _Run(directory)
        if not run.is_of_policies:
            continue
        run.check_age(max_age, now)
        kinds.add(run.kind)
        listed_in[run.account_id] |= {run.kind} if run.lists_all else set()
        found += [policy for policy in run.policies(partition) if policy.distinguishes]
        unread[run.account_id] += run.unread(partition)
    if not kinds:
        raise _unusable(", ".join(map(str, listed)), f"there is no {_FILE} of resources with policies there")
    for account_id, there in listed_in.items():
        unread[account_id] += (
            f"no run of aws.{name}{f' in {region}' if region else ''} that lists all"
            for name, region in sorted(kinds - there)
        )
    return ResourcePolicies(
        tuple(found),
        frozenset(listed_in),
        ", ".join(map(str, listed)),
        tuple(sorted({f"aws.{name}" for name, _ in kinds})),
        tuple(sorted({region for _, region in kinds} - {""})),
        {account_id: tuple(each) for account_id, each in unread.items() if each},
    )


def _directories(place: Path) -> set[Path]:
    """The directories of runs."""
    if not place.is_dir():
        return {place.parent}
    names = (name for each in (_FILE, _METADATA) for name in (each, f"{each}.gz"))
    return {each.parent for each in below(place, *names)}


def _unusable(place: object, why: str) -> IdentityCenterError:
    return IdentityCenterError(
        f"--resource-policies {place}: {why}: give the output of policies that list resources with their policies, as "
        "docs/identity-center.md shows, run again for each account"
    )


#: A type of resources, and a Region; empty for buckets, all of which a run in any Region lists.
_Kind = tuple[str, str]


class _Run:
    """A run's metadata and resources, in ``directory``. Raises IdentityCenterError."""

    def __init__(self, directory: Path) -> None:
        self._file, metadata = _present(directory / _FILE), _present(directory / _METADATA)
        self._metadata = self._read(metadata)
        try:
            self.account_id = str(self._metadata["config"]["account_id"])
            policy = self._metadata["policy"]
            self.type = str(policy["resource"]).removeprefix("aws.")
            region = str(self._metadata["config"]["region"])
            self.kind: _Kind = self.type, "" if self.type == _BUCKET else region
            filters = policy.get("filters") or ()
            self.lists_all = policy.keys() <= _KEYS and all(each == _ALL for each in filters)
            self._none_without_key = self.type in _NONE_WITHOUT_KEY and (
                self.type not in _BY_FILTER or _ALL in filters
            )
            self._time = datetime.fromtimestamp(float(self._metadata["execution"]["start"]), timezone.utc)
            self._metrics = {each["MetricName"]: each["Value"] for each in self._metadata.get("metrics", ())}
            self._calls = int(self._metadata.get("api-stats", {}).get(_READ_QUEUE, 0))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise _unusable(
                metadata, f"its account, Region, resource or time is missing or invalid ({error!r})"
            ) from error

    @property
    def is_of_policies(self) -> bool:
        """Whether the run lists resources that can have policies."""
        return self.type in _KNOWN or any(map(_policy, self._resources))

    def check_age(self, max_age: timedelta, now: datetime) -> None:
        """Raises IdentityCenterError if the run is older than ``max_age``."""
        if now - self._time > max_age:
            raise _unusable(
                self._file, f"it is from {self._time:%Y-%m-%d %H:%M} UTC, and older than --max-age"
            )

    def policies(self, partition: str) -> Iterator[OtherPolicy]:
        """The policies that were read, even by a run that failed later."""
        for resource in self._resources:
            if policy := _policy(resource):
                arn = self._arn(resource, partition)
                if not arn:
                    raise _unusable(self._file, f"a resource of type {self.type} has a policy and no ARN")
                yield parse_other_policy(RESOURCE, arn, self.account_id, arn, policy)

    def unread(self, partition: str) -> Iterator[str]:
        """The resources that may have an unknown policy, in words."""
        count = self._metrics.get(_COUNT)
        if count is None or _FAILED in self._metrics:
            yield f"the run in {self._file.parent} failed"
        elif count != len(self._resources):
            yield f"{self._file} is not of the run in {_METADATA} beside it"
        if self.type == _QUEUE and self._calls != len(self._resources):
            yield (
                f"the run in {self._file.parent} asked for {self._calls} queues and has {len(self._resources)}: allow "
                "sqs:GetQueueAttributes to its role, and run it with --cache-period 0"
            )
        for resource in self._resources if not self._none_without_key else ():
            if not any(key in resource for key in _POLICIES):
                yield self._arn(resource, partition) or f"a resource of type aws.{self.type}"

    @cached_property
    def _resources(self) -> list[dict[str, Any]]:
        found = self._read(self._file) if self._file.exists() else []
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise _unusable(self._file, "it is not a list of resources")
        return found

    def _arn(self, resource: Mapping[str, Any], partition: str) -> str:
        """Empty if it is not known."""
        if self.type == _BUCKET and "Name" in resource:
            return f"arn:{partition}:s3:::{resource['Name']}"
        return next((str(resource[key]) for key in _ARNS if str(resource.get(key)).startswith("arn:")), "")

    def _read(self, file: Path) -> Any:
        try:
            return read_json(unpacked(read_given(file)))
        except (OSError, ValueError) as error:
            raise _unusable(file, f"it can't be read: {error}") from error


def _present(file: Path) -> Path:
    """The compressed file if only that exists."""
    packed = file.with_name(f"{file.name}.gz")
    return packed if packed.exists() and not file.exists() else file


def _policy(resource: Mapping[str, Any]) -> Any:
    return next((resource[key] for key in _POLICIES if resource.get(key)), None)
