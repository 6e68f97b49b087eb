# SPDX-License-Identifier: Apache-2.0
"""Tags of instances and permission sets."""

from __future__ import annotations

from typing import Any

from . import paging, permission_sets, tags
from .state import Instance


def tag(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    holder = _holder(instance, parameters)
    holder.tags = tags.merged(holder.tags, parameters["Tags"], instance.quotas.tags_per_resource)
    return {}


def untag(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    holder = _holder(instance, parameters)
    holder.tags = {key: value for key, value in holder.tags.items() if key not in parameters["TagKeys"]}
    return {}


def list_tags(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    present = _holder(instance, parameters).tags
    return paging.page("Tags", [{"Key": key, "Value": value} for key, value in present.items()], parameters)


def _holder(instance: Instance, parameters: dict[str, Any]) -> Any:
    arn = parameters["ResourceArn"]
    return instance if arn == instance.arn else permission_sets.find(instance, arn)
