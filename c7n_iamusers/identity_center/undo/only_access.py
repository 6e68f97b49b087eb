# SPDX-License-Identifier: Apache-2.0
"""Why an undo keeps memberships, assignments and settings: people need them still, or have no other access."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from c7n_iamusers.identity_center import model, object_records
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.planning.replacements import RunHistory
from c7n_iamusers.text.wording import shown

#: Reads accounts: account id -> unique id of each IAM user -> why its person has no access by it, empty if it may have
#: some; or why the account can't be read.
ReadUsers = Callable[[Iterable[str]], Mapping[str, Mapping[str, str] | str]]
_LOCK_OUT = "give --lock-out to delete it anyway"
_LOCK_OUT_SETTINGS = "give --lock-out to take them back anyway"


def users_not_read(accounts: Iterable[str]) -> dict[str, str]:
    """The ``ReadUsers`` of a run without a role for the accounts."""
    return dict.fromkeys(
        accounts, "it was not checked whether its IAM user still exists: give --member-role, or"
    )


def read_once(read_users: ReadUsers) -> ReadUsers:
    """``read_users`` that reads each account once, for the memberships, assignments and settings of one plan."""
    known: dict[str, Mapping[str, str] | str] = {}

    def read(accounts: Iterable[str]) -> Mapping[str, Mapping[str, str] | str]:
        listed = list(accounts)
        if new := [each for each in listed if each not in known]:
            known.update(read_users(new))
        return {each: known[each] for each in listed if each in known}

    return read


def needed_memberships(
    result: Mapping[str, Any],
    state: object_records.CreatedState,
    reader: CenterReader,
    read_users: ReadUsers,
    later: RunHistory,
) -> dict[object_records.MembershipKey, str]:
    """The memberships whose people may have no other access to an account, and why.

    ``result``: of the run that created them. ``later``: the IAM users whose access later runs found to rest on
    memberships. Raises ClientError.
    """
    membership_users = _users_of_memberships(result, state, later)
    content = _contents(reader)
    accounts = {arn.split(":")[4] for users in membership_users.values() for arn, _ in users}
    existing = read_users(sorted(accounts))
    leaving, ending = set(membership_users), _ending(state)
    found: dict[object_records.MembershipKey, str] = {}
    for membership, users in membership_users.items():
        reasons = {
            arn.split(":")[4]: text
            for arn, unique in sorted(users)
            if (text := _missing_reason(arn, unique, existing))
        }
        if not users:
            found[membership] = f"the result of the run has no IAM user for it: {_LOCK_OUT}"
        elif reasons and not _has_other(membership, reasons, leaving, reader, content, ending):
            found[membership] = f"{shown(sorted(set(reasons.values())))} {_LOCK_OUT}"
    return found


def _users_of_memberships(
    result: Mapping[str, Any], state: object_records.CreatedState, later: RunHistory
) -> dict[object_records.MembershipKey, set[tuple[str, str]]]:
    """Membership of the run -> ARN and unique id of its IAM users; none if ``result`` has none.

    One that was made anew is not the run's. Users of ``later`` are added: a forger can only make an undo keep more.
    """
    rows = {object_records.membership_of(row): row["users"] for row in result.get("memberships", ())}
    created = (made for made in state.created if made.kind == model.MEMBERSHIP)
    ids = {made.membership: made.identifier for made in created}
    return {
        key: {*own.items(), *more.items()}
        if (own := rows.get(key)) and (more := later.users_of(key, identifier)) is not None
        else set()
        for key, identifier in sorted(state.memberships.items())
        if ids.get(key) in ("", None, identifier)
    }


def relied_on(
    result: Mapping[str, Any], state: object_records.CreatedState, read_users: ReadUsers, later: RunHistory
) -> dict[object_records.AssignmentKey, str]:
    """The assignments of earlier groups whose members may have no other access to the account, and why.

    These members were in the group before the run. Arguments as for ``needed_memberships``, for members who joined in
    the run.
    """
    before, users = result.get("members", {}), defaultdict[str, dict[str, Mapping[str, str] | None]](dict)
    for row in result.get("memberships", ()):
        key = group_id, user_id = object_records.membership_of(row)
        if user_id in before.get(group_id, ()):
            users[group_id][user_id] = _users_of(key, row, state.membership_ids.get(key, ""), later)
    assigned = {each.assignment for each in state.created if each.kind == model.ASSIGNMENT}
    present = sorted(
        each for each in assigned if each[0] in before and each[1] in state.assignments.get(each[0], ())
    )
    existing = read_users(sorted({each.account_id for _, each in present})) if present else {}
    found: dict[object_records.AssignmentKey, str] = {}
    for group_id, assignment in present:
        there = state.members.get(group_id, frozenset(before[group_id])).intersection(before[group_id])
        unknown = [user for user in sorted(there) if not users[group_id].get(user)]
        missing = {
            text
            for user in there
            for arn, unique in (users[group_id].get(user) or {}).items()
            if arn.split(":")[4] == assignment.account_id and (text := _missing_reason(arn, unique, existing))
        }
        if missing:
            found[group_id, assignment] = f"{shown(sorted(missing))} {_LOCK_OUT}"
        elif unknown:
            found[group_id, assignment] = (
                f"no IAM user is known for the present membership of {shown(unknown)}: {_LOCK_OUT}"
            )
    return found


def relied_on_settings(
    result: Mapping[str, Any], state: object_records.RemovedState, read_users: ReadUsers, later: RunHistory
) -> dict[tuple[str, str], str]:
    """ARN of a permission set and id of an account whose holders may need the settings that the run gave them -> why.

    Holders from before the run, and those whom no run served, get back what they had. Arguments as for
    ``needed_memberships``.
    """
    rows = {object_records.membership_of(row): row for row in result.get("memberships", ())}
    replaced = [
        (arn, object_records.holders_in(each.record))
        for each in state.removed
        if each.kind == object_records.SETTINGS
        and state.holders.get(arn := each.record["permission-set-arn"])
    ]
    accounts = sorted({account for arn, _ in replaced for account, _, _ in state.holders[arn]})
    existing = read_users(accounts) if accounts else {}
    reasons = defaultdict[tuple[str, str], set[str]](set)
    unknown = defaultdict[tuple[str, str], set[str]](set)
    for arn, before in replaced:
        for account, principal, user in state.holders[arn]:
            key = principal, user
            users = _users_of(key, rows.get(key), state.membership_ids.get(key, ""), later)
            if users is None or not (users or (account, user) in before):
                unknown[arn, account].add(user)
            reasons[arn, account] |= {
                text
                for each, unique in (users or {}).items()
                if each.split(":")[4] == account and (text := _missing_reason(each, unique, existing))
            }
    return {
        **{
            place: f"no IAM user is known for the present membership of {shown(sorted(found))}: "
            f"{_LOCK_OUT_SETTINGS}"
            for place, found in unknown.items()
        },
        **{
            place: f"{shown(sorted(found))} {_LOCK_OUT_SETTINGS}" for place, found in reasons.items() if found
        },
    }


def _users_of(
    key: object_records.MembershipKey, row: Mapping[str, Any] | None, identifier: str, later: RunHistory
) -> Mapping[str, str] | None:
    """The IAM users of the membership that has this id now: ARN -> unique id. ``row``: of the run's own, if any.

    Empty if no run served the person by the group. None if others made the membership anew, for unknown users. If a run
    has found it since, it may be for the former IAM users, too.
    """
    found, own = later.users_of(key, identifier), row["users"] if row else {}
    is_anew = bool(row and identifier and row.get("id", "") not in ("", identifier))
    if found is None or (is_anew and not found):
        return None
    if identifier in later.joined:
        return found if is_anew else {**own, **found}
    return {**own, **later.users_between(key)}


def _missing_reason(arn: str, unique_id: str, existing: Mapping[str, Mapping[str, str] | str]) -> str:
    """Why the person may have no access by the IAM user; empty if the person may have."""
    users = existing.get(arn.split(":")[4], {})
    if isinstance(users, str):
        return users
    reason = users.get(unique_id, "has been deleted")
    return reason and f"IAM user {arn} {reason}, so its person may have no other access:"


def _has_other(
    membership: object_records.MembershipKey,
    accounts: Collection[str],
    leaving: set[object_records.MembershipKey],
    reader: CenterReader,
    content: Callable[[model.Assignment], str],
    ending: Callable[[str], Collection[model.Assignment]],
) -> bool:
    """Whether the person keeps all that the membership gives in ``accounts`` without the memberships in ``leaving``.

    ``content``: of an assignment, empty if unknown. ``ending``: of a principal, its assignments that end. Only the same
    permission set, or one with the same content, counts as giving as much. Other sets are not compared.
    """
    group_id, user_id = membership
    listed = reader.assignments.of_group_if_listed
    given = listed(group_id)
    lost = {each for each in given if each.account_id in accounts}
    # Assignments that a delegated administrator can't list may be lost, and don't count as held.
    if model.UNKNOWN_ASSIGNMENT in given or not {each.account_id for each in lost}.issuperset(accounts):
        return False
    staying = [group for group in reader.store.groups_of(user_id) if (group, user_id) not in leaving]
    held = {each for group in staying for each in listed(group).difference(ending(group))}
    held |= reader.assignments.directly_of_if_listed(user_id).difference(ending(user_id))
    contents = {(each.account_id, content(each)) for each in held if each.account_id in accounts}
    return all(
        each in held or ((found := content(each)) and (each.account_id, found) in contents) for each in lost
    )


def _ending(state: object_records.CreatedState) -> Callable[[str], Collection[model.Assignment]]:
    """The assignments of a principal that the undo may end, or whose deletion is in progress."""
    own = defaultdict[str, set[model.Assignment]](set)
    for each in state.created:
        if each.kind == model.ASSIGNMENT:
            group_id, assignment = each.assignment
            own[group_id].add(assignment)
    return lambda principal: own.get(principal, set()) | state.in_progress.deleted_for(principal)


def _contents(reader: CenterReader) -> Callable[[model.Assignment], str]:
    """Reads ``grants_of`` an assignment's permission set in its account; empty if unknown."""
    sets: dict[str, model.KnownPermissionSet | None] = {}

    def content(assignment: model.Assignment) -> str:
        arn = assignment.permission_set_arn
        if arn and arn not in sets:
            sets[arn] = reader.permission_sets.read(arn)
        known = sets.get(arn)
        return (
            object_records.grants_of(known.settings if known else None)
            if _is_current(known, assignment)
            else ""
        )

    return content


def _is_current(known: model.KnownPermissionSet | None, assignment: model.Assignment) -> bool:
    """Whether the account has the permission set's latest form. AWS does not say the content of others."""
    return known is not None and assignment.account_id in known.accounts - known.stale
