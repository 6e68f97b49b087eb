# SPDX-License-Identifier: Apache-2.0
"""The buckets and queues that policies name, for the role that runs them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers_cli.arguments import is_role_arn
from c7n_iamusers_cli.permissions import needed_in_center, part_data

if TYPE_CHECKING:
    from c7n_iamusers.organization.account_values import AccountValues
    from c7n_iamusers.roles.places import Places

#: What Cloud Custodian fills into an output's URL, and which of it changes between runs.
_FILLED_IN = re.compile(r"\{(account_id|region|policy_name|now|uuid)([!:][^{}]*)?\}")
_CHANGING = re.compile(r"\{(now|uuid)[^{}]*\}")


def check_outputs(urls: Iterable[str]) -> None:
    """Raises click.UsageError for one that is no output in a bucket, or that Cloud Custodian can't fill in."""
    for url in urls:
        if not url.startswith("s3://") or "{" in _FILLED_IN.sub("", url):
            raise click.UsageError(
                f"--output-dir: {url!r} is not s3://BUCKET/PREFIX, in which Cloud Custodian fills in {{account_id}}, "
                "{region}, {policy_name}, {now} and {uuid}: correct it, or leave it out for a directory"
            )


def output_places(
    urls: Iterable[str], values: AccountValues, account: str = "*"
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The places of the outputs, and the directories that several policies' outputs share.

    This package's own files lie at the URL without the parts that change between runs. An action finds other policies'
    journals beside its own output.
    """
    written, listed = dict[str, None](), dict[str, None]()
    for url in urls:
        lasting = re.sub(r"(?<!:)/{2,}", "/", _CHANGING.sub("", url)).rstrip("/")
        for each in (url, lasting):
            written |= dict.fromkeys(values.places("output", each, account))
        directory = lasting.rpartition("/")[0]
        if "{policy_name}" in lasting and directory.count("/") > 2:
            listed |= dict.fromkeys(values.places("output", f"{directory}/", account))
    return tuple(written), tuple(listed)


@dataclass(frozen=True)
class NamedByPolicies:
    """What ``parts`` name: queues, places, roles. ``account``: stands for the id of the account in keys."""

    parts: Sequence[Any]
    values: AccountValues
    account: str = "*"

    def places(self, outputs: tuple[str, ...], listed: tuple[str, ...]) -> Places:
        """Where the runner's own session sends and writes, and what it reads: journals, plans and sign-ins."""
        from c7n_iamusers.roles.places import Places

        sending = [part for part in self.parts if part_data(part).get("assume_role") is False]
        queues = self._named("queue", map(_queue, sending))
        counted = self._named("queue", [_queue(part) for part in sending if getattr(part, "queue", "")])
        notices = self._notices()
        journals, records, sign_ins, plans = (
            tuple(place for part in self.parts for place in self._places(part, key))
            for key in ("record-from", "records", "sign-ins", "plan")
        )
        return Places(
            queues,
            (*notices.written, *outputs),
            (*notices.read, *journals, *records),
            (*sign_ins, *plans),
            (*notices.listed, *listed),
            notices.tops,
            counted,
        )

    def reported(self) -> tuple[str, ...]:
        """The notices that `c7n-iamusers report` reads, without those about new credentials."""
        told = (part for part in self.parts if part_data(part).get("step") != "created")
        return tuple(url for part in told for url in self._places(part, "notices"))

    def _notices(self) -> Places:
        """The notices of all accounts, or only of ``account``: its function must neither forge nor hide others'."""
        from c7n_iamusers.notices.held import DIRECTORY
        from c7n_iamusers.notices.notices import directories
        from c7n_iamusers.roles.places import Places

        found = [(part, url) for part in self.parts for url in self._places(part, "notices")]
        if self.account == "*":
            return Places(written=tuple(url for _, url in found))
        written, read, listed, tops = list[str](), list[str](), list[str](), list[str]()
        for part, url in found:
            place = url.partition("?")[0].rstrip("/")
            notices, exempt = (f"{place}/{directory}" for directory in directories(self.account))
            asks = part_data(part).get("noticed", "none") != "none"
            if _is_notify(part) or asks:
                read += [notices, exempt]
            if not _is_notify(part):
                # a STOP file is there, or in the account's directory
                tops.append(f"{place}/")
                listed += [] if asks else [notices]
                continue
            written.append(notices)
            # a step that announces nothing does not record exempt users
            if part_data(part).get("step") not in (None, "created"):
                written.append(exempt)
            if part_data(part).get("digest"):
                written.append(f"{place}/{DIRECTORY}/{self.account}/")
        return Places(written=tuple(written), read=tuple(read), listed=tuple(listed), tops=tuple(tops))

    def center(self) -> str:
        """The ARN of the role for Identity Center; empty if there is none."""
        roles = [part_data(part).get("role") for part in self.parts if needed_in_center(part)]
        found = self._named("role for Identity Center", roles)
        if len(found) > 1:
            raise InvalidPolicyData(
                f"the policies name several roles for Identity Center ({', '.join(found)}): give one as "
                "--identity-center-role"
            )
        for each in found:
            if not is_role_arn(each):
                raise InvalidPolicyData(
                    f"{each!r}, the role for Identity Center of the policies, is not the ARN of a role: correct it "
                    "there or in the accounts file, or give --identity-center-role"
                )
        return next(iter(found), "")

    def _named(self, what: str, values: Iterable[Any]) -> tuple[str, ...]:
        """``values`` with the variables filled in for each account. Raises InvalidPolicyData if one is not defined."""
        return tuple(
            dict.fromkeys(each for value in filter(None, values) for each in self.values.of(what, value))
        )

    def _places(self, part: Any, key: str) -> tuple[str, ...]:
        """The ``s3://`` URLs that ``part`` names as ``key``. Raises InvalidPolicyData."""
        url = part_data(part).get(key)
        found = self.values.places(key, url, self.account) if url else ()
        return tuple(each for each in found if each.startswith("s3://"))


def _queue(part: Any) -> Any:
    return (part_data(part).get("transport") or {}).get("queue")


def _is_notify(part: Any) -> bool:
    from c7n.actions import Notify

    return isinstance(part, Notify)
