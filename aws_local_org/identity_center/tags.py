# SPDX-License-Identifier: Apache-2.0
"""What AWS allows a resource's tags to be."""

from __future__ import annotations

from . import errors

#: Tags that begin so are AWS's own (IAM Identity Center User Guide, "Tagging", restrictions).
RESERVED_PREFIX = "aws:"


def merged(present: dict[str, str], added: list[dict[str, str]], quota: int) -> dict[str, str]:
    """present with added (`[{"Key": ..., "Value": ...}]`) laid over it.

    Raises ValidationException for a key that is given twice or reserved, ServiceQuotaExceededException beyond quota.
    """
    keys = [tag["Key"] for tag in added]
    if len(set(keys)) < len(keys):
        raise errors.invalid("A tag key may be given only once")
    if reserved := [key for key in keys if key.lower().startswith(RESERVED_PREFIX)]:
        raise errors.invalid(
            f"Tag keys that begin with {RESERVED_PREFIX} are reserved: {', '.join(reserved)}"
        )
    result = {**present, **{tag["Key"]: tag["Value"] for tag in added}}
    if len(result) > quota:
        raise errors.over_quota(f"A resource may have no more than {quota} tags")
    return result
