# SPDX-License-Identifier: Apache-2.0
"""Judging a user again on live data, by what the filter was asked: its evidence may be hours old. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from c7n_iamusers.evidence.activity import ACTIVITY_PIECES
from c7n_iamusers.evidence.assessment import assess
from c7n_iamusers.evidence.index import EvidenceIndex, listed_credential
from c7n_iamusers.evidence.model import Evidence, LastUse, Source
from c7n_iamusers.evidence.options import FilterOptions
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.exemptions import Exemption
from c7n_iamusers.iam.attachments import (
    CREDENTIAL_KINDS,
    CREDENTIAL_TRAITS,
    KEY_LAST_USED,
    MFA_DEVICE,
    PASSWORD_LAST_USED,
    AttachmentKind,
)
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.iam.users import KeyUse
from c7n_iamusers.text.moments import moment


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


#: Why a user, read live, with the last use of its keys, is not to be touched; None where nothing speaks against it.
Judge = Callable[[IamUser, Iterable[KeyUse]], str | None]


def no_judgement(user: IamUser, keys: Iterable[KeyUse]) -> str | None:
    """Where the policy's filter asks for nothing that would have to be judged again."""
    return None


@dataclass(frozen=True)
class LiveJudgement:
    """``options``: of each filter ``unnecessary`` of the policy. ``index``: None where none asks for a judgement."""

    index: EvidenceIndex | None
    options: Sequence[FilterOptions]

    @property
    def asks(self) -> bool:
        """True where a filter was asked for more than exemptions."""
        return self.index is not None

    def problem(self, user: IamUser, keys: Iterable[KeyUse]) -> str | None:
        """Why the filter would not select ``user``, read live, any more; None where it would.

        ``keys``: the last use of its access keys.
        """
        if self.index is None:
            return None
        now = utc_now()
        problems = (_problem(self.index, user, tuple(keys), each, now) for each in self.options)
        return next(filter(None, problems), None)


def _problem(
    index: EvidenceIndex, user: IamUser, keys: tuple[KeyUse, ...], options: FilterOptions, now: datetime
) -> str | None:
    try:
        evidence = live_evidence(index.of(user, Source("GetUser", now)), user, keys, now)
        found = assess(user, evidence, Exemption(None), options.criteria, now)
    except EvidenceUnreadable as error:
        return f"what it is can't be told any more: {error}"
    if options.selection.selects(found, now):
        return None
    sign = found.activity.idle_since
    since = f", last sign of life {sign:%Y-%m-%d %H:%M} UTC" if sign else ""
    return (
        f"judged again on live data, the filter unnecessary does not select it any more (kind "
        f"{found.verdict.kind}{since}): flag again"
    )
