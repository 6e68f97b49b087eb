# SPDX-License-Identifier: Apache-2.0
"""Asks CloudFormation which stack made a user or an access key: one call each and Region.

Sources: DescribeStackResources and DescribeStacks, CloudFormation API Reference; "Refs" of AWS::IAM::User (the user's
name) and AWS::IAM::AccessKey (the key's id), which are their physical ids.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.infrastructure_code.model import ACCESS_KEY, CLOUDFORMATION, USER, Managed, ManagedBy
from c7n_iamusers.infrastructure_code.tags import stack_of

PERMISSIONS = ("cloudformation:DescribeStackResources", "cloudformation:DescribeStacks")
#: Calls a second in each Region. AWS states none for these two: a slow one leaves room for deploys.
PER_SECOND = 4.0
_TYPES: Mapping[str, str] = {USER: "AWS::IAM::User", ACCESS_KEY: "AWS::IAM::AccessKey"}
#: "Only the first 100 resources will be returned" (DescribeStackResources).
_MOST = 100
#: A stack does not manage what it has deleted, or has let go (``ResourceStatus``).
_LET_GO = frozenset({"DELETE_COMPLETE", "DELETE_SKIPPED"})


@dataclass
class Stacks:
    """The stacks of one account. ``clients``: Region -> a CloudFormation client. Thread-safe.

    After a Region refuses a call, it is not asked again: it would refuse each, after all retries.
    """

    clients: Mapping[str, Any]
    backoff: Backoff
    _refused: dict[str, str] = field(default_factory=dict)
    _roots: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for client in self.clients.values():
            RateLimit(PER_SECOND).attach(client)

    def of(self, what: str, physical_id: str) -> dict[str, Managed]:
        """Region -> which stack there manages the user of this name, or the key with this id. ``what``: USER or
        ACCESS_KEY."""
        return {region: self._in_region(region, what, physical_id) for region in self.clients}

    def _in_region(self, region: str, what: str, physical_id: str) -> Managed:
        with self._lock:
            refused = self._refused.get(region)
        if refused:
            return Managed(unread=(refused,))
        try:
            answer = self.backoff.call(
                self.clients[region].describe_stack_resources, PhysicalResourceId=physical_id
            )
        except ClientError as error:
            if _says_none(error):
                return Managed()
            return self._unread(region, error)
        except BotoCoreError as error:
            return self._unread(region, error)
        return self._answered(region, what, physical_id, answer.get("StackResources") or [])

    def _unread(self, region: str, error: Exception) -> Managed:
        code = error_code(error)
        denied = f": it needs {' and '.join(PERMISSIONS)}" if code.startswith("AccessDenied") else ""
        why = f"{code}{denied}"
        if code != "ValidationError":  # which is about this question alone
            with self._lock:
                self._refused[region] = why
        return Managed(unread=(why,))

    def _answered(self, region: str, what: str, physical_id: str, resources: list[Any]) -> Managed:
        """The answer has all resources of one stack, the first hundred. Others may have the same id: names of users and
        buckets can agree, and a stack may have let go what it has again under another logical id."""
        its = [
            each
            for each in resources
            if each.get("PhysicalResourceId") == physical_id and each.get("ResourceType") == _TYPES[what]
        ]
        for each in its:
            if each.get("ResourceStatus") not in _LET_GO:
                stack_id, name = str(each.get("StackId") or ""), str(each.get("StackName") or "")
                where = f"{stack_of(name, stack_id)[1]}{self._root(region, stack_id)}"
                return Managed((ManagedBy(CLOUDFORMATION, where, "by DescribeStackResources", what),))
        if its or not resources:
            return Managed()
        name = resources[0].get("StackName")
        if len(resources) >= _MOST:
            return Managed(unread=(f"it is beyond the {_MOST} resources that AWS shows of stack {name}",))
        why = f"AWS shows a resource of another type with this id, in stack {name}, and no other stack that may have it"
        return Managed(unread=(why,))

    def _root(self, region: str, stack_id: str) -> str:
        """The stack within which this one is nested, in words: its template is the one to change."""
        with self._lock:
            known = self._roots.get(stack_id)
        if known is not None:
            return known
        try:
            found = self.backoff.call(self.clients[region].describe_stacks, StackName=stack_id)["Stacks"]
            root = str(found[0].get("RootId") or "") if found else ""
            said = f", nested in {stack_of('', root)[1]}" if root and root != stack_id else ""
        except (ClientError, BotoCoreError) as error:
            said = f" (whether it is nested is unknown: {error_code(error)})"
        with self._lock:
            self._roots[stack_id] = said
        return said


def _says_none(error: ClientError) -> bool:
    """Whether CloudFormation says that no stack has it: ValidationError, ``Stack for NAME does not exist``."""
    told = str((error.response.get("Error") or {}).get("Message") or "")
    return error_code(error) == "ValidationError" and told.rstrip().endswith("does not exist")
