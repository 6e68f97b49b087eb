# SPDX-License-Identifier: Apache-2.0
"""The one inline policy of a permission set.

Putting it checks that it is a JSON object of legal size; IAM's grammar speaks only when the set is provisioned.
"""

from __future__ import annotations

import json
from typing import Any

from . import errors
from .permission_sets import find
from .state import Instance


def put(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set = find(instance, parameters["PermissionSetArn"])
    document = parameters["InlinePolicy"]
    _check_size(instance, document)
    _check_json(document)
    permission_set.inline_policy = document
    return {}


def get(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """InlinePolicy is the empty string where there is none."""
    return {"InlinePolicy": find(instance, parameters["PermissionSetArn"]).inline_policy}


def delete(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    find(instance, parameters["PermissionSetArn"]).inline_policy = ""
    return {}


def _check_size(instance: Instance, document: str) -> None:
    quotas = instance.quotas
    if len(document.encode()) > quotas.inline_policy_bytes:
        raise errors.invalid(f"The inline policy is larger than {quotas.inline_policy_bytes} bytes")
    if len("".join(document.split())) > quotas.inline_policy_characters:
        # Which error AWS gives is UNCONFIRMED; of those the operation declares, this one is about sizes.
        raise errors.over_quota(
            f"The inline policy has more than {quotas.inline_policy_characters} non-whitespace characters"
        )


def _check_json(document: str) -> None:
    try:
        parsed = json.loads(document)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict) or "Statement" not in parsed:
        raise errors.invalid("Invalid PermissionsPolicy Document")
