# SPDX-License-Identifier: Apache-2.0
"""What a permission set grants, in lines that a reviewer reads, and what a change of it changes. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from c7n_iamusers.decisions.admin_rights import is_admin
from c7n_iamusers.model.evidence import Grant
from c7n_iamusers.model.identity_center import PermissionSet


def granted(wanted: PermissionSet) -> Iterator[str]:
    """Everything that decides what holders may do, and for how long."""
    yield f"session duration: {wanted.session_duration}"
    yield from (f"AWS-managed policy: {arn}" for arn in sorted(wanted.managed_policies))
    yield from (
        f"customer-managed policy, as it stands in each account: {policy}"
        for policy in sorted(wanted.customer_policies)
    )
    yield f"permissions boundary: {wanted.boundary or 'none'}"
    yield from (f"inline: {text}" for text in _inline(wanted.inline_policy))


def changed(present: PermissionSet, wanted: PermissionSet) -> Iterator[str]:
    """Old -> new, piece by piece; lines that stay are left out."""
    if present.session_duration != wanted.session_duration:
        yield f"session duration: {present.session_duration} -> {wanted.session_duration}"
    if present.boundary != wanted.boundary:
        yield f"permissions boundary: {present.boundary or 'none'} -> {wanted.boundary or 'none'}"
    for kind, old, new in (
        ("AWS-managed policy", present.managed_policies, wanted.managed_policies),
        ("customer-managed policy", present.customer_policies, wanted.customer_policies),
        ("inline", _inline(present.inline_policy), _inline(wanted.inline_policy)),
    ):
        yield from _difference(kind, list(old), list(new))


def administrative(wanted: PermissionSet, documents: Mapping[str, Any]) -> str:
    """The policy that makes its holders administrators, in words; empty where none is known to.

    ``documents``: path and name of the customer-managed policies that are known -> document.
    """
    found = [Grant(arn.rpartition("/")[2], arn) for arn in sorted(wanted.managed_policies)]
    found += [
        Grant(policy, policy, document=documents[policy])
        for policy in sorted(wanted.customer_policies)
        if policy in documents
    ]
    if wanted.inline_policy:
        found.append(Grant("its inline policy", document=wanted.inline_policy))
    return next((each.name for each in found if is_admin(each)), "")


def _difference(kind: str, old: list[str], new: list[str]) -> Iterable[str]:
    yield from (f"- {kind}: {text}" for text in sorted(set(old) - set(new)))
    yield from (f"+ {kind}: {text}" for text in sorted(set(new) - set(old)))


def _inline(text: str) -> list[str]:
    """A statement a line."""
    try:
        statements = json.loads(text)["Statement"] if text else []
    except (ValueError, KeyError, TypeError):
        return [text]
    listed = statements if isinstance(statements, list) else [statements]
    return [json.dumps(each, sort_keys=True) for each in listed]
