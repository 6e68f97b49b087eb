# SPDX-License-Identifier: Apache-2.0
"""Find, replace and delete unnecessary AWS IAM users with Cloud Custodian.

Every Python process of an environment that has the package installed imports this module, so it imports
nothing itself.
"""

from __future__ import annotations

__version__ = "0.1.0"


def register() -> None:
    """Make the package's source, filters and actions known to Cloud Custodian; more than once is harmless.

    Needed only in programs of your own where the start-up hook does not run: under ``C7N_IAMUSERS_AUTOLOAD=0``,
    or where Python reads no ``.pth`` file, for which ``c7n_iamusers.custodian`` is the command.
    """
    from c7n_iamusers.entry import register as register_plugins

    register_plugins()
