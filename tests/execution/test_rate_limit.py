# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from aws_local_org import LocalOrg
from aws_local_org.identity_center import injected_faults
from c7n_iamusers.execution.rate_limit import RateLimit


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now, self.slept = 100.0, 0.0
        self._lock = threading.Lock()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept += seconds

    def limit(self, per_second: float) -> RateLimit:
        return RateLimit(per_second, lambda: self.now, self.sleep)


def test_slots_are_evenly_spaced() -> None:
    time = Time()
    limit = time.limit(4)
    for _ in range(5):
        limit.take()
    assert time.slept == pytest.approx(0.25 + 0.5 + 0.75 + 1.0)
    assert limit.wait() == pytest.approx(1.25)


def test_time_that_passed_unused_is_not_saved_up() -> None:
    time = Time()
    limit = time.limit(4)
    limit.take()
    time.now += 60
    assert limit.wait() == 0
    limit.take()
    limit.take()
    assert time.slept == pytest.approx(0.25)


def test_threads_share_it() -> None:
    time = Time()
    limit = time.limit(10)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: limit.take(), range(50)))
    assert limit.wait() == pytest.approx(5.0)


def test_every_request_and_retry_of_a_client_takes_a_slot(org: LocalOrg) -> None:
    time = Time()
    limit = time.limit(10)
    client = org.session().client("sso-admin")
    limit.attach(client)
    injected_faults.refuse_next("ListInstances", "ThrottlingException")
    client.list_instances()
    assert limit.wait() == pytest.approx(0.2)


def test_a_prepaid_slot_is_not_taken_twice(org: LocalOrg) -> None:
    limit = Time().limit(10)
    client = org.session().client("sso-admin")
    limit.attach(client)
    limit.prepaid(client.list_instances)
    assert limit.wait() == 0
    limit.prepaid(lambda: None)
    client.list_instances()
    assert limit.wait() == pytest.approx(0.1)
