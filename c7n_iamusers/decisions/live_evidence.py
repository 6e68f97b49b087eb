# SPDX-License-Identifier: Apache-2.0
"""The evidence on a user read live, in place of what the account's lists and report told earlier. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from c7n_iamusers.decisions.activity import ACTIVITY_PIECES
from c7n_iamusers.decisions.evidence import listed_credential
from c7n_iamusers.model.attachment_rows import KEY_LAST_USED, PASSWORD_LAST_USED, AttachmentKind
from c7n_iamusers.model.attachments import CREDENTIAL_KINDS, CREDENTIAL_TRAITS, MFA_DEVICE
from c7n_iamusers.model.evidence import Evidence, LastUse, Source
from c7n_iamusers.model.iam_user import IamUser, Item
from c7n_iamusers.model.key_use import KeyUse
from c7n_iamusers.model.moments import moment


def live_evidence(listed: Evidence, user: IamUser, keys: Iterable[KeyUse], now: datetime) -> Evidence:
    """``listed``, with the credentials and MFA devices of ``user``, of whom every kind was read ``now``.

    ``keys``: the last use of its access keys; the use of a key that is not among them is unknown.
    """
    uses = {each.key_id: LastUse(each.at, each.service, each.region) for each in keys}
    credentials = {
        kind.name: tuple(
            listed_credential(kind, item, _use(kind, item, user, uses))
            for item in user.attachments[kind.name]
        )
        for kind in CREDENTIAL_KINDS
    }
    devices = [str(item["SerialNumber"]) for item in user.attachments[MFA_DEVICE.name]]
    return replace(
        listed,
        credentials=credentials,
        mfa=bool(devices),
        virtual_mfa=tuple(each for each in devices if ":mfa/" in each),
        sources={**listed.sources, **dict.fromkeys(ACTIVITY_PIECES, Source("the user's own lists", now))},
    )


def _use(kind: AttachmentKind, item: Item, user: IamUser, uses: dict[str, LastUse]) -> LastUse | None:
    told = CREDENTIAL_TRAITS[kind.name].use
    if told == PASSWORD_LAST_USED:
        return LastUse(moment(user.detail.get(PASSWORD_LAST_USED)))
    return uses.get(str(item[kind.identifier])) if told == KEY_LAST_USED else None
