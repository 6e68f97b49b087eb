# SPDX-License-Identifier: Apache-2.0
"""Runs the real c7n-org and c7n-mailer as a person would, with their output kept in files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from c7n_iamusers.exceptions import LocalOrgError


@dataclass(frozen=True)
class Commands:
    """``work``: where everything is written. ``environment``: the local organization's, so that no command of a
    rehearsal can reach a real AWS."""

    work: Path
    environment: Mapping[str, str]

    def c7n_org(self, step: str, accounts: Path, policies: Path) -> int:
        """`c7n-org run`; its exit code. The output is in ``<work>/output/<step>``, its log in ``<work>/logs``.

        A cache of its own: c7n keys its cache by account id, and ids of the local organization may be real ones.
        """
        cache = self.work / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        # nothing is taken from the cache, either: days pass between these steps in the real world
        output = ["-s", str(self.work / "output" / step), "--cache-path", str(cache), "--cache-period", "0"]
        return self._run(step, ["c7n-org", "run", "-c", str(accounts), "-u", str(policies), *output])

    def c7n_mailer(self, step: str, config: Path, templates: Path) -> int:
        """`c7n-mailer --run`: delivers what is in the queue."""
        return self._run(step, ["c7n-mailer", "--run", "-c", str(config), "-t", str(templates)])

    def _run(self, step: str, command: list[str]) -> int:
        program = Path(sys.executable).with_name(command[0])
        if not program.exists():
            raise LocalOrgError(
                f"{command[0]} is not installed beside {sys.executable}: pip install 'c7n_iamusers[cli,org,local]'"
            )
        log = self.work / "logs" / f"{step}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            print("$", *command, file=file, flush=True)
            return subprocess.run(
                [str(program), *command[1:]],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**_without_aws(os.environ), **self.environment},
            ).returncode


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """No profile, credential or endpoint of the person's own reaches the commands."""
    return {name: value for name, value in environment.items() if not name.startswith(("AWS_", "C7N_"))}
