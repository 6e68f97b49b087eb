# SPDX-License-Identifier: Apache-2.0
"""The sign-in sessions of an account's users, and the calls that end them.

A revoked session can't be refreshed any more. Credentials that it issued before stay valid until they expire, under the
Deny-all. AWS offers this by ``signin:ListSessions`` and ``signin:BatchRevokeSessions``, which botocore has from 1.44
on. c7n 0.9.53 pins boto3 1.43.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers import reasons
from c7n_iamusers.execution.calls import ApiCall, Plan
from c7n_iamusers.execution.executor import Applied, CallFailed, Executor
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.attachments import LOGIN_PROFILE
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.reasons import Reason

SERVICE = "signin"
OPERATIONS = ("ListSessions", "BatchRevokeSessions")
PERMISSIONS = tuple(f"{SERVICE}:{operation}" for operation in OPERATIONS)
NOT_OFFERED = "the installed botocore has no signin:BatchRevokeSessions (1.44 has it)"
#: Sessions in one call of BatchRevokeSessions, by its model.
_AT_ONCE = 5
#: Seconds for which a list that fails is tried again. The failure is reported, and stops nobody.
_PATIENCE = 20.0
#: The Ref of the sessions that a call could not revoke.
_ERRORS = "not-revoked"


def offers_sessions(operations: Iterable[str]) -> bool:
    """Whether a client of the service ``signin`` with these ``operations`` can list and revoke sessions."""
    return set(OPERATIONS) <= set(operations)


class SignInSessions:
    """The active sessions of the users of an account, listed once, on first use. Thread-safe.

    ``client``: of the service ``signin``; None if the installed botocore has no such calls.
    """

    def __init__(self, client: Any | None, account_id: str, backoff: Backoff) -> None:
        self._client, self._account_id = client, account_id
        self._backoff = replace(backoff, budget=min(backoff.budget, _PATIENCE))
        self._lock = threading.Lock()
        self._found: Mapping[str, list[tuple[str, str]]] | None = None
        self._problem = ""

    @property
    def offered(self) -> bool:
        """Whether the installed botocore can list and revoke sessions."""
        return self._client is not None

    def end(self, user: IamUser, executor: Executor) -> Reason | None:
        """Revoke the sessions of ``user``, and return the result; None if there was nothing to do.

        The user's Deny-all must be on. Raises what the executor raises, except CallFailed: a session that lives on is
        under the Deny, so this is no failure.
        """
        found = self._of(user) if self._client else []
        if not self._client or self._problem:
            why = self._problem or NOT_OFFERED
            return reasons.SESSIONS_NOT_ENDED(why=why) if _has_password(user) else None
        applied, errors = Applied(), list[str]()
        for call in _revocations(found):
            applied.values.clear()
            try:
                executor.apply(Plan(user.subject, (call,)), applied)
            except CallFailed as error:
                errors += [str(error)] * len(call.parameters["sessionArns"])
            errors += [
                f"{each.get('code')}: {each.get('message')}" for each in applied.values.get(_ERRORS) or ()
            ]
        came = list(_came_of(len(found) - len(errors), errors))
        return reasons.joined(came) if came else None

    def _of(self, user: IamUser) -> list[tuple[str, str]]:
        """The principal and the ARN of each session of the user's name, which is unique in the account."""
        with self._lock:
            if self._found is None:
                try:
                    self._found = self._listed()
                except (ClientError, BotoCoreError) as error:
                    self._found, self._problem = {}, f"they can't be listed ({error})"
            return self._found.get(user.name, [])

    def _listed(self) -> Mapping[str, list[tuple[str, str]]]:
        assert self._client is not None, "no client, no list"
        owner = f"arn:{self._client.meta.partition}:iam::{self._account_id}:*"
        found, more = defaultdict[str, list[tuple[str, str]]](list), dict[str, str]()
        while True:
            page = self._backoff.call(
                self._client.list_sessions, principalArn=owner, status="ACTIVE", maxResults=100, **more
            )
            for each in page["items"]:
                principal = str(each["principalArn"])
                if ":user/" in principal:
                    found[principal.rpartition("/")[2]].append((principal, str(each["sessionArn"])))
            if not page.get("nextToken"):
                return found
            more = {"nextToken": page["nextToken"]}


#: Where no sessions are looked for.
NO_SESSIONS = SignInSessions(None, "", Backoff())


def _revocations(sessions: Sequence[tuple[str, str]]) -> Iterator[ApiCall]:
    for principal in dict.fromkeys(principal for principal, _ in sessions):
        arns = iter([arn for owner, arn in sessions if owner == principal])
        while batch := list(islice(arns, _AT_ONCE)):
            given = {"principalArn": principal, "sessionArns": batch}
            yield ApiCall(SERVICE, "BatchRevokeSessions", given, save={_ERRORS: ("errors",)})


def _came_of(ended: int, errors: Sequence[str]) -> Iterator[Reason]:
    if ended > 0:
        yield reasons.SESSIONS_ENDED(count=ended)
    if errors:
        yield reasons.SOME_SESSIONS_NOT_ENDED(count=len(errors), why=errors[0])


def _has_password(user: IamUser) -> bool:
    return bool(user.attachments[LOGIN_PROFILE.name])
