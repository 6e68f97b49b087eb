# SPDX-License-Identifier: Apache-2.0
"""Unique ids that look like AWS's, drawn from a given random source, so that a seed number reproduces them.

Source: IAM User Guide, "Understanding unique ID prefixes".
"""

from __future__ import annotations

import base64
import random

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
# Ids carry their account: base32 of half the account id above this offset, then one character whose half of the
# alphabet says odd or even. STS GetAccessKeyInfo is answered from it.
_ACCOUNT_OFFSET = 549755813888


class Identifiers:
    """Draws the ids of one account."""

    def __init__(self, account_id: str, rng: random.Random) -> None:
        self._rng = rng
        number = int(account_id)
        packed = (number // 2 + _ACCOUNT_OFFSET).to_bytes(5, "big")
        self._account_part = base64.b32encode(packed).decode()
        self._parity = ALPHABET[16:] if number % 2 else ALPHABET[:16]

    def user(self) -> str:
        return self._of_account("AIDA", 21)

    def group(self) -> str:
        return self._of_account("AGPA", 21)

    def role(self) -> str:
        return self._of_account("AROA", 21)

    def policy(self) -> str:
        return self._of_account("ANPA", 21)

    def access_key(self) -> str:
        return self._of_account("AKIA", 20)

    def ssh_key(self) -> str:
        return self._of_account("APKA", 20)

    def service_credential(self) -> str:
        return self._of_account("ACCA", 21)

    def certificate(self) -> str:
        return self._letters(32)

    def hardware_serial(self) -> str:
        return "GAHT" + "".join(self._rng.choices("0123456789", k=8))

    def _of_account(self, prefix: str, length: int) -> str:
        start = prefix + self._account_part + self._rng.choice(self._parity)
        return start + self._letters(length - len(start))

    def _letters(self, count: int) -> str:
        return "".join(self._rng.choices(ALPHABET, k=count))
