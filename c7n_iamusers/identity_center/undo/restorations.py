# SPDX-License-Identifier: Apache-2.0
"""The plan that restores what a run removed, without giving a person more than was removed. Pure.

A deleted group or permission set is recreated from its record. If an interrupted undo or others have recreated it, it
is used only if it is unchanged: a membership is restored only if its group gives nothing else than before, and an
assignment only if no person has joined the group since. Former settings of a permission set come back if it has only
settings from before the run and from the run. Where they may allow more, they come back only to those who had them. All
this is checked again right before each call: see ``restoration_rechecks``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import ApiCall, Ref
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.object_records import SETTINGS, RemovedState, content_of, holders_in
from c7n_iamusers.identity_center.planning import operations, permission_sets
from c7n_iamusers.identity_center.planning.account_provisioning import Provisioning, way_out
from c7n_iamusers.identity_center.planning.changeset import assignment_key, group_key, set_key
from c7n_iamusers.identity_center.planning.set_contents import administrative, changed, granted
from c7n_iamusers.identity_center.requests.intents import permission_set_from
from c7n_iamusers.identity_center.undo.former_settings import LOST, NOT_OURS, FormerSettings
from c7n_iamusers.identity_center.undo.undo_plan import Kept
from c7n_iamusers.text.wording import shown

NEW_ROLE = (
    "a new permission set: its role in each account has a new name (AWSReservedSSO_{}_...): update trust, bucket and "
    "key policies that name the old one"
)
NEW_GROUP = "a new group id: assign the applications of the old group to this one"

#: {}: accounts.
_EARLIER_FORM = (
    "account {} has an earlier form of its permission set, whose content AWS does not tell: provision it there by a "
    "run that requests it, whose plan says who gets what, and run the undo again"
)
_SET_CHANGED = "its permission set no longer exists, or has changed"
NO_GROUP = "its group no longer exists, or is not managed"


#: The ``record`` of a removed object.
Record = Mapping[str, Any]


@dataclass(frozen=True)
class RestorationPlan:
    """``changes`` in an order in which they can be made. ``kept``: what is not restored.

    ``permission_sets``: by name, those to recreate. ``of_people``: user id -> the keys of the changes that restore the
    user's memberships. ``returning``: account id and user id -> the keys of changes that restore the user's access to
    the account by assignments of groups that stayed. ``existing``: the ``deletion_key`` of objects that exist again.
    ``former``: key of an assignment's change -> the former members of its group. ``unexpected``: the user ids that
    ``kept`` names. ``settings``: keys of the changes of a permission set -> the settings to restore. ``records``: key
    of an assignment's or a membership's change -> its record.
    """

    changes: tuple[access_plan.Change, ...] = ()
    kept: tuple[Kept, ...] = ()
    permission_sets: Mapping[str, PermissionSet] = field(default_factory=dict)
    of_people: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    returning: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    existing: frozenset[str] = frozenset()
    former: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unexpected: frozenset[str] = frozenset()
    settings: Mapping[str, FormerSettings] = field(default_factory=dict)
    records: Mapping[str, Record] = field(default_factory=dict)

    def returning_to(self, accounts: Collection[str], users: Iterable[str]) -> set[str]:
        """The keys of the changes that give ``users`` ``accounts`` again. Only then does their replacement end."""
        if model.UNKNOWN_ASSIGNMENT.account_id in accounts:
            accounts = {account for account, _ in self.returning}
        members = ((account, user) for user in users for account in accounts)
        return {key for member in members for key in self.returning.get(member, ())}


def deletion_key(kind: str, *ids: str) -> str:
    """The key of the deletion of an existing object."""
    return f"{kind} {'/'.join(ids)}"


def plan_restoration(
    removed_state: RemovedState,
    instance: model.Instance,
    requested: Mapping[str, PermissionSet] | None = None,
    relied_on: Mapping[tuple[str, str], str] | None = None,
) -> RestorationPlan:
    """The plan for ``removed_state.removed``. Raises KeyError, TypeError for malformed records.

    ``requested``: the run's requested permission sets, by name. ``relied_on``: ARN of a permission set and id of an
    account whose holders may need the present settings -> why.
    """
    return _Restoration(removed_state, instance, requested or {}, relied_on or {}).result()


class _Restoration:
    """Each step returns why its object can't be restored; empty if it is restored or exists."""

    def __init__(
        self,
        removed_state: RemovedState,
        instance: model.Instance,
        requested: Mapping[str, PermissionSet],
        relied_on: Mapping[tuple[str, str], str],
    ) -> None:
        self._removed_state, self._instance, self._of_run = removed_state, instance, requested
        self._relied_on = relied_on
        self._settings: dict[str, FormerSettings] = {}
        self._kept: list[Kept] = []
        self._records: dict[str, Record] = {}
        self._former: defaultdict[str, set[str]] = defaultdict(set)
        for each in removed_state.removed:
            if each.kind == model.MEMBERSHIP:
                self._former[each.record["group-id"]].add(each.record["user-id"])
        self._changes: list[access_plan.Change] = []
        self._requested: dict[str, PermissionSet] = {}
        self._of_people: defaultdict[str, list[str]] = defaultdict(list)
        self._existing: set[str] = set()
        self._unexpected: set[str] = set()
        #: Former ARN of a permission set -> its ARN now or after the undo, and its content.
        self._sets: dict[str, tuple[str | Ref, str]] = {}
        #: Former id of a group -> its id now or after the undo.
        self._group_ids: dict[str, str | Ref] = {}
        #: Former id of a group -> its restored assignments, each with the content of the permission set.
        self._grants: defaultdict[str, list[tuple[model.Grant, str]]] = defaultdict(list)

    def result(self) -> RestorationPlan:
        steps: dict[str, Callable[[Record], str]] = {
            model.PERMISSION_SET: self._permission_set,
            model.GROUP: self._group,
            model.ASSIGNMENT: self._assignment,
            model.MEMBERSHIP: self._membership,
            SETTINGS: self._former_settings,
        }
        kept = [
            Kept(f"{each.kind} {_title(each.kind, each.record)}", f"can't be restored: {reason}")
            for kind, step in steps.items()
            for each in self._removed_state.removed
            if each.kind == kind and (reason := step(each.record))
        ]
        of_people = {user: tuple(keys) for user, keys in self._of_people.items()}
        former = {
            assignment_key(
                each.record["group"], model.Grant(each.record["account"], each.record["permission-set"])
            ): frozenset(self._members_before(each.record))
            for each in self._removed_state.removed
            if each.kind == model.ASSIGNMENT
        }
        return RestorationPlan(
            tuple(self._changes),
            (*kept, *self._kept),
            self._requested,
            of_people,
            self._returning(),
            frozenset(self._existing),
            former,
            frozenset(self._unexpected),
            self._settings,
            self._records,
        )

    def _returning(self) -> dict[tuple[str, str], list[str]]:
        found = defaultdict[tuple[str, str], list[str]](list)
        for key, record in self._records.items():
            group = self._removed_state.groups.get(record["group-id"])
            for user_id in group.members if group and "account" in record else ():
                found[record["account"], user_id].append(key)
        return dict(found)

    def _permission_set(self, record: Record) -> str:
        arn, requested = record["permission-set-arn"], permission_set_from(record["settings"])
        if not requested.is_managed:
            return NOT_OURS
        known = self._removed_state.permission_sets.get(arn)
        content = content_of(requested)
        if known:
            try:
                permission_sets.check_permission_set(requested, known)
            except IdentityCenterError as error:
                return str(error)
            self._sets[arn] = known.arn, content_of(known.settings)
            if content == content_of(known.settings):
                self._existing.add(deletion_key(model.PERMISSION_SET, known.arn))
                return ""
            if known.accounts:
                return f"permission set {requested.name} exists with other settings"
        # An interrupted undo has left it incomplete and unassigned.
        calls = permission_sets.permission_set_calls(requested, known, self._instance)
        key = set_key(requested.name)
        self._sets[arn] = known.arn if known else Ref(f"{key}:{permission_sets.PERMISSION_SET_ARN}"), content
        self._requested[requested.name] = requested
        details = (NEW_ROLE.format(requested.name), *granted(requested))
        self._add(key, model.PERMISSION_SET, record, calls, (), details, administrative(requested, {}))
        return ""

    def _former_settings(self, record: Record) -> str:
        arn, settings = record["permission-set-arn"], permission_set_from(record["settings"])
        former = FormerSettings(arn, settings, self._of_run.get(settings.name))
        known = self._removed_state.permission_sets.get(arn)
        if known is None or known.arn != arn:
            return former.reason(None)
        held = self._removed_state.holders.get(arn, frozenset())
        losing = frozenset((account, user) for account, _, user in held)
        former = replace(former, holders=holders_in(record), losing=losing)
        restored = former.by_accounts(known, record["stale"], self._relied_on, self._instance)
        self._kept += restored.kept
        named = restored.needed.union(record["stale"])
        self._unexpected.update(user for account, _, user in held if account in named)
        self._unexpected.update(user for _, user in former.since(known.accounts))
        key, accounts = f"{SETTINGS} {settings.name}", restored.former.accounts
        if restored.calls:
            details = tuple(changed(known.settings, settings))
            admin = administrative(settings, {})
            self._add(
                key, model.PERMISSION_SET, record, restored.calls, (), details, admin, access_plan.UPDATE
            )
        of_set = Provisioning(settings, known, self._instance, accounts, key, known.accounts - accounts)
        provisioning = [
            replace(change, remedy=way_out(account, is_requested=False)) if account else change
            for account, change in of_set.changes()
        ]
        self._settings |= dict.fromkeys([key, *(each.key for each in provisioning)], restored.former)
        self._changes += provisioning
        return restored.reason

    def _group(self, record: Record) -> str:
        group_id, name = record["group-id"], record["group"]
        known = self._removed_state.groups.get(group_id)
        if not record["description"].startswith(model.MANAGED_GROUP):
            return NOT_OURS
        if known and known.description != record["description"]:
            return "another group has its name"
        if known:
            self._group_ids[group_id] = known.group_id
            self._existing.add(deletion_key(model.GROUP, known.group_id))
            return ""
        key = group_key(name)
        self._group_ids[group_id] = Ref(f"{key}:{operations.GROUP_ID}")
        call = operations.group_creation(name, record["description"], self._instance)
        self._add(key, model.GROUP, record, (call,), details=(NEW_GROUP,))
        return ""

    def _assignment(self, record: Record) -> str:
        account, group_id = record["account"], self._group_id(record)
        known = self._removed_state.groups.get(record["group-id"])
        if known and "members" in record and known.group_id == record["group-id"]:
            # The group stayed, and may be others'.
            group_id = known.group_id
        if group_id is None:
            return NO_GROUP
        arn, content = self._set(record["permission-set-arn"])
        if content != record["content"] or not content:
            return _SET_CHANGED if record["content"] else LOST.format(account)
        if known and model.Assignment(account, str(arn)) in known.assignments:
            self._existing.add(deletion_key(model.ASSIGNMENT, account, str(arn), known.group_id))
            if model.Assignment(account, str(arn)) in self._removed_state.in_progress.held(known):
                return ""
        joined = sorted(known.members - self._members_before(record)) if known else []
        if joined:
            self._unexpected.update(joined)
            return f"people have joined the group since ({shown(joined)})"
        set_now = self._removed_state.permission_sets.get(record["permission-set-arn"])
        if set_now and account in set_now.stale:
            return _EARLIER_FORM.format(account)
        grant = model.Grant(account, record["permission-set"])
        key = assignment_key(record["group"], grant)
        self._records[key] = record
        self._grants[record["group-id"]].append((grant, content))
        call = operations.assignment_creation(account, arn, group_id, self._instance)
        needs = (set_key(grant.permission_set), group_key(record["group"]))
        self._add(key, model.ASSIGNMENT, record, (call,), needs)
        asked = model.Pending(account, str(arn), str(group_id))
        self._changes[-1] = self._changes[-1].making(asked, self._removed_state.in_progress)
        return ""

    def _members_before(self, record: Record) -> set[str]:
        """The user ids of the removed assignment's holders."""
        return self._former[record["group-id"]] | {*record.get("members", ())}

    def _membership(self, record: Record) -> str:
        user_id, group_id = record["user-id"], self._group_to_join(record)
        known = self._removed_state.groups.get(record["group-id"])
        if user_id not in self._removed_state.people:
            return "its user no longer exists"
        if group_id is None:
            return NO_GROUP
        if known and user_id in known.members:
            self._existing.add(deletion_key(model.MEMBERSHIP, known.group_id, user_id))
            return ""
        returning = self._grants[record["group-id"]]
        held = self._removed_state.held
        if reason := gives_more(
            record, known, held, [(grant.account_id, content) for grant, content in returning]
        ):
            return reason
        key = f"{model.MEMBERSHIP} {user_id}/{record['group']}"
        self._of_people[user_id].append(key)
        call = operations.membership_creation(group_id, user_id, self._instance)
        needs = [assignment_key(record["group"], grant) for grant, _ in returning]
        gained = {grant for grant, _ in returning} | {
            model.Grant(each.account_id, held[each.permission_set_arn].settings.name)
            for each in (known.assignments if known else ())
        }
        details = tuple(f"gains {grant}" for grant in sorted(gained))
        self._records[key] = record
        self._add(key, model.MEMBERSHIP, record, (call,), (*needs, group_key(record["group"])), details)
        return ""

    def _group_id(self, record: Record) -> str | Ref | None:
        """The id of the group if it exists and is managed, or will be recreated."""
        group_id: str = record["group-id"]
        known = self._removed_state.groups.get(group_id)
        if known and known.group_id == group_id:
            return group_id if known.is_managed else None
        return self._group_ids.get(group_id)

    def _group_to_join(self, record: Record) -> str | Ref | None:
        """The same, even for a group that others made, if it has a managed permission set: a run filled it."""
        known, held = self._removed_state.groups.get(record["group-id"]), self._removed_state.held
        if known is None or known.group_id != record["group-id"] or known.is_managed:
            return self._group_id(record)
        sets = (held.get(assignment.permission_set_arn) for assignment in known.assignments)
        return known.group_id if any(each and each.settings.is_managed for each in sets) else None

    def _set(self, arn: str) -> tuple[str | Ref, str]:
        known = self._removed_state.permission_sets.get(arn)
        found = (known.arn, content_of(known.settings)) if known else (arn, "")
        return self._sets.get(arn, found)

    def _add(
        self,
        key: str,
        kind: str,
        record: Record,
        calls: tuple[ApiCall, ...],
        needs: tuple[str, ...] = (),
        details: tuple[str, ...] = (),
        administrative: str = "",
        action: str = "",
    ) -> None:
        title = _title(kind, record)
        subject = self._instance.subject(kind, title)
        action = action or (access_plan.ASSIGN if kind == model.ASSIGNMENT else access_plan.CREATE)
        self._changes.append(
            access_plan.Change(
                key,
                kind,
                action,
                title,
                subject,
                calls,
                needs,
                details=details,
                administrative=administrative,
            )
        )


def gives_more(
    record: Record,
    group: model.KnownGroup | None,
    held: Mapping[str, model.KnownPermissionSet],
    returning: Iterable[tuple[str, str]] = (),
) -> str:
    """Why the membership of ``record`` may now give more in ``group`` than before; empty if it does not.

    ``held``: by ARN, the permission sets of the group. ``returning``: account id and content of what the undo restores.
    """
    assignments = group.assignments if group else frozenset()
    given, found = {(account, content) for account, content in record["gives"] if content}, {*returning}
    for assignment in assignments:
        known = held.get(assignment.permission_set_arn)
        found.add((assignment.account_id, content_of(known.settings if known else None)))
    if further := sorted({account for account, _ in found - given}):
        return f"its group gives other access than before, in account {shown(further)}"
    stale = {
        assignment.account_id
        for assignment in assignments
        if (known := held.get(assignment.permission_set_arn)) and assignment.account_id in known.stale
    }
    return (
        f"its group gives other access than before, perhaps: {_EARLIER_FORM.format(shown(sorted(stale)))}"
        if stale
        else ""
    )


def set_changed(record: Record, known: model.KnownPermissionSet | None) -> str:
    """Why the assignment of ``record`` may give something else by the present permission set; empty if it does not."""
    if known is None or content_of(known.settings) != record["content"]:
        return _SET_CHANGED
    return _EARLIER_FORM.format(record["account"]) if record["account"] in known.stale else ""


def _title(kind: str, record: Record) -> str:
    if kind in (model.PERMISSION_SET, SETTINGS):
        return str(record["settings"]["name"])
    if kind == model.ASSIGNMENT:
        return f"{record['group']} -> {record['permission-set']} in account {record['account']}"
    return f"{record['username']} in {record['group']}" if kind == model.MEMBERSHIP else str(record["group"])
