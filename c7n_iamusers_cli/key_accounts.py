# SPDX-License-Identifier: Apache-2.0
"""Whose access keys those are that a command is asked about, in the accounts of an accounts file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers_cli.organization_checks import probes_of

if TYPE_CHECKING:
    from c7n_iamusers.organization.readiness import Target

#: Seconds that one call may wait for AWS in all.
_BUDGET = 60.0
#: After "user NAME" or "access key ID".
NO_ACCOUNT_HAS_IT = "is in none of the accounts that could be read: correct it, -c or -a, or it is deleted"


class KeyAccounts:
    """The accounts ``targets``. ``unread``: gets what could not be read, in words.

    ``clients``: account id -> makes clients there; accounts that can't be reached have none. ``of_user``: id of a key
    -> the user that has it, as far as that was read. ``account_of``: id of a key -> the account of that user.
    """

    def __init__(self, targets: Sequence[Target], unread: list[str]) -> None:
        self.targets, self.unread = targets, unread
        self._probes = probes_of(targets, _BUDGET) if targets else None
        self.clients: dict[str, Callable[..., Any]] = {}
        self.of_user: dict[str, str] = {}
        self.account_of: dict[str, Target] = {}
        self._of_others = set[tuple[str, str]]()
        for target in targets:
            self._reach(target)

    def _reach(self, target: Target) -> None:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        from c7n_iamusers.exceptions import EvidenceUnreadable

        assert self._probes
        patient = Config(retries={"mode": "adaptive", "total_max_attempts": 8}, read_timeout=_BUDGET)
        try:
            self.clients[target.account_id] = partial(self._probes.clients(target), config=patient)
        except (EvidenceUnreadable, ClientError, BotoCoreError) as error:
            self.unread.append(f"{target}: {error}")

    def keys_of(self, asked: str) -> frozenset[str]:
        """The ids of the keys that are asked for. Raises ClickException for a user that no account has."""
        from c7n_iamusers.key_places.key_ids import KEY_ID

        if KEY_ID.fullmatch(asked):
            return frozenset({asked})
        if not self.targets:
            raise click.ClickException(
                f"{asked} is no id of an access key: give -c FILE, to look up a user's"
            )
        found, known = set[str](), False
        for target in self.targets:
            keys = self._keys_in(target, asked)
            known, found = known or keys is not None, found | {*(keys or ())}
        why = "has no access key" if known else NO_ACCOUNT_HAS_IT
        if not found and not self.unread:
            raise click.ClickException(f"user {asked} {why}")
        self.unread += [] if found else [f"user {asked} {why}"]
        return frozenset(found)

    def look_up(self, asked: str) -> None:
        """Ask whose key ``asked`` is. If no account has it, ``unread`` says so: a typo is no "nothing found"."""
        from c7n_iamusers.key_places.key_ids import KEY_ID

        if KEY_ID.fullmatch(asked) and not any(self.user_of(asked, target) for target in self.targets):
            self.unread.append(f"access key {asked} {NO_ACCOUNT_HAS_IT}")

    def _keys_in(self, target: Target, user: str) -> list[str] | None:
        """The ids of the user's keys; None where the account has no such user, or can't be read, which is said."""
        from botocore.exceptions import BotoCoreError, ClientError

        from c7n_iamusers.execution.retries import error_code

        if target.account_id not in self.clients:
            return None
        try:
            pages = self.clients[target.account_id]("iam").get_paginator("list_access_keys")
            keys = [each for page in pages.paginate(UserName=user) for each in page["AccessKeyMetadata"]]
        except (ClientError, BotoCoreError) as error:
            if not isinstance(error, ClientError) or error_code(error) != "NoSuchEntity":
                self.unread.append(f"{target}: the keys of {user}: {error}")
            return None
        found = [str(each["AccessKeyId"]) for each in keys]
        self.of_user |= dict.fromkeys(found, user)
        self.account_of |= dict.fromkeys(found, target)
        return found

    def regions_of(self, target: Target, given: Sequence[str]) -> Sequence[str]:
        """``given``, or else those that are enabled in the account; none where it can't be read."""
        from botocore.exceptions import BotoCoreError, ClientError

        from c7n_iamusers.evidence.event_history import enabled_regions

        if target.account_id not in self.clients or given:
            return given if target.account_id in self.clients else ()
        assert self._probes
        try:
            return enabled_regions(self.clients[target.account_id]("ec2"), self._probes.backoff)
        except (ClientError, BotoCoreError) as error:
            self.unread.append(
                f"{target}: which Regions are enabled: {error}: allow ec2:DescribeRegions, or give -r"
            )
            return ()

    def user_of(self, key_id: str, target: Target) -> str:
        """Whose key it is, by GetAccessKeyLastUsed in ``target``; empty if it is another account's, or gone.

        Empty too if ``target`` can't be asked, which is said.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        from c7n_iamusers.execution.retries import error_code
        from c7n_iamusers.iam.users import NO_KEY_OR_DENIED

        client, asked = self.clients.get(target.account_id), (key_id, target.account_id)
        if client and key_id not in self.of_user and asked not in self._of_others:
            self._of_others.add(asked)
            try:
                last = client("iam").get_access_key_last_used(AccessKeyId=key_id)
            except (ClientError, BotoCoreError) as error:
                if error_code(error) not in NO_KEY_OR_DENIED:
                    self.unread.append(f"{target}: whose key {key_id} is: {error}")
            else:
                if user := str(last.get("UserName") or ""):
                    self.of_user[key_id], self.account_of[key_id] = user, target
        return self.of_user.get(key_id, "")
