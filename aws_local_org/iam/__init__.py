# SPDX-License-Identifier: Apache-2.0
"""IAM as the API reference describes it, over moto's."""

from __future__ import annotations

from aws_local_org.iam.service import install, reset

__all__ = ["install", "reset"]
