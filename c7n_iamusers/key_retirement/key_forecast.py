# SPDX-License-Identifier: Apache-2.0
"""What becomes of an announced access key if nothing changes until then, for messages. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from c7n_iamusers import reasons
from c7n_iamusers.evidence.key_findings import ONLY_ACTIVE
from c7n_iamusers.iam.attachments import INACTIVE
from c7n_iamusers.infrastructure_code.model import Managed
from c7n_iamusers.key_retirement.user_keys import last_key_in_use
from c7n_iamusers.safeguards.forecast import GOES, IN_USE, STAYS, Forecast
from c7n_iamusers.safeguards.reasons_to_spare import managed_reason, used_within
from c7n_iamusers.text.times import moment


@dataclass(frozen=True)
class KeyForecast(Forecast):
    """See Forecast. ``denied``: the day on which the key is made inactive; ``held``: whether it is inactive already."""

    @property
    def text(self) -> str:
        """What its owner reads."""
        if self.reason and (self.held or self.denied):
            state = "inactive already" if self.held else f"inactive on {self.denied}"
            return f"{state}, not deleted: {self.reason.for_owners}"
        if self.reason:
            return f"{_SAID[self.group]}: {self.reason.for_owners}"
        if self.held:
            return f"inactive already, deleted on {self.deleted} or later"
        denied = f"inactive on {self.denied}" if self.denied else ""
        return ", ".join(filter(None, [denied, f"deleted on {self.deleted}"]))


_SAID = {IN_USE: "in use", STAYS: "left alone"}


def forecast_key(
    known: Mapping[str, Any],
    day: date,
    stop: date | None,
    active_within: float | None,
    now: datetime,
    managed: Managed | None = None,
) -> KeyForecast:
    """What becomes of a key that is announced for ``day`` (UTC). ``known``: the annotation with the evidence on it.

    ``stop``: the day on which it is made inactive; None if it is not. ``active_within``: days, as ``deactivate`` asks.
    ``managed``: which code manages the key, unless it is retired all the same.
    """
    key = known.get("key") or {}
    used, first = moment(key.get("used")), datetime.combine(stop or day, now.timetz())
    held = key.get("status") == INACTIVE
    # retiring compares the last use with that of the parking, whenever it was
    if not held and used_within(used, active_within, first):
        use = f"used on {used:%Y-%m-%d}"
        return KeyForecast(IN_USE, reasons.ACTIVE(days=active_within, use=use))
    if key.get(ONLY_ACTIVE) and (reason := last_key_in_use(used, first)):
        return KeyForecast(STAYS, reason)
    if managed and (managed.found or managed.unread):
        why = managed_reason(managed)
        return KeyForecast(STAYS, why, denied=None if held else stop, held=held)
    return KeyForecast(GOES, denied=None if held else stop, held=held, deleted=max(day, now.date()))
