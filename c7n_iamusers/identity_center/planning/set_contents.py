# SPDX-License-Identifier: Apache-2.0
"""For a reviewer: what a permission set allows, how two differ, and whether one makes administrators. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.iam.policy_documents import AppliedPolicy
from c7n_iamusers.identity_center.planning import permission_sets
from c7n_iamusers.policy_comparison.administrators import admin_policies, unknown


def granted(requested: PermissionSet) -> Iterator[str]:
    """The settings of a new permission set, in lines for a reviewer."""
    yield f"session duration: {requested.session_duration}"
    yield from (f"AWS-managed policy: {arn}" for arn in sorted(requested.managed_policies))
    yield from (
        f"customer-managed policy, as defined in each account: {policy}"
        for policy in sorted(requested.customer_policies)
    )
    yield f"permissions boundary: {requested.boundary or 'none'}"
    yield from (f"inline: {text}" for text in permission_sets.statements_of(requested.inline_policy))
    if requested.relay_state:
        yield f"relay state: {requested.relay_state}"


def changed(present: PermissionSet, requested: PermissionSet) -> Iterator[str]:
    """The differences between two permission sets, in lines for a reviewer."""
    if present.session_duration != requested.session_duration:
        yield f"session duration: {present.session_duration} -> {requested.session_duration}"
    if present.boundary != requested.boundary:
        yield f"permissions boundary: {present.boundary or 'none'} -> {requested.boundary or 'none'}"
    for kind, old, new in (
        ("AWS-managed policy", present.managed_policies, requested.managed_policies),
        ("customer-managed policy", present.customer_policies, requested.customer_policies),
        (
            "inline",
            permission_sets.statements_of(present.inline_policy),
            permission_sets.statements_of(requested.inline_policy),
        ),
    ):
        yield from _difference(kind, list(old), list(new))
    # An empty setting keeps the existing value.
    if requested.relay_state not in ("", present.relay_state):
        yield f"relay state: {present.relay_state or 'none'} -> {requested.relay_state}"
    if requested.description not in ("", present.description):
        yield f"description: {present.description or 'none'} -> {requested.description}"
    for key, value in sorted(requested.tags.items()):
        if present.tags.get(key) != value:
            yield f"tag {key}: {present.tags.get(key, 'none')} -> {value}"


def administrative(requested: PermissionSet, documents: Mapping[str, Any]) -> str:
    """A policy that makes holders of the permission set administrators, or a known way to it; empty if there is none.

    An unknown policy counts, such as an AWS-managed one that is newer than this version's tables. ``documents``: path
    and name of customer-managed policies -> document, as far as known.
    """
    found = [AppliedPolicy(arn.rpartition("/")[2], arn) for arn in sorted(requested.managed_policies)]
    found += [
        AppliedPolicy(policy, policy, document=documents.get(policy))
        for policy in sorted(requested.customer_policies)
    ]
    if requested.inline_policy:
        found.append(AppliedPolicy("its inline policy", document=requested.inline_policy))
    perhaps = (f"{each}, perhaps: what it grants is not known" for each in unknown(found))
    return next(iter((*(admin_policies(found) or ()), *perhaps)), "")


def _difference(kind: str, old: list[str], new: list[str]) -> Iterable[str]:
    yield from (f"- {kind}: {text}" for text in sorted(set(old) - set(new)))
    yield from (f"+ {kind}: {text}" for text in sorted(set(new) - set(old)))
