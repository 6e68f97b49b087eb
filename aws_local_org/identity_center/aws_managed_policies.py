# SPDX-License-Identifier: Apache-2.0
"""The AWS-managed policies, of moto's own copy, whether or not moto was told to load them into IAM."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend


def exists(arn: str) -> bool:
    """arn: of any partition; the catalogue is the same in all."""
    return _place(arn) in _catalogue()


def loaded(backend: IAMBackend, arn: str) -> Any:
    """The policy as an object of this account's IAM; loads it there if need be. arn must exist."""
    if arn not in backend.managed_policies:
        name = arn.rpartition("/")[2]
        data = _catalogue()[_place(arn)]
        policy = AWSManagedPolicy.from_data(name, backend.account_id, backend.region_name, data)
        backend.managed_policies[arn] = policy
    return backend.managed_policies[arn]


@cache
def _catalogue() -> dict[str, dict[str, Any]]:
    policies = json.loads(aws_managed_policies_data)
    return {f"{data['Path']}{name}": data for name, data in policies.items()}


def _place(arn: str) -> str:
    """`/service-role/AWSConfigRole` of `arn:aws:iam::aws:policy/service-role/AWSConfigRole`."""
    return arn.partition(":policy")[2]
