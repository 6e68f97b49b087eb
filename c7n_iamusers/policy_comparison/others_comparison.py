# SPDX-License-Identifier: Apache-2.0
"""Whether a policy of others lets one principal of an account do more than another. Pure.

It presumes that the new principal's identity-based policies grant no more than the old one's, which ``comparison``
proves. It compares what the policy trusts, grants and denies them. Grants count only as far as the new principal can
use them: assuming a role through its account also takes its own sts:AssumeRole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from c7n_iamusers.policy_comparison import budgets, other_policies
from c7n_iamusers.policy_comparison.comparison import (
    TOO_COMPLEX,
    Policies,
    RequestSet,
    Witness,
    interpretations,
    uncovered,
)
from c7n_iamusers.policy_comparison.other_policies import Caller, OtherPolicy, standing
from c7n_iamusers.policy_comparison.statement_scope import Bounds, Interpretation, Scope, resolve
from c7n_iamusers.policy_comparison.statements import PolicyStatement


@dataclass(frozen=True)
class _Limits:
    """Allows, denies and boundary of the identity-based policies: a lower or an upper bound."""

    allows: tuple[Scope, ...]
    denies: tuple[Scope, ...]
    boundary: tuple[Scope, ...] | None


@dataclass
class Party:
    """A principal, ``caller``, and its identity-based ``policies``."""

    caller: Caller
    policies: Policies
    _limits: dict[tuple[Interpretation, bool], _Limits] = field(default_factory=dict)

    def limits(self, interpretation: Interpretation, most: bool) -> _Limits:
        """The most that the identity-based policies grant, with only the certain denies; or the reverse."""
        key = (interpretation, most)
        if key not in self._limits:
            own = self._scopes(self.policies.statements, interpretation, most)
            limit = self._scopes(self.policies.boundary or (), interpretation, most)
            boundary = None if self.policies.boundary is None else limit[0]
            self._limits[key] = _Limits(own[0], (*own[1], *limit[1]), boundary)
        return self._limits[key]

    def _scopes(
        self, statements: Iterable[PolicyStatement], interpretation: Interpretation, most: bool
    ) -> tuple[tuple[Scope, ...], tuple[Scope, ...]]:
        bounds = [
            (statement.allows, resolve(statement, self.caller.context, interpretation))
            for statement in statements
        ]
        return (
            _chosen((each for allows, each in bounds if allows), most),
            _chosen((each for allows, each in bounds if not allows), not most),
        )


def _chosen(bounds: Iterable[Bounds], most: bool) -> tuple[Scope, ...]:
    chosen = (bound.most if most else bound.least for bound in bounds)
    return tuple(each for each in chosen if each)


@dataclass(frozen=True)
class _Reading:
    """One interpretation of AWS's documentation. ``everybody_direct``: see ``standing``."""

    interpretation: Interpretation
    everybody_direct: bool


@dataclass(frozen=True)
class _Layer:
    """The least or most that a policy of others says about a party. ``direct``: and whether a boundary limits it."""

    direct: tuple[tuple[Scope, bool], ...]
    delegated: tuple[Scope, ...]
    denies: tuple[Scope, ...]


def _layer(policy: OtherPolicy, party: Party, reading: _Reading, most: bool) -> _Layer:
    direct: list[tuple[Scope, bool]] = []
    delegated: list[Scope] = []
    denies: list[Scope] = []
    for each in policy.statements:
        where = standing(each, policy, party.caller, reading.everybody_direct)
        statement = other_policies.settled(each.statement, party.caller, reading.interpretation)
        if statement is None or where.any == other_policies.NO:
            continue
        bounds = resolve(statement, party.caller.context, reading.interpretation)
        if not statement.allows:
            denies += filter(None, [_cut(bounds, where.any, not most)])
            continue
        direct += [(scope, not where.unbounded) for scope in filter(None, [_cut(bounds, where.direct, most)])]
        delegated += filter(None, [_cut(bounds, where.delegated, most)])
    return _Layer(tuple(direct), tuple(delegated), tuple(denies))


def _cut(bounds: Bounds, applies: other_policies.Answers, most: bool) -> Scope | None:
    """The least or most scope of a statement that ``applies``."""
    if most:
        return bounds.most if True in applies else None
    return bounds.least if applies == other_policies.YES else None


@dataclass(frozen=True)
class _Difference:
    """What a policy of others lets ``new`` do beyond ``old``. ``possible``: all that may be more, else only what
    certainly is.
    """

    policy: OtherPolicy
    new: Party
    old: Party
    reading: _Reading
    possible: bool
    budget: budgets.Budget

    @cached_property
    def _after(self) -> _Layer:
        return _layer(self.policy, self.new, self.reading, self.possible)

    @cached_property
    def _before(self) -> _Layer:
        return _layer(self.policy, self.old, self.reading, not self.possible)

    @cached_property
    def _own(self) -> _Limits:
        return self.new.limits(self.reading.interpretation, self.possible)

    @cached_property
    def _old_own(self) -> _Limits:
        return self.old.limits(self.reading.interpretation, not self.possible)

    @cached_property
    def _denied(self) -> tuple[Scope, ...]:
        return (*self._after.denies, *self._own.denies)

    @property
    def is_none(self) -> bool:
        """Whether the policy's text says the same about both."""
        return not self._after.direct and self._after == self._before

    def witness(self) -> Witness | None:
        """An example. Its action is TOO_COMPLEX if it is unknown whether one exists."""
        if self.is_none:
            return None
        try:
            return next(self._witnesses(), None)
        except budgets.TooComplex:
            return Witness(TOO_COMPLEX, TOO_COMPLEX, "", f"{self.policy.kind} of {self.policy.name}")

    def _witnesses(self) -> Iterator[Witness]:
        if self._gated:
            yield from self._by_delegation()
        else:
            yield from self._by_denies()
        yield from self._by_grants()

    @property
    def _gated(self) -> bool:
        """Whether the principals need the policy's consent, in addition to policies of their own."""
        other_account = self.new.caller.account_id != self.policy.account_id
        return not self.policy.controls and (self.policy.gated or other_account)

    def _usable(self, scope: Scope) -> Iterator[RequestSet]:
        """The requests in ``scope`` that the new principal's own policies allow."""
        requests = RequestSet.of(scope)
        for allow in self._own.allows:
            yield from self._bounded(requests.cut_to(allow))

    def _bounded(self, requests: RequestSet) -> Iterator[RequestSet]:
        if self._own.boundary is None:
            yield requests
        else:
            yield from (requests.cut_to(each) for each in self._own.boundary)

    def _by_delegation(self) -> Iterator[Witness]:
        before = (*self._before.delegated, *(scope for scope, _ in self._before.direct))
        for gate in self._after.delegated:
            for requests in self._usable(gate):
                yield from self._beyond(requests, before, gate.source)
                yield from self._undenied(requests, self._before.denies, gate.source)

    def _by_denies(self) -> Iterator[Witness]:
        """What only the old principal is denied, and what a control allows only the new one."""
        for deny in self._before.denies:
            if not any(each.includes(deny) for each in self._denied):
                for requests in self._usable(deny):
                    yield from self._beyond(requests, (), deny.source)
        # Another control at the same level may allow it to both.
        for allow in self._after.delegated if self.policy.controls and self.possible else ():
            for requests in self._usable(allow):
                yield from self._beyond(requests, self._before.delegated, allow.source)

    def _by_grants(self) -> Iterator[Witness]:
        for grant, bounded in self._after.direct if not self.policy.controls else ():
            whole = RequestSet.of(grant)
            for requests in self._bounded(whole) if bounded else (whole,):
                yield from self._granted(requests, grant.source)

    def _granted(self, requests: RequestSet, source: str) -> Iterator[Witness]:
        direct = tuple(scope for scope, _ in self._before.direct)
        own = self._old_own
        if found := self._first(requests, direct, source):
            # What the resource's policy leaves to the account also needs a policy of the principal.
            allowed = self._first(requests, own.allows, source)
            left = self._first(requests, (*direct, *self._before.delegated), source) if self._gated else None
            if allowed or left:
                yield found
        if self.possible and own.boundary is not None:
            yield from self._beyond(requests, own.boundary, source)
        yield from self._undenied(requests, (*self._before.denies, *own.denies), source)

    def _undenied(self, requests: RequestSet, denies: Iterable[Scope], source: str) -> Iterator[Witness]:
        for deny in denies:
            if not any(each.includes(deny) for each in self._denied):
                yield from self._beyond(requests.cut_to(deny), (), source)

    def _beyond(self, requests: RequestSet, covers: Iterable[Scope], source: str) -> Iterator[Witness]:
        if found := self._first(requests, covers, source):
            yield found

    def _first(self, requests: RequestSet, covers: Iterable[Scope], source: str) -> Witness | None:
        found = uncovered(requests, (*covers, *self._denied), self.budget)
        conditions = "; ".join(sorted(map(str, requests.conditions)))
        return Witness(*found, conditions, source) if found else None


@dataclass(frozen=True)
class Excess:
    """What a policy of others lets only the new principal do.

    ``possible``: an example of what may be more, None if provably nothing is. ``certain``: it is more by every
    interpretation of AWS's documentation, whatever the unknown facts are.
    """

    policy: OtherPolicy
    possible: Witness | None = None
    certain: bool = False


def difference(policy: OtherPolicy, new: Party, old: Party) -> Excess:
    """The finding on ``policy``. An incomparable policy may always let the new principal do more."""
    unknown = Excess(policy, Witness(TOO_COMPLEX, TOO_COMPLEX, "", f"{policy.kind} of {policy.name}"))
    if policy.problem:
        return unknown
    try:
        budgets.check_time()
        return _difference(policy, new, old)
    except Exception:  # noqa: BLE001  # also OutOfTime: whatever a policy of others has, it is told as undecided
        return unknown


def _difference(policy: OtherPolicy, new: Party, old: Party) -> Excess:
    """Raises OutOfTime."""

    def between(reading: _Reading, possible: bool) -> _Difference:
        return _Difference(policy, new, old, reading, possible, budgets.Budget())

    everybody = (False,) if policy.controls else (True, False)
    own = Policies(tuple(statement.statement for statement in policy.statements))
    # For equal scopes it doesn't matter whether wildcards match colons.
    alike = (each for each in interpretations(own) if not each.by_segment)
    if all(between(_Reading(each, direct), True).is_none for each in alike for direct in everybody):
        return Excess(policy)
    readings = [
        _Reading(interpretation, direct)
        for interpretation in interpretations(new.policies, old.policies, own)
        for direct in everybody
    ]
    found = [between(each, True).witness() for each in readings]
    first = next((each for each in found if each), None)
    if first is None:
        return Excess(policy)
    sure = [between(each, False).witness() for each in readings] if all(found) else [None]
    return Excess(policy, first, all(each and each.action != TOO_COMPLEX for each in sure))
