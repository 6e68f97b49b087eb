# SPDX-License-Identifier: Apache-2.0
"""Judging a user again by what the policy's filter was asked, on live data: its evidence may be hours old.

A credential report is up to four hours old when AWS gives it, and lists of an account are read minutes before a
user's turn. A key that was made or used since must save its user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from c7n_iamusers.actions.user_run import Run
from c7n_iamusers.aws.accounts import AccountDetails
from c7n_iamusers.aws.inventory import USUAL
from c7n_iamusers.aws.journal import utc_now
from c7n_iamusers.decisions.assessment import assess
from c7n_iamusers.decisions.evidence import EvidenceIndex
from c7n_iamusers.decisions.filter_options import FilterOptions
from c7n_iamusers.decisions.live_evidence import live_evidence
from c7n_iamusers.decisions.selection import Selection
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.model.evidence import Source
from c7n_iamusers.model.exemption import Exemption
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.inventory import CREATION
from c7n_iamusers.model.key_use import KeyUse
from c7n_iamusers.sources.account_readings import AccountReadings

_EVERYBODY = Selection()
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


def live_judgement(manager: Any, run: Run, account: AccountDetails) -> LiveJudgement:
    """The judgement that the policy of ``manager`` asks for. ``account``: its roles and groups, read by the action.

    Raises PolicyExecutionError where the policy's text is faulty or the account can't be read.
    """
    options = [each.options() for each in manager.filters if each.type == "unnecessary"]
    if all(each.selection == _EVERYBODY for each in options):
        return LiveJudgement(None, options)
    pieces = (*USUAL, CREATION) if any(each.criteria.provisioning.roles for each in options) else USUAL
    inventory = AccountReadings.of(manager).inventory(pieces, run.backoff)
    return LiveJudgement(
        EvidenceIndex(replace(inventory, roles=account.roles, groups=account.groups)), options
    )
