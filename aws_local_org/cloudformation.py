# SPDX-License-Identifier: Apache-2.0
"""CloudFormation, as moto creates stacks. It is loaded at the first call, since it brings most of moto with it."""

from __future__ import annotations

from typing import Any

from moto.cloudformation import parsing

_clean_json = parsing.clean_json


def install() -> None:
    """Patch moto's module, for the whole process. Idempotent."""
    parsing.clean_json = _without_no_values


def _without_no_values(data: Any, resources: Any) -> Any:
    """AWS::NoValue removes an item of a list, too: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html.

    moto removes members of mappings only.
    """
    if isinstance(data, list):
        return [each for part in data if (each := _without_no_values(part, resources)) is not None]
    return _clean_json(data, resources)
