# SPDX-License-Identifier: Apache-2.0
"""An AWS organization in one process, on loopback, to rehearse policies against before they meet a real one."""

from __future__ import annotations

from aws_local_org.call_log import CallRecord
from aws_local_org.emulator import LocalOrg
from aws_local_org.settings import Settings

__all__ = ["CallRecord", "LocalOrg", "Settings"]
