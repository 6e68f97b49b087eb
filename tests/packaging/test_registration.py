# SPDX-License-Identifier: Apache-2.0
"""What a user sees who has only installed the package, in whichever way, and runs plain commands."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name

import pytest

from c7n_iamusers import entry
from tests.packaging.environments import Environment

POLICY = Path(__file__).with_name("policy.yml")
PLUGINS = [f"filters.{name}" for name in entry.FILTERS] + [f"actions.{name}" for name in entry.ACTIONS]

SCHEMAS = """
import sys
from c7n.cli import main
for plugin in sys.argv[1:]:
    print("=====", plugin)
    sys.argv = ["custodian", "schema", f"aws.iam-user.{plugin}"]
    main()
"""
# how a process was started, and what it knows once it loads IAM users, as each worker of c7n-org does: first of one
# whose parent has not loaded c7n's IAM resources, then of one whose parent has
WORKERS = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

def known(_):
    import c7n_iamusers.entry as entry
    from c7n.query import sources
    from c7n.resources import load_resources
    from c7n.resources.iam import User
    load_resources(("aws.iam-user",))
    names = {*User.filter_registry.keys(), *User.action_registry.keys(), *sources.keys()}
    return sorted({*entry.FILTERS, *entry.ACTIONS, *entry.SOURCES} & names)

if __name__ == "__main__":
    for state in ("fresh", "loaded"):
        if state == "loaded":
            import c7n.resources.iam
        for method in ("fork", "spawn", "forkserver"):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
                print(state, method, *next(pool.map(known, [None])))
"""


@pytest.mark.parametrize("environment", ["wheel"], indirect=True)
def test_schema_prints_docs_with_an_example(environment: Environment) -> None:
    done = environment.run("python", "-c", SCHEMAS, *PLUGINS)
    assert done.returncode == 0, done.stderr
    _, *printed = done.stdout.split("===== ")
    assert len(printed) == len(PLUGINS)
    for plugin, text in zip(PLUGINS, printed, strict=True):
        assert text.startswith(plugin)
        assert f"- type: {plugin.partition('.')[2]}" in text
        assert "policies:" in text


def test_opting_out(environment: Environment) -> None:
    done = environment.run("custodian", "validate", POLICY, C7N_IAMUSERS_AUTOLOAD="0")
    assert done.returncode != 0
    assert "authorization-details" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("environment", ["wheel"], indirect=True)
def test_other_resources_do_not_have_the_source(environment: Environment, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yml"
    policy.write_text(
        "policies: [{name: wrong, resource: aws.ec2, source: authorization-details}]", encoding="utf-8"
    )
    done = environment.run("custodian", "validate", policy)
    assert done.returncode != 0
    assert "'authorization-details' is not one of" in done.stderr
    assert "Traceback" not in done.stderr


def test_other_python_processes_load_neither_c7n_nor_boto3(environment: Environment) -> None:
    done = environment.run("python", "-c", "import sys; print(*sys.modules)")
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert (done.returncode, done.stderr) == (0, "")
    assert "c7n_iamusers" in loaded
    assert not loaded & {"c7n", "boto3", "botocore", "click", "moto"}


def test_workers_know_the_plugins(environment: Environment, tmp_path: Path) -> None:
    script = tmp_path / "workers.py"
    script.write_text(WORKERS, encoding="utf-8")
    done = environment.run("python", script)
    assert done.returncode == 0, done.stderr
    every = " ".join(sorted({*entry.FILTERS, *entry.ACTIONS, *entry.SOURCES}))
    assert done.stdout.splitlines() == [
        f"{state} {method} {every}"
        for state in ("fresh", "loaded")
        for method in ("fork", "spawn", "forkserver")
    ]


def test_the_command_runs(environment: Environment) -> None:
    done = environment.run("c7n-iamusers", "--help")
    assert done.returncode == 0, done.stderr
    assert "local-org" in done.stdout


@pytest.mark.parametrize("file", ["c7n_iamusers.pth", "c7n_iamusers.start"])
def test_either_startup_file_is_installed(environment: Environment, file: str) -> None:
    assert (environment.site_packages / file).is_file()


def test_both_startup_files_may_be_processed(environment: Environment) -> None:
    """As on a Python that runs the entry points of .start files and the lines of .pth files."""
    line = (environment.site_packages / "c7n_iamusers.start").read_text(encoding="utf-8").strip()
    code = (
        f"import pkgutil, sys; pkgutil.resolve_name({line!r})(); pkgutil.resolve_name({line!r})(); "
        "print([type(finder).__name__ for finder in sys.meta_path].count('RegisteringFinder'))"
    )
    done = environment.run("python", "-c", code)
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert resolve_name(line).__name__ == "register"
