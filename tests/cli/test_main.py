# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from c7n_iamusers import __version__
from c7n_iamusers_cli.main import SUBCOMMANDS, main


def test_the_version_is_the_packages() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.output == f"c7n-iamusers, version {__version__}\n"


@pytest.mark.parametrize("name", sorted(SUBCOMMANDS))
def test_every_subcommand_is_listed_and_can_be_asked_for_help(name: str) -> None:
    listing = CliRunner().invoke(main, ["--help"])
    assert SUBCOMMANDS[name][1] in listing.output
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Usage: main {name}")


def test_an_unknown_subcommand_is_refused() -> None:
    result = CliRunner().invoke(main, ["local-orgs"])
    assert result.exit_code == 2
    assert "No such command 'local-orgs'" in result.output


def test_an_error_of_the_package_is_a_message_and_not_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    result = CliRunner().invoke(main, ["local-org", "reset"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: no endpoint")
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("arguments", [["--help"], ["local-org", "--help"], ["local-org", "serve", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from c7n_iamusers_cli.main import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        "heavy = {'boto3', 'botocore', 'c7n', 'flask', 'moto', 'rich', 'aiosmtpd'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("missing", "arguments", "remedy"),
    [
        ("rich", ["demo", "--help"], "pip install '.[cli]'"),
        ("aiosmtpd", ["demo", "--help"], "pip install '.[local]'"),
        ("moto", ["local-org", "serve", "--port", "0"], "pip install '.[local]'"),
        ("aws_local_org", ["local-org", "--help"], "pip install --force-reinstall --no-deps ."),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(missing: str, arguments: list[str], remedy: str) -> None:
    program = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "from c7n_iamusers_cli import run\n"
        "sys.exit(run())\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (2, "")
    needs = f"c7n-iamusers: this command needs {missing}"
    assert result.stderr.startswith(needs), result.stderr
    assert result.stderr.endswith(f", which is not installed; in the checkout: {remedy}\n")
