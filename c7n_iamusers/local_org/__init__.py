# SPDX-License-Identifier: Apache-2.0
"""An AWS organization in one process, on loopback, to rehearse policies against before they meet a real one."""

from __future__ import annotations

from c7n_iamusers.local_org.call_log import CallRecord
from c7n_iamusers.local_org.emulator import LocalOrg
from c7n_iamusers.local_org.settings import Settings

__all__ = ["CallRecord", "LocalOrg", "Settings"]
