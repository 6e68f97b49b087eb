# SPDX-License-Identifier: Apache-2.0
"""One local organization per test process, emptied for each test that uses it."""

from __future__ import annotations

import dataclasses
import gc
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import c7n_iamusers
from aws_local_org import LocalOrg, Settings
from c7n_iamusers.execution import executor
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.execution.rate_limit import IDENTITY_CENTER_RATE, RateLimit
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.writer import schedule, writer
from tests import quick_botocore, quick_jinja, quick_schemas, quick_yaml
from tests.in_process import is_running, short_circuit

_TREE = Path(__file__).resolve().parent.parent
# An editable install of another checkout would be tested instead of this one, and everything would pass.
if _TREE not in Path(c7n_iamusers.__file__).resolve().parents:
    pytest.exit(
        f"these tests are in {_TREE}, but c7n_iamusers is imported from {c7n_iamusers.__file__}: run make clean, then "
        "make test",
        returncode=pytest.ExitCode.USAGE_ERROR,
    )
quick_botocore.install()
quick_jinja.install()
quick_schemas.install()
quick_yaml.install()
# Otherwise each test process rewrites all assertions, and each command that tests start compiles the package.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# moto has images of machines, a thousand of them, for each account whose EC2 is asked for anything
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
# A tenth of the tests' time is files of theirs on a disk. In Docker, this place is small, and nothing may run from it.
_MEMORY = Path("/dev/shm")
if (
    "TMPDIR" not in os.environ
    and os.access(_MEMORY, os.W_OK | os.X_OK)
    and not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
    and shutil.disk_usage(_MEMORY).free > 6 * 2**30
):
    tempfile.tempdir = os.environ["TMPDIR"] = str(_MEMORY)
# No test loses its machine's power. Processes that tests start wait for the disk, as users' do.
os.fsync = lambda fd: None


#: What takes longest begins first: an idle worker takes over others' tests, but no half of one.
LONGEST = {
    "test_a_killed_shard_runs_again_and_nothing_happens_twice",
    "test_commands_run_in_order",
    "test_from_the_announcement_to_a_deletion_by_a_plan",
    "test_the_guide_runs_as_it_is_written",
    "test_the_rehearsal_runs",
    "test_the_runbook_runs_as_it_is_written",
    "test_the_whole_job",
}


#: Tests of whole programs, by name or module, whose parts other tests try, too. Each commit tries one third of
#: them; each takes about as long.
THIRDS = (
    {
        "test_an_organization_that_is_served_is_tried_by_hand",
        "test_suite",
        "test_the_guide_runs_as_it_is_written",
        "test_the_hook_registers_whatever_is_imported_first",
        "test_the_rehearsal_runs",
    },
    {
        "test_an_account_that_cloudtrail_is_not_read_of_is_named",
        "test_every_hostile_file_is_read_or_refused",
        "test_every_shipped_policy_runs_with_exactly_these_roles",
        "test_files_are_where_the_page_says",
        "test_from_the_announcement_to_a_deletion_by_a_plan",
        "test_messages_are_the_same_to_the_byte",
        "test_policies_that_spare_too_few_are_faults",
        "test_the_runbook_runs_as_it_is_written",
        "test_what_did_not_happen_is_a_fault",
    },
    {
        "test_a_killed_shard_runs_again_and_nothing_happens_twice",
        "test_a_new_row_and_a_new_rule_are_all_that_is_needed",
        "test_a_report_holds_little_of_each_user",
        "test_a_run_and_its_report",
        "test_an_environment_without_pip_gets_the_plugins",
        "test_cloudformation_accepts_the_templates",
        "test_each_member_of_each_line_is_compared_as_the_table_says",
        "test_only_those_whom_it_serves_notice",
        "test_the_conditions_are_asked_again_before_a_key_is_deleted",
        "test_who_is_mailed_and_touched",
    },
)
#: Where this is in the environment, every case of a table is tried: a mutant may be killed by one alone.
EVERY_CASE = "EVERY_CASE"
#: What decides which cases are tried, in the environment, and so of all workers: by default the commit, so that each
#: tries others. ``make test`` prints it first; with SAMPLE=... the same cases are tried again.
SAMPLE = "SAMPLE"
#: Of each table, one of so many cases, and at least one.
_ONE_OF = 8
#: Where tables are wide and each case runs commands, policies or the local organization; but for tests marked
#: ``whole``.
_WIDE = {
    "cli",
    "deletion",
    "execution",
    "hostile",
    "identity_center",
    "key_retirement",
    "local_org",
    "packaging",
    "plugins",
    "report",
    "roles",
}


def pytest_configure() -> None:
    """Choose the sample once, before there are workers."""
    if SAMPLE not in os.environ:
        os.environ[SAMPLE] = _commit()


def _commit() -> str:
    """The abbreviated commit of the checkout; empty without git."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=_TREE, capture_output=True, text=True
        )
    except OSError:
        return ""
    return found.stdout.strip()


def pytest_report_header() -> str:
    """Say how this run is repeated."""
    which = f"one of {_ONE_OF} cases of wide tables, one of {len(THIRDS)} parts of whole programs"
    return f"{which}: SAMPLE={os.environ[SAMPLE]}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest tests first; leave out most cases of what is sampled, but by ``make soak``."""
    if "SOAK_PAIRS" not in os.environ and not _are_named(config):
        left_out = {item for item in items if item.get_closest_marker("soak")}
        cases = defaultdict[str, list[pytest.Item]](list)
        for item in items:
            if item in left_out or EVERY_CASE in os.environ:
                continue
            if _is_of_another_third(item):
                left_out.add(item)
                continue
            wide = item.nodeid.split("/")[1] in _WIDE and not item.get_closest_marker("whole")
            if item.get_closest_marker("sampled") or wide:
                cases[item.nodeid.partition("[")[0]].append(item)
        for found in cases.values():
            left_out |= {*sorted(found, key=lambda item: _checksum(item.nodeid))[-(-len(found) // _ONE_OF) :]}
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: item.name not in LONGEST)


def _is_of_another_third(item: pytest.Item) -> bool:
    names = {item.name.partition("[")[0], item.path.stem}
    return any(names & third for number, third in enumerate(THIRDS) if number != _checksum("") % len(THIRDS))


def _checksum(name: str) -> int:
    """By which cases are chosen: every eighth one in order could leave out one side of tables that cross two others."""
    return zlib.crc32(f"{os.environ[SAMPLE]}{name}".encode())


def is_sampled(name: str) -> bool:
    """Whether a case is among those that this commit tries; all are, by ``make soak`` and for mutants."""
    if "SOAK_PAIRS" in os.environ or EVERY_CASE in os.environ:
        return True
    return _checksum(name) % _ONE_OF == 0


def _are_named(config: pytest.Config) -> bool:
    """Whether cases are named, or chosen by -k."""
    return bool(config.option.keyword) or any("[" in each for each in config.args)


def pytest_collection_finish() -> None:
    """Search the modules and AWS's models, which stay, for garbage no more: that takes a fifth of the tests' time."""
    gc.freeze()
    gc.set_threshold(700, 10, 1000)


def pytest_sessionfinish() -> None:
    """Collect garbage once; pytest itself would search everything five times."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def same_umask() -> Iterator[None]:
    """The umask that the test began with, which plugins narrow for their process."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run waits between its attempts and calls: it asks only whether a signal came."""
    monkeypatch.setattr(Interruption, "sleep", lambda self, _: self.check())


@contextmanager
def logging_kept() -> Iterator[None]:
    """Leave the loggers as they were: the programs of Cloud Custodian set them up for their process."""
    root, names = logging.getLogger(), logging.root.manager.loggerDict
    before = {
        each: (each.level, each.propagate, each.disabled, [*each.handlers])
        for each in (root, *map(logging.getLogger, [*names]))
    }
    # pytest's own, to which c7n-org adds one that drops what Cloud Custodian says
    filters = {handler: [*handler.filters] for handler in root.handlers}
    try:
        yield
    finally:
        for each in (root, *map(logging.getLogger, [*names])):
            left = each.handlers
            level, each.propagate, each.disabled, each.handlers = before.get(each, (0, True, False, []))
            if each.level != level:
                each.setLevel(level)
            for handler in left:
                # of a run of Cloud Custodian that had no session
                if handler not in each.handlers and isinstance(handler, logging.FileHandler):
                    handler.close()
        for handler, kept in filters.items():
            handler.filters = kept


@pytest.fixture
def same_logging() -> Iterator[None]:
    """The loggers as the test found them."""
    with logging_kept():
        yield


@pytest.fixture(scope="session")
def shared_org() -> Iterator[LocalOrg]:
    """The organization of this process; stopped if the last test needed another. See ``local_org``."""
    org = LocalOrg(Settings(assignment_seconds=0.1, report_seconds=0))
    yield org
    org.stop()


@pytest.fixture(scope="module")
def no_local_org(shared_org: LocalOrg) -> None:
    """For modules that start an organization themselves, as only one runs in a process at a time."""
    shared_org.stop()


@pytest.fixture(scope="module")
def local_org(shared_org: LocalOrg) -> LocalOrg:
    """The organization of this process, running, with the content that earlier tests left."""
    return running(shared_org)


def running(org: LocalOrg) -> LocalOrg:
    """``org``, started unless it runs."""
    return org if is_running(org) else org.start()


@pytest.fixture
def over_http() -> bool:
    """Whether boto3's calls go over HTTP instead of directly to the application. A directory can override it."""
    return False


@pytest.fixture
def org(local_org: LocalOrg, over_http: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalOrg]:
    """An empty organization with default settings. The environment points boto3, and so c7n, to it."""
    running(local_org)
    for name, value in local_org.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    if not over_http:
        short_circuit(monkeypatch, local_org)
    hurry(monkeypatch)
    local_org.reset()
    before = local_org.settings
    yield local_org
    changed = {
        field.name: getattr(before, field.name)
        for field in dataclasses.fields(before)
        if getattr(before, field.name) != getattr(local_org.settings, field.name)
    }
    if changed:
        local_org.configure(**changed)


@pytest.fixture
def functions_queue(org: LocalOrg) -> None:
    """The queue of accounts.yml to which functions send, as deploy/realtime.yml makes it."""
    retention = {"MessageRetentionPeriod": "1209600"}
    org.client("sqs").create_queue(QueueName="iam-users-realtime", Attributes=retention)
    org.clear_calls()


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a fraction of the time between two calls, tries or polls of AWS in this process.

    However slow the machine is, no line of a journal takes long enough to be followed by another read.
    """
    monkeypatch.setattr(executor, "_SLOW", float("inf"))
    start, delays = RateLimit.__init__, Backoff.delays

    def start_hurried(limit: RateLimit, rate: float = IDENTITY_CENTER_RATE, *clock: Any) -> None:
        start(limit, rate if clock else rate * 50, *clock)

    monkeypatch.setattr(RateLimit, "__init__", start_hurried)
    monkeypatch.setattr(Backoff, "delays", lambda backoff: (each / 50 for each in delays(backoff)))
    monkeypatch.setattr(schedule, "_SHORTEST_POLL", 0.005)
    monkeypatch.setattr(writer, "_LONGEST_IDLE", 0.02)
