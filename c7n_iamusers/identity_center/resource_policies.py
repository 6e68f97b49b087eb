# SPDX-License-Identifier: Apache-2.0
"""Reads policies of resources from ``resources.json`` files, which policies of Cloud Custodian leave in their output.

Each file has ``metadata.json`` beside it, with the account and the time of the run. A resource has its policy under one
of ``_POLICIES``, by the resource's source or by a filter such as ``cross-account`` or ``has-statement``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.given import read_given
from c7n_iamusers.identity_center.others import ResourcePolicies
from c7n_iamusers.policy_comparison.other_policies import RESOURCE, OtherPolicy, parse_other_policy
from c7n_iamusers.text.documents import read_json, unpacked

_FILE, _METADATA = "resources.json", "metadata.json"
#: The keys of a resource that its ARN and its policy are under, by Cloud Custodian's resources and filters.
_ARNS = (
    "c7n:arn",
    "Arn",
    "ARN",
    "TopicArn",
    "QueueArn",
    "FunctionArn",
    "KeyArn",
    "repositoryArn",
    "VaultARN",
)
_POLICIES = ("Policy", "c7n:Policy", "c7n:AccessPolicy", "AccessPolicies", "ResourcePolicy")
_BUCKETS = frozenset({"aws.s3", "s3"})


def read_resource_policies(
    places: Iterable[Path], max_age: timedelta, now: datetime, partition: str = "aws"
) -> ResourcePolicies:
    """The policies in the files ``places``, and in all ``resources.json`` below directories.

    Raises IdentityCenterError if a file can't be read, is of an unknown account, or is older than ``max_age``; if there
    is none; and if resources of a file have no ARN.
    """
    found: list[OtherPolicy] = []
    accounts: set[str] = set()
    listed = list(places)
    files = [file for place in listed for file in _files(place)]
    if not files:
        raise _unusable(", ".join(map(str, listed)), f"there is no {_FILE} there")
    for file in files:
        run = _Run(file, max_age, now)
        accounts.add(run.account_id)
        found += [each for each in run.policies(partition) if each.distinguishes]
    return ResourcePolicies(tuple(found), frozenset(accounts), ", ".join(map(str, listed)))


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    return sorted(each for each in place.rglob(f"{_FILE}*") if each.name in (_FILE, f"{_FILE}.gz"))


def _unusable(place: object, why: str) -> IdentityCenterError:
    return IdentityCenterError(
        f"--resource-policies {place}: {why}: give the output of policies that list resources with their policies, as "
        "docs/identity-center.md shows, run again for each account"
    )


class _Run:
    """A file of resources and what its metadata says. Raises IdentityCenterError."""

    def __init__(self, file: Path, max_age: timedelta, now: datetime) -> None:
        self._file = file
        beside = file.with_name(file.name.replace(_FILE, _METADATA))
        metadata = self._read(beside if beside.exists() else file.with_name(_METADATA))
        try:
            self.account_id = str(metadata["config"]["account_id"])
            self._type = str(metadata["policy"]["resource"])
            self._time = datetime.fromtimestamp(float(metadata["execution"]["start"]), timezone.utc)
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise _unusable(beside, f"it does not tell account, resource and time ({error!r})") from error
        if now - self._time > max_age:
            raise _unusable(file, f"it is of {self._time:%Y-%m-%d %H:%M} UTC, longer ago than --max-age")

    def policies(self, partition: str) -> Iterator[OtherPolicy]:
        resources = self._read(self._file)
        if not isinstance(resources, list) or not all(isinstance(each, dict) for each in resources):
            raise _unusable(self._file, "it is not a list of resources")
        for resource in resources:
            policy = next((resource[key] for key in _POLICIES if resource.get(key)), None)
            if policy is not None:
                arn = self._arn(resource, partition)
                yield parse_other_policy(RESOURCE, arn, self.account_id, arn, policy)

    def _arn(self, resource: Mapping[str, Any], partition: str) -> str:
        if self._type in _BUCKETS and "Name" in resource:
            return f"arn:{partition}:s3:::{resource['Name']}"
        arn = next((resource[key] for key in _ARNS if str(resource.get(key)).startswith("arn:")), None)
        if arn is None:
            raise _unusable(self._file, f"a resource of type {self._type} has a policy and no ARN")
        return str(arn)

    def _read(self, file: Path) -> Any:
        try:
            return read_json(unpacked(read_given(file)))
        except (OSError, ValueError) as error:
            raise _unusable(file, f"it can't be read: {error}") from error
