# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from c7n_iamusers.execution.interruption import Interrupted, Interruption

pytestmark = pytest.mark.pure


@pytest.fixture(autouse=True)
def at_once() -> None:
    """Here runs wait as they do for users."""


@pytest.fixture(autouse=True)
def _default_handlers() -> Iterator[None]:
    """As in a foreground process: a shell script starts its background jobs with SIGINT ignored."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "ending"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)],
    ids=["INT", "TERM"],
)
def test_a_signal_asks_to_stop_and_ends_the_process_afterwards(
    number: int, ending: type[BaseException]
) -> None:
    with Interruption() as interruption:
        interruption.check()
        send(number)
        with pytest.raises(Interrupted, match=f"stopped by {signal.Signals(number).name}"):
            interruption.check()
    with pytest.raises(ending):
        interruption.exit_if_stopped()


def test_a_sleep_ends_at_the_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            send(signal.SIGTERM)

    monkeypatch.setattr(time, "sleep", sleep)
    with Interruption() as interruption, pytest.raises(Interrupted, match="stopped by SIGTERM"):
        interruption.sleep(3600)
    assert len(slept) == 3
    assert sum(slept) < 1


def test_without_a_signal_it_does_nothing() -> None:
    with Interruption() as interruption:
        interruption.sleep(0)
        interruption.check()
    interruption.exit_if_stopped()
    assert interruption.reason == "not stopped"


def test_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interruption():
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] != before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_signal_has_its_usual_effect() -> None:
    with Interruption():
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_in_another_thread_it_leaves_signals_alone() -> None:
    seen = []
    before = signal.getsignal(signal.SIGINT)

    def run() -> None:
        with Interruption():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
