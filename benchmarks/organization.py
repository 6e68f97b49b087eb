# SPDX-License-Identifier: Apache-2.0
"""The local organization in a process of its own, so that neither its memory nor its imports are measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from typing import cast

from benchmarks.measurement import BenchmarkError
from benchmarks.workload import ACCOUNT, POPULATIONS


class Organization:
    """One member account that is filled, measured and filled anew."""

    def __init__(self) -> None:
        from aws_local_org import LocalOrg, Settings

        # A report that is there at once: waiting for it is the same sleep for everyone, and tells nothing.
        settings = Settings(member_accounts=((ACCOUNT, "benchmark"),), report_seconds=0)
        self._org = LocalOrg(settings).start()

    def environment(self) -> dict[str, str]:
        """What a process exports to work in the management account."""
        return self._org.environment()

    def fill(self, population: str, users: int) -> dict[str, int]:
        """Empty the account, fill it, and have its credential report made; returns what -> how many."""
        from aws_local_org.seeding.records import counts_of
        from aws_local_org.seeding.writer import write_account

        contents = POPULATIONS[population](users)
        self._org.reset()
        with self._org.lock:
            write_account(self._org, ACCOUNT, contents)
        self._make_report()
        return counts_of(contents)

    def begin(self, latency_ms: float) -> None:
        """Forget the calls so far, and delay each from now on."""
        self._org.configure(latency_ms=latency_ms)
        self._org.clear_calls()

    def calls(self) -> dict[str, int]:
        """Operation -> calls in the account since ``begin``; AssumeRole on the way into it is not among them."""
        return dict(Counter(call.operation for call in self._org.calls if call.account == ACCOUNT))

    def users_left(self) -> int:
        return len(self._org.backend("iam", ACCOUNT).users)

    def _make_report(self) -> None:
        iam = self._org.client("iam", ACCOUNT)
        self._org.configure(latency_ms=0)
        iam.generate_credential_report()
        if (state := iam.generate_credential_report()["State"]) != "COMPLETE":
            raise BenchmarkError(f"the credential report of the measured account is {state}, not COMPLETE")


class _Manager(BaseManager):
    """Starts the process, and carries calls to it and their results and errors back."""


_Manager.register("organization", Organization)


@contextmanager
def running_organization() -> Iterator[Organization]:
    """An organization in a child process, for as long as the block lasts."""
    with _Manager(ctx=get_context("spawn")) as manager:
        yield cast(Organization, manager.organization())  # type: ignore[attr-defined]
