# SPDX-License-Identifier: Apache-2.0
"""How the commands of ``c7n-iamusers provision`` run and end: signals, progress, errors, failures."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import click
from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from c7n_iamusers_cli.output import progress_bar, say


@contextmanager
def applying(timeout: int) -> Iterator[ApplyOptions]:
    """How a run or an undo applies its calls. A signal ends it after the calls that have begun."""
    with (
        errors_with_remedy(),
        _exit_on_signals(),
        Interruption() as interruption,
        progress_bar("Identity Center") as progress,
    ):
        yield ApplyOptions(timeout, interruption.stopped, progress)
    interruption.exit_if_stopped()


@contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Turns signals that would end the process at once into SystemExit, so that locks are removed."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    numbers = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def errors_with_remedy() -> Iterator[None]:
    """Errors of files and of AWS as IdentityCenterError, with what to do next."""
    try:
        yield
    except BrokenPipeError:
        raise  # click ends quietly
    except OSError as error:
        raise IdentityCenterError(
            f"{error}. The run's journal has all calls made so far: make the output readable and writable, and run "
            "again"
        ) from error
    except (ClientError, BotoCoreError) as error:
        raise IdentityCenterError(
            f"{error}. The failed call changed nothing: run again, with --role if access is denied"
        ) from error


def end(failures: list[str]) -> None:
    """Print the failures, and end with 1 if there are any."""
    for failure in failures:
        say(f"failed: {failure}", err=True)
    if failures:
        raise click.exceptions.Exit(1)
