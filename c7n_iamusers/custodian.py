# SPDX-License-Identifier: Apache-2.0
"""``python -m c7n_iamusers.custodian``: ``custodian`` with the plugins, where Python reads no ``.pth`` file.

That is the case in a directory of ``pip install --target``, in a checkout on ``PYTHONPATH``, and under
``python -S``. Arguments are those of ``custodian``; after a first argument ``c7n-org``, those of ``c7n-org``::

    python -m c7n_iamusers.custodian run -s output policy.yml
    python -m c7n_iamusers.custodian c7n-org run -c accounts.yml -s output -u policy.yml

Where others may write to the working directory, use ``python -P -m`` (Python 3.11 and newer): with ``-m`` alone Python
itself takes this package, and ``importlib`` or ``runpy``, from there before this module runs.
"""

# python -m puts the working directory first, where a module of any name may have been put. Until it is left out,
# nothing is imported but os, sys and two modules of ours that import no more: not even __future__, a file too.
import os
import sys

from c7n_iamusers import startup

sys.path[:] = startup.without_working_directory(sys.path)

from typing import Any  # noqa: E402  # see above

# Not in main(): a spawned worker process of c7n-org imports this module and calls nothing in it.
startup.register_when_loaded()

FLEET = "c7n-org"


def main(arguments: list[str]) -> Any:
    """Run ``custodian`` or ``c7n-org`` with ``arguments``, writing for this user only. Raises SystemExit as they do."""
    os.umask(os.umask(0o077) | 0o077)
    if arguments[:1] == [FLEET]:
        sys.argv = arguments
        return _fleet()(prog_name=FLEET)
    from c7n.cli import main as custodian

    # argparse and custodian's process title take the command's name from here
    sys.argv = ["custodian", *arguments]
    return custodian()


def _fleet() -> Any:
    try:
        from c7n_org.cli import cli
    except ModuleNotFoundError as error:
        sys.exit(f"c7n-org is not installed ({error}); in the checkout: pip install '.[org]'")
    return cli


if __name__ == "__main__":
    main(sys.argv[1:])
