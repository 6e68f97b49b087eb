# SPDX-License-Identifier: Apache-2.0
"""The settings that a permission set had before a run, and the accounts in which an undo restores them. Pure.

Each account is provisioned on its own. An account keeps its present form if it had an earlier form before the run,
because AWS does not say what that allowed, or if its people may need what the run gave them. The others are restored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from c7n_iamusers.derivation.requested_permission_set import PermissionSet, duration_seconds
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.object_records import SETTINGS
from c7n_iamusers.identity_center.planning import permission_sets
from c7n_iamusers.identity_center.undo.undo_plan import Kept
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
#: What to do about an account that keeps its form while the permission set gets back its settings.
_KEEPS = (
    "it keeps what it has now: don't assign it there; after this undo, provision the permission set there by a run "
    "with the earlier policies, whose plan says who gets what, or undo the run before, too; or remove the permission "
    "set's assignments there"
)
#: The same if the permission set stays unchanged because its other accounts need that.
_STAYS = (
    "it keeps what it has now, and the permission set stays as it is, too: don't provision or assign it there; settle "
    "the other accounts first, and run the undo again; or remove the permission set's assignments there"
)
#: The same if a later run or others have changed the permission set.
_CHANGED_LATER = (
    f"{_CHANGED}: don't provision or assign it there; undo the later runs first, and run the undo again; or remove the "
    "permission set's assignments there"
)
#: {}: user ids.
_HELD_SINCE = "{} did not hold it there before the run"
_END_FIRST = ": end their access by it there first"


@dataclass(frozen=True)
class FormerSettings:
    """The ``settings`` of a permission set before a run that ``requested`` others; None if these are unknown.

    ``accounts``: those in which they are restored. ``widening``: those of them in which they may allow more than the
    present form; ``narrowing``: less. ``holders``: account id and user id of those who had them. ``losing``: of those
    who have the present ones, as known to the plan.
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
        """Why they are not restored to the present permission set; empty if they may be.

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
        """How they are restored to the present permission set.

        ``earlier``: the accounts that had an earlier form before the run. ``relied_on``: see
        ``restorations.plan_restoration``.
        """
        had = known.accounts.intersection(earlier)
        if self.requested and not permission_sets.has_changes(
            self.requested, replace(known, settings=self.settings), instance
        ):
            # The run has only provisioned it. If it was changed later, the accounts with a later form have that.
            is_as_before = not permission_sets.has_changes(self.settings, known, instance)
            lost = had - known.stale if is_as_before else had & known.stale
            remedy = _PROVISIONED if is_as_before else _CHANGED_LATER
            return Restored(self, kept=tuple(self._kept_as_lost(lost, remedy)))
        calls = permission_sets.permission_set_calls(self.settings, known, instance)
        possible = permission_sets.accounts_to_provision(self.settings, known, instance, known.accounts)
        # If people would have been refused them, others may have provisioned the account since.
        refusing = self.requested and permission_sets.may_widen(self.settings, self.requested)
        provisioned = (known.accounts if refusing else had) - possible
        settled = tuple(self._held_since(provisioned)) if not calls else ()
        if not (calls or possible):
            return Restored(self, kept=settled)
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
        # If all accounts keep the present settings, these stay the definition.
        stays = bool(needed and calls and not accounts)
        kept = (
            *self._kept_as_lost(lost, _STAYS if stays else _KEEPS),
            *settled,
            *self._kept_as_needed(needed),
        )
        return Restored(former, "", () if stays else calls, kept, frozenset(needed))

    def since(self, accounts: Collection[str]) -> frozenset[tuple[str, str]]:
        """Account id and user id of its holders in ``accounts`` who did not hold it before the run."""
        return frozenset(each for each in self.losing - self.holders if each[0] in accounts)

    def _kept_as_lost(self, accounts: Collection[str], remedy: str) -> Iterator[Kept]:
        for account in sorted(accounts):
            reason = f"can't be restored: {LOST.format(account)}"
            if held := self._users_since(account):
                reason += f", and {_HELD_SINCE.format(held)}{_END_FIRST}"
            yield Kept(self._title(account), reason, remedy=remedy)

    def _held_since(self, accounts: Collection[str]) -> Iterator[Kept]:
        """The fault that people have former settings that they never had: no undo has provisioned these accounts."""
        for account in sorted(accounts):
            if held := self._users_since(account):
                yield Kept(
                    self._title(account),
                    f"it was provisioned there, and {_HELD_SINCE.format(held)}",
                    remedy="end their access by it there, or keep it if a reviewed run gave it to them",
                )

    def _users_since(self, account: str) -> str:
        return shown(sorted(user for _, user in self.since({account})))

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
