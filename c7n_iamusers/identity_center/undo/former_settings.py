# SPDX-License-Identifier: Apache-2.0
"""The settings that a permission set had before a run, and the accounts in which an undo restores them. Pure.

Each account is provisioned on its own. One that had an earlier form before the run keeps what it has now, as AWS does
not tell what that form allowed; so does one whose people may need what the run gave them. The others are restored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from c7n_iamusers.derivation.requested_permission_set import PermissionSet, duration_seconds
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.object_records import SETTINGS, Kept
from c7n_iamusers.identity_center.planning import permission_sets
from c7n_iamusers.identity_center.planning.account_provisioning import by_hand
from c7n_iamusers.text.wording import shown

NOT_OURS = "it is not managed, so no run removed it"
_CHANGED = "its settings have changed since the run"
#: {}: accounts.
LOST = "account {} had an earlier form of it before the run, whose content AWS does not tell"
#: What to do about an account with an earlier form that a run has provisioned without changing any settings.
_PROVISIONED = (
    "it has the settings now that the permission set had before the run: undo the run that gave it these, too, or run "
    "with other policies"
)
#: {}: an AWS CLI command, and the account.
_KEEPS = (
    "it keeps what it has now: after this undo, provision the permission set there, by a run with the earlier policies "
    "or by hand ({}), or undo the run before, too; from a closed account, remove its assignments"
)


@dataclass(frozen=True)
class FormerSettings:
    """The ``settings`` of a permission set before a run, which ``requested`` others; None if that is not known.

    ``accounts``: those in which they are restored. ``widening``: those of them in which they may allow more than what
    the account has now; ``narrowing``: less. ``holders``: account id and user id of those who had them. ``losing``: of
    those who have those of now, as the plan knows them.
    """

    arn: str
    settings: PermissionSet
    requested: PermissionSet | None
    accounts: frozenset[str] = frozenset()
    widening: frozenset[str] = frozenset()
    narrowing: frozenset[str] = frozenset()
    holders: frozenset[tuple[str, str]] = frozenset()
    losing: frozenset[tuple[str, str]] = frozenset()

    def reason(self, known: model.KnownPermissionSet | None) -> str:
        """Why they are not restored to the permission set as it is now; empty if they may be.

        A run that stopped in the middle of its change has left some settings of before and some of its own.
        """
        if known is None or known.arn != self.arn:
            return "the permission set no longer exists"
        if not known.settings.is_managed:
            return NOT_OURS
        if self.requested is None:
            return "the result of the run does not have what it requested"
        now, either = known.settings, (self.settings, self.requested)
        sets = [
            (now.managed_policies, *(each.managed_policies for each in either)),
            (now.customer_policies, *(each.customer_policies for each in either)),
        ]
        same = all(old & new <= present <= old | new for present, old, new in sets)
        same &= now.inline_policy in [each.inline_policy for each in either]
        same &= now.boundary in [each.boundary for each in either]
        same &= now.description in [each.description for each in either]
        same &= now.relay_state in [each.relay_state for each in either]
        same &= duration_seconds(now.session_duration) in [
            duration_seconds(each.session_duration) for each in either
        ]
        return "" if same else _CHANGED

    def by_accounts(
        self,
        known: model.KnownPermissionSet,
        earlier: Collection[str],
        relied_on: Mapping[tuple[str, str], str],
        instance: model.Instance,
    ) -> Restored:
        """How they are restored to the permission set as it is now.

        ``earlier``: the accounts that had an earlier form before the run. ``relied_on``: see
        ``restorations.plan_restoration``.
        """
        had = known.accounts.intersection(earlier)
        if self.requested and not permission_sets.has_changes(
            self.requested, replace(known, settings=self.settings), instance
        ):
            # The run has only provisioned it. Whatever changed it since, the accounts with a later form have that.
            is_as_before = not permission_sets.has_changes(self.settings, known, instance)
            lost = had - known.stale if is_as_before else had & known.stale
            remedy = _PROVISIONED if is_as_before else ""
            return Restored(self, kept=tuple(self._kept_as_lost(lost, instance, remedy)))
        calls = permission_sets.permission_set_calls(self.settings, known, instance)
        possible = permission_sets.accounts_to_provision(self.settings, known, instance, known.accounts)
        if not (calls or possible):
            return Restored(self)
        if reason := self.reason(known):
            return Restored(self, reason)
        more, less = (
            permission_sets.may_widen(self.settings, known.settings),
            permission_sets.may_widen(known.settings, self.settings),
        )
        widening = possible if more else possible & known.stale
        narrowing = possible if less else possible & known.stale
        lost = possible & had
        needed = {
            account: relied_on[self.arn, account]
            for account in sorted(narrowing - lost)
            if (self.arn, account) in relied_on
        }
        accounts = possible - lost - needed.keys()
        former = replace(
            self, accounts=accounts, widening=widening & accounts, narrowing=narrowing & accounts
        )
        kept = (*self._kept_as_lost(lost, instance), *self._kept_as_needed(needed))
        # Where all keep the settings of now, these stay the definition.
        return Restored(former, "", () if needed and not accounts else calls, kept, frozenset(needed))

    def _kept_as_lost(
        self, accounts: Collection[str], instance: model.Instance, remedy: str = ""
    ) -> Iterator[Kept]:
        for account in sorted(accounts):
            told = remedy or _KEEPS.format(by_hand(model.Assignment(account, self.arn), instance))
            yield Kept(self._title(account), f"can't be restored: {LOST.format(account)}", remedy=told)

    def _kept_as_needed(self, needed: Mapping[str, str]) -> Iterator[Kept]:
        accounts = defaultdict[str, list[str]](list)
        for account, reason in needed.items():
            accounts[reason].append(account)
        for reason, found in accounts.items():
            yield Kept(self._title(shown(found)), f"can't be restored: {reason}")

    def _title(self, accounts: str) -> str:
        return f"{SETTINGS} {self.settings.name} in account {accounts}"


@dataclass(frozen=True)
class Restored:
    """How ``former`` settings are restored: by ``calls``, and in ``former.accounts``. ``reason``: why not at all.

    ``kept``: what accounts keep, and why. ``needed``: the accounts among them whose people may need it.
    """

    former: FormerSettings
    reason: str = ""
    calls: tuple[ApiCall, ...] = ()
    kept: tuple[Kept, ...] = ()
    needed: frozenset[str] = frozenset()
