# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click
import pytest
from botocore.exceptions import NoCredentialsError
from click.shell_completion import shell_complete
from click.testing import CliRunner

from c7n_iamusers import __version__
from c7n_iamusers.exceptions import EvidenceUnreadable
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


def test_help_is_grouped_by_what_commands_are_for() -> None:
    lines = CliRunner().invoke(main, ["--help"]).output.splitlines()
    sections = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert sections[0] == "Options:"
    assert {"Setting up:", "Every day:", "Looking:", "Recovering:", "Practising:"} <= {*sections}
    listed = [line.split()[0] for line in lines if line.startswith("  ") and line.split()[0] in SUBCOMMANDS]
    assert sorted(listed) == sorted(SUBCOMMANDS)
    assert lines.index("Every day:") < lines.index("  cycle             " + SUBCOMMANDS["cycle"][1])


def leaves(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Each command that is no group, with the words that name it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from leaves(cast(click.Command, command.get_command(context, name)), *path, name)
    else:
        yield path, command


LEAVES = dict(leaves(main))


@pytest.mark.whole
@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_each_command_has_the_exit_codes_of_the_page(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/exit-codes.md: 0 for help, 2 for an option that there is not, 130 for Ctrl-C."""
    asked = CliRunner().invoke(main, [*path, "--help"])
    assert (asked.exit_code, asked.output.startswith(f"Usage: main {' '.join(path)}")) == (0, True), (
        asked.output
    )
    wrong = CliRunner().invoke(main, [*path, "--no-such-option"])
    assert (wrong.exit_code, "No such option" in wrong.output) == (2, True), wrong.output

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LEAVES[path], "parse_args", interrupted)
    ended = CliRunner().invoke(main, [*path])
    assert (ended.exit_code, ended.stderr) == (130, "Interrupted\n")


@pytest.mark.parametrize(("cause", "code"), [(KeyboardInterrupt, 130), (EOFError, 1)])
def test_a_prompt_that_is_interrupted_is_no_end_of_input(
    cause: type[BaseException], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: object) -> None:
        try:
            raise cause
        except cause:
            raise click.Abort from None

    monkeypatch.setattr(LEAVES["cycle",], "parse_args", ask)
    assert CliRunner().invoke(main, ["cycle"]).exit_code == code


COMPLETE = "_C7N_IAMUSERS_COMPLETE"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["cyc"], "cycle"),
        (["cycle", "--dry"], "--dry-run"),
        (["provision", "app"], "apply"),
        (["cycle", "--until", "q"], "quarantine"),
    ],
)
def test_shells_complete_commands_and_options(
    shell: str,
    words: list[str],
    found: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As click's script in the shell asks for it."""
    monkeypatch.setenv("COMP_WORDS", " ".join(["c7n-iamusers", *words]))
    monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words)))
    assert shell_complete(main, {}, "c7n-iamusers", COMPLETE, f"{shell}_complete") == 0
    assert found in re.split(r"[,\t\n]", capsys.readouterr().out)


def test_the_lines_of_the_page_complete_in_bash() -> None:
    """docs/init.md, in a real shell. Neither zsh nor fish is asked for: these have click's own script."""
    page = (Path(__file__).parents[2] / "docs" / "init.md").read_text()
    lines = re.findall(rf"^    (.*{COMPLETE}=\w+_source.*)$", page, re.MULTILINE)
    assert [re.findall(r"=(\w+)_source", line) for line in lines] == [["bash"], ["zsh"], ["fish"]]
    asked = "COMP_WORDS=(c7n-iamusers appr); COMP_CWORD=1; _c7n_iamusers_completion c7n-iamusers; echo ${COMPREPLY[@]}"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"{lines[0]}\n{asked}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("approve\n", "")


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        (["cycle"], 1, "`c7n-iamusers init DIR` writes one for an organization"),
        (["preflight"], 2, "Give -c accounts.yml; `c7n-iamusers init DIR` writes accounts.yml"),
        (
            ["preflight", "-c", "accounts.yml"],
            2,
            "does not exist: `c7n-iamusers init DIR` writes accounts.yml",
        ),
    ],
)
def test_an_error_has_the_next_command(
    given: list[str], code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, given)
    assert (result.exit_code, told in result.output) == (code, True), result.output


@pytest.mark.parametrize(
    ("cause", "told"),
    [(NoCredentialsError(), "try `aws sts get-caller-identity`"), (ConnectionError("lost"), "unreadable\n")],
)
def test_who_is_not_signed_in_is_told_how(
    cause: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        raise EvidenceUnreadable("unreadable") from cause

    monkeypatch.setattr(LEAVES["owners",], "parse_args", read)
    result = CliRunner().invoke(main, ["owners"])
    assert (result.exit_code, result.stderr.startswith("Error: unreadable")) == (1, True)
    assert told in result.stderr


@pytest.mark.parametrize(
    "given",
    [
        ["leftovers", "-s", ".", "-c", __file__],
        ["where", "--all", "-c", __file__],
        ["usage", "jane", "-c", __file__],
    ],
    ids=lambda given: given[0],
)
def test_a_mistyped_region_is_refused_before_any_call(given: list[str]) -> None:
    result = CliRunner().invoke(main, [*given, "-r", "us-east-1", "--region", "eu-wst-1"])
    assert result.exit_code == 2
    assert (
        "'eu-wst-1' is no Region that the installed botocore knows: correct it (eu-west-1?), "
        in result.stderr
    )


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
