# SPDX-License-Identifier: Apache-2.0
"""What was derived for whom, and the proof that it grants no more, as a file beside the intents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from c7n_iamusers.aws.stores import DirectoryStore
from c7n_iamusers.model.derivation import Derivation

DERIVATION_FILE = "identity-center-derivation.json"


def write_derivation_report(output: Path, derivations: Sequence[Derivation]) -> Iterator[str]:
    """Write the file, where anything was derived; lines for a person, near-duplicates among them. Raises OSError."""
    if not derivations:
        return
    data = {"schema": 1, "derivations": [_data(each) for each in derivations]}
    DirectoryStore(output).replace(DERIVATION_FILE, json.dumps(data, indent=1, default=str).encode())
    for each in derivations:
        yield f"Derived: {each.summary}. Proofs: {output / DERIVATION_FILE}"
        for near in each.near_duplicates:
            told = f"{near.first} and {near.second} differ in {near.difference} policies and statements"
            yield f"  near-duplicates: {told}"


def _data(derivation: Derivation) -> dict[str, Any]:
    return {
        "summary": derivation.summary,
        "permission-sets": [asdict(each) for each in derivation.sets],
        "users": [
            {
                "user": each.subject.name,
                "arn": each.subject.arn,
                "permission-set": each.set_name,
                "group": each.group_name,
                "proof": each.proof.as_data(),
            }
            for each in derivation.principals
        ],
        "refused": [
            {
                "user": each.subject.name,
                "arn": each.subject.arn,
                "reason": each.reason,
                "proof": each.proof.as_data() if each.proof else None,
            }
            for each in derivation.refused
        ],
        "near-duplicates": [asdict(each) for each in derivation.near_duplicates],
    }
