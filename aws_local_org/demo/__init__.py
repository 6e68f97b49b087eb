# SPDX-License-Identifier: Apache-2.0
"""The demo: the whole job on the local organization, with the same commands as on a real one."""

from __future__ import annotations
