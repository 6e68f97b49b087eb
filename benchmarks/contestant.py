# SPDX-License-Identifier: Apache-2.0
"""What takes part in a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Resource = Mapping[str, Any]
#: What was learnt of a user, in terms that both contestants can be put into.
Facts = dict[str, Any]


@dataclass(frozen=True)
class Contestant:
    """``flagging`` and ``deleting``: policies, as c7n reads them. ``facts``: what a flagged resource tells of a user.

    ``plugins``: whether this package is registered with c7n.
    """

    name: str
    plugins: bool
    flagging: Mapping[str, Any]
    deleting: Mapping[str, Any]
    facts: Callable[[Resource], Facts]


def tags_of(resource: Resource) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags") or ()}
