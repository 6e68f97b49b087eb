# SPDX-License-Identifier: Apache-2.0
"""Applying a plan so that it is known afterwards what was created, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from c7n_iamusers.aws.interruption import Interrupted, Interruption
from c7n_iamusers.aws.journal import Journal, utc_now
from c7n_iamusers.decisions.creations import created_by, removed_by
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.fleet.access_run import AccessRun, Report
from c7n_iamusers.fleet.center import Center
from c7n_iamusers.fleet.results import overall_result
from c7n_iamusers.fleet.run_directory import RunDirectory, unfinished
from c7n_iamusers.identity_center.writer.writer import ApplyOptions


def apply_and_record(
    run: AccessRun,
    report: Report,
    center: Center,
    output: Path,
    options: ApplyOptions,
    now: Callable[[], datetime] = utc_now,
) -> tuple[Report, Path | None]:
    """The report of the application, and where the run's result is: None where there was nothing to do.

    Raises IdentityCenterError, before anything is touched, for what no quota has room for. Raises OSError and
    JournalRefused where it can't be recorded; what was done then stands in the journal.
    """
    if report.plan.over_quota:
        raise IdentityCenterError("; ".join(report.plan.over_quota))
    if not report.plan.work and not unfinished(output):
        return report, None
    directory = RunDirectory.begin(output, now())
    with Journal(directory.journal) as journal:
        report = run.apply(report, journal, options)
    lines = directory.lines()
    created, removed = created_by(lines), removed_by(lines)
    directory.finish(overall_result(report, created, removed, center.instance, now()))
    return report, directory.result


def asks_to_stop(interruption: Interruption) -> bool:
    """Whether a signal has asked the run to stop."""
    try:
        interruption.check()
    except Interrupted:
        return True
    return False
