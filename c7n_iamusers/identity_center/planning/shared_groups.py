# SPDX-License-Identifier: Apache-2.0
"""Assignments of shared groups that runs made and that nobody requests any more. Pure.

A shared group may have been made by others, who go on using it. So only what a run assigned is ours to end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.planning.replacements import History


def shared_and_stale(
    desired: model.DesiredAccess,
    state: model.CenterState,
    history: History,
    only: Collection[str] | None = None,
) -> Iterator[tuple[model.KnownGroup, model.Assignment]]:
    """Groups and assignments, in their order. ``only``: the accounts whose intents were chosen; None for all."""
    groups = {**state.current.groups, **{each.group_id: each for each in state.groups.values()}}
    names = {known.group_id: name for name, known in state.groups.items()}
    arns = {name: each.arn for name, each in state.permission_sets.items()}
    for group in sorted(groups.values(), key=lambda each: (each.name, each.group_id)):
        requested = desired.groups.get(names.get(group.group_id, ""))
        if group.is_restricted or (requested and not requested.shared):
            continue
        grants = requested.grants if requested else ()
        asked = {(grant.account_id, arns.get(grant.permission_set)) for grant in grants}
        for each in sorted(group.assignments):
            key = each.account_id, each.permission_set_arn
            if (group.group_id, each) not in history.made or key in asked:
                continue
            if only is None or each.account_id in only:
                yield group, each
