# SPDX-License-Identifier: Apache-2.0
"""The order in which a deletion removes what is attached to a user, kind by kind.

Credentials go first, so that nobody can act as the user any more; then MFA devices, which a policy may ask for; then
what gives or denies rights. deletion/plan.py moves what only denies to the end.
"""

from __future__ import annotations

from c7n_iamusers.iam.attachments import (
    ACCESS_KEY,
    ATTACHED_POLICY,
    GROUP,
    INLINE_POLICY,
    LOGIN_PROFILE,
    MFA_DEVICE,
    SERVICE_SPECIFIC_CREDENTIAL,
    SIGNING_CERTIFICATE,
    SSH_PUBLIC_KEY,
    AttachmentKind,
)

REMOVAL_ORDER: tuple[AttachmentKind, ...] = (
    LOGIN_PROFILE,
    ACCESS_KEY,
    SIGNING_CERTIFICATE,
    SSH_PUBLIC_KEY,
    SERVICE_SPECIFIC_CREDENTIAL,
    MFA_DEVICE,
    GROUP,
    ATTACHED_POLICY,
    INLINE_POLICY,
)
