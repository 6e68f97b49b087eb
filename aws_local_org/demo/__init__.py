# SPDX-License-Identifier: Apache-2.0
"""The whole job against the local organization, by the commands that run it against a real one."""

from __future__ import annotations
