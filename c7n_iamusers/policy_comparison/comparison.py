# SPDX-License-Identifier: Apache-2.0
"""Whether one set of policies grants no more than another, over all possible requests, with the proof. Pure.

It takes the requests that the new policies can grant, and removes those that the old policies certainly grant. If none
is left, the new policies are proven to grant no more. Otherwise the rest gives an example, a witness.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

from c7n_iamusers.policy_comparison import budgets, patterns
from c7n_iamusers.policy_comparison.conditions import Condition, implied
from c7n_iamusers.policy_comparison.principals import RequestContext
from c7n_iamusers.policy_comparison.statement_scope import PLAIN, Bounds, Interpretation, Scope, resolve
from c7n_iamusers.policy_comparison.statements import PolicyStatement

#: The verdicts.
EQUAL, NARROWER, WIDER, UNDECIDED = "equal", "narrower", "wider", "undecided"
#: The verdicts that need an ``accept`` of the user before a person gets the set.
UNPROVEN = frozenset({WIDER, UNDECIDED})
#: What happens to a statement or policy in the permission set.
CARRIED, TRANSLATED, LEFT_OUT = "carried", "translated", "left-out"


@dataclass(frozen=True)
class Witness:
    """A request that the new policies grant, and the old ones are not proven to grant.

    ``action`` (in lower case) and ``resource``: an example. ``conditions``: of the grant, empty for none.
    ``statement``: the statement that grants it.
    """

    action: str
    resource: str
    conditions: str
    statement: str


@dataclass(frozen=True)
class PolicyMapping:
    """What happens to one statement of the user, or to a whole policy.

    ``source``: the statement, in words. ``how``: CARRIED, TRANSLATED or LEFT_OUT. ``target``: its place in the
    permission set, empty if it is left out.
    """

    source: str
    how: str
    target: str = ""


@dataclass(frozen=True)
class Remark:
    """A statement that could not be used unchanged, and what to do about it. ``id``: for programs to match on."""

    id: str
    source: str
    text: str
    remedy: str = ""


#: Whether policies of others were looked at.
READ, UNREADABLE, NOT_ASKED = "read", "unreadable", "not-asked"


@dataclass(frozen=True)
class Coverage:
    """Whether others' policies of one kind count in a verdict. ``kind``: such as ``trust policy``.

    ``status``: READ, UNREADABLE or NOT_ASKED. ``detail``: how many, or why not, in words.
    """

    kind: str
    status: str
    detail: str = ""

    def __str__(self) -> str:
        kinds = f"{self.kind.removesuffix('y')}ies"
        done = {READ: "read", UNREADABLE: "not readable", NOT_ASKED: "not looked at"}[self.status]
        return f"{kinds} {done}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class Proof:
    """How a permission set compares with the IAM user that it replaces, in the user's account.

    ``scope``: which policies of others, such as trust policies, count in the verdict.

    ``verdict``: EQUAL: both grant the same. NARROWER: the set grants no more; it grants less, or was not proven equal.
    WIDER: the set grants more, or was not proven to grant no more; ``witnesses`` are examples. UNDECIDED: the
    comparison takes too many steps, or depends on what AWS's documentation leaves open.
    """

    verdict: str
    witnesses: tuple[Witness, ...] = ()
    remarks: tuple[Remark, ...] = ()
    mapping: tuple[PolicyMapping, ...] = ()
    scope: tuple[Coverage, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """The proof in the form of reports, where the remedy of a remark is called ``mend``."""
        data = asdict(self)
        for remark in data["remarks"]:
            remark["mend"] = remark.pop("remedy")
        return data


#: The maximum number of pieces of a set of requests; beyond it, the comparison is given up.
_MOST_PIECES = 500


@dataclass(frozen=True)
class RequestSet:
    """The requests that are in all of ``scopes``, minus those that were cut off."""

    actions: patterns.Language
    resources: patterns.Language
    conditions: frozenset[Condition]
    scopes: tuple[Scope, ...]

    @classmethod
    def of(cls, scope: Scope) -> RequestSet:
        """All requests in ``scope``."""
        everything = cls(
            patterns.Language(patterns.ACTIONS), patterns.Language(patterns.RESOURCES), frozenset(), ()
        )
        return everything.cut_to(scope)

    def cut_to(self, scope: Scope) -> RequestSet:
        """The requests that are also in ``scope``."""
        return RequestSet(
            self.actions.cut_to(scope.actions),
            self.resources.cut_to(scope.resources),
            self.conditions | scope.conditions,
            (*self.scopes, scope),
        )


def uncovered(
    requests: RequestSet, covers: Iterable[Scope], budget: budgets.Budget
) -> tuple[str, str] | None:
    """An action and a resource in ``requests`` that no scope of ``covers`` has; None if provably none exists.

    A scope is used only if the conditions of ``requests`` imply its conditions. Raises TooComplex.
    """
    useful = [scope for scope in covers if implied(scope.conditions, requests.conditions)]
    budget.spend(1 + len(useful))
    if any(scope.includes(each) for scope in useful for each in requests.scopes):
        return None
    pieces, taken = [requests], 0
    while pieces:
        piece, taken = pieces.pop(), taken + 1
        budget.spend(1 + len(useful))
        action, resource = piece.actions.sample(budget), piece.resources.sample(budget)
        if action is None or resource is None:
            continue
        scope = _covering(useful, action, resource)
        if scope is None:
            return action.text, _shown(piece, action, resource, useful)
        if taken > _MOST_PIECES:
            raise budgets.TooComplex
        pieces += _rest(piece, scope)
    return None


def _shown(piece: RequestSet, action: patterns.Sample, resource: patterns.Sample, covers: list[Scope]) -> str:
    """The resource to show: ``*`` if that is a witness, too, else the text that was found."""
    anything = patterns.Sample("*", "*")
    true = piece.resources.contains("*") and _covering(covers, action, anything) is None
    return anything.text if true else resource.text


def _covering(scopes: list[Scope], action: patterns.Sample, resource: patterns.Sample) -> Scope | None:
    found = (scope for scope in scopes if _holds(scope.actions, action) and _holds(scope.resources, resource))
    return next(found, None)


def _holds(element: patterns.Element, sample: patterns.Sample) -> bool:
    # A pattern with a variable covers itself, even though it covers no particular text for certain.
    return element.matches(sample.text) or (not element.negated and sample.pattern in element.patterns)


def _rest(requests: RequestSet, scope: Scope) -> tuple[RequestSet, RequestSet]:
    """``requests`` without ``scope``: other actions, and the scope's actions on other resources."""
    return (
        replace(requests, actions=requests.actions.cut_off(scope.actions)),
        replace(
            requests,
            actions=requests.actions.cut_to(scope.actions),
            resources=requests.resources.cut_off(scope.resources),
        ),
    )


#: In place of the action and the resource of a witness.
TOO_COMPLEX = "not decided: too many cases"


@dataclass(frozen=True)
class Policies:
    """The statements that apply to a principal. ``boundary``: None if there is none."""

    statements: tuple[PolicyStatement, ...]
    boundary: tuple[PolicyStatement, ...] | None = None


@dataclass(frozen=True)
class Access:
    """The scopes of ``Policies``."""

    allows: tuple[Scope, ...]
    denies: tuple[Scope, ...]
    boundary: tuple[Scope, ...] | None


def compare(
    new: Policies,
    new_context: RequestContext,
    old: Policies,
    old_context: RequestContext,
) -> tuple[str, tuple[Witness, ...]]:
    """EQUAL, NARROWER, WIDER or UNDECIDED, with the witnesses of the last two.

    What is not proven is WIDER. It is UNDECIDED if the comparison was given up, or if the interpretations of AWS's
    documentation (see ``Interpretation``) give different verdicts.
    """
    found: dict[Interpretation, tuple[str, tuple[Witness, ...]]] = {}
    for each in interpretations(new, old):
        found[each] = _by_interpretation(new, new_context, old, old_context, each)
        if found[each][0] == UNDECIDED:
            return found[each]  # another interpretation would take as long
    verdicts = {verdict for verdict, _ in found.values()}
    if len(verdicts) == 1:
        return found[PLAIN]
    if verdicts == {EQUAL, NARROWER}:
        return NARROWER, ()
    witnesses = [
        replace(
            each,
            conditions="; ".join(filter(None, (each.conditions, *_assumptions(interpretation, list(found))))),
        )
        for interpretation, (_, listed) in found.items()
        for each in listed
    ]
    return UNDECIDED, tuple(witnesses)


def _by_interpretation(
    new: Policies,
    new_context: RequestContext,
    old: Policies,
    old_context: RequestContext,
    interpretation: Interpretation,
) -> tuple[str, tuple[Witness, ...]]:
    new_least, new_most = _access(new, new_context, interpretation)
    old_least, old_most = _access(old, old_context, interpretation)
    witnesses = widening(new_most, old_least)
    if witnesses:
        return (
            UNDECIDED if all(witness.action == TOO_COMPLEX for witness in witnesses) else WIDER
        ), witnesses
    return (NARROWER if _exceeds(old_most, new_least) else EQUAL), ()


def interpretations(*both: Policies) -> list[Interpretation]:
    """The interpretations that can matter for these policies, ``PLAIN`` first."""
    statements = [each for policies in both for each in (*policies.statements, *(policies.boundary or ()))]
    texts = [text for statement in statements for text in statement.resources.patterns]
    values = [
        value for statement in statements for condition in statement.conditions for value in condition.values
    ]
    by_segment = any(patterns.within_segments(text) != text for text in texts)
    whole = any(map(patterns.required, (*texts, *values)))
    return [
        Interpretation(segments, statements_)
        for segments in (False, True)[: 1 + by_segment]
        for statements_ in (False, True)[: 1 + whole]
    ]


def _assumptions(interpretation: Interpretation, others: list[Interpretation]) -> Iterator[str]:
    """What the interpretation assumes, in words, if others assume something else."""
    if any(other.by_segment for other in others):
        colons = "no colon" if interpretation.by_segment else "colons"
        yield f"if a wildcard in the middle of an ARN's segment matches {colons}"
    if any(other.whole_statements for other in others):
        what = "the whole statement" if interpretation.whole_statements else "only the text with it"
        yield f"if a variable without a value invalidates {what}"


def widening(new: Access, old: Access) -> tuple[Witness, ...]:
    """A witness for each Allow of ``new`` that is not proven to be within ``old``."""
    try:
        return _widening(new, old)
    except budgets.OutOfTime:
        return (Witness(TOO_COMPLEX, TOO_COMPLEX, "", "the policies"),)


def _exceeds(new: Access, old: Access) -> bool:
    """Whether there is a witness; stops at the first."""
    try:
        return _has_witness(new, old)
    except budgets.OutOfTime:
        return True


@lru_cache(maxsize=4096)
def _widening(new: Access, old: Access) -> tuple[Witness, ...]:
    """Raises OutOfTime, which is not cached."""
    return tuple(_witnesses(new, old))


@lru_cache(maxsize=4096)
def _has_witness(new: Access, old: Access) -> bool:
    """Raises OutOfTime, which is not cached."""
    return next(_witnesses(new, old), None) is not None


def _witnesses(new: Access, old: Access) -> Iterator[Witness]:
    budget = budgets.Budget()
    found = (_witness(allow, new, old, budget) for allow in new.allows)
    return (witness for witness in found if witness is not None)


def _witness(allow: Scope, new: Access, old: Access, budget: budgets.Budget) -> Witness | None:
    try:
        for requests in _request_sets(allow, new.boundary):
            for part, cover in _obligations(requests, new, old):
                if found := uncovered(part, cover, budget):
                    return Witness(*found, _conditions_text(part), allow.source)
    except budgets.OutOfTime:
        raise
    except budgets.TooComplex:
        return Witness(TOO_COMPLEX, TOO_COMPLEX, _conditions_text(RequestSet.of(allow)), allow.source)
    return None


def _request_sets(allow: Scope, boundary: tuple[Scope, ...] | None) -> Iterator[RequestSet]:
    requests = RequestSet.of(allow)
    if boundary is None:
        yield requests
    else:
        yield from (requests.cut_to(each) for each in boundary)


def _obligations(
    requests: RequestSet, new: Access, old: Access
) -> Iterator[tuple[RequestSet, tuple[Scope, ...]]]:
    """What must be proven: pairs of a set of requests and the scopes that must cover it."""
    yield requests, (*old.allows, *new.denies)
    if old.boundary is not None:
        yield requests, (*old.boundary, *new.denies)
    for deny in old.denies:
        if not any(each.includes(deny) for each in new.denies):
            yield requests.cut_to(deny), new.denies


def _access(
    policies: Policies, context: RequestContext, interpretation: Interpretation
) -> tuple[Access, Access]:
    """The access that is certainly granted (least Allows, most Denies), and that can be granted (the reverse)."""
    own = _bounds(policies.statements, context, interpretation)
    boundary = _bounds(policies.boundary or (), context, interpretation)
    allows, denies = _allows_and_denies(own)
    limits, more_denies = _allows_and_denies(boundary)
    denies = [*denies, *more_denies]
    none = policies.boundary is None
    return (
        Access(_least(allows), _most(denies), None if none else _least(limits)),
        Access(_most(allows), _least(denies), None if none else _most(limits)),
    )


def _bounds(
    statements: Iterable[PolicyStatement], context: RequestContext, interpretation: Interpretation
) -> list[tuple[bool, Bounds]]:
    return [(statement.allows, resolve(statement, context, interpretation)) for statement in statements]


def _allows_and_denies(bounds: list[tuple[bool, Bounds]]) -> tuple[list[Bounds], list[Bounds]]:
    return [each for allows, each in bounds if allows], [each for allows, each in bounds if not allows]


def _least(bounds: list[Bounds]) -> tuple[Scope, ...]:
    return tuple(bound.least for bound in bounds if bound.least)


def _most(bounds: list[Bounds]) -> tuple[Scope, ...]:
    return tuple(bound.most for bound in bounds if bound.most)


def _conditions_text(requests: RequestSet) -> str:
    return "; ".join(sorted(map(str, requests.conditions)))


def grants_within(new: Policies, old: Policies, context: RequestContext) -> bool:
    """Whether ``new`` is proven to grant no more than ``old`` to principals with the same ``context``."""
    return not any(
        _exceeds(_access(new, context, interpretation)[1], _access(old, context, interpretation)[0])
        for interpretation in interpretations(new, old)
    )
