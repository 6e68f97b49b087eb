# SPDX-License-Identifier: Apache-2.0
"""A service control policy against credentials that no signature protects: API keys, and keys of Lightsail's buckets.

It is separate from the guardrail, because it denies the use of existing credentials, too. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.roles.guardrail import LONGEST, Guardrail, checked, fault_of_name, role_pattern

#: What calls a service with a bearer token (Service Authorization Reference), lets a log group accept such tokens, or
#: makes a long-term key for a Lightsail bucket.
BEARER = (
    "aws-external-anthropic:CallWithBearerToken",
    "bedrock-mantle:CallWithBearerToken",
    "cloudwatch:CallWithBearerToken",
    "lightsail:CreateBucketAccessKey",
    "logs:CallWithBearerToken",
    "logs:PutBearerTokenAuthentication",
    "sagemaker:CallWithBearerToken",
)
#: Only Bedrock says whether a token is long-term. Other services' tokens are all denied.
BEDROCK, _TYPE = "bedrock:CallWithBearerToken", {"bedrock:BearerTokenType": "SHORT_TERM"}


def bearer_tokens(spared: Sequence[str], partition: str = "aws") -> Guardrail:
    """The policy that denies BEARER, and BEDROCK without a short-term token, to all but the roles ``spared``.

    Raises InvalidPolicyData for a name that no role can have, and for a policy that is too long.
    """
    for name in spared:
        if fault := fault_of_name(name):
            raise InvalidPolicyData(f"--spare {name!r} is not the name of a role: {fault}")
    roles = [role_pattern(each, partition) for each in dict.fromkeys(spared)]
    unless = {"ArnNotLike": {"aws:PrincipalArn": roles}}
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "DenyBearerTokens",
                "Effect": "Deny",
                "Action": [*BEARER],
                "Resource": "*",
                "Condition": unless,
            },
            {
                "Sid": "DenyLongTermBedrockKeys",
                "Effect": "Deny",
                "Action": BEDROCK,
                "Resource": "*",
                # a token of another type, or of none, is denied
                "Condition": {**unless, "StringNotEquals": _TYPE},
            },
        ],
    }
    length = len(json.dumps(document, indent=2))
    if length > LONGEST:
        raise InvalidPolicyData(
            f"the policy has {length} characters, and can have {LONGEST}: spare fewer roles"
        )
    checks = checked(document, spared, partition, BEARER, {})
    checks += checked(document, spared, partition, (BEDROCK,), {"bedrock:bearertokentype": "LONG_TERM"})
    text = "Denies calls with bearer tokens, and keys of Lightsail's buckets, except by named roles"
    return Guardrail("c7n-iamusers-bearer-tokens", text, document, checks, length)
