# SPDX-License-Identifier: Apache-2.0
"""The AWS permissions that a run used, recorded from the calls of Cloud Custodian's clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from botocore.client import BaseClient
from c7n.policy import Policy

#: Used by the caller of Cloud Custodian, to assume the policy's role and to write c7n's output.
_NOT_OF_THE_ROLE = frozenset({"sts:AssumeRole", "s3:PutObject", "s3:GetObject", "s3:ListObjectsV2"})


@contextmanager
def observed(agent: str = "c7n/") -> Iterator[set[str]]:
    """The permissions, such as ``iam:GetUser``, that clients with the user agent prefix ``agent`` use meanwhile."""
    used: set[str] = set()
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def make_api_call(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if self.meta.config.user_agent.startswith(agent):
            used.add(f"{self.meta.service_model.service_name}:{operation}")
        return original(self, operation, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", make_api_call):
        yield used


def run_within_permissions(policy: Policy, *event: Any) -> Any:
    """Run ``policy``, or push ``event`` to it. Fails if it used permissions that it does not declare."""
    with observed() as used:
        try:
            return policy.push(*event) if event else policy.run()
        finally:
            undeclared = used - _NOT_OF_THE_ROLE - policy.get_permissions()
            assert undeclared == set()
            assert used, "no call was recorded: Cloud Custodian's user agent has changed"
