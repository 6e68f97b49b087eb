# SPDX-License-Identifier: Apache-2.0
"""Why something that a run created must stay: somebody has changed it, or come to rely on it, since. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from c7n_iamusers.decisions.permission_set_settings import duration_seconds
from c7n_iamusers.decisions.wording import shown
from c7n_iamusers.model.identity_center import Assignment, KnownGroup, PermissionSet
from c7n_iamusers.model.undo import StandingSet, StandingUser


def group_reasons(
    group: KnownGroup, given: Mapping[str, Any], strangers: list[str], further: Collection[Assignment]
) -> list[str]:
    """``given``: what CreateGroup was given; ``strangers``: members, ``further``: assignments of others' making."""
    reasons = []
    if strangers:
        reasons.append(f"people rely on it (user ids {shown(strangers)})")
    if further:
        arns = [each.permission_set_arn for each in sorted(further)]
        reasons.append(f"it has been assigned since ({shown(arns)})")
    if (group.name, group.description) != (given["DisplayName"], given.get("Description", "")):
        reasons.append("its name or description has been changed since")
    return reasons


def set_reasons(
    standing: StandingSet,
    asked: PermissionSet | None,
    ours: Collection[tuple[str, str]],
    relied_on: Collection[str],
) -> list[str]:
    """``ours``: (account id, group id) that the run assigned; ``relied_on``: groups that people have joined since."""
    reasons = []
    if further := sorted(standing.holders.difference(ours)):
        reasons.append(
            f"it has been assigned since (in account {shown([account for account, _ in further])})"
        )
    if asked is None or _differ(asked, standing.known.settings):
        reasons.append("its settings have been changed since")
    if any(group_id in relied_on for _, group_id in standing.holders):
        reasons.append("a group that people rely on has it")
    return reasons


def user_reasons(user: StandingUser, given: Mapping[str, Any], ours: Collection[str]) -> list[str]:
    """``given``: what CreateUser was given; ``ours``: the groups that the run put the user into."""
    reasons = []
    if further := sorted(user.groups.difference(ours)):
        reasons.append(f"it is in other groups (group ids {shown(further)})")
    if user.assignments:
        reasons.append("it has been assigned a permission set directly")
    if _has_changed(user.attributes, given):
        reasons.append("it has been changed since")
    return reasons


def _differ(asked: PermissionSet, present: PermissionSet) -> bool:
    """Whether it is other than asked for. One that a run failed to complete has less, and is no reason to keep it."""
    return (
        not present.managed_policies <= asked.managed_policies
        or not present.customer_policies <= asked.customer_policies
        or present.inline_policy not in ("", asked.inline_policy)
        or present.boundary not in ("", asked.boundary)
        or duration_seconds(present.session_duration) != duration_seconds(asked.session_duration)
        or (present.description, present.relay_state) != (asked.description, asked.relay_state)
    )


def _has_changed(attributes: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether the user is other than it was created, or an identity provider has taken it over."""
    emails = [each.get("Value") for each in attributes.get("Emails") or ()]
    name = attributes.get("Name") or {}
    return (
        any(attributes.get(key) != given[key] for key in ("UserName", "DisplayName"))
        or any(name.get(key) != text for key, text in given["Name"].items())
        or emails != [each["Value"] for each in given["Emails"]]
        or attributes.get("UserStatus", "ENABLED") != "ENABLED"
        or bool(attributes.get("ExternalIds"))
    )
