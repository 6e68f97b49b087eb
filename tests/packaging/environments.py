# SPDX-License-Identifier: Apache-2.0
"""Fresh virtual environments that share the running environment's libraries, but for this package.

They are made without the network: installing c7n and boto3 anew for each would take a minute.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Container
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

#: environment variables
Variables = dict[str, str]
#: member accounts of the local organization
ACCOUNTS = ("111122223333", "444455556666")

ROOT = Path(__file__).parents[2]
MADE = shutil.ignore_patterns(
    ".git",
    ".*_cache",
    ".coverage*",
    ".demo",
    ".rehearsal",
    ".hypothesis",
    "__pycache__",
    "build",
    "dist",
    "*.egg-info",
)

SCRIPTS = ("custodian", "c7n-org")
# what pip writes for a console script
SCRIPT = """\
#!{python}
import sys
from {module} import {function}
if __name__ == "__main__":
    sys.exit({function}())
"""


def copy_source(directory: Path) -> Path:
    """The repository without what was made in it, so that building neither uses it nor leaves a trace there."""
    return Path(shutil.copytree(ROOT, directory, ignore=made))


def made(directory: str, names: list[str]) -> set[str]:
    virtual = {name for name in names if Path(directory, name, "pyvenv.cfg").exists()}
    return MADE(directory, names) | virtual


def link_libraries(directory: Path, without: Container[str] = ()) -> Path:
    """A directory that has what the running environment's site-packages have, but for this package."""
    directory.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        ours = "c7n_iamusers" in entry.name or entry.name == "msg-templates"
        if not ours and entry.name not in without:
            (directory / entry.name).symlink_to(entry)
    return directory


@dataclass(frozen=True)
class Environment:
    """A virtual environment, with a home of its own for what c7n and the AWS SDK keep there."""

    directory: Path

    @classmethod
    def create(cls, directory: Path, libraries: Path) -> Environment:
        venv.create(directory, symlinks=True)
        environment = cls(directory)
        environment.home.mkdir()
        # site.py adds the directory, but processes none of the .pth files in it
        (environment.site_packages / "libraries.pth").write_text(f"{libraries}\n", encoding="utf-8")
        for name in SCRIPTS:
            environment.add_script(name)
        return environment

    def copy(self, directory: Path) -> Environment:
        """The same in another place, with an empty home. Commands name their Python, so they are written anew."""
        without_home = shutil.ignore_patterns(self.home.name)
        copied = Environment(
            Path(shutil.copytree(self.directory, directory, symlinks=True, ignore=without_home))
        )
        copied.home.mkdir()
        for name in SCRIPTS:
            copied.add_script(name)
        return copied

    def add_script(self, name: str) -> None:
        (script,) = entry_points(group="console_scripts", name=name)
        file = self.directory / "bin" / name
        file.write_text(
            SCRIPT.format(python=self.python, module=script.module, function=script.attr), encoding="utf-8"
        )
        file.chmod(0o755)

    @property
    def home(self) -> Path:
        return self.directory / "home"

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.directory / "lib" / version / "site-packages"

    def pip(self, *arguments: str | Path) -> None:
        """Run pip in it, without the network and without touching its libraries."""
        done = self.run("python", "-m", "pip", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    def install(self, *what: str | Path) -> None:
        self.pip("install", "--no-index", "--no-deps", "--no-build-isolation", *what)

    def run(self, command: str, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one of its commands as a user does, with nothing of the running environment but ``variables``."""
        return subprocess.run(
            [self.directory / "bin" / command, *arguments],
            cwd=self.home,
            env={**self.variables, **variables},
            capture_output=True,
            text=True,
            timeout=120,
        )

    @property
    def variables(self) -> Variables:
        return {
            "PATH": f"{self.directory / 'bin'}:{os.defpath}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_CACHE_DIR": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
        }
