# SPDX-License-Identifier: Apache-2.0
"""What was derived for whom, and the proof that it grants no more, as a file beside the intents.

Users alike share their proof, so a proof stands once, under ``proofs``, and users refer to it by its number there.
The file is written piece by piece: for 80,000 users it is never in memory as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from c7n_iamusers.aws.stores import Store, as_store
from c7n_iamusers.model.access_proof import Proof
from c7n_iamusers.model.derivation import Derivation

DERIVATION_FILE, SCHEMA = "identity-center-derivation.json", 2
_SHOWN = 10


def write_derivation_report(output: Path | Store, derivations: Sequence[Derivation]) -> Iterator[str]:
    """Write the file, where anything was derived; lines for a person, near-duplicates among them. Raises OSError."""
    if not derivations:
        return
    store = as_store(output)
    store.stream(DERIVATION_FILE, (piece.encode() for piece in _pieces(derivations)))
    for each in derivations:
        yield f"Derived: {each.summary}. Proofs: {store.place(DERIVATION_FILE)}"
        for near in each.near_duplicates[:_SHOWN]:
            told = f"{near.first} and {near.second} differ in {near.difference} policies and statements"
            yield f"  near-duplicates: {told}"
        if len(each.near_duplicates) > _SHOWN:
            yield f"  near-duplicates: {len(each.near_duplicates) - _SHOWN} more pairs are in the file"


def _pieces(derivations: Sequence[Derivation]) -> Iterator[str]:
    yield f'{{"schema": {SCHEMA}, "derivations": [\n'
    for number, derivation in enumerate(derivations):
        yield ",\n" if number else ""
        yield from _derivation(derivation)
    yield "]}\n"


def _derivation(derivation: Derivation) -> Iterator[str]:
    proofs = _Proofs()
    yield f'{{"summary": {json.dumps(derivation.summary)}'
    yield from _listed("permission-sets", (asdict(each) for each in derivation.sets))
    yield from _listed(
        "users",
        (
            {
                "user": each.subject.name,
                "arn": each.subject.arn,
                "permission-set": each.set_name,
                "group": each.group_name,
                "verdict": each.proof.verdict,
                "proof": proofs.number(each.proof),
            }
            for each in derivation.principals
        ),
    )
    yield from _listed(
        "refused",
        (
            {
                "user": each.subject.name,
                "arn": each.subject.arn,
                "reason": each.reason,
                "proof": proofs.number(each.proof) if each.proof else None,
            }
            for each in derivation.refused
        ),
    )
    yield from _listed("near-duplicates", (asdict(each) for each in derivation.near_duplicates))
    yield from _listed("proofs", (each.as_data() for each in proofs.listed))
    yield "}"


class _Proofs:
    """Those that were referred to, each once: users alike have the very same one."""

    def __init__(self) -> None:
        self.listed: list[Proof] = []
        self._numbers: dict[int, int] = {}

    def number(self, proof: Proof) -> int:
        """Its place in the list."""
        if id(proof) not in self._numbers:
            self._numbers[id(proof)] = len(self.listed)
            self.listed.append(proof)
        return self._numbers[id(proof)]


def _listed(name: str, rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    """A member of the object: a list with a row a line."""
    yield f',\n"{name}": ['
    for number, row in enumerate(rows):
        yield ",\n" if number else "\n"
        yield json.dumps(row, default=str)
    yield "]"
