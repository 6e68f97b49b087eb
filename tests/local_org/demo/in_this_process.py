# SPDX-License-Identifier: Apache-2.0
"""A demo's commands in the process of the test, which saves the start of some thirty processes.

As processes of their own they run in `make demo`, in the README's blocks and in one test here.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import c7n_mailer.cli
import c7n_org.cli
import pytest

from aws_local_org import LocalOrg, application
from aws_local_org.demo import steps
from c7n_iamusers_cli.cycle.processes import Processes
from c7n_iamusers_cli.main import main
from tests.conftest import logging_kept
from tests.in_process import short_circuit


def run_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a demo run c7n-org, c7n-mailer and c7n-iamusers in this process; c7n-org takes one account at a time."""

    start = LocalOrg.start

    def started(org: LocalOrg) -> LocalOrg:
        start(org)
        short_circuit(monkeypatch, org)
        return org

    monkeypatch.setattr(LocalOrg, "start", started)
    monkeypatch.setattr(application, "LONGEST_WAIT", 0)
    monkeypatch.setattr(steps.Commands, "_run", _run)
    monkeypatch.setattr(Processes, "__call__", _of_a_cycle)


def _run(
    commands: steps.Commands, step: str, command: list[str], further: Mapping[str, str] | None = None
) -> int:
    log = commands.work / "logs" / f"{step}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**commands.environment, **(further or {})}
    with (
        log.open("a", encoding="utf-8") as file,
        redirect_stdout(file),
        redirect_stderr(file),
        logging_to(file),
        working_in(commands.source),
        mock.patch.dict(os.environ, environment),
    ):
        try:
            call(*command)
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def _of_a_cycle(processes: Processes, line: tuple[str, ...]) -> int:
    """A command of a cycle, which itself runs in this process."""
    with working_in(processes.directory), mock.patch.dict(os.environ, processes.environment):
        try:
            call(*line)
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def call(program: str, *arguments: str) -> None:
    """Run a command in this process, without what it sets up of logging. Raises SystemExit as it ends."""
    with logging_kept():
        _call(program, *arguments)


def _call(program: str, *arguments: str) -> None:
    if program == "c7n-mailer":
        with mock.patch("sys.argv", [program, *arguments]), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of pyasn1, by ldap3
            c7n_mailer.cli.main()
    elif program == "c7n-org":
        with mock.patch.object(c7n_org.cli, "ProcessPoolExecutor", return_value=ThreadPoolExecutor(1)):
            c7n_org.cli.cli(list(arguments))
    else:
        main(list(arguments))


@contextmanager
def logging_to(file: Any) -> Iterator[None]:
    """Log to ``file`` alone."""
    with logging_kept():
        logging.getLogger().handlers = [logging.StreamHandler(file)]
        yield


@contextmanager
def working_in(directory: Path) -> Iterator[None]:
    """Make ``directory`` the current one meanwhile."""
    before = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)
