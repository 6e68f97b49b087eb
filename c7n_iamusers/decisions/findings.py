# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a user. Pure."""

from __future__ import annotations

from c7n_iamusers.model.exemption import Exemption
from c7n_iamusers.model.finding import EXPIRED_EXEMPTION, IAM_USER, Finding
from c7n_iamusers.model.iam_user import IamUser


def findings_of(user: IamUser, exemption: Exemption) -> list[Finding]:
    """The findings of a user that no rule protects.

    Rule: "Require human users to use federation with an identity provider to access AWS using temporary
    credentials" and "Require workloads to use temporary credentials with IAM roles" (IAM User Guide,
    Security best practices in IAM).
    """
    rule = Finding(IAM_USER, "medium", "An IAM user has long-term credentials; AWS asks for temporary ones.")
    expired = [
        Finding(
            EXPIRED_EXEMPTION,
            "medium",
            f"Exempt by {gone.field} {gone.pattern!r} until {gone.expires.isoformat()} ({gone.reason}): "
            "renew the exemption with a new date, or let the user go.",
        )
        for gone in exemption.expired
    ]
    return [rule, *expired]
