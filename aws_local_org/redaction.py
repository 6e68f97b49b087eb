# SPDX-License-Identifier: Apache-2.0
"""What must not stay readable in a call log."""

from __future__ import annotations

from typing import Any

HIDDEN = "***"

#: Members of AWS request shapes that carry a secret, by their exact names: `NextToken` or `SecretId` carry none.
SECRETS = frozenset(
    """
    Password OldPassword NewPassword PrivateKey AddPrivateKey SecretAccessKey SecretString SecretBinary SessionToken
    TokenCode AuthenticationCode1 AuthenticationCode2 SAMLAssertion WebIdentityToken ProvidedContexts AccessToken
    RefreshToken ClientSecret TradeInToken SubjectToken ActorToken
    """.split()
)

#: Longer texts and bodies are cut: a log of a rehearsal is read by people.
LONGEST = 16_384


def redacted(value: Any) -> Any:
    """A copy in which secrets are `***`, bytes only a length, and long texts cut."""
    if isinstance(value, dict):
        return {name: HIDDEN if name in SECRETS else redacted(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(inner) for inner in value]
    if isinstance(value, (bytes, bytearray)):
        return f"<{len(value)} bytes>"
    if isinstance(value, str):
        return value if len(value) <= LONGEST else f"{value[:LONGEST]}... <{len(value)} characters>"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)
