# SPDX-License-Identifier: Apache-2.0
"""Provisions a permission set to its accounts: with one request for all, or one for each, which fails alone. Pure.

If a request for all fails, AWS names neither the account nor the results for the others. So each account is then
provisioned on its own. An account in which AWS can't provision, because it is closed or lacks a customer-managed
policy, thus holds up neither new access nor withdrawals in others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from sys import intern

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.planning import permission_sets
from c7n_iamusers.identity_center.planning.unrequested_access import accounts_by_set
from c7n_iamusers.text.wording import shown


def provisioning_key(set_name: str, account: str = "") -> str:
    """The key of the change that provisions a permission set to the account, by default to all at once."""
    return intern(f"{model.PROVISIONING} {account or 'all'}/{set_name}")


def way_out(account: str, is_requested: bool = True, groups: Sequence[str] = ()) -> str:
    """What to do about an account in which AWS refuses something, besides correcting the cause.

    ``is_requested``: the run has intents of the account. ``groups``: shared groups that give an earlier form there.
    """
    ways = []
    if is_requested:
        ways.append(
            f"until that works, account {account} can be left out (-a with the other accounts, or without its intents)"
        )
    if groups:
        ways.append(
            f"nobody new joins group {shown(groups)} until account {account} is corrected: remove the group's "
            "assignment there, or give another group name"
        )
    if not ways:
        ways.append(f"if account {account} is closed, remove the permission set's assignments there")
    return intern("; ".join(ways))


def earlier_form(group: str, name: str, account: str) -> str:
    """Why nobody may join a group that gives a permission set in an account with an earlier form of it."""
    return (
        f"group {group} gives permission set {name} in account {account}, which has an earlier form of it, and AWS "
        "does not tell what that allows, so nobody new joins: run with the intents of that account; or, if it has none "
        "or is closed, remove the group's assignment there, or give another group name"
    )


def earlier_forms(
    desired: model.DesiredAccess, state: model.CenterState, instance: model.Instance
) -> dict[str, str]:
    """Name of a group that gives an earlier form of a managed permission set, unless this run provisions that ->
    ``earlier_form``.

    The run may be over other accounts, or by another policy than the one that changed the permission set. A reviewer
    decides on earlier forms of others' permission sets.
    """
    sets, accounts = state.sets_by_arn, accounts_by_set(desired.groups.values())
    found: dict[str, str] = {}
    for name, group in state.groups.items():
        for assigned in sorted(group.assignments):
            known = sets.get(assigned.permission_set_arn)
            if known is None or not known.settings.is_managed or assigned.account_id not in known.stale:
                continue
            set_name = known.settings.name
            requested = desired.permission_sets.get(set_name)
            if requested is None or assigned.account_id not in permission_sets.accounts_to_provision(
                requested, known, instance, accounts.get(set_name, frozenset())
            ):
                found.setdefault(name, earlier_form(name, set_name, assigned.account_id))
    return found


@dataclass(frozen=True)
class Provisioning:
    """How the permission set ``known`` is provisioned. ``need``: the key of the change of its settings.

    ``accounts``: see ``permission_sets.accounts_to_provision``. ``left``: unchanged accounts, because of which each of
    the others is provisioned on its own.
    """

    requested: PermissionSet
    known: model.KnownPermissionSet
    instance: model.Instance
    accounts: Collection[str]
    need: str
    left: Collection[str] = frozenset()

    def changes(self) -> Iterator[tuple[str, access_plan.Change]]:
        """The changes, each with its account; empty for the one of all accounts."""
        name, known = self.requested.name, self.known
        every = ""
        anew = permission_sets.is_provisioned_anew(self.requested, known, self.instance)
        if anew and known.accounts.isdisjoint(self.left):
            every = provisioning_key(name)
            yield "", self._change(every, "", known.accounts)
        targets = permission_sets.accounts_to_provision(self.requested, known, self.instance, self.accounts)
        for account in sorted(targets.difference(self.left)):
            change = self._change(provisioning_key(name, account), account, frozenset({account}))
            yield account, replace(change, instead_of=every)

    def _change(self, key: str, account: str, accounts: frozenset[str]) -> access_plan.Change:
        name = self.requested.name
        return access_plan.Change(
            key,
            model.PROVISIONING,
            access_plan.PROVISION,
            f"{name} in account {account}" if account else f"{name} in all its accounts",
            self.instance.subject(model.PERMISSION_SET, name, account),
            (permission_sets.provisioning_call(self.known, self.instance, account),),
            (self.need,),
            accounts=accounts,
            identifier=self.known.arn,
        )
