# SPDX-License-Identifier: Apache-2.0
"""Whether the stacks of a workspace are deployed, and `preflight` as the runner, who will run everything."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c7n_iamusers_cli.init.guide import preflight
from c7n_iamusers_cli.init.plan import RUNNER
from c7n_iamusers_cli.output import say

if TYPE_CHECKING:
    from c7n_iamusers_cli.init.plan import Plan

#: `c7n-iamusers`, by this Python.
_COMMAND = [sys.executable, "-c", "import sys; from c7n_iamusers_cli import run; sys.exit(run())"]


def deployed_as(plan: Plan) -> Mapping[str, str] | None:
    """An environment with credentials of the role Runner; None where the caller can't act as it.

    It is deployed first, and no other role can be assumed without it.
    """
    from c7n_iamusers.exceptions import EvidenceUnreadable
    from c7n_iamusers.execution.sessions import account_session

    try:
        session = account_session(plan.role(plan.runner, RUNNER), region=plan.region)
    except EvidenceUnreadable:
        return None
    credentials: Any = session.get_credentials()
    keys = credentials.get_frozen_credentials()
    kept = {name: value for name, value in os.environ.items() if name != "AWS_PROFILE"}
    return {
        **kept,
        "AWS_ACCESS_KEY_ID": str(keys.access_key),
        "AWS_SECRET_ACCESS_KEY": str(keys.secret_key),
        "AWS_SESSION_TOKEN": str(keys.token),
        "AWS_DEFAULT_REGION": plan.region,
    }


def run_preflight(plan: Plan, directory: Path, environment: Mapping[str, str]) -> int:
    """Print the command line, and run it in the workspace. Returns its exit code."""
    words = preflight(plan)
    say(f"as {plan.role(plan.runner, RUNNER)}: {shlex.join(words)}")
    sys.stdout.flush()
    return subprocess.run([*_COMMAND, *words[1:]], cwd=directory, env=dict(environment)).returncode
