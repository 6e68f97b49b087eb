# SPDX-License-Identifier: Apache-2.0
"""The command ``c7n-iamusers``. It imports only the standard library, so it can say which extra is missing."""

from __future__ import annotations

import os
import sys

EXTRA_OF_MODULE = {
    "click": "cli",
    "rich": "cli",
    "jinja2": "cli",
    "c7n_org": "org",
    "c7n_mailer": "org",
    "moto": "local",
    "flask": "local",
    "flask_cors": "local",
    "aiosmtpd": "local",
}
#: The sibling package of the same wheel, which has the commands local-org and demo.
_SIBLING = "aws_local_org"


def run() -> int:
    """Run the command, which writes for its user only. If an extra's library is missing, say so, and return 2."""
    os.umask(os.umask(0o077) | 0o077)
    try:
        from c7n_iamusers_cli.main import main

        main()
    except ModuleNotFoundError as missing:
        module = (missing.name or "").partition(".")[0]
        if module == _SIBLING:
            remedy = "pip install --force-reinstall --no-deps ."
        elif extra := EXTRA_OF_MODULE.get(module):
            remedy = f"pip install '.[{extra}]'"
        else:
            raise
        print(
            f"c7n-iamusers: this command needs {missing.name}, which is not installed; in the checkout: {remedy}",
            file=sys.stderr,
        )
        return 2
    return 0
