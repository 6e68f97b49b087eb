# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from pkgutil import resolve_name

import c7n_iamusers
from c7n_iamusers import startup
from tests.packaging.environments import ROOT

STARTUP_FILES = ["c7n_iamusers.pth", "c7n_iamusers.start"]
TEMPLATES = [file.name for file in (ROOT / "c7n_iamusers" / "mailer_templates").iterdir()]
#: What `c7n-iamusers init` copies into a workspace, or makes it from.
SHIPPED = [
    *("accounts.yml", "deploy/as", "deploy/runner.yml", "deploy/realtime.yml", "deploy/function-alarms.yml"),
    *(f"policies/{file.name}" for file in (ROOT / "policies").glob("*.yml")),
]


def source_files() -> set[str]:
    files = [
        file
        for name in ("c7n_iamusers", "c7n_iamusers_cli", "aws_local_org")
        for file in (ROOT / name).rglob("*")
    ]
    return {str(f.relative_to(ROOT)) for f in files if f.is_file() and "__pycache__" not in f.parts}


def test_the_wheel_has_the_whole_package_and_the_startup_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    copies = [f"msg-templates/{name}" for name in TEMPLATES]
    shipped = [f"c7n_iamusers_cli/shipped/{name}" for name in SHIPPED]
    assert sorted(names) == sorted([*source_files(), *STARTUP_FILES, *copies, *shipped])


def test_what_a_workspace_is_made_of_is_the_checkouts(wheel: Path) -> None:
    found = contents(wheel)
    for name in SHIPPED:
        assert found[f"c7n_iamusers_cli/shipped/{name}"] == (ROOT / name).read_bytes(), name


def test_the_metadata_of_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    assert metadata["Name"] == "c7n_iamusers"
    assert metadata["Version"] == c7n_iamusers.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["Author"] == "c7n_iamusers contributors"
    assert "cloud-custodian" in metadata["Keywords"].split(",")
    minors = [each for each in metadata.get_all("Classifier") or [] if ":: Python :: 3." in each]
    assert [each.rpartition(".")[2] for each in minors] == ["10", "11", "12", "13"]
    core = [required for required in metadata.get_all("Requires-Dist") or [] if "extra ==" not in required]
    assert sorted(core) == ["boto3>=1.43.78", "c7n>=0.9.52"]


def test_the_sdist_has_all_that_a_checkout_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tests = {str(file.relative_to(ROOT)) for file in (ROOT / "tests").rglob("*.py")}
    policies = {str(file.relative_to(ROOT)) for file in (ROOT / "policies").glob("*")}
    documents = {str(file.relative_to(ROOT)) for file in (ROOT / "docs").rglob("*") if file.is_file()}
    others = {"setup.py", "pyproject.toml", "constraints.txt", "Makefile", ".ci/run", "LICENSE"}
    others |= {"README.md", "CHANGELOG.md", "SECURITY.md"}
    assert names >= source_files() | tests | policies | documents | others | set(STARTUP_FILES)


def test_an_sdist_gives_the_wheel_of_the_checkout(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    """So that what the tests find of an installed wheel holds for an installed sdist."""
    options = [
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--no-cache-dir",
        "--wheel-dir",
        str(tmp_path),
    ]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(sdist)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = tmp_path.glob("*.whl")
    assert contents(built) == contents(wheel)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_start_file_names_an_entry_point_of_pep_829() -> None:
    lines = (ROOT / "c7n_iamusers.start").read_text(encoding="utf-8").split()
    assert [resolve_name(line) for line in lines] == [startup.register]


def test_the_pth_file_is_plain_and_sorts_after_the_finder_of_editable_installs() -> None:
    """site.py executes lines that start with import, in the order of the files' names.

    Scanners of packages take exec in such a line for malware, and Python's successor of it is an entry point.
    """
    text = (ROOT / "c7n_iamusers.pth").read_text(encoding="utf-8")
    assert re.fullmatch(
        r"import os, sys; path = .*; import c7n_iamusers\.startup; sys\.path\[:\] = path; "
        r"c7n_iamusers\.startup\.register\(\)\n",
        text,
    )
    assert "exec" not in text
    assert (
        sorted(["c7n_iamusers.pth", f"__editable__.c7n_iamusers-{c7n_iamusers.__version__}.pth"])[-1]
        == "c7n_iamusers.pth"
    )
