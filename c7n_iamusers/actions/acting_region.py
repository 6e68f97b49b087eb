# SPDX-License-Identifier: Apache-2.0
"""IAM is one for all Regions of a partition, and c7n-org runs each account in several: only one of these acts."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from c7n.exceptions import PolicyExecutionError

#: Region prefix -> the Region in which the partition has IAM's only endpoint ("IAM endpoints and quotas").
_HOMES = {"cn-": "cn-north-1", "us-gov-": "us-gov-west-1"}
_HOME = "us-east-1"
#: Those that c7n-org takes for an account without any.
_USUAL = ("us-east-1", "us-west-2")


def idle_region(manager: Any, argv: Sequence[str] | None = None) -> str | None:
    """Why nothing is done in the policy's Region, in words; None where this is the one that acts.

    That is the only Region of a c7n-org run in the account, else the home of IAM. Plain custodian runs in one.
    Raises PolicyExecutionError where none of several Regions is the home, as then nothing would be done at all.
    """
    policy = getattr(manager.ctx, "policy", None)
    account = policy.conditions.env_vars.get("account") if policy else None
    if not account:
        return None
    region, name = (
        str(manager.config.region),
        f"policy {manager.data.get('name')}: account {account.get('name')}",
    )
    regions = _given(sys.argv if argv is None else argv) or tuple(account.get("regions") or _USUAL)
    if len(regions) == 1 and "all" not in regions:
        return None
    home = next((each for prefix, each in _HOMES.items() if region.startswith(prefix)), _HOME)
    if home not in regions and "all" not in regions:
        raise PolicyExecutionError(
            f"{name}: IAM is the same in every Region, so one acts for all: the only one, or {home}; this run has "
            f"{', '.join(regions)}. Give one of them, by regions in accounts.yml or by -r. Nothing was touched"
        )
    if region == home:
        return None
    return f"{name}: nothing is done in {region}: IAM is the same in every Region, and {home} acts for all"


def _given(argv: Sequence[str]) -> tuple[str, ...]:
    """The Regions on c7n-org's command line, which outrank those of accounts.yml."""
    if not argv or not (
        Path(argv[0]).name.startswith("c7n-org") or "c7n_org" in argv[0] or "c7n-org" in argv
    ):
        return ()
    return tuple(region for value in _values(argv) for region in value.split(",") if region)


def _values(argv: Sequence[str]) -> Iterator[str]:
    for option, following in zip(argv, [*argv[1:], ""], strict=True):
        if option in ("-r", "--region"):
            yield following
        elif option.startswith("--region="):
            yield option.partition("=")[2]
        elif option.startswith("-r") and not option.startswith("--"):
            yield option[2:]
