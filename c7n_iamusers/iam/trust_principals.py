# SPDX-License-Identifier: Apache-2.0
"""What trust policies of an account's roles trust: services, and one principal of an account but not another. Pure.

Which users they name is in ``policy_comparison/trusted_users.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from c7n_iamusers.iam.policy_documents import Statement, listed, parse_document, statements

#: An account as a principal: its id, or the ARN of its root.
_ACCOUNT = re.compile(r"(?:arn:[^:]+:iam::)?(\d{12})(?::root)?", re.ASCII)


def account_of(principal: str) -> str:
    """The id of the account if ``principal`` is the account as a whole; else empty."""
    found = _ACCOUNT.fullmatch(principal)
    return found[1] if found else ""


def tells_apart(document: Any) -> bool:
    """Whether a role's trust policy can trust one AWS principal of an account and not another.

    It can't if it names services, identity providers, and accounts without conditions. It may if it does not parse.
    """
    try:
        found = statements(parse_document(document))
    except ValueError:
        return True
    return any(map(_tells_apart, found))


def _tells_apart(statement: Statement) -> bool:
    principal = statement.get("Principal")
    if not isinstance(principal, Mapping):
        return True
    names = [str(each) for each in listed(principal.get("AWS"))]
    if "CanonicalUser" in principal or not all(map(account_of, names)):
        return True
    return bool(names and statement.get("Condition"))


def is_trusted(service: str, document: Any) -> bool:
    """Whether a role's trust policy lets ``service`` assume it. Conditions are not judged. Raises ValueError."""
    return any(
        str(statement.get("Effect")) == "Allow"
        and isinstance(principal := statement.get("Principal"), Mapping)
        and service in listed(principal.get("Service"))
        and {"sts:assumerole", "sts:*", "*"}
        & {str(action).lower() for action in listed(statement.get("Action"))}
        for statement in statements(parse_document(document))
    )
