# SPDX-License-Identifier: Apache-2.0
"""Moving a document from the account it was read in to the account it is loaded into."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from aws_local_org.loading.field_values import entries
from c7n_iamusers.exceptions import LocalOrgError

_ACCOUNT_IN_ARN = re.compile(r"^arn:[\w-]+:iam::(\d{12}):")
_LISTS = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")


def document_account(pages: Iterable[Mapping[str, Any]]) -> str | None:
    """The account that the pages were read in, by the ARNs of users, else of groups, roles or policies, if any.

    Raises LocalOrgError where pages of several accounts were put together.
    """
    kept = list(pages)
    for key in _LISTS:
        found = Counter(account for page in kept for account in _accounts(page, key))
        if len(found) > 1:
            raise LocalOrgError(
                f"{key} has ARNs of several accounts ({', '.join(sorted(found))}); load the documents of each "
                f"account into an account of its own"
            )
        if found:
            return next(iter(found))
    return None


def _accounts(page: Mapping[str, Any], key: str) -> list[str]:
    arns = [str(entry.get("Arn", "")) for entry in entries(page.get(key)) if isinstance(entry, Mapping)]
    return [match[1] for match in map(_ACCOUNT_IN_ARN.match, arns) if match]


class Rehoming:
    """Rewrites what names the document's account; everything else, AWS-managed policies above all, stays."""

    def __init__(self, source: str | None, target: str) -> None:
        self.source, self.target = source, target
        self._in_arn = re.compile(rf"(arn:[\w-]*:[^:\s]*:[^:\s]*:){source}(?=:)") if source else None

    def policy_arn(self, arn: str) -> str:
        """A managed policy's ARN in the local organization: partition ``aws``, and never another account."""
        owner, _, resource = arn.partition(":iam::")[2].partition(":")
        return f"arn:aws:iam::{owner if owner == 'aws' else self.target}:{resource}"

    def document(self, text: str) -> str:
        """A policy's JSON text: ARNs of the account, and the bare account id as a principal or condition value."""
        if self._in_arn is None or self.source == self.target:
            return text
        moved = self._in_arn.sub(rf"\g<1>{self.target}", text)
        return moved.replace(f'"{self.source}"', f'"{self.target}"')
