# SPDX-License-Identifier: Apache-2.0
"""A permission set in its accounts: one request for all of them, or one for each, which fails alone. Pure.

AWS does not tell of which account a request for all of them has failed, nor what became of the others. So when that
fails, each account is provisioned on its own: one in which AWS can't provision, as it is closed or lacks a
customer-managed policy, holds up neither what others get nor what is withdrawn there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from sys import intern

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.planning import permission_sets


def provisioning_key(set_name: str, account: str = "") -> str:
    """The key of the change that provisions a permission set to the account; by default to all at once."""
    return intern(f"{model.PROVISIONING} {account or 'all'}/{set_name}")


def way_out(account: str) -> str:
    """What to do about an account in which AWS refuses something, besides correcting it."""
    return intern(
        f"until that works, account {account} can be left out (-a with the other accounts, or without its intents)"
    )


@dataclass(frozen=True)
class Provisioning:
    """How the permission set ``known`` is provisioned. ``need``: the key of the change of its settings.

    ``accounts``: see ``permission_sets.accounts_to_provision``.
    """

    requested: PermissionSet
    known: model.KnownPermissionSet
    instance: model.Instance
    accounts: Collection[str]
    need: str

    def changes(self) -> Iterator[tuple[str, access_plan.Change]]:
        """The changes, each with its account; empty for the one of all accounts."""
        name, known = self.requested.name, self.known
        every = ""
        if permission_sets.is_provisioned_anew(self.requested, known, self.instance):
            every = provisioning_key(name)
            yield "", self._change(every, "", known.accounts)
        targets = permission_sets.accounts_to_provision(self.requested, known, self.instance, self.accounts)
        for account in sorted(targets):
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
