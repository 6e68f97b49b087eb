# SPDX-License-Identifier: Apache-2.0
"""Checks that a policy which runs in AWS Lambda has there what the plugins need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from c7n.exceptions import PolicyValidationError
from c7n.policy import LambdaMode, execution

from c7n_iamusers.exemptions import format_of
from c7n_iamusers.plugins.policy_checks import blocks

#: Modes of c7n whose events have the ids of EC2 instances.
_OF_INSTANCES = ("asg-instance-state", "ec2-instance-state")
PACKAGE = "c7n_iamusers"
HANDLER = "c7n_iamusers.handler.run"
#: The module that reads lists in YAML. Lambda's runtime lacks it, and c7n leaves it out of archives.
YAML = "yaml"


def validate_lambda_packaging(manager: Any) -> None:
    """Raises PolicyValidationError if the policy runs in AWS Lambda and ``mode.packages`` or ``mode.handler`` is wrong.

    ``manager``: the plugin's resource manager. Without the package in the archive, its import fails in Lambda; with
    another handler, nothing registers the plugins there. An ``exempt-from`` in YAML also needs PyYAML in the archive.
    Modes whose events name instances are refused too: no user has such an id, so the policy would never act.
    """
    mode = manager.data.get("mode") or {}
    if mode.get("type") in _OF_INSTANCES:
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: mode {mode['type']} gets events of EC2 instances, and would select "
            "no user: use cloudtrail, or periodic"
        )
    mode_class = execution.get(mode.get("type", "pull"))
    if mode_class is None or not issubclass(mode_class, LambdaMode):
        return
    remedies, lists = missing_keys(mode), list(_lists(manager.data.get("filters", ())))
    if not remedies and (local := next(filter(None, map(_local, lists)), "")):
        remedies = [
            f"keep the list of exempt-from in S3 or at a URL, since the archive does not have {local}"
        ]
    if not remedies and YAML not in mode["packages"] and any(map(_is_yaml, lists)):
        remedies = [f"add {YAML} to mode.packages, for exempt-from, or keep that list as .json or .csv"]
    if remedies:
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: mode {mode['type']} runs in AWS Lambda, so the mode must include "
            f"what the plugins of {PACKAGE} need: {' and '.join(remedies)}"
        )


def missing_keys(mode: dict[str, Any]) -> list[str]:
    """What to change in a policy's mode, in words; empty if it includes the package."""
    remedies = []
    if PACKAGE not in mode.get("packages", ()):
        remedies.append(f"add {PACKAGE} to mode.packages")
    if mode.get("handler") != HANDLER:
        remedies.append(f"set mode.handler to {HANDLER}")
    return remedies


def _lists(filters: Any) -> Iterator[Any]:
    """The value of each ``exempt-from`` in a policy's filters."""
    for block in blocks(filters):
        if block.get("type") in ("unnecessary", "alarm") and "exempt-from" in block:
            yield block["exempt-from"]


def _local(source: Any) -> str:
    """The path that an ``exempt-from`` names; empty if it is a URL, a variable, or invalid."""
    given = source if isinstance(source, dict) else {"url": source}
    place = given.get("from", given.get("url", ""))
    if not isinstance(place, str) or place.startswith("{"):
        return ""
    return place if "://" not in place or place.startswith("file://") else ""


def _is_yaml(source: Any) -> bool:
    """Whether an ``exempt-from``, which may be invalid, names a list in YAML."""
    given = source if isinstance(source, dict) else {"url": source}
    return (given.get("format") or format_of(str(given.get("from", given.get("url", ""))))) == "yaml"
