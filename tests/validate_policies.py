# SPDX-License-Identifier: Apache-2.0
"""``c7n-org validate --per-account`` for each policy file that is named: one process, of which each takes seconds.

c7n-org loads the types of resources that a file names, as ``custodian validate`` does. Before that it loads all others,
of four hundred, and would compare each policy with the schema of each.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from c7n import resources
from c7n_org.cli import cli

resources.load_available = lambda *_: None


def main(files: Sequence[str]) -> int:
    """How many files are not valid for an account of accounts.yml."""
    return sum(not _is_valid(each) for each in files)


def _is_valid(file: str) -> bool:
    print(file, flush=True)
    try:
        cli(["validate", "--per-account", "-c", "accounts.yml", "-u", file], standalone_mode=False)
    except SystemExit as end:
        return not end.code
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
