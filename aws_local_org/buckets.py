# SPDX-License-Identifier: Apache-2.0
"""Buckets without moto's judgement of policies: it ignores conditions, so a Deny without TLS would deny everything.

With the setting ``enforce``, ``enforcement.py`` judges these policies like any other resource's.
"""

from __future__ import annotations

from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket


def install() -> None:
    """Patch moto's class, for the whole process. Idempotent."""
    FakeBucket.get_permission = _undecided


def _undecided(_self: Any, _action: str, _resource: str) -> Any:
    return PermissionResult.NEUTRAL
