# SPDX-License-Identifier: Apache-2.0
"""How two ways in compare: the verdict, what it rests on, and which statement became which."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

#: The verdicts of a proof.
EQUAL, NARROWER, WIDER, UNDECIDED = "equal", "narrower", "wider", "undecided"
#: Those by which nobody gets a set whom no ``accept`` names.
UNPROVEN = frozenset({WIDER, UNDECIDED})
#: What became of a statement or policy on its way.
CARRIED, TRANSLATED, LEFT_OUT = "carried", "translated", "left-out"


@dataclass(frozen=True)
class Witness:
    """A request that the new way in grants and the old one does not, or was not shown to.

    ``action`` and ``resource`` are examples, in lower case as far as actions go. ``conditions``: under
    which the new way grants it, empty for none. ``statement``: the statement that grants it.
    """

    action: str
    resource: str
    conditions: str
    statement: str


@dataclass(frozen=True)
class PolicyMapping:
    """What became of one statement (or policy, where it is carried whole) of the user.

    ``source``: where it stands, in words. ``how``: CARRIED, TRANSLATED or LEFT_OUT. ``target``: where it
    stands in the permission set, empty where it was left out.
    """

    source: str
    how: str
    target: str = ""


@dataclass(frozen=True)
class Remark:
    """Something that could not be carried as it stood, and the mend. ``id`` is what programs match on."""

    id: str
    source: str
    text: str
    mend: str = ""


@dataclass(frozen=True)
class Proof:
    """How a user's permission set compares with what the user may do in its account.

    ``verdict``: ``equal``: both grant the same. ``narrower``: proven to grant no more; less, or not shown
    to be the same. ``wider``: grants more, or was not proven not to; ``witnesses`` are what was found.
    ``undecided``: nobody can tell, since it took too many steps, or since AWS's own text can be read two ways, or
    says nothing of an operator or a key.
    """

    verdict: str
    witnesses: tuple[Witness, ...] = ()
    remarks: tuple[Remark, ...] = ()
    mapping: tuple[PolicyMapping, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """The proof as it stands in a report."""
        return asdict(self)
