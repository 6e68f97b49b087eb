# SPDX-License-Identifier: Apache-2.0
"""Runs the local organization in the foreground, until SIGINT or SIGTERM."""

from __future__ import annotations

import os
import shlex
import signal
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click

from aws_local_org import LocalOrg, Settings
from aws_local_org.environment import no_aws_settings
from aws_local_org.errors import LocalOrgError
from aws_local_org.seed import seed
from c7n_iamusers.execution.given import read_given

#: Version 1 has its own endpoints for these services, in awscli/customizations/overridesslcommonname.py. Only the
#: option overrides them, no variable does.
_OLD_CLI = (
    "AWS CLI 1 would call AWS for sqs, emr, rds, docdb, neptune and health: give it --endpoint-url $AWS_ENDPOINT_URL, "
    "or use version 2"
)
ENV_FILE_HEADING = "# The local organization of c7n-iamusers; load it with: . FILE"


@dataclass(frozen=True)
class Serving:
    """What to run beside the organization. ``seed``: None leaves it empty. ``mail_dir``: None starts no SMTP sink."""

    seed: int | None = None
    users_per_account: int = 30
    mail_dir: Path | None = None
    env_file: Path | None = None


def serve_until_stopped(settings: Settings, serving: Serving) -> None:
    """Start everything, print or write the environment to export, and return after SIGINT or SIGTERM.

    Raises LocalOrgError if a port is taken, or the env file is not one of this command's.
    """
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    if serving.env_file:
        _discard_stale(serving.env_file)
    with no_aws_settings(), ExitStack() as running:
        environment = _start(running, settings, serving)
        _announce(environment, serving.env_file)
        stopped.wait()
        _progress("stopping")


def _start(running: ExitStack, settings: Settings, serving: Serving) -> Mapping[str, str]:
    org = running.enter_context(LocalOrg(settings))
    environment = dict(org.environment())
    if serving.mail_dir:
        from aws_local_org.smtp_sink import SmtpSink

        sink = running.enter_context(SmtpSink(serving.mail_dir, settings.smtp_port))
        environment["C7N_IAMUSERS_SMTP_PORT"] = str(sink.port)
        _progress(f"mail to 127.0.0.1:{sink.port} is kept in {serving.mail_dir}")
    if serving.seed is not None:
        _seed(org, serving.seed, serving.users_per_account)
    accounts = ", ".join(f"{account_id} ({name})" for account_id, name in settings.member_accounts)
    _progress(f"serving {org.endpoint_url}: management {settings.management_account}, members {accounts}")
    _progress(_OLD_CLI)
    return environment


def _seed(org: LocalOrg, number: int, users_per_account: int) -> None:
    summary = seed(org, seed=number, users_per_account=users_per_account)
    _progress(f"seeded {summary['totals']['users']} users in {len(summary['accounts'])} accounts")


def _announce(environment: Mapping[str, str], env_file: Path | None) -> None:
    """Write the environment, with this run's token, to a file for its owner only, or else to standard output."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items() if value]
    text = "\n".join(lines) + "\n"
    if env_file:
        _replace(env_file, f"{ENV_FILE_HEADING}\n{text}")
        _progress(f"environment written to {env_file}")
    else:
        click.echo(text, nl=False)  # click.echo flushes


def _discard_stale(env_file: Path) -> None:
    """Remove an earlier run's file, so that a script that waits for the file waits for this run."""
    try:
        if env_file.exists() and not _is_ours(env_file):
            raise LocalOrgError(
                f"{env_file} exists and is not an env file of this command; choose another --env-file"
            )
        env_file.unlink(missing_ok=True)
    except OSError as error:
        raise LocalOrgError(f"cannot replace the env file {env_file}: {error}") from error


def _is_ours(env_file: Path) -> bool:
    return read_given(env_file).startswith(ENV_FILE_HEADING.encode())


def _replace(path: Path, text: str) -> None:
    """Write a file atomically, and readable only by its owner."""
    try:
        descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(partial, path)
    except OSError as error:
        raise LocalOrgError(f"cannot write the env file {path}: {error.strerror or error}") from error


def _progress(text: str) -> None:
    click.echo(text, err=True)
