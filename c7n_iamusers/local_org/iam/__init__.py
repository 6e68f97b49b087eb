# SPDX-License-Identifier: Apache-2.0
"""IAM as the API reference describes it, over moto's."""

from __future__ import annotations

from c7n_iamusers.local_org.iam.service import install, reset

__all__ = ["install", "reset"]
