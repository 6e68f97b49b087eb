# SPDX-License-Identifier: Apache-2.0
"""The result of comparing a permission set with an IAM user: verdict, witnesses, remarks, and mapping of statements."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

#: The verdicts.
EQUAL, NARROWER, WIDER, UNDECIDED = "equal", "narrower", "wider", "undecided"
#: The verdicts that need an ``accept`` of the user before a person gets the set.
UNPROVEN = frozenset({WIDER, UNDECIDED})
#: What happens to a statement or policy in the permission set.
CARRIED, TRANSLATED, LEFT_OUT = "carried", "translated", "left-out"


@dataclass(frozen=True)
class Witness:
    """A request that the new policies grant, and that was not proven to be granted by the old.

    ``action`` (in lower case) and ``resource``: an example. ``conditions``: of the grant, empty for none.
    ``statement``: the statement that grants it.
    """

    action: str
    resource: str
    conditions: str
    statement: str


@dataclass(frozen=True)
class PolicyMapping:
    """What happens to one statement of the user, or to a policy that is used as a whole.

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


@dataclass(frozen=True)
class Proof:
    """How a permission set compares with the IAM user that it replaces, in the user's account.

    ``verdict``: EQUAL: both grant the same. NARROWER: the set grants no more; it grants less, or was not proven equal.
    WIDER: the set grants more, or was not proven to grant no more; ``witnesses`` are examples. UNDECIDED: the
    comparison takes too many steps, or depends on what AWS's documentation leaves open.
    """

    verdict: str
    witnesses: tuple[Witness, ...] = ()
    remarks: tuple[Remark, ...] = ()
    mapping: tuple[PolicyMapping, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """The proof as a report has it, where the remedy of a remark is called ``mend``."""
        data = asdict(self)
        for remark in data["remarks"]:
            remark["mend"] = remark.pop("remedy")
        return data
