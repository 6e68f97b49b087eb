# SPDX-License-Identifier: Apache-2.0
"""The evidence on a user read live, in place of what the account's lists and report told earlier. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from c7n_iamusers.decisions.activity import CREDENTIAL_KINDS
from c7n_iamusers.model.attachment_rows import ACTIVE, AttachmentKind
from c7n_iamusers.model.attachments import ACCESS_KEY, LOGIN_PROFILE, MFA_DEVICE
from c7n_iamusers.model.evidence import Credential, Evidence, LastUse, Source
from c7n_iamusers.model.iam_user import IamUser, Item
from c7n_iamusers.model.inventory import CREDENTIAL_REPORT, SERVICE_CREDENTIALS, SSH_PUBLIC_KEYS, USER
from c7n_iamusers.model.key_use import KeyUse
from c7n_iamusers.model.moments import moment

_LIVE = (USER, CREDENTIAL_REPORT, SERVICE_CREDENTIALS, SSH_PUBLIC_KEYS)


def live_evidence(listed: Evidence, user: IamUser, keys: Iterable[KeyUse], now: datetime) -> Evidence:
    """``listed``, with the credentials and MFA devices of ``user``, of whom every kind was read ``now``.

    ``keys``: the last use of its access keys; the use of a key that is not among them is unknown.
    """
    uses = {each.key_id: LastUse(each.at, each.service, each.region) for each in keys}
    credentials = {
        kind.name: tuple(_credential(kind, item, user, uses) for item in user.attachments[kind.name])
        for kind in CREDENTIAL_KINDS
    }
    devices = [str(item["SerialNumber"]) for item in user.attachments[MFA_DEVICE.name]]
    return replace(
        listed,
        credentials=credentials,
        mfa=bool(devices),
        virtual_mfa=tuple(each for each in devices if ":mfa/" in each),
        sources={**listed.sources, **dict.fromkeys(_LIVE, Source("the user's own lists", now))},
    )


def _credential(kind: AttachmentKind, item: Item, user: IamUser, uses: dict[str, LastUse]) -> Credential:
    made = moment(item.get("CreateDate") or item.get("UploadDate"))
    use: LastUse | None = None
    if kind is LOGIN_PROFILE:
        use = LastUse(moment(user.detail.get("PasswordLastUsed")))
    elif kind is ACCESS_KEY:
        use = uses.get(str(item[kind.identifier]))
    title = kind.title if kind is LOGIN_PROFILE else f"{kind.title} {item[kind.identifier]}"
    active = item.get("Status", ACTIVE) == ACTIVE
    return Credential(kind.name, title, active, made, use, str(item.get("ServiceName", "")))
