# SPDX-License-Identifier: Apache-2.0
"""Whether a policy's filter would still select a user, by live data: the evidence of the run may be hours old. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from c7n_iamusers import reasons
from c7n_iamusers.evidence.assessment import ACTIVITY_PIECES, assess
from c7n_iamusers.evidence.index import EvidenceIndex, listed_credential
from c7n_iamusers.evidence.model import Evidence, LastUse, Source
from c7n_iamusers.evidence.selection import FilterOptions
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.exemptions import Exemption
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.iam.users import KeyUse
from c7n_iamusers.reasons import Reason
from c7n_iamusers.text.times import moment


def live_evidence(listed: Evidence, user: IamUser, keys: Iterable[KeyUse], now: datetime) -> Evidence:
    """``listed`` with the credentials and MFA devices of ``user``, whose attachments were all read ``now``.

    ``keys``: the last use of its access keys. The use of a key that is not among them is unknown.
    """
    uses = {each.key_id: LastUse(each.at, each.service, each.region) for each in keys}
    credentials = {
        kind.name: tuple(
            listed_credential(kind, item, _use(kind, item, user, uses))
            for item in user.attachments[kind.name]
        )
        for kind in attachments.CREDENTIAL_KINDS
    }
    devices = [str(item["SerialNumber"]) for item in user.attachments[attachments.MFA_DEVICE.name]]
    return replace(
        listed,
        credentials=credentials,
        mfa=bool(devices),
        virtual_mfa=tuple(each for each in devices if ":mfa/" in each),
        sources={**listed.sources, **dict.fromkeys(ACTIVITY_PIECES, Source("the user's own lists", now))},
    )


def _use(
    kind: attachments.AttachmentKind, item: Item, user: IamUser, uses: dict[str, LastUse]
) -> LastUse | None:
    source = attachments.CREDENTIAL_TRAITS[kind.name].use
    if source == attachments.PASSWORD_LAST_USED:
        return LastUse(moment(user.detail.get(attachments.PASSWORD_LAST_USED)))
    return uses.get(str(item[kind.identifier])) if source == attachments.KEY_LAST_USED else None


#: A user read live, and the last use of its keys -> why the filter no longer selects it; None if it does.
Recheck = Callable[[IamUser, Iterable[KeyUse]], Reason | None]


def no_recheck(user: IamUser, keys: Iterable[KeyUse]) -> Reason | None:
    """The recheck of a policy whose filter has no criteria but exemptions."""
    return None


@dataclass(frozen=True)
class LiveRecheck:
    """``options``: of each filter ``unnecessary`` in the policy. ``index``: None if they have no criteria."""

    index: EvidenceIndex | None
    options: Sequence[FilterOptions]

    @property
    def needed(self) -> bool:
        """True if a filter has criteria besides exemptions."""
        return self.index is not None

    def problem(self, user: IamUser, keys: Iterable[KeyUse]) -> Reason | None:
        """Why the filter would no longer select ``user``, read live; None if it would.

        ``keys``: the last use of its access keys.
        """
        if self.index is None:
            return None
        now = utc_now()
        problems = (_problem(self.index, user, tuple(keys), each, now) for each in self.options)
        return next(filter(None, problems), None)


def _problem(
    index: EvidenceIndex, user: IamUser, keys: tuple[KeyUse, ...], options: FilterOptions, now: datetime
) -> Reason | None:
    try:
        evidence = live_evidence(index.of(user, Source("GetUser", now)), user, keys, now)
        found = assess(user, evidence, Exemption(None), options.criteria, now)
    except EvidenceUnreadable as error:
        return reasons.KIND_UNKNOWN(why=str(error))
    if options.selection.selects(found, now):
        return None
    last = found.activity.idle_since
    since = f", last activity {last:%Y-%m-%d %H:%M} UTC" if last else ""
    return reasons.NO_LONGER_SELECTED(kind=found.classification.kind, since=since)
