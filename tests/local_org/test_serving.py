# SPDX-License-Identifier: Apache-2.0
"""The command as a process, since signals and standard output are what it is about."""

from __future__ import annotations

import os
import shlex
import signal
import smtplib
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
import yaml
from click.testing import CliRunner

from aws_local_org import commands
from c7n_iamusers_cli.main import main

Serve = Callable[..., "subprocess.Popen[str]"]
SERVE = ["local-org", "serve", "--port", "0"]
PROGRAM = [
    sys.executable,
    "-c",
    "from c7n_iamusers_cli import run; raise SystemExit(run())",
    *SERVE,
]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start the command on a free port, in a directory of its own; it is stopped at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(ROOT)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def environment_of(process: subprocess.Popen[str], last: str) -> dict[str, str]:
    """What a shell would export, read line by line up to the variable ``last``, as long as the process runs."""
    assert process.stdout
    exported: dict[str, str] = {}
    while last not in exported:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        word, assignment = shlex.split(line)
        assert word == "export"
        name, _, value = assignment.partition("=")
        exported[name] = value
    return exported


def stopped(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(number)
    _, progress = process.communicate(timeout=20)
    return process.returncode, progress


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_the_environment_when_ready_and_ends_cleanly(serve: Serve, number: signal.Signals) -> None:
    process = serve()
    environment = environment_of(process, "AWS_EC2_METADATA_DISABLED")
    sts = boto3.client(
        "sts",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_DEFAULT_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=environment["AWS_SESSION_TOKEN"],
    )
    assert sts.get_caller_identity()["Account"] == "123456789012"
    code, progress = stopped(process, number)
    assert code == 0, progress
    assert f"serving {environment['AWS_ENDPOINT_URL']}: management 123456789012" in progress
    (line,) = [each for each in progress.splitlines() if each.startswith("AWS CLI 1 ")]
    assert "sqs" in line
    assert "--endpoint-url $AWS_ENDPOINT_URL" in line
    assert progress.splitlines()[-1] == "stopping"


def test_it_seeds_and_takes_mail_and_replaces_its_env_file(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "env").write_text(
        "# The local organization of c7n-iamusers; load it with: . FILE\nexport OLD=1\n"
    )
    process = serve(
        *("--member-account", "210987654321=payments", "--users-per-account", "4"),
        *("--mail-dir", "mails", "--smtp-port", "0", "--env-file", "env"),
    )
    assert process.stderr
    progress = ""
    while "environment written to env\n" not in progress:
        line = process.stderr.readline()
        assert line, progress
        progress += line
    file = tmp_path / "env"
    words = (shlex.split(line)[1].partition("=") for line in file.read_text().splitlines()[1:])
    environment = {name: value for name, _, value in words}
    with smtplib.SMTP("127.0.0.1", int(environment["C7N_IAMUSERS_SMTP_PORT"])) as client:
        client.sendmail("a@example.com", ["b@example.com"], "Subject: hello\n\n")
    assert len(list((tmp_path / "mails").glob("*.eml"))) == 1
    assert f"export AWS_ENDPOINT_URL={environment['AWS_ENDPOINT_URL']}\n" in file.read_text()
    assert "OLD" not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    process.send_signal(signal.SIGTERM)
    # a shell writes it to a log that others may read
    printed, more = process.communicate(timeout=20)
    assert (process.returncode, printed) == (0, ""), more
    assert "seeded 4 users in 1 accounts" in progress
    assert "members 210987654321 (payments)" in progress


def test_somebody_elses_file_is_not_overwritten(tmp_path: Path, no_local_org: None) -> None:
    (tmp_path / ".bashrc").write_text("alias ll='ls -l'\n")
    done = CliRunner().invoke(main, [*SERVE, "--env-file", str(tmp_path / ".bashrc")])
    assert done.exit_code == 1
    assert "exists and is not an env file of this command; choose another --env-file\n" in done.output
    assert (tmp_path / ".bashrc").read_text() == "alias ll='ls -l'\n"


def test_mail_is_taken_at_the_port_of_the_mailer_that_comes_along() -> None:
    mailer = yaml.safe_load((Path(__file__).parents[2] / "mailer.yml").read_text())
    (port,) = [each.default for each in commands.serve.params if each.name == "smtp_port"]
    assert port == mailer["smtp_port"]


@pytest.mark.parametrize("option", ["--port", "--smtp-port"])
def test_a_taken_port_is_said_so(tmp_path: Path, no_local_org: None, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(main, [*SERVE, option, port, "--mail-dir", str(tmp_path / "mails")])
    assert done.exit_code == 1
    assert f"on 127.0.0.1:{port}: Address already in use" in done.output
    assert isinstance(done.exception, SystemExit)
