# SPDX-License-Identifier: Apache-2.0
"""The input of a plan, as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from c7n_iamusers.derivation.proving import ExistingSetProofs
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.planning.quotas import CenterQuotas
from c7n_iamusers.identity_center.planning.replacements import RunHistory


@dataclass(frozen=True)
class PlanEvidence:
    """What is known besides Identity Center's state.

    ``proofs``: compares permission sets with the policies of IAM users. ``history``: see ``replacements``.
    ``emptied``: accounts without requested access that have none of those IAM users, except quarantined ones.
    ``expired``: group name and folded username of an earlier run's memberships that go even if they are all access of
    their people: see ``Choices.former_days``. ``source_is_stated``: the user says that no identity provider feeds the
    identity store. ``only``: the accounts whose intents were chosen, None for all; the review leaves out what others
    may request. ``elsewhere``: other runs may have their records elsewhere, as ``mode: apply`` has an output for each
    policy and account.
    """

    proofs: ExistingSetProofs = field(default_factory=ExistingSetProofs)
    history: RunHistory = field(default_factory=RunHistory)
    quotas: CenterQuotas = field(default_factory=CenterQuotas)
    emptied: frozenset[str] = frozenset()
    source_is_stated: bool = False
    expired: frozenset[tuple[str, str]] = frozenset()
    only: frozenset[str] | None = None
    elsewhere: bool = False


@dataclass(frozen=True)
class PlanInput:
    """``desired`` access and the ``state`` of Identity Center, with the ``evidence`` besides.

    ``people``: those of ``desired`` that exist. ``claims``: those that are not refused.
    """

    desired: model.DesiredAccess
    state: model.CenterState
    people: Mapping[model.PersonKey, model.KnownPerson]
    claims: Sequence[model.Claim]
    instance: model.Instance
    evidence: PlanEvidence = field(default_factory=PlanEvidence)
