# SPDX-License-Identifier: Apache-2.0
"""Attributes for access control: which of people's attributes their sessions carry as tags.

CreateInstanceAccessControlAttributeConfiguration, DescribeInstanceAccessControlAttributeConfiguration (API reference).
"""

from __future__ import annotations

from typing import Any

from . import errors
from .state import Instance


def create(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """Switch the feature on; at once, where AWS may take a while (CREATION_IN_PROGRESS)."""
    if instance.access_control_attributes is not None:
        raise errors.conflict("Attributes for access control are enabled already")
    given = parameters["InstanceAccessControlAttributeConfiguration"]
    instance.access_control_attributes = list(given["AccessControlAttributes"])
    return {}


def describe(instance: Instance, _: dict[str, Any]) -> dict[str, Any]:
    """ResourceNotFoundException where the feature is off."""
    if instance.access_control_attributes is None:
        raise errors.not_found("Attributes for access control are not enabled")
    return {
        "Status": "ENABLED",
        "InstanceAccessControlAttributeConfiguration": {
            "AccessControlAttributes": instance.access_control_attributes
        },
    }
