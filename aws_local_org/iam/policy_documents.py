# SPDX-License-Identifier: Apache-2.0
"""What IAM asks of a policy's text before it takes it from a user, a group, a role or as a managed policy.

moto knows the grammar; here is what it lets through and IAM does not. Source of the rules:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html and ..._elements_principal.html.
"""

from __future__ import annotations

import json
import re

from moto.iam.policy_validation import IAMPolicyDocumentValidator

from aws_local_org.iam.errors import iam_error

_SID = re.compile("[0-9A-Za-z]*")


def check_document(text: str) -> None:
    """Raise MalformedPolicyDocument, in IAM's words, for what is no identity-based policy."""
    IAMPolicyDocumentValidator(text).validate()
    statements = json.loads(text)["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        if {"Principal", "NotPrincipal"} & set(statement):
            raise iam_error("MalformedPolicyDocument", "Policy document should not specify a principal.")
        if not _SID.fullmatch(statement.get("Sid") or ""):
            raise iam_error(
                "MalformedPolicyDocument",
                "Statement IDs (SID) must be alpha-numeric. "  # codespell:ignore
                "Check that your input satisfies the regular expression [0-9A-Za-z]*",
            )


def size_of(text: str) -> int:
    """The characters that count: "IAM doesn't count white space when calculating the size of a policy"."""
    return len("".join(text.split()))
