# SPDX-License-Identifier: Apache-2.0
"""Unique ids as IAM makes them: a prefix for the kind, then capitals and the digits 2 to 7.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids.
As in AWS, the first eight characters after the prefix follow from the account.
"""

from __future__ import annotations

import base64
import hashlib

from moto.iam.utils import generate_access_key_id_from_account_id

USER = "AIDA"
GROUP = "AGPA"
ROLE = "AROA"
MANAGED_POLICY = "ANPA"
INSTANCE_PROFILE = "AIPA"
ACCESS_KEY = "AKIA"
PUBLIC_KEY = "APKA"
CERTIFICATE = "ASCA"
SERVICE_CREDENTIAL = "ACCA"

# botocore's certificateIdType has at least 24 characters
_LENGTHS = {ACCESS_KEY: 20, PUBLIC_KEY: 20, CERTIFICATE: 24}


def new_id(prefix: str, account_id: str) -> str:
    """An id that nothing else has: 21 characters, 20 for access keys and SSH public keys, 24 for certificates."""
    length = _LENGTHS.get(prefix, 21)
    return str(generate_access_key_id_from_account_id(account_id, prefix=prefix, total_length=length))


def aws_policy_id(arn: str) -> str:
    """The id of an AWS managed policy, the same in every account and at every start."""
    digest = base64.b32encode(hashlib.sha256(arn.encode()).digest()).decode()
    return MANAGED_POLICY + digest[:17]
