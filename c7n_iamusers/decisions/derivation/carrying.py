# SPDX-License-Identifier: Apache-2.0
"""A user's statement as it can stand in a permission set: as it is, translated, or not at all. Pure.

What reads a key whose value changes with the way in can't stand as it is. Where the user's value is known
and settles a condition, that is written instead; what is left can only be made narrower: an Allow loses what
depends on the way in, a Deny reaches further. A Deny that can be neither settled nor widened without locking
people out is left out, for which the proof then calls the set wider.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from c7n_iamusers.decisions.derivation.mends import changed_condition, lost_deny, lost_variable
from c7n_iamusers.decisions.derivation.variables import Translation, translated
from c7n_iamusers.decisions.policy_comparison.conditions import Condition, outcomes
from c7n_iamusers.decisions.policy_comparison.languages import Element
from c7n_iamusers.decisions.policy_comparison.statements import EVERYTHING, PolicyStatement
from c7n_iamusers.decisions.policy_comparison.ways_in import MFA_PRESENT, WayIn, depends_on_way_in
from c7n_iamusers.model.access_proof import CARRIED, LEFT_OUT, TRANSLATED, Remark


@dataclass(frozen=True)
class Carry:
    """What became of the statement ``original``; ``carried`` is None where it was left out."""

    original: PolicyStatement
    carried: PolicyStatement | None
    remarks: tuple[Remark, ...] = ()

    @property
    def how(self) -> str:
        """CARRIED, TRANSLATED or LEFT_OUT."""
        if self.carried is None:
            return LEFT_OUT
        return CARRIED if self.carried == self.original else TRANSLATED


class _LeftOut(Exception):
    """The statement can't stand in a permission set."""

    def __init__(self, remark: Remark) -> None:
        self.remark = remark
        super().__init__(remark.text)


def carry(statement: PolicyStatement, way_in: WayIn, translation: Translation) -> Carry:
    """``statement`` of somebody who came in by ``way_in``, as a permission set can have it."""
    remarks = list(_version(statement))
    try:
        conditions = list(_conditions(statement, way_in, translation, remarks))
        resources = _resources(statement, translation, remarks)
    except _LeftOut as left_out:
        return Carry(statement, None, (*remarks, left_out.remark))
    carried = replace(statement, conditions=frozenset(conditions), resources=resources)
    return Carry(statement, carried, tuple(remarks))


def _version(statement: PolicyStatement) -> Iterator[Remark]:
    if statement.legacy:
        yield Remark(
            "version",
            statement.source,
            "stands in a policy of version 2008-10-17, which knows no variables: each ${ in it is kept as the mere "
            "text that it is there",
        )


def _conditions(
    statement: PolicyStatement, way_in: WayIn, translation: Translation, remarks: list[Remark]
) -> Iterator[Condition]:
    for condition in sorted(statement.conditions):
        if depends_on_way_in(condition.key) or not condition.is_known:
            remarks.append(_settled(statement, condition, way_in))
        elif (kept := _values(statement, condition, translation, remarks)) is not None:
            yield kept


def _settled(statement: PolicyStatement, condition: Condition, way_in: WayIn) -> Remark:
    """Raises _LeftOut for a condition that is not always met."""
    possible = outcomes(condition, way_in.values(condition.key))
    who = "by somebody who signed in with MFA" if condition.key == MFA_PRESENT else "by this user"
    if possible == frozenset({True}):
        text = f"the condition {condition} is always met {who}, and is left out"
        return Remark("condition-settled", statement.source, text)
    if possible == frozenset({False}):
        text = f"the condition {condition} is never met {who}, so the statement is left out"
        raise _LeftOut(Remark("never-applies", statement.source, text))
    changed = changed_condition if statement.allows else lost_deny
    raise _LeftOut(changed(statement.source, condition))


def _values(
    statement: PolicyStatement, condition: Condition, translation: Translation, remarks: list[Remark]
) -> Condition | None:
    """The condition without what depends on the way in, stricter for an Allow; None for a Deny without it."""
    kept, lost = translated(condition.values, translation)
    values = tuple(sorted(kept))
    if not lost:
        return replace(condition, values=values)
    remark = lost_variable(statement, lost)
    if statement.allows and (condition.negated or not values):
        raise _LeftOut(remark)
    remarks.append(remark)
    # Fewer values make a positive condition harder to meet, and a negated one easier.
    return replace(condition, values=values) if values and statement.allows != condition.negated else None


def _resources(statement: PolicyStatement, translation: Translation, remarks: list[Remark]) -> Element:
    resources = statement.resources
    kept, lost = translated(resources.patterns, translation)
    if not lost:
        return Element(kept, resources.negated)
    remark = lost_variable(statement, lost)
    if statement.allows and not resources.negated and not kept:
        raise _LeftOut(remark)
    remarks.append(remark)
    # An Allow may shrink and a Deny may grow: what is listed goes from the one, and reaches further in the other.
    if statement.allows == resources.negated:
        return Element(kept | translation.widest(lost), resources.negated)
    return Element(kept, resources.negated) if kept else EVERYTHING
