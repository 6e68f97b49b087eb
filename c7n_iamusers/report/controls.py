# SPDX-License-Identifier: Apache-2.0
"""The controls for which the facts of a receipt are evidence. Pure.

Numbers of the CIS AWS Foundations Benchmark differ between its versions. They are those of Prowler's tables
``prowler/compliance/aws/cis_{3.0,4.0,5.0,6.0,7.0}_aws.json`` (github.com/prowler-cloud/prowler, commit 3e000faa), since
the benchmark itself is behind a registration. Those of NIST are of SP 800-53 revision 5, its catalog of controls.
A receipt is evidence for a control, and says nothing on whether an organization meets it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

#: The facts of a receipt: what its sections are named.
IDENTITY, UNNECESSARY, REPLACEMENT, QUARANTINE = "identity", "unnecessary", "replacement", "quarantine"
DELETION, ACCESS_KEYS, CREDENTIALS = "deletion", "access_keys", "credentials"
CALLS, PROOF = "calls", "proof"
FACTS = (IDENTITY, UNNECESSARY, REPLACEMENT, QUARANTINE, DELETION, ACCESS_KEYS, CREDENTIALS, CALLS, PROOF)

CIS, NIST = "CIS AWS Foundations Benchmark", "NIST SP 800-53 r5"
CIS_VERSIONS = ("3.0.0", "4.0.1", "5.0.0", "6.0.0", "7.0.0")


@dataclass(frozen=True)
class Control:
    """``facts``: what of a receipt is evidence for it. ``numbers``: version -> number there; empty text: not in it."""

    catalog: str
    title: str
    facts: tuple[str, ...]
    numbers: dict[str, str]

    @property
    def text(self) -> str:
        """The numbers, in the order of the versions; equal ones together."""
        if self.catalog == NIST:
            return self.numbers["5"]
        spans: list[list[str]] = []
        for version in CIS_VERSIONS:
            number = self.numbers.get(version, "")
            if spans and spans[-1][0] == number:
                spans[-1][2] = version
            elif number:
                spans.append([number, version, version])
        return ", ".join(
            f"{number} (v{first})" if first == last else f"{number} (v{first} to v{last})"
            for number, first, last in spans
        )


def _cis(title: str, numbers: str, *facts: str) -> Control:
    found = zip(CIS_VERSIONS, numbers.split(), strict=True)
    return Control(CIS, title, facts, {version: number for version, number in found if number != "-"})


CONTROLS = (
    _cis(
        "credentials unused for 45 days or more are disabled",
        "1.12 1.12 1.11 2.11 2.11",
        *(UNNECESSARY, QUARANTINE, DELETION),
    ),
    _cis("one active access key for any user", "1.13 1.13 1.12 2.12 -", ACCESS_KEYS),
    _cis("access keys are rotated every 90 days or less", "1.14 1.14 1.13 2.13 2.12", ACCESS_KEYS),
    _cis(
        "users are managed centrally, by identity federation or AWS Organizations",
        "1.21 1.21 1.20 2.20 2.19",
        REPLACEMENT,
    ),
    Control(
        NIST, "account management: disable accounts", (UNNECESSARY, QUARANTINE, DELETION), {"5": "AC-2(3)"}
    ),
    Control(NIST, "identifier management", (IDENTITY,), {"5": "IA-4"}),
    Control(NIST, "authenticator management", (CREDENTIALS, REPLACEMENT), {"5": "IA-5"}),
    Control(NIST, "content of audit records", (CALLS,), {"5": "AU-3"}),
    Control(NIST, "non-repudiation", (PROOF,), {"5": "AU-10"}),
)


def controls_for(fact: str) -> Iterator[Control]:
    """The controls for which the ``fact`` of a receipt is evidence."""
    yield from (each for each in CONTROLS if fact in each.facts)


def as_data(fact: str) -> list[dict[str, str]]:
    """``controls_for`` as JSON types: the catalog, the numbers and the title of each."""
    return [
        {"catalog": each.catalog, "control": each.text, "title": each.title} for each in controls_for(fact)
    ]
